// SPDX-License-Identifier: MIT
//
// The filesystem bodies over the kernel's VFS, on a tmpfs of their own.
#include "fsconform.h"

#include "kern/test.h"
#include "kern/vfs.h"

struct state {
	struct process *process;
	struct test_run *run;
};

static struct process *process_of(struct fsc *fsc)
{
	return ((struct state *)fsc->state)->process;
}

static err_t k_open(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode, int32_t *fd)
{
	return vfs_open(process_of(fsc), dirfd, path, flags, mode, fd);
}

static err_t k_close(struct fsc *fsc, int32_t fd)
{
	return vfs_close(process_of(fsc), fd);
}

static err_t k_read(struct fsc *fsc, int32_t fd, void *buffer, size_t size, size_t *done)
{
	return vfs_read(process_of(fsc), fd, buffer, size, done);
}

static err_t k_write(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, size_t *done)
{
	return vfs_write(process_of(fsc), fd, buffer, size, done);
}

static err_t k_pread(struct fsc *fsc, int32_t fd, void *buffer, size_t size, uint64_t offset, size_t *done)
{
	return vfs_pread(process_of(fsc), fd, buffer, size, offset, done);
}

static err_t k_pwrite(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, uint64_t offset, size_t *done)
{
	return vfs_pwrite(process_of(fsc), fd, buffer, size, offset, done);
}

static err_t k_seek(struct fsc *fsc, int32_t fd, int64_t offset, uint32_t whence, uint64_t *position)
{
	return vfs_seek(process_of(fsc), fd, offset, (enum tb_seek)whence, position);
}

static err_t k_truncate(struct fsc *fsc, const char *path, int64_t size)
{
	return vfs_truncate(process_of(fsc), TB_AT_FDCWD, path, size);
}

static err_t k_ftruncate(struct fsc *fsc, int32_t fd, int64_t size)
{
	return vfs_ftruncate(process_of(fsc), fd, size);
}

static err_t k_fallocate(struct fsc *fsc, int32_t fd, uint32_t mode, int64_t offset, int64_t size)
{
	return vfs_fallocate(process_of(fsc), fd, mode, offset, size);
}

static err_t k_fsync(struct fsc *fsc, int32_t fd)
{
	return vfs_fsync(process_of(fsc), fd);
}

static err_t k_readdir(struct fsc *fsc, int32_t fd, struct tb_dirent *entries, uint32_t capacity, uint32_t *count)
{
	return vfs_readdir(process_of(fsc), fd, entries, capacity, count);
}

static err_t k_stat(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags, struct tb_stat *stat)
{
	return vfs_stat(process_of(fsc), dirfd, path, at_flags, stat);
}

static err_t k_fstat(struct fsc *fsc, int32_t fd, struct tb_stat *stat)
{
	return vfs_fstat(process_of(fsc), fd, stat);
}

static err_t k_access(struct fsc *fsc, const char *path, uint32_t access)
{
	return vfs_access(process_of(fsc), TB_AT_FDCWD, path, access, 0);
}

static err_t k_chmod(struct fsc *fsc, const char *path, uint32_t mode)
{
	return vfs_chmod(process_of(fsc), TB_AT_FDCWD, path, mode, 0);
}

static err_t k_chown(struct fsc *fsc, const char *path, uint32_t uid, uint32_t gid, uint32_t at_flags)
{
	return vfs_chown(process_of(fsc), TB_AT_FDCWD, path, uid, gid, at_flags);
}

static err_t k_utimens(struct fsc *fsc, const char *path, const struct tb_time *times, uint32_t at_flags)
{
	return vfs_utimens(process_of(fsc), TB_AT_FDCWD, path, times, at_flags);
}

static err_t k_mkdir(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t mode)
{
	return vfs_mkdir(process_of(fsc), dirfd, path, mode);
}

static err_t k_mknod(struct fsc *fsc, const char *path, uint32_t mode, uint64_t rdev)
{
	return vfs_mknod(process_of(fsc), TB_AT_FDCWD, path, mode, rdev);
}

static err_t k_symlink(struct fsc *fsc, const char *target, const char *path)
{
	return vfs_symlink(process_of(fsc), target, TB_AT_FDCWD, path);
}

static err_t k_readlink(struct fsc *fsc, const char *path, char *buffer, size_t size, size_t *done)
{
	return vfs_readlink(process_of(fsc), TB_AT_FDCWD, path, buffer, size, done);
}

