// SPDX-License-Identifier: MIT
//
// Mutexes without inheritance in view: exclusion, deadlines, hand-over, who may overtake whom.
#include "sync_test.h"

struct shared {
	struct mutex mutex;
	uint64_t count; // under mutex
	uint64_t mirror;
	uint32_t rounds;
	uint32_t timeouts; // atomic
	uint32_t ready;    // atomic
};

static void shared_init(struct shared *shared, uint32_t rounds)
{
	*shared = (struct shared){.rounds = rounds};
	mutex_init(&shared->mutex, LOCK_RANK_TEST_MIDDLE, "test: mutex");
}

static void shared_end(TEST_RUN, struct shared *shared)
{
	CHECK_EQ(shared->count, shared->mirror);
	CHECK_EQ(mutex_check(&shared->mutex), 0);
	CHECK_EQ(shared->mutex.word, 0);
	mutex_fini(&shared->mutex);
}

static void count_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	TEST_RUN = worker->run;
	uint32_t torn = 0;

	for (uint32_t i = 0; i < shared->rounds; i++) {
		mutex_lock(&shared->mutex);
		torn += shared->count != shared->mirror;
		shared->count++;
		if (i % 16 == worker->index)
			thread_yield();
		shared->mirror++;
		mutex_unlock(&shared->mutex);
	}
	CHECK_EQ(torn, 0);
}

TEST(sync_mutex, excludes)
{
	struct worker workers[6];
	struct shared shared;

	shared_init(&shared, loops(3000, 16));
	workers_start(test_run_, workers, 6, count_main, &shared);
	workers_join(test_run_, workers, 6);
	CHECK_EQ(shared.count, 6 * shared.rounds);
	shared_end(test_run_, &shared);
}

TEST(sync_mutex, tries_and_holds)
{
	struct shared shared;

	shared_init(&shared, 0);
	CHECK(!mutex_held(&shared.mutex));
	REQUIRE(mutex_trylock(&shared.mutex));
	CHECK(mutex_held(&shared.mutex));
	CHECK(!mutex_trylock(&shared.mutex));
	CHECK_EQ(mutex_check(&shared.mutex), 0);
	mutex_unlock(&shared.mutex);
	CHECK(!mutex_held(&shared.mutex));
	CHECK_EQ(mutex_lock_until(&shared.mutex, 0), 0); // free: the deadline does not matter
	mutex_unlock(&shared.mutex);
	shared_end(test_run_, &shared);
}

static void until_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	TEST_RUN = worker->run;

	for (uint32_t i = 0; i < shared->rounds; i++) {
		uint64_t deadline_ns = after_ns(300 + 900 * worker->index);
		err_t err = mutex_lock_until(&shared->mutex, deadline_ns);
		if (err != 0) {
			CHECK_EQ(err, -ETIMEDOUT);
			CHECK(clock_now_ns() >= deadline_ns);
			CHECK(!mutex_held(&shared->mutex));
			(void)atomic_fetch_add_u32_relaxed(&shared->timeouts, 1);
			continue;
		}
		shared->count++;
		if (i % 8 == 0)
			sleep_ns(2000);
		shared->mirror++;
		mutex_unlock(&shared->mutex);
	}
}

// Deadlines pass while others unlock: no wake may go to a waiter that has left, none may be lost.
TEST(sync_mutex, deadlines_collide_with_unlocks)
{
	struct worker workers[5];
	struct shared shared;

	shared_init(&shared, loops(400, 16));
	workers_start(test_run_, workers, 5, until_main, &shared);
	workers_join(test_run_, workers, 5);
	CHECK_EQ(shared.count + shared.timeouts, 5 * shared.rounds);
	shared_end(test_run_, &shared);
}

static void hold_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;

	mutex_lock(&shared->mutex);
	atomic_store_u32_release(&shared->ready, 1);
	wait_word(&shared->ready, 2);
	mutex_unlock(&shared->mutex);
}

TEST(sync_mutex, deadline_passes_while_owned)
{
	struct worker holder;
	struct shared shared;

	shared_init(&shared, 0);
	workers_start(test_run_, &holder, 1, hold_main, &shared);
	wait_word(&shared.ready, 1);
	CHECK(!mutex_trylock(&shared.mutex));
	CHECK_EQ(mutex_lock_until(&shared.mutex, after_ns(100000)), -ETIMEDOUT);
	CHECK_EQ(mutex_lock_until(&shared.mutex, 0), -ETIMEDOUT);
	CHECK_EQ(mutex_check(&shared.mutex), 0);
	CHECK(rb_is_empty(&shared.mutex.waiters));
	atomic_store_u32_release(&shared.ready, 2);
	mutex_lock(&shared.mutex);
	mutex_unlock(&shared.mutex);
	workers_join(test_run_, &holder, 1);
	shared_end(test_run_, &shared);
}

// One CPU, equal priorities: the owner goes on running after each unlock, so only hand-over gets the waiter in.
struct race {
	struct mutex mutex;
	struct test_run *run;
	struct thread *waiter;
	uint32_t won; // atomic: the waiter has had the mutex
};

static void race_waiter_main(void *arg)
{
	struct race *race = arg;
	mutex_lock(&race->mutex);
	atomic_store_u32_release(&race->won, 1);
	mutex_unlock(&race->mutex);
}

