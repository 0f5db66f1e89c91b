// SPDX-License-Identifier: MIT
//
// What the two halves of the disk tests share: jobs that the host hands in, and that the kernel's side does with disk0.
#ifndef DISK_SIDE_H
#define DISK_SIDE_H

#include <stdint.h>

#define DISK_PLACES 64u // blocks of 4 KiB, from the beginning of the disk
#define DISK_BLOCK 4096u

enum disk_job_kind {
	DISK_MODEL,   // random transfers, held against a model in memory
	DISK_JOURNAL, // versions of blocks, with a FLUSH now and then; the host looks at what is left
	DISK_READ,    // `place` into `bytes`
	DISK_STORM    // many requests at once, and how many failed
};

struct disk_job {
	uint32_t kind;
	uint32_t rounds;
	uint64_t seed;
	int32_t err;
	uint32_t place;
	uint32_t wrong;                // what differed from the model
	uint32_t failed;               // requests
	uint64_t durable[DISK_PLACES]; // JOURNAL: version that a FLUSH has covered, 0: none
	uint64_t begun[DISK_PLACES];   // the last that was submitted
	uint64_t ended[DISK_PLACES];   // and the last that was done
	uint8_t bytes[DISK_BLOCK];
};

// What a version of a block looks like.
static inline uint64_t disk_word(uint32_t place, uint64_t version, uint32_t i)
{
	uint64_t x = (uint64_t)place << 48 ^ version << 16 ^ i;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	return x ^ (x >> 31);
}

// Runs within the instance; arg is struct disk_job.
int64_t tb_disk_job(void *arg);

#endif
