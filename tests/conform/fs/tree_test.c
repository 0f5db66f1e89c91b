// SPDX-License-Identifier: MIT
//
// Many threads in one tree: what must hold whatever the order. Names that move, files that come and go, mounts under walkers,
// memory that is asked back.
#include "fs/vfs/vfs_impl.h"
#include "kern/fmt.h"
#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/vfs.h"

#define WORKERS 3u

struct crew {
	struct test_run *run;
	uint32_t rounds;
	uint32_t next; // atomic: numbers of workers
	void (*work)(struct crew *crew, struct process *process, uint32_t number);
};

static void crew_main(void *arg)
{
	struct crew *crew = arg;
	struct process *process;
	uint32_t number = atomic_fetch_add_u32_relaxed(&crew->next, 1);

	if (process_create("worker", vfs_monitor_process(), &process) != 0) {
		test_check(crew->run, false, "process_create", __FILE__, __LINE__);
		return;
	}
	crew->work(crew, process, number);
	process_put(process);
}

static void crew_run(struct crew *crew)
{
	struct thread_params params = {.name = "fs", .klass = CLASS_FAIR};
	struct thread *threads[WORKERS];
	uint32_t started = 0;

	for (; started < WORKERS; started++)
		if (thread_start(&params, crew_main, crew, &threads[started]) != 0)
			break;
	test_check(crew->run, started == WORKERS, "all threads start", __FILE__, __LINE__);
	for (uint32_t i = 0; i < started; i++) {
		err_t err = thread_join(threads[i], NULL);
		test_check(crew->run, err == 0, "join", __FILE__, __LINE__);
	}
}

#define CREW_CHECK(crew, expr) test_check((crew)->run, (expr), #expr, __FILE__, __LINE__)

static struct process *root(void)
{
	return vfs_monitor_process();
}

static bool exists(struct process *process, const char *path)
{
	struct tb_stat stat;
	return vfs_stat(process, TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat) == 0;
}

static err_t make(struct process *process, const char *path)
{
	int32_t fd;
	err_t err = vfs_open(process, TB_AT_FDCWD, path, TB_O_WRONLY | TB_O_CREAT, 0644, &fd);
	return err != 0 ? err : vfs_close(process, fd);
}

// ---- a file that walks between two directories is always in one of them --------------------------------------------------

static void walk_work(struct crew *crew, struct process *process, uint32_t number)
{
	for (uint32_t i = 0; i < crew->rounds; i++) {
		if (number == 0) {
			CREW_CHECK(crew, vfs_rename(process, TB_AT_FDCWD, "/w/a/f", TB_AT_FDCWD, "/w/b/f", 0) == 0);
			CREW_CHECK(crew, vfs_rename(process, TB_AT_FDCWD, "/w/b/f", TB_AT_FDCWD, "/w/a/f", 0) == 0);
		} else {
			struct tb_stat stat;
			err_t a = vfs_stat(process, TB_AT_FDCWD, "/w/a/f", 0, &stat);
			err_t b = vfs_stat(process, TB_AT_FDCWD, "/w/b/f", 0, &stat);
			CREW_CHECK(crew, a == 0 || a == -ENOENT);
			CREW_CHECK(crew, b == 0 || b == -ENOENT);
			CREW_CHECK(crew, vfs_stat(process, TB_AT_FDCWD, "/w/still/f", 0, &stat) ==
						 0); // who does not move is there
		}
	}
}

TEST(fs_tree, a_name_that_stays_is_always_found)
{
	struct crew crew = {.run = test_run_, .rounds = 40, .work = walk_work};

	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/w", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/w/a", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/w/b", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/w/still", 0755), 0);
	CHECK_EQ(make(root(), "/w/a/f"), 0);
	CHECK_EQ(make(root(), "/w/still/f"), 0);
	crew_run(&crew);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/w/a/f", 0), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/w/still/f", 0), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/w/a", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/w/b", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/w/still", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/w", TB_AT_REMOVEDIR), 0);
}

