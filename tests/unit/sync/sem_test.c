// SPDX-License-Identifier: MIT
//
// Semaphores and completions: tokens are conserved whatever collides, order is kept, memory may go at once.
#include "sync_test.h"

#include "kern/mem.h"
#include "kern/string.h"

TEST(sync_sem, counts)
{
	struct semaphore sem;

	sem_init(&sem, 2, "test: sem");
	sem_down(&sem);
	CHECK(sem_trydown(&sem));
	CHECK(!sem_trydown(&sem));
	CHECK_EQ(sem_down_until(&sem, after_ns(20000)), -ETIMEDOUT);
	CHECK_EQ(sem_down_until(&sem, 0), -ETIMEDOUT);
	sem_up(&sem);
	CHECK_EQ(sem_down_until(&sem, 0), 0);
	CHECK_EQ(sem.count, 0);
	CHECK_EQ(sem_check(&sem), 0);
}

// Producers put up, consumers with absurd deadlines take: what was put is what was taken and what is left.
struct market {
	struct semaphore sem;
	uint32_t rounds;
	uint32_t taken;    // atomic
	uint32_t timeouts; // atomic
	uint32_t closed;   // atomic
};

static void producer_main(void *arg)
{
	struct worker *worker = arg;
	struct market *market = worker->shared;

	for (uint32_t i = 0; i < market->rounds; i++) {
		sem_up(&market->sem);
		if (i % 4 == worker->index)
			sleep_ns(1000 + 700 * worker->index);
	}
}

static void consumer_main(void *arg)
{
	struct worker *worker = arg;
	struct market *market = worker->shared;
	TEST_RUN = worker->run;
	err_t err = 0;

	while (err == 0 || atomic_load_u32_acquire(&market->closed) == 0) {
		err = sem_down_until(&market->sem, after_ns(500 + 900 * worker->index));
		CHECK(err == 0 || err == -ETIMEDOUT);
		(void)atomic_fetch_add_u32_relaxed(err == 0 ? &market->taken : &market->timeouts, 1);
	}
}

TEST(sync_sem, loses_no_token_to_deadlines)
{
	struct worker producers[2];
	struct worker consumers[4];
	struct market market = {.rounds = loops(400, 12)};

	sem_init(&market.sem, 3, "test: market");
	workers_start(test_run_, consumers, 4, consumer_main, &market);
	workers_start(test_run_, producers, 2, producer_main, &market);
	workers_join(test_run_, producers, 2);
	atomic_store_u32_release(&market.closed, 1);
	workers_join(test_run_, consumers, 4);
	CHECK_EQ(sem_check(&market.sem), 0);
	CHECK_EQ(market.taken + market.sem.count, 2 * market.rounds + 3);
}

struct ticket {
	struct semaphore sem;
	uint32_t next;   // atomic: whose turn in `order`
	uint32_t served; // atomic: how many of `order` are written
	uint32_t order[4];
};

static void customer_main(void *arg)
{
	struct worker *worker = arg;
	struct ticket *ticket = worker->shared;

	sem_down(&ticket->sem);
	ticket->order[atomic_fetch_add_u32_relaxed(&ticket->next, 1)] = worker->index;
	(void)atomic_fetch_add_u32_acq_rel(&ticket->served, 1);
}

TEST(sync_sem, first_come_first_served)
{
	struct spawn how = {"customer", CLASS_FAIR, 0, ANY_CPU};
	struct worker customers[4];
	struct ticket ticket = {.served = 0};

	sem_init(&ticket.sem, 0, "test: ticket");
	for (uint32_t i = 0; i < 4; i++) {
		customers[i] = (struct worker){.shared = &ticket, .index = i};
		customers[i].thread = spawn(test_run_, &how, customer_main, &customers[i]);
		wait_asleep(customers[i].thread);
	}
	for (uint32_t i = 0; i < 4; i++) {
		sem_up(&ticket.sem);
		CHECK(!sem_trydown(&ticket.sem)); // the token has gone to whoever waits
		wait_word(&ticket.served, i + 1);
		CHECK_EQ(ticket.order[i], i);
	}
	workers_join(test_run_, customers, 4);
}

struct up_later {
	struct timer timer;
	struct semaphore sem;
};

static void up_interrupt(struct timer *timer)
{
	sem_up(&container_of(timer, struct up_later, timer)->sem);
}

TEST(sync_sem, interrupts_may_put)
{
	struct up_later later;

	sem_init(&later.sem, 0, "test: later");
	timer_setup(&later.timer, up_interrupt);
	for (uint32_t i = 0; i < loops(50, 5); i++) {
		timer_arm(&later.timer, after_ns(10000));
		sem_down(&later.sem);
	}
	(void)timer_cancel_sync(&later.timer);
	CHECK_EQ(later.sem.count, 0);
}

TEST(sync_completion, stays_done)
{
	struct completion completion;

	completion_init(&completion, "test: completion");
	CHECK_EQ(completion_wait_until(&completion, after_ns(5000)), -ETIMEDOUT);
	completion_done(&completion);
	completion_wait(&completion);
	CHECK_EQ(completion_wait_until(&completion, 0), 0);
	completion_done(&completion);
	completion_wait(&completion);
}

static void done_main(void *arg)
{
	completion_done(arg);
}

// The waiter frees the completion as soon as it is back: a late touch by the other side is a use after free.
TEST(sync_completion, memory_may_go_at_once)
{
	struct spawn how = {"done", CLASS_FAIR, 0, ANY_CPU};

	for (uint32_t i = 0; i < loops(300, 4); i++) {
		struct completion *completion = kmalloc(sizeof *completion, 0);
		REQUIRE(completion != NULL);
		completion_init(completion, "test: short-lived");
		struct thread *thread = spawn(test_run_, &how, done_main, completion);
		if (i % 2 == 0)
			thread_yield();
		completion_wait(completion);
		memset(completion, 0xa5, sizeof *completion);
		kfree(completion);
		join(test_run_, thread);
	}
}

struct crowd {
	struct completion completion;
	uint32_t through; // atomic
};

static void crowd_main(void *arg)
{
	struct worker *worker = arg;
	struct crowd *crowd = worker->shared;
	TEST_RUN = worker->run;
	err_t err;

	do
		err = completion_wait_until(&crowd->completion, after_ns(4000 * (worker->index + 1)));
	while (err == -ETIMEDOUT);
	CHECK_EQ(err, 0);
	(void)atomic_fetch_add_u32_relaxed(&crowd->through, 1);
}

// More waiters than one batch of wakes, and some that time out while they are being woken.
TEST(sync_completion, releases_a_crowd)
{
	struct worker workers[WORKERS_MAX];
	struct crowd crowd = {.through = 0};

	completion_init(&crowd.completion, "test: crowd");
	workers_start(test_run_, workers, WORKERS_MAX, crowd_main, &crowd);
	sleep_ns(30000);
	completion_done(&crowd.completion);
	workers_join(test_run_, workers, WORKERS_MAX);
	CHECK_EQ(crowd.through, WORKERS_MAX);
	CHECK_EQ(waitq_check(&crowd.completion.queue), 0);
}
