// SPDX-License-Identifier: MIT
//
// Locks on files among threads: who waits is woken, rings of waiting processes are refused, a storm of locks keeps readers and writers
// apart, and a descriptor that is closed under a waiting lock leaves nothing.
#include "fs/vfs/vfs_impl.h"
#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/test.h"
#include "kern/vfs.h"

#define WORKERS 4u
#define CELLS 6
#define ROUNDS 30u

static struct tb_lock range(int16_t type, int64_t start, int64_t size)
{
	return (struct tb_lock){.type = type, .whence = TB_SEEK_SET, .start = start, .size_bytes = size};
}

// A process with the file open.
struct actor {
	struct test_run *run;
	struct process *process;
	struct thread *thread;
	int32_t fd;
	uint32_t number;
	struct table *table;
	err_t err;
};

static bool actor_make(struct actor *actor, TEST_RUN)
{
	actor->run = test_run_;
	err_t err = process_create("actor", vfs_monitor_process(), &actor->process);
	if (err == 0)
		err = vfs_open(actor->process, TB_AT_FDCWD, "/locks", TB_O_RDWR | TB_O_CREAT, 0644, &actor->fd);
	CHECK_EQ(err, 0);
	return err == 0;
}

static void actor_end(struct actor *actor)
{
	process_put(actor->process);
}

static err_t set(struct actor *actor, uint32_t command, int16_t type, int64_t start, int64_t size)
{
	struct tb_lock lock = range(type, start, size);
	return vfs_lock(actor->process, actor->fd, command, &lock);
}

static void wait_main(void *arg)
{
	struct actor *actor = arg;
	actor->err = set(actor, TB_F_SETLKW, TB_F_WRLCK, 0, 10);
}

static void file_gone(TEST_RUN)
{
	CHECK_EQ(vfs_unlink(vfs_monitor_process(), TB_AT_FDCWD, "/locks", 0), 0);
}

TEST(fs_lock, who_waits_is_woken)
{
	struct actor a = {0}, b = {0};
	struct tb_lock lock = range(TB_F_WRLCK, 0, 0);

	REQUIRE(actor_make(&a, test_run_) && actor_make(&b, test_run_));
	CHECK_EQ(set(&a, TB_F_SETLK, TB_F_RDLCK, 5, 1), 0);
	REQUIRE(thread_start(NULL, wait_main, &b, &b.thread) == 0);
	for (uint32_t i = 0; i < 20; i++)
		thread_yield();
	CHECK_EQ(set(&a, TB_F_SETLK, TB_F_UNLCK, 5, 1), 0);
	CHECK_EQ(thread_join(b.thread, NULL), 0);
	CHECK_EQ(b.err, 0);
	CHECK_EQ(vfs_lock(a.process, a.fd, TB_F_GETLK, &lock), 0);
	CHECK_EQ(lock.pid, b.process->id);
	CHECK_EQ(file_locks_check(), 0);
	actor_end(&b); // its end is an unlock, too
	CHECK_EQ(set(&a, TB_F_SETLK, TB_F_WRLCK, 0, 0), 0);
	actor_end(&a);
	file_gone(test_run_);
}

static void close_main(void *arg)
{
	struct actor *actor = arg;
	for (uint32_t i = 0; i < 10; i++)
		thread_yield();
	actor->err = vfs_close(actor->process, actor->fd);
}

// Whatever the order of the lock, the close, and the unlock that lets it through: nothing stays.
TEST(fs_lock, closed_while_it_waits)
{
	struct actor a = {0}, b = {0};

	REQUIRE(actor_make(&a, test_run_) && actor_make(&b, test_run_));
	struct actor closer = b;
	CHECK_EQ(set(&a, TB_F_SETLK, TB_F_WRLCK, 0, 0), 0);
	REQUIRE(thread_start(NULL, wait_main, &b, &b.thread) == 0);
	REQUIRE(thread_start(NULL, close_main, &closer, &closer.thread) == 0);
	for (uint32_t i = 0; i < 15; i++)
		thread_yield();
	CHECK_EQ(set(&a, TB_F_SETLK, TB_F_UNLCK, 0, 0), 0);
	CHECK_EQ(thread_join(b.thread, NULL), 0);
	CHECK_EQ(thread_join(closer.thread, NULL), 0);
	CHECK_EQ(closer.err, 0);
	CHECK(b.err == 0 || b.err == -EBADF);
	CHECK_EQ(set(&a, TB_F_SETLK, TB_F_WRLCK, 0, 0), 0);
	actor_end(&b);
	actor_end(&a);
	file_gone(test_run_);
}

// ---- rings ---------------------------------------------------------------------------------------------------------------

// Each holds the cell of its number and wants the next one's: the last to ask closes the ring and is refused, then all go on.
static void ring_main(void *arg)
{
	struct actor *actor = arg;

	actor->err = set(actor, TB_F_SETLKW, TB_F_WRLCK, (actor->number + 1) % WORKERS, 1);
	err_t err = set(actor, TB_F_SETLK, TB_F_UNLCK, 0, 0);
	test_check(actor->run, err == 0, "unlock", __FILE__, __LINE__);
}

