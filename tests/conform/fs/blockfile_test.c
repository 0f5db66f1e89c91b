// SPDX-License-Identifier: MIT
//
// Block special files: devfs shows what there is, any special file of the number leads to the device, and who has a device writes to it alone.
#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/fs.h"
#include "kern/mem.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/vfs.h"

#define BYTES 65536u

static struct process *root(void)
{
	return vfs_monitor_process();
}

static void dev_mount(TEST_RUN)
{
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/dev", 0755), 0);
	CHECK_EQ(vfs_mount(root(), "dev", "/dev", "devfs", 0, "", NULL), 0);
}

static void dev_unmount(TEST_RUN)
{
	CHECK_EQ(vfs_umount(root(), "/dev", 0), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/dev", TB_AT_REMOVEDIR), 0);
}

static err_t dev_open(const struct block_device *device, uint32_t flags, int32_t *fd)
{
	char path[32];

	(void)ksnprintf(path, sizeof path, "/dev/%s", block_name(device));
	return vfs_open(root(), TB_AT_FDCWD, path, flags, 0, fd);
}

static bool is_listed(const char *name)
{
	struct tb_dirent entry;
	uint32_t count = 1;
	bool found = false;
	int32_t fd = -1;

	if (vfs_open(root(), TB_AT_FDCWD, "/dev", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) != 0)
		return false;
	while (vfs_readdir(root(), fd, &entry, 1, &count) == 0 && count == 1)
		found = found || str_equal(entry.name, name);
	return vfs_close(root(), fd) == 0 && found;
}

TEST(fs_block, nodes_come_and_go)
{
	struct block_device *disk = NULL, *more = NULL;
	struct tb_stat stat;
	struct block_info info;
	int32_t fd = -1;

	dev_mount(test_run_);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/dev/ram0", 0, &stat), -ENOENT);
	REQUIRE(ramdisk_create(BYTES, 0, 0, &disk) == 0);
	CHECK(is_listed("ram0"));
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/dev/ram0", 0, &stat), 0);
	block_device_info(disk, &info);
	CHECK(stat.mode == (TB_S_IFBLK | 0660) && stat.rdev == device_number(info.major, info.minor));
	CHECK_EQ(vfs_chmod(root(), TB_AT_FDCWD, "/dev/ram0", 0600, 0), 0);
	REQUIRE(ramdisk_create(BYTES, 0, 0, &more) == 0);
	CHECK(is_listed("ram1"));
	CHECK(vfs_stat(root(), TB_AT_FDCWD, "/dev/ram0", 0, &stat) == 0 && (stat.mode & 07777) == 0600);
	CHECK_EQ(dev_open(disk, TB_O_RDWR, &fd), 0);
	CHECK_EQ(block_remove(disk), -EBUSY); // who has it open keeps it
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(block_remove(disk), 0);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/dev/ram0", 0, &stat), -ENOENT);
	CHECK(!is_listed("ram0") && is_listed("ram1"));
	// Another of the name is another file; one that somebody took away stays away; what somebody put there stays.
	REQUIRE(ramdisk_create(BYTES, 0, 0, &disk) == 0);
	CHECK(vfs_stat(root(), TB_AT_FDCWD, "/dev/ram0", 0, &stat) == 0 && (stat.mode & 07777) == 0660);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/dev/ram1", 0), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/dev/ram2", 0755), 0);
	CHECK_EQ(block_remove(more), 0);
	REQUIRE(ramdisk_create(BYTES, 0, 0, &more) == 0);
	CHECK(is_listed("ram1"));
	CHECK_EQ(vfs_rename(root(), TB_AT_FDCWD, "/dev/ram1", TB_AT_FDCWD, "/dev/moved", 0), 0);
	CHECK_EQ(block_remove(more), 0);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/dev/moved", 0, &stat), -ENOENT);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/dev/ram2", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(disk), 0);
	dev_unmount(test_run_);
}

