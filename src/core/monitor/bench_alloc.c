// SPDX-License-Identifier: MIT
//
// Benchmarks of the slab on one CPU. One iteration is one allocation and one free.
#include "bench.h"

#include "kern/blockpattern.h"
#include "kern/mem.h"

struct alloc_state {
	struct bench_choice choices[BENCH_TABLE_SIZE];
	void *slots[BENCH_SLOTS];
	struct slab_cache *cache;
};

void bench_choices_draw(struct bench_choice *choices)
{
	for (uint32_t i = 0; i < BENCH_TABLE_SIZE; i++) {
		uint64_t random = pattern_mix(i + 1);

		choices[i].slot = (uint16_t)((random >> 8) % BENCH_SLOTS);
		choices[i].size_bytes = (uint16_t)pattern_size_draw(random);
	}
}

static err_t alloc_setup(void **out)
{
	struct slab_params params = {.name = "bench-64", .size_bytes = BENCH_PAIR_SIZE};
	struct alloc_state *state = range_alloc(sizeof *state, MEM_ZERO, NULL);
	err_t err;

	if (state == NULL)
		return ERR(ENOMEM);
	bench_choices_draw(state->choices);
	err = slab_cache_create(&params, &state->cache);
	if (err != 0)
		range_free(state);
	else
		*out = state;
	return err;
}

static void alloc_teardown(void *arg)
{
	struct alloc_state *state = arg;
	err_t err = slab_cache_destroy(state->cache);

	VERIFY3(err, ==, 0);
	range_free(state);
}

// The owner writes to it, as owners do.
static inline bool block_touch(void *block)
{
	if (unlikely(block == NULL))
		return false;
	*(volatile char *)block = 1;
	return true;
}

uint64_t bench_pair_loop(uint64_t iterations)
{
	uint64_t start_ns = clock_now_ns();

	for (uint64_t i = 0; i < iterations; i++) {
		void *block = kmalloc(BENCH_PAIR_SIZE, 0);
		if (!block_touch(block))
			return UINT64_MAX;
		kfree(block);
	}
	return clock_now_ns() - start_ns;
}

static uint64_t cache_loop(struct slab_cache *cache, uint64_t iterations)
{
	uint64_t start_ns = clock_now_ns();

	for (uint64_t i = 0; i < iterations; i++) {
		void *object = slab_alloc(cache, 0);
		if (!block_touch(object))
			return UINT64_MAX;
		slab_free(cache, object);
	}
	return clock_now_ns() - start_ns;
}

static uint64_t mixed_loop(const struct bench_choice *choices, uint64_t iterations)
{
	uint64_t start_ns = clock_now_ns();

	for (uint64_t i = 0; i < iterations; i++) {
		void *block = kmalloc(choices[i % BENCH_TABLE_SIZE].size_bytes, 0);
		if (!block_touch(block))
			return UINT64_MAX;
		kfree(block);
	}
	return clock_now_ns() - start_ns;
}

uint64_t bench_churn_loop(const struct bench_choice *choices, void **slots, uint64_t iterations)
{
	uint64_t elapsed_ns = 0;
	bool good = true;

	for (uint32_t i = 0; i < BENCH_SLOTS && good; i++) {
		slots[i] = kmalloc(choices[i].size_bytes, 0);
		good = block_touch(slots[i]);
	}
	uint64_t start_ns = clock_now_ns();
	for (uint64_t i = 0; i < iterations && good; i++) {
		const struct bench_choice *choice = &choices[i % BENCH_TABLE_SIZE];

		kfree(slots[choice->slot]);
		slots[choice->slot] = kmalloc(choice->size_bytes, 0);
		good = block_touch(slots[choice->slot]);
	}
	elapsed_ns = clock_now_ns() - start_ns;
	for (uint32_t i = 0; i < BENCH_SLOTS; i++) {
		kfree(slots[i]);
		slots[i] = NULL;
	}
	return good ? elapsed_ns : UINT64_MAX;
}

static void run_finish(struct bench_run *run, uint64_t elapsed_ns)
{
	run->elapsed_ns = elapsed_ns;
	run->err = elapsed_ns == UINT64_MAX ? ERR(ENOMEM) : 0;
}

static void run_pair(struct bench_run *run)
{
	run_finish(run, bench_pair_loop(run->iterations));
}

static void run_cache(struct bench_run *run)
{
	const struct alloc_state *state = run->state;

	run_finish(run, cache_loop(state->cache, run->iterations));
}

static void run_mixed(struct bench_run *run)
{
	const struct alloc_state *state = run->state;

	run_finish(run, mixed_loop(state->choices, run->iterations));
}

static void run_churn(struct bench_run *run)
{
	struct alloc_state *state = run->state;

	run_finish(run, bench_churn_loop(state->choices, state->slots, run->iterations));
}

const struct bench_case bench_alloc_cases[] = {
	{"pair", "kmalloc and kfree of 64 bytes", 1, CLASS_FAIR, NULL, run_pair, NULL},
	{"cache", "slab_alloc and slab_free of 64 bytes", 1, CLASS_FAIR, alloc_setup, run_cache, alloc_teardown},
	{"mixed", "kmalloc and kfree of 16 to 1,023 bytes", 1, CLASS_FAIR, alloc_setup, run_mixed, alloc_teardown},
	{"churn", "the same, 1,024 blocks live", 1, CLASS_FAIR, alloc_setup, run_churn, alloc_teardown},
	{NULL, NULL, 0, CLASS_FAIR, NULL, NULL, NULL},
};
