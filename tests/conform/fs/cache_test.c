// SPDX-License-Identifier: MIT
//
// The page cache over a store that takes its time and fails on request: contents, windows, dirty limits, errors, reclaim.
#include "testfs.h"

#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/test.h"
#include "kern/timer.h"
#include "kern/tunable.h"

#define MS 1000000u

static struct process *root(void)
{
	return vfs_monitor_process();
}

// ---- contents ------------------------------------------------------------------------------------------------------------

#define MODEL_BYTES (192u * 1024)

static void model_compare(TEST_RUN, int32_t fd, const uint8_t *model, size_t size)
{
	uint8_t *bytes = kmalloc(MODEL_BYTES, 0);
	size_t done = 0;

	REQUIRE(bytes != NULL);
	CHECK_EQ(vfs_pread(root(), fd, bytes, MODEL_BYTES, 0, &done), 0);
	CHECK_EQ(done, size);
	CHECK(memcmp(bytes, model, size) == 0);
	kfree(bytes);
}

// Random writes and cuts against an array, with flushes and evictions between them.
static void contents(TEST_RUN, const char *cluster)
{
	struct stage stage;
	struct rand_stream chance;
	uint8_t *model = kmalloc(MODEL_BYTES, MEM_ZERO);
	uint8_t *bytes = kmalloc(20000, 0);
	size_t size = 0, done;

	REQUIRE(model != NULL && bytes != NULL && stage_begin(&stage, test_run_, cluster));
	rand_open(&chance, cluster, 0);
	int32_t fd = stage_open(test_run_, "/c/f");
	for (uint32_t round = 0; round < 120; round++) {
		uint32_t what = rand_below(&chance, 10);
		uint32_t at = rand_below(&chance, MODEL_BYTES - 20000);
		uint32_t count = 1 + rand_below(&chance, rand_chance(&chance, 1, 2) ? 100 : 19999);
		if (what < 6) {
			rand_fill(&chance, bytes, count);
			CHECK_EQ(vfs_pwrite(root(), fd, bytes, count, at, &done), 0);
			memcpy(model + at, bytes, count);
			size = MAX(size, at + count);
		} else if (what < 7) {
			CHECK_EQ(vfs_ftruncate(root(), fd, at), 0);
			if (at < size)
				memset(model + at, 0, size - at);
			size = at;
		} else if (what < 8) {
			CHECK_EQ(vfs_fsync(root(), fd), 0);
			CHECK_EQ(cache_state()->dirty, 0);
		} else if (what < 9) {
			stage_evict();
		} else {
			model_compare(test_run_, fd, model, size);
		}
		CHECK_EQ(cache_check(stage_inode(fd)), 0);
	}
	CHECK_EQ(vfs_fsync(root(), fd), 0);
	stage_evict();
	CHECK_EQ(stage_inode(fd)->mapping.count, 0);
	model_compare(test_run_, fd, model, size);
	CHECK_EQ(vfs_close(root(), fd), 0);
	kfree(model);
	kfree(bytes);
	stage_end(&stage);
}

TEST(fs_cache, contents_come_back)
{
	contents(test_run_, "1");
}

TEST(fs_cache, contents_come_back_in_clusters)
{
	contents(test_run_, "4");
	contents(test_run_, "32");
}

// ---- windows -------------------------------------------------------------------------------------------------------------

#define WINDOW_PAGES 400u

