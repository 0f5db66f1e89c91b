// SPDX-License-Identifier: MIT
//
// One body of POSIX filesystem tests over a table of calls: the kernel's VFS fills it in one way (run_kernel.c), the host's system
// calls another (run_host.c), so that ext4 and tmpfs of the host referee what is expected of ours. Every body begins in an
// empty directory of its own, as uid 0. Calls return 0 or a negative error number.
#ifndef FSCONFORM_H
#define FSCONFORM_H

#include "kern/err.h"
#include "tbos/file_types.h"

struct fsc;

// A file's handle, as the side makes it; the bytes behind are 0.
struct fsc_handle {
	uint8_t bytes[160];
};

struct fsc_calls {
	err_t (*open)(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode, int32_t *fd);
	err_t (*close)(struct fsc *fsc, int32_t fd);
	err_t (*read)(struct fsc *fsc, int32_t fd, void *buffer, size_t size, size_t *done);
	err_t (*write)(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, size_t *done);
	err_t (*pread)(struct fsc *fsc, int32_t fd, void *buffer, size_t size, uint64_t offset, size_t *done);
	err_t (*pwrite)(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, uint64_t offset, size_t *done);
	err_t (*seek)(struct fsc *fsc, int32_t fd, int64_t offset, uint32_t whence, uint64_t *position);
	err_t (*truncate)(struct fsc *fsc, const char *path, int64_t size);
	err_t (*ftruncate)(struct fsc *fsc, int32_t fd, int64_t size);
	err_t (*fallocate)(struct fsc *fsc, int32_t fd, uint32_t mode, int64_t offset, int64_t size);
	err_t (*copy_range)(struct fsc *fsc, int32_t from, uint64_t *from_offset, int32_t to, uint64_t *to_offset,
			    size_t size, uint32_t flags, size_t *done);
	err_t (*fsync)(struct fsc *fsc, int32_t fd);
	err_t (*flock)(struct fsc *fsc, int32_t fd, uint32_t operation);
	err_t (*lock)(struct fsc *fsc, int32_t fd, uint32_t command, struct tb_lock *lock);
	// By another process, which opens the file to read and write, and keeps it so until other_end() ends it.
	err_t (*other_lock)(struct fsc *fsc, const char *path, uint32_t command, struct tb_lock *lock);
	err_t (*other_end)(struct fsc *fsc);
	err_t (*handle)(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags, struct fsc_handle *handle);
	err_t (*open_handle)(struct fsc *fsc, const struct fsc_handle *handle, uint32_t flags, int32_t *fd);
	err_t (*readdir)(struct fsc *fsc, int32_t fd, struct tb_dirent *entries, uint32_t capacity, uint32_t *count);
	err_t (*stat)(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags, struct tb_stat *stat);
	err_t (*fstat)(struct fsc *fsc, int32_t fd, struct tb_stat *stat);
	err_t (*access)(struct fsc *fsc, const char *path, uint32_t access);
	err_t (*chmod)(struct fsc *fsc, const char *path, uint32_t mode);
	err_t (*chown)(struct fsc *fsc, const char *path, uint32_t uid, uint32_t gid, uint32_t at_flags);
	err_t (*utimens)(struct fsc *fsc, const char *path, const struct tb_time *times, uint32_t at_flags);
	err_t (*mkdir)(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t mode);
	err_t (*mknod)(struct fsc *fsc, const char *path, uint32_t mode, uint64_t rdev);
	err_t (*symlink)(struct fsc *fsc, const char *target, const char *path);
	err_t (*readlink)(struct fsc *fsc, const char *path, char *buffer, size_t size, size_t *done);
	err_t (*link)(struct fsc *fsc, int32_t old_dirfd, const char *old_path, const char *new_path,
		      uint32_t at_flags);
	err_t (*unlink)(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags);
	err_t (*rename)(struct fsc *fsc, const char *old_path, const char *new_path, uint32_t flags);
	err_t (*chdir)(struct fsc *fsc, const char *path);
	err_t (*getxattr)(struct fsc *fsc, const char *path, const char *name, void *value, size_t *size);
	err_t (*setxattr)(struct fsc *fsc, const char *path, const char *name, const void *value, size_t size,
			  uint32_t flags);
	err_t (*listxattr)(struct fsc *fsc, const char *path, char *names, size_t *size);
	err_t (*removexattr)(struct fsc *fsc, const char *path, const char *name);
	err_t (*user)(struct fsc *fsc, uint32_t uid, uint32_t gid); // from here on; 0, 0 goes back
	void (*umask)(struct fsc *fsc, uint32_t mask);
	void (*check)(struct fsc *fsc, bool ok, int64_t got, int64_t wanted, const char *what, const char *file,
		      int line);
};

