// SPDX-License-Identifier: MIT
//
// Tables of entries that begin with a number, a uint64_t: sorted by it, and searched for one.
#include "pxfs_impl.h"

#define ENTRY_MAX 64u

static uint64_t number_of(const uint8_t *table, uint64_t index, size_t size_bytes)
{
	uint64_t number = 0;

	memcpy(&number, table + index * size_bytes, sizeof number);
	return number;
}

static void entries_swap(uint8_t *table, uint64_t a, uint64_t b, size_t size_bytes)
{
	uint8_t kept[ENTRY_MAX];

	memcpy(kept, table + a * size_bytes, size_bytes);
	memcpy(table + a * size_bytes, table + b * size_bytes, size_bytes);
	memcpy(table + b * size_bytes, kept, size_bytes);
}

static void sift_down(uint8_t *table, uint64_t from, uint64_t count, size_t size_bytes)
{
	for (uint64_t child = from * 2 + 1; child < count; from = child, child = from * 2 + 1) {
		if (child + 1 < count && number_of(table, child + 1, size_bytes) > number_of(table, child, size_bytes))
			child++;
		if (number_of(table, from, size_bytes) >= number_of(table, child, size_bytes))
			return;
		entries_swap(table, from, child, size_bytes);
	}
}

// Heapsort: in place, and as slow for hostile images as for others.
void numbered_sort(void *table, uint64_t count, size_t size_bytes)
{
	VERIFY3(size_bytes, <=, ENTRY_MAX);
	for (uint64_t i = count / 2; i-- > 0;)
		sift_down(table, i, count, size_bytes);
	for (uint64_t end = count; end-- > 1;) {
		entries_swap(table, 0, end, size_bytes);
		sift_down(table, 0, end, size_bytes);
	}
}

void *numbered_find(void *table, uint64_t count, size_t size_bytes, uint64_t number)
{
	uint64_t low = 0, high = count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (number_of(table, middle, size_bytes) < number)
			low = middle + 1;
		else
			high = middle;
	}
	bool there = low < count && number_of(table, low, size_bytes) == number;
	return there ? (uint8_t *)table + low * size_bytes : NULL;
}
