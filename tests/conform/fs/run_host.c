// SPDX-License-Identifier: MIT
//
// The filesystem bodies over the host's system calls: the referee. Takes the directories to run in (one on each filesystem); TAP. Needs uid 0,
// because the bodies change users. Each body runs in a process of its own.
#include "host_report.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

// The kernel's names of error numbers are the host's here: the C library's header must not be seen, so its variable is asked for by
// the function behind it.
extern int *__errno_location(void);

static err_t result(long value)
{
	return value < 0 ? -*__errno_location() : 0;
}

static err_t counted(long value, size_t *done)
{
	if (value >= 0)
		*done = (size_t)value;
	return result(value);
}

static err_t h_open(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode, int32_t *fd)
{
	(void)fsc;
	int made = openat(dirfd, path, (int)flags, mode);
	if (made >= 0)
		*fd = made;
	return result(made);
}

static err_t h_close(struct fsc *fsc, int32_t fd)
{
	(void)fsc;
	return result(close(fd));
}

static err_t h_read(struct fsc *fsc, int32_t fd, void *buffer, size_t size, size_t *done)
{
	(void)fsc;
	return counted(read(fd, buffer, size), done);
}

static err_t h_write(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, size_t *done)
{
	(void)fsc;
	return counted(write(fd, buffer, size), done);
}

static err_t h_pread(struct fsc *fsc, int32_t fd, void *buffer, size_t size, uint64_t offset, size_t *done)
{
	(void)fsc;
	return counted(pread(fd, buffer, size, (off_t)offset), done);
}

static err_t h_pwrite(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, uint64_t offset, size_t *done)
{
	(void)fsc;
	return counted(pwrite(fd, buffer, size, (off_t)offset), done);
}

static err_t h_seek(struct fsc *fsc, int32_t fd, int64_t offset, uint32_t whence, uint64_t *position)
{
	(void)fsc;
	off_t at = lseek(fd, offset, (int)whence);
	if (at >= 0)
		*position = (uint64_t)at;
	return result(at);
}

static err_t h_truncate(struct fsc *fsc, const char *path, int64_t size)
{
	(void)fsc;
	return result(truncate(path, size));
}

static err_t h_ftruncate(struct fsc *fsc, int32_t fd, int64_t size)
{
	(void)fsc;
	return result(ftruncate(fd, size));
}

static err_t h_fallocate(struct fsc *fsc, int32_t fd, uint32_t mode, int64_t offset, int64_t size)
{
	(void)fsc;
	return result(fallocate(fd, (int)mode, offset, size));
}

static err_t h_copy_range(struct fsc *fsc, int32_t from, uint64_t *from_offset, int32_t to, uint64_t *to_offset,
			  size_t size, uint32_t flags, size_t *done)
{
	ssize_t moved = copy_file_range(from, (off64_t *)from_offset, to, (off64_t *)to_offset, size, flags);

	(void)fsc;
	*done = moved < 0 ? 0 : (size_t)moved;
	return result(moved < 0 ? -1 : 0);
}

static err_t h_fsync(struct fsc *fsc, int32_t fd)
{
	(void)fsc;
	return result(fsync(fd));
}

static err_t h_flock(struct fsc *fsc, int32_t fd, uint32_t operation)
{
	(void)fsc;
	return result(flock(fd, (int)operation));
}

static err_t h_handle(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags, struct fsc_handle *handle)
{
	struct file_handle *native = (struct file_handle *)(void *)handle->bytes;
	int mount;

	(void)fsc;
	memset(handle, 0, sizeof *handle);
	native->handle_bytes = MAX_HANDLE_SZ;
	return result(name_to_handle_at(dirfd, path, native, &mount, (int)at_flags));
}

static err_t h_open_handle(struct fsc *fsc, const struct fsc_handle *handle, uint32_t flags, int32_t *fd)
{
	struct fsc_handle copy = *handle;

	(void)fsc;
	int made = open_by_handle_at(AT_FDCWD, (struct file_handle *)(void *)copy.bytes, (int)flags);
	if (made >= 0)
		*fd = made;
	return result(made);
}

static err_t lock_call(int fd, uint32_t command, struct tb_lock *lock)
{
	struct flock native = {.l_type = lock->type,
			       .l_whence = lock->whence,
			       .l_start = lock->start,
			       .l_len = lock->size_bytes,
			       .l_pid = lock->pid};
	err_t err = result(fcntl(fd, (int)command, &native));
	lock->type = native.l_type;
	lock->whence = native.l_whence;
	lock->start = native.l_start;
	lock->size_bytes = native.l_len;
	lock->pid = native.l_pid;
	return err;
}

static err_t h_lock(struct fsc *fsc, int32_t fd, uint32_t command, struct tb_lock *lock)
{
	(void)fsc;
	return lock_call(fd, command, lock);
}

// The other process answers requests over a pair of sockets until its end is closed.
struct other_request {
	uint32_t command;
	err_t err;
	struct tb_lock lock;
	char path[64];
};