TEST(fs_cache, who_reads_on_is_read_ahead_for)
{
	struct stage stage;
	struct cache_info before, after;
	uint8_t page[FRAME_SIZE];
	size_t done;

	REQUIRE(stage_begin(&stage, test_run_, "1"));
	int32_t fd = stage_open(test_run_, "/c/f");
	CHECK_EQ(vfs_ftruncate(root(), fd, (int64_t)WINDOW_PAGES * FRAME_SIZE), 0);
	cache_get_info(&before);
	for (uint32_t i = 0; i < WINDOW_PAGES; i++) {
		CHECK_EQ(vfs_read(root(), fd, page, sizeof page, &done), 0);
		CHECK_EQ(done, sizeof page);
	}
	ahead_drain(cache_state());
	cache_get_info(&after);
	CHECK_EQ(after.fills - before.fills, WINDOW_PAGES);   // each page once
	CHECK(stage.knobs->fills < WINDOW_PAGES / 8);         // in windows
	CHECK(after.ahead - before.ahead > WINDOW_PAGES / 2); // most of them before they were asked for
	stage_evict();
	// Here and there: nothing but what was asked for.
	stage.knobs->fills = 0;
	cache_get_info(&before);
	for (uint32_t i = 0; i < 40; i++)
		CHECK_EQ(vfs_pread(root(), fd, page, 1, (uint64_t)((i * 173 + 50) % WINDOW_PAGES) * FRAME_SIZE, &done),
			 0);
	cache_get_info(&after);
	CHECK_EQ(after.fills - before.fills, 40);
	CHECK_EQ(after.ahead, before.ahead);
	// No window: page by page.
	uint32_t was = tunable_change("vm.readahead_pages", 0);
	stage_evict();
	uint64_t position;
	CHECK_EQ(vfs_seek(root(), fd, 0, TB_SEEK_SET, &position), 0);
	stage.knobs->fills = 0;
	for (uint32_t i = 0; i < 20; i++)
		CHECK_EQ(vfs_read(root(), fd, page, sizeof page, &done), 0);
	CHECK_EQ(stage.knobs->fills, 20);
	(void)tunable_change("vm.readahead_pages", was);
	CHECK_EQ(vfs_close(root(), fd), 0);
	stage_end(&stage);
}

TEST(fs_cache, a_fill_that_fails_is_the_readers)
{
	struct stage stage;
	uint8_t page[FRAME_SIZE];
	size_t done;

	REQUIRE(stage_begin(&stage, test_run_, "1"));
	int32_t fd = stage_open(test_run_, "/c/f");
	CHECK_EQ(vfs_pwrite(root(), fd, "here", 4, 3 * FRAME_SIZE, &done), 0);
	CHECK_EQ(vfs_fsync(root(), fd), 0);
	stage_evict();
	atomic_store_u32_relaxed(&stage.knobs->fill_fails, UINT32_MAX);
	CHECK_EQ(vfs_pread(root(), fd, page, 4, 3 * FRAME_SIZE, &done), -EIO);
	CHECK_EQ(vfs_pwrite(root(), fd, "x", 1, 3 * FRAME_SIZE + 1, &done), -EIO); // part of a page that cannot be read
	CHECK_EQ(vfs_ftruncate(root(), fd, 3 * FRAME_SIZE + 2), -EIO);
	memset(page, 'w', sizeof page);
	CHECK_EQ(vfs_pwrite(root(), fd, page, sizeof page, FRAME_SIZE, &done), 0); // a whole one need not be
	atomic_store_u32_relaxed(&stage.knobs->fill_fails, 0);
	CHECK_EQ(vfs_pread(root(), fd, page, 4, 3 * FRAME_SIZE, &done), 0);
	CHECK(done == 4 && memcmp(page, "here", 4) == 0);
	atomic_store_u32_relaxed(&stage.knobs->reserve_fails, 1);
	CHECK_EQ(vfs_pwrite(root(), fd, "x", 1, 9 * FRAME_SIZE, &done), -ENOSPC);
	CHECK_EQ(inode_size(stage_inode(fd)), 3 * FRAME_SIZE + 4);
	CHECK_EQ(vfs_close(root(), fd), 0);
	stage_end(&stage);
}

// ---- errors --------------------------------------------------------------------------------------------------------------

