// SPDX-License-Identifier: MIT
//
// Growing volumes: what is refused, that the new room can be used, and that a power cut behind any write of it leaves the old size or the new one, whole.
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

#define OLD_BYTES MIB(8)
#define NEW_BYTES MIB(18)
#define FILE_BYTES 60000u
#define NOTES_MAX 512u

static struct process *root(void)
{
	return vfs_monitor_process();
}

// A disk that notes what is written to it once it is asked to.
struct note {
	uint64_t sector;
	uint32_t bytes; // 0: a FLUSH
	bool fua;
	uint8_t *data;
};

struct growdisk {
	struct block_device *device;
	uint8_t *bytes;
	struct note *notes;
	uint32_t count;
	bool noting, full;
};

static void growdisk_start(struct block_command *command)
{
	struct growdisk *disk = block_data(command->device);
	uint64_t bytes = memdisk_copy(command, disk->bytes);

	if (disk->noting && (command->op == BLOCK_WRITE || command->op == BLOCK_FLUSH)) {
		struct note *note = &disk->notes[MIN(disk->count, NOTES_MAX - 1)];
		disk->full = disk->count++ >= NOTES_MAX;
		*note = (struct note){command->sector, (uint32_t)bytes, (command->flags & BLOCK_FUA) != 0, NULL};
		note->data = bytes == 0 ? NULL : kmalloc(bytes, 0);
		disk->full = disk->full || (bytes != 0 && note->data == NULL);
		if (note->data != NULL)
			memcpy(note->data, disk->bytes + (command->sector << SECTOR_SHIFT), bytes);
	}
	block_command_done(command, 0);
}

static const struct block_driver growdisk_driver = {.model = "growing disk", .start = growdisk_start};

// A volume that is smaller than its disk. The rest of it is full of something.
static bool growdisk_make(struct growdisk *disk)
{
	struct block_limits limits = memdisk_limits(NEW_BYTES);
	struct pxfs_format_params params = {.copies = 2, .size_bytes = OLD_BYTES};
	const char *problem = NULL;

	*disk = (struct growdisk){.bytes = range_alloc(NEW_BYTES, 0, NULL),
				  .notes = kmalloc(NOTES_MAX * sizeof(struct note), MEM_ZERO)};
	if (disk->bytes == NULL || disk->notes == NULL ||
	    block_add("grow%", &growdisk_driver, &limits, disk, &disk->device) != 0)
		return false;
	memset(disk->bytes, 0xa5, NEW_BYTES);
	return pxfs_format(block_name(disk->device), &params, &problem) == 0 &&
	       vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755) == 0;
}

static void growdisk_end(TEST_RUN, struct growdisk *disk)
{
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(disk->device), 0);
	for (uint32_t i = 0; i < MIN(disk->count, NOTES_MAX); i++)
		kfree(disk->notes[i].data);
	kfree(disk->notes);
	range_free(disk->bytes);
}

static err_t mount(struct growdisk *disk)
{
	return vfs_mount(root(), block_name(disk->device), "/v", "pxfs", 0, "", NULL);
}

static void say(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

static uint64_t problems_of(struct growdisk *disk)
{
	struct pxfs_check_report report;
	const char *problem = NULL;
	err_t err = pxfs_check_volume(block_name(disk->device), PXFS_CHECK_DATA, say, NULL, &report, &problem);

	if (err != 0)
		log_err("fsck: %pe: %s", ERR_PTR(err), problem != NULL ? problem : "");
	return err != 0 ? UINT64_MAX : report.problems;
}

static void bytes_fill(uint8_t *bytes, uint32_t number)
{
	uint32_t state = number * 2654435761u + 1;

	for (uint32_t i = 0; i < FILE_BYTES; i++) {
		state = state * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(state >> 24);
	}
}

static err_t file_put(uint32_t number, uint8_t *bytes)
{
	char path[32];
	size_t done = 0;
	int32_t fd = -1;

	ksnprintf(path, sizeof path, "/v/f%u", number);
	bytes_fill(bytes, number);
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd);
	if (err != 0)
		return err;
	err = vfs_pwrite(root(), fd, bytes, FILE_BYTES, 0, &done);
	err_t closed = vfs_close(root(), fd);
	return err != 0 ? err : done != FILE_BYTES ? -ENOSPC : closed;
}

static bool file_holds(uint32_t number, uint8_t *bytes, uint8_t *found)
{
	char path[32];
	size_t done = 0;
	int32_t fd = -1;

	ksnprintf(path, sizeof path, "/v/f%u", number);
	bytes_fill(bytes, number);
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd);
	if (err != 0)
		return false;
	err = vfs_pread(root(), fd, found, FILE_BYTES, 0, &done);
	bool same = err == 0 && done == FILE_BYTES && memcmp(bytes, found, FILE_BYTES) == 0;
	return vfs_close(root(), fd) == 0 && same;
}

