// SPDX-License-Identifier: MIT
//
// Fuzz target: sequences of operations on a small mounted PXFS. The input is a program: files, names, attributes, holes, reflinks, files without names, subvolumes,
// snapshots, clones, rollbacks, requests with any structure, a volume that fills up, unmounting, the power going. The checker must find nothing at any time, what is
// mounted again must be what was unmounted, a snapshot what it was when it was taken; errors are those that the calls promise.
#include "pxfs_image.h"

#include "../conform/pxfs/work.h"

#include "kern/component.h"
#include "kern/fmt.h"
#include "kern/process.h"
#include "kern/vfs.h"

#define IMAGE_BYTES MIB(8)
#define STEPS_MAX 80u
#define MOUNTS_MAX 10u // each is a check of all that is there
#define FDS 3u
#define SNAPSHOTS 8u
#define WRITE_MAX 120000u
#define FILE_MAX MIB(4) // each is read again and again

struct run {
	struct image *image;
	const uint8_t *at, *end;
	int32_t fds[FDS]; // -1: closed
	char mounted[8];  // which subvolume; "": none
	uint32_t mounts;
	bool snapshots[SNAPSHOTS];
	uint64_t digests[SNAPSHOTS]; // of s0, s1 …
	uint8_t *buffer;
};

static struct process *root(void)
{
	return image_process();
}

static uint32_t take(struct run *run)
{
	return run->at < run->end ? *run->at++ : 0;
}

static uint64_t number_take(struct run *run)
{
	static const uint64_t edges[] = {4095, 4096, 65535, 65536, 1ull << 20, 1ull << 31, INT64_MAX, UINT64_MAX};
	uint32_t shape = take(run);

	if (shape >= 232)
		return edges[shape % array_count(edges)];
	return shape < 128 ? shape : (uint64_t)(shape - 127) * (take(run) + 1) * 16;
}

static const char *path_take(struct run *run, char path[64])
{
	static const char *const folders[] = {"", "/d", "/e"};
	uint32_t shape = take(run);

	ksnprintf(path, 64, "/p%s/f%u", folders[shape % 3], shape / 3 % 4);
	return path;
}

static void err_judge(err_t err)
{
	static const err_t allowed[] = {0,          -EPERM,  -ENOENT, -EBADF,        -EEXIST,  -ENOTDIR,  -EISDIR,
					-EINVAL,    -EFBIG,  -ENOSPC, -EROFS,        -EMLINK,  -EBUSY,    -EXDEV,
					-ENODATA,   -ERANGE, -ENOTTY, -EOPNOTSUPP,   -ELOOP,   -ENXIO,    -E2BIG,
					-ENOTEMPTY, -ENODEV, -EACCES, -ENAMETOOLONG, -ETXTBSY, -EOVERFLOW};

	for (size_t i = 0; i < array_count(allowed); i++)
		if (err == allowed[i])
			return;
	panic("an operation: %s", err_text(err));
}

// ---- mounting -----------------------------------------------------------------------------------------------------------------------

static void fd_close(struct run *run, uint32_t which)
{
	if (run->fds[which] >= 0)
		VERIFY(vfs_close(root(), run->fds[which]) == 0);
	run->fds[which] = -1;
}

static void run_umount(struct run *run)
{
	for (uint32_t i = 0; i < FDS; i++)
		fd_close(run, i);
	if (run->mounted[0] != '\0')
		image_umount();
	run->mounted[0] = '\0';
}

// A subvolume, or what is always there.
static void run_mount(struct run *run, const char *name)
{
	char options[32];

	ksnprintf(options, sizeof options, "subvol=%s", name);
	err_t err = image_mount(run->image, 0, options);
	err_judge(err);
	if (err != 0) {
		name = "main";
		VERIFY(image_mount(run->image, 0, "subvol=main") == 0);
	}
	ksnprintf(run->mounted, sizeof run->mounted, "%s", name);
}

static void remount(struct run *run, const char *name)
{
	char kept[8];

	memcpy(kept, run->mounted, sizeof kept);
	for (uint32_t i = 0; i < FDS; i++)
		fd_close(run, i);
	uint64_t digest = work_digest("/p");
	run_umount(run);
	VERIFY(image_check(run->image) == 0);
	run_mount(run, kept);
	VERIFY(work_digest("/p") == digest);
	if (str_equal(name, kept))
		return;
	run_umount(run);
	run_mount(run, name);
}

