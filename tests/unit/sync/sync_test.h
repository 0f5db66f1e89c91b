// SPDX-License-Identifier: MIT
//
// What the bodies of tests/unit/sync share: threads with a place and a priority, waiting until one sleeps, and how much of a
// loop each engine can afford.
#ifndef SYNC_TEST_H
#define SYNC_TEST_H

#include "hal/cpu.h"
#include "hal/hal.h"
#include "kern/component.h"
#include "kern/sched.h"
#include "kern/sync.h"
#include "kern/test.h"

#define ANY_CPU UINT32_MAX
#define WORKERS_MAX (CONFIG_TINY ? 8 : 24)

// The simulator runs bodies for hundreds of seeds: `many` on real CPUs, fewer where instrumented, `few` there.
static inline uint32_t loops(uint32_t many, uint32_t few)
{
	bool instrumented = CONFIG_ASAN || CONFIG_TSAN;
	if ((kernel_self()->flags & HAL_BOOT_SIMULATED) != 0)
		return few;
	return instrumented && many / 4 > few ? many / 4 : many;
}

struct spawn {
	const char *name;
	enum thread_class klass;
	int32_t prio; // FIFO, RR: rt_prio; FAIR: nice
	uint32_t cpu; // ANY_CPU or an index
};

static inline struct thread *spawn(TEST_RUN, const struct spawn *how, void (*fn)(void *), void *arg)
{
	struct cpu_mask mask = {0};
	struct thread_params params = {.name = how->name, .klass = how->klass};
	struct thread *thread = NULL;

	if (how->klass == CLASS_FAIR)
		params.nice = how->prio;
	else
		params.rt_prio = how->prio;
	if (how->cpu != ANY_CPU) {
		cpu_mask_set(&mask, how->cpu);
		params.affinity = &mask;
	}
	err_t err = thread_start(&params, fn, arg, &thread);
	CHECK_EQ(err, 0);
	return thread;
}

static inline void join(TEST_RUN, struct thread *thread)
{
	if (thread != NULL)
		CHECK_EQ(thread_join(thread, NULL), 0);
}

// A crowd of equals. `index` tells them apart.
struct worker {
	struct thread *thread;
	struct test_run *run;
	void *shared;
	uint32_t index;
};

static inline void workers_start(TEST_RUN, struct worker *workers, uint32_t count, void (*fn)(void *), void *shared)
{
	struct spawn how = {"worker", CLASS_FAIR, 0, ANY_CPU};

	for (uint32_t i = 0; i < count; i++) {
		workers[i] = (struct worker){.run = test_run_, .shared = shared, .index = i};
		workers[i].thread = spawn(test_run_, &how, fn, &workers[i]);
	}
}

static inline void workers_join(TEST_RUN, struct worker *workers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		join(test_run_, workers[i].thread);
}

// Until *word, atomic, is at least `value`: by sleeping, so that threads of any priority get on with it.
static inline void wait_word(const uint32_t *word, uint32_t value)
{
	while (atomic_load_u32_acquire(word) < value)
		sleep_ns(20000);
}

static inline const char *waiting_on(struct thread *thread)
{
	return atomic_load_ptr_acquire(&thread->waiting_on);
}

// Until the thread sleeps for something of sync's, though it may still be on its way into the scheduler, or has ended.
static inline void wait_asleep(struct thread *thread)
{
	while (waiting_on(thread) == NULL && thread_state_now(thread) != THREAD_DEAD)
		sleep_ns(20000);
}

static inline int32_t prio_of(struct thread *thread)
{
	return (int32_t)atomic_load_u32_relaxed((uint32_t *)&thread->prio);
}

static inline uint64_t after_ns(uint64_t duration_ns)
{
	return clock_now_ns() + duration_ns;
}

// Occupies the CPU for that long, preemptible.
static inline void burn_ns(uint64_t duration_ns)
{
	uint64_t end_ns = after_ns(duration_ns);
	while (clock_now_ns() < end_ns)
		hal_cpu_relax();
}

#endif