// ---- directories renamed against each other make no ring and no deadlock --------------------------------------------------

static void ring_work(struct crew *crew, struct process *process, uint32_t number)
{
	static const char *const from[WORKERS] = {"/r/a", "/r/b", "/r/c"};
	static const char *const to[WORKERS] = {"/r/b/x", "/r/c/x", "/r/a/x"};

	for (uint32_t i = 0; i < crew->rounds; i++) {
		err_t err = vfs_rename(process, TB_AT_FDCWD, from[number], TB_AT_FDCWD, to[number], 0);
		CREW_CHECK(crew, err == 0 || err == -ENOENT || err == -EINVAL || err == -ENOTEMPTY);
		if (err == 0)
			err = vfs_rename(process, TB_AT_FDCWD, to[number], TB_AT_FDCWD, from[number], 0);
		CREW_CHECK(crew, err == 0 || err == -ENOENT || err == -EINVAL || err == -ENOTEMPTY);
	}
}

static uint32_t tree_count(const char *path, uint32_t depth)
{
	struct tb_dirent entries[4];
	uint32_t count = 0, total = 0;
	char below[128];
	int32_t fd;

	if (depth > 6 || vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) != 0)
		return 0;
	while (vfs_readdir(root(), fd, entries, 4, &count) == 0 && count > 0) {
		for (uint32_t i = 0; i < count; i++) {
			if (entries[i].name[0] == '.')
				continue;
			strlcpy(below, path, sizeof below);
			strlcat(below, "/", sizeof below);
			strlcat(below, entries[i].name, sizeof below);
			total += 1 + tree_count(below, depth + 1);
		}
	}
	return vfs_close(root(), fd) == 0 ? total : 0;
}

static void remove_tree(const char *path)
{
	struct tb_dirent entry;
	uint32_t count = 0;
	char below[128];
	int32_t fd;

	while (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) == 0) {
		do {
			if (vfs_readdir(root(), fd, &entry, 1, &count) != 0)
				count = 0;
		} while (count > 0 && entry.name[0] == '.');
		(void)!vfs_close(root(), fd);
		if (count == 0)
			break;
		strlcpy(below, path, sizeof below);
		strlcat(below, "/", sizeof below);
		strlcat(below, entry.name, sizeof below);
		if (vfs_unlink(root(), TB_AT_FDCWD, below, 0) == -EISDIR)
			remove_tree(below);
	}
	(void)!vfs_unlink(root(), TB_AT_FDCWD, path, TB_AT_REMOVEDIR);
}

TEST(fs_tree, directories_make_no_ring)
{
	struct crew crew = {.run = test_run_, .rounds = 30, .work = ring_work};

	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/r", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/r/a", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/r/b", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/r/c", 0755), 0);
	crew_run(&crew);
	CHECK_EQ(tree_count("/r", 0), 3); // none was lost in a ring
	remove_tree("/r");
	CHECK(!exists(root(), "/r"));
}

// ---- the same names made and unmade by all --------------------------------------------------------------------------------

static void churn_work(struct crew *crew, struct process *process, uint32_t number)
{
	static const char *const names[] = {"/c/a", "/c/b", "/c/d"};
	struct rand_stream rand;

	rand_init(&rand, number + 1);
	for (uint32_t i = 0; i < crew->rounds; i++) {
		const char *name = names[rand_u32(&rand) % 3];
		const char *other = names[rand_u32(&rand) % 3];
		err_t err = 0;
		switch (rand_u32(&rand) % 5) {
		case 0:
			err = make(process, name);
			CREW_CHECK(crew, err == 0 || err == -EISDIR);
			break;
		case 1:
			err = vfs_mkdir(process, TB_AT_FDCWD, name, 0755);
			CREW_CHECK(crew, err == 0 || err == -EEXIST);
			break;
		case 2:
			err = vfs_unlink(process, TB_AT_FDCWD, name, 0);
			CREW_CHECK(crew, err == 0 || err == -ENOENT || err == -EISDIR);
			break;
		case 3:
			err = vfs_unlink(process, TB_AT_FDCWD, name, TB_AT_REMOVEDIR);
			CREW_CHECK(crew, err == 0 || err == -ENOENT || err == -ENOTDIR);
			break;
		default:
			err = vfs_rename(process, TB_AT_FDCWD, name, TB_AT_FDCWD, other, 0);
			CREW_CHECK(crew, err == 0 || err == -ENOENT || err == -EISDIR || err == -ENOTDIR);
			break;
		}
	}
}

