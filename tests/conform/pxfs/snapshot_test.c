// SPDX-License-Identifier: MIT
//
// Subvolumes, snapshots, clones and rollback on a volume at work: what each was is remembered as a digest, and is what is found whenever it is mounted; the checker
// agrees in between, and space comes back.
#include "hal/hal.h"
#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/timer.h"
#include "kern/vfs.h"

#include "../../../src/fs/pxfs/volume_impl.h"
#include "work.h"

#define KNOWN_MAX 24u

// What the volume has: subvolumes that are worked on, snapshots that stay as they are.
struct known {
	char name[24];
	uint64_t digest;
	uint32_t of, order; // of a snapshot: index of its subvolume; place in time
	bool is_snapshot, is_clone;
	uint32_t origin, clones; // of a clone; of a snapshot
};

struct zoo {
	struct block_device *disk;
	struct rand_stream rand;
	struct work work;
	struct known known[KNOWN_MAX];
	uint32_t count, names, order;
	uint32_t head; // which one is mounted at /v
	bool mounted;
	uint64_t used_sectors; // before anything
};

static struct process *root(void)
{
	return vfs_monitor_process();
}

static void problem_say(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

static void check_sound(TEST_RUN, struct zoo *zoo)
{
	struct pxfs_check_report report;
	const char *problem = NULL;

	CHECK_EQ(pxfs_check_volume(block_name(zoo->disk), PXFS_CHECK_DATA, problem_say, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
}

static err_t mount(struct zoo *zoo, const char *path, const char *name)
{
	char options[64];
	const char *problem = NULL;

	ksnprintf(options, sizeof options, "subvol=%s", name);
	err_t err = vfs_mount(root(), block_name(zoo->disk), path, "pxfs", 0, options, &problem);
	if (err != 0 && err != -EBUSY)
		log_err("mount %s: %s: %s", name, err_text(err), problem != NULL ? problem : "");
	return err;
}

static void current_mount(TEST_RUN, struct zoo *zoo)
{
	if (!zoo->mounted)
		CHECK_EQ(mount(zoo, "/v", zoo->known[zoo->head].name), 0);
	zoo->mounted = true;
}

static void current_umount(TEST_RUN, struct zoo *zoo)
{
	if (zoo->mounted)
		CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	zoo->mounted = false;
}

static err_t ask(struct zoo *zoo, enum tb_pxfs_request request, const char *name, const char *of, uint32_t flags)
{
	struct tb_pxfs_names names = {.flags = flags};
	int32_t fd = -1;

	memcpy(names.name, name, strlen(name));
	memcpy(names.of, of, strlen(of));
	if (!zoo->mounted || rand_below(&zoo->rand, 2) == 0)
		return pxfs_subvolume(block_name(zoo->disk), request, &names, NULL);
	err_t err = vfs_open(root(), TB_AT_FDCWD, "/v", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	if (err != 0)
		return err;
	err = vfs_ioctl(root(), fd, request, &names);
	err_t closed = vfs_close(root(), fd);
	return err != 0 ? err : closed;
}

static struct known *known_add(struct zoo *zoo, const char *prefix)
{
	if (zoo->count == KNOWN_MAX)
		return NULL;
	struct known *known = &zoo->known[zoo->count++];
	*known = (struct known){.order = ++zoo->order};
	ksnprintf(known->name, sizeof known->name, "%s%u", prefix, ++zoo->names);
	return known;
}

static void known_drop(struct zoo *zoo, uint32_t index)
{
	zoo->count--;
	zoo->known[index] = zoo->known[zoo->count];
	for (uint32_t i = 0; i < zoo->count; i++) {
		if (zoo->known[i].of == zoo->count)
			zoo->known[i].of = index;
		if (zoo->known[i].origin == zoo->count)
			zoo->known[i].origin = index;
	}
	if (zoo->head == zoo->count)
		zoo->head = index;
}

// ---- what may be done -----------------------------------------------------------------------------------------------------------------

static void work_some(TEST_RUN, struct zoo *zoo)
{
	current_mount(test_run_, zoo);
	for (uint32_t i = 0, n = 1 + rand_below(&zoo->rand, 25); i < n; i++)
		work_do(&zoo->work);
	zoo->known[zoo->head].digest = work_digest("/v");
}

static void snapshot_some(TEST_RUN, struct zoo *zoo)
{
	uint32_t of = zoo->head;
	struct known *known = known_add(zoo, "s");

	if (known == NULL)
		return;
	known->is_snapshot = true;
	known->of = of;
	known->digest = zoo->known[of].digest;
	CHECK_EQ(ask(zoo, TB_PXFS_SNAPSHOT, known->name, zoo->known[of].name, 0), 0);
}

static bool pick(struct zoo *zoo, bool snapshot, uint32_t *index)
{
	for (uint32_t tries = 0; tries < 16; tries++) {
		*index = rand_below(&zoo->rand, zoo->count);
		if (zoo->known[*index].is_snapshot == snapshot)
			return true;
	}
	return false;
}

static void clone_some(TEST_RUN, struct zoo *zoo)
{
	uint32_t of = 0;

	if (!pick(zoo, true, &of))
		return;
	struct known *known = known_add(zoo, "c");
	if (known == NULL)
		return;
	known->is_clone = true;
	known->origin = of;
	known->digest = zoo->known[of].digest;
	zoo->known[of].clones++;
	CHECK_EQ(ask(zoo, TB_PXFS_CLONE, known->name, zoo->known[of].name, 0), 0);
}

// Whether anything of the branch is left besides.
static bool branch_is_empty(const struct zoo *zoo, uint32_t head)
{
	for (uint32_t i = 0; i < zoo->count; i++)
		if (i != head && zoo->known[i].is_snapshot && zoo->known[i].of == head)
			return false;
	return true;
}

static void delete_some(TEST_RUN, struct zoo *zoo)
{
	uint32_t index = rand_below(&zoo->rand, zoo->count);
	struct known *known = &zoo->known[index];

	if (!known->is_snapshot && (!branch_is_empty(zoo, index) || index == zoo->head || !known->is_clone))
		return;
	err_t err = ask(zoo, TB_PXFS_DELETE, known->name, "", 0);
	CHECK_EQ(err, known->clones != 0 ? -EBUSY : 0);
	if (err != 0)
		return;
	if (known->is_clone)
		zoo->known[known->origin].clones--;
	known_drop(zoo, index);
}

static bool has_newer(const struct zoo *zoo, const struct known *than, bool *with_clones)
{
	bool newer = false;

	*with_clones = false;
	for (uint32_t i = 0; i < zoo->count; i++) {
		const struct known *one = &zoo->known[i];
		if (!one->is_snapshot || one->of != than->of || one->order <= than->order)
			continue;
		newer = true;
		*with_clones = *with_clones || one->clones != 0;
	}
	return newer;
}

static void newer_drop(struct zoo *zoo, const char *name, uint32_t of, uint32_t order)
{
	for (uint32_t i = 0; i < zoo->count; i++) {
		struct known *one = &zoo->known[i];
		if (one->is_snapshot && one->of == of && one->order > order && strcmp(one->name, name) != 0)
			known_drop(zoo, i--);
	}
}

static void rollback_some(TEST_RUN, struct zoo *zoo)
{
	uint32_t to = 0;
	bool with_clones = false;

	if (!pick(zoo, true, &to))
		return;
	struct known known = zoo->known[to];
	bool newer = has_newer(zoo, &known, &with_clones);
	bool go = rand_below(&zoo->rand, 2) == 0;
	if (known.of == zoo->head)
		current_umount(test_run_, zoo);
	err_t err = ask(zoo, TB_PXFS_ROLLBACK, known.name, zoo->known[known.of].name, go ? TB_PXFS_NEWER_GO : 0);
	if (newer && (!go || with_clones)) {
		CHECK_EQ(err, -EBUSY);
		return;
	}
	CHECK_EQ(err, 0);
	zoo->known[known.of].digest = known.digest;
	newer_drop(zoo, known.name, known.of, known.order);
}

static void look_some(TEST_RUN, struct zoo *zoo)
{
	uint32_t index = rand_below(&zoo->rand, zoo->count);

	if (zoo->mounted && index == zoo->head) {
		CHECK_EQ(mount(zoo, "/w", zoo->known[index].name), -EBUSY);
		return;
	}
	CHECK_EQ(mount(zoo, "/w", zoo->known[index].name), 0);
	CHECK_EQ(work_digest("/w"), zoo->known[index].digest);
	if (zoo->known[index].is_snapshot)
		CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/w/new", 0755), -EROFS);
	CHECK_EQ(vfs_umount(root(), "/w", 0), 0);
}

static void change_over(TEST_RUN, struct zoo *zoo)
{
	uint32_t index = 0;

	if (!pick(zoo, false, &index))
		return;
	current_umount(test_run_, zoo);
	zoo->head = index;
	current_mount(test_run_, zoo);
	CHECK_EQ(work_digest("/v"), zoo->known[index].digest);
}

static void step(TEST_RUN, struct zoo *zoo)
{
	switch (rand_below(&zoo->rand, 14)) {
	case 0:
	case 1:
	case 2:
		snapshot_some(test_run_, zoo);
		break;
	case 3:
		clone_some(test_run_, zoo);
		break;
	case 4:
	case 5:
		delete_some(test_run_, zoo);
		break;
	case 6:
		rollback_some(test_run_, zoo);
		break;
	case 7:
		look_some(test_run_, zoo);
		break;
	case 8:
		change_over(test_run_, zoo);
		break;
	case 9:
		current_umount(test_run_, zoo);
		check_sound(test_run_, zoo);
		break;
	default:
		work_some(test_run_, zoo);
	}
}

// ---- the whole ------------------------------------------------------------------------------------------------------------------------

static uint64_t used_sectors(TEST_RUN, struct zoo *zoo)
{
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;

	CHECK_EQ(volume_open(block_name(zoo->disk), true, &volume, &problem), 0);
	uint64_t used = volume->space.used_sectors;
	volume_abandon(volume);
	return used;
}

static void zoo_open(TEST_RUN, struct zoo *zoo, uint32_t seed)
{
	const struct pxfs_format_params params = {.copies = seed % 3 == 0 ? 1 : 2,
						  .method = seed % 2 == 0 ? PXFS_METHOD_LZ4 : PXFS_METHOD_NONE};
	const char *problem = NULL;

	rand_open(&zoo->rand, "zoo", seed);
	rand_open(&zoo->work.rand, "work", seed);
	CHECK_EQ(pxfs_format(block_name(zoo->disk), &params, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/w", 0755), 0);
	zoo->used_sectors = used_sectors(test_run_, zoo);
	zoo->count = 1;
	memcpy(zoo->known[0].name, "main", 5);
	current_mount(test_run_, zoo);
	CHECK_EQ(work_begin(&zoo->work, "/v"), 0);
	work_some(test_run_, zoo);
}

// All but the first one goes; then all that the first one holds.
static void zoo_empty(TEST_RUN, struct zoo *zoo)
{
	current_umount(test_run_, zoo);
	for (uint32_t left = zoo->count + 1; zoo->count > 1 && zoo->count < left;) {
		left = zoo->count;
		for (uint32_t i = 1; i < zoo->count; i++) {
			struct known *known = &zoo->known[i];
			if (known->clones != 0 || (!known->is_snapshot && !branch_is_empty(zoo, i)))
				continue;
			CHECK_EQ(ask(zoo, TB_PXFS_DELETE, known->name, "", 0), 0);
			if (known->is_clone)
				zoo->known[known->origin].clones--;
			known_drop(zoo, i--);
		}
	}
	CHECK_EQ(zoo->count, 1);
	CHECK_EQ(strcmp(zoo->known[0].name, "main"), 0);
}

static void names_unlink(void)
{
	static const char *const folders[] = {"", "/d", "/e"};
	char path[64];

	for (uint32_t i = 0; i < 9; i++) {
		ksnprintf(path, sizeof path, "/v%s/f%u", folders[i / 3], i % 3);
		err_t err = vfs_unlink(root(), TB_AT_FDCWD, path, 0);
		(void)err;
	}
}

static void zoo_close(TEST_RUN, struct zoo *zoo)
{
	check_sound(test_run_, zoo);
	zoo->head = 0;
	current_mount(test_run_, zoo);
	names_unlink();
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v/d", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v/e", TB_AT_REMOVEDIR), 0);
	for (uint32_t i = 0; i < 4; i++) { // what rests comes back by generations
		current_umount(test_run_, zoo);
		current_mount(test_run_, zoo);
		CHECK_EQ(vfs_chmod(root(), TB_AT_FDCWD, "/v", 0700 + i, 0), 0);
	}
	current_umount(test_run_, zoo);
	CHECK(used_sectors(test_run_, zoo) <= zoo->used_sectors + 2000);
	check_sound(test_run_, zoo);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/w", TB_AT_REMOVEDIR), 0);
}

TEST(pxfs_snapshot, each_stays_what_it_was)
{
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	struct zoo *zoo = kmalloc(sizeof *zoo, 0);
	struct block_device *disk = NULL;

	REQUIRE(zoo != NULL && ramdisk_create(MIB(16), 512, 4096, &disk) == 0);
	for (uint32_t seed = 0; seed < (slow ? 1u : 12u); seed++) {
		memset(zoo, 0, sizeof *zoo);
		zoo->disk = disk;
		zoo_open(test_run_, zoo, seed);
		for (uint32_t i = 0; i < (slow ? 40u : 120u); i++)
			step(test_run_, zoo);
		zoo_empty(test_run_, zoo);
		zoo_close(test_run_, zoo);
	}
	CHECK_EQ(block_remove(disk), 0);
	kfree(zoo);
}
