// SPDX-License-Identifier: MIT
//
// What disks in flat memory share, which tests make to watch them or to break them.
#ifndef TESTS_SUPPORT_MEMDISK_H
#define TESTS_SUPPORT_MEMDISK_H

#include "kern/block.h"
#include "kern/string.h"

// A disk with a cache that may lose what no FLUSH or FUA covered, and physical blocks of 4 KiB.
static inline struct block_limits memdisk_limits(uint64_t size_bytes)
{
	return (struct block_limits){.sectors = size_bytes >> SECTOR_SHIFT,
				     .logical_bytes = 512,
				     .physical_bytes = 4096,
				     .flags = BLOCK_VOLATILE | BLOCK_HAS_FUA,
				     .depth = 8,
				     .transfer_sectors = 2048,
				     .segments = 64};
}

// Copies between the command's segments and the disk whose first byte is `disk`: into it for BLOCK_WRITE, out of it otherwise. Returns how many bytes.
static inline uint64_t memdisk_copy(const struct block_command *command, uint8_t *disk)
{
	uint8_t *begin = disk + (command->sector << SECTOR_SHIFT), *at = begin;

	for (uint32_t i = 0; i < command->segment_count; i++) {
		const struct block_segment *segment = &command->segments[i];
		if (command->op == BLOCK_WRITE)
			memcpy(at, segment->at, segment->size_bytes);
		else
			memcpy(segment->at, at, segment->size_bytes);
		at += segment->size_bytes;
	}
	return (uint64_t)(at - begin);
}

#endif
