// SPDX-License-Identifier: MIT
//
// Attributes: permissions, owners, times, extended attributes, nodes.
#include "fsconform.h"

#include "kern/string.h"

#define USER 1000u
#define OTHER 2000u

void fsc_permissions(struct fsc *fsc)
{
	struct tb_stat stat;
	int32_t fd;

	EXPECT(OK, chmod, ".", 0755);
	fsc_make(fsc, "mine", "x");
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0700);
	fsc_make(fsc, "d/in", "x");
	EXPECT(OK, mkdir, TB_AT_FDCWD, "w", 0777);
	EXPECT(OK, chmod, "w", 0777);
	EXPECT(OK, chmod, "mine", 0640);
	EXPECT(OK, user, USER, USER);
	EXPECT(-EACCES, open, TB_AT_FDCWD, "mine", TB_O_RDONLY, 0, &fd);
	EXPECT(-EACCES, open, TB_AT_FDCWD, "mine", TB_O_WRONLY, 0, &fd);
	EXPECT(-EACCES, open, TB_AT_FDCWD, "new", TB_O_WRONLY | TB_O_CREAT, 0644, &fd);
	EXPECT(-EACCES, mkdir, TB_AT_FDCWD, "e", 0755);
	EXPECT(-EACCES, unlink, TB_AT_FDCWD, "mine", 0);
	EXPECT(-EACCES, rename, "mine", "w/mine", 0);
	EXPECT(-EACCES, stat, TB_AT_FDCWD, "d/in", 0, &stat);
	EXPECT(-EACCES, stat, TB_AT_FDCWD, "d/no", 0, &stat);
	EXPECT(-EACCES, chdir, "d");
	EXPECT(OK, stat, TB_AT_FDCWD, "d", 0, &stat);
	EXPECT(-EPERM, chmod, "mine", 0777);
	EXPECT(-EACCES, truncate, "mine", 0);
	EXPECT(-EACCES, access, "mine", TB_R_OK);
	EXPECT(OK, access, "mine", TB_F_OK);
	EXPECT(-EEXIST, mkdir, TB_AT_FDCWD, "mine", 0755);
	fsc_make(fsc, "w/own", "y");
	EXPECT(OK, stat, TB_AT_FDCWD, "w/own", 0, &stat);
	EXPECT_EQ(stat.uid, USER);
	EXPECT_EQ(stat.gid, USER);
	EXPECT(OK, chmod, "w/own", 0400);
	EXPECT(-EACCES, open, TB_AT_FDCWD, "w/own", TB_O_WRONLY, 0, &fd);
	EXPECT(OK, open, TB_AT_FDCWD, "w/own", TB_O_RDONLY, 0, &fd);
	EXPECT(OK, close, fd);
	EXPECT(OK, chmod, "w/own", 0077); // the owner's bits alone count for the owner
	EXPECT(-EACCES, open, TB_AT_FDCWD, "w/own", TB_O_RDONLY, 0, &fd);
	EXPECT(OK, user, 0, 0);
	EXPECT(OK, access, "w/own", TB_R_OK | TB_W_OK);
	EXPECT(OK, chmod, "w/own", 0600);
	EXPECT(-EACCES, access, "w/own", TB_X_OK);
	EXPECT(OK, chmod, "w/own", 0610);
	EXPECT(OK, access, "w/own", TB_X_OK);
	EXPECT(OK, chown, "mine", 0, USER, 0);
	EXPECT(OK, user, USER, USER);
	EXPECT(OK, open, TB_AT_FDCWD, "mine", TB_O_RDONLY, 0, &fd); // by group
	EXPECT(OK, close, fd);
	EXPECT(OK, user, 0, 0);
	EXPECT(-EINVAL, access, "mine", 8);
}

void fsc_sticky(struct fsc *fsc)
{
	EXPECT(OK, chmod, ".", 0755);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "t", 01777);
	EXPECT(OK, chmod, "t", 01777);
	EXPECT(OK, user, USER, USER);
	fsc_make(fsc, "t/mine", "");
	EXPECT(OK, user, OTHER, OTHER);
	fsc_make(fsc, "t/theirs", "");
	EXPECT(-EPERM, unlink, TB_AT_FDCWD, "t/mine", 0);
	EXPECT(-EPERM, rename, "t/mine", "t/x", 0);
	EXPECT(-EPERM, rename, "t/theirs", "t/mine", 0);
	EXPECT(-EPERM, rename, "t/theirs", "t/mine", TB_RENAME_EXCHANGE);
	EXPECT(OK, rename, "t/theirs", "t/x", 0);
	EXPECT(OK, unlink, TB_AT_FDCWD, "t/x", 0);
	EXPECT(OK, user, 0, 0);
	EXPECT(OK, unlink, TB_AT_FDCWD, "t/mine", 0);
}

