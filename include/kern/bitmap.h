// SPDX-License-Identifier: MIT
//
// Bitmaps over 32-bit words (the tiny personas' word), in the owner's memory and under the owner's lock. Bit n lives in
// word n/32. Sizes and positions are in bits; positions must be below the size (ASSERT). Any context.
#ifndef KERN_BITMAP_H
#define KERN_BITMAP_H

#include "kern/assert.h"

#define BITMAP_WORD_BITS 32u
#define BITMAP_WORDS(size_bits) (((size_bits) + BITMAP_WORD_BITS - 1) / BITMAP_WORD_BITS)

static inline bool bitmap_test(const uint32_t *map, uint32_t bit)
{
	return (map[bit / BITMAP_WORD_BITS] >> (bit % BITMAP_WORD_BITS) & 1u) != 0;
}

static inline void bitmap_set(uint32_t *map, uint32_t bit)
{
	map[bit / BITMAP_WORD_BITS] |= 1u << (bit % BITMAP_WORD_BITS);
}

static inline void bitmap_clear(uint32_t *map, uint32_t bit)
{
	map[bit / BITMAP_WORD_BITS] &= ~(1u << (bit % BITMAP_WORD_BITS));
}

// [first, first + count_bits); count_bits may be 0.
void bitmap_set_range(uint32_t *map, uint32_t first, uint32_t count_bits);
void bitmap_clear_range(uint32_t *map, uint32_t first, uint32_t count_bits);
bool bitmap_range_is_set(const uint32_t *map, uint32_t first, uint32_t count_bits);
bool bitmap_range_is_clear(const uint32_t *map, uint32_t first, uint32_t count_bits);

// First bit at or after `from` that is set, or clear; size_bits when there is none (also when from ≥ size_bits).
uint32_t bitmap_find_set(const uint32_t *map, uint32_t size_bits, uint32_t from);
uint32_t bitmap_find_clear(const uint32_t *map, uint32_t size_bits, uint32_t from);

// First run of count_bits ≥ 1 clear bits at or after `from` whose start is a multiple of `align`, a power of two; size_bits
// when there is none.
uint32_t bitmap_find_clear_range(const uint32_t *map, uint32_t size_bits, uint32_t from, uint32_t count_bits,
				 uint32_t align);

// Set bits in [0, size_bits).
uint32_t bitmap_count(const uint32_t *map, uint32_t size_bits);

// Visits each set bit in ascending order; the body may clear bits.
#define bitmap_for_each(bit, map, size_bits)                                                                           \
	for ((bit) = bitmap_find_set((map), (size_bits), 0); (bit) < (size_bits);                                      \
	     (bit) = bitmap_find_set((map), (size_bits), (bit) + 1))

#endif
