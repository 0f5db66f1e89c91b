// SPDX-License-Identifier: MIT
//
// Files of PXFS where the conformance body does not look: through unmounting and mounting, on full volumes, on disks that fail, and what the checker says each time.
#include "hal/hal.h"
#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/rand.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/vfs.h"

#include "../../../src/fs/pxfs/volume_impl.h"
#include "../../support/memdisk.h"

// A disk in memory whose writes fail from a certain one on.
struct faildisk {
	struct block_device *device;
	uint8_t *bytes;
	uint64_t size_bytes;
	uint32_t writes; // atomic: so far
	uint32_t good;   // that many go well, then
	uint32_t bad;    // that many fail, then all go well again
	bool reads_fail;
};

static void faildisk_start(struct block_command *command)
{
	struct faildisk *disk = block_data(command->device);
	bool write = command->op == BLOCK_WRITE;
	uint32_t number = write ? atomic_fetch_add_u32_relaxed(&disk->writes, 1) : 0;
	bool fails = write ? number >= disk->good && number - disk->good < disk->bad
			   : command->op == BLOCK_READ && disk->reads_fail;

	if (!fails)
		(void)memdisk_copy(command, disk->bytes);
	block_command_done(command, fails ? ERR(EIO) : 0);
}

static const struct block_driver faildisk_driver = {.model = "failing disk", .start = faildisk_start};

static bool disk_make(struct faildisk *disk, uint64_t size_bytes)
{
	struct block_limits limits = memdisk_limits(size_bytes);
	const char *problem = NULL;

	*disk = (struct faildisk){.bytes = range_alloc(size_bytes, MEM_ZERO, NULL),
				  .size_bytes = size_bytes,
				  .good = UINT32_MAX,
				  .bad = UINT32_MAX};
	if (disk->bytes == NULL || block_add("fail%", &faildisk_driver, &limits, disk, &disk->device) != 0)
		return false;
	return pxfs_format(block_name(disk->device), &(struct pxfs_format_params){.copies = 2}, &problem) == 0 &&
	       vfs_mkdir(vfs_monitor_process(), TB_AT_FDCWD, "/v", 0755) == 0;
}

