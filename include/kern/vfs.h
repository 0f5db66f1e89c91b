// SPDX-License-Identifier: MIT
//
// File calls of the kernel: what the monitor, the library and, later, the syscall layer use. Each names the process that acts and
// means what Linux's call of that name means (man-pages 2); paths are relative to `dirfd`, or to the working directory for
// TB_AT_FDCWD. All run in thread context and may sleep. Besides the errors named, any call with a path has those of
// path_resolution(7): -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG, -EBADF (dirfd); any that changes: -EROFS, -ENOMEM, -ENOSPC, -EIO.
#ifndef KERN_VFS_H
#define KERN_VFS_H

#include "kern/fs.h"

// The process that the current thread acts as; the monitor's, when it has none of its own. Not counted.
struct process *vfs_monitor_process(void);

err_t vfs_open(struct process *process, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode,
	       int32_t *fd) must_check; // -EEXIST -EISDIR -EINVAL -EOPNOTSUPP -EMFILE -ENXIO

// Files by handle (name_to_handle_at(2), open_by_handle_at(2)). at_flags: TB_AT_SYMLINK_FOLLOW, TB_AT_EMPTY_PATH. mount_fd: any descriptor of the
// mount, or TB_AT_FDCWD; flags as for open, but none that makes a file. Errors: -EOPNOTSUPP (a filesystem without), -ESTALE (the file is gone, or
// of another filesystem), -EPERM (to open, for all but uid 0), -EINVAL.
err_t vfs_name_to_handle(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags,
			 struct tb_handle *handle) must_check;
err_t vfs_open_handle(struct process *process, int32_t mount_fd, const struct tb_handle *handle, uint32_t flags,
		      int32_t *fd) must_check;

err_t vfs_close(struct process *process, int32_t fd) must_check;

// Move up to size_bytes at the file's position, or at `offset`, which leaves the position alone. *done_bytes is less at the end of the
// file, or when something failed behind the first bytes. Errors: -EBADF, -EISDIR, -EINVAL, -EFBIG, -ESPIPE.
err_t vfs_read(struct process *process, int32_t fd, void *buffer, size_t size_bytes, size_t *done_bytes) must_check;
err_t vfs_write(struct process *process, int32_t fd, const void *buffer, size_t size_bytes,
		size_t *done_bytes) must_check;
err_t vfs_pread(struct process *process, int32_t fd, void *buffer, size_t size_bytes, uint64_t offset,
		size_t *done_bytes) must_check;
err_t vfs_pwrite(struct process *process, int32_t fd, const void *buffer, size_t size_bytes, uint64_t offset,
		 size_t *done_bytes) must_check;

// copy_file_range(2) within a filesystem: shares what is stored where that can be, else copies. Offsets NULL: the files' positions, which go on. flags: 0.
// *done_bytes may be less than was asked for. Errors: -EBADF (also with O_APPEND), -EISDIR, -EINVAL (no regular files, ranges of one file that overlap),
// -EXDEV, -EOVERFLOW, -EFBIG.
err_t vfs_copy_range(struct process *process, int32_t from_fd, uint64_t *from_offset, int32_t to_fd,
		     uint64_t *to_offset, size_t size_bytes, uint32_t flags, size_t *done_bytes) must_check;

// ioctl(2) on what the descriptor names: `arg` is in kernel memory and as large as the request says (enum tb_tty_request, TB_FS_IOC_…). Errors: -EBADF,
// -ENOTTY (the file knows no such request), -EPERM and -EROFS (TB_FS_IOC_SETFLAGS is the owner's), those of the request.
err_t vfs_ioctl(struct process *process, int32_t fd, uint32_t request, void *arg) must_check;
err_t vfs_seek(struct process *process, int32_t fd, int64_t offset, enum tb_seek whence, uint64_t *position) must_check;
err_t vfs_truncate(struct process *process, int32_t dirfd, const char *path, int64_t size_bytes) must_check;
err_t vfs_ftruncate(struct process *process, int32_t fd, int64_t size_bytes) must_check;
err_t vfs_fallocate(struct process *process, int32_t fd, uint32_t mode, int64_t offset, int64_t size_bytes) must_check;
err_t vfs_fsync(struct process *process, int32_t fd) must_check;
err_t vfs_sync(void) must_check; // all filesystems; the first error

