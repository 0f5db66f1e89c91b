// SPDX-License-Identifier: MIT
//
// Benchmarks of threads, locks and timers on one CPU. A switch is counted one way: each round of two threads is two.
#include "bench.h"

#include "kern/atomic.h"
#include "kern/mem.h"

enum {
	SLEEPERS = 10000,
	EXPIRY_S_MIN = 1000,
	EXPIRY_S_SPAN = 1000
};

// ---- switches ------------------------------------------------------------------------------------------------------

struct partner {
	struct thread *runner;
	uint32_t stop; // atomic
};

static void yield_body(void *arg)
{
	struct partner *partner = arg;

	while (atomic_load_u32_relaxed(&partner->stop) == 0)
		thread_yield();
}

static void park_body(void *arg)
{
	struct partner *partner = arg;
	err_t err;

	while (atomic_load_u32_relaxed(&partner->stop) == 0) {
		err = thread_park(TB_FOREVER);
		VERIFY3(err, ==, 0);
		thread_unpark(partner->runner);
	}
}

// The figures count only if the switches took place: the runner must have been switched in once a round.
static void switches_judge(struct bench_run *run, uint32_t switched)
{
	if (switched < run->iterations / 2 - run->iterations / 64)
		run->err = ERR(EBUSY);
}

static void run_yields(struct bench_run *run, enum thread_class klass)
{
	struct partner partner = {.runner = current};
	struct thread *thread;

	run->err = bench_thread_start("bench/partner", klass, 0, yield_body, &partner, &thread);
	if (run->err != 0)
		return;
	thread_yield();
	uint32_t switches = current->stats.switches;
	uint64_t start_ns = clock_now_ns();
	for (uint64_t i = 0; i < run->iterations; i += 2)
		thread_yield();
	run->elapsed_ns = clock_now_ns() - start_ns;
	switches_judge(run, current->stats.switches - switches);
	atomic_store_u32_relaxed(&partner.stop, 1);
	bench_thread_join(thread);
}

static void run_switch(struct bench_run *run)
{
	run_yields(run, CLASS_FIFO);
}

static void run_switch_fair(struct bench_run *run)
{
	run_yields(run, CLASS_FAIR);
}

static void hand_over(struct thread *thread)
{
	thread_unpark(thread);
	err_t err = thread_park(TB_FOREVER);
	VERIFY3(err, ==, 0);
}

static void run_handover(struct bench_run *run)
{
	struct partner partner = {.runner = current};
	struct thread *thread;

	run->err = bench_thread_start("bench/partner", CLASS_FIFO, 0, park_body, &partner, &thread);
	if (run->err != 0)
		return;
	hand_over(thread);
	uint32_t switches = current->stats.switches;
	uint64_t start_ns = clock_now_ns();
	for (uint64_t i = 0; i < run->iterations; i += 2)
		hand_over(thread);
	run->elapsed_ns = clock_now_ns() - start_ns;
	switches_judge(run, current->stats.switches - switches);
	atomic_store_u32_relaxed(&partner.stop, 1);
	thread_unpark(thread);
	bench_thread_join(thread);
}

// ---- mutex ---------------------------------------------------------------------------------------------------------

static void run_mutex(struct bench_run *run)
{
	struct mutex mutex;

	mutex_init(&mutex, LOCK_RANK_TEST_INNER, "bench");
	uint64_t start_ns = clock_now_ns();
	for (uint64_t i = 0; i < run->iterations; i++) {
		mutex_lock(&mutex);
		mutex_unlock(&mutex);
	}
	run->elapsed_ns = clock_now_ns() - start_ns;
	mutex_fini(&mutex);
}

// ---- timers --------------------------------------------------------------------------------------------------------

struct timers_state {
	uint64_t random;
	struct timer timer;
	struct timer sleepers[SLEEPERS];
};

static void timer_never(struct timer *timer)
{
	panic("bench: timer %p fired", (void *)timer);
}

static uint64_t expiry_draw(uint64_t *random, uint64_t now_ns)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return now_ns + (EXPIRY_S_MIN + *random % EXPIRY_S_SPAN) * 1000000000u + (*random >> 32) % 1000000000u;
}

static err_t timers_setup(void **out)
{
	struct timers_state *state = range_alloc(sizeof *state, MEM_ZERO, NULL);

	if (state == NULL)
		return ERR(ENOMEM);
	state->random = 0x9e3779b97f4a7c15u;
	timer_setup(&state->timer, timer_never);
	for (uint32_t i = 0; i < SLEEPERS; i++)
		timer_setup(&state->sleepers[i], timer_never);
	*out = state;
	return 0;
}

static void timers_teardown(void *state)
{
	range_free(state);
}

// The sleepers are armed in the bench thread, because a timer queues on the CPU that arms it.
static void run_timer(struct bench_run *run)
{
	struct timers_state *state = run->state;
	uint64_t now_ns = clock_now_ns();
	uint64_t armed = 0;

	for (uint32_t i = 0; i < SLEEPERS; i++)
		timer_arm(&state->sleepers[i], expiry_draw(&state->random, now_ns));
	uint64_t start_ns = clock_now_ns();
	for (uint64_t i = 0; i < run->iterations; i++) {
		timer_arm(&state->timer, expiry_draw(&state->random, now_ns));
		armed += timer_cancel(&state->timer);
	}
	run->elapsed_ns = clock_now_ns() - start_ns;
	for (uint32_t i = 0; i < SLEEPERS; i++)
		if (!timer_cancel_sync(&state->sleepers[i]))
			run->err = ERR(EIO);
	if (armed != run->iterations)
		run->err = ERR(EIO);
}

const struct bench_case bench_sched_cases[] = {
	{"switch", "one way, two FIFO threads that yield", 1, CLASS_FIFO, NULL, run_switch, NULL},
	{"switch-fair", "one way, two fair threads that yield", 1, CLASS_FAIR, NULL, run_switch_fair, NULL},
	{"handover", "one way, unpark the other and park", 1, CLASS_FIFO, NULL, run_handover, NULL},
	{"mutex", "lock and unlock, nobody else wants it", 1, CLASS_FAIR, NULL, run_mutex, NULL},
	{"timer", "arm and cancel while 10,000 others sleep", 1, CLASS_FAIR, timers_setup, run_timer, timers_teardown},
	{NULL, NULL, 0, CLASS_FAIR, NULL, NULL, NULL},
};
