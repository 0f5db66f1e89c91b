// SPDX-License-Identifier: MIT
//
// One thread drives a volume and its model: calls of all kinds (stress.h), and between them snapshots, clones, rollback, mounting anew, scrub and the checker. A
// snapshot's model is a copy of the model, in a tmpfs of its own. Volumes of every method, with one copy of metadata and two, with room and without.
#include "hal/hal.h"
#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/pxfs.h"
#include "kern/string.h"
#include "stress.h"

#define MODELS 6u // the tree's, its snapshots', a clone's
#define SNAPSHOTS 3u

struct kept {
	bool used;
	char name[16]; // of the snapshot
	uint32_t order;
};

struct driver {
	struct twin twin;
	struct block_device *disk;
	struct kept kept[MODELS]; // by number of their tmpfs
	uint32_t head;            // the tree's
	uint32_t names, snapshots, rollbacks, mounts;
	char top[8];
};

// ---- models -----------------------------------------------------------------------------------------------------------------------

static const char *model_path(uint32_t number, char path[8])
{
	ksnprintf(path, 8, "/m%u", number);
	return path;
}

// A tmpfs of its own, empty. MODELS: there is none left.
static uint32_t model_take(struct driver *driver)
{
	char path[8];

	for (uint32_t i = 0; i < MODELS; i++) {
		if (driver->kept[i].used)
			continue;
		driver->kept[i] = (struct kept){.used = true};
		twin_require(&driver->twin, vfs_mount(twin_root(), "model", model_path(i, path), "tmpfs", 0, "", NULL),
			     "tmpfs");
		twin_require(&driver->twin, vfs_chmod(twin_root(), TB_AT_FDCWD, path, 0755, 0), "tmpfs");
		return i;
	}
	return MODELS;
}

static void model_give(struct driver *driver, uint32_t number)
{
	char path[8];
	twin_require(&driver->twin, vfs_umount(twin_root(), model_path(number, path), 0), "tmpfs");
	driver->kept[number].used = false;
}

static uint32_t model_copy(struct driver *driver, uint32_t number)
{
	uint32_t copy = model_take(driver);
	char from[8], to[8];

	if (copy != MODELS)
		tree_copy(&driver->twin, model_path(number, from), model_path(copy, to));
	return copy;
}

// ---- the volume -------------------------------------------------------------------------------------------------------------------