static void power_cut(struct run *run, const char *name)
{
	static uint8_t *kept;

	if (kept == NULL)
		kept = range_alloc(IMAGE_BYTES, 0, NULL);
	VERIFY(kept != NULL);
	image_copy(run->image, kept);
	run_umount(run);
	memcpy(run->image->bytes, kept, IMAGE_BYTES);
	VERIFY(image_check(run->image) == 0);
	run_mount(run, name);
}

// ---- files --------------------------------------------------------------------------------------------------------------------------

static void buffer_fill(struct run *run, uint32_t size)
{
	uint32_t kind = take(run), state = kind * 2654435761u;

	for (uint32_t i = 0; i < size; i++) {
		state = state * 1664525u + 1013904223u;
		run->buffer[i] = kind % 2 == 0 ? (uint8_t)(i / 64 + kind) : (uint8_t)(state >> 24);
	}
}

static err_t file_open(struct run *run)
{
	static const uint32_t flags[] = {TB_O_RDWR | TB_O_CREAT, TB_O_RDWR, TB_O_RDWR | TB_O_CREAT | TB_O_TRUNC,
					 TB_O_RDWR | TB_O_CREAT | TB_O_APPEND};
	uint32_t which = take(run);
	char path[64];

	fd_close(run, which % FDS);
	if ((which & 0xc0) == 0xc0) // without a name
		return vfs_open(root(), TB_AT_FDCWD, which & 32 ? "/p/d" : "/p", TB_O_RDWR | TB_O_TMPFILE, 0600,
				&run->fds[which % FDS]);
	return vfs_open(root(), TB_AT_FDCWD, path_take(run, path), flags[which / FDS % 4], 0644,
			&run->fds[which % FDS]);
}

static err_t file_call(struct run *run)
{
	uint32_t which = take(run);
	int32_t fd = run->fds[which % FDS];
	uint64_t offset = number_take(run), size = number_take(run), position = 0;
	size_t done = 0;

	switch (which / FDS % 8) {
	case 0:
	case 1:
	case 2:
		size = MIN(size * 8, WRITE_MAX);
		buffer_fill(run, (uint32_t)size);
		return vfs_pwrite(root(), fd, run->buffer, size, offset % FILE_MAX, &done);
	case 3:
		return vfs_pread(root(), fd, run->buffer, MIN(size, WRITE_MAX), offset, &done);
	case 4:
		return vfs_ftruncate(root(), fd, offset == UINT64_MAX ? -1 : (int64_t)(offset * 4 % FILE_MAX));
	case 5: {
		offset = offset < INT64_MAX ? offset % FILE_MAX : offset;
		static const uint32_t modes[] = {0, 1, 3, 2, 16, 8, 32, 64};
		return vfs_fallocate(root(), fd, modes[take(run) % 8], (int64_t)offset, (int64_t)size);
	}
	case 6:
		return vfs_seek(root(), fd, (int64_t)offset, take(run) % 2 ? TB_SEEK_DATA : TB_SEEK_HOLE, &position);
	default:
		return vfs_fsync(root(), fd);
	}
}

static err_t share_call(struct run *run)
{
	uint32_t which = take(run);
	int32_t from = run->fds[which % FDS], to = run->fds[which / FDS % FDS];
	struct tb_clone_range range = {.from_fd = from};
	size_t done = 0;

	if (which % 2 == 0)
		return vfs_ioctl(root(), to, TB_FICLONE, &from);
	uint32_t shift = which & 64 ? 0 : 12;
	range.from_offset = (uint64_t)take(run) << shift;
	range.size_bytes = (uint64_t)take(run) << shift;
	range.to_offset = (uint64_t)take(run) << shift;
	if ((which & 128) == 0)
		return vfs_ioctl(root(), to, TB_FICLONERANGE, &range);
	return vfs_copy_range(root(), from, &range.from_offset, to, &range.to_offset, number_take(run), 0, &done);
}

