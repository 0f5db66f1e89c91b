// SPDX-License-Identifier: MIT
//
// Files of an instance, from the host: calls that mean what Linux's calls of the same names mean (man-pages 2), for any host thread at
// any time. A context is a process without an address space: its credentials, umask, working directory and descriptors are its
// own, and several threads may use it at once, as the threads of a process do.
//
// Errors are negative numbers of errno(3). All calls also return those of tb_call(): -ESHUTDOWN, -ENOTCONN, -EDEADLK, -ETIME, -EIO;
// -ENOSYS where the persona has no filesystems; -EFAULT where a text, or the place of an answer, is NULL and may not be. Calls with a path
// have those of path_resolution(7). `dirfd` may be TB_AT_FDCWD.
// Buffers and texts are the caller's and are used during the call only; *done_bytes is valid on success alone.
#ifndef TBOS_FILE_H
#define TBOS_FILE_H

#include "tbos/file_types.h"
#include "tbos/tbos.h"
#include "tbos/pxfs_types.h"
#include "tbos/tty_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tb_context tb_context;

// A context at the root of the tree, uid 0, umask 022, with nothing open. *out is the caller's until tb_context_destroy(), which
// closes its files and is due before tb_destroy() of the instance. Errors: -ENOMEM, -EBUSY (the instance is being destroyed).
tb_err tb_context_create(tb_instance *instance, tb_context **out) TB_MUST_USE;

// The context is gone whatever is returned; no other thread may be using it. Errors: those of tb_call().
tb_err tb_context_destroy(tb_context *context) TB_MUST_USE;

// Who acts from here on: up to 32 further groups. Errors: -EINVAL, -ENOMEM. tb_umask() returns the old one by *old (may be NULL).
tb_err tb_set_user(tb_context *context, uint32_t uid, uint32_t gid, const uint32_t *groups,
		   uint32_t group_count) TB_MUST_USE;
tb_err tb_umask(tb_context *context, uint32_t mask, uint32_t *old) TB_MUST_USE;

tb_err tb_open(tb_context *context, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode,
	       int32_t *fd) TB_MUST_USE;

// Files by handle, for servers (name_to_handle_at(2), open_by_handle_at(2)): at_flags TB_AT_SYMLINK_FOLLOW, TB_AT_EMPTY_PATH; mount_fd any descriptor of
// the mount, or TB_AT_FDCWD. A handle holds nothing: when the file is gone it is -ESTALE. With TB_O_PATH a descriptor stands for the file in all calls
// that take one with a name below it, or "" and TB_AT_EMPTY_PATH.
tb_err tb_name_to_handle(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags,
			 struct tb_handle *handle) TB_MUST_USE;
tb_err tb_open_handle(tb_context *context, int32_t mount_fd, const struct tb_handle *handle, uint32_t flags,
		      int32_t *fd) TB_MUST_USE;

tb_err tb_close(tb_context *context, int32_t fd) TB_MUST_USE;
tb_err tb_dup(tb_context *context, int32_t fd, int32_t *copy) TB_MUST_USE;
tb_err tb_read(tb_context *context, int32_t fd, void *buffer, size_t size_bytes, size_t *done_bytes) TB_MUST_USE;
tb_err tb_write(tb_context *context, int32_t fd, const void *buffer, size_t size_bytes, size_t *done_bytes) TB_MUST_USE;
tb_err tb_pread(tb_context *context, int32_t fd, void *buffer, size_t size_bytes, uint64_t offset,
		size_t *done_bytes) TB_MUST_USE;
tb_err tb_pwrite(tb_context *context, int32_t fd, const void *buffer, size_t size_bytes, uint64_t offset,
		 size_t *done_bytes) TB_MUST_USE;
tb_err tb_lseek(tb_context *context, int32_t fd, int64_t offset, enum tb_seek whence, uint64_t *position) TB_MUST_USE;
tb_err tb_truncate(tb_context *context, int32_t dirfd, const char *path, int64_t size_bytes) TB_MUST_USE;
tb_err tb_ftruncate(tb_context *context, int32_t fd, int64_t size_bytes) TB_MUST_USE;
tb_err tb_fallocate(tb_context *context, int32_t fd, uint32_t mode, int64_t offset, int64_t size_bytes) TB_MUST_USE;

// copy_file_range(2) within a filesystem: shares what is stored where that can be, else copies. Offsets NULL: the files' positions. flags: 0. *done_bytes may be less
// than was asked for.
tb_err tb_copy_range(tb_context *context, int32_t from_fd, uint64_t *from_offset, int32_t to_fd, uint64_t *to_offset,
		     size_t size_bytes, uint32_t flags, size_t *done_bytes) TB_MUST_USE;
tb_err tb_fsync(tb_context *context, int32_t fd) TB_MUST_USE;
tb_err tb_sync(tb_context *context) TB_MUST_USE;

