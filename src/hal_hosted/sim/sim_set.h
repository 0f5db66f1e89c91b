// SPDX-License-Identifier: MIT
//
// A set of virtual CPU numbers as a bitmap. Order is the number, never insertion or an address, so every walk is
// deterministic. `words` says how much of the bitmap is in use: one word for worlds of up to 64 CPUs.
#ifndef SIM_SET_H
#define SIM_SET_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_CPUS_MAX 1024u
#define SIM_CPU_NONE UINT32_MAX

struct sim_set {
	uint32_t words;
	uint32_t count;
	uint32_t version; // counts additions
	uint64_t bits[SIM_CPUS_MAX / 64];
};

static inline bool sim_set_has(const struct sim_set *set, uint32_t cpu)
{
	return cpu < SIM_CPUS_MAX && (set->bits[cpu / 64] >> (cpu % 64) & 1) != 0;
}

static inline void sim_set_add(struct sim_set *set, uint32_t cpu)
{
	set->count += !sim_set_has(set, cpu);
	set->bits[cpu / 64] |= 1ull << (cpu % 64);
	++set->version;
	if (set->words <= cpu / 64)
		set->words = cpu / 64 + 1;
}

static inline void sim_set_remove(struct sim_set *set, uint32_t cpu)
{
	set->count -= sim_set_has(set, cpu);
	set->bits[cpu / 64] &= ~(1ull << (cpu % 64));
}

// The lowest member ≥ cpu, SIM_CPU_NONE when there is none.
static inline uint32_t sim_set_from(const struct sim_set *set, uint32_t cpu)
{
	for (uint32_t i = cpu / 64; i < set->words; ++i) {
		uint64_t word = set->bits[i];
		if (i == cpu / 64)
			word &= UINT64_MAX << (cpu % 64);
		if (word != 0)
			return i * 64 + (uint32_t)__builtin_ctzll(word);
	}
	return SIM_CPU_NONE;
}

// The member after cpu, going round; SIM_CPU_NONE only for the empty set.
static inline uint32_t sim_set_after(const struct sim_set *set, uint32_t cpu)
{
	uint32_t next = cpu == SIM_CPU_NONE ? SIM_CPU_NONE : sim_set_from(set, cpu + 1);
	return next == SIM_CPU_NONE ? sim_set_from(set, 0) : next;
}

// Member number `rank` in ascending order; rank < set->count.
static inline uint32_t sim_set_at(const struct sim_set *set, uint32_t rank)
{
	if (set->count == set->words * 64)
		return rank;
	uint32_t cpu = sim_set_from(set, 0);
	while (rank-- > 0)
		cpu = sim_set_from(set, cpu + 1);
	return cpu;
}

#endif
