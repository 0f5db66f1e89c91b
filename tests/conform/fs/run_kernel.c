// SPDX-License-Identifier: MIT
//
// The filesystem bodies over the kernel's VFS, on a tmpfs of their own.
#include "own_calls.h"

#include "testfs.h"

#include "kern/block.h"
#include "kern/pxfs.h"
#include "kern/rand.h"

#include "kern/test.h"

struct state {
	struct process *process; // first: own_calls.h
	struct test_run *run;
	struct process *other; // of other_lock(); NULL: none
	int32_t other_fd;
};

static err_t own_user(struct fsc *fsc, uint32_t uid, uint32_t gid)
{
	return process_set_cred(fsc_actor(fsc), uid, gid, NULL, 0);
}

static void own_umask(struct fsc *fsc, uint32_t mask)
{
	atomic_store_u32_relaxed(&fsc_actor(fsc)->umask, mask);
}

static void own_check(struct fsc *fsc, bool ok, int64_t got, int64_t wanted, const char *what, const char *file,
		      int line)
{
	(void)ok;
	test_check_eq(((struct state *)fsc->state)->run, got, wanted, what, file, line);
}

static err_t own_other_lock(struct fsc *fsc, const char *path, uint32_t command, struct tb_lock *lock)
{
	struct state *state = fsc->state;
	err_t err = 0;

	if (state->other == NULL) {
		err = process_create("other", state->process, &state->other);
		if (err == 0)
			err = vfs_open(state->other, TB_AT_FDCWD, path, TB_O_RDWR, 0, &state->other_fd);
	}
	return err != 0 ? err : vfs_lock(state->other, state->other_fd, command, lock);
}

static err_t own_other_end(struct fsc *fsc)
{
	struct state *state = fsc->state;
	if (state->other != NULL)
		process_put(state->other);
	state->other = NULL;
	return 0;
}

static const struct fsc_calls kernel_calls = FSC_CALLS(own);

// One body in a process and on a filesystem of its own; both must go without a rest.
static void conform(TEST_RUN, const char *source, const char *type, const char *options, void (*body)(struct fsc *fsc))
{
	struct state state = {.run = test_run_};
	struct fsc fsc = {.calls = &kernel_calls, .state = &state};
	struct process *monitor = vfs_monitor_process();

	REQUIRE(vfs_mkdir(monitor, TB_AT_FDCWD, "/conform", 0755) == 0);
	CHECK_EQ(vfs_mount(monitor, source, "/conform", type, 0, options, NULL), 0);
	CHECK_EQ(process_create("conform", monitor, &state.process), 0);
	CHECK_EQ(vfs_mkdir(state.process, TB_AT_FDCWD, "/conform/work", 0755), 0);
	CHECK_EQ(vfs_chdir(state.process, "/conform/work"), 0);
	body(&fsc);
	process_put(state.process);
	CHECK_EQ(vfs_umount(monitor, "/conform", 0), 0);
	CHECK_EQ(vfs_unlink(monitor, TB_AT_FDCWD, "/conform", TB_AT_REMOVEDIR), 0);
}

#define X(name)                                                                                                        \
	TEST(fs_conform, name)                                                                                         \
	{                                                                                                              \
		conform(test_run_, "conform", "tmpfs", "mode=755", fsc_##name);                                        \
	}
FSC_BODIES(X)
#undef X

// The same over cached pages, where a file may be evicted at any time.
#define X(name)                                                                                                        \
	TEST(fs_cached, name)                                                                                          \
	{                                                                                                              \
		CHECK_EQ(testfs_register(), 0);                                                                        \
		conform(test_run_, "conform", "testfs", "4", fsc_##name);                                              \
		testfs_unregister();                                                                                   \
	}
FSC_CACHED_BODIES(X)
#undef X

// And on PXFS: what it says of itself must hold at the end.
static void conform_pxfs(TEST_RUN, const struct pxfs_format_params *params, uint32_t block_bytes,
			 void (*body)(struct fsc *fsc))
{
	struct block_device *disk = NULL;
	struct pxfs_check_report report;
	const char *problem = NULL;

	REQUIRE(ramdisk_create(MIB(64), 512, block_bytes, &disk) == 0);
	CHECK_EQ(pxfs_format(block_name(disk), params, &problem), 0);
	conform(test_run_, block_name(disk), "pxfs", "", body);
	CHECK_EQ(pxfs_check_volume(block_name(disk), PXFS_CHECK_DATA, NULL, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
	CHECK_EQ(block_remove(disk), 0);
}

#define X(name)                                                                                                        \
	TEST(fs_pxfs, name)                                                                                            \
	{                                                                                                              \
		conform_pxfs(test_run_, &(struct pxfs_format_params){.copies = 2}, 4096, fsc_##name);                  \
	}
FSC_BODIES(X)
#undef X

// Every method and level that differs, every size of clusters that takes another way, and disks of small and of large blocks.
static void conform_cell(TEST_RUN, uint32_t cell, void (*body)(struct fsc *fsc))
{
	static const struct pxfs_format_params methods[] = {{.method = PXFS_METHOD_LZ4},
							    {.method = PXFS_METHOD_ZSTD, .level = 1},
							    {.method = PXFS_METHOD_ZSTD, .level = 3},
							    {.method = PXFS_METHOD_ZSTD, .level = 19},
							    {.method = PXFS_METHOD_NONE}};
	static const uint32_t clusters[] = {KIB(16), KIB(64), MIB(1)}, blocks[] = {512, 4096};
	struct pxfs_format_params params = methods[cell % 5];

	params.cluster_bytes = clusters[cell / 5 % 3];
	params.copies = 1 + cell % 2;
	conform_pxfs(test_run_, &params, blocks[cell / 15 % 2], body);
}

#define CELLS 30u

// One cell a body, another one with each seed.
#define X(name)                                                                                                        \
	TEST(fs_pxfs_cell, name)                                                                                       \
	{                                                                                                              \
		struct rand_stream rand;                                                                               \
		rand_open(&rand, "cell: " #name, 0);                                                                   \
		conform_cell(test_run_, rand_below(&rand, CELLS), fsc_##name);                                         \
	}
FSC_BODIES(X)
#undef X

#define X(name)                                                                                                        \
	TEST_WITH(fs_pxfs_matrix, name, 0, TEST_SLOW, NULL)                                                            \
	{                                                                                                              \
		for (uint32_t cell = 0; cell < CELLS; cell++)                                                          \
			conform_cell(test_run_, cell, fsc_##name);                                                     \
	}
FSC_BODIES(X)
#undef X
