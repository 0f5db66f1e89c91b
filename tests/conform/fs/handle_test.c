// SPDX-License-Identifier: MIT
//
// Files by handle while the tree changes: directories are found wherever they are moved, what is removed is stale, and no directory ever has
// two dentries, also when unused names are thrown away between.
#include "fs/vfs/vfs_impl.h"
#include "kern/fmt.h"
#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/vfs.h"

#define DIRS 4u
#define MOVERS 2u
#define READERS 2u

struct storm {
	struct test_run *run;
	uint32_t rounds;
	uint32_t over;         // atomic: movers that have ended
	uint32_t found, stale; // atomic
	struct tb_handle dirs[DIRS];
};

struct worker {
	struct storm *storm;
	uint32_t number;
	struct thread *thread;
};

static struct process *root(void)
{
	return vfs_monitor_process();
}

#define STORM_CHECK(storm, expr) test_check((storm)->run, (expr), #expr, __FILE__, __LINE__)

// /m/0 … /m/3 wander: into each other, and back; and a directory comes and goes.
static void mover_main(void *arg)
{
	struct worker *worker = arg;
	struct storm *storm = worker->storm;
	struct rand_stream chance;
	char from[32], to[32], own[32];

	rand_open(&chance, "mover", worker->number);
	(void)ksnprintf(own, sizeof own, "/m/t%u", worker->number);
	for (uint32_t i = 0; i < storm->rounds; i++) {
		uint32_t which = rand_below(&chance, DIRS), into = rand_below(&chance, DIRS);
		bool out = rand_chance(&chance, 1, 2);
		(void)ksnprintf(from, sizeof from, out ? "/m/%u/%u" : "/m/%u", out ? into : which, which);
		(void)ksnprintf(to, sizeof to, out ? "/m/%u" : "/m/%u/%u", out ? which : into, which);
		err_t err = vfs_rename(root(), TB_AT_FDCWD, from, TB_AT_FDCWD, to, 0);
		STORM_CHECK(storm, err == 0 || err == -ENOENT || err == -EINVAL || err == -ENOTEMPTY || err == -EEXIST);
		STORM_CHECK(storm, vfs_mkdir(root(), TB_AT_FDCWD, own, 0755) == 0);
		STORM_CHECK(storm, vfs_unlink(root(), TB_AT_FDCWD, own, TB_AT_REMOVEDIR) == 0);
	}
	atomic_fetch_add_u32_acq_rel(&storm->over, 1);
}

static void reader_try(struct storm *storm, uint32_t which)
{
	struct tb_handle again = {0};
	struct tb_stat stat;
	int32_t fd;
	err_t err = vfs_open_handle(root(), TB_AT_FDCWD, &storm->dirs[which], TB_O_RDONLY | TB_O_DIRECTORY, &fd);

	if (err == -ESTALE) { // moved each time that we looked
		atomic_fetch_add_u32_relaxed(&storm->stale, 1);
		return;
	}
	STORM_CHECK(storm, err == 0);
	if (err != 0)
		return;
	STORM_CHECK(storm, vfs_stat(root(), fd, "file", 0, &stat) == 0 && stat.size_bytes == which + 1);
	STORM_CHECK(storm, vfs_name_to_handle(root(), fd, "", TB_AT_EMPTY_PATH, &again) == 0);
	STORM_CHECK(storm, memcmp(&again, &storm->dirs[which], sizeof again) == 0);
	STORM_CHECK(storm, vfs_close(root(), fd) == 0);
	atomic_fetch_add_u32_relaxed(&storm->found, 1);
}

static void reader_main(void *arg)
{
	struct worker *worker = arg;
	struct storm *storm = worker->storm;
	struct superblock *sb = root()->root.dentry->sb;
	struct rand_stream chance;
	struct tb_handle gone;
	int32_t fd;

	rand_open(&chance, "reader", worker->number);
	do {
		reader_try(storm, rand_below(&chance, DIRS));
		if (vfs_name_to_handle(root(), TB_AT_FDCWD, "/m/t0", 0, &gone) == 0 &&
		    vfs_open_handle(root(), TB_AT_FDCWD, &gone, TB_O_PATH, &fd) == 0)
			STORM_CHECK(storm, vfs_close(root(), fd) == 0);
		if (rand_chance(&chance, 1, 4))
			(void)dentry_prune(sb, 16, true);
	} while (atomic_load_u32_acquire(&storm->over) < MOVERS);
}

