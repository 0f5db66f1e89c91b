// SPDX-License-Identifier: MIT
//
// File calls of the library (tbos/file.h): each packs its arguments and runs in the instance as any call does, on the calling host thread.
#include "host_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "tbos/file.h"
#include "tbos/file_call.h"

struct tb_context {
	tb_instance *instance;
	uint64_t handle;
};

static tb_err file_call(tb_instance *instance, struct tb_file_call *call)
{
	int64_t result = 0;

	if (instance->upcalls->file == NULL)
		return -ENOSYS;
	tb_err err = tb_call(instance, instance->upcalls->file, call, &result);
	return err != 0 ? err : (tb_err)result;
}

tb_err tb_context_create(tb_instance *instance, tb_context **out)
{
	struct tb_file_call call = {.op = TB_FILE_context_create};
	struct tb_context *context = calloc(1, sizeof *context);

	if (context == NULL)
		return -ENOMEM;
	context->instance = instance;
	call.args[0] = (uintptr_t)&context->handle;
	tb_err err = file_call(instance, &call);
	if (err != 0) {
		free(context);
		return err;
	}
	*out = context;
	return 0;
}

tb_err tb_context_destroy(tb_context *context)
{
	struct tb_file_call call = {.op = TB_FILE_context_destroy, .context = context->handle};
	tb_err err = file_call(context->instance, &call);
	free(context);
	return err;
}

