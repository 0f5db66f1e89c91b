// SPDX-License-Identifier: MIT
//
// Loop devices: a block device whose blocks lie in a file of any mounted filesystem.
#ifndef KERN_LOOP_H
#define KERN_LOOP_H

#include "kern/block.h"

#define LOOP_PATH_SIZE 256u

struct loop_params {
	const char *path;
	uint64_t offset_bytes;   // into the file, a multiple of the block
	uint64_t size_bytes;     // 0: to the file's end; else a multiple of the block
	uint32_t logical_bytes;  // 0: 512
	uint32_t physical_bytes; // 0: a frame, or the logical block if that is larger
	bool read_only;
};

struct loop_info {
	char name[BLOCK_NAME_SIZE];
	char path[LOOP_PATH_SIZE]; // as it was when the device was made; the beginning of it, if it is longer
	uint64_t offset_bytes, size_bytes;
	uint32_t logical_bytes;
	bool read_only;
};

struct process;

// A device over a regular file, which the process may open; the file and its mount stay while the device is there. What does not fill a block at the
// end is left out. name: receives the device's. Thread context, sleeps. Errors: those of open, -EINVAL (no regular file, a block size that cannot be, misaligned, nothing
// left), -EOVERFLOW (offset and size reach beyond the end), -ENOMEM, -EAGAIN.
err_t loop_create(struct process *process, const struct loop_params *params, char name[BLOCK_NAME_SIZE]) must_check;

// Takes one away; what was written and not flushed is left to the file's filesystem. Errors: -ENODEV (no such loop device), -EBUSY.
err_t loop_remove(const char *name) must_check;

// The n-th, in order of making; false past the last. Thread context.
bool loop_info_at(uint32_t n, struct loop_info *info) must_check;

#endif
