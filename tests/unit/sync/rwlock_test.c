// SPDX-License-Identifier: MIT
//
// Reader-writer locks: who shares, who waits for whom, downgrade, and that writers get in.
#include "sync_test.h"

struct shared {
	struct rwlock rwlock;
	uint64_t a; // written together under the lock
	uint64_t b;
	uint32_t rounds;
	uint32_t readers_inside; // atomic
	uint32_t readers_most;   // atomic
	uint32_t step;           // atomic
};

static void shared_init(struct shared *shared, uint32_t rounds)
{
	*shared = (struct shared){.rounds = rounds};
	rwlock_init(&shared->rwlock, LOCK_RANK_TEST_MIDDLE, "test: rwlock");
}

static void shared_end(TEST_RUN, struct shared *shared)
{
	CHECK_EQ(rwlock_check(&shared->rwlock), 0);
	CHECK_EQ(shared->rwlock.state, 0);
	rwlock_fini(&shared->rwlock);
}

static void read_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	TEST_RUN = worker->run;
	uint32_t torn = 0;

	for (uint32_t i = 0; i < shared->rounds; i++) {
		if (i % 4 != 0 || !rwlock_read_trylock(&shared->rwlock))
			rwlock_read_lock(&shared->rwlock);
		uint32_t inside = atomic_fetch_add_u32_acq_rel(&shared->readers_inside, 1) + 1;
		if (inside > atomic_load_u32_relaxed(&shared->readers_most))
			atomic_store_u32_relaxed(&shared->readers_most, inside);
		torn += shared->a != shared->b;
		if (i % 8 == worker->index)
			thread_yield();
		(void)atomic_fetch_sub_u32_acq_rel(&shared->readers_inside, 1);
		rwlock_read_unlock(&shared->rwlock);
	}
	CHECK_EQ(torn, 0);
}

static void write_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	TEST_RUN = worker->run;

	for (uint32_t i = 0; i < shared->rounds; i++) {
		if (i % 4 != 0 || !rwlock_write_trylock(&shared->rwlock))
			rwlock_write_lock(&shared->rwlock);
		CHECK_EQ(atomic_load_u32_acquire(&shared->readers_inside), 0);
		shared->a++;
		if (i % 8 == worker->index)
			thread_yield();
		shared->b++;
		uint64_t mine = shared->b;
		if (i % 3 == 0) {
			rwlock_downgrade(&shared->rwlock);
			CHECK_EQ(shared->a, mine); // no writer came in between
			rwlock_read_unlock(&shared->rwlock);
		} else {
			rwlock_write_unlock(&shared->rwlock);
		}
	}
}

TEST(sync_rwlock, readers_and_writers)
{
	struct worker readers[4];
	struct worker writers[2];
	struct shared shared;

	shared_init(&shared, loops(1500, 12));
	workers_start(test_run_, readers, 4, read_main, &shared);
	workers_start(test_run_, writers, 2, write_main, &shared);
	workers_join(test_run_, readers, 4);
	workers_join(test_run_, writers, 2);
	CHECK_EQ(shared.a, 2 * shared.rounds);
	CHECK_EQ(shared.b, 2 * shared.rounds);
	shared_end(test_run_, &shared);
}

// Readers share: each comes in while the others are in, or this does not end.
static void meet_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;

	rwlock_read_lock(&shared->rwlock);
	(void)atomic_fetch_add_u32_acq_rel(&shared->readers_inside, 1);
	wait_word(&shared->readers_inside, 3);
	rwlock_read_unlock(&shared->rwlock);
}

TEST(sync_rwlock, readers_share)
{
	struct worker readers[3];
	struct shared shared;

	shared_init(&shared, 0);
	workers_start(test_run_, readers, 3, meet_main, &shared);
	workers_join(test_run_, readers, 3);
	CHECK_EQ(shared.readers_inside, 3);
	shared_end(test_run_, &shared);
}

static void one_write_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;

	rwlock_write_lock(&shared->rwlock);
	shared->a = ++shared->b;
	rwlock_write_unlock(&shared->rwlock);
}

static void one_read_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	TEST_RUN = worker->run;

	rwlock_read_lock(&shared->rwlock);
	CHECK_EQ(shared->a, 1); // the writer came first
	atomic_store_u32_release(&shared->step, 1);
	rwlock_read_unlock(&shared->rwlock);
}

TEST(sync_rwlock, readers_queue_behind_a_waiting_writer)
{
	struct worker writer;
	struct worker reader;
	struct shared shared;

	shared_init(&shared, 0);
	rwlock_read_lock(&shared.rwlock);
	workers_start(test_run_, &writer, 1, one_write_main, &shared);
	wait_asleep(writer.thread);
	workers_start(test_run_, &reader, 1, one_read_main, &shared);
	wait_asleep(reader.thread);
	CHECK_EQ(rwlock_check(&shared.rwlock), 0);
	CHECK_EQ(atomic_load_u32_acquire(&shared.step), 0);
	rwlock_read_unlock(&shared.rwlock);
	workers_join(test_run_, &writer, 1);
	workers_join(test_run_, &reader, 1);
	CHECK_EQ(shared.step, 1);
	shared_end(test_run_, &shared);
}

static void join_main(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;

	rwlock_read_lock(&shared->rwlock);
	(void)atomic_fetch_add_u32_acq_rel(&shared->readers_inside, 1);
	wait_word(&shared->step, 1);
	rwlock_read_unlock(&shared->rwlock);
}

TEST(sync_rwlock, downgrade_lets_readers_in_and_no_writer)
{
	struct worker readers[2];
	struct worker writer;
	struct shared shared;

	shared_init(&shared, 0);
	rwlock_write_lock(&shared.rwlock);
	for (uint32_t i = 0; i < 2; i++) {
		workers_start(test_run_, &readers[i], 1, join_main, &shared);
		wait_asleep(readers[i].thread);
	}
	workers_start(test_run_, &writer, 1, one_write_main, &shared);
	wait_asleep(writer.thread);
	CHECK_EQ(atomic_load_u32_acquire(&shared.readers_inside), 0);
	rwlock_downgrade(&shared.rwlock);
	wait_word(&shared.readers_inside, 2);
	CHECK_EQ(rwlock_check(&shared.rwlock), 0);
	CHECK_EQ(shared.a, 0);
	CHECK(waiting_on(writer.thread) != NULL);
	rwlock_read_unlock(&shared.rwlock);
	atomic_store_u32_release(&shared.step, 1);
	workers_join(test_run_, readers, 2);
	workers_join(test_run_, &writer, 1);
	CHECK_EQ(shared.a, 1);
	shared_end(test_run_, &shared);
}

TEST(sync_rwlock, tries)
{
	struct shared shared;

	shared_init(&shared, 0);
	REQUIRE(rwlock_write_trylock(&shared.rwlock));
	CHECK(!rwlock_write_trylock(&shared.rwlock));
	CHECK(!rwlock_read_trylock(&shared.rwlock));
	rwlock_downgrade(&shared.rwlock);
	CHECK(!rwlock_write_trylock(&shared.rwlock));
	rwlock_read_unlock(&shared.rwlock);
	REQUIRE(rwlock_read_trylock(&shared.rwlock));
	rwlock_read_unlock(&shared.rwlock);
	shared_end(test_run_, &shared);
}