void fsc_set_ids(struct fsc *fsc)
{
	struct tb_stat stat;
	size_t done;
	int32_t fd;

	EXPECT(OK, chmod, ".", 0755);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "g", 0777);
	EXPECT(OK, chown, "g", 0, OTHER, 0);
	EXPECT(OK, chmod, "g", 02777);
	fsc_make(fsc, "g/f", "");
	EXPECT(OK, stat, TB_AT_FDCWD, "g/f", 0, &stat);
	EXPECT_EQ(stat.gid, OTHER);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "g/d", 0755);
	EXPECT_EQ(fsc_mode(fsc, "g/d"), TB_S_IFDIR | 02755);
	EXPECT(OK, user, USER, USER);
	fsc_make(fsc, "g/mine", "x");
	EXPECT(OK, chmod, "g/mine", 04755);
	EXPECT_EQ(fsc_mode(fsc, "g/mine"), TB_S_IFREG | 04755);
	EXPECT(OK, open, TB_AT_FDCWD, "g/mine", TB_O_WRONLY, 0, &fd);
	EXPECT(OK, write, fd, "y", 1, &done);
	EXPECT(OK, close, fd);
	EXPECT_EQ(fsc_mode(fsc, "g/mine"), TB_S_IFREG | 0755);
	EXPECT(OK, chmod, "g/mine", 04755);
	EXPECT(OK, truncate, "g/mine", 1);
	EXPECT_EQ(fsc_mode(fsc, "g/mine"), TB_S_IFREG | 0755);
	EXPECT(OK, chmod, "g/mine", 04755);
	EXPECT(OK, open, TB_AT_FDCWD, "g/mine", TB_O_WRONLY | TB_O_TRUNC, 0, &fd);
	EXPECT(OK, close, fd);
	EXPECT_EQ(fsc_mode(fsc, "g/mine"), TB_S_IFREG | 0755);
	EXPECT(OK, chmod, "g/mine", 02755); // not a member of its group: the bit does not stay
	EXPECT_EQ(fsc_mode(fsc, "g/mine"), TB_S_IFREG | 0755);
	EXPECT(OK, user, 0, 0);
	EXPECT(OK, chmod, "g/mine", 06755);
	EXPECT(OK, chown, "g/mine", OTHER, OTHER, 0);
	EXPECT_EQ(fsc_mode(fsc, "g/mine"), TB_S_IFREG | 0755);
	EXPECT(OK, chown, "g/mine", USER, OTHER, 0);
	EXPECT(OK, chmod, "g/mine", 02705); // the group may not run it
	EXPECT(OK, chown, "g/mine", USER, OTHER, 0);
	EXPECT_EQ(fsc_mode(fsc, "g/mine"), TB_S_IFREG | 02705);
	EXPECT(OK, user, USER, USER);
	EXPECT(OK, chown, "g/mine", USER, USER, 0); // from a group that is not his
	EXPECT_EQ(fsc_mode(fsc, "g/mine"), TB_S_IFREG | 0705);
	EXPECT(OK, chmod, "g/mine", 02705);
	EXPECT(OK, chown, "g/mine", USER, USER, 0); // from his own
	EXPECT_EQ(fsc_mode(fsc, "g/mine"), TB_S_IFREG | 02705);
	EXPECT(OK, user, 0, 0);
}

void fsc_umask(struct fsc *fsc)
{
	int32_t fd;

	CALL(umask, 027);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_WRONLY | TB_O_CREAT, 0666, &fd);
	EXPECT(OK, close, fd);
	EXPECT_EQ(fsc_mode(fsc, "f"), TB_S_IFREG | 0640);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0777);
	EXPECT_EQ(fsc_mode(fsc, "d"), TB_S_IFDIR | 0750);
	EXPECT(OK, symlink, "x", "l");
	EXPECT_EQ(fsc_mode(fsc, "l"), TB_S_IFLNK | 0777);
	CALL(umask, 0);
	EXPECT(OK, mknod, "n", TB_S_IFREG | 0666, 0);
	EXPECT_EQ(fsc_mode(fsc, "n"), TB_S_IFREG | 0666);
	CALL(umask, 022);
}

