// SPDX-License-Identifier: MIT
//
// The map of physical memory while booting: sorted ranges that do not overlap, each usable or reserved, in storage of fixed
// size. Reserved wins over usable whatever the order of the calls; of two usable claims the first one keeps its node. When
// storage runs out usable memory is given up, the smallest first, never a reservation; `dropped_bytes` tells. Pure: any context.
#ifndef BARE_MEMMAP_H
#define BARE_MEMMAP_H

#include "tbos/types.h"

#define MEMMAP_ENTRIES_MAX 256u
#define MEMMAP_SLACK 2u // more that an operation may need for a moment
#define MEMMAP_NODE_ANY UINT32_MAX
// Ranges are cut here: the last 4 KiB of 2^64 are nobody's RAM, and so every end fits.
#define MEMMAP_END_MAX 0xfffffffffffff000ull

enum memmap_kind {
	MEMMAP_USABLE,
	MEMMAP_RESERVED
};

struct memmap_entry {
	uint64_t start;
	uint64_t end;  // exclusive, > start
	uint32_t node; // usable only
	uint32_t kind; // enum memmap_kind
};

struct memmap {
	uint32_t count;
	uint32_t truncated;     // how often storage ran out or a range was cut at MEMMAP_END_MAX
	uint64_t dropped_bytes; // usable bytes given up for want of storage; saturates
	struct memmap_entry entries[MEMMAP_ENTRIES_MAX + MEMMAP_SLACK];
};

struct memmap_run {
	uint64_t start;
	uint64_t size_bytes;
	uint32_t node;
	uint32_t reserved;
};

void memmap_init(struct memmap *map);
// A range may be empty (nothing happens) or wrap past 2^64 (it is cut there, and counted).
void memmap_add(struct memmap *map, uint64_t start, uint64_t size_bytes, uint32_t node);
void memmap_reserve(struct memmap *map, uint64_t start, uint64_t size_bytes);
// Gives what is usable in the range another node: maps and affinity come from different tables.
void memmap_set_node(struct memmap *map, uint64_t start, uint64_t size_bytes, uint32_t node);

uint64_t memmap_usable_bytes(const struct memmap *map);
// Whether all of the range is usable.
bool memmap_is_usable(const struct memmap *map, uint64_t start, uint64_t size_bytes);

// Up to max_runs of the largest usable runs, cut inward to multiples of `align` (a power of two) and to [min, max), ascending.
// *left_out_bytes: usable bytes inside [min, max) that the choice does not hold. Nothing is reserved. Returns the count.
uint32_t memmap_runs(const struct memmap *map, uint64_t min, uint64_t max, uint64_t align, struct memmap_run *runs,
		     uint32_t max_runs, uint64_t *left_out_bytes);

// Takes size_bytes (> 0) at a multiple of `align` (a power of two) inside [min, max) of one node, or of any, and reserves them,
// from below or from above. Errors: -PURE_ENOMEM (no such piece), -PURE_EINVAL.
enum memmap_from {
	MEMMAP_LOWEST,
	MEMMAP_HIGHEST
};
struct memmap_request {
	uint64_t size_bytes;
	uint64_t align;
	uint64_t min;
	uint64_t max;  // exclusive; 0: no limit
	uint32_t node; // MEMMAP_NODE_ANY
	uint32_t from; // enum memmap_from
};
tb_err memmap_take(struct memmap *map, const struct memmap_request *request, uint64_t *start) TB_MUST_USE;

// Sorted, disjoint, merged, not empty. Tests and debug builds.
bool memmap_check(const struct memmap *map);

#endif
