// SPDX-License-Identifier: MIT
//
// Power cuts. A mounted volume lies on a disk that notes every write and FLUSH. After each operation the whole tree is read, and a digest of it kept. Then for
// every write the power goes right behind it: what a FLUSH had covered is there, of the rest any subset, and the block that was being written may be destroyed.
// The disk that is left is mounted, and must be the tree as it was after one of the operations, none before the last fsync that had returned.
#include "hal/hal.h"
#include "kern/block.h"
#include "kern/checksum.h"
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

#include "../../support/memdisk.h"
#include "work.h"

#define DISK_BYTES MIB(8)
#define OPS_MAX 64u
#define NOTES_MAX 8192u

// ---- the disk ---------------------------------------------------------------------------------------------------------------------

struct note {
	uint64_t sector;
	uint32_t bytes; // 0: a FLUSH
	bool fua;
	uint32_t op; // operations that had returned by then
	uint32_t synced;
	uint8_t *data;
};

struct crashdisk {
	struct block_device *device;
	uint8_t *bytes;
	struct note *notes; // NULL: nothing is noted
	uint32_t count;
	uint32_t op, synced; // what the workload has come to
	bool full;
};

static void note_add(struct crashdisk *disk, const struct block_command *command, const uint8_t *from, uint64_t bytes)
{
	if (disk->notes == NULL)
		return;
	if (disk->count == NOTES_MAX) {
		disk->full = true;
		return;
	}
	struct note *note = &disk->notes[disk->count++];
	*note = (struct note){.sector = command->sector,
			      .bytes = (uint32_t)bytes,
			      .fua = (command->flags & BLOCK_FUA) != 0,
			      .op = disk->op,
			      .synced = disk->synced};
	note->data = bytes == 0 ? NULL : kmalloc(bytes, 0);
	if (bytes != 0 && note->data != NULL)
		memcpy(note->data, from, bytes);
	else if (bytes != 0)
		disk->full = true;
}

static void crashdisk_start(struct block_command *command)
{
	struct crashdisk *disk = block_data(command->device);
	uint64_t bytes = memdisk_copy(command, disk->bytes);

	if (command->op == BLOCK_WRITE || command->op == BLOCK_FLUSH)
		note_add(disk, command, disk->bytes + (command->sector << SECTOR_SHIFT), bytes);
	block_command_done(command, 0);
}

static const struct block_driver crashdisk_driver = {.model = "crash disk", .start = crashdisk_start};

static bool crashdisk_make(struct crashdisk *disk)
{
	struct block_limits limits = memdisk_limits(DISK_BYTES);
	*disk = (struct crashdisk){.bytes = range_alloc(DISK_BYTES, MEM_ZERO, NULL)};
	return disk->bytes != NULL && block_add("crash%", &crashdisk_driver, &limits, disk, &disk->device) == 0;
}

static void crashdisk_end(TEST_RUN, struct crashdisk *disk)
{
	CHECK_EQ(block_remove(disk->device), 0);
	for (uint32_t i = 0; i < disk->count; i++)
		kfree(disk->notes[i].data);
	kfree(disk->notes);
	range_free(disk->bytes);
}

static struct process *root(void)
{
	return vfs_monitor_process();
}

// ---- the workload -------------------------------------------------------------------------------------------------------------------

struct workload {
	struct work random;
	struct crashdisk disk;
	struct note *notes; // what it noted, once it is done
	uint32_t note_count;
	uint64_t digests[OPS_MAX + 1];
	uint32_t ops;
	uint64_t snapshots[OPS_MAX + 1]; // digests, by what is their name
	uint32_t snapshot_first, snapshot_count;
};

static err_t subvolume_ask(const char *device, enum tb_pxfs_request request, uint32_t number)
{
	struct tb_pxfs_names names = {.flags = 0};

	ksnprintf(names.name, sizeof names.name, "s%u", number);
	return pxfs_subvolume(device, request, &names, NULL);
}

// A snapshot is taken, or the oldest goes. Either is durable when it returns, with all before.
static void snapshot_do(struct workload *work)
{
	bool one_goes = work->snapshot_count - work->snapshot_first > 2;
	uint32_t number = one_goes ? work->snapshot_first++ : work->snapshot_count++;
	err_t err = subvolume_ask(block_name(work->disk.device), one_goes ? TB_PXFS_DELETE : TB_PXFS_SNAPSHOT, number);

	VERIFY3(err, ==, 0);
	if (!one_goes)
		work->snapshots[number] = work->digests[work->ops];
	work->random.synced = true;
}