static void race_owner_main(void *arg)
{
	struct race *race = arg;
	TEST_RUN = race->run;
	struct spawn how = {"waiter", CLASS_FIFO, 40, 0};
	uint32_t overtaken = 0;

	mutex_lock(&race->mutex);
	race->waiter = spawn(test_run_, &how, race_waiter_main, race);
	while (waiting_on(race->waiter) == NULL)
		thread_yield();
	while (atomic_load_u32_acquire(&race->won) == 0) {
		mutex_unlock(&race->mutex);
		mutex_lock(&race->mutex);
		overtaken += atomic_load_u32_acquire(&race->won) == 0;
	}
	mutex_unlock(&race->mutex);
	CHECK_EQ(overtaken, MUTEX_PASS_MAX);
}

TEST(sync_mutex, overtaking_is_bounded)
{
	struct spawn how = {"owner", CLASS_FIFO, 40, 0};
	struct race race = {.run = test_run_};

	mutex_init(&race.mutex, LOCK_RANK_TEST_MIDDLE, "test: race");
	join(test_run_, spawn(test_run_, &how, race_owner_main, &race));
	join(test_run_, race.waiter);
	CHECK_EQ(race.won, 1);
	mutex_fini(&race.mutex);
}

// An urgent waiter has been woken but cannot run yet: whoever is less urgent may not slip in before it.
static void slip_main(void *arg)
{
	struct race *race = arg;
	TEST_RUN = race->run;
	struct spawn how = {"waiter", CLASS_FIFO, 10, 0};

	mutex_lock(&race->mutex);
	race->waiter = spawn(test_run_, &how, race_waiter_main, race); // runs at once and blocks
	CHECK(waiting_on(race->waiter) != NULL);
	preempt_disable();
	mutex_unlock(&race->mutex);
	CHECK_EQ(atomic_load_u32_acquire(&race->won), 0);
	CHECK(!mutex_trylock(&race->mutex));
	CHECK_EQ(mutex_check(&race->mutex), 0);
	preempt_enable();
	CHECK_EQ(atomic_load_u32_acquire(&race->won), 1);
}

TEST(sync_mutex, the_less_urgent_do_not_overtake)
{
	struct spawn how = {"owner", CLASS_FIFO, 40, 0};
	struct race race = {.run = test_run_};

	mutex_init(&race.mutex, LOCK_RANK_TEST_MIDDLE, "test: slip");
	join(test_run_, spawn(test_run_, &how, slip_main, &race));
	join(test_run_, race.waiter);
	mutex_fini(&race.mutex);
}

// Waiters of equal priority enter in the order in which they came, when nobody overtakes.
struct queue {
	struct mutex mutex;
	uint32_t entered; // under mutex
	uint32_t order[4];
};

static void queue_main(void *arg)
{
	struct worker *worker = arg;
	struct queue *queue = worker->shared;

	mutex_lock(&queue->mutex);
	queue->order[queue->entered++] = worker->index;
	mutex_unlock(&queue->mutex);
}

TEST(sync_mutex, equals_enter_in_order)
{
	struct spawn how = {"queue", CLASS_FAIR, 0, ANY_CPU};
	struct worker workers[4];
	struct queue queue = {.entered = 0};

	mutex_init(&queue.mutex, LOCK_RANK_TEST_MIDDLE, "test: queue");
	mutex_lock(&queue.mutex);
	for (uint32_t i = 0; i < 4; i++) {
		workers[i] = (struct worker){.run = test_run_, .shared = &queue, .index = i};
		workers[i].thread = spawn(test_run_, &how, queue_main, &workers[i]);
		wait_asleep(workers[i].thread);
	}
	CHECK_EQ(mutex_check(&queue.mutex), 0);
	mutex_unlock(&queue.mutex);
	workers_join(test_run_, workers, 4);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(queue.order[i], i);
	mutex_fini(&queue.mutex);
}

// Two mutexes, nested, by many: the chain code runs, and everything is back to nothing afterwards.
struct nest {
	struct mutex outer;
	struct mutex inner;
	uint64_t count;
	uint32_t rounds;
};

static void nest_main(void *arg)
{
	struct worker *worker = arg;
	struct nest *nest = worker->shared;
	TEST_RUN = worker->run;

	for (uint32_t i = 0; i < nest->rounds; i++) {
		if (worker->index % 2 == 0)
			mutex_lock(&nest->outer);
		if (mutex_lock_until(&nest->inner, after_ns(5000)) == 0) {
			nest->count++;
			mutex_unlock(&nest->inner);
		}
		if (worker->index % 2 == 0)
			mutex_unlock(&nest->outer);
	}
	CHECK(rb_is_empty(&current->pi_held));
	CHECK_EQ(current->pi_lent, 0);
}

TEST(sync_mutex, nested_under_load)
{
	struct worker workers[6];
	struct nest nest = {.rounds = loops(1000, 10)};

	mutex_init(&nest.outer, LOCK_RANK_TEST_OUTER, "test: outer");
	mutex_init(&nest.inner, LOCK_RANK_TEST_INNER, "test: inner");
	workers_start(test_run_, workers, 6, nest_main, &nest);
	workers_join(test_run_, workers, 6);
	CHECK_EQ(mutex_check(&nest.outer), 0);
	CHECK_EQ(mutex_check(&nest.inner), 0);
	mutex_fini(&nest.outer);
	mutex_fini(&nest.inner);
}