static pid_t other_pid;
static int other_socket = -1;

_Noreturn static void other_main(int socket)
{
	struct other_request request;
	int fd = -1;

	while (read(socket, &request, sizeof request) == sizeof request) {
		if (fd < 0)
			fd = open(request.path, O_RDWR);
		request.err = lock_call(fd, request.command, &request.lock);
		if (write(socket, &request, sizeof request) != sizeof request)
			break;
	}
	_exit(0);
}

static err_t h_other_lock(struct fsc *fsc, const char *path, uint32_t command, struct tb_lock *lock)
{
	struct other_request request = {.command = command, .lock = *lock};
	int pair[2];

	(void)fsc;
	if (other_socket < 0) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 || (other_pid = fork()) < 0)
			return -EIO;
		if (other_pid == 0) {
			dup2(pair[1], 3);
			closefrom(4); // open files that both have would stay open
			other_main(3);
		}
		close(pair[1]);
		other_socket = pair[0];
	}
	snprintf(request.path, sizeof request.path, "%s", path);
	if (write(other_socket, &request, sizeof request) != sizeof request ||
	    read(other_socket, &request, sizeof request) != sizeof request)
		return -EIO;
	*lock = request.lock;
	return request.err;
}

static err_t h_other_end(struct fsc *fsc)
{
	(void)fsc;
	if (other_socket < 0)
		return 0;
	close(other_socket);
	other_socket = -1;
	return waitpid(other_pid, NULL, 0) == other_pid ? 0 : -EIO;
}

// getdents64(2) with room for few entries; what does not fit the caller's array is read again from its place.
static err_t h_readdir(struct fsc *fsc, int32_t fd, struct tb_dirent *entries, uint32_t capacity, uint32_t *count)
{
	struct dirent64 *entry;
	char buffer[1024];
	(void)fsc;

	*count = 0;
	long size = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
	if (size < 0)
		return result(size);
	for (long at = 0; at < size && *count < capacity; at += entry->d_reclen) {
		entry = (struct dirent64 *)(void *)(buffer + at);
		struct tb_dirent *out = &entries[(*count)++];
		*out = (struct tb_dirent){.ino = entry->d_ino, .cookie = (uint64_t)entry->d_off};
		out->type = DTTOIF(entry->d_type);
		out->name_size_bytes = (uint32_t)strlen(entry->d_name);
		memcpy(out->name, entry->d_name, out->name_size_bytes + 1);
	}
	if (*count > 0 && lseek(fd, (off_t)entries[*count - 1].cookie, SEEK_SET) < 0)
		return result(-1);
	return 0;
}

static struct tb_time time_of(const struct statx_timestamp *from)
{
	return (struct tb_time){.seconds = from->tv_sec, .nanoseconds = from->tv_nsec};
}

static err_t h_stat(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags, struct tb_stat *stat)
{
	struct statx x;
	(void)fsc;

	err_t err = result(statx(dirfd, path, (int)at_flags, STATX_ALL, &x));
	if (err != 0)
		return err;
	*stat = (struct tb_stat){.ino = x.stx_ino,
				 .size_bytes = x.stx_size,
				 .blocks = x.stx_blocks,
				 .rdev = (uint64_t)x.stx_rdev_major << 8 | x.stx_rdev_minor,
				 .mode = x.stx_mode,
				 .nlink = x.stx_nlink,
				 .uid = x.stx_uid,
				 .gid = x.stx_gid,
				 .atime = time_of(&x.stx_atime),
				 .mtime = time_of(&x.stx_mtime),
				 .ctime = time_of(&x.stx_ctime)};
	return 0;
}

static err_t h_fstat(struct fsc *fsc, int32_t fd, struct tb_stat *stat)
{
	return h_stat(fsc, fd, "", AT_EMPTY_PATH, stat);
}

static err_t h_access(struct fsc *fsc, const char *path, uint32_t access)
{
	(void)fsc;
	return result(syscall(SYS_faccessat2, AT_FDCWD, path, access, AT_EACCESS));
}

static err_t h_chmod(struct fsc *fsc, const char *path, uint32_t mode)
{
	(void)fsc;
	return result(chmod(path, mode));
}

static err_t h_chown(struct fsc *fsc, const char *path, uint32_t uid, uint32_t gid, uint32_t at_flags)
{
	(void)fsc;
	return result(fchownat(AT_FDCWD, path, uid, gid, (int)at_flags));
}

static err_t h_utimens(struct fsc *fsc, const char *path, const struct tb_time *times, uint32_t at_flags)
{
	struct timespec host[2];
	(void)fsc;

	for (uint32_t i = 0; times != NULL && i < 2; i++)
		host[i] = (struct timespec){.tv_sec = times[i].seconds, .tv_nsec = times[i].nanoseconds};
	return result(utimensat(AT_FDCWD, path, times != NULL ? host : NULL, (int)at_flags));
}

