// SPDX-License-Identifier: MIT
//
// Integer arithmetic that the language lacks. Everything inline, pure, any context.
#ifndef KERN_MATH_H
#define KERN_MATH_H

#include "kern/assert.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

// Position of the lowest or highest set bit; x must not be 0.
static inline uint32_t bit_lowest_u32(uint32_t x)
{
	ASSERT3(x, !=, 0);
	return (uint32_t)__builtin_ctz(x);
}

static inline uint32_t bit_highest_u32(uint32_t x)
{
	ASSERT3(x, !=, 0);
	return 31u - (uint32_t)__builtin_clz(x);
}

static inline uint32_t bit_lowest_u64(uint64_t x)
{
	ASSERT3(x, !=, 0);
	return (uint32_t)__builtin_ctzll(x);
}

static inline uint32_t bit_highest_u64(uint64_t x)
{
	ASSERT3(x, !=, 0);
	return 63u - (uint32_t)__builtin_clzll(x);
}

// Set bits. Without the compiler's builtin, which calls a helper where the machine has no such instruction (Warren,
// Hacker's Delight, 5-1).
static inline uint32_t bit_count_u32(uint32_t x)
{
	x -= (x >> 1) & 0x55555555u;
	x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
	return (((x + (x >> 4)) & 0x0f0f0f0fu) * 0x01010101u) >> 24;
}

// log2 rounded down or up; x must not be 0.
static inline uint32_t log2_floor(uint64_t x)
{
	return bit_highest_u64(x);
}

static inline uint32_t log2_ceil(uint64_t x)
{
	return x <= 1 ? 0 : bit_highest_u64(x - 1) + 1;
}

// The next power of two at or above x, at most 2^63; 1 for 0.
static inline uint64_t power_of_2_ceil(uint64_t x)
{
	ASSERT3(x, <=, 1ull << 63);
	return 1ull << log2_ceil(x);
}

static inline uint64_t power_of_2_floor(uint64_t x)
{
	return 1ull << log2_floor(x);
}

// True when the result does not fit; *result is then wrapped.
#define add_overflows(a, b, result) __builtin_add_overflow(a, b, result)
#define sub_overflows(a, b, result) __builtin_sub_overflow(a, b, result)
#define mul_overflows(a, b, result) __builtin_mul_overflow(a, b, result)

// a + b, stopping at the end of the range instead of wrapping: deadlines.
static inline uint64_t add_saturated_u64(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

// x * numerator / denominator rounded down without overflow in between, as long as the result fits and numerator and
// denominator are below 2^32.
static inline uint64_t mul_div_u64(uint64_t x, uint32_t numerator, uint32_t denominator)
{
	uint64_t whole = x / denominator;
	uint64_t rest = x % denominator;
	return whole * numerator + rest * numerator / denominator;
}

#endif
