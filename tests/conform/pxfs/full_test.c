// SPDX-License-Identifier: MIT
//
// Full volumes whose free space is in pieces: who was told that there is room has it when his pages are written back. What write() took is there after
// unmounting and mounting, whole, and the checker agrees.
#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/timer.h"
#include "kern/vfs.h"

#include "../../support/memdisk.h"

#define DISK_BYTES MIB(12)
#define FILES_MAX 4000u

struct full {
	struct block_device *device;
	uint8_t *bytes, *buffer;
	uint32_t files, sizes[FILES_MAX];
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

static err_t mount(struct full *full)
{
	return vfs_mount(root(), block_name(full->device), "/v", "pxfs", 0, "", NULL);
}

static struct full *full_begin(TEST_RUN)
{
	struct block_limits limits = memdisk_limits(DISK_BYTES);
	struct full *full = kmalloc(sizeof *full, MEM_ZERO);
	const char *problem = NULL;

	if (full == NULL)
		return NULL;
	full->bytes = range_alloc(DISK_BYTES, MEM_ZERO, NULL);
	full->buffer = range_alloc(MIB(1), 0, NULL);
	CHECK(full->bytes != NULL && full->buffer != NULL);
	CHECK_EQ(block_add("full%", &disk_driver, &limits, full->bytes, &full->device), 0);
	CHECK_EQ(pxfs_format(block_name(full->device), &(struct pxfs_format_params){.copies = 2}, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755), 0);
	CHECK_EQ(mount(full), 0);
	return full;
}

static void nothing(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void full_check(TEST_RUN, struct full *full)
{
	struct pxfs_check_report report;
	const char *problem = NULL;

	CHECK_EQ(pxfs_check_volume(block_name(full->device), PXFS_CHECK_DATA, nothing, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
}

static void full_end(TEST_RUN, struct full *full)
{
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	full_check(test_run_, full);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(full->device), 0);
	range_free(full->buffer);
	range_free(full->bytes);
	kfree(full);
}

// Nothing of it compresses, and no two files are alike.
static void buffer_fill(struct full *full, uint32_t number, uint32_t size)
{
	uint64_t word = number * 0x9e3779b97f4a7c15ull + 1;

	for (uint32_t i = 0; i < size; i += 8) {
		word ^= word << 13;
		word ^= word >> 7;
		word ^= word << 17;
		memcpy(full->buffer + i, &word, 8);
	}
}

static void name_of(uint32_t number, char name[24])
{
	struct fmt_buffer out;

	fmt_init(&out, name, 24);
	fmt_append(&out, "/v/%u", number);
}

// Errors: those of opening and writing, of which a part may have been done.
static err_t file_put(struct full *full, uint32_t number, uint32_t size)
{
	char name[24];
	size_t at = 0, done = 0;
	int32_t fd = -1;

	name_of(number, name);
	err_t err = vfs_open(root(), TB_AT_FDCWD, name, TB_O_RDWR | TB_O_CREAT | TB_O_EXCL, 0644, &fd);
	if (err != 0)
		return err;
	buffer_fill(full, number, size);
	for (; err == 0 && at < size; at += done) {
		done = 0;
		err = vfs_pwrite(root(), fd, full->buffer + at, size - at, at, &done);
	}
	err_t closed = vfs_close(root(), fd);
	full->sizes[number] = (uint32_t)at;
	full->files = number + 1;
	return err != 0 ? err : closed;
}

static bool file_is_right(struct full *full, uint32_t number)
{
	char name[24];
	size_t done = 0;
	int32_t fd = -1;
	uint8_t piece[512];
	bool right = true;

	name_of(number, name);
	if (vfs_open(root(), TB_AT_FDCWD, name, TB_O_RDONLY, 0, &fd) != 0)
		return false;
	buffer_fill(full, number, full->sizes[number]);
	for (uint32_t at = 0; at <= full->sizes[number] && right; at += sizeof piece) {
		size_t wanted = MIN((size_t)full->sizes[number] - at, sizeof piece);
		err_t err = vfs_pread(root(), fd, piece, sizeof piece, at, &done);
		right = err == 0 && done == wanted && memcmp(piece, full->buffer + at, wanted) == 0;
	}
	return vfs_close(root(), fd) == 0 && right;
}

static void files_check(TEST_RUN, struct full *full)
{
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < full->files; i++)
		if (full->sizes[i] != UINT32_MAX && !file_is_right(full, i))
			wrong++;
	CHECK_EQ(wrong, 0);
}

static void file_take(TEST_RUN, struct full *full, uint32_t number)
{
	char name[24];

	name_of(number, name);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, name, 0), 0);
	full->sizes[number] = UINT32_MAX;
}

