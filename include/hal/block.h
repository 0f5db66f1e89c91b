// SPDX-License-Identifier: MIT
//
// Block door: the disks that the machine was given. Hosted, files and block devices of the host (threads) or simulated ones (sim);
// machines of their own have none here, they have drivers.
//
// A disk numbers its slots; the kernel has at most one request under way in each. What FLUSH and FUA promise is kern/block.h's.
#ifndef HAL_BLOCK_H
#define HAL_BLOCK_H

#include "hal/inline.h"

#define HAL_BLOCK_MAX 16u
#define HAL_BLOCK_DEPTH 64u
#define HAL_BLOCK_SEGMENTS 256u
#define HAL_BLOCK_TRANSFER_BYTES (4u << 20)

enum hal_block_op {
	HAL_BLOCK_READ,
	HAL_BLOCK_WRITE,
	HAL_BLOCK_FLUSH,
	HAL_BLOCK_DISCARD,
	HAL_BLOCK_ZERO
};

enum hal_block_flags {
	HAL_BLOCK_READ_ONLY = 1u << 0, // of a disk
	HAL_BLOCK_VOLATILE = 1u << 1,  // writes want a FLUSH
	HAL_BLOCK_HAS_DISCARD = 1u << 2,
	HAL_BLOCK_HAS_ZERO = 1u << 3,
	HAL_BLOCK_FUA = 1u << 8 // of a request: a write that is durable when done
};

struct hal_block_info {
	uint64_t size_bytes;    // a multiple of logical_bytes
	uint32_t logical_bytes; // of requests: 512 or 4096
	uint32_t physical_bytes;
	uint32_t flags; // enum hal_block_flags
	uint32_t reserved;
	char model[32];
};

struct hal_block_segment {
	void *at; // in RAM
	uint32_t size_bytes;
	uint32_t reserved;
};

struct hal_block_request {
	uint32_t disk;
	uint32_t slot;  // < HAL_BLOCK_DEPTH, not under way
	uint32_t op;    // enum hal_block_op
	uint32_t flags; // HAL_BLOCK_FUA
	uint64_t offset_bytes, size_bytes;
	const struct hal_block_segment *segments; // READ, WRITE; valid until it is done, as is their memory
	uint32_t segment_count;
	uint32_t reserved;
};

// Disk `disk`, 0 …; false past the last. Any thread context.
bool hal_block_info(uint32_t disk, struct hal_block_info *info);

// Begins a request. *done: it is done already, with what is returned; else its end comes by HAL_IRQ_BLOCK on some CPU, unless an error is
// returned. Masked or not; irq-safe. Errors: -EINVAL (no such disk, range, slot), -EIO, -EROFS, -ENOSPC (the host's filesystem is full), -EOPNOTSUPP.
tb_err hal_block_submit(const struct hal_block_request *request, bool *done) TB_MUST_USE;

// Takes the next end of a request; false when there is none. When more wait, they are found by calling again. irq-safe.
bool hal_block_take(uint32_t *disk, uint32_t *slot, tb_err *err);

#endif
