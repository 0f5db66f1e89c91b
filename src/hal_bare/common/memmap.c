// SPDX-License-Identifier: MIT
//
// The map of physical memory while booting. Every operation replaces a stretch of entries by at most two more than it had,
// then joins equal neighbours, then gives up as much as it takes to fit. What is given up is usable memory; when there is none
// left, the two reservations that are nearest to each other become one: too much is kept away from use then, never too little.
#include "memmap.h"

#include "pure.h"

#include <string.h>

void memmap_init(struct memmap *map)
{
	memset(map, 0, sizeof *map);
}

// ---- entries --------------------------------------------------------------------------------------------------------

// Cuts a range to what the map can hold; false when nothing is left.
static bool range_cut(struct memmap *map, uint64_t start, uint64_t size_bytes, uint64_t *end)
{
	if (__builtin_add_overflow(start, size_bytes, end) || *end > MEMMAP_END_MAX) {
		map->truncated++;
		*end = MEMMAP_END_MAX;
	}
	return size_bytes > 0 && start < *end;
}

// First entry that ends behind `address`.
static uint32_t entry_behind(const struct memmap *map, uint64_t address)
{
	uint32_t low = 0, high = map->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (map->entries[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void entry_remove(struct memmap *map, uint32_t index)
{
	map->count--;
	memmove(&map->entries[index], &map->entries[index + 1], (map->count - index) * sizeof map->entries[0]);
}

static void entry_insert(struct memmap *map, uint32_t index, const struct memmap_entry *entry)
{
	memmove(&map->entries[index + 1], &map->entries[index], (map->count - index) * sizeof map->entries[0]);
	map->entries[index] = *entry;
	map->count++;
}

static bool entries_join(const struct memmap_entry *low, const struct memmap_entry *high)
{
	return low->end == high->start && low->kind == high->kind &&
	       (low->kind == MEMMAP_RESERVED || low->node == high->node);
}

static void neighbours_join(struct memmap *map)
{
	uint32_t kept = 0;
	for (uint32_t i = 1; i < map->count; i++) {
		if (entries_join(&map->entries[kept], &map->entries[i]))
			map->entries[kept].end = map->entries[i].end;
		else
			map->entries[++kept] = map->entries[i];
	}
	if (map->count > 0)
		map->count = kept + 1;
}

static uint64_t entry_size(const struct memmap_entry *entry)
{
	return entry->end - entry->start;
}

static void usable_drop(struct memmap *map, uint32_t index)
{
	uint64_t size = entry_size(&map->entries[index]);
	if (__builtin_add_overflow(map->dropped_bytes, size, &map->dropped_bytes))
		map->dropped_bytes = UINT64_MAX;
	entry_remove(map, index);
}

static void reserved_join(struct memmap *map)
{
	uint32_t nearest = 0;
	uint64_t gap = UINT64_MAX;

	for (uint32_t i = 0; i + 1 < map->count; i++) {
		if (map->entries[i + 1].start - map->entries[i].end < gap) {
			gap = map->entries[i + 1].start - map->entries[i].end;
			nearest = i;
		}
	}
	map->entries[nearest].end = map->entries[nearest + 1].end;
	entry_remove(map, nearest + 1);
}

static void map_fit(struct memmap *map)
{
	neighbours_join(map);
	while (map->count > MEMMAP_ENTRIES_MAX) {
		uint32_t smallest = map->count;
		map->truncated++;
		for (uint32_t i = 0; i < map->count; i++) {
			const struct memmap_entry *entry = &map->entries[i];
			if (entry->kind != MEMMAP_USABLE)
				continue;
			if (smallest == map->count || entry_size(entry) < entry_size(&map->entries[smallest]))
				smallest = i;
		}
		if (smallest < map->count)
			usable_drop(map, smallest);
		else
			reserved_join(map);
	}
}

// Splits the entry that holds `at` in its inside, so that one begins there.
static void entry_split(struct memmap *map, uint64_t at)
{
	uint32_t index = entry_behind(map, at);
	if (index == map->count || map->entries[index].start >= at)
		return;
	struct memmap_entry upper = map->entries[index];
	upper.start = at;
	map->entries[index].end = at;
	entry_insert(map, index + 1, &upper);
}

// ---- claims ---------------------------------------------------------------------------------------------------------

void memmap_add(struct memmap *map, uint64_t start, uint64_t size_bytes, uint32_t node)
{
	uint64_t end;
	if (!range_cut(map, start, size_bytes, &end))
		return;
	// Each gap between entries in turn. Fitting may remove entries, never one that keeps `start` from moving on.
	while (start < end) {
		uint32_t index = entry_behind(map, start);
		uint64_t stop = index < map->count && map->entries[index].start < end ? map->entries[index].start : end;
		uint64_t next = index < map->count && stop < end ? map->entries[index].end : end;
		if (start < stop) {
			struct memmap_entry entry = {start, stop, node, MEMMAP_USABLE};
			entry_insert(map, index, &entry);
			map_fit(map);
		}
		start = next;
	}
}

void memmap_reserve(struct memmap *map, uint64_t start, uint64_t size_bytes)
{
	struct memmap_entry entry = {.start = start, .kind = MEMMAP_RESERVED};
	if (!range_cut(map, start, size_bytes, &entry.end))
		return;
	entry_split(map, entry.start);
	entry_split(map, entry.end);
	uint32_t index = entry_behind(map, entry.start);
	uint32_t last = index;
	while (last < map->count && map->entries[last].start < entry.end)
		last++;
	if (last > index) {
		map->count -= last - index;
		memmove(&map->entries[index], &map->entries[last], (map->count - index) * sizeof map->entries[0]);
	}
	entry_insert(map, index, &entry);
	map_fit(map);
}

void memmap_set_node(struct memmap *map, uint64_t start, uint64_t size_bytes, uint32_t node)
{
	uint64_t end;
	if (!range_cut(map, start, size_bytes, &end))
		return;
	entry_split(map, start);
	entry_split(map, end);
	for (uint32_t i = entry_behind(map, start); i < map->count && map->entries[i].start < end; i++)
		if (map->entries[i].kind == MEMMAP_USABLE)
			map->entries[i].node = node;
	map_fit(map);
}

// ---- questions ------------------------------------------------------------------------------------------------------

uint64_t memmap_usable_bytes(const struct memmap *map)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < map->count; i++)
		if (map->entries[i].kind == MEMMAP_USABLE)
			sum += entry_size(&map->entries[i]);
	return sum;
}

bool memmap_is_usable(const struct memmap *map, uint64_t start, uint64_t size_bytes)
{
	uint64_t end;
	if (__builtin_add_overflow(start, size_bytes, &end))
		return false;
	for (uint32_t i = entry_behind(map, start); start < end; i++) {
		if (i == map->count || map->entries[i].kind != MEMMAP_USABLE || map->entries[i].start > start)
			return false;
		start = map->entries[i].end;
	}
	return true;
}

bool memmap_check(const struct memmap *map)
{
	if (map->count > MEMMAP_ENTRIES_MAX)
		return false;
	for (uint32_t i = 0; i < map->count; i++) {
		const struct memmap_entry *entry = &map->entries[i];
		if (entry->start >= entry->end || entry->end > MEMMAP_END_MAX || entry->kind > MEMMAP_RESERVED)
			return false;
		if (i + 1 < map->count && (entry->end > entry[1].start || entries_join(entry, &entry[1])))
			return false;
	}
	return true;
}

// ---- runs and pieces ------------------------------------------------------------------------------------------------

struct window {
	uint64_t min;
	uint64_t max; // exclusive
	uint64_t align;
};

// What the entry has inside the window, cut inward to multiples of align; false: nothing.
static bool entry_cut(const struct memmap_entry *entry, const struct window *window, uint64_t *start, uint64_t *end)
{
	*start = entry->start > window->min ? entry->start : window->min;
	*end = entry->end < window->max ? entry->end : window->max;
	if (entry->kind != MEMMAP_USABLE || *start >= *end || *start > UINT64_MAX - (window->align - 1))
		return false;
	*start = (*start + window->align - 1) & ~(window->align - 1);
	*end &= ~(window->align - 1);
	return *start < *end;
}

// Adds behind the others; when there are too many, the smallest goes.
static uint32_t run_add(struct memmap_run *runs, uint32_t count, uint32_t max_runs, const struct memmap_run *run)
{
	if (count < max_runs) {
		runs[count] = *run;
		return count + 1;
	}
	uint32_t smallest = 0;
	for (uint32_t i = 1; i < count; i++)
		if (runs[i].size_bytes < runs[smallest].size_bytes)
			smallest = i;
	if (count == 0 || runs[smallest].size_bytes >= run->size_bytes)
		return count;
	memmove(&runs[smallest], &runs[smallest + 1], (count - smallest - 1) * sizeof runs[0]);
	runs[count - 1] = *run;
	return count;
}

uint32_t memmap_runs(const struct memmap *map, uint64_t min, uint64_t max, uint64_t align, struct memmap_run *runs,
		     uint32_t max_runs, uint64_t *left_out_bytes)
{
	const struct window whole = {min, max, 1}, window = {min, max, align};
	uint64_t inside = 0, start, end;
	uint32_t count = 0;

	for (uint32_t i = 0; i < map->count; i++) {
		const struct memmap_entry *entry = &map->entries[i];
		if (entry_cut(entry, &whole, &start, &end))
			inside += end - start;
		if (entry_cut(entry, &window, &start, &end)) {
			struct memmap_run run = {start, end - start, entry->node, 0};
			count = run_add(runs, count, max_runs, &run);
		}
	}
	for (uint32_t i = 0; i < count; i++)
		inside -= runs[i].size_bytes;
	*left_out_bytes = inside;
	return count;
}

// Where a piece would lie in this entry; false: it does not fit.
static bool piece_place(const struct memmap_entry *entry, const struct memmap_request *request, uint64_t *start)
{
	// Only the start is aligned: the size need be no multiple of align.
	const struct window window = {request->min, request->max != 0 ? request->max : MEMMAP_END_MAX, 1};
	uint64_t low, end, lowest;

	if (request->node != MEMMAP_NODE_ANY && entry->node != request->node)
		return false;
	if (!entry_cut(entry, &window, &low, &end) || end - low < request->size_bytes)
		return false;
	uint64_t highest = (end - request->size_bytes) & ~(request->align - 1);
	if (__builtin_add_overflow(low, request->align - 1, &lowest))
		return false;
	lowest &= ~(request->align - 1);
	*start = request->from == MEMMAP_LOWEST ? lowest : highest;
	return lowest <= highest;
}

tb_err memmap_take(struct memmap *map, const struct memmap_request *request, uint64_t *start)
{
	bool found = false;

	if (request->size_bytes == 0 || request->align == 0 || (request->align & (request->align - 1)) != 0)
		return -PURE_EINVAL;
	for (uint32_t i = 0; i < map->count && !(found && request->from == MEMMAP_LOWEST); i++) {
		uint64_t place;
		if (piece_place(&map->entries[i], request, &place)) {
			*start = place;
			found = true;
		}
	}
	if (!found)
		return -PURE_ENOMEM;
	memmap_reserve(map, *start, request->size_bytes);
	return 0;
}