void fsc_chown(struct fsc *fsc)
{
	struct tb_stat stat;

	EXPECT(OK, chmod, ".", 0755);
	fsc_make(fsc, "f", "");
	EXPECT(OK, symlink, "f", "l");
	EXPECT(OK, chown, "f", USER, UINT32_MAX, 0);
	EXPECT(OK, stat, TB_AT_FDCWD, "f", 0, &stat);
	EXPECT_EQ(stat.uid, USER);
	EXPECT_EQ(stat.gid, 0);
	EXPECT(OK, chown, "l", OTHER, OTHER, TB_AT_SYMLINK_NOFOLLOW);
	EXPECT(OK, stat, TB_AT_FDCWD, "l", TB_AT_SYMLINK_NOFOLLOW, &stat);
	EXPECT_EQ(stat.uid, OTHER);
	EXPECT(OK, stat, TB_AT_FDCWD, "l", 0, &stat);
	EXPECT_EQ(stat.uid, USER);
	EXPECT(OK, user, USER, USER);
	EXPECT(-EPERM, chown, "f", OTHER, UINT32_MAX, 0);
	EXPECT(-EPERM, chown, "f", UINT32_MAX, OTHER, 0);
	EXPECT(OK, chown, "f", USER, USER, 0); // to a group of his own
	EXPECT(OK, chown, "f", UINT32_MAX, UINT32_MAX, 0);
	EXPECT(OK, user, OTHER, OTHER);
	EXPECT(-EPERM, chown, "f", UINT32_MAX, OTHER, 0);
	EXPECT(OK, user, 0, 0);
}

static bool later(const struct tb_time *a, const struct tb_time *b)
{
	return a->seconds > b->seconds || (a->seconds == b->seconds && a->nanoseconds >= b->nanoseconds);
}

void fsc_times(struct fsc *fsc)
{
	struct tb_time set[2] = {{.seconds = 1000000000, .nanoseconds = 123456789}, {.seconds = -5, .nanoseconds = 7}};
	struct tb_time omit[2] = {{.nanoseconds = TB_UTIME_OMIT}, {.nanoseconds = TB_UTIME_OMIT}};
	struct tb_time bad[2] = {{.nanoseconds = 1000000000}, {.nanoseconds = 0}};
	struct tb_stat stat, next;
	size_t done;
	int32_t fd;

	EXPECT(OK, chmod, ".", 0755);
	fsc_make(fsc, "f", "x");
	EXPECT(OK, utimens, "f", set, 0);
	EXPECT(OK, stat, TB_AT_FDCWD, "f", 0, &stat);
	EXPECT_EQ(stat.atime.seconds, 1000000000);
	EXPECT_EQ(stat.atime.nanoseconds, 123456789);
	EXPECT_EQ(stat.mtime.seconds, -5);
	EXPECT_EQ(stat.mtime.nanoseconds, 7);
	EXPECT(OK, utimens, "f", omit, 0);
	EXPECT(OK, stat, TB_AT_FDCWD, "f", 0, &next);
	EXPECT_EQ(next.mtime.seconds, -5);
	EXPECT(-EINVAL, utimens, "f", bad, 0);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_WRONLY, 0, &fd);
	EXPECT(OK, write, fd, "y", 1, &done);
	EXPECT(OK, close, fd);
	EXPECT(OK, stat, TB_AT_FDCWD, "f", 0, &next);
	EXPECT_EQ(next.mtime.seconds > 1000000000, true);
	EXPECT_EQ(next.atime.seconds, 1000000000);
	EXPECT_EQ(later(&next.ctime, &stat.ctime), true);
	EXPECT(OK, chmod, "f", 0666);
	EXPECT(OK, stat, TB_AT_FDCWD, "f", 0, &stat);
	EXPECT_EQ(later(&stat.ctime, &next.ctime), true);
	EXPECT_EQ(stat.mtime.seconds, next.mtime.seconds);
	EXPECT(OK, user, USER, USER);
	EXPECT(OK, utimens, "f", NULL, 0); // who may write may touch
	EXPECT(-EPERM, utimens, "f", set, 0);
	EXPECT(OK, user, 0, 0);
	EXPECT(OK, utimens, ".", set, 0);
	fsc_make(fsc, "g", "");
	EXPECT(OK, stat, TB_AT_FDCWD, ".", 0, &stat);
	EXPECT_EQ(stat.mtime.seconds > 1000000000, true);
	EXPECT(OK, symlink, "f", "l");
	EXPECT(OK, utimens, "l", set, TB_AT_SYMLINK_NOFOLLOW);
	EXPECT(OK, stat, TB_AT_FDCWD, "l", TB_AT_SYMLINK_NOFOLLOW, &stat);
	EXPECT_EQ(stat.mtime.seconds, -5);
	EXPECT(-ENOENT, utimens, "no", set, 0);
}

