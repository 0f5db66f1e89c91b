// SPDX-License-Identifier: MIT
//
// The intent log: what an fsync costs, what a mount finds behind a power cut, where a log ends, and what is said when an acknowledged batch is gone.
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

#include "../../../src/fs/pxfs/log_impl.h"
#include "../../../src/fs/pxfs/volume_impl.h"
#include "../../support/memdisk.h"

#define DISK_BYTES MIB(16)

// Counts what is written. Once the power has gone nothing more comes to be.
struct logdisk {
	struct block_device *device;
	uint8_t *bytes, *kept;
	uint32_t writes, flushes; // atomic
	uint32_t gone;            // atomic: the power
};

static void logdisk_start(struct block_command *command)
{
	struct logdisk *disk = block_data(command->device);

	if (command->op != BLOCK_WRITE || atomic_load_u32_acquire(&disk->gone) == 0)
		(void)memdisk_copy(command, disk->bytes);
	if (command->op == BLOCK_WRITE)
		(void)atomic_fetch_add_u32_relaxed(&disk->writes, 1);
	if (command->op == BLOCK_FLUSH || (command->flags & BLOCK_FUA) != 0)
		(void)atomic_fetch_add_u32_relaxed(&disk->flushes, 1);
	block_command_done(command, 0);
}

static const struct block_driver logdisk_driver = {.model = "log disk", .start = logdisk_start};

static struct process *root(void)
{
	return vfs_monitor_process();
}

static err_t mount(struct logdisk *disk, uint32_t flags)
{
	const char *problem = NULL;
	err_t err = vfs_mount(root(), block_name(disk->device), "/v", "pxfs", flags, "", &problem);

	if (err != 0)
		log_err("mount: %s: %s", err_text(err), problem != NULL ? problem : "");
	return err;
}

static bool logdisk_make(struct logdisk *disk)
{
	struct block_limits limits = memdisk_limits(DISK_BYTES);
	const char *problem = NULL;

	*disk = (struct logdisk){.bytes = range_alloc(DISK_BYTES, MEM_ZERO, NULL),
				 .kept = range_alloc(DISK_BYTES, 0, NULL)};
	return disk->bytes != NULL && disk->kept != NULL &&
	       block_add("log%", &logdisk_driver, &limits, disk, &disk->device) == 0 &&
	       pxfs_format(block_name(disk->device), &(struct pxfs_format_params){.log_bytes = MIB(1)}, &problem) ==
		       0 &&
	       vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755) == 0 && mount(disk, 0) == 0;
}

static void logdisk_end(TEST_RUN, struct logdisk *disk)
{
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(disk->device), 0);
	range_free(disk->bytes);
	range_free(disk->kept);
}

// The power goes: what the disk holds now is what is mounted next.
static void power_cut(TEST_RUN, struct logdisk *disk)
{
	atomic_store_u32_release(&disk->gone, 1);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	memcpy(disk->kept, disk->bytes, DISK_BYTES);
	atomic_store_u32_release(&disk->gone, 0);
}

static void say(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

static uint64_t problems_of(struct logdisk *disk)
{
	struct pxfs_check_report report;
	const char *problem = NULL;
	err_t err = pxfs_check_volume(block_name(disk->device), PXFS_CHECK_DATA, say, NULL, &report, &problem);

	return err == 0 ? report.problems : 1000000;
}

static int32_t opened(TEST_RUN, const char *path)
{
	int32_t fd = -1;
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd), 0);
	return fd;
}

static void append(TEST_RUN, int32_t fd, uint64_t at, uint32_t size, uint8_t with)
{
	uint8_t *bytes = kmalloc(size, 0);
	size_t done = 0;

	REQUIRE(bytes != NULL);
	memset(bytes, with, size);
	CHECK_EQ(vfs_pwrite(root(), fd, bytes, size, at, &done), 0);
	kfree(bytes);
}

static bool holds(const char *path, uint64_t at, uint32_t size, uint8_t with)
{
	uint8_t *bytes = kmalloc(size, 0);
	size_t done = 0;
	int32_t fd = -1;
	bool same = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd) == 0 &&
		    vfs_pread(root(), fd, bytes, size, at, &done) == 0 && done == size;

	for (uint32_t i = 0; i < size && same; i++)
		same = bytes[i] == with;
	if (fd >= 0)
		same = vfs_close(root(), fd) == 0 && same;
	kfree(bytes);
	return same;
}

// ---- what it costs ----------------------------------------------------------------------------------------------------------