// `before`: the disk as mkfs leaves it.
static void workload_run(TEST_RUN, struct workload *work, uint8_t *before, uint32_t ops)
{
	const char *problem = NULL;

	CHECK_EQ(pxfs_format(block_name(work->disk.device), &(struct pxfs_format_params){.copies = 2}, &problem), 0);
	memcpy(before, work->disk.bytes, DISK_BYTES);
	work->disk.notes = kmalloc(NOTES_MAX * sizeof *work->disk.notes, MEM_ZERO);
	REQUIRE(work->disk.notes != NULL);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/a", 0755), 0);
	CHECK_EQ(vfs_mount(root(), block_name(work->disk.device), "/a", "pxfs", 0, "", &problem), 0);
	work->digests[0] = work_digest("/a");
	for (work->ops = 0; work->ops < ops && !work->disk.full;) {
		if (work->ops < 2)
			CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, work->ops == 0 ? "/a/d" : "/a/e", 0755), 0);
		else if (rand_below(&work->random.rand, 8) == 0)
			snapshot_do(work);
		else
			work_do(&work->random);
		if (work->random.synced)
			work->disk.synced = work->ops;
		work->random.synced = false;
		work->digests[++work->ops] = work_digest("/a");
		work->disk.op = work->ops;
	}
	uint32_t noted = work->disk.count;
	CHECK(!work->disk.full);
	CHECK_EQ(vfs_umount(root(), "/a", 0), 0);
	while (work->disk.count > noted) // what unmounting wrote
		kfree(work->disk.notes[--work->disk.count].data);
	work->notes = work->disk.notes; // from now on the disk is one that is tried
	work->note_count = work->disk.count;
	work->disk.notes = NULL;
	work->disk.count = 0;
}

// ---- cuts -----------------------------------------------------------------------------------------------------------------------------

struct tally {
	uint32_t states, writes, wrong;
};

static void note_apply(struct crashdisk *disk, const struct note *note)
{
	memcpy(disk->bytes + (note->sector << SECTOR_SHIFT), note->data, note->bytes);
}

static void block_destroy(struct crashdisk *disk, const struct note *note, struct rand_stream *rand)
{
	uint32_t blocks = DIV_ROUND_UP(note->bytes, 4096u);
	uint64_t at = ((note->sector << SECTOR_SHIFT) & ~4095ull) + rand_below(rand, blocks) * 4096ull;
	rand_fill(rand, disk->bytes + at, 4096);
}

static void problem_say(void *arg, const char *text)
{
	(void)arg;
	log_err("crash: %s", text);
}

// Each snapshot that is there is what it was. The volume is mounted at /b; they come to /c.
static bool snapshots_hold(struct crashdisk *disk, const struct workload *work)
{
	struct tb_pxfs_subvolume subvol = {.number = 0};
	char options[64];
	uint32_t number = 0;
	bool hold = true;

	while (hold && pxfs_subvolume_next(block_name(disk->device), &subvol, NULL) == 0) {
		const uint32_t wanted = TB_PXFS_IS_SNAPSHOT;
		if ((subvol.flags & (TB_PXFS_IS_SNAPSHOT | TB_PXFS_IS_GOING)) != wanted)
			continue;
		ksnprintf(options, sizeof options, "subvol=%s", subvol.name);
		hold = str_to_u32(subvol.name + 1, 10, &number) == 0 && number < work->snapshot_count &&
		       vfs_mount(root(), block_name(disk->device), "/c", "pxfs", 0, options, NULL) == 0;
		if (hold)
			hold = work_digest("/c") == work->snapshots[number] && vfs_umount(root(), "/c", 0) == 0;
		if (!hold)
			log_err("crash: snapshot %s is not what it was", subvol.name);
	}
	return hold;
}