TEST(fs_tree, churn)
{
	struct crew crew = {.run = test_run_, .rounds = 60, .work = churn_work};
	struct tb_stat stat;

	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/c", 0755), 0);
	crew_run(&crew);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/c", 0, &stat), 0);
	CHECK_EQ(stat.size_bytes, tree_count("/c", 0) * 20);
	remove_tree("/c");
	CHECK(!exists(root(), "/c"));
}

// ---- mounts under walkers -------------------------------------------------------------------------------------------------

static void mount_work(struct crew *crew, struct process *process, uint32_t number)
{
	for (uint32_t i = 0; i < crew->rounds; i++) {
		if (number == 0) {
			CREW_CHECK(crew, vfs_mount(process, "x", "/m", "tmpfs", 0, "size=64K", NULL) == 0);
			(void)!make(process, "/m/inner");
			err_t err = vfs_umount(process, "/m", i % 2 != 0 ? TB_MNT_DETACH : 0);
			if (err == -EBUSY)
				err = vfs_umount(process, "/m", TB_MNT_DETACH);
			CREW_CHECK(crew, err == 0);
		} else {
			struct tb_stat stat;
			int32_t fd;
			(void)!vfs_stat(process, TB_AT_FDCWD, "/m/inner/..", 0, &stat);
			if (vfs_open(process, TB_AT_FDCWD, "/m", TB_O_RDONLY, 0, &fd) == 0) {
				CREW_CHECK(crew, vfs_fstat(process, fd, &stat) == 0);
				(void)!vfs_stat(process, fd, "..", 0, &stat);
				CREW_CHECK(crew, vfs_close(process, fd) == 0);
			}
			CREW_CHECK(crew, vfs_stat(process, TB_AT_FDCWD, "/m", 0, &stat) == 0);
		}
	}
}

TEST(fs_tree, mounts_come_and_go)
{
	struct crew crew = {.run = test_run_, .rounds = 8, .work = mount_work};

	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/m", 0755), 0);
	crew_run(&crew);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/m", TB_AT_REMOVEDIR), 0);
}

// ---- contents: writers and those who cut ----------------------------------------------------------------------------------

static void cut_work(struct crew *crew, struct process *process, uint32_t number)
{
	char text[64];
	int32_t fd;

	memset(text, 'a' + (int)number, sizeof text);
	CREW_CHECK(crew, vfs_open(process, TB_AT_FDCWD, "/f", TB_O_RDWR | TB_O_CREAT, 0644, &fd) == 0);
	for (uint32_t i = 0; i < crew->rounds; i++) {
		size_t done = 0;
		if (number == 0) {
			CREW_CHECK(crew, vfs_ftruncate(process, fd, (int64_t)(i % 3) * 3000) == 0);
			continue;
		}
		CREW_CHECK(crew, vfs_pwrite(process, fd, text, sizeof text, (i % 4) * 4000 + number * 64, &done) == 0);
		CREW_CHECK(crew, done == sizeof text);
		err_t err = vfs_pread(process, fd, text, sizeof text, (i % 4) * 4000 + number * 64, &done);
		CREW_CHECK(crew, err == 0);
		for (size_t k = 0; k < done; k++) // one's own letter, or what a cut left
			CREW_CHECK(crew, text[k] == 'a' + (char)number || text[k] == 0);
		memset(text, 'a' + (int)number, sizeof text);
	}
	CREW_CHECK(crew, vfs_close(process, fd) == 0);
}

