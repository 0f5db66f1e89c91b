// SPDX-License-Identifier: MIT
//
// What the checker puts right: each thing that may be wrong is made wrong, alone and together; then nothing is, and what was not lost is there.
#include "hal/hal.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/monitor.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/rand.h"
#include "kern/test.h"
#include "kern/vfs.h"

#include "../../../src/fs/pxfs/volume_impl.h"

#define FILE_BYTES 100000u
#define DISK_BYTES MIB(16)

static struct process *root(void)
{
	return vfs_monitor_process();
}

struct checked {
	struct block_device *disk;
	struct pxfs_check_report report;
	char last[200];
	uint64_t a, b, dir, sub; // inode numbers: /v/a, /v/b, /v/dir, /v/dir/sub
	uint8_t bytes[FILE_BYTES], found[FILE_BYTES];
};

static void said(void *arg, const char *text)
{
	ksnprintf(((struct checked *)arg)->last, 200, "%s", text);
}

static err_t fsck(struct checked *work, uint32_t flags)
{
	const char *problem = NULL;
	return pxfs_check_volume(block_name(work->disk), flags | PXFS_CHECK_DATA, said, work, &work->report, &problem);
}

static err_t mount(struct checked *work)
{
	return vfs_mount(root(), block_name(work->disk), "/v", "pxfs", 0, "", NULL);
}

static err_t put(struct checked *work, const char *path, uint64_t offset, size_t size)
{
	size_t done = 0;
	int32_t fd = -1;
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd);

	if (err != 0)
		return err;
	err = vfs_pwrite(root(), fd, work->bytes + offset, size, offset, &done);
	if (err == 0)
		err = vfs_fsync(root(), fd);
	err_t closed = vfs_close(root(), fd);
	return err != 0 ? err : closed;
}

static bool holds(struct checked *work, const char *path, size_t size)
{
	size_t done = 0;
	int32_t fd = -1;

	if (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd) != 0)
		return false;
	err_t err = vfs_pread(root(), fd, work->found, size, 0, &done);
	return vfs_close(root(), fd) == 0 && err == 0 && done == size && memcmp(work->bytes, work->found, size) == 0;
}

static uint64_t number_of(const char *path)
{
	struct tb_stat stat;
	return vfs_stat(root(), TB_AT_FDCWD, path, 0, &stat) == 0 ? stat.ino : 0;
}

// /v/a in pieces of clusters that share one, /v/b small, /v/dir/sub/c.
static struct checked *checked_make(TEST_RUN)
{
	struct checked *work = kmalloc(sizeof *work, MEM_ZERO);
	struct rand_stream rand;
	const char *problem = NULL;

	if (work == NULL)
		return NULL;
	rand_open(&rand, "check", 0);
	rand_fill(&rand, work->bytes, FILE_BYTES);
	CHECK_EQ(ramdisk_create(DISK_BYTES, 512, 4096, &work->disk), 0);
	CHECK_EQ(pxfs_format(block_name(work->disk), &(struct pxfs_format_params){.copies = 2}, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755), 0);
	CHECK_EQ(mount(work), 0);
	CHECK_EQ(put(work, "/v/a", 0, FILE_BYTES), 0);
	CHECK_EQ(put(work, "/v/a", 20480, 4096), 0);
	CHECK_EQ(put(work, "/v/b", 0, 700), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v/dir", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v/dir/sub", 0755), 0);
	CHECK_EQ(put(work, "/v/dir/sub/c", 0, 30000), 0);
	work->a = number_of("/v/a");
	work->b = number_of("/v/b");
	work->dir = number_of("/v/dir");
	work->sub = number_of("/v/dir/sub");
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(fsck(work, 0), 0);
	CHECK_EQ(work->report.problems, 0);
	return work;
}

static void checked_end(TEST_RUN, struct checked *work)
{
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(work->disk), 0);
	kfree(work);
}

// ---- making it wrong ----------------------------------------------------------------------------------------------------------------

// The volume as the checker's enemy has it open.
struct enemy {
	struct test_run *run;
	struct checked *work;
	struct pxfs_volume *volume;
	struct pxfs_tree *tree; // of the files
};

static void expect(struct enemy *enemy, err_t err, const char *what)
{
	test_check_eq(enemy->run, err, 0, what, __FILE__, __LINE__);
}

static void item_change(struct enemy *enemy, uint64_t ino, uint32_t links, uint64_t entries)
{
	struct pxfs_where where = {ino, PXFS_INODE, 0};
	struct pxfs_inode item;
	uint32_t size = sizeof item;

	expect(enemy, tree_get(enemy->tree, &where, &item, &size), "the item");
	if (links != UINT32_MAX)
		le32_put(&item.links, links);
	if (entries != UINT64_MAX)
		le64_put(&item.entries, entries);
	expect(enemy, tree_put(enemy->tree, &where, &item, sizeof item), "the item changed");
}