TEST(pxfs_log, an_fsync_is_one_flush)
{
	struct logdisk disk;
	REQUIRE(logdisk_make(&disk));
	int32_t fd = opened(test_run_, "/v/f");
	append(test_run_, fd, 0, 4096, 1);
	CHECK_EQ(vfs_fsync(root(), fd), 0);
	for (uint32_t i = 1; i < 20; i++) {
		append(test_run_, fd, i * 4096ull, 4096, (uint8_t)i);
		uint32_t writes = atomic_load_u32_acquire(&disk.writes);
		uint32_t flushes = atomic_load_u32_acquire(&disk.flushes);
		CHECK_EQ(vfs_fsync(root(), fd), 0);
		CHECK_EQ(atomic_load_u32_acquire(&disk.flushes) - flushes, 1);
		CHECK(atomic_load_u32_acquire(&disk.writes) - writes <= 2); // data, and the batch
	}
	uint32_t writes = atomic_load_u32_acquire(&disk.writes);
	CHECK_EQ(vfs_fsync(root(), fd), 0); // nothing has changed
	CHECK_EQ(atomic_load_u32_acquire(&disk.writes), writes);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	logdisk_end(test_run_, &disk);
}

// What came and went again between two closes is in no batch.
TEST(pxfs_log, what_was_nothing_is_not_written)
{
	struct logdisk disk;
	char path[32];
	REQUIRE(logdisk_make(&disk));
	int32_t fd = opened(test_run_, "/v/f");
	CHECK_EQ(vfs_fsync(root(), fd), 0);
	for (uint32_t i = 0; i < 20; i++) {
		ksnprintf(path, sizeof path, "/v/t%u", i);
		CHECK_EQ(vfs_close(root(), opened(test_run_, path)), 0);
		CHECK_EQ(vfs_rename(root(), TB_AT_FDCWD, path, TB_AT_FDCWD, "/v/g", 0), 0);
	}
	CHECK_EQ(vfs_fsync(root(), fd), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	power_cut(test_run_, &disk);
	CHECK_EQ(problems_of(&disk), 0);
	CHECK_EQ(mount(&disk, 0), 0);
	struct tb_stat stat;
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/v/g", 0, &stat), 0);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/v/t3", 0, &stat), -ENOENT);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	logdisk_end(test_run_, &disk);
}

// ---- what is found ------------------------------------------------------------------------------------------------------------

// More than the ring holds, so that it wraps and checkpoints come in between.
TEST(pxfs_log, many_batches_around_the_ring)
{
	struct logdisk disk;
	struct rand_stream rand;
	uint32_t sizes[8] = {0};
	char path[32];
	REQUIRE(logdisk_make(&disk));
	rand_open(&rand, "log", 0);
	for (uint32_t i = 0; i < 150; i++) {
		uint32_t which = rand_below(&rand, 8), size = 1 + rand_below(&rand, 9000);
		ksnprintf(path, sizeof path, "/v/f%u", which);
		int32_t fd = opened(test_run_, path);
		append(test_run_, fd, sizes[which], size, (uint8_t)which);
		sizes[which] += size;
		CHECK_EQ(vfs_fsync(root(), fd), 0);
		CHECK_EQ(vfs_close(root(), fd), 0);
		if (i % 30 != 29)
			continue;
		power_cut(test_run_, &disk);
		CHECK_EQ(problems_of(&disk), 0);
		CHECK_EQ(mount(&disk, 0), 0);
		for (uint32_t j = 0; j < 8; j++) {
			ksnprintf(path, sizeof path, "/v/f%u", j);
			CHECK(sizes[j] == 0 || holds(path, 0, sizes[j], (uint8_t)j));
		}
	}
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(problems_of(&disk), 0);
	logdisk_end(test_run_, &disk);
}

static struct pxfs_log log_of(TEST_RUN, struct logdisk *disk)
{
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;
	struct pxfs_log log = {.sectors = 0};

	if (volume_open(block_name(disk->device), true, &volume, &problem) == 0) {
		log = volume->log;
		volume_abandon(volume);
	}
	CHECK(log.sectors != 0);
	return log;
}

