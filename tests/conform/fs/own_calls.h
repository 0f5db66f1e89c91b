// SPDX-License-Identifier: MIT
//
// The table's functions over our own calls, which are named alike on both sides of the HAL line: vfs_open(process, …) inside,
// tb_open(context, …) through the library. Who includes this says which by FSC_CALLEE, FSC_SEEK and FSC_ACTOR; inside by default. The state of
// struct fsc begins with a pointer to the actor.
#ifndef OWN_CALLS_H
#define OWN_CALLS_H

#include "fsconform.h"

#ifndef FSC_CALLEE
#include "kern/string.h"
#include "kern/vfs.h"
#define FSC_CALLEE(name) vfs_##name
#define FSC_SEEK vfs_seek
#define FSC_ACTOR struct process
#endif

static inline FSC_ACTOR *fsc_actor(struct fsc *fsc)
{
	return *(void **)fsc->state;
}

static inline err_t own_open(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode,
			     int32_t *fd)
{
	return FSC_CALLEE(open)(fsc_actor(fsc), dirfd, path, flags, mode, fd);
}

static inline err_t own_close(struct fsc *fsc, int32_t fd)
{
	return FSC_CALLEE(close)(fsc_actor(fsc), fd);
}

static inline err_t own_read(struct fsc *fsc, int32_t fd, void *buffer, size_t size, size_t *done)
{
	return FSC_CALLEE(read)(fsc_actor(fsc), fd, buffer, size, done);
}

static inline err_t own_write(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, size_t *done)
{
	return FSC_CALLEE(write)(fsc_actor(fsc), fd, buffer, size, done);
}

static inline err_t own_pread(struct fsc *fsc, int32_t fd, void *buffer, size_t size, uint64_t offset, size_t *done)
{
	return FSC_CALLEE(pread)(fsc_actor(fsc), fd, buffer, size, offset, done);
}

static inline err_t own_pwrite(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, uint64_t offset,
			       size_t *done)
{
	return FSC_CALLEE(pwrite)(fsc_actor(fsc), fd, buffer, size, offset, done);
}

static inline err_t own_seek(struct fsc *fsc, int32_t fd, int64_t offset, uint32_t whence, uint64_t *position)
{
	return FSC_SEEK(fsc_actor(fsc), fd, offset, (enum tb_seek)whence, position);
}

static inline err_t own_handle(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags,
			       struct fsc_handle *handle)
{
	struct tb_handle own = {0};
	err_t err = FSC_CALLEE(name_to_handle)(fsc_actor(fsc), dirfd, path, at_flags, &own);
	memset(handle, 0, sizeof *handle);
	memcpy(handle, &own, sizeof own);
	return err;
}

static inline err_t own_open_handle(struct fsc *fsc, const struct fsc_handle *handle, uint32_t flags, int32_t *fd)
{
	struct tb_handle own;
	memcpy(&own, handle, sizeof own);
	return FSC_CALLEE(open_handle)(fsc_actor(fsc), TB_AT_FDCWD, &own, flags, fd);
}

static inline err_t own_truncate(struct fsc *fsc, const char *path, int64_t size)
{
	return FSC_CALLEE(truncate)(fsc_actor(fsc), TB_AT_FDCWD, path, size);
}

static inline err_t own_ftruncate(struct fsc *fsc, int32_t fd, int64_t size)
{
	return FSC_CALLEE(ftruncate)(fsc_actor(fsc), fd, size);
}

static inline err_t own_fallocate(struct fsc *fsc, int32_t fd, uint32_t mode, int64_t offset, int64_t size)
{
	return FSC_CALLEE(fallocate)(fsc_actor(fsc), fd, mode, offset, size);
}

static inline err_t own_copy_range(struct fsc *fsc, int32_t from, uint64_t *from_offset, int32_t to,
				   uint64_t *to_offset, size_t size, uint32_t flags, size_t *done)
{
	return FSC_CALLEE(copy_range)(fsc_actor(fsc), from, from_offset, to, to_offset, size, flags, done);
}

static inline err_t own_fsync(struct fsc *fsc, int32_t fd)
{
	return FSC_CALLEE(fsync)(fsc_actor(fsc), fd);
}

static inline err_t own_flock(struct fsc *fsc, int32_t fd, uint32_t operation)
{
	return FSC_CALLEE(flock)(fsc_actor(fsc), fd, operation);
}

static inline err_t own_lock(struct fsc *fsc, int32_t fd, uint32_t command, struct tb_lock *lock)
{
	return FSC_CALLEE(lock)(fsc_actor(fsc), fd, command, lock);
}