static void disk_end(TEST_RUN, struct faildisk *disk)
{
	CHECK_EQ(vfs_unlink(vfs_monitor_process(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(disk->device), 0);
	range_free(disk->bytes);
}

static struct process *root(void)
{
	return vfs_monitor_process();
}

static err_t mount(struct faildisk *disk)
{
	return vfs_mount(root(), block_name(disk->device), "/v", "pxfs", 0, "", NULL);
}

static err_t umount(void)
{
	return vfs_umount(root(), "/v", 0);
}

static void say(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

static uint64_t problems_of(struct faildisk *disk)
{
	struct pxfs_check_report report;
	const char *problem = NULL;
	err_t err = pxfs_check_volume(block_name(disk->device), PXFS_CHECK_DATA, say, NULL, &report, &problem);

	if (err != 0)
		log_err("fsck: %pe: %s", ERR_PTR(err), problem != NULL ? problem : "");
	return err != 0 ? UINT64_MAX : report.problems;
}

static void check_flags(TEST_RUN, struct faildisk *disk, uint32_t flags, uint64_t problems, uint64_t repaired)
{
	struct pxfs_check_report report;
	const char *problem = NULL;

	CHECK_EQ(pxfs_check_volume(block_name(disk->device), flags, say, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, problems);
	CHECK_EQ(report.repaired, repaired);
}

static err_t put(const char *path, uint64_t offset, const void *bytes, size_t size)
{
	size_t done = 0;
	int32_t fd = -1;
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd);

	if (err != 0)
		return err;
	err = vfs_pwrite(root(), fd, bytes, size, offset, &done);
	err_t closed = vfs_close(root(), fd);
	return err != 0 ? err : done != size ? -ENOSPC : closed;
}

static bool has(const char *path, uint64_t offset, const void *bytes, size_t size)
{
	uint8_t *found = kmalloc(size, MEM_ZERO);
	size_t done = 0;
	int32_t fd = -1;
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd);

	if (err == 0)
		err = vfs_pread(root(), fd, found, size, offset, &done);
	bool same = err == 0 && done == size && memcmp(found, bytes, size) == 0;
	if (fd >= 0)
		err = vfs_close(root(), fd);
	kfree(found);
	return same && err == 0;
}

// A file leaves its leaf while its beginning is not in memory.
TEST(pxfs_file, a_small_file_grows)
{
	struct faildisk disk;
	static const char zeroes[64];
	REQUIRE(disk_make(&disk, MIB(16)));
	CHECK_EQ(mount(&disk), 0);
	CHECK_EQ(put("/v/f", 0, "begin", 5), 0);
	CHECK_EQ(umount(), 0);
	CHECK_EQ(problems_of(&disk), 0);
	CHECK_EQ(mount(&disk), 0);
	CHECK_EQ(vfs_truncate(root(), TB_AT_FDCWD, "/v/f", 1000000), 0);
	CHECK_EQ(put("/v/f", 700000, "middle", 6), 0);
	CHECK_EQ(umount(), 0);
	CHECK_EQ(problems_of(&disk), 0);
	CHECK_EQ(mount(&disk), 0);
	CHECK(has("/v/f", 0, "begin", 5));
	CHECK(has("/v/f", 5, zeroes, sizeof zeroes));
	CHECK(has("/v/f", 700000, "middle", 6));
	CHECK_EQ(vfs_truncate(root(), TB_AT_FDCWD, "/v/f", 3), 0); // and goes back into it
	CHECK_EQ(put("/v/f", 2, "X", 1), 0);
	CHECK_EQ(umount(), 0);
	CHECK_EQ(problems_of(&disk), 0);
	CHECK_EQ(mount(&disk), 0);
	CHECK(has("/v/f", 0, "beX", 3));
	CHECK_EQ(umount(), 0);
	disk_end(test_run_, &disk);
}

// A file that was cut within a page and grows again has zeroes there, also when the page was not written since it grew.
TEST(pxfs_file, what_was_cut_off_does_not_come_back)
{
	static uint8_t bytes[8192], zeroes[8192 - 5000];
	struct faildisk disk;
	REQUIRE(disk_make(&disk, MIB(16)));
	CHECK_EQ(mount(&disk), 0);
	memset(bytes, 'x', sizeof bytes);
	CHECK_EQ(put("/v/f", 0, bytes, sizeof bytes), 0);
	CHECK_EQ(vfs_sync(), 0);
	CHECK_EQ(vfs_truncate(root(), TB_AT_FDCWD, "/v/f", 5000), 0);
	CHECK_EQ(vfs_sync(), 0);
	CHECK_EQ(vfs_truncate(root(), TB_AT_FDCWD, "/v/f", 8192), 0);
	CHECK_EQ(umount(), 0);
	CHECK_EQ(mount(&disk), 0);
	CHECK(has("/v/f", 5000, zeroes, sizeof zeroes));
	CHECK_EQ(umount(), 0);
	CHECK_EQ(problems_of(&disk), 0);
	disk_end(test_run_, &disk);
}

// Overwriting in the middle of clusters, over and over, and mounting anew in between.
TEST(pxfs_file, pieces_of_clusters)
{
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	const uint32_t size = 400000;
	uint8_t *model = kmalloc(size, MEM_ZERO), *bytes = kmalloc(size, 0);
	struct rand_stream rand;
	struct faildisk disk;
	REQUIRE(model != NULL && bytes != NULL && disk_make(&disk, MIB(16)));
	rand_open(&rand, "pieces", 0);
	for (uint32_t round = 0; round < (slow ? 4u : 20u); round++) {
		CHECK_EQ(mount(&disk), 0);
		CHECK(round == 0 || has("/v/f", 0, model, size));
		for (uint32_t i = 0; i < 12; i++) {
			uint32_t at = rand_below(&rand, size), count = 1 + rand_below(&rand, MIN(size - at, 30000u));
			for (uint32_t j = 0; j < count; j++)
				bytes[j] = (uint8_t)(j % 5 == 0 ? rand_u32(&rand) : round + i);
			CHECK_EQ(put("/v/f", at, bytes, count), 0);
			memcpy(model + at, bytes, count);
		}
		if (round == 0) {
			CHECK_EQ(put("/v/f", 0, model, size), 0);
		}
		CHECK_EQ(umount(), 0);
		CHECK_EQ(problems_of(&disk), 0);
	}
	kfree(model);
	kfree(bytes);
	disk_end(test_run_, &disk);
}

// Until nothing fits; then room comes back.
TEST(pxfs_file, a_full_volume)
{
	struct faildisk disk;
	uint8_t *bytes = kmalloc(60000, 0);
	struct rand_stream rand;
	char path[32];
	uint32_t made = 0;
	err_t err = 0;
	REQUIRE(bytes != NULL && disk_make(&disk, MIB(12)));
	rand_open(&rand, "full", 0);
	rand_fill(&rand, bytes, 60000);
	for (uint32_t round = 0; round < 2; round++) {
		CHECK_EQ(mount(&disk), 0);
		for (made = 0, err = 0; err == 0 && made < 1000; made += err == 0) {
			ksnprintf(path, sizeof path, "/v/f%u", made);
			err = put(path, 0, bytes, 60000);
		}
		CHECK_EQ(err, -ENOSPC);
		CHECK(made > 80);
		CHECK_EQ(vfs_sync(), 0); // what was taken can be written
		CHECK_EQ(umount(), 0);
		CHECK_EQ(problems_of(&disk), 0);
		CHECK_EQ(mount(&disk), 0);
		for (uint32_t i = 0; i < made; i++) {
			ksnprintf(path, sizeof path, "/v/f%u", i);
			CHECK(has(path, 0, bytes, 60000));
			CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, path, 0), 0);
		}
		ksnprintf(path, sizeof path, "/v/f%u", made); // what of the last one fitted
		err = vfs_unlink(root(), TB_AT_FDCWD, path, 0);
		CHECK(err == 0 || err == -ENOENT);
		CHECK_EQ(umount(), 0);
		CHECK_EQ(problems_of(&disk), 0);
	}
	kfree(bytes);
	disk_end(test_run_, &disk);
}

