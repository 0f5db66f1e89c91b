// SPDX-License-Identifier: MIT
//
// Biased locks, by themselves: one owner and visitors from other CPUs exclude each other.
#include "sched_test.h"

#include "../src/core/sched/biased.h"

struct guarded {
	struct biased_lock lock;
	uint32_t inside; // not atomic on purpose: the lock makes it safe
	uint32_t sum;
	uint32_t bad;     // atomic
	uint32_t running; // atomic: visitors at work
	uint32_t rounds;
};

static void guarded_step(struct guarded *guarded)
{
	bool was = hal_irq_save();
	biased_take(&guarded->lock);
	if (*(volatile uint32_t *)&guarded->inside != 0)
		(void)atomic_fetch_add_u32_relaxed(&guarded->bad, 1);
	*(volatile uint32_t *)&guarded->inside = 1;
	hal_point(HAL_POINT_PERCPU);
	guarded->sum++;
	*(volatile uint32_t *)&guarded->inside = 0;
	biased_free(&guarded->lock);
	irq_restore(was);
}

static void body_visit(void *arg)
{
	struct guarded *guarded = arg;
	for (uint32_t i = 0; i < guarded->rounds; i++)
		guarded_step(guarded);
	(void)atomic_fetch_sub_u32_acq_rel(&guarded->running, 1);
}

static void guarded_run(TEST_RUN, bool biased)
{
	struct guarded guarded = {.running = 2, .rounds = loops(20000, 100)};
	struct thread *threads[2];
	uint32_t own = 0;
	biased_init(&guarded.lock, kernel_self()->cpus[0], biased, LOCK_RANK_SPIN_TEST_INNER, "guarded");
	move_to(test_run_, 0);
	for (uint32_t i = 0; i < 2; i++)
		threads[i] = spawn(test_run_, CLASS_FAIR, 0, i + 1, body_visit, &guarded);
	for (; atomic_load_u32_acquire(&guarded.running) != 0; own++)
		guarded_step(&guarded);
	for (uint32_t i = 0; i < 2; i++)
		join(test_run_, threads[i]);
	CHECK_EQ(guarded.bad, 0);
	CHECK_EQ(guarded.sum, own + 2 * guarded.rounds);
}

TEST_CPUS(sched, biased_lock_excludes, 3)
{
	guarded_run(test_run_, !CONFIG_LOCKCHECK && hal_cpu_barrier());
}

TEST_CPUS(sched, unbiased_lock_excludes, 3)
{
	guarded_run(test_run_, false);
}