void fsc_xattrs(struct fsc *fsc)
{
	char value[16];
	char names[64];
	size_t size = sizeof value;

	fsc_make(fsc, "f", "");
	EXPECT(-ENODATA, getxattr, "f", "trusted.a", value, &size);
	EXPECT(OK, setxattr, "f", "trusted.a", "one", 3, 0);
	EXPECT(-EEXIST, setxattr, "f", "trusted.a", "two", 3, TB_XATTR_CREATE);
	EXPECT(-ENODATA, setxattr, "f", "trusted.b", "two", 3, TB_XATTR_REPLACE);
	EXPECT(OK, setxattr, "f", "trusted.b", "", 0, TB_XATTR_CREATE);
	EXPECT(OK, setxattr, "f", "trusted.a", "three", 5, TB_XATTR_REPLACE);
	size = sizeof value;
	EXPECT(OK, getxattr, "f", "trusted.a", value, &size);
	EXPECT_EQ(size, 5);
	EXPECT_EQ(memcmp(value, "three", 5), 0);
	size = 0;
	EXPECT(OK, getxattr, "f", "trusted.a", NULL, &size);
	EXPECT_EQ(size, 5);
	size = 2;
	EXPECT(-ERANGE, getxattr, "f", "trusted.a", value, &size);
	size = sizeof names;
	EXPECT(OK, listxattr, "f", names, &size);
	EXPECT_EQ(size, 20);
	size = 3;
	EXPECT(-ERANGE, listxattr, "f", names, &size);
	EXPECT(OK, removexattr, "f", "trusted.a");
	EXPECT(-ENODATA, removexattr, "f", "trusted.a");
	EXPECT(-EOPNOTSUPP, setxattr, "f", "nonsense", "x", 1, 0);
	EXPECT(-EINVAL, setxattr, "f", "trusted.a", "x", 1, 8);
	EXPECT(-ENOENT, setxattr, "no", "trusted.a", "x", 1, 0);
	size = sizeof value;
	EXPECT(-ENOENT, getxattr, "no", "trusted.a", value, &size);
}

void fsc_nodes(struct fsc *fsc)
{
	struct tb_stat stat;

	EXPECT(OK, chmod, ".", 0755);
	EXPECT(OK, mknod, "c", TB_S_IFCHR | 0600, 0x0105);
	EXPECT(OK, stat, TB_AT_FDCWD, "c", 0, &stat);
	EXPECT_EQ(stat.mode, TB_S_IFCHR | 0600);
	EXPECT_EQ(stat.rdev, 0x0105);
	EXPECT(OK, mknod, "b", TB_S_IFBLK | 0600, 0x0802);
	EXPECT(OK, mknod, "p", TB_S_IFIFO | 0644, 0);
	EXPECT_EQ(fsc_mode(fsc, "p"), TB_S_IFIFO | 0644);
	EXPECT(OK, mknod, "s", TB_S_IFSOCK | 0644, 0);
	EXPECT(OK, mknod, "f", 0644, 0);
	EXPECT_EQ(fsc_mode(fsc, "f"), TB_S_IFREG | 0644);
	EXPECT(-EEXIST, mknod, "f", TB_S_IFREG | 0644, 0);
	EXPECT(-EPERM, mknod, "d", TB_S_IFDIR | 0755, 0);
	EXPECT(-EINVAL, mknod, "l", TB_S_IFLNK | 0777, 0);
	EXPECT(OK, chmod, ".", 0777);
	EXPECT(OK, user, USER, USER);
	EXPECT(-EPERM, mknod, "c2", TB_S_IFCHR | 0600, 0x0105);
	EXPECT(OK, mknod, "p2", TB_S_IFIFO | 0600, 0);
	EXPECT(OK, user, 0, 0);
	EXPECT(OK, unlink, TB_AT_FDCWD, "c", 0);
}