static void said(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

static void volume_check(struct driver *driver)
{
	struct pxfs_check_report report = {0};
	const char *problem = NULL;
	err_t err = pxfs_check_volume(block_name(driver->disk), PXFS_CHECK_DATA, said, NULL, &report, &problem);

	twin_require(&driver->twin, err, "fsck");
	if (report.problems != 0)
		twin_differ(&driver->twin, "fsck finds %llu problems", (unsigned long long)report.problems);
}

static void volume_mount(struct driver *driver, const char *where, const char *name, uint32_t flags)
{
	char options[32];
	const char *problem = NULL;

	ksnprintf(options, sizeof options, "subvol=%s", name);
	err_t err = vfs_mount(twin_root(), block_name(driver->disk), where, "pxfs", flags, options, &problem);
	if (err != 0)
		twin_differ(&driver->twin, "mounting %s: %pe: %s", name, ERR_PTR(err), problem != NULL ? problem : "");
}

static void volume_umount(struct driver *driver, const char *where)
{
	twin_require(&driver->twin, vfs_umount(twin_root(), where, 0), "umount");
}

static void mount_again(struct driver *driver)
{
	struct twin *twin = &driver->twin;

	twin->doing = "umount";
	twin_release(twin);
	volume_umount(driver, "/v");
	if (!twin->wrong && rand_below(&twin->rand, 2) == 0)
		volume_check(driver);
	if (!twin->wrong && rand_below(&twin->rand, 4) == 0) {
		volume_mount(driver, "/v", "main", TB_MS_RDONLY);
		twin_compare(twin, true);
		volume_umount(driver, "/v");
	}
	if (twin->wrong)
		return;
	volume_mount(driver, "/v", "main", 0);
	twin_compare(twin, true);
	driver->mounts++;
}

static void scrub_some(struct driver *driver)
{
	struct pxfs_scrub_report report = {0};
	struct pxfs_scrub_calls calls = {.say = said};
	const char *problem = NULL;

	driver->twin.doing = "scrub";
	err_t err = pxfs_scrub("/v", 0, &calls, &report, &problem);
	if (err == -ENOSPC && driver->twin.may_be_full)
		return;
	twin_require(&driver->twin, err, "scrub");
	if (report.damaged + report.lost_nodes + report.lost_extents != 0)
		twin_differ(&driver->twin, "scrub finds %llu damaged, %llu nodes and %llu extents lost",
			    (unsigned long long)report.damaged, (unsigned long long)report.lost_nodes,
			    (unsigned long long)report.lost_extents);
}

// ---- snapshots --------------------------------------------------------------------------------------------------------------------

static err_t ask(struct driver *driver, enum tb_pxfs_request request, const char *name, const char *of, uint32_t flags)
{
	struct tb_pxfs_names names = {.flags = flags};

	strlcpy(names.name, name, sizeof names.name);
	strlcpy(names.of, of, sizeof names.of);
	err_t err = pxfs_subvolume(block_name(driver->disk), request, &names, NULL);
	if (err == -ENOSPC && driver->twin.may_be_full)
		driver->twin.full++;
	else
		twin_require(&driver->twin, err, name);
	return err;
}

static struct kept *snapshot_pick(struct driver *driver, uint32_t *number)
{
	for (uint32_t tries = 0; tries < 12; tries++) {
		*number = rand_below(&driver->twin.rand, MODELS);
		if (driver->kept[*number].used && *number != driver->head)
			return &driver->kept[*number];
	}
	return NULL;
}

static void snapshot_take(struct driver *driver)
{
	uint32_t there = 0;

	driver->twin.doing = "snapshot";
	for (uint32_t i = 0; i < MODELS; i++)
		there += driver->kept[i].used && i != driver->head;
	if (there == SNAPSHOTS)
		return;
	uint32_t copy = model_copy(driver, driver->head);
	if (copy == MODELS || driver->twin.wrong)
		return;
	struct kept *kept = &driver->kept[copy];
	kept->order = ++driver->names;
	ksnprintf(kept->name, sizeof kept->name, "s%u", driver->names);
	if (ask(driver, TB_PXFS_SNAPSHOT, kept->name, "main", 0) != 0)
		model_give(driver, copy);
	driver->snapshots++;
}

static void snapshot_delete(struct driver *driver)
{
	uint32_t number = 0;
	const struct kept *kept = snapshot_pick(driver, &number);

	driver->twin.doing = "deleting a snapshot";
	if (kept != NULL && ask(driver, TB_PXFS_DELETE, kept->name, "", 0) == 0)
		model_give(driver, number);
}

static void snapshot_look(struct driver *driver)
{
	uint32_t number = 0;
	const struct kept *kept = snapshot_pick(driver, &number);
	char path[8];

	driver->twin.doing = "looking at a snapshot";
	if (kept == NULL)
		return;
	volume_mount(driver, "/w", kept->name, rand_below(&driver->twin.rand, 2) != 0 ? TB_MS_RDONLY : 0);
	if (driver->twin.wrong)
		return;
	if (vfs_mkdir(twin_root(), TB_AT_FDCWD, "/w/new", 0755) != -EROFS)
		twin_differ(&driver->twin, "the snapshot %s can be written", kept->name);
	trees_compare(&driver->twin, "/w", model_path(number, path), true);
	volume_umount(driver, "/w");
}

// Newer snapshots go.
static void rollback_some(struct driver *driver)
{
	struct twin *twin = &driver->twin;
	uint32_t number = 0;
	const struct kept *kept = snapshot_pick(driver, &number);

	twin->doing = "rollback";
	if (kept == NULL)
		return;
	twin_release(twin);
	volume_umount(driver, "/v");
	if (!twin->wrong && ask(driver, TB_PXFS_ROLLBACK, kept->name, "main", TB_PXFS_NEWER_GO) == 0) {
		for (uint32_t i = 0; i < MODELS; i++)
			if (driver->kept[i].used && i != driver->head && driver->kept[i].order > kept->order)
				model_give(driver, i);
		model_give(driver, driver->head);
		driver->head = model_copy(driver, number);
		model_path(driver->head, driver->top);
		driver->rollbacks++;
	}
	if (twin->wrong)
		return;
	volume_mount(driver, "/v", "main", 0);
	twin_compare(twin, false);
}

// It begins as its snapshot is, and goes on by itself.
static void clone_try(struct driver *driver)
{
	struct twin *twin = &driver->twin, *own = kmalloc(sizeof *own, MEM_ZERO);
	uint32_t number = 0, copy = MODELS;
	const struct kept *kept = snapshot_pick(driver, &number);
	char path[8];

	twin->doing = "clone";
	if (own == NULL || kept == NULL || ask(driver, TB_PXFS_CLONE, "clone", kept->name, 0) != 0)
		goto out;
	copy = model_copy(driver, number);
	if (twin->wrong || copy == MODELS || !twin_make(own, twin->run, "/w", model_path(copy, path)))
		goto out;
	rand_init(&own->rand, rand_u64(&twin->rand));
	own->may_be_full = twin->may_be_full;
	volume_mount(driver, "/w", "clone", 0);
	for (uint32_t i = 0; i < 20 && !own->wrong && !twin->wrong; i++)
		twin_step(own);
	if (!own->wrong)
		twin_compare(own, false);
	twin_release(own);
	twin->wrong = twin->wrong || own->wrong;
	twin->full += own->full;
	twin_free(own);
	volume_umount(driver, "/w");
	err_t err = ask(driver, TB_PXFS_DELETE, "clone", "", 0);
	if (err != 0)
		twin_differ(twin, "a clone cannot be deleted: %pe", ERR_PTR(err));
	model_give(driver, copy);
out:
	kfree(own);
}

// ---- the whole --------------------------------------------------------------------------------------------------------------------

static void driver_step(struct driver *driver)
{
	struct twin *twin = &driver->twin;

	switch (rand_below(&twin->rand, 160)) {
	case 0:
	case 1:
		snapshot_take(driver);
		break;
	case 2:
		snapshot_delete(driver);
		break;
	case 3:
		snapshot_look(driver);
		break;
	case 4:
		rollback_some(driver);
		break;
	case 5:
		clone_try(driver);
		break;
	case 6:
	case 7:
		mount_again(driver);
		break;
	case 8:
		scrub_some(driver);
		break;
	case 9:
	case 10:
		twin->doing = "sync";
		twin_require(twin, vfs_sync(), "sync");
		break;
	case 11:
	case 12:
	case 13:
		twin_compare(twin, rand_below(&twin->rand, 2) == 0);
		break;
	default:
		twin_step(twin);
	}
}

static struct driver *driver_make(TEST_RUN, bool full)
{
	struct driver *driver = kmalloc(sizeof *driver, MEM_ZERO);
	struct pxfs_format_params params = {.label = "stress"};
	const char *problem = NULL;
	char path[8];

	if (driver == NULL || ramdisk_create(full ? MIB(8) : MIB(24), 512, 4096, &driver->disk) != 0 ||
	    !twin_make(&driver->twin, test_run_, "/v", driver->top))
		return NULL;
	struct rand_stream *rand = &driver->twin.rand;
	rand_open(rand, "stress", full);
	driver->twin.may_be_full = full;
	params.method = rand_below(rand, PXFS_METHOD_COUNT);
	params.level = params.method == PXFS_METHOD_ZSTD ? 1 + rand_below(rand, 4) : 0;
	params.copies = 1 + rand_below(rand, 2);
	params.cluster_bytes = KIB(16) << rand_below(rand, 4);
	CHECK_EQ(pxfs_format(block_name(driver->disk), &params, &problem), 0);
	CHECK_EQ(vfs_mkdir(twin_root(), TB_AT_FDCWD, "/v", 0755), 0);
	CHECK_EQ(vfs_mkdir(twin_root(), TB_AT_FDCWD, "/w", 0755), 0);
	for (uint32_t i = 0; i < MODELS; i++)
		CHECK_EQ(vfs_mkdir(twin_root(), TB_AT_FDCWD, model_path(i, path), 0755), 0);
	driver->head = model_take(driver);
	model_path(driver->head, driver->top);
	volume_mount(driver, "/v", "main", 0);
	CHECK_EQ(vfs_chmod(twin_root(), TB_AT_FDCWD, "/v", 0755, 0), 0);
	return driver;
}

// A file that nothing compresses, until so much is left.
static void ballast_load(struct driver *driver, uint64_t left_bytes)
{
	struct twin *twin = &driver->twin;
	struct tb_statfs statfs = {0};
	int32_t fd[TWIN_SIDES] = {-1, -1};
	size_t done = 0, put = 0;
	char path[TWIN_PATH_BYTES];

	twin->doing = "ballast";
	for (uint32_t side = 0; side < TWIN_SIDES; side++)
		twin_require(twin,
			     vfs_open(twin_root(), TB_AT_FDCWD, twin_path(twin, side, "/ballast", path),
				      TB_O_RDWR | TB_O_CREAT, 0600, &fd[side]),
			     "ballast");
	for (uint64_t at = 0; at < MIB(8) && !twin->wrong; at += done) {
		twin_require(twin, vfs_statfs(twin_root(), TB_AT_FDCWD, "/v", &statfs), "statfs");
		if (statfs.blocks_free * statfs.block_size_bytes < left_bytes)
			break;
		rand_fill(&twin->rand, twin->bytes[0], TWIN_IO_BYTES);
		err_t err = vfs_pwrite(twin_root(), fd[TWIN_PXFS], twin->bytes[0], 16384, at, &done);
		if (err == -ENOSPC)
			break;
		twin_require(twin, err, "ballast");
		twin_require(twin, vfs_pwrite(twin_root(), fd[TWIN_MODEL], twin->bytes[0], done, at, &put), "ballast");
	}
	for (uint32_t side = 0; side < TWIN_SIDES; side++)
		twin_require(twin, vfs_close(twin_root(), fd[side]), "ballast");
	twin_require(twin, vfs_sync(), "ballast");
}

static void driver_free(TEST_RUN, struct driver *driver)
{
	char path[8];

	for (uint32_t i = 0; i < MODELS; i++) {
		if (driver->kept[i].used)
			model_give(driver, i);
		CHECK_EQ(vfs_unlink(twin_root(), TB_AT_FDCWD, model_path(i, path), TB_AT_REMOVEDIR), 0);
	}
	CHECK_EQ(vfs_unlink(twin_root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(vfs_unlink(twin_root(), TB_AT_FDCWD, "/w", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(driver->disk), 0);
	twin_free(&driver->twin);
	kfree(driver);
}

static void drive(TEST_RUN, bool full, uint32_t steps)
{
	struct driver *driver = driver_make(test_run_, full);

	REQUIRE(driver != NULL);
	struct twin *twin = &driver->twin;
	if (full)
		ballast_load(driver, rand_below(&twin->rand, KIB(400)));
	for (uint32_t i = 0; i < steps && !twin->wrong; i++)
		driver_step(driver);
	twin->doing = "the end";
	if (!twin->wrong)
		twin_compare(twin, true);
	stress_report(&(struct stress_sums){twin->steps, twin->compared, twin->full, driver->snapshots,
					    driver->rollbacks, driver->mounts});
	if (twin->wrong)
		return; // what is left is of no use, and the instance goes
	twin_release(twin);
	volume_umount(driver, "/v");
	volume_check(driver);
	CHECK(!twin->wrong);
	driver_free(test_run_, driver);
}

static bool is_slow(void)
{
	return CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
}

TEST(pxfs_stress, same_as_the_model)
{
	drive(test_run_, false, is_slow() ? 300 : 2000);
}

TEST(pxfs_stress, same_as_the_model_when_full)
{
	drive(test_run_, true, is_slow() ? 300 : 2000);
}

// For sweeps.
TEST_WITH(pxfs_stress_long, same_as_the_model, 0, TEST_SLOW, NULL)
{
	drive(test_run_, false, 3000);
}

TEST_WITH(pxfs_stress_long, same_as_the_model_when_full, 0, TEST_SLOW, NULL)
{
	drive(test_run_, true, 3000);
}
