// SPDX-License-Identifier: MIT
//
// The raw file that liballoctrace.so writes, one per process image: a header in the place of the first records,
// then one record per event in the order in which the events happened, up to the first record whose op is RAW_NONE
// or the end of the file. Native byte order: the file is read by tbat.py on the machine that wrote it, at once.
// The portable format that everything else reads is TBAT (docs/ALLOC_TRACE.md).

#ifndef ALLOCTRACE_RAW_H
#define ALLOCTRACE_RAW_H

#include <assert.h>
#include <stdint.h>

#define RAW_MAGIC 0x52414254u // "TBAR" in little-endian order

enum {
	RAW_VERSION = 1,
	RAW_HEADER_RECORDS = 2
};

enum raw_op {
	RAW_NONE = 0,
	RAW_ALLOC = 1,
	RAW_ZALLOC = 2,
	RAW_ALIGNED = 3,
	RAW_REALLOC = 4,
	RAW_FREE = 5
};

struct raw_header {
	uint32_t magic;
	uint32_t version;
	uint32_t pid;
	uint32_t parent_pid;
	uint64_t start_ns; // CLOCK_MONOTONIC at the first event
	char comm[16];     // the kernel's name of the process, NUL-padded
	uint8_t reserved[24];
};

struct raw_record {
	uint8_t op;         // enum raw_op
	uint8_t align_log2; // RAW_ALIGNED only
	uint16_t thread;    // numbered from 0 in order of first event
	uint32_t reserved;
	uint64_t block;     // the block's address; after the move for RAW_REALLOC
	uint64_t old_block; // RAW_REALLOC only: the address before
	uint64_t size;
};

static_assert(sizeof(struct raw_record) == 32, "raw records are 32 bytes");
static_assert(sizeof(struct raw_header) == RAW_HEADER_RECORDS * sizeof(struct raw_record),
	      "the header fills whole records");

#endif