// The name that leads to an inode; its item's data go into `buffer`.
static struct pxfs_where name_find(struct enemy *enemy, uint64_t ino, uint8_t *buffer, uint32_t *size)
{
	struct pxfs_where where, found = {0, 0, 0};
	struct pxfs_path path;
	const uint8_t *data = NULL;
	bool exact = false, there = false;

	expect(enemy, tree_find(enemy->tree, &(struct pxfs_where){0, 0, 0}, &path, &exact), "the first item");
	while (path_item(&path, &where, &data, size, &there) == 0 && there) {
		if (where.type == PXFS_DIRENT && le64_get(&((const struct pxfs_dirent *)data)->inode) == ino) {
			found = where;
			memcpy(buffer, data, *size);
			break;
		}
		path_step(&path);
	}
	path_release(&path);
	test_check(enemy->run, found.type == PXFS_DIRENT, "it has a name", __FILE__, __LINE__);
	return found;
}

static void name_lose(struct enemy *enemy, uint64_t ino)
{
	uint8_t buffer[300];
	uint32_t size = 0;
	struct pxfs_where where = name_find(enemy, ino, buffer, &size);

	expect(enemy, tree_take(enemy->tree, &where), "a name less");
}

static void links_wrong(struct enemy *enemy)
{
	item_change(enemy, enemy->work->a, 7, UINT64_MAX);
	item_change(enemy, enemy->work->dir, 9, UINT64_MAX);
}

static void entries_wrong(struct enemy *enemy)
{
	item_change(enemy, enemy->work->dir, UINT32_MAX, 40);
}

static void inode_lost(struct enemy *enemy)
{
	expect(enemy, tree_take(enemy->tree, &(struct pxfs_where){enemy->work->a, PXFS_INODE, 0}), "an inode less");
}

static void name_lost(struct enemy *enemy)
{
	name_lose(enemy, enemy->work->a);
}

static void directory_lost(struct enemy *enemy)
{
	name_lose(enemy, enemy->work->dir);
}

static void orphan_missing(struct enemy *enemy)
{
	name_lose(enemy, enemy->work->b);
	item_change(enemy, enemy->work->b, 0, UINT64_MAX);
}

static void orphan_wrong(struct enemy *enemy)
{
	struct pxfs_where where = {0, PXFS_ORPHAN, enemy->work->a};
	expect(enemy, tree_put(enemy->tree, &where, &where, 0), "an orphan with a name");
}

static void kind_wrong(struct enemy *enemy)
{
	uint8_t buffer[300];
	uint32_t size = 0;
	struct pxfs_where where = name_find(enemy, enemy->work->b, buffer, &size);

	((struct pxfs_dirent *)buffer)->kind = TB_S_IFDIR >> 12;
	expect(enemy, tree_put(enemy->tree, &where, buffer, size), "a name of another kind");
}

static void second_name(struct enemy *enemy)
{
	uint8_t buffer[300];
	uint32_t size = 0;
	(void)name_find(enemy, enemy->work->dir, buffer, &size);
	struct pxfs_where where = {enemy->work->sub, PXFS_DIRENT, (1ull << 62) + 5};

	expect(enemy, tree_put(enemy->tree, &where, buffer, size), "two names of a directory");
}

static void no_name(struct enemy *enemy)
{
	struct pxfs_where where = {enemy->work->dir, PXFS_DIRENT, (1ull << 61) + 5};
	expect(enemy, tree_put(enemy->tree, &where, "what", 4), "no name");
	where = (struct pxfs_where){enemy->work->a, PXFS_EXTENT, 1ull << 40};
	expect(enemy, tree_put(enemy->tree, &where, "what", 4), "no extent");
}

// The only extent with an item in the tree of references has two pieces.
static void references_wrong(struct enemy *enemy, uint32_t count, bool another)
{
	struct pxfs_tree *tree = &enemy->volume->refs_tree;
	struct pxfs_where where = {0, 0, 0};
	struct pxfs_path path;
	struct pxfs_refs refs = {.count = {{0}}};
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = false;

	expect(enemy, tree_find(tree, &where, &path, &exact), "the tree of references");
	expect(enemy, path_item(&path, &where, &data, &size, &there), "its first item");
	test_check(enemy->run, there && size == sizeof refs, "there is one", __FILE__, __LINE__);
	memcpy(&refs, data, sizeof refs);
	path_release(&path);
	le32_put(&refs.count, count);
	where.object += another ? 4096 : 0;
	expect(enemy, count == 0 ? tree_take(tree, &where) : tree_put(tree, &where, &refs, sizeof refs), "references");
}