// flock(2), and record locks (fcntl(2)): operation is of enum tb_flock_operation, command of enum tb_lock_command; record locks are the
// context's, unless the command says OFD. Those that wait wait inside the instance; nobody who waits holds up others.
tb_err tb_flock(tb_context *context, int32_t fd, uint32_t operation) TB_MUST_USE;
tb_err tb_lock(tb_context *context, int32_t fd, uint32_t command, struct tb_lock *lock) TB_MUST_USE;

// ioctl(2) on a terminal, a block device or PXFS: request is of enum tb_tty_request, tb_block_request or tb_pxfs_request, which say what arg points to; TB_FS_IOC_GETFLAGS and _SETFLAGS on files of filesystems that know them. A context has no controlling terminal: /dev/tty is
// -ENXIO; /dev/console and /dev/tty1 are there.
tb_err tb_ioctl(tb_context *context, int32_t fd, uint32_t request, void *arg) TB_MUST_USE;

// Up to `capacity` entries from the position on; *count is 0 at the end.
tb_err tb_readdir(tb_context *context, int32_t fd, struct tb_dirent *entries, uint32_t capacity,
		  uint32_t *count) TB_MUST_USE;

// at_flags: TB_AT_SYMLINK_NOFOLLOW, TB_AT_EMPTY_PATH; tb_link also TB_AT_SYMLINK_FOLLOW; tb_unlink TB_AT_REMOVEDIR alone.
tb_err tb_stat(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags,
	       struct tb_stat *stat) TB_MUST_USE;
tb_err tb_fstat(tb_context *context, int32_t fd, struct tb_stat *stat) TB_MUST_USE;
tb_err tb_access(tb_context *context, int32_t dirfd, const char *path, uint32_t access, uint32_t at_flags) TB_MUST_USE;
tb_err tb_chmod(tb_context *context, int32_t dirfd, const char *path, uint32_t mode, uint32_t at_flags) TB_MUST_USE;
tb_err tb_chown(tb_context *context, int32_t dirfd, const char *path, uint32_t uid, uint32_t gid,
		uint32_t at_flags) TB_MUST_USE;
tb_err tb_utimens(tb_context *context, int32_t dirfd, const char *path, const struct tb_time *times,
		  uint32_t at_flags) TB_MUST_USE;

tb_err tb_mkdir(tb_context *context, int32_t dirfd, const char *path, uint32_t mode) TB_MUST_USE;
tb_err tb_mknod(tb_context *context, int32_t dirfd, const char *path, uint32_t mode, uint64_t rdev) TB_MUST_USE;
tb_err tb_symlink(tb_context *context, const char *target, int32_t dirfd, const char *path) TB_MUST_USE;
tb_err tb_readlink(tb_context *context, int32_t dirfd, const char *path, char *buffer, size_t size_bytes,
		   size_t *done_bytes) TB_MUST_USE; // not terminated
tb_err tb_link(tb_context *context, int32_t old_dirfd, const char *old_path, int32_t new_dirfd, const char *new_path,
	       uint32_t at_flags) TB_MUST_USE;
tb_err tb_unlink(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags) TB_MUST_USE;
tb_err tb_rename(tb_context *context, int32_t old_dirfd, const char *old_path, int32_t new_dirfd, const char *new_path,
		 uint32_t flags) TB_MUST_USE;

tb_err tb_chdir(tb_context *context, const char *path) TB_MUST_USE;
tb_err tb_fchdir(tb_context *context, int32_t fd) TB_MUST_USE;
tb_err tb_chroot(tb_context *context, const char *path) TB_MUST_USE;
tb_err tb_getcwd(tb_context *context, char *buffer, size_t size_bytes, size_t *done_bytes) TB_MUST_USE; // terminated

// *size_bytes is the room for the value, or the names, then their size; no room asks for it.
tb_err tb_getxattr(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   void *value, size_t *size_bytes) TB_MUST_USE;
tb_err tb_setxattr(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   const void *value, size_t size_bytes, uint32_t flags) TB_MUST_USE;
tb_err tb_listxattr(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags, char *names,
		    size_t *size_bytes) TB_MUST_USE;
tb_err tb_removexattr(tb_context *context, int32_t dirfd, const char *path, uint32_t at_flags,
		      const char *name) TB_MUST_USE;

// uid 0 alone. `options` are the filesystem's (may be NULL); tmpfs: size=, nr_inodes=, mode=, uid=, gid=. TB_MNT_DETACH takes
// what is mounted within along. Errors: -EPERM, -ENODEV, -EBUSY, -EINVAL.
tb_err tb_mount(tb_context *context, const char *source, const char *path, const char *type, uint32_t flags,
		const char *options) TB_MUST_USE;
tb_err tb_umount(tb_context *context, const char *path, uint32_t flags) TB_MUST_USE;

// unshare(2) with TB_CLONE_NEWNS: from now on the context has mounts of its own, copies of those it saw. What is mounted and unmounted later on
// one side does not show on the other. Its descriptors stay where they are. uid 0 alone. Errors: -EPERM, -EINVAL (other flags), -ENOMEM.
tb_err tb_unshare(tb_context *context, uint32_t flags) TB_MUST_USE;
tb_err tb_statfs(tb_context *context, int32_t dirfd, const char *path, struct tb_statfs *out) TB_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