static void workers_run(struct storm *storm, struct worker *workers, uint32_t count)
{
	struct thread_params params = {.name = "fs", .klass = CLASS_FAIR};

	for (uint32_t i = 0; i < count; i++) {
		workers[i] = (struct worker){.storm = storm, .number = i};
		err_t err =
			thread_start(&params, i < MOVERS ? mover_main : reader_main, &workers[i], &workers[i].thread);
		STORM_CHECK(storm, err == 0);
	}
	for (uint32_t i = 0; i < count; i++)
		STORM_CHECK(storm, thread_join(workers[i].thread, NULL) == 0);
}

TEST(fs_tree, handles_follow_what_moves)
{
	struct worker workers[MOVERS + READERS];
	struct storm storm = {.run = test_run_, .rounds = 30};
	char path[32], name[32];
	size_t done;
	int32_t fd;

	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/m", 0755), 0);
	for (uint32_t i = 0; i < DIRS; i++) {
		(void)ksnprintf(path, sizeof path, "/m/%u", i);
		(void)ksnprintf(name, sizeof name, "/m/%u/file", i);
		CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, path, 0755), 0);
		CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, name, TB_O_WRONLY | TB_O_CREAT, 0644, &fd), 0);
		CHECK_EQ(vfs_write(root(), fd, "file", i + 1, &done), 0);
		CHECK_EQ(vfs_close(root(), fd), 0);
		CHECK_EQ(vfs_name_to_handle(root(), TB_AT_FDCWD, path, 0, &storm.dirs[i]), 0);
	}
	workers_run(&storm, workers, MOVERS + READERS);
	CHECK(storm.found > 0 || storm.stale > 0);
	for (uint32_t i = 0; i < DIRS; i++) // now that all is still
		reader_try(&storm, i);
	CHECK(storm.found >= DIRS);
}

// Deep down, and with nothing known of the names between.
TEST(fs_tree, handles_of_what_lies_deep)
{
	struct tb_handle deep, handle;
	struct tb_stat stat;
	int32_t fd, above = TB_AT_FDCWD;
	const uint32_t depth = 300;

	for (uint32_t i = 0; i < depth; i++) {
		CHECK_EQ(vfs_mkdir(root(), above, "a-name-of-some-length", 0755), 0);
		CHECK_EQ(vfs_open(root(), above, "a-name-of-some-length", TB_O_PATH, 0, &fd), 0);
		if (above != TB_AT_FDCWD)
			CHECK_EQ(vfs_close(root(), above), 0);
		above = fd;
	}
	CHECK_EQ(vfs_name_to_handle(root(), above, "", TB_AT_EMPTY_PATH, &deep), 0);
	CHECK_EQ(vfs_close(root(), above), 0);
	while (dentry_prune(root()->root.dentry->sb, 1000, true) > 0) {
	}
	CHECK_EQ(vfs_open_handle(root(), TB_AT_FDCWD, &deep, TB_O_RDONLY | TB_O_DIRECTORY, &fd), 0);
	CHECK_EQ(vfs_fstat(root(), fd, &stat), 0);
	CHECK_EQ(stat.ino, deep.ino);
	CHECK_EQ(vfs_mkdir(root(), fd, "below", 0755), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	handle = deep;
	handle.generation++;
	CHECK_EQ(vfs_open_handle(root(), TB_AT_FDCWD, &handle, TB_O_RDONLY, &fd), -ESTALE);
	handle = deep;
	handle.dev++;
	CHECK_EQ(vfs_open_handle(root(), TB_AT_FDCWD, &handle, TB_O_RDONLY, &fd), -ESTALE);
	handle.ino = UINT64_MAX;
	CHECK_EQ(vfs_open_handle(root(), TB_AT_FDCWD, &handle, TB_O_RDONLY, &fd), -ESTALE);
	CHECK_EQ(vfs_open_handle(root(), TB_AT_FDCWD, &deep, TB_O_RDONLY | TB_O_CREAT, &fd), -EINVAL);
	CHECK_EQ(vfs_open_handle(root(), 999, &deep, TB_O_RDONLY, &fd), -EBADF);
}
