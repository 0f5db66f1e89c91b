// SPDX-License-Identifier: MIT
//
// What the bodies of tests/unit/sched share: threads with a place and a priority, work that takes CPU time and stays preemptible,
// and how much of a loop each engine can afford.
#ifndef SCHED_TEST_H
#define SCHED_TEST_H

#include "hal/cpu.h"
#include "hal/hal.h"
#include "kern/atomic.h"
#include "kern/math.h"
#include "kern/sched.h"
#include "kern/test.h"

#define ANY_CPU UINT32_MAX

static inline bool simulated(void)
{
	return (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
}

// The simulator runs bodies for hundreds of seeds: `many` on real CPUs, `few` there.
static inline uint32_t loops(uint32_t many, uint32_t few)
{
	return simulated() ? few : many;
}

static inline struct cpu_mask mask_of(uint32_t cpu)
{
	struct cpu_mask mask = {0};
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++)
		if (cpu == ANY_CPU || cpu == i)
			cpu_mask_set(&mask, i);
	return mask;
}

// `level`: nice value of a fair thread, priority of the others.
static inline struct thread *spawn(TEST_RUN, enum thread_class klass, int32_t level, uint32_t cpu, void (*fn)(void *),
				   void *arg)
{
	struct cpu_mask mask = mask_of(cpu);
	struct thread_params params = {.name = "tested", .klass = klass, .affinity = &mask};
	struct thread *thread = NULL;

	params.nice = klass == CLASS_FAIR ? level : 0;
	params.rt_prio = klass == CLASS_FAIR ? 0 : level;
	CHECK_EQ(thread_start(&params, fn, arg, &thread), 0);
	return thread;
}

static inline void join(TEST_RUN, struct thread *thread)
{
	if (thread != NULL)
		CHECK_EQ(thread_join(thread, NULL), 0);
}

// The body itself, out of the way of the CPU that a test watches, or right in it.
static inline void move_to(TEST_RUN, uint32_t cpu)
{
	struct cpu_mask mask = mask_of(cpu);
	CHECK_EQ(thread_set_affinity(current, &mask), 0);
}

static inline uint32_t cpu_now(void)
{
	preempt_disable();
	uint32_t cpu = this_cpu()->hal.index;
	preempt_enable();
	return cpu;
}

// A place where an interrupt may come, on every engine.
static inline void let_in(void)
{
	hal_irq_restore(hal_irq_save());
	hal_point(HAL_POINT_PERCPU);
}

static inline void wait_until(const uint32_t *word, uint32_t value)
{
	while (atomic_load_u32_acquire(word) < value)
		sleep_ns(10000);
}

static inline uint32_t state_of(const struct thread *thread)
{
	return thread_state_now(thread);
}

static inline void wait_state(const struct thread *thread, enum thread_state state)
{
	while (state_of(thread) != state)
		sleep_ns(10000);
}

// Runs until told to stop.
struct hog {
	struct thread *thread;
	uint32_t stop;  // atomic
	uint32_t turns; // atomic
	uint64_t ran_ns;
	uint64_t wait_max_ns;
};

static inline void hog_body(void *arg)
{
	struct hog *hog = arg;
	while (atomic_load_u32_relaxed(&hog->stop) == 0) {
		atomic_store_u32_relaxed_nopoint(&hog->turns, hog->turns + 1);
		let_in();
	}
}

static inline void hog_stop(TEST_RUN, struct hog *hog)
{
	atomic_store_u32_relaxed(&hog->stop, 1);
	join(test_run_, hog->thread);
}

struct thread_wanted {
	uint32_t id;
	struct thread_info info;
};

static inline void thread_pick(const struct thread_info *info, void *arg)
{
	struct thread_wanted *wanted = arg;
	if (info->id == wanted->id)
		wanted->info = *info;
}

static inline struct thread_info info_of(const struct thread *thread)
{
	struct thread_wanted wanted = {.id = thread->id};
	thread_each(thread_pick, &wanted);
	return wanted.info;
}

#endif