#define CALL(name, ...)                                                                                                \
	do {                                                                                                           \
		struct tb_file_call call = {.op = TB_FILE_##name, .context = context->handle, .args = {__VA_ARGS__}};  \
		return file_call(context->instance, &call);                                                            \
	} while (0)

tb_err tb_set_user(tb_context *context, uint32_t uid, uint32_t gid, const uint32_t *groups, uint32_t group_count)
{
	CALL(set_user, uid, gid, (uintptr_t)groups, group_count);
}

tb_err tb_umask(tb_context *context, uint32_t mask, uint32_t *old)
{
	CALL(umask, mask, (uintptr_t)old);
}

tb_err tb_open(tb_context *context, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode, int32_t *fd)
{
	CALL(open, (uint64_t)(int64_t)dirfd, (uintptr_t)path, flags, mode, (uintptr_t)fd);
}

tb_err tb_close(tb_context *context, int32_t fd)
{
	CALL(close, (uint64_t)(int64_t)fd);
}

tb_err tb_dup(tb_context *context, int32_t fd, int32_t *copy)
{
	CALL(dup, (uint64_t)(int64_t)fd, (uintptr_t)copy);
}

tb_err tb_read(tb_context *context, int32_t fd, void *buffer, size_t size_bytes, size_t *done_bytes)
{
	CALL(read, (uint64_t)(int64_t)fd, (uintptr_t)buffer, size_bytes, (uintptr_t)done_bytes);
}

tb_err tb_write(tb_context *context, int32_t fd, const void *buffer, size_t size_bytes, size_t *done_bytes)
{
	CALL(write, (uint64_t)(int64_t)fd, (uintptr_t)buffer, size_bytes, (uintptr_t)done_bytes);
}

tb_err tb_pread(tb_context *context, int32_t fd, void *buffer, size_t size_bytes, uint64_t offset, size_t *done_bytes)
{
	CALL(pread, (uint64_t)(int64_t)fd, (uintptr_t)buffer, size_bytes, offset, (uintptr_t)done_bytes);
}

tb_err tb_pwrite(tb_context *context, int32_t fd, const void *buffer, size_t size_bytes, uint64_t offset,
		 size_t *done_bytes)
{
	CALL(pwrite, (uint64_t)(int64_t)fd, (uintptr_t)buffer, size_bytes, offset, (uintptr_t)done_bytes);
}

tb_err tb_lseek(tb_context *context, int32_t fd, int64_t offset, enum tb_seek whence, uint64_t *position)
{
	CALL(lseek, (uint64_t)(int64_t)fd, (uint64_t)(int64_t)offset, (uint64_t)whence, (uintptr_t)position);
}

tb_err tb_truncate(tb_context *context, int32_t dirfd, const char *path, int64_t size_bytes)
{
	CALL(truncate, (uint64_t)(int64_t)dirfd, (uintptr_t)path, (uint64_t)(int64_t)size_bytes);
}

tb_err tb_ftruncate(tb_context *context, int32_t fd, int64_t size_bytes)
{
	CALL(ftruncate, (uint64_t)(int64_t)fd, (uint64_t)(int64_t)size_bytes);
}

tb_err tb_fallocate(tb_context *context, int32_t fd, uint32_t mode, int64_t offset, int64_t size_bytes)
{
	CALL(fallocate, (uint64_t)(int64_t)fd, mode, (uint64_t)(int64_t)offset, (uint64_t)(int64_t)size_bytes);
}

tb_err tb_copy_range(tb_context *context, int32_t from_fd, uint64_t *from_offset, int32_t to_fd, uint64_t *to_offset,
		     size_t size_bytes, uint32_t flags, size_t *done_bytes)
{
	CALL(copy_range, (uint64_t)(int64_t)from_fd, (uintptr_t)from_offset, (uint64_t)(int64_t)to_fd,
	     (uintptr_t)to_offset, size_bytes, flags, (uintptr_t)done_bytes);
}

tb_err tb_fsync(tb_context *context, int32_t fd)
{
	CALL(fsync, (uint64_t)(int64_t)fd);
}

tb_err tb_sync(tb_context *context)
{
	CALL(sync, 0);
}

tb_err tb_flock(tb_context *context, int32_t fd, uint32_t operation)
{
	CALL(flock, (uint64_t)(int64_t)fd, operation);
}

tb_err tb_lock(tb_context *context, int32_t fd, uint32_t command, struct tb_lock *lock)
{
	CALL(lock, (uint64_t)(int64_t)fd, command, (uintptr_t)lock);
}

tb_err tb_name_to_handle(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags,
			 struct tb_handle *handle)
{
	CALL(name_to_handle, (uint64_t)(int64_t)dirfd, (uintptr_t)path, at_flags, (uintptr_t)handle);
}

tb_err tb_open_handle(tb_context *context, int32_t mount_fd, const struct tb_handle *handle, uint32_t flags,
		      int32_t *fd)
{
	CALL(open_handle, (uint64_t)(int64_t)mount_fd, (uintptr_t)handle, flags, (uintptr_t)fd);
}

tb_err tb_ioctl(tb_context *context, int32_t fd, uint32_t request, void *arg)
{
	CALL(ioctl, (uint64_t)(int64_t)fd, request, (uintptr_t)arg);
}

tb_err tb_readdir(tb_context *context, int32_t fd, struct tb_dirent *entries, uint32_t capacity, uint32_t *count)
{
	CALL(readdir, (uint64_t)(int64_t)fd, (uintptr_t)entries, capacity, (uintptr_t)count);
}

tb_err tb_stat(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags, struct tb_stat *stat)
{
	CALL(stat, (uint64_t)(int64_t)dirfd, (uintptr_t)path, at_flags, (uintptr_t)stat);
}

tb_err tb_fstat(tb_context *context, int32_t fd, struct tb_stat *stat)
{
	CALL(fstat, (uint64_t)(int64_t)fd, (uintptr_t)stat);
}

tb_err tb_access(tb_context *context, int32_t dirfd, const char *path, uint32_t access, uint32_t at_flags)
{
	CALL(access, (uint64_t)(int64_t)dirfd, (uintptr_t)path, access, at_flags);
}

tb_err tb_chmod(tb_context *context, int32_t dirfd, const char *path, uint32_t mode, uint32_t at_flags)
{
	CALL(chmod, (uint64_t)(int64_t)dirfd, (uintptr_t)path, mode, at_flags);
}

tb_err tb_chown(tb_context *context, int32_t dirfd, const char *path, uint32_t uid, uint32_t gid, uint32_t at_flags)
{
	CALL(chown, (uint64_t)(int64_t)dirfd, (uintptr_t)path, uid, gid, at_flags);
}

tb_err tb_utimens(tb_context *context, int32_t dirfd, const char *path, const struct tb_time *times, uint32_t at_flags)
{
	CALL(utimens, (uint64_t)(int64_t)dirfd, (uintptr_t)path, (uintptr_t)times, at_flags);
}

tb_err tb_mkdir(tb_context *context, int32_t dirfd, const char *path, uint32_t mode)
{
	CALL(mkdir, (uint64_t)(int64_t)dirfd, (uintptr_t)path, mode);
}

tb_err tb_mknod(tb_context *context, int32_t dirfd, const char *path, uint32_t mode, uint64_t rdev)
{
	CALL(mknod, (uint64_t)(int64_t)dirfd, (uintptr_t)path, mode, rdev);
}

tb_err tb_symlink(tb_context *context, const char *target, int32_t dirfd, const char *path)
{
	CALL(symlink, (uintptr_t)target, (uint64_t)(int64_t)dirfd, (uintptr_t)path);
}

tb_err tb_readlink(tb_context *context, int32_t dirfd, const char *path, char *buffer, size_t size_bytes,
		   size_t *done_bytes)
{
	CALL(readlink, (uint64_t)(int64_t)dirfd, (uintptr_t)path, (uintptr_t)buffer, size_bytes, (uintptr_t)done_bytes);
}

tb_err tb_link(tb_context *context, int32_t old_dirfd, const char *old_path, int32_t new_dirfd, const char *new_path,
	       uint32_t at_flags)
{
	CALL(link, (uint64_t)(int64_t)old_dirfd, (uintptr_t)old_path, (uint64_t)(int64_t)new_dirfd, (uintptr_t)new_path,
	     at_flags);
}

tb_err tb_unlink(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags)
{
	CALL(unlink, (uint64_t)(int64_t)dirfd, (uintptr_t)path, at_flags);
}

tb_err tb_rename(tb_context *context, int32_t old_dirfd, const char *old_path, int32_t new_dirfd, const char *new_path,
		 uint32_t flags)
{
	CALL(rename, (uint64_t)(int64_t)old_dirfd, (uintptr_t)old_path, (uint64_t)(int64_t)new_dirfd,
	     (uintptr_t)new_path, flags);
}

tb_err tb_chdir(tb_context *context, const char *path)
{
	CALL(chdir, (uintptr_t)path);
}

tb_err tb_fchdir(tb_context *context, int32_t fd)
{
	CALL(fchdir, (uint64_t)(int64_t)fd);
}

tb_err tb_chroot(tb_context *context, const char *path)
{
	CALL(chroot, (uintptr_t)path);
}

tb_err tb_getcwd(tb_context *context, char *buffer, size_t size_bytes, size_t *done_bytes)
{
	CALL(getcwd, (uintptr_t)buffer, size_bytes, (uintptr_t)done_bytes);
}

tb_err tb_getxattr(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   void *value, size_t *size_bytes)
{
	CALL(getxattr, (uint64_t)(int64_t)dirfd, (uintptr_t)path, at_flags, (uintptr_t)name, (uintptr_t)value,
	     (uintptr_t)size_bytes);
}

tb_err tb_setxattr(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   const void *value, size_t size_bytes, uint32_t flags)
{
	CALL(setxattr, (uint64_t)(int64_t)dirfd, (uintptr_t)path, at_flags, (uintptr_t)name, (uintptr_t)value,
	     size_bytes, flags);
}

tb_err tb_listxattr(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags, char *names,
		    size_t *size_bytes)
{
	CALL(listxattr, (uint64_t)(int64_t)dirfd, (uintptr_t)path, at_flags, (uintptr_t)names, (uintptr_t)size_bytes);
}

tb_err tb_removexattr(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags, const char *name)
{
	CALL(removexattr, (uint64_t)(int64_t)dirfd, (uintptr_t)path, at_flags, (uintptr_t)name);
}

tb_err tb_mount(tb_context *context, const char *source, const char *path, const char *type, uint32_t flags,
		const char *options)
{
	CALL(mount, (uintptr_t)source, (uintptr_t)path, (uintptr_t)type, flags, (uintptr_t)options);
}

tb_err tb_umount(tb_context *context, const char *path, uint32_t flags)
{
	CALL(umount, (uintptr_t)path, flags);
}

tb_err tb_unshare(tb_context *context, uint32_t flags)
{
	CALL(unshare, flags);
}

tb_err tb_statfs(tb_context *context, int32_t dirfd, const char *path, struct tb_statfs *out)
{
	CALL(statfs, (uint64_t)(int64_t)dirfd, (uintptr_t)path, (uintptr_t)out);
}