// A file that a part of the kernel keeps open, without a descriptor: it stays whatever becomes of the process, and its mount with it. flags as for open,
// but none that makes a file. Errors: those of open.
err_t vfs_file_open(struct process *process, const char *path, uint32_t flags, struct file **out) must_check;
void vfs_file_close(struct file *file); // may sleep
uint64_t vfs_file_size(const struct file *file);

// Move all of it, at `offset`. Errors: those of the file; -EIO: it ends before.
err_t vfs_file_read(struct file *file, uint64_t offset, void *buffer, size_t size_bytes) must_check;
err_t vfs_file_write(struct file *file, uint64_t offset, const void *buffer, size_t size_bytes) must_check;
err_t vfs_file_sync(struct file *file) must_check;
err_t vfs_file_allocate(struct file *file, uint32_t mode, uint64_t offset, uint64_t size_bytes) must_check;

// Its path as the process sees it, terminated. Errors: -ENOENT, -ERANGE.
err_t vfs_file_path(struct process *process, const struct file *file, char *buffer, size_t size_bytes) must_check;

// Locks on files, advisory. flock(2) belongs to the open file, and goes with it; what it had before is let go before anything is waited
// for. Record locks (fcntl(2)) belong to the process, which loses all it has on a file when it closes any descriptor of it, or, with the OFD
// commands, to the open file. GETLK fills in *lock: what stands in the way, or type UNLCK. Errors: -EAGAIN (held; NB, SETLK), -EBADF (a
// descriptor that may not read or write as the lock wants), -EINVAL, -EOVERFLOW, -EDEADLK (processes would wait for each other), -ENOLCK (65,536
// on one file).
err_t vfs_flock(struct process *process, int32_t fd, uint32_t operation) must_check;
err_t vfs_lock(struct process *process, int32_t fd, uint32_t command, struct tb_lock *lock) must_check;

// Calls fn for every lock that is held, file by file; fn may neither sleep nor allocate. Thread context.
struct lock_info {
	const char *kind; // "FLOCK", "POSIX", "OFDLCK"
	bool write;
	uint32_t process, dev;    // process 0: an open file's
	uint64_t ino, start, end; // UINT64_MAX: to the end
};
void vfs_each_lock(void (*fn)(const struct lock_info *info, void *arg), void *arg);

// Fills entries of the directory from its position; *count of them, 0 at the end. Errors: -EBADF, -ENOTDIR.
err_t vfs_readdir(struct process *process, int32_t fd, struct tb_dirent *entries, uint32_t capacity,
		  uint32_t *count) must_check;

// Descriptors (fcntl(2), dup(2)). get_flags: those of the open file.
err_t vfs_get_flags(struct process *process, int32_t fd, uint32_t *flags) must_check;
err_t vfs_set_flags(struct process *process, int32_t fd, uint32_t flags) must_check; // O_APPEND, O_NONBLOCK, O_NOATIME

err_t vfs_stat(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags,
	       struct tb_stat *stat) must_check;
err_t vfs_fstat(struct process *process, int32_t fd, struct tb_stat *stat) must_check;
err_t vfs_access(struct process *process, int32_t dirfd, const char *path, uint32_t access,
		 uint32_t at_flags) must_check;
err_t vfs_chmod(struct process *process, int32_t dirfd, const char *path, uint32_t mode, uint32_t at_flags) must_check;
err_t vfs_fchmod(struct process *process, int32_t fd, uint32_t mode) must_check;

// UINT32_MAX leaves the id as it is.
err_t vfs_chown(struct process *process, int32_t dirfd, const char *path, uint32_t uid, uint32_t gid,
		uint32_t at_flags) must_check;
