// SPDX-License-Identifier: MIT
//
// Epochs that are closed because a volume is full, while others make and remove names: whenever a superblock has been written, what lies on the disk is whole.
#include "hal/hal.h"
#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/timer.h"
#include "kern/vfs.h"

#include "../../support/memdisk.h"

#define DISK_BYTES MIB(8)
#define KEPT 4u
#define MAKERS 2u

// Keeps the disk as it is behind the last writes of superblocks.
struct epochdisk {
	struct block_device *device;
	uint8_t *bytes, *kept[KEPT];
	uint32_t count, keeps; // keeps: atomic
};

static void epochdisk_start(struct block_command *command)
{
	struct epochdisk *disk = block_data(command->device);

	(void)memdisk_copy(command, disk->bytes);
	if (command->op == BLOCK_WRITE && (command->flags & BLOCK_FUA) != 0 &&
	    atomic_load_u32_acquire(&disk->keeps) != 0)
		memcpy(disk->kept[disk->count++ % KEPT], disk->bytes, DISK_BYTES);
	block_command_done(command, 0);
}

static const struct block_driver epochdisk_driver = {.model = "epoch disk", .start = epochdisk_start};

static struct process *root(void)
{
	return vfs_monitor_process();
}

static bool epochdisk_make(struct epochdisk *disk)
{
	struct block_limits limits = memdisk_limits(DISK_BYTES);
	const char *problem = NULL;
	bool all = true;

	*disk = (struct epochdisk){.bytes = range_alloc(DISK_BYTES, MEM_ZERO, NULL)};
	for (uint32_t i = 0; i < KEPT; i++) {
		disk->kept[i] = range_alloc(DISK_BYTES, 0, NULL);
		all = all && disk->kept[i] != NULL;
	}
	return all && disk->bytes != NULL &&
	       block_add("epoch%", &epochdisk_driver, &limits, disk, &disk->device) == 0 &&
	       pxfs_format(block_name(disk->device), &(struct pxfs_format_params){.copies = 1}, &problem) == 0 &&
	       vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755) == 0 &&
	       vfs_mount(root(), block_name(disk->device), "/v", "pxfs", 0, "", NULL) == 0;
}

static void say(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

struct makers {
	struct test_run *run;
	uint32_t next, stop; // atomic
};

static void maker_main(void *arg)
{
	struct makers *makers = arg;
	uint32_t number = atomic_fetch_add_u32_relaxed(&makers->next, 1);
	struct rand_stream rand;
	char path[32];

	rand_open(&rand, "epoch: maker", number);
	while (atomic_load_u32_acquire(&makers->stop) == 0) {
		ksnprintf(path, sizeof path, "/v/m%u-%u", number, rand_below(&rand, 8));
		err_t err = rand_below(&rand, 2) == 0 ? vfs_mknod(root(), TB_AT_FDCWD, path, TB_S_IFREG | 0644, 0)
						      : vfs_unlink(root(), TB_AT_FDCWD, path, 0);
		test_check(makers->run, err == 0 || err == -EEXIST || err == -ENOENT || err == -ENOSPC, "a name",
			   __FILE__, __LINE__);
		sleep_ns(rand_below(&rand, 60000));
	}
}

// Writes until it is full, and again, which closes epochs for room.
static void fill(TEST_RUN, uint32_t rounds)
{
	uint8_t *bytes = kmalloc(60000, 0);
	struct rand_stream rand;
	size_t done = 0;
	int32_t fd = -1;

	REQUIRE(bytes != NULL);
	rand_open(&rand, "epoch: fill", 0);
	rand_fill(&rand, bytes, 60000);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/v/full", TB_O_RDWR | TB_O_CREAT, 0644, &fd), 0);
	for (uint32_t round = 0; round < rounds; round++) {
		err_t err = 0;
		for (uint64_t at = 0; err == 0; at += 60000)
			err = vfs_pwrite(root(), fd, bytes, 60000, at, &done);
		CHECK_EQ(err, -ENOSPC);
		CHECK_EQ(vfs_ftruncate(root(), fd, (int64_t)rand_below(&rand, 4000000)), 0);
	}
	CHECK_EQ(vfs_close(root(), fd), 0);
	kfree(bytes);
}

TEST(pxfs_epoch, a_full_volume_closes_whole_ones)
{
	struct thread_params params = {.name = "maker", .klass = CLASS_FAIR};
	struct makers makers = {.run = test_run_};
	struct thread *threads[MAKERS];
	struct epochdisk disk;
	struct pxfs_check_report report;
	const char *problem = NULL;
	REQUIRE(epochdisk_make(&disk));
	for (uint32_t i = 0; i < MAKERS; i++)
		CHECK_EQ(thread_start(&params, maker_main, &makers, &threads[i]), 0);
	atomic_store_u32_release(&disk.keeps, 1);
	fill(test_run_, CONFIG_TSAN ? 1 : 3);
	atomic_store_u32_release(&disk.keeps, 0);
	atomic_store_u32_release(&makers.stop, 1);
	for (uint32_t i = 0; i < MAKERS; i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	for (uint32_t i = 0; i < MIN(disk.count, KEPT); i++) {
		memcpy(disk.bytes, disk.kept[i], DISK_BYTES);
		CHECK_EQ(pxfs_check_volume(block_name(disk.device), 0, say, NULL, &report, &problem), 0);
		CHECK_EQ(report.problems, 0);
	}
	CHECK(disk.count > 2);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(disk.device), 0);
	for (uint32_t i = 0; i < KEPT; i++)
		range_free(disk.kept[i]);
	range_free(disk.bytes);
}
