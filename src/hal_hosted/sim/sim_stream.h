// SPDX-License-Identifier: MIT
//
// Named random streams. All chance in a simulated world comes from one seed, split by name: what one consumer draws never
// shifts what another sees, so adding a draw to the cost model leaves the policy's choices alone. The generator is
// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): one word of state, no tables,
// about a nanosecond a draw.
#ifndef SIM_STREAM_H
#define SIM_STREAM_H

#include <stdint.h>

struct sim_stream {
	uint64_t state;
};

#define SIM_STREAM_GAMMA 0x9e3779b97f4a7c15ull

static inline uint64_t sim_mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

// The stream `name` number `index` of `seed`.
static inline void sim_stream_init(struct sim_stream *stream, uint64_t seed, const char *name, uint64_t index)
{
	uint64_t hash = 0xcbf29ce484222325ull; // FNV-1a
	for (; *name != '\0'; ++name)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3ull;
	stream->state = sim_mix64(sim_mix64(seed + SIM_STREAM_GAMMA) ^ hash) + sim_mix64(index + 1);
}

static inline uint64_t sim_draw(struct sim_stream *stream)
{
	return sim_mix64(stream->state += SIM_STREAM_GAMMA);
}

// 0 … bound-1; bound 1 … 2^32-1. The bias of the multiplication is below 2^-32 per value.
static inline uint32_t sim_draw_below(struct sim_stream *stream, uint32_t bound)
{
	return (uint32_t)(((sim_draw(stream) >> 32) * bound) >> 32);
}

#endif
