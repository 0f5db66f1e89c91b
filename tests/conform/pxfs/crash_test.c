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

#define DISK_BYTES MIB(8)
#define OPS_MAX 64u
#define NOTES_MAX 8192u
#define NAMES 3u

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

// ---- a digest of a tree -------------------------------------------------------------------------------------------------------------

static struct process *root(void)
{
	return vfs_monitor_process();
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static uint64_t contents_digest(const char *path, uint64_t hash)
{
	static const size_t room = 65536;
	uint8_t *buffer = kmalloc(room, 0);
	size_t done = 1;
	int32_t fd = -1;
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd);

	while (err == 0 && done != 0) {
		err = vfs_read(root(), fd, buffer, room, &done);
		if (err == 0)
			hash = mix(hash, checksum_xxh3(buffer, done, 1));
	}
	if (fd >= 0)
		hash = mix(hash, (uint64_t)vfs_close(root(), fd));
	kfree(buffer);
	return mix(hash, (uint64_t)err);
}

static uint64_t file_digest(const char *path, uint64_t hash)
{
	struct tb_stat stat;
	uint8_t value[64];
	size_t size = sizeof value;

	hash = mix(hash, checksum_xxh3(path + 2, strlen(path + 2), 3)); // without the mount
	if (vfs_stat(root(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat) != 0)
		return mix(hash, 99);
	hash = mix(hash, stat.mode | (uint64_t)stat.nlink << 32);
	hash = mix(hash, stat.uid | (uint64_t)stat.gid << 32);
	hash = mix(hash, (uint64_t)stat.mtime.seconds * 1000000000u + stat.mtime.nanoseconds);
	if ((stat.mode & TB_S_IFMT) == TB_S_IFREG) {
		hash = mix(hash, stat.size_bytes);
		hash = contents_digest(path, hash);
		if (vfs_getxattr(root(), TB_AT_FDCWD, path, 0, "user.a", value, &size) == 0)
			hash = mix(hash, checksum_xxh3(value, size, 2));
	}
	return hash;
}

// Names are added up, so that their order is nothing.
static uint64_t tree_digest(const char *path, uint32_t depth)
{
	struct tb_dirent *entries = kmalloc(16 * sizeof *entries, 0);
	uint64_t sum = file_digest(path, 7);
	uint32_t count = 0;
	int32_t fd = -1;
	char below[200];

	if (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) != 0) {
		kfree(entries);
		return 1;
	}
	while (vfs_readdir(root(), fd, entries, 16, &count) == 0 && count != 0)
		for (uint32_t i = 0; i < count; i++) {
			if (str_equal(entries[i].name, ".") || str_equal(entries[i].name, ".."))
				continue;
			ksnprintf(below, sizeof below, "%s/%s", path, entries[i].name);
			bool dir = entries[i].type == TB_S_IFDIR && depth < 4;
			const char *name = below + 2; // without the mount's own name
			sum += mix(checksum_xxh3(name, strlen(name), 5),
				   dir ? tree_digest(below, depth + 1) : file_digest(below, 11));
		}
	sum += (uint64_t)vfs_close(root(), fd);
	kfree(entries);
	return sum;
}

// ---- the workload -------------------------------------------------------------------------------------------------------------------

struct workload {
	struct rand_stream rand;
	struct crashdisk disk;
	uint64_t digests[OPS_MAX + 1];
	uint32_t ops;
};

static const char *path_draw(struct workload *work, char *buffer)
{
	static const char *const folders[] = {"/a", "/a/d", "/a/e"};
	ksnprintf(buffer, 64, "%s/f%u", folders[rand_below(&work->rand, 3)], rand_below(&work->rand, NAMES));
	return buffer;
}

// A file, or where there is none the directory.
static void sync_path(struct workload *work, const char *path)
{
	int32_t fd = -1;
	if (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR, 0, &fd) != 0 &&
	    vfs_open(root(), TB_AT_FDCWD, "/a", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) != 0)
		return;
	err_t err = vfs_fsync(root(), fd);
	if (err == 0)
		work->disk.synced = work->ops; // this one changes nothing
	err = vfs_close(root(), fd);
	VERIFY3(err, ==, 0);
}

static void write_path(struct workload *work, const char *path)
{
	uint32_t size = 1 + rand_below(&work->rand, rand_below(&work->rand, 4) == 0 ? 150000 : 3000);
	uint8_t *bytes = kmalloc(size, 0);
	size_t done = 0;
	int32_t fd = -1;

	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i % 7 == 0 ? rand_u32(&work->rand) : i / 64);
	if (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd) == 0) {
		err_t err = vfs_pwrite(root(), fd, bytes, size, rand_below(&work->rand, 5000), &done);
		VERIFY(err == 0 || err == -ENOSPC);
		err = vfs_close(root(), fd);
		VERIFY3(err, ==, 0);
	}
	kfree(bytes);
}