static void ends_check(TEST_RUN, int32_t fd)
{
	uint8_t bytes[16];
	uint64_t at = 0;
	size_t done = 9;

	CHECK(vfs_seek(root(), fd, 0, TB_SEEK_END, &at) == 0 && at == BYTES);
	CHECK(vfs_seek(root(), fd, 7, TB_SEEK_DATA, &at) == 0 && at == 7);
	CHECK(vfs_seek(root(), fd, 7, TB_SEEK_HOLE, &at) == 0 && at == BYTES);
	CHECK_EQ(vfs_seek(root(), fd, BYTES, TB_SEEK_DATA, &at), -ENXIO);
	CHECK(vfs_pread(root(), fd, bytes, 16, BYTES - 5, &done) == 0 && done == 5);
	CHECK(vfs_pread(root(), fd, bytes, 16, BYTES, &done) == 0 && done == 0);
	CHECK(vfs_pwrite(root(), fd, bytes, 16, BYTES - 5, &done) == 0 && done == 5);
	CHECK_EQ(vfs_pwrite(root(), fd, bytes, 16, BYTES, &done), -ENOSPC);
	CHECK_EQ(vfs_pwrite(root(), fd, bytes, 16, INT64_MAX - 3, &done), -ENOSPC);
	CHECK_EQ(vfs_ftruncate(root(), fd, 5), -EINVAL);
}

TEST(fs_block, bytes_of_a_device)
{
	struct block_device *disk = NULL;
	uint8_t bytes[1000], sector[512];
	uint64_t at = 9;
	size_t done = 0;
	int32_t fd = -1, other = -1;

	dev_mount(test_run_);
	REQUIRE(ramdisk_create(BYTES, 0, 0, &disk) == 0);
	CHECK_EQ(dev_open(disk, TB_O_RDWR, &fd), 0);
	memset(bytes, 0x33, sizeof bytes);
	CHECK(vfs_seek(root(), fd, 300, TB_SEEK_SET, &at) == 0 && at == 300);
	CHECK(vfs_write(root(), fd, bytes, sizeof bytes, &done) == 0 && done == sizeof bytes);
	CHECK(vfs_seek(root(), fd, 0, TB_SEEK_CUR, &at) == 0 && at == 1300);
	CHECK_EQ(vfs_fsync(root(), fd), 0);
	// The device has it, and what it is given others see at once.
	CHECK_EQ(block_read(disk, 0, sector, sizeof sector), 0);
	CHECK(sector[299] == 0 && sector[300] == 0x33 && sector[511] == 0x33);
	memset(sector, 0x44, sizeof sector);
	CHECK_EQ(block_write(disk, 1, sector, sizeof sector, 0), 0);
	CHECK_EQ(vfs_mknod(root(), TB_AT_FDCWD, "/b", TB_S_IFBLK | 0600, device_number(BLOCK_MAJOR_RAM, 0)), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/b", TB_O_RDONLY, 0, &other), 0);
	CHECK(vfs_pread(root(), other, bytes, sizeof bytes, 500, &done) == 0 && done == sizeof bytes);
	CHECK(bytes[0] == 0x33 && bytes[12] == 0x44 && bytes[523] == 0x44 && bytes[524] == 0x33 && bytes[799] == 0x33 &&
	      bytes[800] == 0);
	CHECK_EQ(vfs_write(root(), other, bytes, 1, &done), -EBADF);
	CHECK_EQ(vfs_close(root(), other), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/b", 0), 0);
	ends_check(test_run_, fd);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_mknod(root(), TB_AT_FDCWD, "/b", TB_S_IFBLK | 0600, device_number(BLOCK_MAJOR_RAM, 500)), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/b", TB_O_RDONLY, 0, &fd), -ENXIO);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/b", 0), 0);
	CHECK_EQ(block_remove(disk), 0);
	dev_unmount(test_run_);
}