static void references_many(struct enemy *enemy)
{
	references_wrong(enemy, 5, false);
}

static void references_none(struct enemy *enemy)
{
	references_wrong(enemy, 0, false);
}

static void references_of_nothing(struct enemy *enemy)
{
	references_wrong(enemy, 2, true);
}

static void space_leaked(struct enemy *enemy)
{
	uint64_t address = 0;
	for (uint32_t i = 0; i < 5; i++)
		expect(enemy, space_take(enemy->volume, false, SPACE_DATA, 64, &address), "sectors");
}

// Those of a file, which then are found by the next who looks for room.
static void space_missing(struct enemy *enemy)
{
	struct pxfs_where where = {enemy->work->a, PXFS_EXTENT, 0};
	struct pxfs_extent extent;
	uint32_t size = sizeof extent;

	expect(enemy, tree_get(enemy->tree, &where, &extent, &size), "the extent");
	space_return(enemy->volume, false, le64_get(&extent.address), 8);
}

static void promised_wrong(struct enemy *enemy)
{
	enemy->volume->space.promised_sectors += 100;
}

struct wrong {
	const char *name;
	void (*make)(struct enemy *enemy);
	bool a, b, c;       // what is there afterwards, where it was
	const char *a_path; // where the first one is then; NULL: where it was
};

static const struct wrong wrongs[] = {
	{"a kind", kind_wrong, true, true, true, NULL},
	{"links", links_wrong, true, true, true, NULL},
	{"entries", entries_wrong, true, true, true, NULL},
	{"an inode", inode_lost, false, true, true, NULL},
	{"a name", name_lost, true, true, true, "lost"},
	{"a directory's name", directory_lost, true, true, false, NULL},
	{"an orphan's item", orphan_missing, true, false, true, NULL},
	{"an orphan with a name", orphan_wrong, true, true, true, NULL},
	{"two names", second_name, true, true, true, NULL},
	{"no name", no_name, true, true, true, NULL},
	{"too many references", references_many, true, true, true, NULL},
	{"no references", references_none, true, true, true, NULL},
	{"references of nothing", references_of_nothing, true, true, true, NULL},
	{"leaked sectors", space_leaked, true, true, true, NULL},
	{"missing sectors", space_missing, true, true, true, NULL},
	{"promised sectors", promised_wrong, true, true, true, NULL},
};

static void wrong_make(TEST_RUN, struct checked *work, void (*make)(struct enemy *enemy))
{
	struct enemy enemy = {.run = test_run_, .work = work};
	struct pxfs_subvol *subvol = NULL;
	const char *problem = NULL;
	REQUIRE(volume_open(block_name(work->disk), false, &enemy.volume, &problem) == 0);
	REQUIRE(subvol_open(enemy.volume, PXFS_TREE_SUBVOLUME, &subvol, &problem) == 0);
	subvol->changed = true;
	enemy.tree = &subvol->tree;
	make(&enemy);
	rwlock_write_lock(&enemy.volume->epoch);
	CHECK_EQ(volume_checkpoint(enemy.volume), 0);
	rwlock_write_unlock(&enemy.volume->epoch);
	volume_abandon(enemy.volume);
}

// ---- putting it right -----------------------------------------------------------------------------------------------------------------

static int32_t command(const char *format, const struct checked *work)
{
	char line[80];
	size_t size = ksnprintf(line, sizeof line, format, block_name(work->disk));

	return monitor_run_line(line, size);
}

static void mended_check(TEST_RUN, struct checked *work)
{
	CHECK_EQ(fsck(work, 0), 0);
	CHECK(work->report.problems > 0);
	CHECK_EQ(work->report.mended, 0);
	CHECK_EQ(fsck(work, PXFS_CHECK_REPAIR), 0);
	CHECK_EQ(work->report.problems, 0);
	CHECK(work->report.mended > 0);
	CHECK_EQ(fsck(work, PXFS_CHECK_REPAIR), 0);
	CHECK_EQ(work->report.problems, 0);
	CHECK_EQ(work->report.mended, 0);
}