// Its errors are of no interest: a digest is what it is afterwards. One operation is one call that changes something, but for writing to a new file, which are two.
static void op_do(struct workload *work)
{
	char a[64], b[64];
	uint32_t what = rand_below(&work->rand, 14);
	err_t err = 0;

	path_draw(work, a);
	path_draw(work, b);
	switch (what) {
	case 0:
	case 1:
		err = vfs_mknod(root(), TB_AT_FDCWD, a, TB_S_IFREG | 0644, 0);
		break;
	case 2:
	case 3:
	case 4:
		if (vfs_access(root(), TB_AT_FDCWD, a, TB_F_OK, 0) == 0)
			write_path(work, a);
		break;
	case 5:
		err = vfs_unlink(root(), TB_AT_FDCWD, a, 0);
		break;
	case 6:
		err = vfs_rename(root(), TB_AT_FDCWD, a, TB_AT_FDCWD, b, rand_below(&work->rand, 3));
		break;
	case 7:
		err = vfs_link(root(), TB_AT_FDCWD, a, TB_AT_FDCWD, b, 0);
		break;
	case 8:
		err = vfs_truncate(root(), TB_AT_FDCWD, a, rand_below(&work->rand, 100000));
		break;
	case 9:
		err = vfs_setxattr(root(), TB_AT_FDCWD, a, 0, "user.a", b, strlen(b), 0);
		break;
	case 10:
		err = vfs_symlink(root(), b, TB_AT_FDCWD, a);
		break;
	case 11:
		err = vfs_chmod(root(), TB_AT_FDCWD, a, rand_below(&work->rand, 512), 0);
		break;
	default:
		sync_path(work, a);
	}
	(void)err;
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
	work->digests[0] = tree_digest("/a", 0);
	for (work->ops = 0; work->ops < ops && !work->disk.full;) {
		if (work->ops < 2)
			CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, work->ops == 0 ? "/a/d" : "/a/e", 0755), 0);
		else
			op_do(work);
		work->digests[++work->ops] = tree_digest("/a", 0);
		work->disk.op = work->ops;
	}
	uint32_t noted = work->disk.count;
	CHECK(!work->disk.full);
	CHECK_EQ(vfs_umount(root(), "/a", 0), 0);
	while (work->disk.count > noted) // what unmounting wrote
		kfree(work->disk.notes[--work->disk.count].data);
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
	uint64_t digest = tree_digest("/b", 0);
	uint32_t upto = MIN(last->op + 1, work->ops);
	for (uint32_t k = last->synced; k <= upto && !found; k++)
		found = work->digests[k] == digest;
	err = vfs_umount(root(), "/b", 0);
	if (err == 0)
		err = pxfs_check_volume(block_name(disk->device), 0, problem_say, NULL, &report, &problem);
	if (err == 0 && report.problems != 0)
		err = -EUCLEAN;
	if (!found)
		log_err("crash: a tree that never was, between %u and %u", last->synced, upto);
	return found && err == 0;
}

// The disk behind note `n`, with those of `subset` of the writes that no FLUSH had covered.
static void state_try(struct crashdisk *disk, const struct workload *work, const uint8_t *flushed, uint32_t first,
		      uint32_t n, uint64_t subset, bool destroy, struct rand_stream *rand, struct tally *tally)
{
	const struct note *notes = work->disk.notes;

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

static void cuts_try(TEST_RUN, const struct workload *work, const uint8_t *before, uint32_t samples,
		     struct tally *tally)
{
	uint8_t *flushed = range_alloc(DISK_BYTES, 0, NULL);
	struct crashdisk disk;
	struct rand_stream rand;
	uint32_t first = 0;

	rand_open(&rand, "cuts", 0);
	REQUIRE(flushed != NULL && crashdisk_make(&disk));
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/b", 0755), 0);
	memcpy(flushed, before, DISK_BYTES);
	for (uint32_t n = 0; n < work->disk.count; n++) {
		const struct note *note = &work->disk.notes[n];
		if (note->bytes == 0) {
			for (; first < n; first++)
				if (work->disk.notes[first].bytes != 0)
					memcpy(flushed + (work->disk.notes[first].sector << SECTOR_SHIFT),
					       work->disk.notes[first].data, work->disk.notes[first].bytes);
			first = n + 1;
			continue;
		}
		tally->writes++;
		for (uint32_t i = 0; i < samples; i++) {
			uint64_t subset = i == 0 ? UINT64_MAX : i == 1 ? 0 : rand_u64(&rand);
			state_try(&disk, work, flushed, first, n, subset, i % 4 == 3, &rand, tally);
		}
	}
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/b", TB_AT_REMOVEDIR), 0);
	crashdisk_end(test_run_, &disk);
	range_free(flushed);
}

static void crash_run(TEST_RUN, uint32_t index, uint32_t ops, uint32_t samples)
{
	struct workload *work = kmalloc(sizeof *work, MEM_ZERO);
	uint8_t *before = range_alloc(DISK_BYTES, 0, NULL);
	struct tally tally = {.states = 0};

	REQUIRE(work != NULL && before != NULL && crashdisk_make(&work->disk));
	rand_open(&work->rand, "crash", index);
	workload_run(test_run_, work, before, ops);
	cuts_try(test_run_, work, before, samples, &tally);
	CHECK_EQ(tally.wrong, 0);
	CHECK(tally.states > 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/a", TB_AT_REMOVEDIR), 0);
	crashdisk_end(test_run_, &work->disk);
	range_free(before);
	kfree(work);
}

TEST(pxfs_crash, every_write_is_a_place_to_stop)
{
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	for (uint32_t i = 0; i < (slow ? 1u : 6u); i++)
		crash_run(test_run_, i, slow ? 12 : 40, slow ? 2 : 4);
}
