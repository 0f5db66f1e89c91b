// SPDX-License-Identifier: MIT
//
// Loop devices: over files of tmpfs and of PXFS, what they refuse, what a file does to them that is cut or cannot grow, and PXFS in a file of PXFS.
#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/loop.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/page_cache.h"
#include "kern/pxfs.h"
#include "kern/rand.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/tunable.h"
#include "kern/vfs.h"

static struct process *root(void)
{
	return vfs_monitor_process();
}

static err_t file_make(const char *path, int64_t size_bytes)
{
	int32_t fd = -1;
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd);

	if (err != 0)
		return err;
	err = vfs_ftruncate(root(), fd, size_bytes);
	err_t closed = vfs_close(root(), fd);
	return err != 0 ? err : closed;
}

static err_t loop_open(const struct loop_params *params, struct block_device **out)
{
	char name[BLOCK_NAME_SIZE];
	err_t err = loop_create(root(), params, name);
	return err == 0 ? block_open(name, false, NULL, out) : err;
}

static err_t loop_close(struct block_device *device)
{
	char name[BLOCK_NAME_SIZE];

	memcpy(name, block_name(device), sizeof name);
	block_close(device, false);
	return loop_remove(name);
}

TEST(loop, is_a_range_of_the_file)
{
	struct loop_params params = {.path = "/f", .offset_bytes = 4096, .size_bytes = 8192, .logical_bytes = 1024};
	struct block_device *device = NULL;
	uint8_t *bytes = kmalloc(16384, 0);
	size_t done = 0;
	int32_t fd = -1;

	REQUIRE(bytes != NULL && file_make("/f", 16384) == 0 && loop_open(&params, &device) == 0);
	CHECK(block_sectors(device) == 16 && block_logical_bytes(device) == 1024);
	memset(bytes, 0x77, 16384);
	CHECK_EQ(block_write(device, 0, bytes, 8192, BLOCK_FUA), 0);
	CHECK_EQ(block_write(device, 14, bytes, 2048, 0), -EIO);
	CHECK_EQ(block_write(device, 1, bytes, 1024, 0), -EINVAL);
	CHECK_EQ(block_zero(device, 2, 2, 0), 0);
	CHECK_EQ(block_discard(device, 8, 8), 0);
	CHECK_EQ(block_flush(device), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/f", TB_O_RDWR, 0, &fd), 0);
	CHECK(vfs_pread(root(), fd, bytes, 16384, 0, &done) == 0 && done == 16384);
	CHECK(bytes[4095] == 0 && bytes[4096] == 0x77 && bytes[5119] == 0x77 && bytes[5120] == 0 && bytes[6143] == 0 &&
	      bytes[6144] == 0x77 && bytes[8191] == 0x77 && bytes[8192] == 0 && bytes[12288] == 0);
	bytes[0] = 0x88; // what the file is given the device has
	CHECK_EQ(vfs_pwrite(root(), fd, bytes, 1, 4096, &done), 0);
	CHECK(block_read(device, 0, bytes, 1024) == 0 && bytes[0] == 0x88 && bytes[1] == 0x77);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(block_check(), 0);
	CHECK_EQ(loop_close(device), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/f", 0), 0);
	kfree(bytes);
}

TEST(loop, refuses_what_it_cannot_be)
{
	struct block_device *device = NULL;
	struct loop_info info;
	uint8_t bytes[512] = {0};

	REQUIRE(file_make("/f", 10000) == 0);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/none"}, &device), -ENOENT);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/"}, &device), -EISDIR);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/f", .logical_bytes = 1000}, &device), -EINVAL);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/f", .logical_bytes = 1u << 20}, &device), -EINVAL);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/f", .physical_bytes = 256}, &device), -EINVAL);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/f", .offset_bytes = 100}, &device), -EINVAL);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/f", .size_bytes = 100}, &device), -EINVAL);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/f", .size_bytes = 10240}, &device), -EOVERFLOW);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/f", .offset_bytes = 10240}, &device), -EOVERFLOW);
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/f", .offset_bytes = 9728}, &device), -EINVAL); // 272 bytes
	CHECK_EQ(loop_open(&(struct loop_params){.path = "/f", .read_only = true}, &device), 0);
	CHECK_EQ(block_sectors(device), 19);
	CHECK_EQ(block_write(device, 0, bytes, sizeof bytes, 0), -EROFS);
	CHECK_EQ(block_flush(device), 0);
	CHECK(loop_info_at(0, &info) && str_equal(info.path, "/f") && info.read_only && info.size_bytes == 9728);
	CHECK(!loop_info_at(1, &info));
	CHECK_EQ(loop_remove(block_name(device)), -EBUSY);
	CHECK_EQ(loop_remove("ram0"), -ENODEV);
	CHECK_EQ(loop_close(device), 0);
	CHECK(!loop_info_at(0, &info));
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/f", 0), 0);
}

