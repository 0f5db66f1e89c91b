// SPDX-License-Identifier: MIT
//
// A disk that loses, when the power goes, all that neither FLUSH nor FUA has covered: what had returned as durable is there.
#include "kern/block.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/vfs.h"

#include "../../support/memdisk.h"

#define DISK_BYTES MIB(8)

struct losing {
	struct block_device *device;
	uint8_t *cached, *durable;
};

static void losing_start(struct block_command *command)
{
	struct losing *disk = block_data(command->device);

	(void)memdisk_copy(command, disk->cached);
	if (command->op == BLOCK_WRITE && (command->flags & BLOCK_FUA) != 0)
		(void)memdisk_copy(command, disk->durable);
	if (command->op == BLOCK_FLUSH)
		memcpy(disk->durable, disk->cached, DISK_BYTES);
	block_command_done(command, 0);
}

static const struct block_driver losing_driver = {.model = "losing disk", .start = losing_start};

static struct process *root(void)
{
	return vfs_monitor_process();
}

static err_t mount(struct losing *disk, const char *options)
{
	return vfs_mount(root(), block_name(disk->device), "/v", "pxfs", 0, options, NULL);
}

static bool losing_make(struct losing *disk)
{
	struct block_limits limits = memdisk_limits(DISK_BYTES);
	const char *problem = NULL;

	*disk = (struct losing){.cached = range_alloc(DISK_BYTES, MEM_ZERO, NULL),
				.durable = range_alloc(DISK_BYTES, MEM_ZERO, NULL)};
	return disk->cached != NULL && disk->durable != NULL &&
	       block_add("losing%", &losing_driver, &limits, disk, &disk->device) == 0 &&
	       pxfs_format(block_name(disk->device), &(struct pxfs_format_params){.copies = 0}, &problem) == 0 &&
	       vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755) == 0;
}

static void losing_end(TEST_RUN, struct losing *disk)
{
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(disk->device), 0);
	range_free(disk->cached);
	range_free(disk->durable);
}

static void power_cut(struct losing *disk)
{
	memcpy(disk->cached, disk->durable, DISK_BYTES);
}

TEST(pxfs_durable, what_was_unmounted)
{
	struct losing disk;
	REQUIRE(losing_make(&disk));
	power_cut(&disk);
	CHECK_EQ(mount(&disk, ""), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v/d", 0755), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	power_cut(&disk);
	CHECK_EQ(mount(&disk, ""), 0);
	CHECK_EQ(vfs_access(root(), TB_AT_FDCWD, "/v/d", TB_F_OK, 0), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	losing_end(test_run_, &disk);
}

TEST(pxfs_durable, a_snapshot_that_was_taken)
{
	struct losing disk;
	struct tb_pxfs_names names = {.name = "s"};
	REQUIRE(losing_make(&disk));
	CHECK_EQ(mount(&disk, ""), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v/d", 0755), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(pxfs_subvolume(block_name(disk.device), TB_PXFS_SNAPSHOT, &names, NULL), 0);
	power_cut(&disk);
	CHECK_EQ(mount(&disk, "subvol=s"), 0);
	CHECK_EQ(vfs_access(root(), TB_AT_FDCWD, "/v/d", TB_F_OK, 0), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	losing_end(test_run_, &disk);
}