// Wherever the disk begins to refuse writes, for good or for one only, so that others follow which lean on it: errors, no loss of what an fsync had made durable, and a sound volume.
TEST(pxfs_file, a_disk_that_fails)
{
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	uint8_t *bytes = kmalloc(100000, MEM_ZERO);
	struct faildisk disk;
	REQUIRE(bytes != NULL && disk_make(&disk, MIB(16)));
	CHECK_EQ(mount(&disk), 0);
	CHECK_EQ(put("/v/kept", 0, "kept", 4), 0);
	CHECK_EQ(umount(), 0);
	for (uint32_t turn = 0; turn < 120; turn += slow ? 13 : 1) {
		disk.writes = 0;
		disk.good = turn / 2;
		disk.bad = turn % 2 == 0 ? 1 : UINT32_MAX;
		err_t err = mount(&disk);
		if (err == 0) {
			err = put("/v/new", 0, bytes, 100000);
			err = vfs_mkdir(root(), TB_AT_FDCWD, "/v/folder", 0755);
			err = vfs_sync();
			err = put("/v/folder/x", 0, bytes, 10);
			err = vfs_rename(root(), TB_AT_FDCWD, "/v/folder/x", TB_AT_FDCWD, "/v/x", 0);
			err = vfs_sync();
			CHECK_EQ(umount(), 0);
		}
		(void)err;
		disk.good = UINT32_MAX;
		CHECK_EQ(problems_of(&disk), 0);
		CHECK_EQ(mount(&disk), 0);
		CHECK(has("/v/kept", 0, "kept", 4));
		err = vfs_unlink(root(), TB_AT_FDCWD, "/v/new", 0);
		err = vfs_unlink(root(), TB_AT_FDCWD, "/v/x", 0);
		err = vfs_unlink(root(), TB_AT_FDCWD, "/v/folder", TB_AT_REMOVEDIR);
		CHECK_EQ(umount(), 0);
	}
	kfree(bytes);
	disk_end(test_run_, &disk);
}