static err_t h_mkdir(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t mode)
{
	(void)fsc;
	return result(mkdirat(dirfd, path, mode));
}

static err_t h_mknod(struct fsc *fsc, const char *path, uint32_t mode, uint64_t rdev)
{
	(void)fsc;
	return result(mknod(path, mode, (dev_t)rdev));
}

static err_t h_symlink(struct fsc *fsc, const char *target, const char *path)
{
	(void)fsc;
	return result(symlink(target, path));
}

static err_t h_readlink(struct fsc *fsc, const char *path, char *buffer, size_t size, size_t *done)
{
	(void)fsc;
	return counted(syscall(SYS_readlinkat, AT_FDCWD, path, buffer, size), done);
}

static err_t h_link(struct fsc *fsc, int32_t old_dirfd, const char *old_path, const char *new_path, uint32_t at_flags)
{
	(void)fsc;
	return result(linkat(old_dirfd, old_path, AT_FDCWD, new_path, (int)at_flags));
}

static err_t h_unlink(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags)
{
	(void)fsc;
	return result(unlinkat(dirfd, path, (int)at_flags));
}

static err_t h_rename(struct fsc *fsc, const char *old_path, const char *new_path, uint32_t flags)
{
	(void)fsc;
	return result(syscall(SYS_renameat2, AT_FDCWD, old_path, AT_FDCWD, new_path, flags));
}

static err_t h_chdir(struct fsc *fsc, const char *path)
{
	(void)fsc;
	return result(chdir(path));
}

static err_t h_getxattr(struct fsc *fsc, const char *path, const char *name, void *value, size_t *size)
{
	(void)fsc;
	return counted(getxattr(path, name, value, *size), size);
}

static err_t h_setxattr(struct fsc *fsc, const char *path, const char *name, const void *value, size_t size,
			uint32_t flags)
{
	(void)fsc;
	return result(setxattr(path, name, value, size, (int)flags));
}

static err_t h_listxattr(struct fsc *fsc, const char *path, char *names, size_t *size)
{
	(void)fsc;
	return counted(listxattr(path, names, *size), size);
}

static err_t h_removexattr(struct fsc *fsc, const char *path, const char *name)
{
	(void)fsc;
	return result(removexattr(path, name));
}

// The effective ids; going back needs the first one to be root again.
static err_t h_user(struct fsc *fsc, uint32_t uid, uint32_t gid)
{
	(void)fsc;
	if (seteuid(0) != 0 || setegid(gid) != 0)
		return result(-1);
	return result(seteuid(uid));
}

static void h_umask(struct fsc *fsc, uint32_t mask)
{
	(void)fsc;
	umask(mask);
}

#define h_check fsc_report_check
static const struct fsc_calls host_calls = FSC_CALLS(h);

// In a child, so that users, masks and descriptors of a body stay its own; true: all its checks held.
static bool body_run(const char *dir, const char *name, void (*run)(struct fsc *fsc))
{
	char work[4096];
	int status = 1;

	snprintf(work, sizeof work, "%s/tbos-conform-XXXXXX", dir);
	if (mkdtemp(work) == NULL || chmod(work, 0755) != 0) {
		printf("# %s: %m\n", work);
		return false;
	}
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct fsc_report state = {0};
		struct fsc fsc = {.calls = &host_calls, .state = &state};
		umask(022);
		if (setgroups(0, NULL) != 0 || chdir(work) != 0)
			_exit(2);
		run(&fsc);
		printf("# %s: %u checks\n", name, state.checks);
		fflush(stdout);
		_exit(state.failures != 0);
	}
	if (child > 0)
		waitpid(child, &status, 0);
	char remove[4200];
	snprintf(remove, sizeof remove, "rm -rf '%s'", work);
	bool removed = system(remove) == 0;
	return status == 0 && removed;
}

static const char *type_of(const char *dir)
{
	struct statfs fs;
	if (statfs(dir, &fs) != 0)
		return NULL;
	return fs.f_type == 0x01021994 ? "tmpfs" : fs.f_type == 0xef53 ? "ext4" : "other";
}

int main(int argc, char **argv)
{
	unsigned point = 0;
	bool good = true;

	if (geteuid() != 0) {
		printf("1..0 # skip the bodies change users, which only root may\n");
		return 0;
	}
	for (int i = 1; i < argc; i++) {
		const char *type = type_of(argv[i]);
		if (type == NULL || strcmp(type, "other") == 0) {
			printf("ok %u - %s # skip no referee: neither tmpfs nor ext4\n", ++point, argv[i]);
			continue;
		}
		for (size_t at = 0; at < FSC_BODY_COUNT; at++) {
			bool ok = body_run(argv[i], fsc_bodies[at].name, fsc_bodies[at].run);
			printf("%sok %u - host %s %s\n", ok ? "" : "not ", ++point, type, fsc_bodies[at].name);
			good = good && ok;
		}
	}
	printf("1..%u\n", point);
	return good ? 0 : 1;
}