TEST(fs_tree, writers_and_cutters)
{
	struct crew crew = {.run = test_run_, .rounds = 40, .work = cut_work};
	struct tb_statfs before, after;

	CHECK_EQ(vfs_statfs(root(), TB_AT_FDCWD, "/", &before), 0);
	crew_run(&crew);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/f", 0), 0);
	CHECK_EQ(vfs_statfs(root(), TB_AT_FDCWD, "/", &after), 0);
	CHECK_EQ(before.blocks_free, after.blocks_free);
	CHECK_EQ(before.files_free, after.files_free);
}

// ---- limits, pressure, depth ----------------------------------------------------------------------------------------------

TEST(fs_tree, limits_are_kept)
{
	char page[4096];
	size_t done = 0;
	int32_t fd;

	memset(page, 'x', sizeof page);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/l", 0755), 0);
	CHECK_EQ(vfs_mount(root(), "x", "/l", "tmpfs", 0, "size=16K,nr_inodes=3", NULL), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/l/f", TB_O_RDWR | TB_O_CREAT, 0644, &fd), 0);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(vfs_write(root(), fd, page, sizeof page, &done), 0);
	CHECK_EQ(vfs_write(root(), fd, page, 1, &done), -ENOSPC);
	CHECK_EQ(vfs_fallocate(root(), fd, 0, 0, INT64_MAX - 1), -ENOSPC);
	CHECK_EQ(vfs_ftruncate(root(), fd, 100), 0);
	CHECK_EQ(vfs_pwrite(root(), fd, page, sizeof page, 8192, &done), 0);
	CHECK_EQ(vfs_pwrite(root(), fd, page, 1, INT64_MAX, &done), -EFBIG);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(make(root(), "/l/g"), 0);
	CHECK_EQ(make(root(), "/l/h"), -ENOSPC);
	CHECK_EQ(vfs_umount(root(), "/l", 0), 0);
	CHECK_EQ(vfs_mount(root(), "x", "/l", "tmpfs", 0, "nonsense", NULL), -EINVAL);
	CHECK_EQ(vfs_mount(root(), "x", "/l", "tmpfs", 0, "size=many", NULL), -EINVAL);
	CHECK_EQ(vfs_mount(root(), "x", "/l", "tmpfs", 0, "size=101%", NULL), -ERANGE);
	CHECK_EQ(vfs_mount(root(), "x", "/l", "tmpfs", 0, "size=0%", NULL), -ERANGE);
	CHECK_EQ(vfs_mount(root(), "x", "/l", "tmpfs", 0, "size=%", NULL), -EINVAL);
	CHECK_EQ(vfs_mount(root(), "x", "/l", "nofs", 0, "", NULL), -ENODEV);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/l", TB_AT_REMOVEDIR), 0);
}

// What is known not to be in a directory does not keep it when it is removed.
TEST(fs_tree, removed_directories_go)
{
	struct tb_stat stat;

	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/n", 0755), 0);
	CHECK_EQ(vfs_mount(root(), "x", "/n", "tmpfs", 0, "nr_inodes=4", NULL), 0);
	for (uint32_t i = 0; i < 20; i++) {
		CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/n/d", 0755), 0);
		CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/n/e", 0755), 0);
		CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/n/d/no", 0, &stat), -ENOENT);
		CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/n/e/no", 0, &stat), -ENOENT);
		CHECK_EQ(vfs_rename(root(), TB_AT_FDCWD, "/n/e", TB_AT_FDCWD, "/n/d", 0), 0);
		CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/n/d", TB_AT_REMOVEDIR), 0);
	}
	CHECK_EQ(vfs_umount(root(), "/n", 0), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/n", TB_AT_REMOVEDIR), 0);
}

// Names that are not there fill memory; asking for more of it takes them back.
TEST_WITH(fs_tree, names_go_under_pressure, 0, TEST_THREADS_ONLY, NULL)
{
	struct tb_stat stat;
	struct frame_info frames;
	char path[24] = "/";
	err_t err = -ENOENT;

	frame_get_info(&frames);
	uint64_t names = (uint64_t)frames.total * FRAME_SIZE / sizeof(struct dentry) / 4 * 5;
	for (uint64_t i = 0; i < names && err == -ENOENT; i++) {
		ksnprintf(path + 1, sizeof path - 1, "%llu", (unsigned long long)i);
		err = vfs_stat(root(), TB_AT_FDCWD, path, 0, &stat);
	}
	CHECK_EQ(err, -ENOENT);
}

// A tree deeper than any stack is unmounted, and a read-only mount refuses.
TEST(fs_tree, deep_and_read_only)
{
	struct process *process;
	int32_t fd;

	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/deep", 0755), 0);
	CHECK_EQ(vfs_mount(root(), "x", "/deep", "tmpfs", 0, "", NULL), 0);
	REQUIRE(process_create("deep", root(), &process) == 0);
	CHECK_EQ(vfs_chdir(process, "/deep"), 0);
	for (uint32_t i = 0; i < 2000; i++) {
		CHECK_EQ(vfs_mkdir(process, TB_AT_FDCWD, "d", 0755), 0);
		CHECK_EQ(vfs_chdir(process, "d"), 0);
	}
	CHECK_EQ(vfs_umount(root(), "/deep", 0), -EBUSY);
	process_put(process);
	CHECK_EQ(vfs_mount(root(), "", "/deep", NULL, TB_MS_REMOUNT | TB_MS_RDONLY, NULL, NULL), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/deep/f", TB_O_WRONLY | TB_O_CREAT, 0644, &fd), -EROFS);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/deep/e", 0755), -EROFS);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/deep/d", 0755), -EEXIST);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/deep/d", TB_AT_REMOVEDIR), -EROFS);
	CHECK_EQ(vfs_chmod(root(), TB_AT_FDCWD, "/deep/d", 0700, 0), -EROFS);
	CHECK_EQ(vfs_umount(root(), "/deep", 0), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/deep", TB_AT_REMOVEDIR), 0);
}