static inline err_t own_readdir(struct fsc *fsc, int32_t fd, struct tb_dirent *entries, uint32_t capacity,
				uint32_t *count)
{
	return FSC_CALLEE(readdir)(fsc_actor(fsc), fd, entries, capacity, count);
}

static inline err_t own_stat(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags, struct tb_stat *stat)
{
	return FSC_CALLEE(stat)(fsc_actor(fsc), dirfd, path, at_flags, stat);
}

static inline err_t own_fstat(struct fsc *fsc, int32_t fd, struct tb_stat *stat)
{
	return FSC_CALLEE(fstat)(fsc_actor(fsc), fd, stat);
}

static inline err_t own_access(struct fsc *fsc, const char *path, uint32_t access)
{
	return FSC_CALLEE(access)(fsc_actor(fsc), TB_AT_FDCWD, path, access, 0);
}

static inline err_t own_chmod(struct fsc *fsc, const char *path, uint32_t mode)
{
	return FSC_CALLEE(chmod)(fsc_actor(fsc), TB_AT_FDCWD, path, mode, 0);
}

static inline err_t own_chown(struct fsc *fsc, const char *path, uint32_t uid, uint32_t gid, uint32_t at_flags)
{
	return FSC_CALLEE(chown)(fsc_actor(fsc), TB_AT_FDCWD, path, uid, gid, at_flags);
}

static inline err_t own_utimens(struct fsc *fsc, const char *path, const struct tb_time *times, uint32_t at_flags)
{
	return FSC_CALLEE(utimens)(fsc_actor(fsc), TB_AT_FDCWD, path, times, at_flags);
}

static inline err_t own_mkdir(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t mode)
{
	return FSC_CALLEE(mkdir)(fsc_actor(fsc), dirfd, path, mode);
}

static inline err_t own_mknod(struct fsc *fsc, const char *path, uint32_t mode, uint64_t rdev)
{
	return FSC_CALLEE(mknod)(fsc_actor(fsc), TB_AT_FDCWD, path, mode, rdev);
}

static inline err_t own_symlink(struct fsc *fsc, const char *target, const char *path)
{
	return FSC_CALLEE(symlink)(fsc_actor(fsc), target, TB_AT_FDCWD, path);
}

static inline err_t own_readlink(struct fsc *fsc, const char *path, char *buffer, size_t size, size_t *done)
{
	return FSC_CALLEE(readlink)(fsc_actor(fsc), TB_AT_FDCWD, path, buffer, size, done);
}

static inline err_t own_link(struct fsc *fsc, int32_t old_dirfd, const char *old_path, const char *new_path,
			     uint32_t at_flags)
{
	return FSC_CALLEE(link)(fsc_actor(fsc), old_dirfd, old_path, TB_AT_FDCWD, new_path, at_flags);
}

static inline err_t own_unlink(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags)
{
	return FSC_CALLEE(unlink)(fsc_actor(fsc), dirfd, path, at_flags);
}

static inline err_t own_rename(struct fsc *fsc, const char *old_path, const char *new_path, uint32_t flags)
{
	return FSC_CALLEE(rename)(fsc_actor(fsc), TB_AT_FDCWD, old_path, TB_AT_FDCWD, new_path, flags);
}

static inline err_t own_chdir(struct fsc *fsc, const char *path)
{
	return FSC_CALLEE(chdir)(fsc_actor(fsc), path);
}

static inline err_t own_getxattr(struct fsc *fsc, const char *path, const char *name, void *value, size_t *size)
{
	return FSC_CALLEE(getxattr)(fsc_actor(fsc), TB_AT_FDCWD, path, 0, name, value, size);
}

static inline err_t own_setxattr(struct fsc *fsc, const char *path, const char *name, const void *value, size_t size,
				 uint32_t flags)
{
	return FSC_CALLEE(setxattr)(fsc_actor(fsc), TB_AT_FDCWD, path, 0, name, value, size, flags);
}

static inline err_t own_listxattr(struct fsc *fsc, const char *path, char *names, size_t *size)
{
	return FSC_CALLEE(listxattr)(fsc_actor(fsc), TB_AT_FDCWD, path, 0, names, size);
}

static inline err_t own_removexattr(struct fsc *fsc, const char *path, const char *name)
{
	return FSC_CALLEE(removexattr)(fsc_actor(fsc), TB_AT_FDCWD, path, 0, name);
}

#endif