err_t vfs_fchown(struct process *process, int32_t fd, uint32_t uid, uint32_t gid) must_check;

// times[0] of access, times[1] of change of contents; NULL: both now.
err_t vfs_utimens(struct process *process, int32_t dirfd, const char *path, const struct tb_time *times,
		  uint32_t at_flags) must_check;

err_t vfs_mkdir(struct process *process, int32_t dirfd, const char *path, uint32_t mode) must_check; // -EEXIST -EMLINK
err_t vfs_mknod(struct process *process, int32_t dirfd, const char *path, uint32_t mode, uint64_t rdev) must_check;
err_t vfs_symlink(struct process *process, const char *target, int32_t dirfd, const char *path) must_check;
err_t vfs_readlink(struct process *process, int32_t dirfd, const char *path, char *buffer, size_t size_bytes,
		   size_t *done_bytes) must_check; // -EINVAL: not a link; not terminated
err_t vfs_link(struct process *process, int32_t old_dirfd, const char *old_path, int32_t new_dirfd,
	       const char *new_path,
	       uint32_t at_flags) must_check; // -EXDEV -EPERM -EEXIST -EMLINK
err_t vfs_unlink(struct process *process, int32_t dirfd, const char *path,
		 uint32_t at_flags) must_check; // TB_AT_REMOVEDIR
err_t vfs_rename(struct process *process, int32_t old_dirfd, const char *old_path, int32_t new_dirfd,
		 const char *new_path,
		 uint32_t flags) must_check; // -EXDEV -ENOTEMPTY -EISDIR -EINVAL -EBUSY -EEXIST

err_t vfs_chdir(struct process *process, const char *path) must_check;
err_t vfs_fchdir(struct process *process, int32_t fd) must_check;
err_t vfs_chroot(struct process *process, const char *path) must_check;                                    // -EPERM
err_t vfs_getcwd(struct process *process, char *buffer, size_t size_bytes, size_t *done_bytes) must_check; // -ERANGE

// Extended attributes; at_flags: TB_AT_SYMLINK_NOFOLLOW. Errors of inode_ops, -ENODATA, -E2BIG, -ERANGE, -EPERM, -EOPNOTSUPP.
err_t vfs_getxattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   void *value, size_t *size_bytes) must_check;
err_t vfs_setxattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   const void *value, size_t size_bytes, uint32_t flags) must_check;
err_t vfs_listxattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, char *names,
		    size_t *size_bytes) must_check;
err_t vfs_removexattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags,
		      const char *name) must_check;

// Mounts (mount(2), umount(2)); uid 0 only. `problem`, when not NULL, receives a reason for people, static. Errors: -EPERM, -ENODEV (no such
// type), -EBUSY, -EINVAL, -EFAULT. With TB_MNT_DETACH a mount goes at once, with those on it, and is freed when nobody uses it any more.
err_t vfs_mount(struct process *process, const char *source, const char *path, const char *type, uint32_t flags,
		const char *options, const char **problem) must_check;
err_t vfs_umount(struct process *process, const char *path, uint32_t flags) must_check;

// unshare(2), of which flags knows TB_CLONE_NEWNS: the process gets a namespace of copies, which it then shares with nobody but the children
// made from it; its root and directory move over, its descriptors stay where they are. uid 0 only. May sleep. Errors: -EPERM, -EINVAL,
// -ENOMEM.
err_t vfs_unshare(struct process *process, uint32_t flags) must_check;
err_t vfs_statfs(struct process *process, int32_t dirfd, const char *path, struct tb_statfs *out) must_check;

// The mounts of the process's namespace in order of mounting: calls fn with type, source, flags and path for each; it may not
// call back into the filesystems. Errors: -ENOMEM.
err_t vfs_each_mount(struct process *process,
		     void (*fn)(const char *type, const char *source, uint32_t flags, const char *path, void *arg),
		     void *arg) must_check;

#endif
