// SPDX-License-Identifier: MIT
//
// Spinlocks: exclusion between CPUs and against interrupts, what they do to preemption and the mask.
#include "sync_test.h"

struct shared {
	struct spinlock lock;
	uint64_t count; // under lock, torn on purpose: two words of one number
	uint64_t mirror;
	uint32_t fired; // atomic
	uint32_t rounds;
	struct timer timer;
};

static void shared_init(struct shared *shared, enum lock_rank rank, uint32_t rounds)
{
	*shared = (struct shared){.rounds = rounds};
	spin_init(&shared->lock, rank, "test: spin");
}

static void count_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	TEST_RUN = worker->run;
	uint32_t torn = 0;

	for (uint32_t i = 0; i < shared->rounds; i++) {
		spin_lock(&shared->lock);
		torn += shared->count != shared->mirror;
		shared->count++;
		hal_point(HAL_POINT_PERCPU);
		shared->mirror++;
		spin_unlock(&shared->lock);
	}
	CHECK_EQ(torn, 0);
}

TEST(sync_spin, excludes_across_cpus)
{
	struct worker workers[6];
	struct shared shared;

	shared_init(&shared, LOCK_RANK_SPIN_TEST_OUTER, loops(20000, 20));
	workers_start(test_run_, workers, 6, count_main, &shared);
	workers_join(test_run_, workers, 6);
	CHECK_EQ(shared.count, 6 * shared.rounds);
	CHECK_EQ(shared.mirror, 6 * shared.rounds);
	CHECK_EQ(shared.lock.word, 0);
}

static void trylock_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	TEST_RUN = worker->run;

	for (uint32_t i = 0; i < shared->rounds; i++) {
		while (!spin_trylock(&shared->lock))
			CHECK_EQ(hal_self()->preempt_count, 0);
		shared->count++;
		spin_unlock(&shared->lock);
	}
}

TEST(sync_spin, trylock_excludes_and_gives_preemption_back)
{
	struct worker workers[3];
	struct shared shared;

	shared_init(&shared, LOCK_RANK_SPIN_TEST_OUTER, loops(5000, 10));
	workers_start(test_run_, workers, 3, trylock_main, &shared);
	workers_join(test_run_, workers, 3);
	CHECK_EQ(shared.count, 3 * shared.rounds);
}

TEST(sync_spin, nests_preemption_and_mask)
{
	struct spinlock outer, inner;

	spin_init(&outer, LOCK_RANK_SPIN_TEST_OUTER, "test: outer");
	spin_init(&inner, LOCK_RANK_SPIN_TEST_INNER, "test: inner");
	CHECK(preemptible());
	bool was_outer = spin_lock_irqsave(&outer);
	CHECK(!was_outer);
	CHECK(hal_irq_masked());
	bool was_inner = spin_lock_irqsave(&inner);
	CHECK(was_inner);
	CHECK_EQ(hal_self()->preempt_count, 2);
	CHECK(spin_held(&outer));
	CHECK(spin_held(&inner));
	spin_unlock_irqrestore(&inner, was_inner);
	CHECK(hal_irq_masked());
	CHECK(!spin_held(&inner));
	spin_unlock_irqrestore(&outer, was_outer);
	CHECK(preemptible());

	spin_lock(&outer);
	CHECK(!hal_irq_masked());
	CHECK(!preemptible());
	spin_unlock(&outer);
	CHECK(preemptible());
}

TEST(sync_spin, equal_ranks_nest_on_request)
{
	struct spinlock a, b;

	spin_init(&a, LOCK_RANK_SPIN_TEST_INNER, "test: a");
	spin_init(&b, LOCK_RANK_SPIN_TEST_INNER, "test: b");
	spin_lock(&a);
	spin_lock_nested(&b);
	CHECK(spin_held(&a));
	CHECK(spin_held(&b));
	spin_unlock(&a);
	spin_unlock(&b);
	CHECK(!spin_held(&a));
	CHECK(!spin_held(&b));
}

// Interrupts add to the same counter as threads.
static void count_interrupt(struct timer *timer)
{
	struct shared *shared = container_of(timer, struct shared, timer);
	bool was = spin_lock_irqsave(&shared->lock);
	shared->count++;
	shared->mirror++;
	uint64_t fired = atomic_fetch_add_u32_acq_rel(&shared->fired, 1) + 1;
	spin_unlock_irqrestore(&shared->lock, was);
	if (fired < shared->rounds)
		timer_arm(timer, after_ns(2000));
}

static void count_masked_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	TEST_RUN = worker->run;
	uint32_t torn = 0;

	for (uint32_t i = 0; i < shared->rounds; i++) {
		bool was = spin_lock_irqsave(&shared->lock);
		torn += shared->count != shared->mirror;
		shared->count++;
		hal_point(HAL_POINT_PERCPU);
		shared->mirror++;
		spin_unlock_irqrestore(&shared->lock, was);
	}
	CHECK_EQ(torn, 0);
}

TEST(sync_spin, excludes_interrupts)
{
	struct worker workers[3];
	struct shared shared;

	shared_init(&shared, LOCK_RANK_SPIN_TEST_IRQ, loops(500, 15));
	timer_setup(&shared.timer, count_interrupt);
	timer_arm(&shared.timer, after_ns(1000));
	workers_start(test_run_, workers, 3, count_masked_main, &shared);
	workers_join(test_run_, workers, 3);
	wait_word(&shared.fired, shared.rounds);
	(void)timer_cancel_sync(&shared.timer);
	CHECK_EQ(shared.count, 4 * shared.rounds);
	CHECK_EQ(shared.mirror, 4 * shared.rounds);
}

// A switch that is wanted inside a section happens when the section ends: not in it, and not a slice later.
struct urgent {
	struct semaphore gate;
	struct spinlock lock;
	struct test_run *run;
	uint32_t ran; // atomic
};

static void urgent_main(void *arg)
{
	struct urgent *urgent = arg;
	sem_down(&urgent->gate);
	atomic_store_u32_release(&urgent->ran, 1);
}

static void section_main(void *arg)
{
	struct urgent *urgent = arg;
	TEST_RUN = urgent->run;

	spin_lock(&urgent->lock);
	sem_up(&urgent->gate);
	CHECK_EQ(atomic_load_u32_acquire(&urgent->ran), 0);
	spin_unlock(&urgent->lock);
	CHECK_EQ(atomic_load_u32_acquire(&urgent->ran), 1);
}

TEST(sync_spin, switches_when_the_section_ends)
{
	struct spawn first = {"urgent", CLASS_FIFO, 5, 0};
	struct spawn second = {"section", CLASS_FIFO, 50, 0};
	struct urgent urgent = {.run = test_run_};

	spin_init(&urgent.lock, LOCK_RANK_SPIN_TEST_OUTER, "test: section");
	sem_init(&urgent.gate, 0, "test: gate");
	struct thread *waiter = spawn(test_run_, &first, urgent_main, &urgent);
	wait_asleep(waiter);
	join(test_run_, spawn(test_run_, &second, section_main, &urgent));
	join(test_run_, waiter);
	CHECK_EQ(sem_check(&urgent.gate), 0);
}