// What the volume is now, against what it may be: sound before anybody mounts it, a tree that was, and sound afterwards.
static bool state_holds(struct crashdisk *disk, const struct workload *work, const struct note *last)
{
	struct pxfs_check_report report;
	const char *problem = NULL;
	bool found = false;
	err_t err = pxfs_check_volume(block_name(disk->device), PXFS_CHECK_DATA, problem_say, NULL, &report, &problem);

	if (err != 0 || report.problems != 0) {
		log_err("crash: %llu problems: %pe", (unsigned long long)report.problems, ERR_PTR(err));
		return false;
	}
	err = vfs_mount(root(), block_name(disk->device), "/b", "pxfs", 0, "", &problem);

	if (err != 0) {
		log_err("crash: not mounted: %pe: %s", ERR_PTR(err), problem != NULL ? problem : "");
		return false;
	}
	uint64_t digest = work_digest("/b");
	uint32_t upto = MIN(last->op + 1, work->ops);
	for (uint32_t k = last->synced; k <= upto && !found; k++)
		found = work->digests[k] == digest;
	bool snapshots = snapshots_hold(disk, work);
	err = vfs_umount(root(), "/b", 0);
	if (err == 0)
		err = pxfs_check_volume(block_name(disk->device), 0, problem_say, NULL, &report, &problem);
	if (err == 0 && report.problems != 0)
		err = -EUCLEAN;
	if (!found)
		log_err("crash: a tree that never was, between %u and %u", last->synced, upto);
	return found && snapshots && err == 0;
}

// The disk behind note `n`, with those of `subset` of the writes that no FLUSH had covered.
static void state_try(struct crashdisk *disk, const struct workload *work, const uint8_t *flushed, uint32_t first,
		      uint32_t n, uint64_t subset, bool destroy, struct rand_stream *rand, struct tally *tally)
{
	const struct note *notes = work->notes;

	memcpy(disk->bytes, flushed, DISK_BYTES);
	for (uint32_t i = first; i <= n; i++)
		if (notes[i].bytes != 0 && (notes[i].fua || (subset >> (i - first) % 64 & 1) != 0) &&
		    (i != n || !destroy))
			note_apply(disk, &notes[i]);
	if (destroy)
		block_destroy(disk, &notes[n], rand);
	tally->states++;
	tally->wrong += !state_holds(disk, work, &notes[n]);
}

// `flushed`: the disk as mkfs left it, at first.
static void cuts_try(TEST_RUN, struct workload *work, uint8_t *flushed, uint32_t samples, struct tally *tally)
{
	struct rand_stream rand;
	uint32_t first = 0;

	rand_open(&rand, "cuts", 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/b", 0755), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/c", 0755), 0);
	for (uint32_t n = 0; n < work->note_count; n++) {
		const struct note *note = &work->notes[n];
		if (note->bytes == 0) {
			for (; first < n; first++)
				if (work->notes[first].bytes != 0)
					memcpy(flushed + (work->notes[first].sector << SECTOR_SHIFT),
					       work->notes[first].data, work->notes[first].bytes);
			first = n + 1;
			continue;
		}
		tally->writes++;
		for (uint32_t i = 0; i < samples; i++) {
			uint64_t subset = i == 0 ? UINT64_MAX : i == 1 ? 0 : rand_u64(&rand);
			state_try(&work->disk, work, flushed, first, n, subset, i % 4 == 3, &rand, tally);
		}
	}
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/b", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/c", TB_AT_REMOVEDIR), 0);
}

static void crash_run(TEST_RUN, uint32_t index, uint32_t ops, uint32_t samples)
{
	struct workload *work = kmalloc(sizeof *work, MEM_ZERO);
	uint8_t *before = range_alloc(DISK_BYTES, 0, NULL);
	struct tally tally = {.states = 0};

	REQUIRE(work != NULL && before != NULL && crashdisk_make(&work->disk));
	work->random.mount = "/a";
	rand_open(&work->random.rand, "crash", index);
	workload_run(test_run_, work, before, ops);
	cuts_try(test_run_, work, before, samples, &tally);
	CHECK_EQ(tally.wrong, 0);
	CHECK(tally.states > 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/a", TB_AT_REMOVEDIR), 0);
	crashdisk_end(test_run_, &work->disk);
	for (uint32_t i = 0; i < work->note_count; i++)
		kfree(work->notes[i].data);
	kfree(work->notes);
	range_free(before);
	kfree(work);
}

TEST(pxfs_crash, every_write_is_a_place_to_stop)
{
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	for (uint32_t i = 0; i < (slow ? 1u : 6u); i++)
		crash_run(test_run_, i, slow ? 12 : 40, slow ? 2 : 4);
}