// A file without a name that was open when the power went: the next mount takes it apart.
TEST(pxfs_file, orphans_are_taken_apart)
{
	struct faildisk disk;
	uint8_t *image = range_alloc(MIB(16), 0, NULL), *bytes = kmalloc(200000, MEM_ZERO);
	int32_t one = -1, two = -1;
	size_t done = 0;
	REQUIRE(image != NULL && bytes != NULL && disk_make(&disk, MIB(16)));
	CHECK_EQ(mount(&disk), 0);
	CHECK_EQ(put("/v/f", 0, bytes, 200000), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/v/f", TB_O_RDWR, 0, &one), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v/f", 0), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/v", TB_O_TMPFILE | TB_O_RDWR, 0600, &two), 0);
	CHECK_EQ(vfs_pwrite(root(), two, bytes, 5000, 0, &done), 0);
	CHECK_EQ(vfs_sync(), 0);
	memcpy(image, disk.bytes, MIB(16)); // here the power goes
	CHECK_EQ(vfs_close(root(), one), 0);
	CHECK_EQ(vfs_close(root(), two), 0);
	CHECK_EQ(umount(), 0);
	CHECK_EQ(problems_of(&disk), 0);
	memcpy(disk.bytes, image, MIB(16));
	CHECK_EQ(problems_of(&disk), 0);
	check_flags(test_run_, &disk, PXFS_CHECK_REPAIR, 0, 0); // nothing to repair, and nothing else is touched
	CHECK(memcmp(disk.bytes, image, MIB(16)) == 0);
	CHECK_EQ(mount(&disk), 0);
	CHECK_EQ(umount(), 0);
	struct pxfs_check_report report;
	const char *problem = NULL;
	CHECK_EQ(pxfs_check_volume(block_name(disk.device), 0, say, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
	CHECK_EQ(report.inodes, 1); // the root directory
	kfree(bytes);
	range_free(image);
	disk_end(test_run_, &disk);
}

// One bit of a file's data is wrong on disk: reading says so, whatever it is, and other files are as they were.
TEST(pxfs_file, wrong_data_are_not_given_out)
{
	struct faildisk disk;
	uint8_t *bytes = kmalloc(200000, 0), *found = kmalloc(200000, 0);
	struct rand_stream rand;
	uint64_t at = 0;
	size_t done = 0;
	int32_t fd = -1;
	REQUIRE(bytes != NULL && found != NULL && disk_make(&disk, MIB(16)));
	rand_open(&rand, "wrong", 0);
	rand_fill(&rand, bytes, 200000); // stored as it is
	CHECK_EQ(mount(&disk), 0);
	CHECK_EQ(put("/v/a", 0, bytes, 200000), 0);
	CHECK_EQ(put("/v/b", 0, "other", 5), 0);
	CHECK_EQ(umount(), 0);
	while (at < MIB(16) && memcmp(disk.bytes + at, bytes + 131072, 512) != 0)
		at += 512;
	REQUIRE(at < MIB(16));
	disk.bytes[at + 5000] ^= 16;
	CHECK(problems_of(&disk) >= 1);
	CHECK_EQ(mount(&disk), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/v/a", TB_O_RDONLY, 0, &fd), 0);
	CHECK_EQ(vfs_pread(root(), fd, found, 50000, 0, &done), 0);
	CHECK(done == 50000 && memcmp(found, bytes, 50000) == 0);
	CHECK_EQ(vfs_pread(root(), fd, found, 1000, 131072, &done), -EIO);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK(has("/v/b", 0, "other", 5));
	CHECK_EQ(umount(), 0);
	kfree(bytes);
	kfree(found);
	disk_end(test_run_, &disk);
}

// Both copies of the root node of the files' tree, and the first of the space map's.
static void nodes_find(TEST_RUN, struct faildisk *disk, uint64_t files[2], uint64_t *space)
{
	struct pxfs_volume *volume = NULL;
	struct pxfs_path path;
	const char *problem = NULL;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool there = false;

	REQUIRE(volume_open(block_name(disk->device), true, &volume, &problem) == 0);
	struct pxfs_where where = {.object = le64_get(&volume->super.default_subvolume), .type = PXFS_SUBVOLUME};
	CHECK_EQ(tree_find(&volume->root_tree, &where, &path, &there), 0);
	CHECK(there && path_item(&path, &where, &data, &size, &there) == 0 && size == sizeof(struct pxfs_subvolume));
	for (uint32_t copy = 0; copy < 2; copy++)
		files[copy] = le64_get(&((const struct pxfs_subvolume *)data)->root.address[copy]);
	path_release(&path);
	*space = le64_get(&volume->space_tree.root.address[0]);
	volume_abandon(volume);
}

// Either copy of a node is damaged: that is seen though the other one would do, left alone or repaired as asked. Without a sound copy it is a problem that stays.
TEST(pxfs_file, damaged_copies_are_found)
{
	struct faildisk disk;
	struct pxfs_check_report report;
	const char *problem = NULL;
	uint64_t files[2] = {0, 0}, space = 0;
	char path[32];
	REQUIRE(disk_make(&disk, MIB(16)));
	CHECK_EQ(mount(&disk), 0);
	for (uint32_t i = 0; i < 400; i++) {
		ksnprintf(path, sizeof path, "/v/file%u", i);
		CHECK_EQ(put(path, 0, path, sizeof path), 0);
		if (i % 100 == 0) // each gives nodes up, which then rest
			CHECK_EQ(vfs_sync(), 0);
	}
	CHECK_EQ(umount(), 0);
	nodes_find(test_run_, &disk, files, &space);
	check_flags(test_run_, &disk, PXFS_CHECK_DATA, 0, 0);
	disk.bytes[(space << SECTOR_SHIFT) + 3000] ^= 1;
	disk.bytes[(files[1] << SECTOR_SHIFT) + 9] ^= 128;
	check_flags(test_run_, &disk, 0, 2, 0);
	check_flags(test_run_, &disk, PXFS_CHECK_REPAIR, 0, 2);
	check_flags(test_run_, &disk, 0, 0, 0);
	for (uint32_t copy = 0; copy < 2; copy++)
		disk.bytes[(files[copy] << SECTOR_SHIFT) + 9] ^= 128;
	CHECK(problems_of(&disk) >= 1);
	CHECK_EQ(pxfs_check_volume(block_name(disk.device), PXFS_CHECK_REPAIR, say, NULL, &report, &problem), 0);
	CHECK(report.problems >= 1);
	CHECK_EQ(report.repaired, 0);
	disk_end(test_run_, &disk);
}
