// SPDX-License-Identifier: MIT
//
// Threads at work on one volume, each in a directory of its own beside a model of its own, while another one takes and deletes snapshots and syncs. In the end,
// and through a new mount, each directory is what its model is; snapshots of the last moment, when all rest, are too.
#include "hal/hal.h"
#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/pxfs.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "stress.h"

#define WORKERS 3u
#define SNAPSHOTS 3u

struct crew {
	struct block_device *disk;
	struct twin twins[WORKERS];
	struct thread *threads[WORKERS];
	char tops[WORKERS][TWIN_SIDES][8];
	uint32_t steps, busy; // busy: atomic
	uint32_t next;        // who takes a number
	uint32_t taken;
};

static void worker_main(void *arg)
{
	struct crew *crew = arg;
	struct twin *twin = &crew->twins[atomic_fetch_add_u32_relaxed(&crew->next, 1)];

	for (uint32_t i = 0; i < crew->steps && !twin->wrong; i++) {
		twin_step(twin);
		if (rand_below(&twin->rand, 60) == 0)
			twin_compare(twin, false);
	}
	(void)atomic_fetch_sub_u32_acq_rel(&crew->busy, 1);
}

static void ask(TEST_RUN, struct crew *crew, enum tb_pxfs_request request, uint32_t number)
{
	struct tb_pxfs_names names = {.flags = 0};

	ksnprintf(names.name, sizeof names.name, "s%u", number);
	CHECK_EQ(pxfs_subvolume(block_name(crew->disk), request, &names, NULL), 0);
}

static void snapshots_turn(TEST_RUN, struct crew *crew)
{
	ask(test_run_, crew, TB_PXFS_SNAPSHOT, crew->taken++);
	if (crew->taken > SNAPSHOTS)
		ask(test_run_, crew, TB_PXFS_DELETE, crew->taken - 1 - SNAPSHOTS);
	CHECK_EQ(vfs_sync(), 0);
}

static void crew_mount(TEST_RUN, struct crew *crew, const char *options)
{
	CHECK_EQ(vfs_mount(twin_root(), block_name(crew->disk), "/v", "pxfs", 0, options, NULL), 0);
}

static void crew_umount(TEST_RUN, struct crew *crew)
{
	struct pxfs_check_report report = {0};
	const char *problem = NULL;

	CHECK_EQ(vfs_umount(twin_root(), "/v", 0), 0);
	CHECK_EQ(pxfs_check_volume(block_name(crew->disk), PXFS_CHECK_DATA, NULL, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
}

static struct crew *crew_make(TEST_RUN)
{
	struct crew *crew = kmalloc(sizeof *crew, MEM_ZERO);
	struct pxfs_format_params params = {.copies = 1};
	const char *problem = NULL;
	struct rand_stream rand;

	if (crew == NULL || ramdisk_create(MIB(24), 512, 4096, &crew->disk) != 0)
		return NULL;
	rand_open(&rand, "crew", 0);
	params.method = rand_below(&rand, PXFS_METHOD_COUNT);
	params.copies += rand_below(&rand, 2);
	CHECK_EQ(pxfs_format(block_name(crew->disk), &params, &problem), 0);
	CHECK_EQ(vfs_mkdir(twin_root(), TB_AT_FDCWD, "/v", 0755), 0);
	CHECK_EQ(vfs_mkdir(twin_root(), TB_AT_FDCWD, "/m", 0755), 0);
	CHECK_EQ(vfs_mount(twin_root(), "model", "/m", "tmpfs", 0, "", NULL), 0);
	crew_mount(test_run_, crew, "");
	for (uint32_t i = 0; i < WORKERS; i++) {
		for (uint32_t side = 0; side < TWIN_SIDES; side++) {
			ksnprintf(crew->tops[i][side], sizeof crew->tops[i][side], "/%c/t%u",
				  side == TWIN_PXFS ? 'v' : 'm', i);
			CHECK_EQ(vfs_mkdir(twin_root(), TB_AT_FDCWD, crew->tops[i][side], 0755), 0);
		}
		CHECK(twin_make(&crew->twins[i], test_run_, crew->tops[i][TWIN_PXFS], crew->tops[i][TWIN_MODEL]));
		rand_open(&crew->twins[i].rand, "worker", i);
	}
	return crew;
}

static void crew_compare(struct crew *crew, bool holes)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		if (!crew->twins[i].wrong)
			twin_compare(&crew->twins[i], holes);
}

static void crew_free(TEST_RUN, struct crew *crew)
{
	CHECK_EQ(vfs_umount(twin_root(), "/m", 0), 0);
	CHECK_EQ(vfs_unlink(twin_root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(vfs_unlink(twin_root(), TB_AT_FDCWD, "/m", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(crew->disk), 0);
	for (uint32_t i = 0; i < WORKERS; i++)
		twin_free(&crew->twins[i]);
	kfree(crew);
}

static void crew_drive(TEST_RUN, uint32_t steps)
{
	struct thread_params params = {.name = "worker", .klass = CLASS_FAIR};
	struct crew *crew = crew_make(test_run_);
	char last[24];

	REQUIRE(crew != NULL);
	crew->steps = steps;
	crew->busy = WORKERS;
	for (uint32_t i = 0; i < WORKERS; i++)
		CHECK_EQ(thread_start(&params, worker_main, crew, &crew->threads[i]), 0);
	do {
		snapshots_turn(test_run_, crew);
		for (uint32_t i = 0; i < 40 && atomic_load_u32_acquire(&crew->busy) != 0; i++)
			thread_yield();
	} while (atomic_load_u32_acquire(&crew->busy) != 0);
	for (uint32_t i = 0; i < WORKERS; i++)
		CHECK_EQ(thread_join(crew->threads[i], NULL), 0);
	ksnprintf(last, sizeof last, "subvol=s%u", crew->taken);
	ask(test_run_, crew, TB_PXFS_SNAPSHOT, crew->taken++);
	crew_compare(crew, true);
	for (uint32_t i = 0; i < WORKERS; i++)
		twin_release(&crew->twins[i]);
	static const char *const again[] = {"", NULL, ""};
	for (uint32_t i = 0; i < array_count(again); i++) {
		crew_umount(test_run_, crew);
		crew_mount(test_run_, crew, again[i] != NULL ? again[i] : last);
		crew_compare(crew, true);
	}
	crew_umount(test_run_, crew);
	struct stress_sums sums = {WORKERS * steps, 0, 0, crew->taken, 0, array_count(again)};
	for (uint32_t i = 0; i < WORKERS; i++)
		sums.compared += crew->twins[i].compared;
	stress_report(&sums);
	crew_free(test_run_, crew);
}

TEST(pxfs_stress, threads_beside_snapshots)
{
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;

	crew_drive(test_run_, slow ? 100 : 800);
}

TEST_WITH(pxfs_stress_long, threads_beside_snapshots, 0, TEST_SLOW, NULL)
{
	crew_drive(test_run_, 1000);
}
