// SPDX-License-Identifier: MIT
//
// Bitmap searches and ranges, a word at a time.
#include "kern/bitmap.h"

#include "kern/math.h"

// The bits of word `index` that lie in [first, end).
static uint32_t word_mask(uint32_t index, uint32_t first, uint32_t end)
{
	uint32_t base = index * BITMAP_WORD_BITS;
	uint32_t mask = UINT32_MAX;
	if (first > base)
		mask <<= first - base;
	if (end - base < BITMAP_WORD_BITS)
		mask &= (1u << (end - base)) - 1;
	return mask;
}

void bitmap_set_range(uint32_t *map, uint32_t first, uint32_t count_bits)
{
	uint32_t end = first + count_bits;
	for (uint32_t i = first / BITMAP_WORD_BITS; count_bits != 0 && i * BITMAP_WORD_BITS < end; i++)
		map[i] |= word_mask(i, first, end);
}

void bitmap_clear_range(uint32_t *map, uint32_t first, uint32_t count_bits)
{
	uint32_t end = first + count_bits;
	for (uint32_t i = first / BITMAP_WORD_BITS; count_bits != 0 && i * BITMAP_WORD_BITS < end; i++)
		map[i] &= ~word_mask(i, first, end);
}

// First bit in [from, size_bits) of the map, each word of it turned over by `flip`, that is set.
static uint32_t find_flipped(const uint32_t *map, uint32_t size_bits, uint32_t from, uint32_t flip)
{
	for (uint32_t i = from / BITMAP_WORD_BITS; i < BITMAP_WORDS(size_bits); i++) {
		uint32_t hits = (map[i] ^ flip) & word_mask(i, from, size_bits);
		if (hits != 0)
			return i * BITMAP_WORD_BITS + bit_lowest_u32(hits);
	}
	return size_bits;
}

uint32_t bitmap_find_set(const uint32_t *map, uint32_t size_bits, uint32_t from)
{
	return find_flipped(map, size_bits, from, 0);
}

uint32_t bitmap_find_clear(const uint32_t *map, uint32_t size_bits, uint32_t from)
{
	return find_flipped(map, size_bits, from, UINT32_MAX);
}

bool bitmap_range_is_set(const uint32_t *map, uint32_t first, uint32_t count_bits)
{
	return find_flipped(map, first + count_bits, first, UINT32_MAX) == first + count_bits;
}

bool bitmap_range_is_clear(const uint32_t *map, uint32_t first, uint32_t count_bits)
{
	return find_flipped(map, first + count_bits, first, 0) == first + count_bits;
}

uint32_t bitmap_find_clear_range(const uint32_t *map, uint32_t size_bits, uint32_t from, uint32_t count_bits,
				 uint32_t align)
{
	ASSERT3(count_bits, >=, 1);
	ASSERT(IS_POWER_OF_2(align));
	while (from < size_bits) {
		uint32_t clear = bitmap_find_clear(map, size_bits, from);
		uint32_t first = ALIGN_UP(clear, align);
		if (first < clear || first >= size_bits || count_bits > size_bits - first)
			break;
		uint32_t blocker = bitmap_find_set(map, first + count_bits, first);
		if (blocker == first + count_bits)
			return first;
		from = blocker + 1;
	}
	return size_bits;
}

uint32_t bitmap_count(const uint32_t *map, uint32_t size_bits)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < BITMAP_WORDS(size_bits); i++)
		count += bit_count_u32(map[i] & word_mask(i, 0, size_bits));
	return count;
}