static err_t k_link(struct fsc *fsc, int32_t old_dirfd, const char *old_path, const char *new_path, uint32_t at_flags)
{
	return vfs_link(process_of(fsc), old_dirfd, old_path, TB_AT_FDCWD, new_path, at_flags);
}

static err_t k_unlink(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags)
{
	return vfs_unlink(process_of(fsc), dirfd, path, at_flags);
}

static err_t k_rename(struct fsc *fsc, const char *old_path, const char *new_path, uint32_t flags)
{
	return vfs_rename(process_of(fsc), TB_AT_FDCWD, old_path, TB_AT_FDCWD, new_path, flags);
}

static err_t k_chdir(struct fsc *fsc, const char *path)
{
	return vfs_chdir(process_of(fsc), path);
}

static err_t k_getxattr(struct fsc *fsc, const char *path, const char *name, void *value, size_t *size)
{
	return vfs_getxattr(process_of(fsc), TB_AT_FDCWD, path, 0, name, value, size);
}

static err_t k_setxattr(struct fsc *fsc, const char *path, const char *name, const void *value, size_t size,
			uint32_t flags)
{
	return vfs_setxattr(process_of(fsc), TB_AT_FDCWD, path, 0, name, value, size, flags);
}

static err_t k_listxattr(struct fsc *fsc, const char *path, char *names, size_t *size)
{
	return vfs_listxattr(process_of(fsc), TB_AT_FDCWD, path, 0, names, size);
}

static err_t k_removexattr(struct fsc *fsc, const char *path, const char *name)
{
	return vfs_removexattr(process_of(fsc), TB_AT_FDCWD, path, 0, name);
}

static err_t k_user(struct fsc *fsc, uint32_t uid, uint32_t gid)
{
	return process_set_cred(process_of(fsc), uid, gid, NULL, 0);
}

static void k_umask(struct fsc *fsc, uint32_t mask)
{
	atomic_store_u32_relaxed(&process_of(fsc)->umask, mask);
}

static void k_check(struct fsc *fsc, bool ok, int64_t got, int64_t wanted, const char *what, const char *file, int line)
{
	(void)ok;
	test_check_eq(((struct state *)fsc->state)->run, got, wanted, what, file, line);
}

static const struct fsc_calls kernel_calls = {
	.open = k_open,
	.close = k_close,
	.read = k_read,
	.write = k_write,
	.pread = k_pread,
	.pwrite = k_pwrite,
	.seek = k_seek,
	.truncate = k_truncate,
	.ftruncate = k_ftruncate,
	.fallocate = k_fallocate,
	.fsync = k_fsync,
	.readdir = k_readdir,
	.stat = k_stat,
	.fstat = k_fstat,
	.access = k_access,
	.chmod = k_chmod,
	.chown = k_chown,
	.utimens = k_utimens,
	.mkdir = k_mkdir,
	.mknod = k_mknod,
	.symlink = k_symlink,
	.readlink = k_readlink,
	.link = k_link,
	.unlink = k_unlink,
	.rename = k_rename,
	.chdir = k_chdir,
	.getxattr = k_getxattr,
	.setxattr = k_setxattr,
	.listxattr = k_listxattr,
	.removexattr = k_removexattr,
	.user = k_user,
	.umask = k_umask,
	.check = k_check,
};

// One body in a process and on a filesystem of its own; both must go without a rest.
static void conform(TEST_RUN, void (*body)(struct fsc *fsc))
{
	struct state state = {.run = test_run_};
	struct fsc fsc = {.calls = &kernel_calls, .type = "tbos tmpfs", .state = &state};
	struct process *monitor = vfs_monitor_process();

	REQUIRE(vfs_mkdir(monitor, TB_AT_FDCWD, "/conform", 0755) == 0);
	CHECK_EQ(vfs_mount(monitor, "conform", "/conform", "tmpfs", 0, "mode=755", NULL), 0);
	CHECK_EQ(process_create("conform", monitor, &state.process), 0);
	CHECK_EQ(vfs_mkdir(state.process, TB_AT_FDCWD, "/conform/work", 0755), 0);
	CHECK_EQ(vfs_chdir(state.process, "/conform/work"), 0);
	body(&fsc);
	process_put(state.process);
	CHECK_EQ(vfs_umount(monitor, "/conform", 0), 0);
	CHECK_EQ(vfs_unlink(monitor, TB_AT_FDCWD, "/conform", TB_AT_REMOVEDIR), 0);
}

#define X(name)                                                                                                        \
	TEST(fs_conform, name)                                                                                         \
	{                                                                                                              \
		conform(test_run_, fsc_##name);                                                                        \
	}
FSC_BODIES(X)
#undef X