static err_t name_call(struct run *run)
{
	uint32_t what = take(run);
	char a[64], b[64];

	path_take(run, a);
	path_take(run, b);
	switch (what % 10) {
	case 0:
	case 1:
		return vfs_unlink(root(), TB_AT_FDCWD, a, what / 10 % 4 == 0 ? TB_AT_REMOVEDIR : 0);
	case 2:
		return vfs_rename(root(), TB_AT_FDCWD, a, TB_AT_FDCWD, b, what / 10 % 4);
	case 3:
		return vfs_link(root(), TB_AT_FDCWD, a, TB_AT_FDCWD, b, 0);
	case 4:
		return vfs_symlink(root(), b, TB_AT_FDCWD, a);
	case 5:
		return vfs_mkdir(root(), TB_AT_FDCWD, what / 10 % 2 ? a : what / 20 % 2 ? "/p/d" : "/p/e", 0755);
	case 6: {
		uint32_t size = (uint32_t)MIN(number_take(run) * 4, 70000u);
		buffer_fill(run, size);
		return vfs_setxattr(root(), TB_AT_FDCWD, a, 0, what / 10 % 2 ? "user.a" : "user.b", run->buffer, size,
				    0);
	}
	case 7:
		return vfs_removexattr(root(), TB_AT_FDCWD, a, 0, what / 10 % 2 ? "user.a" : "user.b");
	case 8: {
		static const char *const settings[] = {"lz4", "zstd:3", "none", "zstd:5,16k", "lz4,1m", "x"};
		const char *setting = settings[what / 10 % 6];
		return vfs_setxattr(root(), TB_AT_FDCWD, a, 0, "pxfs.compression", setting, strlen(setting), 0);
	}
	default:
		return what / 10 % 2 ? vfs_chmod(root(), TB_AT_FDCWD, a, take(run), 0)
				     : vfs_rename(root(), TB_AT_FDCWD, "/p/d", TB_AT_FDCWD, "/p/e", what / 20 % 4);
	}
}

// ---- subvolumes ---------------------------------------------------------------------------------------------------------------------

static const char *const heads[] = {"main", "c0", "c1", "c2"};

static void snapshot_name(uint32_t which, char name[8])
{
	ksnprintf(name, 8, "s%u", which % SNAPSHOTS);
}

static err_t request(struct run *run, uint32_t what, const struct tb_pxfs_names *names)
{
	int32_t fd = -1;
	struct tb_pxfs_names own = *names;
	err_t err = vfs_open(root(), TB_AT_FDCWD, "/p", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);

	VERIFY(err == 0);
	err = vfs_ioctl(root(), fd, what, &own);
	VERIFY(vfs_close(root(), fd) == 0);
	(void)run;
	return err;
}

static err_t snapshot_call(struct run *run, uint32_t which)
{
	struct tb_pxfs_names names = {.flags = 0};
	uint64_t digest = work_digest("/p");

	snapshot_name(which, names.name);
	err_t err = request(run, TB_PXFS_SNAPSHOT, &names);
	if (err != 0)
		return err;
	run->snapshots[which % SNAPSHOTS] = true;
	run->digests[which % SNAPSHOTS] = digest;
	return 0;
}

// Which of the snapshots the volume still has is what it says itself; what one of them is, is known.
static void snapshots_judge(struct run *run)
{
	char name[8], options[32];

	for (uint32_t i = 0; i < SNAPSHOTS; i++) {
		snapshot_name(i, name);
		ksnprintf(options, sizeof options, "subvol=%s", name);
		if (!run->snapshots[i] || image_mount(run->image, TB_MS_RDONLY, options) != 0)
			continue;
		VERIFY(work_digest("/p") == run->digests[i]);
		image_umount();
	}
}

static err_t subvolume_call(struct run *run)
{
	uint32_t what = take(run), which = take(run);
	struct tb_pxfs_names names = {.flags = 0};
	char snapshot[8];

	snapshot_name(which >> 4, snapshot);
	switch (what % 5) {
	case 0:
	case 1:
		return snapshot_call(run, which);
	case 2:
		memcpy(names.name, heads[1 + which % 3], 2);
		memcpy(names.of, snapshot, sizeof snapshot);
		return request(run, what & 64 ? TB_PXFS_CREATE : TB_PXFS_CLONE, &names);
	case 3: {
		const char *name = what & 64 ? heads[which % 4] : snapshot;
		memcpy(names.name, name, strlen(name));
		err_t err = request(run, TB_PXFS_DELETE, &names);
		if (err == 0 && (what & 64) == 0)
			run->snapshots[(which >> 4) % SNAPSHOTS] = false;
		return err;
	}
	default:
		names.flags = what & 64 ? TB_PXFS_NEWER_GO : 0;
		memcpy(names.name, snapshot, sizeof snapshot);
		memcpy(names.of, heads[which % 4], strlen(heads[which % 4]));
		return request(run, TB_PXFS_ROLLBACK, &names);
	}
}