// Looking at it changes nothing: mounted for reading the log is replayed in memory.
TEST(pxfs_log, for_reading_only_it_stays)
{
	struct logdisk disk;
	REQUIRE(logdisk_make(&disk));
	int32_t fd = opened(test_run_, "/v/f");
	append(test_run_, fd, 0, 50000, 9);
	CHECK_EQ(vfs_fsync(root(), fd), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	power_cut(test_run_, &disk);
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_EQ(mount(&disk, TB_MS_RDONLY), 0);
		CHECK(holds("/v/f", 0, 50000, 9));
		CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
		CHECK_EQ(problems_of(&disk), 0);
	}
	CHECK_EQ(memcmp(disk.bytes, disk.kept, DISK_BYTES), 0);
	CHECK(log_of(test_run_, &disk).used_sectors != 0);
	CHECK_EQ(mount(&disk, 0), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(log_of(test_run_, &disk).used_sectors, 0);
	logdisk_end(test_run_, &disk);
}

// ---- where it ends --------------------------------------------------------------------------------------------------------------

// Three files, each with its fsync; *places: where their batches begin.
static void three_batches(TEST_RUN, struct logdisk *disk, uint64_t *places)
{
	char path[32];

	for (uint32_t i = 0; i < 3; i++) {
		ksnprintf(path, sizeof path, "/v/f%u", i);
		int32_t fd = opened(test_run_, path);
		append(test_run_, fd, 0, 40000, (uint8_t)(i + 1));
		CHECK_EQ(vfs_fsync(root(), fd), 0);
		CHECK_EQ(vfs_close(root(), fd), 0);
	}
	power_cut(test_run_, disk);
	struct pxfs_log log = log_of(test_run_, disk);
	uint32_t count = 0;
	for (uint64_t at = 0; at < log.sectors; at += 8) {
		const struct pxfs_log_header *header =
			(const struct pxfs_log_header *)(disk->bytes + ((log.address + at) << SECTOR_SHIFT));
		if (le32_get(&header->magic) == PXFS_LOG_MAGIC && count < 3)
			places[count++] = (log.address + at) << SECTOR_SHIFT;
	}
	CHECK_EQ(count, 3);
}

static uint32_t files_there(TEST_RUN, struct logdisk *disk)
{
	uint32_t there = 0;
	char path[32];

	CHECK_EQ(mount(disk, 0), 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct tb_stat stat;
		ksnprintf(path, sizeof path, "/v/f%u", i);
		if (vfs_stat(root(), TB_AT_FDCWD, path, 0, &stat) != 0)
			continue;
		CHECK(holds(path, 0, 40000, (uint8_t)(i + 1)));
		there |= 1u << i;
	}
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(problems_of(disk), 0);
	return there;
}

static uint64_t lost_of(TEST_RUN, struct logdisk *disk)
{
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;
	uint64_t lost = 0;

	CHECK_EQ(volume_open(block_name(disk->device), true, &volume, &problem), 0);
	lost = le64_get(&volume->super.errors_lost);
	volume_abandon(volume);
	return lost;
}

// The last batch, which nobody is known to have waited for, and one before it, which somebody is.
TEST(pxfs_log, it_ends_where_a_batch_is_damaged)
{
	struct logdisk disk;
	uint64_t places[3] = {0};
	REQUIRE(logdisk_make(&disk));
	three_batches(test_run_, &disk, places);
	for (uint32_t i = 0; i < 3; i++) {
		memcpy(disk.bytes, disk.kept, DISK_BYTES);
		disk.bytes[places[i] + 100] ^= 1;
		CHECK_EQ(files_there(test_run_, &disk), (1u << i) - 1);
		CHECK_EQ(lost_of(test_run_, &disk), i == 2 ? 0 : 1);
	}
	logdisk_end(test_run_, &disk);
}

// The place of the data of file `which` in its batch.
static uint64_t data_place(const uint8_t *batch)
{
	const struct pxfs_log_record *record = NULL;

	while ((record = log_record_next(batch, record)) != NULL)
		if (record->key.type == PXFS_EXTENT)
			return le64_get(&((const struct pxfs_extent *)(record + 1))->address) << SECTOR_SHIFT;
	return 0;
}

// The FLUSH of the last one may not have come to its end: without its data it was never.
TEST(pxfs_log, it_ends_where_data_are_missing)
{
	struct logdisk disk;
	uint64_t places[3] = {0};
	REQUIRE(logdisk_make(&disk));
	three_batches(test_run_, &disk, places);
	uint64_t data = data_place(disk.kept + places[2]);
	CHECK(data != 0);
	memcpy(disk.bytes, disk.kept, DISK_BYTES);
	disk.bytes[data + 5] ^= 0x40;
	CHECK_EQ(files_there(test_run_, &disk), 3);
	CHECK_EQ(lost_of(test_run_, &disk), 0);
	logdisk_end(test_run_, &disk);
}

// ---- hostile ones -----------------------------------------------------------------------------------------------------------------

static void batch_seal(uint8_t *batch)
{
	struct pxfs_log_header *header = (struct pxfs_log_header *)batch;

	le64_put(&header->checksum, 0);
	le64_put(&header->checksum, checksum_xxh3(batch, le32_get(&header->bytes), 0));
}

// Each byte of a sound batch is another, and its checksum mended: mounting says no, or finds a tree that the checker calls sound.
TEST(pxfs_log, a_batch_is_hostile)
{
	struct logdisk disk;
	uint64_t places[3] = {0};
	uint32_t refused = 0;
	REQUIRE(logdisk_make(&disk));
	three_batches(test_run_, &disk, places);
	uint32_t size = le32_get(&((struct pxfs_log_header *)(disk.kept + places[2]))->bytes);
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	for (uint32_t at = 0; at < size; at += slow ? 41 : 3) {
		memcpy(disk.bytes, disk.kept, DISK_BYTES);
		disk.bytes[places[2] + at] ^= (uint8_t)(1u << at % 8);
		batch_seal(disk.bytes + places[2]);
		if (vfs_mount(root(), block_name(disk.device), "/v", "pxfs", 0, "", NULL) != 0) {
			refused++;
			continue;
		}
		CHECK(holds("/v/f0", 0, 40000, 1));
		err_t err = vfs_umount(root(), "/v", 0);
		CHECK_EQ(err, 0);
	}
	CHECK(refused != 0);
	logdisk_end(test_run_, &disk);
}