// A table of functions p_open, p_close and so on.
#define FSC_CALLS(p)                                                                                                   \
	{                                                                                                              \
		.open = p##_open, .close = p##_close, .read = p##_read, .write = p##_write, .pread = p##_pread,        \
		.pwrite = p##_pwrite, .seek = p##_seek, .truncate = p##_truncate, .ftruncate = p##_ftruncate,          \
		.fallocate = p##_fallocate, .copy_range = p##_copy_range, .fsync = p##_fsync, .flock = p##_flock,      \
		.lock = p##_lock, .other_lock = p##_other_lock, .other_end = p##_other_end, .readdir = p##_readdir,    \
		.stat = p##_stat, .fstat = p##_fstat, .access = p##_access, .chmod = p##_chmod, .chown = p##_chown,    \
		.utimens = p##_utimens, .mkdir = p##_mkdir, .mknod = p##_mknod, .symlink = p##_symlink,                \
		.readlink = p##_readlink, .link = p##_link, .unlink = p##_unlink, .rename = p##_rename,                \
		.chdir = p##_chdir, .getxattr = p##_getxattr, .setxattr = p##_setxattr, .listxattr = p##_listxattr,    \
		.removexattr = p##_removexattr, .user = p##_user, .umask = p##_umask, .check = p##_check,              \
		.handle = p##_handle, .open_handle = p##_open_handle,                                                  \
	}

struct fsc {
	const struct fsc_calls *calls;
	void *state;
};

// A call by name, and what is expected of it.
#define CALL(name, ...) (fsc->calls->name(fsc, ##__VA_ARGS__))
#define EXPECT_EQ(got, wanted)                                                                                         \
	do {                                                                                                           \
		int64_t expect_got_ = (int64_t)(got);                                                                  \
		int64_t expect_wanted_ = (int64_t)(wanted);                                                            \
		fsc->calls->check(fsc, expect_got_ == expect_wanted_, expect_got_, expect_wanted_,                     \
				  #got " == " #wanted, __FILE__, __LINE__);                                            \
	} while (0)
#define EXPECT(wanted, name, ...) EXPECT_EQ(CALL(name, ##__VA_ARGS__), (wanted))
#define OK 0

// The bodies, one function each, in the order of the files. The last three are about holes and handles, which not every filesystem has.
#define FSC_BODIES(X)                                                                                                  \
	FSC_CACHED_BODIES(X)                                                                                           \
	X(sparse)                                                                                                      \
	X(fallocate)                                                                                                   \
	X(handles)
#define FSC_CACHED_BODIES(X)                                                                                           \
	X(open_flags)                                                                                                  \
	X(open_errors)                                                                                                 \
	X(read_write)                                                                                                  \
	X(copy_range)                                                                                                  \
	X(truncate)                                                                                                    \
	X(unlinked)                                                                                                    \
	X(tmpfile)                                                                                                     \
	X(mkdir)                                                                                                       \
	X(names)                                                                                                       \
	X(dots)                                                                                                        \
	X(symlinks)                                                                                                    \
	X(hard_links)                                                                                                  \
	X(unlink)                                                                                                      \
	X(rename_files)                                                                                                \
	X(rename_dirs)                                                                                                 \
	X(rename_flags)                                                                                                \
	X(readdir)                                                                                                     \
	X(readdir_changes)                                                                                             \
	X(permissions)                                                                                                 \
	X(sticky)                                                                                                      \
	X(set_ids)                                                                                                     \
	X(umask)                                                                                                       \
	X(chown)                                                                                                       \
	X(times)                                                                                                       \
	X(xattrs)                                                                                                      \
	X(nodes)                                                                                                       \
	X(dirfd)                                                                                                       \
	X(flock)                                                                                                       \
	X(record_ranges)                                                                                               \
	X(record_locks)                                                                                                \
	X(open_file_locks)

#define X(name) void fsc_##name(struct fsc *fsc);
FSC_BODIES(X)
#undef X

// Helpers. make: a file with that content; size_of: -1 where there is none.
void fsc_make(struct fsc *fsc, const char *path, const char *content);
int64_t fsc_size(struct fsc *fsc, const char *path);
uint32_t fsc_mode(struct fsc *fsc, const char *path);
uint32_t fsc_links(struct fsc *fsc, const char *path);

#endif