TEST(fs_lock, rings_are_refused)
{
	struct actor actors[WORKERS] = {{0}};
	uint32_t refused = 0;

	for (uint32_t i = 0; i < WORKERS; i++) {
		REQUIRE(actor_make(&actors[i], test_run_));
		actors[i].number = i;
		CHECK_EQ(set(&actors[i], TB_F_SETLK, TB_F_WRLCK, i, 1), 0);
	}
	for (uint32_t i = 0; i < WORKERS; i++)
		REQUIRE(thread_start(NULL, ring_main, &actors[i], &actors[i].thread) == 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		CHECK_EQ(thread_join(actors[i].thread, NULL), 0);
		CHECK(actors[i].err == 0 || actors[i].err == -EDEADLK);
		refused += actors[i].err == -EDEADLK;
	}
	CHECK(refused <= 1); // none, if one had its cell before the ring could close
	CHECK(list_is_empty(&vfs_state()->lock_edges));
	for (uint32_t i = 0; i < WORKERS; i++)
		actor_end(&actors[i]);
	file_gone(test_run_);
}

// ---- a storm -------------------------------------------------------------------------------------------------------------

// Who is in a cell: writers alone, readers together; kept beside the locks by those who hold them.
struct table {
	uint32_t readers[CELLS], writers[CELLS]; // atomic
};

static void enter(struct actor *actor, int64_t first, int64_t count, bool write)
{
	struct table *table = actor->table;

	for (int64_t i = first; i < first + count; i++) {
		if (write)
			atomic_fetch_add_u32_relaxed(&table->writers[i], 1);
		else
			atomic_fetch_add_u32_relaxed(&table->readers[i], 1);
		uint32_t writers = atomic_load_u32_relaxed(&table->writers[i]);
		uint32_t readers = atomic_load_u32_relaxed(&table->readers[i]);
		test_check(actor->run, write ? writers == 1 && readers == 0 : writers == 0, "readers and writers apart",
			   __FILE__, __LINE__);
	}
	thread_yield();
	for (int64_t i = first; i < first + count; i++) {
		if (write)
			atomic_fetch_sub_u32_relaxed(&table->writers[i], 1);
		else
			atomic_fetch_sub_u32_relaxed(&table->readers[i], 1);
	}
}

static void storm_main(void *arg)
{
	struct actor *actor = arg;
	struct rand_stream chance;

	rand_open(&chance, "locks", actor->number);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		int64_t first = rand_below(&chance, CELLS);
		int64_t count = 1 + rand_below(&chance, (uint32_t)(CELLS - first));
		bool write = rand_chance(&chance, 1, 2);
		bool ofd = rand_chance(&chance, 1, 3);
		bool wait = rand_chance(&chance, 2, 3);
		uint32_t command = ofd ? (wait ? TB_F_OFD_SETLKW : TB_F_OFD_SETLK) : wait ? TB_F_SETLKW : TB_F_SETLK;
		err_t err = set(actor, command, write ? TB_F_WRLCK : TB_F_RDLCK, first, count);
		test_check(actor->run, err == 0 || err == -EAGAIN || err == -EDEADLK, "lock", __FILE__, __LINE__);
		if (err != 0)
			continue;
		enter(actor, first, count, write);
		err = set(actor, ofd ? TB_F_OFD_SETLK : TB_F_SETLK, TB_F_UNLCK, 0, 0);
		test_check(actor->run, err == 0, "unlock", __FILE__, __LINE__);
	}
}

// Everybody at once; nothing may be held or waited for afterwards.
static void crew_run(TEST_RUN, void (*main)(void *arg))
{
	struct actor actors[WORKERS] = {{0}};
	struct table table = {{0}, {0}};

	for (uint32_t i = 0; i < WORKERS; i++) {
		REQUIRE(actor_make(&actors[i], test_run_));
		actors[i].number = i;
		actors[i].table = &table;
	}
	for (uint32_t i = 0; i < WORKERS; i++)
		REQUIRE(thread_start(NULL, main, &actors[i], &actors[i].thread) == 0);
	for (uint32_t i = 0; i < WORKERS; i++)
		CHECK_EQ(thread_join(actors[i].thread, NULL), 0);
	CHECK_EQ(file_locks_check(), 0);
	CHECK(list_is_empty(&vfs_state()->lock_edges));
	for (uint32_t i = 0; i < WORKERS; i++)
		actor_end(&actors[i]);
	file_gone(test_run_);
}

TEST(fs_lock, readers_and_writers_stay_apart)
{
	crew_run(test_run_, storm_main);
}

static void flock_main(void *arg)
{
	struct actor *actor = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		bool write = (actor->number + i) % 3 == 0;
		err_t err = vfs_flock(actor->process, actor->fd, write ? TB_LOCK_EX : TB_LOCK_SH);
		test_check(actor->run, err == 0, "flock", __FILE__, __LINE__);
		enter(actor, 0, 1, write);
		err = vfs_flock(actor->process, actor->fd, TB_LOCK_UN);
		test_check(actor->run, err == 0, "flock: unlock", __FILE__, __LINE__);
	}
}

TEST(fs_lock, flock_keeps_them_apart)
{
	crew_run(test_run_, flock_main);
}
