// SPDX-License-Identifier: MIT
//
// Volumes whose free space lies in small pieces: what was promised to dirty pages is found there.
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

#define PIECE_BYTES 8192u
#define PIECES_MAX 2000u

static struct process *root(void)
{
	return vfs_monitor_process();
}

static void say(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

static err_t put(const char *path, const uint8_t *bytes, size_t size, uint64_t offset)
{
	size_t done = 0;
	int32_t fd = -1;
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd);

	if (err != 0)
		return err;
	err = vfs_pwrite(root(), fd, bytes, size, offset, &done);
	if (err == 0)
		err = vfs_fsync(root(), fd);
	err_t closed = vfs_close(root(), fd);
	return err != 0 ? err : done != size ? -ENOSPC : closed;
}

// Fills it with small files that lie one behind the other, and takes away every second one.
static uint32_t fragment(TEST_RUN, const uint8_t *bytes)
{
	char path[32];
	uint32_t made = 0;
	err_t err = 0;

	for (; err == 0 && made < PIECES_MAX; made += err == 0) {
		ksnprintf(path, sizeof path, "/v/p%u", made);
		err = put(path, bytes + made % 1000, PIECE_BYTES, 0);
	}
	CHECK_EQ(err, -ENOSPC);
	for (uint32_t i = 0; i < made; i += 2) {
		ksnprintf(path, sizeof path, "/v/p%u", i);
		CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, path, 0), 0);
	}
	return made;
}

TEST(pxfs_fragment, small_pieces_are_room_too)
{
	struct block_device *disk = NULL;
	struct pxfs_check_report report;
	const char *problem = NULL;
	const size_t size = 400000;
	uint8_t *bytes = kmalloc(size, 0);
	struct rand_stream rand;
	uint64_t at = 0;
	err_t err = 0;
	REQUIRE(bytes != NULL && ramdisk_create(MIB(8), 512, 4096, &disk) == 0);
	rand_open(&rand, "fragment", 0);
	rand_fill(&rand, bytes, size);
	CHECK_EQ(pxfs_format(block_name(disk), &(struct pxfs_format_params){.copies = 1}, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755), 0);
	CHECK_EQ(vfs_mount(root(), block_name(disk), "/v", "pxfs", 0, "", NULL), 0);
	uint32_t made = fragment(test_run_, bytes);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0); // what has no name any more is taken apart
	CHECK_EQ(vfs_mount(root(), block_name(disk), "/v", "pxfs", 0, "", NULL), 0);
	for (; err == 0; at += err == 0 ? size : 0)
		err = put("/v/large", bytes, size, at);
	CHECK_EQ(err, -ENOSPC);
	CHECK(at >= (uint64_t)made / 2 * PIECE_BYTES * 3 / 10); // the rest is kept for nodes and for taking away
	CHECK_EQ(vfs_sync(), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(pxfs_check_volume(block_name(disk), PXFS_CHECK_DATA, say, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(disk), 0);
	kfree(bytes);
}