// What a cut file has lost is an error, and no write brings it back as zeroes.
TEST(loop, a_file_that_is_cut)
{
	struct block_device *device = NULL;
	struct tb_stat stat;
	uint8_t bytes[4096];

	REQUIRE(file_make("/f", 65536) == 0 && loop_open(&(struct loop_params){.path = "/f"}, &device) == 0);
	memset(bytes, 0x11, sizeof bytes);
	CHECK_EQ(block_write(device, 0, bytes, sizeof bytes, 0), 0);
	CHECK_EQ(vfs_truncate(root(), TB_AT_FDCWD, "/f", 6000), 0);
	CHECK_EQ(block_read(device, 0, bytes, sizeof bytes), 0);
	CHECK_EQ(bytes[4095], 0x11);
	CHECK_EQ(block_read(device, 8, bytes, sizeof bytes), -EIO);
	CHECK_EQ(block_read(device, 64, bytes, sizeof bytes), -EIO);
	CHECK_EQ(block_write(device, 64, bytes, sizeof bytes, 0), -EIO);
	CHECK_EQ(block_zero(device, 64, 8, 0), -EIO);
	CHECK_EQ(block_discard(device, 64, 8), -EIO);
	CHECK_EQ(block_flush(device), 0);
	CHECK(vfs_stat(root(), TB_AT_FDCWD, "/f", 0, &stat) == 0 && stat.size_bytes == 6000);
	CHECK_EQ(loop_close(device), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/f", 0), 0);
}

// A file that was deleted stays for the device; one whose filesystem is full says so.
TEST(loop, errors_of_the_file_are_the_device_s)
{
	struct block_device *device = NULL;
	uint8_t *bytes = kmalloc(MIB(1), MEM_ZERO);

	REQUIRE(bytes != NULL);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/t", 0755), 0);
	CHECK_EQ(vfs_mount(root(), "t", "/t", "tmpfs", 0, "size=256K", NULL), 0);
	REQUIRE(file_make("/t/f", MIB(1)) == 0 && loop_open(&(struct loop_params){.path = "/t/f"}, &device) == 0);
	CHECK_EQ(vfs_umount(root(), "/t", 0), -EBUSY);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/t/f", 0), 0);
	memset(bytes, 0x22, MIB(1));
	CHECK_EQ(block_write(device, 0, bytes, MIB(1), 0), -ENOSPC);
	CHECK_EQ(block_discard(device, 0, MIB(1) >> SECTOR_SHIFT), 0);
	CHECK_EQ(block_write(device, 0, bytes, KIB(128), 0), 0);
	memset(bytes, 0, KIB(128));
	CHECK(block_read(device, 0, bytes, KIB(128)) == 0 && bytes[KIB(128) - 1] == 0x22);
	CHECK_EQ(loop_close(device), 0);
	CHECK_EQ(vfs_umount(root(), "/t", 0), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/t", TB_AT_REMOVEDIR), 0);
	kfree(bytes);
}

// ---- filesystems in files ---------------------------------------------------------------------------------------------------------

#define FILES 12u
#define FILE_BYTES 100000u

static void file_fill(uint8_t *bytes, uint32_t number)
{
	struct rand_stream rand;

	rand_open(&rand, "loop: file", number);
	rand_fill(&rand, bytes, FILE_BYTES / 2);
	memset(bytes + FILE_BYTES / 2, (int)number, FILE_BYTES - FILE_BYTES / 2);
}

static void files_write(TEST_RUN, uint8_t *bytes, const char *dir)
{
	char path[32];
	size_t done = 0;
	int32_t fd = -1;

	for (uint32_t i = 0; i < FILES; i++) {
		(void)ksnprintf(path, sizeof path, "%s/f%u", dir, i);
		file_fill(bytes, i);
		CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd), 0);
		CHECK(vfs_write(root(), fd, bytes, FILE_BYTES, &done) == 0 && done == FILE_BYTES);
		CHECK_EQ(vfs_close(root(), fd), 0);
	}
	CHECK_EQ(vfs_sync(), 0);
}