static void fill(TEST_RUN, struct full *full, uint32_t size)
{
	err_t err = 0;

	while (err == 0 && full->files < FILES_MAX)
		err = file_put(full, full->files, size);
	CHECK_EQ(err, -ENOSPC);
}

static void out_and_in(TEST_RUN, struct full *full)
{
	CHECK_EQ(vfs_sync(), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	full_check(test_run_, full);
	CHECK_EQ(mount(full), 0);
	files_check(test_run_, full);
}

// What has no name any more is taken apart in the background, and rests for two epochs in which something changes.
static void free_wait(TEST_RUN, uint64_t bytes)
{
	struct tb_statfs statfs = {.blocks_free = 0};

	for (uint32_t i = 0; i < 500 && statfs.blocks_free * FRAME_SIZE < bytes; i++) {
		CHECK_EQ(vfs_chmod(root(), TB_AT_FDCWD, "/v", 0755, 0), 0);
		CHECK_EQ(vfs_sync(), 0);
		CHECK_EQ(vfs_statfs(root(), TB_AT_FDCWD, "/v", &statfs), 0);
		sleep_ns(2000000);
	}
	CHECK(statfs.blocks_free * FRAME_SIZE >= bytes);
}

static void files_take(TEST_RUN, struct full *full)
{
	for (uint32_t i = 0; i < full->files; i++)
		if (full->sizes[i] != UINT32_MAX)
			file_take(test_run_, full, i);
}

// Each leaves most of a block over, which nobody can have.
TEST(pxfs_full, files_that_leave_most_of_a_block)
{
	struct full *full = full_begin(test_run_);

	REQUIRE(full != NULL);
	while (full->files < 600)
		CHECK_EQ(file_put(full, full->files, 4608), 0);
	CHECK_EQ(vfs_sync(), 0);
	fill(test_run_, full, MIB(1));
	fill(test_run_, full, 4608);
	out_and_in(test_run_, full);
	files_take(test_run_, full);
	full_end(test_run_, full);
}

// Many leaves, all of which change when all files have been read.
TEST(pxfs_full, files_in_leaves)
{
	struct full *full = full_begin(test_run_);

	REQUIRE(full != NULL);
	fill(test_run_, full, 2000);
	CHECK(full->files > 500);
	out_and_in(test_run_, full);
	out_and_in(test_run_, full);
	files_take(test_run_, full);
	full_end(test_run_, full);
}

// Half of the space is free, in pieces that are too small for a node.
TEST(pxfs_full, space_that_no_node_fits_into)
{
	struct full *full = full_begin(test_run_);

	REQUIRE(full != NULL);
	fill(test_run_, full, 8192);
	uint32_t small = full->files;
	CHECK_EQ(vfs_sync(), 0);
	for (uint32_t i = 0; i < small; i += 2)
		file_take(test_run_, full, i);
	free_wait(test_run_, MIB(3));
	fill(test_run_, full, MIB(1));
	out_and_in(test_run_, full);
	files_take(test_run_, full);
	full_end(test_run_, full);
}

// Free space is in pieces of some blocks, and is filled by what wants runs.
TEST(pxfs_full, space_in_pieces)
{
	struct full *full = full_begin(test_run_);

	REQUIRE(full != NULL);
	fill(test_run_, full, 8192);
	uint32_t small = full->files;
	CHECK(small > 500);
	CHECK_EQ(vfs_sync(), 0);
	for (uint32_t i = 0; i < small; i++)
		if (i % 4 != 0)
			file_take(test_run_, full, i);
	free_wait(test_run_, MIB(5));
	fill(test_run_, full, MIB(1));
	CHECK(full->files > small + 4);
	out_and_in(test_run_, full);
	files_take(test_run_, full);
	full_end(test_run_, full);
}