TEST(fs_cache, every_fsync_hears_of_a_failure_once)
{
	struct stage stage;
	uint8_t page[FRAME_SIZE];
	size_t done;

	REQUIRE(stage_begin(&stage, test_run_, "1"));
	int32_t a = stage_open(test_run_, "/c/f");
	int32_t b = stage_open(test_run_, "/c/f");
	CHECK_EQ(vfs_write(root(), a, "text", 4, &done), 0);
	atomic_store_u32_relaxed(&stage.knobs->flush_fails, 1);
	CHECK_EQ(vfs_fsync(root(), a), -EIO);
	CHECK_EQ(cache_state()->dirty, 1); // not lost
	CHECK_EQ(vfs_fsync(root(), a), 0); // tried again, and well
	CHECK(testfs_stored(stage_inode(a), 0, page) && memcmp(page, "text", 4) == 0);
	CHECK_EQ(vfs_fsync(root(), b), -EIO); // it had failed, and b has not heard of it
	CHECK_EQ(vfs_fsync(root(), b), 0);
	int32_t c = stage_open(test_run_, "/c/f"); // everybody knows
	CHECK_EQ(vfs_fsync(root(), c), 0);
	// Behind everybody's back: who opens next is told.
	CHECK_EQ(vfs_write(root(), a, "more", 4, &done), 0);
	CHECK_EQ(vfs_close(root(), a), 0);
	CHECK_EQ(vfs_close(root(), b), 0);
	CHECK_EQ(vfs_close(root(), c), 0);
	atomic_store_u32_relaxed(&stage.knobs->flush_fails, 1);
	CHECK_EQ(vfs_sync(), -EIO);
	CHECK_EQ(vfs_sync(), 0);
	a = stage_open(test_run_, "/c/f");
	CHECK_EQ(vfs_fsync(root(), a), -EIO);
	CHECK_EQ(vfs_fsync(root(), a), 0);
	b = stage_open(test_run_, "/c/f");
	CHECK_EQ(vfs_fsync(root(), b), 0);
	CHECK_EQ(vfs_close(root(), a), 0);
	CHECK_EQ(vfs_close(root(), b), 0);
	stage_end(&stage);
}

