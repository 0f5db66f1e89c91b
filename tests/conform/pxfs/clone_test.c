// SPDX-License-Identifier: MIT
//
// Reflinks: files that share clusters, overwritten, cut and cloned again, against a model; through mounting anew and snapshots. What is shared takes no space twice.
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

#define FILES 4u
#define FILE_BYTES 300000u

struct cloning {
	struct block_device *disk;
	struct rand_stream rand;
	uint32_t sizes[FILES];
	uint8_t *bytes[FILES], *buffer;
};

static struct process *root(void)
{
	return vfs_monitor_process();
}

static void say(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

static int32_t opened(TEST_RUN, uint32_t file)
{
	char path[16];
	int32_t fd = -1;

	ksnprintf(path, sizeof path, "/v/f%u", file);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd), 0);
	return fd;
}

static void cloning_mount(TEST_RUN, struct cloning *cloning)
{
	CHECK_EQ(vfs_mount(root(), block_name(cloning->disk), "/v", "pxfs", 0, "", NULL), 0);
}

static void cloning_umount(TEST_RUN, struct cloning *cloning)
{
	struct pxfs_check_report report;
	const char *problem = NULL;

	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(pxfs_check_volume(block_name(cloning->disk), PXFS_CHECK_DATA, say, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
}

static struct cloning *cloning_begin(TEST_RUN)
{
	struct cloning *cloning = kmalloc(sizeof *cloning, MEM_ZERO);
	const char *problem = NULL;
	bool all = cloning != NULL && ramdisk_create(MIB(16), 512, 4096, &cloning->disk) == 0;

	for (uint32_t i = 0; i < FILES && all; i++)
		all = (cloning->bytes[i] = kmalloc(FILE_BYTES, MEM_ZERO)) != NULL;
	if (!all || (cloning->buffer = kmalloc(FILE_BYTES, 0)) == NULL)
		return NULL;
	rand_open(&cloning->rand, "clone", 0);
	CHECK_EQ(pxfs_format(block_name(cloning->disk), &(struct pxfs_format_params){.copies = 1}, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755), 0);
	cloning_mount(test_run_, cloning);
	return cloning;
}

static void cloning_end(TEST_RUN, struct cloning *cloning)
{
	cloning_umount(test_run_, cloning);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(cloning->disk), 0);
	for (uint32_t i = 0; i < FILES; i++)
		kfree(cloning->bytes[i]);
	kfree(cloning->buffer);
	kfree(cloning);
}

static void files_check(TEST_RUN, struct cloning *cloning)
{
	for (uint32_t i = 0; i < FILES; i++) {
		int32_t fd = opened(test_run_, i);
		size_t done = 0;
		CHECK_EQ(vfs_pread(root(), fd, cloning->buffer, FILE_BYTES, 0, &done), 0);
		CHECK_EQ(done, cloning->sizes[i]);
		CHECK_EQ(memcmp(cloning->buffer, cloning->bytes[i], cloning->sizes[i]), 0);
		CHECK_EQ(vfs_close(root(), fd), 0);
	}
}

// ---- steps ----------------------------------------------------------------------------------------------------------------------

static void write_some(TEST_RUN, struct cloning *cloning, uint32_t file)
{
	uint32_t at = rand_below(&cloning->rand, FILE_BYTES - 1), size = 1 + rand_below(&cloning->rand, 30000);
	int32_t fd = opened(test_run_, file);
	size_t done = 0;

	size = MIN(size, FILE_BYTES - at);
	for (uint32_t i = 0; i < size; i++)
		cloning->bytes[file][at + i] = (uint8_t)(i % 3 == 0 ? rand_u32(&cloning->rand) : i / 50);
	CHECK_EQ(vfs_pwrite(root(), fd, cloning->bytes[file] + at, size, at, &done), 0);
	cloning->sizes[file] = MAX(cloning->sizes[file], at + size);
	CHECK_EQ(vfs_close(root(), fd), 0);
}

static void truncate_some(TEST_RUN, struct cloning *cloning, uint32_t file)
{
	uint32_t size = rand_below(&cloning->rand, FILE_BYTES);
	int32_t fd = opened(test_run_, file);

	CHECK_EQ(vfs_ftruncate(root(), fd, size), 0);
	if (size < cloning->sizes[file])
		memset(cloning->bytes[file] + size, 0, cloning->sizes[file] - size);
	cloning->sizes[file] = size;
	CHECK_EQ(vfs_close(root(), fd), 0);
}

static void model_copy(struct cloning *cloning, uint32_t from, uint64_t at, uint32_t to, uint64_t to_at, uint64_t size)
{
	memcpy(cloning->buffer, cloning->bytes[from] + at, (size_t)size);
	memcpy(cloning->bytes[to] + to_at, cloning->buffer, (size_t)size);
	if (size != 0)
		cloning->sizes[to] = MAX(cloning->sizes[to], (uint32_t)(to_at + size));
}

// Mostly where pages begin, so that much is shared.
static void copy_some(TEST_RUN, struct cloning *cloning, uint32_t from, uint32_t to)
{
	uint32_t unit = rand_below(&cloning->rand, 4) == 0 ? 1 : FRAME_SIZE;
	uint64_t at = rand_below(&cloning->rand, FILE_BYTES / 2) / unit * unit;
	uint64_t to_at = rand_below(&cloning->rand, FILE_BYTES / 2) / unit * unit;
	uint64_t size = rand_below(&cloning->rand, FILE_BYTES / 2), a = at, b = to_at;
	uint64_t there = cloning->sizes[from] > at ? MIN(cloning->sizes[from] - at, size) : 0;
	int32_t fd = opened(test_run_, from), to_fd = opened(test_run_, to);
	size_t done = 0;
	err_t err = vfs_copy_range(root(), fd, &a, to_fd, &b, size, 0, &done);
	bool overlap = from == to && at < to_at + there && to_at < at + there;

	CHECK_EQ(err, overlap ? -EINVAL : 0);
	if (err == 0) {
		CHECK(done <= there && (done != 0 || there == 0));
		CHECK_EQ(a - at, done);
		model_copy(cloning, from, at, to, to_at, done);
	}
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_close(root(), to_fd), 0);
}