// Any request, with any structure.
static err_t hostile_call(struct run *run)
{
	static const uint32_t requests[] = {
		TB_PXFS_CREATE,     TB_PXFS_SNAPSHOT,   TB_PXFS_CLONE, TB_PXFS_DELETE,  TB_PXFS_ROLLBACK, TB_PXFS_SHOW,
		TB_FS_IOC_GETFLAGS, TB_FS_IOC_SETFLAGS, TB_FICLONE,    TB_FICLONERANGE, 0x5800,           0x5807};
	uint32_t what = take(run), shape = take(run);
	union {
		struct tb_pxfs_names names;
		struct tb_pxfs_subvolume subvolume;
		uint8_t bytes[1024];
	} any;

	memset(&any, (shape & 3) == 0 ? 0 : (shape & 3) == 1 ? 'x' : 0xff, sizeof any);
	for (uint32_t i = 0; i < shape / 4; i++)
		any.bytes[take(run) * 4 % sizeof any] = (uint8_t)take(run);
	if ((shape & 3) == 0) {
		any.names.name[0] = (char)take(run);
		any.names.of[0] = (char)take(run);
	}
	int32_t fd = run->fds[what >> 6 < FDS ? what >> 6 : 0];
	err_t err = vfs_ioctl(root(), fd, requests[what % array_count(requests)], &any);
	if (err == 0 && any.names.name[0] == 's') // it may be one of ours by another's hand
		memset(run->snapshots, 0, sizeof run->snapshots);
	return err;
}

// ---- the whole ----------------------------------------------------------------------------------------------------------------------

static void step(struct run *run)
{
	char name[8];
	uint32_t what = take(run);

	if (what % 16 >= 14 && ++run->mounts > MOUNTS_MAX)
		return;
	switch (what % 16) {
	case 0:
	case 1:
	case 2:
		err_judge(file_open(run));
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		err_judge(file_call(run));
		break;
	case 7:
		err_judge(share_call(run));
		break;
	case 8:
	case 9:
	case 10:
		err_judge(name_call(run));
		break;
	case 11:
	case 12:
		err_judge(subvolume_call(run));
		break;
	case 13:
		err_judge(hostile_call(run));
		break;
	case 14:
		snapshot_name(what >> 4, name);
		remount(run, what & 128 ? name : heads[what / 16 % 4]);
		break;
	default:
		power_cut(run, heads[what / 16 % 4]);
	}
}

static struct image *image_get(void)
{
	static struct image image;

	if (image.bytes != NULL)
		return &image;
	image_make(&image, "image", IMAGE_BYTES, &(struct pxfs_format_params){.copies = 1});
	VERIFY(image_mount(&image, 0, "") == 0);
	VERIFY(vfs_mkdir(root(), TB_AT_FDCWD, "/p/d", 0755) == 0);
	VERIFY(vfs_mkdir(root(), TB_AT_FDCWD, "/p/e", 0755) == 0);
	image_file_make("/p/f0", 90000, 251);
	image_umount();
	image_keep(&image);
	return &image;
}

int64_t tb_fuzz_pxfs(void *arg)
{
	static uint32_t inputs;
	const struct fuzz_input *bytes = arg;
	struct run run = {
		.image = image_get(), .at = bytes->bytes, .end = bytes->bytes + bytes->size, .fds = {-1, -1, -1}};

	run.buffer = kmalloc(WRITE_MAX, MEM_ZERO);
	VERIFY(run.buffer != NULL);
	image_restore(run.image);
	run_mount(&run, "main");
	for (uint32_t i = 0; i < STEPS_MAX && run.at < run.end; i++)
		step(&run);
	remount(&run, "main");
	run_umount(&run);
	VERIFY(image_check(run.image) == 0);
	snapshots_judge(&run);
	kfree(run.buffer);
	if (++inputs % 32 == 0)
		VERIFY(components_check() == 0);
	return 0;
}
