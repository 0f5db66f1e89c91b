// SPDX-License-Identifier: MIT
//
// Named streams of repeatable chance: everything random inside the kernel draws from a stream whose seed follows from the
// instance's seed and the stream's name, so that one more draw here does not shift the draws there. Generator:
// xoshiro256** (Blackman and Vigna 2018), seeded through SplitMix64. Not for secrets: those come from hal_entropy().
// A stream belongs to its owner, who serialises its use; any context.
#ifndef KERN_RAND_H
#define KERN_RAND_H

#include "kern/compiler.h"

struct rand_stream {
	uint64_t state[4];
};

// The stream of a seed alone; tests and fuzzers.
void rand_init(struct rand_stream *stream, uint64_t seed);

// The stream `name`, number `index`, of the running instance.
void rand_open(struct rand_stream *stream, const char *name, uint32_t index);

uint64_t rand_u64(struct rand_stream *stream);

static inline uint32_t rand_u32(struct rand_stream *stream)
{
	return (uint32_t)(rand_u64(stream) >> 32);
}

// Uniform in [0, bound), bound ≥ 1 (Lemire 2019, without bias).
uint32_t rand_below(struct rand_stream *stream, uint32_t bound);

// Uniform in [low, high], low ≤ high.
uint64_t rand_between(struct rand_stream *stream, uint64_t low, uint64_t high);

// True `numerator` times in `denominator` ≥ 1 on average.
bool rand_chance(struct rand_stream *stream, uint32_t numerator, uint32_t denominator);

void rand_fill(struct rand_stream *stream, void *bytes, size_t size_bytes);

// Bytes for secrets, from the HAL (simulated: from the seed). Any context.
void rand_entropy(void *bytes, size_t size_bytes);

#endif
