// SPDX-License-Identifier: MIT
//
// xoshiro256** and what is drawn from it.
#include "kern/rand.h"

#include "kern/assert.h"
#include "kern/hash.h"
#include "kern/kernel.h"
#include "kern/string.h"

#define GOLDEN_GAMMA 0x9e3779b97f4a7c15ull

static inline uint64_t rotate_left(uint64_t x, uint32_t bits)
{
	return x << bits | x >> (64 - bits);
}

// Four SplitMix64 outputs in a row are never all zero, which the generator could not leave.
void rand_init(struct rand_stream *stream, uint64_t seed)
{
	for (uint32_t i = 0; i < array_count(stream->state); i++) {
		seed += GOLDEN_GAMMA;
		stream->state[i] = hash_u64(seed);
	}
}

void rand_open(struct rand_stream *stream, const char *name, uint32_t index)
{
	uint64_t root = hash_u64(hal_kernel()->seed + GOLDEN_GAMMA);
	rand_init(stream, hash_u64(root ^ hash_str_u64(name)) + index);
}

uint64_t rand_u64(struct rand_stream *stream)
{
	uint64_t *s = stream->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

// The high half of a product; the rare low halves below 2^32 mod bound would make some results likelier.
uint32_t rand_below(struct rand_stream *stream, uint32_t bound)
{
	ASSERT3(bound, >=, 1);
	uint64_t product = (uint64_t)rand_u32(stream) * bound;
	if ((uint32_t)product < bound) {
		uint32_t unfair = (0u - bound) % bound;
		while ((uint32_t)product < unfair)
			product = (uint64_t)rand_u32(stream) * bound;
	}
	return (uint32_t)(product >> 32);
}

// Masks to the next power of two and rejects: at most one draw in two is thrown away.
uint64_t rand_between(struct rand_stream *stream, uint64_t low, uint64_t high)
{
	ASSERT3(low, <=, high);
	uint64_t span = high - low;
	uint64_t mask = span == 0 ? 0 : UINT64_MAX >> __builtin_clzll(span);
	uint64_t drawn;
	do {
		drawn = rand_u64(stream) & mask;
	} while (drawn > span);
	return low + drawn;
}

bool rand_chance(struct rand_stream *stream, uint32_t numerator, uint32_t denominator)
{
	return rand_below(stream, denominator) < numerator;
}

// Byte by byte from the low end, so that the bytes do not depend on the machine's order.
void rand_fill(struct rand_stream *stream, void *bytes, size_t size_bytes)
{
	uint8_t *out = bytes;
	uint64_t drawn = 0;
	for (size_t i = 0; i < size_bytes; i++) {
		drawn = i % 8 == 0 ? rand_u64(stream) : drawn >> 8;
		out[i] = (uint8_t)drawn;
	}
}
