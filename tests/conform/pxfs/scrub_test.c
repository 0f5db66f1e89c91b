// SPDX-License-Identifier: MIT
//
// Scrubbing volumes that are mounted and ones that are not: what is damaged is found and repaired, what is lost is named, and what others write meanwhile is no error.
#include "hal/hal.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/monitor.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/test.h"
#include "kern/vfs.h"

#include "../../../src/fs/pxfs/volume_impl.h"

#define NODES_MAX 512u
#define KEPT_BYTES 200000u

static struct process *root(void)
{
	return vfs_monitor_process();
}

static bool is_slow(void)
{
	return CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
}

struct scrubbed {
	struct block_device *disk;
	struct pxfs_scrub_report report;
	char said[600]; // the first thing
	uint32_t said_count, steps, stop_at;
	uint32_t *written; // atomic: what writers have done; NULL: there are none
	struct pxfs_pointer nodes[NODES_MAX];
	uint32_t node_count;
	struct pxfs_extent extent; // of `ino` at `offset`
	uint64_t ino, offset;
	uint8_t bytes[KEPT_BYTES];
};

static void said(void *arg, const char *text)
{
	struct scrubbed *work = arg;

	if (work->said_count++ == 0)
		ksnprintf(work->said, sizeof work->said, "%s", text);
}

static bool step(void *arg, const struct pxfs_scrub_report *report)
{
	struct scrubbed *work = arg;

	(void)report;
	uint32_t before = work->written == NULL ? 0 : atomic_load_u32_acquire(work->written);
	while (work->written != NULL && atomic_load_u32_acquire(work->written) - before < 6) // as if the disk were slow
		thread_yield();
	return ++work->steps != work->stop_at;
}

static err_t scrub(struct scrubbed *work, const char *where, uint32_t flags)
{
	struct pxfs_scrub_calls calls = {.say = said, .progress = step, .arg = work};
	const char *problem = NULL;

	work->said_count = 0;
	work->said[0] = '\0';
	return pxfs_scrub(where, flags, &calls, &work->report, &problem);
}

static void scrub_clean(TEST_RUN, struct scrubbed *work, const char *where)
{
	CHECK_EQ(scrub(work, where, PXFS_SCRUB_REPAIR), 0);
	CHECK_EQ(work->report.damaged, 0);
	CHECK_EQ(work->report.lost_nodes + work->report.lost_extents, 0);
	CHECK_EQ(work->said_count, 0);
	CHECK(!work->report.stopped && work->report.nodes != 0);
}

static err_t put(const char *path, const void *bytes, size_t size)
{
	size_t done = 0;
	int32_t fd = -1;
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd);

	if (err != 0)
		return err;
	err = vfs_pwrite(root(), fd, bytes, size, 0, &done);
	err_t closed = vfs_close(root(), fd);
	return err != 0 ? err : closed;
}

static err_t mount(struct scrubbed *work)
{
	return vfs_mount(root(), block_name(work->disk), "/v", "pxfs", 0, "", NULL);
}

// A mounted volume with a folder of small files and one of a few clusters that do not shrink.
static struct scrubbed *scrubbed_make(TEST_RUN)
{
	struct scrubbed *work = kmalloc(sizeof *work, MEM_ZERO);
	struct rand_stream rand;
	const char *problem = NULL;
	struct tb_stat stat;
	char path[32];

	if (work == NULL)
		return NULL;
	rand_open(&rand, "scrub", 0);
	rand_fill(&rand, work->bytes, KEPT_BYTES);
	CHECK_EQ(ramdisk_create(MIB(24), 512, 4096, &work->disk), 0);
	CHECK_EQ(pxfs_format(block_name(work->disk), &(struct pxfs_format_params){.copies = 2}, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755), 0);
	CHECK_EQ(mount(work), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v/in", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v/in/deep", 0755), 0);
	for (uint32_t i = 0; i < (is_slow() ? 120u : 400u); i++) {
		ksnprintf(path, sizeof path, "/v/in/f%u", i);
		CHECK_EQ(put(path, work->bytes, 100 + i * 3), 0);
	}
	CHECK_EQ(put("/v/in/deep/kept", work->bytes, KEPT_BYTES), 0);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/v/in/deep/kept", 0, &stat), 0);
	work->ino = stat.ino;
	CHECK_EQ(vfs_sync(), 0);
	return work;
}

