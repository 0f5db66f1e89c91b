// SPDX-License-Identifier: MIT
//
// Who reads while epochs close: readers take no part in an epoch, so they see nodes at every moment of a checkpoint, and may not take one for another.
#include "kern/block.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/vfs.h"

#include "../../support/memdisk.h"

#define DISK_BYTES MIB(16)
#define READERS 3u
#define READS 60u

struct reading {
	struct test_run *run;
	uint32_t left; // atomic: readers
};

static void disk_start(struct block_command *command)
{
	(void)memdisk_copy(command, block_data(command->device));
	block_command_done(command, 0);
}

static const struct block_driver disk_driver = {.model = "memory", .start = disk_start};

static struct process *root(void)
{
	return vfs_monitor_process();
}

// An attribute lies in the tree and nowhere else, so each look is one at nodes.
static void reader_main(void *arg)
{
	struct reading *reading = arg;

	for (uint32_t i = 0; i < READS; i++) {
		uint64_t value = 0;
		size_t size = sizeof value;
		err_t err = vfs_getxattr(root(), TB_AT_FDCWD, "/v/f", 0, "user.a", &value, &size);
		test_check_eq(reading->run, err, 0, "an attribute that is there", __FILE__, __LINE__);
		test_check(reading->run, size == sizeof value, "its size", __FILE__, __LINE__);
		thread_yield();
	}
	(void)atomic_fetch_sub_u32_acq_rel(&reading->left, 1);
}

static void epochs_close(TEST_RUN, struct reading *reading)
{
	int32_t fd = -1;

	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/v/f", TB_O_RDWR, 0, &fd), 0);
	for (uint64_t i = 0; atomic_load_u32_acquire(&reading->left) != 0; i++) {
		CHECK_EQ(vfs_setxattr(root(), TB_AT_FDCWD, "/v/f", 0, "user.a", &i, sizeof i, 0), 0);
		CHECK_EQ(vfs_fsync(root(), fd), 0);
	}
	CHECK_EQ(vfs_close(root(), fd), 0);
}

static void readers_run(TEST_RUN)
{
	struct reading reading = {.run = test_run_, .left = READERS};
	struct thread_params params = {.name = "reader", .klass = CLASS_FAIR};
	struct thread *readers[READERS];
	uint64_t value = 0;
	int32_t fd = -1;

	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/v/f", TB_O_RDWR | TB_O_CREAT, 0644, &fd), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_setxattr(root(), TB_AT_FDCWD, "/v/f", 0, "user.a", &value, sizeof value, 0), 0);
	for (uint32_t i = 0; i < READERS; i++)
		REQUIRE(thread_start(&params, reader_main, &reading, &readers[i]) == 0);
	epochs_close(test_run_, &reading);
	for (uint32_t i = 0; i < READERS; i++)
		CHECK_EQ(thread_join(readers[i], NULL), 0);
}

TEST_CPUS(pxfs_file, reading_while_epochs_close, 2)
{
	struct block_limits limits = memdisk_limits(DISK_BYTES);
	uint8_t *bytes = range_alloc(DISK_BYTES, MEM_ZERO, NULL);
	struct block_device *device = NULL;
	const char *problem = NULL;

	REQUIRE(bytes != NULL);
	REQUIRE(block_add("mem%", &disk_driver, &limits, bytes, &device) == 0);
	CHECK_EQ(pxfs_format(block_name(device), &(struct pxfs_format_params){.copies = 2}, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755), 0);
	CHECK_EQ(vfs_mount(root(), block_name(device), "/v", "pxfs", 0, "", NULL), 0);
	readers_run(test_run_);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(device), 0);
	range_free(bytes);
}