// A bind mount shows one directory in two places; what is mounted on one is not on the other.
TEST(fs_tree, bind_mounts)
{
	struct tb_stat a, b;

	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/b1", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/b1/sub", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/b2", 0755), 0);
	CHECK_EQ(vfs_mount(root(), "/b1/sub", "/b2", NULL, TB_MS_BIND, NULL, NULL), 0);
	CHECK_EQ(make(root(), "/b2/f"), 0);
	CHECK(exists(root(), "/b1/sub/f"));
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/b2/..", 0, &a), 0);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/", 0, &b), 0);
	CHECK_EQ(a.ino, b.ino);
	CHECK_EQ(vfs_rename(root(), TB_AT_FDCWD, "/b2/f", TB_AT_FDCWD, "/b1/f", 0), -EXDEV);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/b2", TB_AT_REMOVEDIR), -EBUSY);
	CHECK_EQ(vfs_umount(root(), "/b2", 0), 0);
	CHECK(!exists(root(), "/b2/f"));
	remove_tree("/b1");
	remove_tree("/b2");
	CHECK(!exists(root(), "/b1"));
}

// Mounts below mounts are copied; later ones stay on the side that made them; a filesystem lives as long as either side shows it.
TEST(fs_tree, mounts_of_its_own)
{
	static const char *const folders[] = {"/s", "/s/a", "/s/b"};
	struct process *own;
	char text[32];
	size_t size;

	for (uint32_t i = 0; i < array_count(folders); i++)
		CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, folders[i], 0755), 0);
	CHECK_EQ(vfs_mount(root(), "x", "/s/a", "tmpfs", 0, "", NULL), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/s/a/sub", 0755), 0);
	CHECK_EQ(make(root(), "/s/a/shared"), 0);
	CHECK_EQ(vfs_mount(root(), "x", "/s/a/sub", "tmpfs", TB_MS_NODEV, "", NULL), 0);
	CHECK_EQ(make(root(), "/s/a/sub/x"), 0);
	CHECK_EQ(process_create("own", root(), &own), 0);
	CHECK_EQ(vfs_chdir(own, "/s/a/sub"), 0);
	CHECK_EQ(vfs_unshare(own, TB_CLONE_NEWNS << 1), -EINVAL);
	CHECK_EQ(vfs_unshare(own, TB_CLONE_NEWNS), 0);
	CHECK_EQ(vfs_getcwd(own, text, sizeof text, &size), 0);
	CHECK(strcmp(text, "/s/a/sub") == 0);
	CHECK(exists(own, "x") && exists(own, "../shared") && exists(own, "../../b"));
	CHECK_EQ(vfs_umount(own, "/s/a/sub", 0), -EBUSY);
	CHECK_EQ(vfs_mount(own, "x", "/s/b", "tmpfs", 0, "", NULL), 0);
	CHECK_EQ(make(own, "/s/b/mine"), 0);
	CHECK(!exists(root(), "/s/b/mine"));
	CHECK_EQ(vfs_umount(root(), "/s/b", 0), -EINVAL);
	CHECK_EQ(vfs_umount(root(), "/s/a/sub", 0), 0);
	CHECK_EQ(vfs_umount(root(), "/s/a", 0), 0);
	CHECK(!exists(root(), "/s/a/shared"));
	CHECK_EQ(make(own, "y"), 0);
	CHECK_EQ(vfs_chdir(own, "/"), 0);
	CHECK(exists(own, "/s/a/sub/x") && exists(own, "/s/a/sub/y"));
	CHECK_EQ(vfs_umount(own, "/s/a/sub", 0), 0);
	CHECK(!exists(own, "/s/a/sub/x") && exists(own, "/s/a/shared"));
	CHECK_EQ(process_set_cred(own, 1000, 1000, NULL, 0), 0);
	CHECK_EQ(vfs_unshare(own, TB_CLONE_NEWNS), -EPERM);
	process_put(own);
	remove_tree("/s");
}

