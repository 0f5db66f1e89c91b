// SPDX-License-Identifier: MIT
//
// Benchmarks of the slab on two CPUs at once: the same loops side by side, and blocks that one CPU takes and the other
// frees, 64 at a time through a ring of 1,024.
#include "bench.h"

#include "hal/cpu.h"
#include "kern/atomic.h"
#include "kern/mem.h"

enum {
	CROSS_RING = 1024,
	CROSS_BATCH = 64,
	SPINS_BEFORE_YIELD = 1024
};

struct side {
	struct pair_state *pair;
	void *slots[BENCH_SLOTS];
	uint64_t elapsed_ns;
};

struct pair_state {
	struct bench_choice choices[BENCH_TABLE_SIZE];
	uint64_t iterations;
	uint64_t (*loop)(struct side *side);
	struct side sides[2];
	uint32_t arrived cache_aligned; // atomic: both sides begin together
	uintptr_t put cache_aligned;    // atomic: blocks handed over so far
	uintptr_t taken cache_aligned;  // atomic: and freed
	void *ring[CROSS_RING] cache_aligned;
};

static err_t pair_setup(void **out)
{
	struct pair_state *state = range_alloc(sizeof *state, MEM_ZERO, NULL);

	if (state == NULL)
		return ERR(ENOMEM);
	bench_choices_draw(state->choices);
	for (uint32_t i = 0; i < array_count(state->sides); i++)
		state->sides[i].pair = state;
	*out = state;
	return 0;
}

static void pair_teardown(void *state)
{
	range_free(state);
}

static uint64_t side_pair(struct side *side)
{
	return bench_pair_loop(side->pair->iterations);
}

static uint64_t side_churn(struct side *side)
{
	return bench_churn_loop(side->pair->choices, side->slots, side->pair->iterations);
}

// Waits while *counter < wanted. The other side may be waiting for this CPU: after a while give it up.
static void counter_await(const uintptr_t *counter, uintptr_t wanted)
{
	for (uint32_t spins = 1; atomic_load_word_acquire(counter) < wanted; spins++)
		if (spins % SPINS_BEFORE_YIELD == 0)
			thread_yield();
		else
			hal_cpu_relax();
}

static void side_run(struct side *side)
{
	struct pair_state *pair = side->pair;

	atomic_fetch_add_u32_acq_rel(&pair->arrived, 1);
	for (uint32_t spins = 1; atomic_load_u32_acquire(&pair->arrived) < 2; spins++)
		if (spins % SPINS_BEFORE_YIELD == 0)
			thread_yield();
		else
			hal_cpu_relax();
	side->elapsed_ns = pair->loop(side);
}

static void second_body(void *arg)
{
	side_run(arg);
}

// The slower side counts: both did all iterations.
static void pair_run(struct bench_run *run, uint64_t (*loop)(struct side *side))
{
	struct pair_state *pair = run->state;
	struct thread *second;

	pair->iterations = run->iterations;
	pair->loop = loop;
	pair->arrived = 0;
	run->err = bench_thread_start("bench/1", CLASS_FAIR, 1, second_body, &pair->sides[1], &second);
	if (run->err != 0)
		return;
	side_run(&pair->sides[0]);
	bench_thread_join(second);
	run->elapsed_ns = MAX(pair->sides[0].elapsed_ns, pair->sides[1].elapsed_ns);
	if (run->elapsed_ns == UINT64_MAX)
		run->err = ERR(ENOMEM);
}

static void run_pair2(struct bench_run *run)
{
	pair_run(run, side_pair);
}

static void run_churn2(struct bench_run *run)
{
	pair_run(run, side_churn);
}

static void cross_free_body(void *arg)
{
	struct pair_state *pair = arg;

	for (uintptr_t done = 0; done < pair->iterations; done += CROSS_BATCH) {
		counter_await(&pair->put, done + CROSS_BATCH);
		for (uint32_t i = 0; i < CROSS_BATCH; i++)
			kfree(pair->ring[(done + i) % CROSS_RING]);
		atomic_store_word_release(&pair->taken, done + CROSS_BATCH);
	}
}

// A block that could not be had is handed over as NULL, so that the other side comes to its end.
static bool cross_fill(struct pair_state *pair, uintptr_t done)
{
	bool good = true;

	for (uint32_t i = 0; i < CROSS_BATCH; i++) {
		void *block = kmalloc(BENCH_PAIR_SIZE, 0);
		if (likely(block != NULL))
			*(volatile char *)block = 1;
		else
			good = false;
		pair->ring[(done + i) % CROSS_RING] = block;
	}
	return good;
}

static void run_cross(struct bench_run *run)
{
	struct pair_state *pair = run->state;
	struct thread *second;
	bool good = true;

	pair->iterations = run->iterations = ALIGN_UP(run->iterations, (uint64_t)CROSS_BATCH);
	pair->put = 0;
	pair->taken = 0;
	run->err = bench_thread_start("bench/1", CLASS_FAIR, 1, cross_free_body, pair, &second);
	if (run->err != 0)
		return;
	uint64_t start_ns = clock_now_ns();
	for (uintptr_t done = 0; done < run->iterations; done += CROSS_BATCH) {
		if (done >= CROSS_RING)
			counter_await(&pair->taken, done + CROSS_BATCH - CROSS_RING);
		good = cross_fill(pair, done) && good;
		atomic_store_word_release(&pair->put, done + CROSS_BATCH);
	}
	bench_thread_join(second);
	run->elapsed_ns = clock_now_ns() - start_ns;
	run->err = good ? 0 : ERR(ENOMEM);
}

const struct bench_case bench_pair_cases[] = {
	{"pair2", "pair on two CPUs at once", 2, CLASS_FAIR, pair_setup, run_pair2, pair_teardown},
	{"churn2", "churn on two CPUs at once", 2, CLASS_FAIR, pair_setup, run_churn2, pair_teardown},
	{"cross", "64 bytes taken on one CPU, freed on another", 2, CLASS_FAIR, pair_setup, run_cross, pair_teardown},
	{NULL, NULL, 0, CLASS_FAIR, NULL, NULL, NULL},
};