static void files_compare(TEST_RUN, uint8_t *bytes, const char *dir)
{
	uint8_t *read = kmalloc(FILE_BYTES, 0);
	char path[32];
	size_t done = 0;
	int32_t fd = -1;

	REQUIRE(read != NULL);
	for (uint32_t i = 0; i < FILES; i++) {
		(void)ksnprintf(path, sizeof path, "%s/f%u", dir, i);
		file_fill(bytes, i);
		CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd), 0);
		CHECK(vfs_read(root(), fd, read, FILE_BYTES, &done) == 0 && done == FILE_BYTES);
		CHECK(memcmp(read, bytes, FILE_BYTES) == 0);
		CHECK_EQ(vfs_close(root(), fd), 0);
	}
	kfree(read);
}

static void say(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

static void volume_is_sound(TEST_RUN, const char *device)
{
	struct pxfs_check_report report = {.problems = 9};
	const char *problem = NULL;

	CHECK_EQ(pxfs_check_volume(device, PXFS_CHECK_DATA, say, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
}

// Makes a volume in a file of `dir`, fills it, checks it between two mounts.
static void volume_in_a_file(TEST_RUN, const char *file, uint32_t logical_bytes)
{
	struct loop_params params = {.path = file, .logical_bytes = logical_bytes};
	uint8_t *bytes = kmalloc(FILE_BYTES, 0);
	char name[BLOCK_NAME_SIZE];
	const char *problem = NULL;

	REQUIRE(bytes != NULL && file_make(file, MIB(8)) == 0 && loop_create(root(), &params, name) == 0);
	CHECK_EQ(pxfs_format(name, &(struct pxfs_format_params){.label = "inner"}, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/inner", 0755), 0);
	CHECK_EQ(vfs_mount(root(), name, "/inner", "pxfs", 0, "", NULL), 0);
	files_write(test_run_, bytes, "/inner");
	CHECK_EQ(loop_remove(name), -EBUSY);
	CHECK_EQ(vfs_umount(root(), "/inner", 0), 0);
	volume_is_sound(test_run_, name);
	CHECK_EQ(loop_remove(name), 0);
	REQUIRE(loop_create(root(), &params, name) == 0);
	CHECK_EQ(vfs_mount(root(), name, "/inner", "pxfs", 0, "", NULL), 0);
	files_compare(test_run_, bytes, "/inner");
	CHECK_EQ(vfs_umount(root(), "/inner", 0), 0);
	CHECK_EQ(loop_remove(name), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/inner", TB_AT_REMOVEDIR), 0);
	kfree(bytes);
}

TEST(loop, pxfs_in_a_file_of_tmpfs)
{
	volume_in_a_file(test_run_, "/image", 4096);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/image", 0), 0);
}

static uint64_t writes_of(struct block_device *disk)
{
	struct block_info info;

	block_device_info(disk, &info);
	return info.stats.requests[BLOCK_WRITE];
}

// A FLUSH of the loop is an fsync of its file.
static void flush_reaches_the_disk(TEST_RUN, struct block_device *disk)
{
	struct block_device *loop = NULL;
	uint8_t bytes[4096];

	REQUIRE(file_make("/outer/flushed", 65536) == 0);
	REQUIRE(loop_open(&(struct loop_params){.path = "/outer/flushed"}, &loop) == 0);
	CHECK_EQ(block_flush(loop), 0);
	uint64_t before = writes_of(disk);
	memset(bytes, 0x3c, sizeof bytes);
	CHECK_EQ(block_write(loop, 0, bytes, sizeof bytes, 0), 0);
	CHECK_EQ(block_flush(loop), 0);
	CHECK(writes_of(disk) > before);
	CHECK_EQ(loop_close(loop), 0);
}

TEST(loop, pxfs_in_a_file_of_pxfs)
{
	struct block_device *disk = NULL;
	const char *problem = NULL;

	REQUIRE(ramdisk_create(MIB(16), 0, 0, &disk) == 0);
	CHECK_EQ(pxfs_format(block_name(disk), &(struct pxfs_format_params){.label = "outer"}, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/outer", 0755), 0);
	CHECK_EQ(vfs_mount(root(), block_name(disk), "/outer", "pxfs", 0, "", NULL), 0);
	flush_reaches_the_disk(test_run_, disk);
	volume_in_a_file(test_run_, "/outer/image", 0);
	CHECK_EQ(vfs_umount(root(), "/outer", 0), 0);
	volume_is_sound(test_run_, block_name(disk));
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/outer", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(disk), 0);
}

static uint64_t tunable_change(TEST_RUN, const char *name, uint64_t value)
{
	const struct tunable *tunable = tunable_find(name);
	uint64_t before = tunable != NULL ? tunable->get() : 0;

	CHECK(tunable != NULL && tunable->set(value) == 0);
	return before;
}

// More than may be dirty goes through both page caches: the loop's thread waits for the flusher of its own filesystem, never for that of the one above.
TEST(loop, writers_wait_above_and_below)
{
	struct loop_params params = {.path = "/outer/image"};
	struct pxfs_format_params plain = {.method = PXFS_METHOD_NONE};
	struct block_device *disk = NULL;
	struct cache_info before, after;
	uint8_t *bytes = kmalloc(MIB(1), MEM_ZERO);
	char name[BLOCK_NAME_SIZE];
	const char *problem = NULL;
	size_t done = 0;
	int32_t fd = -1;

	REQUIRE(bytes != NULL && ramdisk_create(MIB(64), 0, 0, &disk) == 0);
	cache_get_info(&before);
	CHECK_EQ(pxfs_format(block_name(disk), &(struct pxfs_format_params){.copies = 1}, &problem), 0);
	CHECK(vfs_mkdir(root(), TB_AT_FDCWD, "/outer", 0755) == 0 &&
	      vfs_mkdir(root(), TB_AT_FDCWD, "/inner", 0755) == 0);
	CHECK_EQ(vfs_mount(root(), block_name(disk), "/outer", "pxfs", 0, "", NULL), 0);
	REQUIRE(file_make("/outer/image", MIB(24)) == 0 && loop_create(root(), &params, name) == 0);
	CHECK_EQ(pxfs_format(name, &plain, &problem), 0);
	CHECK_EQ(vfs_mount(root(), name, "/inner", "pxfs", 0, "", NULL), 0);
	uint64_t background = tunable_change(test_run_, "vm.dirty_background_percent", 0);
	uint64_t limit = tunable_change(test_run_, "vm.dirty_percent", 1);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/inner/f", TB_O_RDWR | TB_O_CREAT, 0644, &fd), 0);
	for (uint32_t i = 0; i < 6; i++) {
		bytes[i] = 1; // a MiB that packs well below, and not at all above
		CHECK(vfs_pwrite(root(), fd, bytes, MIB(1), i * MIB(1), &done) == 0 && done == MIB(1));
	}
	CHECK_EQ(vfs_close(root(), fd), 0);
	(void)tunable_change(test_run_, "vm.dirty_background_percent", background);
	(void)tunable_change(test_run_, "vm.dirty_percent", limit);
	CHECK_EQ(vfs_umount(root(), "/inner", 0), 0);
	cache_get_info(&after);
	CHECK(after.throttled != before.throttled);
	volume_is_sound(test_run_, name);
	CHECK_EQ(loop_remove(name), 0);
	CHECK_EQ(vfs_umount(root(), "/outer", 0), 0);
	CHECK(vfs_unlink(root(), TB_AT_FDCWD, "/outer", TB_AT_REMOVEDIR) == 0 &&
	      vfs_unlink(root(), TB_AT_FDCWD, "/inner", TB_AT_REMOVEDIR) == 0);
	CHECK_EQ(block_remove(disk), 0);
	kfree(bytes);
}