static void own_work(struct crew *crew, struct process *process, uint32_t number)
{
	char name[16];

	ksnprintf(name, sizeof name, "/m/%u", number);
	for (uint32_t i = 0; i < crew->rounds; i++) {
		struct process *own;
		CREW_CHECK(crew, process_create("own", process, &own) == 0);
		CREW_CHECK(crew, vfs_unshare(own, TB_CLONE_NEWNS) == 0);
		CREW_CHECK(crew, vfs_mount(own, "x", "/m", "tmpfs", 0, "size=64K", NULL) == 0);
		CREW_CHECK(crew, make(own, name) == 0);
		CREW_CHECK(crew, exists(own, name) && !exists(process, name));
		err_t err = i % 2 != 0 ? vfs_umount(own, "/m", 0) : vfs_unshare(own, TB_CLONE_NEWNS);
		CREW_CHECK(crew, err == 0 && exists(own, name) == (i % 2 == 0));
		process_put(own);
		CREW_CHECK(crew, number != 0 || vfs_mount(process, "y", "/n", "tmpfs", 0, "size=64K", NULL) == 0);
		CREW_CHECK(crew, number != 0 || vfs_umount(process, "/n", 0) == 0);
	}
}

// Copied while others mount and unmount; each sees its own file alone.
TEST(fs_tree, namespaces_come_and_go)
{
	struct crew crew = {.run = test_run_, .rounds = 4, .work = own_work};

	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/m", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/n", 0755), 0);
	crew_run(&crew);
	remove_tree("/m");
	remove_tree("/n");
	CHECK(!exists(root(), "/m") && !exists(root(), "/n"));
}