TEST(fs_cache, what_cannot_be_flushed_is_lost_with_the_mount)
{
	struct stage stage;
	size_t done;

	REQUIRE(stage_begin(&stage, test_run_, "1"));
	int32_t fd = stage_open(test_run_, "/c/f");
	CHECK_EQ(vfs_write(root(), fd, "text", 4, &done), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	atomic_store_u32_relaxed(&stage.knobs->flush_fails, UINT32_MAX);
	stage_end(&stage);
}

// ---- flushers ------------------------------------------------------------------------------------------------------------

TEST(fs_cache, flushed_when_it_has_been_dirty_for_long)
{
	struct stage stage;
	size_t done;

	uint32_t interval = tunable_change("vm.writeback_interval_ms", 20);
	uint32_t expire = tunable_change("vm.dirty_expire_ms", 60);
	REQUIRE(stage_begin(&stage, test_run_, "1"));
	int32_t fd = stage_open(test_run_, "/c/f");
	CHECK_EQ(vfs_write(root(), fd, "text", 4, &done), 0);
	CHECK_EQ(stage.knobs->flushes, 0);
	sleep_ns(400 * MS);
	CHECK_EQ(atomic_load_u32_relaxed(&stage.knobs->flushes), 1);
	CHECK_EQ(atomic_load_u32_relaxed(&cache_state()->dirty), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	stage_end(&stage);
	(void)tunable_change("vm.writeback_interval_ms", interval);
	(void)tunable_change("vm.dirty_expire_ms", expire);
}

TEST(fs_cache, files_that_are_gone_are_not_flushed)
{
	struct stage stage;
	size_t done;

	REQUIRE(stage_begin(&stage, test_run_, "1"));
	int32_t fd = stage_open(test_run_, "/c/f");
	CHECK_EQ(vfs_write(root(), fd, "text", 4, &done), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/c/f", 0), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(cache_state()->dirty, 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/c", TB_O_TMPFILE | TB_O_RDWR, 0600, &fd), 0);
	CHECK_EQ(vfs_write(root(), fd, "text", 4, &done), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(cache_state()->dirty, 0);
	CHECK_EQ(stage.knobs->flushes, 0);
	stage_end(&stage);
}

struct dirtier {
	struct test_run *run;
	uint32_t number, pages;
	uint32_t most; // dirty, seen
	err_t err;
};

static void dirtier_main(void *arg)
{
	struct dirtier *dirtier = arg;
	uint8_t page[FRAME_SIZE];
	char path[16] = "/c/f0";
	size_t done;

	path[4] = (char)('0' + dirtier->number);
	memset(page, 'd', sizeof page);
	int32_t fd = stage_open(dirtier->run, path);
	for (uint32_t i = 0; i < dirtier->pages && dirtier->err == 0; i++) {
		dirtier->err = vfs_pwrite(root(), fd, page, sizeof page, (uint64_t)i * FRAME_SIZE, &done);
		dirtier->most = MAX(dirtier->most, atomic_load_u32_relaxed(&cache_state()->dirty));
	}
	test_check(dirtier->run, vfs_close(root(), fd) == 0, "close", __FILE__, __LINE__);
}

#define DIRTIERS 3u

TEST(fs_cache, writers_wait_for_the_flusher)
{
	struct stage stage;
	struct dirtier dirtiers[DIRTIERS];
	struct thread *threads[DIRTIERS];
	struct cache_info before, after;

	uint32_t background = tunable_change("vm.dirty_background_percent", 0);
	uint32_t limit = tunable_change("vm.dirty_percent", 1);
	REQUIRE(stage_begin(&stage, test_run_, "1"));
	uint32_t most = dirty_limit(1);
	cache_get_info(&before);
	atomic_store_u32_relaxed(&stage.knobs->flush_delay_ns, 1 * MS);
	for (uint32_t i = 0; i < DIRTIERS; i++) {
		dirtiers[i] = (struct dirtier){.run = test_run_, .number = i, .pages = most};
		REQUIRE(thread_start(NULL, dirtier_main, &dirtiers[i], &threads[i]) == 0);
	}
	for (uint32_t i = 0; i < DIRTIERS; i++) {
		CHECK_EQ(thread_join(threads[i], NULL), 0);
		CHECK_EQ(dirtiers[i].err, 0);
		CHECK(dirtiers[i].most <= most + DIRTIERS * 32);
	}
	cache_get_info(&after);
	CHECK(after.throttled > before.throttled);
	CHECK_EQ(vfs_sync(), 0);
	CHECK_EQ(cache_state()->dirty, 0);
	// A store that fails for good: an error at the limit, not a wait without end.
	atomic_store_u32_relaxed(&stage.knobs->flush_fails, UINT32_MAX);
	dirtiers[0] = (struct dirtier){.run = test_run_, .number = 0, .pages = 4 * most};
	dirtier_main(&dirtiers[0]);
	CHECK_EQ(dirtiers[0].err, -EIO);
	atomic_store_u32_relaxed(&stage.knobs->flush_fails, 0);
	stage_end(&stage);
	(void)tunable_change("vm.dirty_background_percent", background);
	(void)tunable_change("vm.dirty_percent", limit);
}

// ---- reclaim -------------------------------------------------------------------------------------------------------------

// Twice as much as there is memory is read, and half of what is read is dirtied in between: pages go, and the reader never notices.
TEST(fs_reclaim, pages_go_when_memory_runs_short)
{
	struct stage stage;
	struct frame_info frames;
	struct cache_info before, after;
	uint8_t *piece = kmalloc(16 * FRAME_SIZE, 0);
	size_t done;

	REQUIRE(piece != NULL && stage_begin(&stage, test_run_, "4"));
	frame_get_info(&frames);
	cache_get_info(&before);
	int32_t fd = stage_open(test_run_, "/c/f");
	CHECK_EQ(vfs_ftruncate(root(), fd, 2 * (int64_t)frames.total * FRAME_SIZE), 0);
	for (uint64_t at = 0; at < 2ull * frames.total; at += 16) {
		err_t err = vfs_read(root(), fd, piece, 16 * FRAME_SIZE, &done);
		if (err != 0 || done == 0) {
			CHECK_EQ(err, 0);
			break;
		}
		if (at % 1024 == 0)
			CHECK_EQ(vfs_pwrite(root(), fd, "dirt", 4, at * FRAME_SIZE, &done), 0);
	}
	cache_get_info(&after);
	CHECK(after.reclaimed - before.reclaimed > frames.total / 2);
	CHECK(after.pages < frames.total);
	CHECK_EQ(vfs_close(root(), fd), 0);
	kfree(piece);
	stage_end(&stage);
}
