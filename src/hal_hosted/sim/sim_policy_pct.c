// SPDX-License-Identifier: MIT
//
// Probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010, section 2). Priorities start at D and above, in
// random order; change point i gives the running CPU the priority D-i, below all that started. What the paper leaves to
// the runtime: a poller is put below everything, in turn, and gets its priority back with its next point that is no
// polling; a CPU that has been running alone for long is put below likewise, because the paper's programs end and a kernel's
// loops need not. Nobody starves: whoever has not polled stands above all who have.
#include "sim_policy.h"

#define LENGTH_SHIFT_MIN 5u
#define LENGTH_SHIFT_MAX 16u
#define PCT_STREAK 16384u

// Descending; the numbers are few.
static void change_insert(uint32_t *sorted, uint32_t count, uint32_t value)
{
	uint32_t i = count;
	for (; i > 0 && sorted[i - 1] < value; --i)
		sorted[i] = sorted[i - 1];
	sorted[i] = value;
}

static uint32_t draw_length(struct sim_policy *policy)
{
	uint32_t shift = LENGTH_SHIFT_MIN + sim_draw_below(&policy->stream, LENGTH_SHIFT_MAX - LENGTH_SHIFT_MIN + 1);
	return 1u << shift;
}

// Draws from the episode's salt, not from the stream, so that nothing depends on when a CPU is started.
static int64_t first_priority(const struct sim_policy *policy, uint32_t cpu)
{
	return policy->depth + (int64_t)(sim_mix64(policy->salt + cpu * SIM_STREAM_GAMMA) >> 2);
}

void sim_pct_grow(struct sim_policy *policy, uint32_t cpus)
{
	for (; policy->cpus < cpus; ++policy->cpus)
		policy->priority[policy->cpus] = policy->base[policy->cpus] = first_priority(policy, policy->cpus);
}

void sim_pct_episode(struct sim_policy *policy)
{
	uint32_t cpus = policy->cpus;
	policy->step = 0;
	policy->streak = 0;
	policy->lowest = 0;
	policy->best = SIM_CPU_NONE;
	policy->salt = sim_draw(&policy->stream);
	policy->episode_steps = policy->length != 0 ? policy->length : draw_length(policy);
	policy->cpus = 0;
	sim_pct_grow(policy, cpus);
	policy->changes = policy->depth - 1;
	for (uint32_t i = 0; i < policy->changes; ++i)
		change_insert(policy->change_at, i, 1 + sim_draw_below(&policy->stream, policy->episode_steps));
}

static uint32_t highest(const struct sim_policy *policy, const struct sim_set *ready)
{
	uint32_t best = sim_set_from(ready, 0);
	for (uint32_t cpu = best; cpu != SIM_CPU_NONE; cpu = sim_set_from(ready, cpu + 1)) {
		if (policy->priority[cpu] > policy->priority[best])
			best = cpu;
	}
	return best;
}

static void put_last(struct sim_policy *policy, uint32_t cpu)
{
	policy->priority[cpu] = --policy->lowest;
	policy->streak = 0;
	policy->best = SIM_CPU_NONE;
}

// Change points that lie at this step lower whoever would run, for the rest of the episode.
static uint32_t change(struct sim_policy *policy, const struct sim_set *ready, uint32_t best)
{
	while (policy->changes > 0 && policy->change_at[policy->changes - 1] <= policy->step) {
		policy->base[best] = policy->priority[best] = policy->changes;
		--policy->changes;
		best = highest(policy, ready);
	}
	return best;
}

// The one that was best stays so while nobody joins and its own priority stands.
static uint32_t best_of(const struct sim_policy *policy, const struct sim_set *ready, uint32_t current)
{
	bool same = current == policy->best && ready->version == policy->version && sim_set_has(ready, current);
	return same ? current : highest(policy, ready);
}

uint32_t sim_pct_pick(struct sim_policy *policy, const struct sim_set *ready, uint32_t current, bool yields)
{
	if (++policy->step > policy->episode_steps)
		sim_pct_episode(policy);
	bool stays = sim_set_has(ready, current);
	if (stays && (yields || policy->streak >= PCT_STREAK))
		put_last(policy, current);
	else if (stays && policy->priority[current] < 0)
		policy->priority[current] = policy->base[current];
	uint32_t best = change(policy, ready, best_of(policy, ready, current));
	policy->streak = best == current ? policy->streak + 1 : 0;
	policy->best = best;
	policy->version = ready->version;
	return best;
}