TEST(fs_block, requests)
{
	struct block_device *disk = NULL;
	uint64_t range[2] = {8192, 4096}, bytes64 = 0;
	uint32_t physical = 0;
	int32_t logical = 0, fd = -1, reader = -1, read_only = 9;
	uint8_t *bytes = kmalloc(BYTES, 0);
	size_t done = 0;

	REQUIRE(bytes != NULL);
	dev_mount(test_run_);
	REQUIRE(ramdisk_create(BYTES, 512, 8192, &disk) == 0);
	CHECK_EQ(dev_open(disk, TB_O_RDWR, &fd), 0);
	CHECK(vfs_ioctl(root(), fd, (uint32_t)TB_BLKGETSIZE64, &bytes64) == 0 && bytes64 == BYTES);
	CHECK(vfs_ioctl(root(), fd, TB_BLKGETSIZE, &bytes64) == 0 && bytes64 == BYTES / 512);
	CHECK(vfs_ioctl(root(), fd, TB_BLKSSZGET, &logical) == 0 && logical == 512);
	CHECK(vfs_ioctl(root(), fd, TB_BLKPBSZGET, &physical) == 0 && physical == 8192);
	CHECK(vfs_ioctl(root(), fd, TB_BLKROGET, &read_only) == 0 && read_only == 0);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_BLKFLSBUF, NULL), 0);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_BLKRRPART, NULL), 0);
	CHECK_EQ(vfs_ioctl(root(), fd, 0x5401, &logical), -ENOTTY);
	memset(bytes, 0x66, BYTES);
	CHECK(vfs_pwrite(root(), fd, bytes, BYTES, 0, &done) == 0 && done == BYTES);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_BLKZEROOUT, range), 0);
	CHECK(vfs_pread(root(), fd, bytes, BYTES, 0, &done) == 0 && done == BYTES);
	CHECK(bytes[8191] == 0x66 && bytes[8192] == 0 && bytes[12287] == 0 && bytes[12288] == 0x66);
	range[0] = 16384;
	CHECK_EQ(vfs_ioctl(root(), fd, TB_BLKDISCARD, range), 0);
	range[1] = 100;
	CHECK_EQ(vfs_ioctl(root(), fd, TB_BLKDISCARD, range), -EINVAL);
	range[1] = UINT64_MAX - 511;
	CHECK_EQ(vfs_ioctl(root(), fd, TB_BLKZEROOUT, range), -EINVAL);
	range[1] = 0;
	CHECK_EQ(vfs_ioctl(root(), fd, TB_BLKZEROOUT, range), 0);
	range[1] = 512;
	CHECK_EQ(dev_open(disk, TB_O_RDONLY, &reader), 0);
	CHECK_EQ(vfs_ioctl(root(), reader, TB_BLKZEROOUT, range), -EBADF);
	CHECK_EQ(vfs_close(root(), reader), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(block_remove(disk), 0);
	dev_unmount(test_run_);
	kfree(bytes);
}

// One that was open before somebody had the device is refused as well.
TEST(fs_block, one_who_has_it_writes_alone)
{
	struct block_device *disk = NULL, *had = NULL;
	uint64_t range[2] = {0, 512};
	uint8_t bytes[512] = {1};
	size_t done = 0;
	int32_t fd = -1;

	dev_mount(test_run_);
	REQUIRE(ramdisk_create(BYTES, 0, 0, &disk) == 0);
	CHECK_EQ(dev_open(disk, TB_O_RDWR, &fd), 0);
	CHECK_EQ(vfs_write(root(), fd, bytes, sizeof bytes, &done), 0);
	CHECK_EQ(block_open(block_name(disk), true, "test", &had), 0);
	CHECK_EQ(vfs_write(root(), fd, bytes, sizeof bytes, &done), -EBUSY);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_BLKZEROOUT, range), -EBUSY);
	CHECK(vfs_pread(root(), fd, bytes, 1, 0, &done) == 0 && done == 1 && bytes[0] == 1);
	block_close(had, true);
	CHECK_EQ(vfs_write(root(), fd, bytes, sizeof bytes, &done), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(block_remove(disk), 0);
	dev_unmount(test_run_);
}