static void clone_whole(TEST_RUN, struct cloning *cloning, uint32_t from, uint32_t to)
{
	int32_t fd = opened(test_run_, from), to_fd = opened(test_run_, to);
	bool fits = cloning->sizes[to] <= cloning->sizes[from] || cloning->sizes[from] % FRAME_SIZE == 0;
	err_t err = vfs_ioctl(root(), to_fd, TB_FICLONE, &fd);

	CHECK_EQ(err, cloning->sizes[from] == 0 || (from != to && fits) ? 0 : -EINVAL);
	if (err == 0)
		model_copy(cloning, from, 0, to, 0, cloning->sizes[from]);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_close(root(), to_fd), 0);
}

static void snapshot_some(TEST_RUN, struct cloning *cloning, uint32_t number)
{
	struct tb_pxfs_names names = {.flags = 0};

	ksnprintf(names.name, sizeof names.name, "s%u", number % 3);
	err_t err = pxfs_subvolume(block_name(cloning->disk), TB_PXFS_DELETE, &names, NULL);
	CHECK(err == 0 || err == -ENOENT);
	err = pxfs_subvolume(block_name(cloning->disk), TB_PXFS_SNAPSHOT, &names, NULL);
	CHECK_EQ(err, 0);
}

TEST(pxfs_clone, shared_clusters_against_a_model)
{
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	struct cloning *cloning = cloning_begin(test_run_);

	REQUIRE(cloning != NULL);
	for (uint32_t i = 0; i < (slow ? 120u : 600u); i++) {
		uint32_t a = rand_below(&cloning->rand, FILES), b = rand_below(&cloning->rand, FILES);
		switch (rand_below(&cloning->rand, 12)) {
		case 0:
		case 1:
		case 2:
			write_some(test_run_, cloning, a);
			break;
		case 3:
			truncate_some(test_run_, cloning, a);
			break;
		case 4:
			clone_whole(test_run_, cloning, a, b);
			break;
		case 5:
			CHECK_EQ(vfs_sync(), 0);
			break;
		case 6:
			files_check(test_run_, cloning);
			break;
		case 7:
			snapshot_some(test_run_, cloning, i);
			break;
		case 8:
			cloning_umount(test_run_, cloning);
			cloning_mount(test_run_, cloning);
			files_check(test_run_, cloning);
			break;
		default:
			copy_some(test_run_, cloning, a, b);
		}
	}
	files_check(test_run_, cloning);
	cloning_end(test_run_, cloning);
}

TEST(pxfs_clone, takes_no_space_twice)
{
	struct cloning *cloning = cloning_begin(test_run_);
	struct tb_statfs before, after;
	size_t done = 0;

	REQUIRE(cloning != NULL);
	int32_t fd = opened(test_run_, 0);
	rand_fill(&cloning->rand, cloning->buffer, FILE_BYTES);
	CHECK_EQ(vfs_pwrite(root(), fd, cloning->buffer, FILE_BYTES, 0, &done), 0);
	CHECK_EQ(vfs_sync(), 0);
	CHECK_EQ(vfs_statfs(root(), TB_AT_FDCWD, "/v", &before), 0);
	for (uint32_t i = 1; i < 30; i++) {
		int32_t to = opened(test_run_, i);
		CHECK_EQ(vfs_ioctl(root(), to, TB_FICLONE, &fd), 0);
		CHECK_EQ(vfs_close(root(), to), 0);
	}
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_sync(), 0);
	CHECK_EQ(vfs_statfs(root(), TB_AT_FDCWD, "/v", &after), 0);
	CHECK(after.blocks_free + FILE_BYTES / FRAME_SIZE >= before.blocks_free);
	cloning_end(test_run_, cloning);
}

// Small files, whose bytes lie nowhere yet; the target's too.
TEST(pxfs_clone, what_is_dirty_and_small)
{
	struct cloning *cloning = cloning_begin(test_run_);
	size_t done = 0;

	REQUIRE(cloning != NULL);
	for (uint32_t round = 0; round < 2; round++) {
		int32_t fd = opened(test_run_, 2 * round), to = opened(test_run_, 2 * round + 1);
		CHECK_EQ(vfs_pwrite(root(), fd, "a source", 8, 0, &done), 0);
		if (round != 0)
			CHECK_EQ(vfs_pwrite(root(), to, "target", 6, 0, &done), 0);
		CHECK_EQ(vfs_ioctl(root(), to, TB_FICLONE, &fd), 0);
		CHECK_EQ(vfs_close(root(), fd), 0);
		CHECK_EQ(vfs_close(root(), to), 0);
	}
	for (uint32_t i = 0; i < FILES; i++) {
		cloning->sizes[i] = 8;
		memcpy(cloning->bytes[i], "a source", 8);
	}
	files_check(test_run_, cloning);
	cloning_umount(test_run_, cloning);
	cloning_mount(test_run_, cloning);
	files_check(test_run_, cloning);
	cloning_end(test_run_, cloning);
}
