// SPDX-License-Identifier: MIT
//
// The filesystem bodies over the kernel's VFS, on a tmpfs of their own.
#include "own_calls.h"

#include "testfs.h"

#include "kern/block.h"
#include "kern/pxfs.h"

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

// And on PXFS, mounted anew in the middle of its life by nobody: what it says of itself must hold at the end.
static void conform_pxfs(TEST_RUN, const struct pxfs_format_params *params, uint32_t block_bytes,
			 void (*body)(struct fsc *fsc))
{
	struct block_device *disk = NULL;
	const char *problem = NULL;

	REQUIRE(ramdisk_create(MIB(64), 512, block_bytes, &disk) == 0);
	CHECK_EQ(pxfs_format(block_name(disk), params, &problem), 0);
	conform(test_run_, block_name(disk), "pxfs", "", body);
	CHECK_EQ(block_remove(disk), 0);
}

#define X(name)                                                                                                        \
	TEST(fs_pxfs, name)                                                                                            \
	{                                                                                                              \
		conform_pxfs(test_run_, &(struct pxfs_format_params){.copies = 2}, 4096, fsc_##name);                  \
	}
FSC_BODIES(X)
#undef X
