// SPDX-License-Identifier: MIT
//
// The kernel's half of bench_fs: PXFS on disk0, by calls from within.
#include "bench_fs.h"

#include "kern/math.h"
#include "kern/mem.h"
#include "kern/pxfs.h"
#include "kern/timer.h"
#include "kern/vfs.h"

static struct process *self(void)
{
	return vfs_monitor_process();
}

static int our_open(const char *path, int how)
{
	uint32_t flags = (how & FS_OPEN_WRITE ? TB_O_RDWR : TB_O_RDONLY) | (how & FS_OPEN_CREATE ? TB_O_CREAT : 0);
	int32_t fd = -1;
	err_t err = vfs_open(self(), TB_AT_FDCWD, path, flags, 0644, &fd);
	return err == 0 ? fd : err;
}

static int our_close(int fd)
{
	return vfs_close(self(), fd);
}

static int our_pread(int fd, void *bytes, size_t size, uint64_t at)
{
	size_t done = 0;
	err_t err = vfs_pread(self(), fd, bytes, size, at, &done);
	return err == 0 && done != size ? -EIO : err;
}

static int our_pwrite(int fd, const void *bytes, size_t size, uint64_t at)
{
	size_t done = 0;
	err_t err = vfs_pwrite(self(), fd, bytes, size, at, &done);
	return err == 0 && done != size ? -ENOSPC : err;
}

static int our_fsync(int fd)
{
	return vfs_fsync(self(), fd);
}

static int our_stat(const char *path)
{
	struct tb_stat stat;
	return vfs_stat(self(), TB_AT_FDCWD, path, 0, &stat);
}

static int our_rename(const char *from, const char *to)
{
	return vfs_rename(self(), TB_AT_FDCWD, from, TB_AT_FDCWD, to, 0);
}

static int our_unlink(const char *path)
{
	return vfs_unlink(self(), TB_AT_FDCWD, path, 0);
}

static int our_mkdir(const char *path)
{
	return vfs_mkdir(self(), TB_AT_FDCWD, path, 0755);
}

static int our_sync(void)
{
	return vfs_sync();
}

static int our_mount(void)
{
	err_t err = vfs_mkdir(self(), TB_AT_FDCWD, "/m", 0755);
	return err != 0 && err != -EEXIST ? err : vfs_mount(self(), "disk0", "/m", "pxfs", 0, "", NULL);
}

static int our_unmount(void)
{
	err_t err = vfs_umount(self(), "/m", 0);
	return err == -EINVAL || err == -ENOENT ? 0 : err;
}

static uint64_t our_memory_kib(void)
{
	struct frame_info info;
	frame_get_info(&info);
	return (uint64_t)(info.total - info.free - info.cached) * (FRAME_SIZE / 1024);
}

static const struct fs_calls calls = {.open = our_open,
				      .close = our_close,
				      .pread = our_pread,
				      .pwrite = our_pwrite,
				      .fsync = our_fsync,
				      .stat = our_stat,
				      .rename = our_rename,
				      .unlink = our_unlink,
				      .mkdir = our_mkdir,
				      .sync = our_sync,
				      .mount = our_mount,
				      .unmount = our_unmount,
				      .memory_kib = our_memory_kib,
				      .now_ns = clock_now_ns,
				      .top = "/m"};

static err_t work_run(struct fs_call *call)
{
	struct fs_bench bench = {.calls = &calls,
				 .text = range_alloc(FS_DATA, 0, NULL),
				 .noise = range_alloc(FS_DATA, 0, NULL),
				 .times = range_alloc(FS_LOOKUPS * sizeof(uint64_t), 0, NULL)};
	err_t err = bench.text == NULL || bench.noise == NULL || bench.times == NULL ? -ENOMEM : 0;

	if (err == 0) {
		fs_data_fill(&bench);
		err = fs_measure(&bench, (enum fs_work)call->work, &call->result);
	}
	range_free(bench.text);
	range_free(bench.noise);
	range_free(bench.times);
	return err;
}

#define PIECE_BYTES MIB(16)
#define PIECES 256u
#define KEPT_FRAMES 16384u // for who is at work meanwhile

static err_t memory_touch(void)
{
	struct frame_info info = {.free = UINT32_MAX};
	void **pieces = kmalloc_array(PIECES, sizeof *pieces, MEM_ZERO);

	if (pieces == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < PIECES && info.free > KEPT_FRAMES; i++) {
		pieces[i] = range_alloc(PIECE_BYTES, MEM_ZERO, NULL);
		frame_get_info(&info);
	}
	for (uint32_t i = 0; i < PIECES; i++)
		if (pieces[i] != NULL)
			range_free(pieces[i]);
	kfree(pieces);
	return 0;
}

int64_t tb_bench_fs(void *arg)
{
	struct fs_call *call = arg;
	struct pxfs_format_params params = {.label = "bench"};
	const char *problem = NULL;

	switch ((enum fs_job)call->job) {
	case FS_JOB_WARM:
		call->err = memory_touch();
		break;
	case FS_JOB_FORMAT:
		call->err = pxfs_format("disk0", &params, &problem);
		break;
	case FS_JOB_MOUNT:
		call->err = our_mount();
		break;
	case FS_JOB_WORK:
		call->err = work_run(call);
		break;
	case FS_JOB_UNMOUNT:
		call->err = our_unmount();
		break;
	}
	return 0;
}