static void wrong_try(TEST_RUN, const struct wrong *wrong)
{
	struct checked *work = checked_make(test_run_);
	char lost[64];
	REQUIRE(work != NULL);
	wrong_make(test_run_, work, wrong->make);
	mended_check(test_run_, work);
	if (work->report.problems != 0)
		log_err("%s: %s", wrong->name, work->last);
	CHECK_EQ(mount(work), 0);
	ksnprintf(lost, sizeof lost, "/v/lost+found/#%llu", (unsigned long long)work->a);
	CHECK_EQ(holds(work, wrong->a_path != NULL ? lost : "/v/a", FILE_BYTES), wrong->a);
	CHECK_EQ(holds(work, "/v/b", 700), wrong->b);
	ksnprintf(lost, sizeof lost, "/v/lost+found/#%llu/sub/c", (unsigned long long)work->dir);
	CHECK(holds(work, wrong->c ? "/v/dir/sub/c" : lost, 30000));
	CHECK_EQ(put(work, "/v/new", 0, FILE_BYTES), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(fsck(work, 0), 0);
	CHECK_EQ(work->report.problems, 0);
	checked_end(test_run_, work);
}

TEST(pxfs_check, each_thing_is_put_right)
{
	for (uint32_t i = 0; i < array_count(wrongs); i++)
		wrong_try(test_run_, &wrongs[i]);
}

TEST(pxfs_check, the_command_says_what_came_of_it)
{
	struct checked *work = checked_make(test_run_);
	REQUIRE(work != NULL);
	CHECK_EQ(command("fsck -r %s", work), 0);
	wrong_make(test_run_, work, links_wrong);
	CHECK_EQ(command("fsck %s", work), 4);
	CHECK_EQ(command("fsck -r %s", work), 1);
	CHECK_EQ(command("fsck -d %s", work), 0);
	CHECK_EQ(command("fsck nothing", work), 8);
	CHECK_EQ(command("pxfs-resize %s 1G", work), 1);
	CHECK_EQ(command("pxfs-resize %s 16M", work), 0);
	CHECK_EQ(command("pxfs-resize %s x", work), 2);
	checked_end(test_run_, work);
}

TEST(pxfs_check, all_of_it_is_put_right)
{
	struct checked *work = checked_make(test_run_);
	REQUIRE(work != NULL);
	for (uint32_t i = 0; i < array_count(wrongs); i++)
		if (wrongs[i].make != inode_lost && wrongs[i].make != name_lost && wrongs[i].make != space_missing &&
		    wrongs[i].make != directory_lost && wrongs[i].make != references_none)
			wrong_make(test_run_, work, wrongs[i].make);
	wrong_make(test_run_, work, directory_lost);
	wrong_make(test_run_, work, name_lost);
	mended_check(test_run_, work);
	CHECK_EQ(mount(work), 0);
	CHECK(!holds(work, "/v/b", 700));
	CHECK_EQ(put(work, "/v/new", 0, FILE_BYTES), 0);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(fsck(work, 0), 0);
	CHECK_EQ(work->report.problems, 0);
	checked_end(test_run_, work);
}

// A node without a sound copy: who does not know what was there takes nothing away.
TEST(pxfs_check, nothing_is_taken_on_suspicion)
{
	struct checked *work = checked_make(test_run_);
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;
	uint8_t *bytes = kmalloc(16384, 0), *before = range_alloc(DISK_BYTES, 0, NULL),
		*after = range_alloc(DISK_BYTES, 0, NULL);
	REQUIRE(work != NULL && bytes != NULL && before != NULL && after != NULL);
	wrong_make(test_run_, work, links_wrong);
	wrong_make(test_run_, work, space_leaked);
	REQUIRE(volume_open(block_name(work->disk), true, &volume, &problem) == 0);
	struct pxfs_where where = {PXFS_TREE_SUBVOLUME, PXFS_SUBVOLUME, 0};
	struct pxfs_subvolume item;
	uint32_t size = sizeof item;
	CHECK_EQ(tree_get(&volume->root_tree, &where, &item, &size), 0);
	volume_abandon(volume);
	for (uint32_t copy = 0; copy < 2; copy++) {
		uint64_t at = le64_get(&item.root.address[copy]);
		CHECK_EQ(block_read(work->disk, at, bytes, 16384), 0);
		bytes[5000] ^= 1;
		CHECK_EQ(block_write(work->disk, at, bytes, 16384, 0), 0);
	}
	CHECK_EQ(block_read(work->disk, 0, before, DISK_BYTES), 0);
	CHECK_EQ(fsck(work, PXFS_CHECK_REPAIR), 0);
	CHECK(work->report.problems > 0);
	CHECK_EQ(work->report.mended, 0);
	CHECK_EQ(block_read(work->disk, 0, after, DISK_BYTES), 0);
	CHECK(memcmp(before, after, DISK_BYTES) == 0);
	kfree(bytes);
	range_free(before);
	range_free(after);
	checked_end(test_run_, work);
}