static void scrubbed_end(TEST_RUN, struct scrubbed *work, bool mounted)
{
	struct pxfs_check_report report;
	const char *problem = NULL;

	if (mounted)
		CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(pxfs_check_volume(block_name(work->disk), 0, said, work, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(work->disk), 0);
	kfree(work);
}

// ---- where things lie ---------------------------------------------------------------------------------------------------------------

static void node_walk(TEST_RUN, struct scrubbed *work, struct pxfs_volume *volume, const struct pxfs_pointer *pointer,
		      uint64_t id)
{
	struct pxfs_node *node = NULL;

	if (pointer_is_null(pointer) || work->node_count == NODES_MAX)
		return;
	work->nodes[work->node_count++] = *pointer;
	REQUIRE(node_get(volume, pointer, id, UINT32_MAX, &node) == 0);
	for (uint32_t i = 0; i < node_count(node); i++) {
		if (node_level(node) != 0) {
			node_walk(test_run_, work, volume, &node_children(node)[i].pointer, id);
			continue;
		}
		struct pxfs_where where = where_of(&node_items(node)[i].key);
		const uint8_t *data = node->bytes + le32_get(&node_items(node)[i].at);
		if (where.type == PXFS_SUBVOLUME)
			node_walk(test_run_, work, volume, &((const struct pxfs_subvolume *)data)->root, where.object);
		if (where.type == PXFS_EXTENT && where.object == work->ino && where.offset == work->offset)
			memcpy(&work->extent, data, sizeof work->extent);
	}
	node_put(volume, node);
}

// All nodes of a volume that nobody uses.
static void places_find(TEST_RUN, struct scrubbed *work)
{
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;

	work->node_count = 0;
	REQUIRE(volume_open(block_name(work->disk), true, &volume, &problem) == 0);
	node_walk(test_run_, work, volume, &volume->root_tree.root, PXFS_TREE_ROOT);
	node_walk(test_run_, work, volume, &volume->space_tree.root, PXFS_TREE_SPACE);
	volume_abandon(volume);
	REQUIRE(work->node_count < NODES_MAX && le64_get(&work->extent.address) != 0);
}

static void flip(TEST_RUN, struct scrubbed *work, uint64_t sector, uint32_t byte)
{
	uint8_t bytes[512];

	CHECK_EQ(block_read(work->disk, sector + byte / 512, bytes, sizeof bytes), 0);
	bytes[byte % 512] ^= 0x20;
	CHECK_EQ(block_write(work->disk, sector + byte / 512, bytes, sizeof bytes, 0), 0);
}

// The exit status of a line in which %s is the device.
static int32_t command(const char *format, const struct scrubbed *work)
{
	char line[80];
	size_t size = ksnprintf(line, sizeof line, format, block_name(work->disk));

	return monitor_run_line(line, size);
}

static void copy_damage(TEST_RUN, struct scrubbed *work, uint32_t node, uint32_t copy)
{
	flip(test_run_, work, le64_get(&work->nodes[node].address[copy]), (node * 97 + 13) % 16384);
}

// ---- tests ------------------------------------------------------------------------------------------------------------------------

TEST(pxfs_scrub, nothing_is_wrong)
{
	struct scrubbed *work = scrubbed_make(test_run_);
	REQUIRE(work != NULL);
	scrub_clean(test_run_, work, "/v/in/deep");
	CHECK_EQ(work->report.bytes, ALIGN_UP(KEPT_BYTES, 512u));
	uint64_t nodes = work->report.nodes;
	scrub_clean(test_run_, work, block_name(work->disk));
	CHECK_EQ(work->report.nodes, nodes);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	places_find(test_run_, work);
	scrub_clean(test_run_, work, block_name(work->disk));
	CHECK_EQ(work->report.nodes, work->node_count);
	CHECK_EQ(command("scrub %s", work), 0);
	CHECK_EQ(command("scrub nothing", work), 8);
	CHECK_EQ(command("scrub -x %s", work), 2);
	CHECK_EQ(scrub(work, "/", 0), -EINVAL);
	CHECK_EQ(scrub(work, "nothing", 0), -ENODEV);
	work->steps = 0;
	work->stop_at = 3;
	CHECK_EQ(scrub(work, block_name(work->disk), 0), 0);
	CHECK(work->report.stopped);
	scrubbed_end(test_run_, work, false);
}

// Each node loses one of its copies, while it is mounted or not, and has it again. Those that are in memory may lose both.
static void copies_try(TEST_RUN, bool mounted)
{
	struct scrubbed *work = scrubbed_make(test_run_);
	REQUIRE(work != NULL);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	places_find(test_run_, work);
	if (mounted)
		CHECK_EQ(mount(work), 0);
	for (uint32_t i = 0; i < work->node_count; i++)
		copy_damage(test_run_, work, i, i % 2);
	CHECK_EQ(scrub(work, mounted ? "/v" : block_name(work->disk), 0), 0);
	CHECK(work->report.damaged > 2 && work->report.damaged <= work->node_count);
	CHECK_EQ(work->report.repaired, 0);
	CHECK_EQ(scrub(work, mounted ? "/v" : block_name(work->disk), PXFS_SCRUB_REPAIR), 0);
	CHECK(work->report.repaired > 2);
	CHECK_EQ(work->report.repaired, work->report.damaged);
	CHECK_EQ(work->report.lost_nodes + work->report.lost_extents, 0);
	scrub_clean(test_run_, work, mounted ? "/v" : block_name(work->disk));
	scrubbed_end(test_run_, work, mounted);
}

TEST(pxfs_scrub, copies_of_a_mounted_volume)
{
	copies_try(test_run_, true);
}

TEST(pxfs_scrub, copies_of_an_unmounted_volume)
{
	copies_try(test_run_, false);
}

// The root of the files' tree is in memory, so its copies can be written again though neither is sound.
TEST(pxfs_scrub, what_is_in_memory_is_a_copy_too)
{
	struct scrubbed *work = scrubbed_make(test_run_);
	struct tb_stat stat;
	REQUIRE(work != NULL);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	places_find(test_run_, work);
	CHECK_EQ(mount(work), 0);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/v/in/f7", 0, &stat), 0);
	for (uint32_t copy = 0; copy < 2; copy++)
		copy_damage(test_run_, work, 1, copy); // 0 is the root tree, which changes with each mount
	CHECK_EQ(scrub(work, "/v", PXFS_SCRUB_REPAIR), 0);
	CHECK_EQ(work->report.damaged, 2);
	CHECK_EQ(work->report.repaired, 2);
	CHECK_EQ(work->report.lost_nodes, 0);
	scrubbed_end(test_run_, work, true);
}

static uint64_t lost_counted(struct scrubbed *work)
{
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;

	if (volume_open(block_name(work->disk), true, &volume, &problem) != 0)
		return UINT64_MAX;
	uint64_t lost = volume->errors_lost;
	volume_abandon(volume);
	return lost;
}

// Also a node that opening the volume reads.
TEST(pxfs_scrub, the_command_says_what_came_of_it)
{
	struct scrubbed *work = scrubbed_make(test_run_);
	REQUIRE(work != NULL);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	places_find(test_run_, work);
	copy_damage(test_run_, work, 0, 0);
	copy_damage(test_run_, work, 3, 1);
	CHECK_EQ(command("scrub -n %s", work), 4);
	CHECK_EQ(command("scrub %s", work), 1);
	CHECK_EQ(command("scrub %s", work), 0);
	flip(test_run_, work, le64_get(&work->extent.address), 7);
	CHECK_EQ(command("scrub %s", work), 4);
	flip(test_run_, work, le64_get(&work->extent.address), 7);
	CHECK_EQ(command("scrub %s", work), 0);
	scrubbed_end(test_run_, work, false);
}

// Data have one copy: which file has lost what is told, and counted on disk.
TEST(pxfs_scrub, lost_data_are_named)
{
	struct scrubbed *work = scrubbed_make(test_run_);
	char wanted[200];
	REQUIRE(work != NULL);
	work->offset = 65536;
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	places_find(test_run_, work);
	CHECK_EQ(mount(work), 0);
	uint64_t sector = le64_get(&work->extent.address);
	flip(test_run_, work, sector, 40000);
	ksnprintf(wanted, sizeof wanted,
		  "subvolume 256, inode %llu, /in/deep/kept: 65536 bytes at 65536 are lost (sector %llu)",
		  (unsigned long long)work->ino, (unsigned long long)sector);
	CHECK_EQ(scrub(work, "/v", PXFS_SCRUB_REPAIR), 0);
	CHECK_EQ(work->report.lost_extents, 1);
	CHECK_EQ(work->report.damaged, 0);
	CHECK_EQ(work->said_count, 1);
	CHECK(str_equal(work->said, wanted));
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(lost_counted(work), 1);
	CHECK_EQ(scrub(work, block_name(work->disk), PXFS_SCRUB_REPAIR), 0);
	CHECK_EQ(work->report.lost_extents, 1);
	CHECK(str_equal(work->said, wanted));
	CHECK_EQ(lost_counted(work), 2);
	flip(test_run_, work, sector, 40000);
	scrub_clean(test_run_, work, block_name(work->disk));
	scrubbed_end(test_run_, work, false);
}

TEST(pxfs_scrub, lost_nodes_are_told)
{
	struct scrubbed *work = scrubbed_make(test_run_);
	REQUIRE(work != NULL);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	places_find(test_run_, work);
	REQUIRE(work->node_count > 4);
	for (uint32_t copy = 0; copy < 2; copy++)
		copy_damage(test_run_, work, 2, copy); // the first leaf of the files' tree
	CHECK_EQ(scrub(work, block_name(work->disk), PXFS_SCRUB_REPAIR), 0);
	CHECK_EQ(work->report.lost_nodes, 1);
	CHECK_EQ(work->report.repaired, 0);
	CHECK_EQ(work->said_count, 1);
	for (uint32_t copy = 0; copy < 2; copy++)
		copy_damage(test_run_, work, 2, copy);
	scrub_clean(test_run_, work, block_name(work->disk));
	scrubbed_end(test_run_, work, false);
}

// ---- among writers ----------------------------------------------------------------------------------------------------------------

#define WRITERS 2u

struct writers {
	struct test_run *run;
	struct thread *threads[WRITERS];
	const uint8_t *bytes;
	uint32_t next, stop, written; // atomic
};

static err_t write_step(const struct writers *writers, uint32_t number, struct rand_stream *rand)
{
	char path[32], other[32];
	uint32_t what = rand_below(rand, 10);

	ksnprintf(path, sizeof path, "/v/w%u-%u", number, rand_below(rand, 3));
	ksnprintf(other, sizeof other, "/v/w%u-%u", number, rand_below(rand, 3));
	if (what < 4)
		return put(path, writers->bytes + rand_below(rand, 1000), 1 + rand_below(rand, 100000));
	if (what < 6)
		return vfs_truncate(root(), TB_AT_FDCWD, path, rand_below(rand, 90000));
	if (what < 7)
		return vfs_unlink(root(), TB_AT_FDCWD, path, 0);
	if (what < 8)
		return vfs_rename(root(), TB_AT_FDCWD, path, TB_AT_FDCWD, other, 0);
	return vfs_sync();
}

static void writer_main(void *arg)
{
	struct writers *writers = arg;
	uint32_t number = atomic_fetch_add_u32_relaxed(&writers->next, 1);
	struct rand_stream rand;

	rand_open(&rand, "scrub: writer", number);
	while (atomic_load_u32_acquire(&writers->stop) == 0) {
		err_t err = write_step(writers, number, &rand);
		test_check(writers->run, err == 0 || err == -ENOENT || err == -ENOSPC, "a step", __FILE__, __LINE__);
		(void)atomic_fetch_add_u32_relaxed(&writers->written, 1);
		thread_yield();
	}
}

static void writers_start(TEST_RUN, struct writers *writers)
{
	struct thread_params params = {.name = "writer", .klass = CLASS_FAIR};

	atomic_store_u32_release(&writers->stop, 0);
	for (uint32_t i = 0; i < WRITERS; i++)
		CHECK_EQ(thread_start(&params, writer_main, writers, &writers->threads[i]), 0);
}

static void writers_stop(TEST_RUN, struct writers *writers)
{
	atomic_store_u32_release(&writers->stop, 1);
	for (uint32_t i = 0; i < WRITERS; i++)
		CHECK_EQ(thread_join(writers->threads[i], NULL), 0);
}

// No false alarm while extents and nodes are given up and taken anew; then what is lost is found all the same, and what has a sound copy is repaired.
TEST(pxfs_scrub, among_writers)
{
	struct scrubbed *work = scrubbed_make(test_run_);
	struct writers writers = {.run = test_run_};
	REQUIRE(work != NULL);
	writers.bytes = work->bytes;
	work->written = &writers.written;
	writers_start(test_run_, &writers);
	for (uint32_t i = 0; i < (is_slow() ? 2u : 6u); i++)
		scrub_clean(test_run_, work, "/v");
	writers_stop(test_run_, &writers);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	work->offset = 131072;
	places_find(test_run_, work);
	for (uint32_t i = 0; i < work->node_count; i++)
		copy_damage(test_run_, work, i, i % 2);
	flip(test_run_, work, le64_get(&work->extent.address), 60000);
	CHECK_EQ(mount(work), 0);
	writers_start(test_run_, &writers);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK_EQ(scrub(work, "/v", PXFS_SCRUB_REPAIR), 0);
		CHECK_EQ(work->report.repaired, work->report.damaged);
		CHECK(work->report.damaged == 0 || i == 0);
		CHECK_EQ(work->report.lost_nodes, 0);
		CHECK_EQ(work->report.lost_extents, 1);
		CHECK(strstr(work->said, "/in/deep/kept: 65536 bytes at 131072 are lost") != NULL);
	}
	writers_stop(test_run_, &writers);
	scrubbed_end(test_run_, work, true);
}