static uint64_t volume_bytes(void)
{
	struct tb_statfs statfs;
	return vfs_statfs(root(), TB_AT_FDCWD, "/v", &statfs) != 0 ? 0 : statfs.blocks * statfs.block_size_bytes;
}

static void grow_check(TEST_RUN, const char *where, uint64_t size_bytes, err_t wanted, uint64_t new_bytes)
{
	struct pxfs_sizes sizes;
	const char *problem = NULL;

	CHECK_EQ(pxfs_grow(where, size_bytes, &sizes, &problem), wanted);
	CHECK((problem != NULL) == (wanted == -EINVAL || wanted == -EROFS));
	if (wanted == 0)
		CHECK_EQ(sizes.new_bytes, new_bytes);
}

TEST(pxfs_grow, what_is_refused)
{
	struct growdisk disk;
	REQUIRE(growdisk_make(&disk));
	const char *name = block_name(disk.device);
	for (uint32_t mounted = 0; mounted < 2; mounted++) {
		if (mounted != 0)
			CHECK_EQ(mount(&disk), 0);
		grow_check(test_run_, name, OLD_BYTES, 0, OLD_BYTES);
		grow_check(test_run_, name, OLD_BYTES + 1000, 0, OLD_BYTES);
		grow_check(test_run_, name, OLD_BYTES - 4096, -EINVAL, 0);
		grow_check(test_run_, name, OLD_BYTES + 4096, -EINVAL, 0);
		grow_check(test_run_, name, NEW_BYTES + 512, -EINVAL, 0);
	}
	CHECK_EQ(volume_bytes(), OLD_BYTES);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(vfs_mount(root(), name, "/v", "pxfs", TB_MS_RDONLY, "", NULL), 0);
	grow_check(test_run_, "/v", 0, -EROFS, 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(problems_of(&disk), 0);
	growdisk_end(test_run_, &disk);
}

// In steps, mounted and not, and full each time.
TEST(pxfs_grow, the_new_room_is_room)
{
	static const uint64_t sizes[] = {OLD_BYTES, OLD_BYTES + 65536, OLD_BYTES + MIB(3) + 4096, MIB(16), NEW_BYTES};
	uint8_t *bytes = kmalloc(FILE_BYTES, 0), *found = kmalloc(FILE_BYTES, 0);
	struct growdisk disk;
	uint32_t files = 0, wrong = 0, before = 0;
	REQUIRE(bytes != NULL && found != NULL && growdisk_make(&disk));
	for (uint32_t i = 0; i < array_count(sizes); i++) {
		bool mounted = i % 2 == 0, last = i + 1 == array_count(sizes);
		if (mounted)
			CHECK_EQ(mount(&disk), 0);
		grow_check(test_run_, mounted ? "/v" : block_name(disk.device), last ? 0 : sizes[i], 0, sizes[i]);
		if (!mounted)
			CHECK_EQ(mount(&disk), 0);
		CHECK_EQ(volume_bytes(), sizes[i]);
		before = files;
		while (file_put(files, bytes) == 0)
			files++;
		CHECK(files - before >= (i == 0 ? 60u : (sizes[i] - sizes[i - 1]) / 70000));
		CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
		CHECK_EQ(problems_of(&disk), 0);
	}
	CHECK_EQ(mount(&disk), 0);
	for (uint32_t i = 0; i < files; i++)
		wrong += !file_holds(i, bytes, found);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	kfree(bytes);
	kfree(found);
	growdisk_end(test_run_, &disk);
}

// ---- among writers ----------------------------------------------------------------------------------------------------------------

struct writer {
	struct test_run *run;
	uint8_t *bytes, *found;
	uint32_t files, stop; // stop: atomic
};

// Fills the volume, waits for more room, goes on.
static void writer_main(void *arg)
{
	struct writer *writer = arg;

	while (atomic_load_u32_acquire(&writer->stop) == 0) {
		err_t err = file_put(writer->files, writer->bytes);
		test_check(writer->run, err == 0 || err == -ENOSPC, "a file", __FILE__, __LINE__);
		if (err == 0 && writer->files > 3)
			test_check(writer->run, file_holds(writer->files / 2, writer->bytes, writer->found),
				   "an old file", __FILE__, __LINE__);
		writer->files += err == 0;
		sleep_ns(20000);
	}
}

TEST(pxfs_grow, while_somebody_writes)
{
	struct thread_params params = {.name = "writer", .klass = CLASS_FAIR};
	struct writer writer = {.run = test_run_, .bytes = kmalloc(FILE_BYTES, 0), .found = kmalloc(FILE_BYTES, 0)};
	struct thread *thread = NULL;
	struct growdisk disk;
	uint32_t wrong = 0;
	REQUIRE(writer.bytes != NULL && writer.found != NULL && growdisk_make(&disk));
	CHECK_EQ(mount(&disk), 0);
	CHECK_EQ(thread_start(&params, writer_main, &writer, &thread), 0);
	for (uint64_t size = OLD_BYTES + MIB(2); size <= NEW_BYTES; size += MIB(2)) {
		sleep_ns(2000000);
		grow_check(test_run_, "/v", size, 0, size);
	}
	sleep_ns(2000000);
	atomic_store_u32_release(&writer.stop, 1);
	CHECK_EQ(thread_join(thread, NULL), 0);
	CHECK_EQ(volume_bytes(), NEW_BYTES);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(problems_of(&disk), 0);
	CHECK_EQ(mount(&disk), 0);
	for (uint32_t i = 0; i < writer.files; i++)
		wrong += !file_holds(i, writer.bytes, writer.found);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	kfree(writer.bytes);
	kfree(writer.found);
	growdisk_end(test_run_, &disk);
}

// ---- power cuts -------------------------------------------------------------------------------------------------------------------

struct cuts {
	struct growdisk *disk;
	uint8_t *flushed, *bytes, *found; // flushed: what no cut can take away any more
	struct rand_stream rand;
	uint32_t first, old_sizes, new_sizes, wrong;
};

static void note_apply(uint8_t *bytes, const struct note *note)
{
	memcpy(bytes + (note->sector << SECTOR_SHIFT), note->data, note->bytes);
}

static bool state_holds(struct cuts *cuts)
{
	bool sound = problems_of(cuts->disk) == 0;

	if (!sound || mount(cuts->disk) != 0)
		return false;
	uint64_t size = volume_bytes();
	cuts->old_sizes += size == OLD_BYTES;
	cuts->new_sizes += size == NEW_BYTES;
	sound = (size == OLD_BYTES || size == NEW_BYTES) && file_holds(0, cuts->bytes, cuts->found) &&
		file_put(2, cuts->bytes) == 0;
	return vfs_umount(root(), "/v", 0) == 0 && sound && problems_of(cuts->disk) == 0;
}

// What was written since the last FLUSH may be there or not; the block being written may be destroyed.
static void cut_try(struct cuts *cuts, uint32_t n, uint64_t subset, bool destroy)
{
	const struct growdisk *disk = cuts->disk;

	memcpy(disk->bytes, cuts->flushed, NEW_BYTES);
	for (uint32_t i = cuts->first; i <= n; i++)
		if (disk->notes[i].bytes != 0 && (disk->notes[i].fua || (subset >> (i - cuts->first) % 64 & 1) != 0) &&
		    (i != n || !destroy))
			note_apply(disk->bytes, &disk->notes[i]);
	if (destroy)
		rand_fill(&cuts->rand, disk->bytes + (disk->notes[n].sector << SECTOR_SHIFT), 4096);
	cuts->wrong += !state_holds(cuts);
}

static void cuts_try(struct cuts *cuts, uint32_t samples)
{
	const struct growdisk *disk = cuts->disk;

	for (uint32_t n = 0; n < disk->count; n++) {
		if (disk->notes[n].bytes != 0) {
			for (uint32_t i = 0; i < samples; i++)
				cut_try(cuts, n, i < 2 ? UINT64_MAX : rand_u64(&cuts->rand), i == 1);
			continue;
		}
		for (; cuts->first < n; cuts->first++)
			if (disk->notes[cuts->first].bytes != 0)
				note_apply(cuts->flushed, &disk->notes[cuts->first]);
		cuts->first = n + 1;
	}
}

TEST(pxfs_grow, every_write_is_a_place_to_stop)
{
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	struct growdisk disk;
	struct cuts cuts = {.disk = &disk,
			    .flushed = range_alloc(NEW_BYTES, 0, NULL),
			    .bytes = kmalloc(FILE_BYTES, 0),
			    .found = kmalloc(FILE_BYTES, 0)};
	REQUIRE(cuts.flushed != NULL && cuts.bytes != NULL && cuts.found != NULL && growdisk_make(&disk));
	rand_open(&cuts.rand, "grow", 0);
	CHECK_EQ(mount(&disk), 0);
	CHECK_EQ(file_put(0, cuts.bytes), 0);
	CHECK_EQ(vfs_sync(), 0);
	memcpy(cuts.flushed, disk.bytes, NEW_BYTES);
	disk.noting = true;
	CHECK_EQ(file_put(1, cuts.bytes), 0); // not yet on disk when it grows
	grow_check(test_run_, "/v", 0, 0, NEW_BYTES);
	disk.noting = false;
	CHECK(!disk.full && disk.count > 10);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	cuts_try(&cuts, slow ? 2 : 6);
	CHECK_EQ(cuts.wrong, 0);
	CHECK(cuts.old_sizes > 0 && cuts.new_sizes > 0);
	range_free(cuts.flushed);
	kfree(cuts.bytes);
	kfree(cuts.found);
	growdisk_end(test_run_, &disk);
}
