// SPDX-License-Identifier: MIT
//
// The page cache among threads: writers, cutters, readers, flushers and reclaim on one file, while flushes fail now and then.
#include "testfs.h"

#include "kern/rand.h"
#include "kern/sched.h"

static struct process *root(void)
{
	return vfs_monitor_process();
}

// ---- races ---------------------------------------------------------------------------------------------------------------

#define RACERS 4u
#define RACE_BLOCKS 96u // of 512 bytes
#define RACE_ROUNDS 40u

struct race {
	struct test_run *run;
	struct testfs_knobs *knobs;
	uint32_t next; // atomic
};

// A block holds zeros, or its number and one byte throughout: whatever is torn or misplaced shows.
static void block_make(uint8_t block[512], uint32_t number, uint8_t value)
{
	memset(block, value | 1, 512);
	memcpy(block, &number, sizeof number);
}

static bool block_is_good(const uint8_t block[512], uint32_t number)
{
	uint32_t found;

	memcpy(&found, block, sizeof found);
	for (uint32_t i = 5; i < 512; i++)
		if (block[i] != block[4])
			return false;
	return block[4] == 0 ? found == 0 : found == number;
}

static void race_step(struct race *race, struct process *process, int32_t fd, struct rand_stream *chance)
{
	static const char *const steps[] = {"write", "write", "write", "write", "write", "write", "read",    "read",
					    "read",  "read",  "read",  "read",  "cut",   "fsync", "reclaim", "fail"};
	uint8_t block[512];
	uint32_t number = rand_below(chance, RACE_BLOCKS);
	uint32_t what = rand_below(chance, 16);
	size_t done = 0;
	err_t err = 0;

	if (what < 6) {
		block_make(block, number, (uint8_t)rand_u32(chance));
		err = vfs_pwrite(process, fd, block, sizeof block, number * 512, &done);
	} else if (what < 12) {
		err = vfs_pread(process, fd, block, sizeof block, number * 512, &done);
		if (err == 0 && done == sizeof block)
			test_check(race->run, block_is_good(block, number), "a whole block", __FILE__, __LINE__);
	} else if (what < 13) {
		err = vfs_ftruncate(process, fd, (int64_t)number * 512);
	} else if (what < 14) {
		err = vfs_fsync(process, fd);
		err = err == -EIO ? 0 : err; // of a flush that was made to fail
	} else if (what < 15) {
		(void)!cache_reclaim(&cache_state()->pressure, 5);
	} else {
		atomic_store_u32_relaxed(&race->knobs->flush_fails, 1);
	}
	test_check_eq(race->run, err, 0, steps[what], __FILE__, __LINE__);
}

static void race_main(void *arg)
{
	struct race *race = arg;
	struct rand_stream chance;
	struct process *process;
	int32_t fd = -1;

	rand_open(&chance, "race", atomic_fetch_add_u32_relaxed(&race->next, 1));
	if (process_create("race", root(), &process) != 0)
		return;
	err_t err = vfs_open(process, TB_AT_FDCWD, "/c/f", TB_O_RDWR, 0, &fd);
	test_check(race->run, err == 0, "open", __FILE__, __LINE__);
	for (uint32_t i = 0; i < RACE_ROUNDS; i++)
		race_step(race, process, fd, &chance);
	process_put(process);
}

static void races(TEST_RUN, const char *cluster)
{
	struct stage stage;
	struct race race = {.run = test_run_};
	struct thread *threads[RACERS];
	uint8_t block[512];
	size_t done;

	uint32_t interval = tunable_change("vm.writeback_interval_ms", 10);
	uint32_t expire = tunable_change("vm.dirty_expire_ms", 0);
	REQUIRE(stage_begin(&stage, test_run_, cluster));
	race.knobs = stage.knobs;
	atomic_store_u32_relaxed(&stage.knobs->fill_delay_ns, 3000);
	atomic_store_u32_relaxed(&stage.knobs->flush_delay_ns, 5000);
	int32_t fd = stage_open(test_run_, "/c/f");
	for (uint32_t i = 0; i < RACERS; i++)
		REQUIRE(thread_start(NULL, race_main, &race, &threads[i]) == 0);
	for (uint32_t i = 0; i < RACERS; i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	atomic_store_u32_relaxed(&stage.knobs->flush_fails, 0);
	(void)!vfs_fsync(root(), fd); // tells of failures
	CHECK_EQ(vfs_fsync(root(), fd), 0);
	stage_evict();
	for (uint32_t i = 0; i < RACE_BLOCKS; i++) {
		CHECK_EQ(vfs_pread(root(), fd, block, sizeof block, i * 512, &done), 0);
		CHECK(done < sizeof block || block_is_good(block, i));
	}
	CHECK_EQ(cache_check(stage_inode(fd)), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	stage_end(&stage);
	(void)tunable_change("vm.writeback_interval_ms", interval);
	(void)tunable_change("vm.dirty_expire_ms", expire);
}

TEST(fs_cache, writers_cutters_readers_and_flushers)
{
	races(test_run_, "1");
}

TEST(fs_cache, the_same_in_clusters)
{
	races(test_run_, "4");
}
