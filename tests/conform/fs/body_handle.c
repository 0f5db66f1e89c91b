// SPDX-License-Identifier: MIT
//
// Files by handle: through renames, as directories, as what a descriptor is; gone ones.
#include "fsconform.h"

#include "kern/string.h"

#define AT TB_AT_FDCWD

static void content_is(struct fsc *fsc, int32_t fd, const char *wanted)
{
	char bytes[64];
	size_t done = 0;

	EXPECT(OK, pread, fd, bytes, sizeof bytes, 0, &done);
	EXPECT_EQ(done, strlen(wanted));
	EXPECT_EQ(memcmp(bytes, wanted, done), 0);
}

static void files(struct fsc *fsc)
{
	struct fsc_handle file, again, other;
	struct tb_stat before, after;
	int32_t fd;

	fsc_make(fsc, "f", "of f");
	fsc_make(fsc, "g", "of g");
	EXPECT(OK, handle, AT, "f", 0, &file);
	EXPECT(OK, handle, AT, "f", 0, &again);
	EXPECT(OK, handle, AT, "g", 0, &other);
	EXPECT_EQ(memcmp(&file, &again, sizeof file), 0);
	EXPECT_EQ(memcmp(&file, &other, sizeof file) != 0, true);
	EXPECT(OK, stat, AT, "f", 0, &before);
	EXPECT(OK, rename, "f", "h", 0);
	fsc_make(fsc, "f", "another");
	EXPECT(OK, open_handle, &file, TB_O_RDWR, &fd);
	content_is(fsc, fd, "of f");
	EXPECT(OK, fstat, fd, &after);
	EXPECT_EQ(after.ino, before.ino);
	EXPECT(OK, handle, fd, "", TB_AT_EMPTY_PATH, &again);
	EXPECT_EQ(memcmp(&file, &again, sizeof file), 0);
	EXPECT(OK, close, fd);
	EXPECT(OK, open_handle, &file, TB_O_WRONLY | TB_O_TRUNC, &fd);
	EXPECT(OK, close, fd);
	EXPECT_EQ(fsc_size(fsc, "h"), 0);
	EXPECT(-ENOTDIR, open_handle, &file, TB_O_RDONLY | TB_O_DIRECTORY, &fd);
	EXPECT(OK, open_handle, &file, TB_O_PATH, &fd);
	char byte;
	size_t done;
	EXPECT(-EBADF, read, fd, &byte, 1, &done);
	EXPECT(OK, fstat, fd, &after);
	EXPECT(OK, close, fd);
	EXPECT(OK, unlink, AT, "h", 0);
	EXPECT(-ESTALE, open_handle, &file, TB_O_RDONLY, &fd);
	EXPECT(-ENOENT, handle, AT, "h", 0, &again);
	EXPECT(-EINVAL, handle, AT, "g", TB_AT_SYMLINK_NOFOLLOW, &again);
	EXPECT(OK, user, 1000, 1000);
	EXPECT(-EPERM, open_handle, &other, TB_O_RDONLY, &fd);
	EXPECT(OK, user, 0, 0);
}

static void directories(struct fsc *fsc)
{
	struct fsc_handle dir, below, again;
	struct tb_stat stat;
	int32_t fd, file;

	EXPECT(OK, mkdir, AT, "d", 0755);
	EXPECT(OK, mkdir, AT, "d/e", 0755);
	EXPECT(OK, mkdir, AT, "d/e/deep", 0755);
	fsc_make(fsc, "d/e/g", "below");
	EXPECT(OK, handle, AT, "d", 0, &dir);
	EXPECT(OK, handle, AT, "d/e/deep", 0, &below);
	EXPECT(OK, rename, "d/e", "x", 0);
	EXPECT(OK, rename, "d", "x/d", 0);
	EXPECT(OK, open_handle, &below, TB_O_RDONLY | TB_O_DIRECTORY, &fd);
	EXPECT(OK, open, fd, "../g", TB_O_RDONLY, 0, &file);
	content_is(fsc, file, "below");
	EXPECT(OK, close, file);
	EXPECT(OK, mkdir, fd, "new", 0755);
	EXPECT(OK, stat, AT, "x/deep/new", 0, &stat);
	EXPECT(OK, handle, fd, "", TB_AT_EMPTY_PATH, &again);
	EXPECT_EQ(memcmp(&below, &again, sizeof below), 0);
	EXPECT(OK, close, fd);
	EXPECT(-EISDIR, open_handle, &below, TB_O_RDWR, &fd);
	EXPECT(OK, open_handle, &dir, TB_O_PATH | TB_O_DIRECTORY, &fd);
	EXPECT(OK, stat, fd, "../g", 0, &stat);
	EXPECT(OK, close, fd);
	EXPECT(OK, unlink, AT, "x/d", TB_AT_REMOVEDIR);
	EXPECT(-ESTALE, open_handle, &dir, TB_O_RDONLY, &fd);
	EXPECT(OK, handle, AT, ".", 0, &dir);
	EXPECT(OK, open_handle, &dir, TB_O_RDONLY | TB_O_DIRECTORY, &fd);
	EXPECT(OK, stat, fd, "x/deep/new", 0, &stat);
	EXPECT(OK, close, fd);
}

void fsc_handles(struct fsc *fsc)
{
	struct fsc_handle link, target;
	struct tb_stat stat;
	int32_t fd;

	files(fsc);
	directories(fsc);
	EXPECT(OK, symlink, "g", "l");
	EXPECT(OK, handle, AT, "l", 0, &link);
	EXPECT(-ELOOP, open_handle, &link, TB_O_RDONLY, &fd);
	EXPECT(OK, open_handle, &link, TB_O_PATH, &fd);
	EXPECT(OK, fstat, fd, &stat);
	EXPECT_EQ(stat.mode & TB_S_IFMT, TB_S_IFLNK);
	EXPECT(OK, close, fd);
	EXPECT(OK, handle, AT, "l", TB_AT_SYMLINK_FOLLOW, &target);
	EXPECT(OK, open_handle, &target, TB_O_RDONLY, &fd);
	content_is(fsc, fd, "of g");
	EXPECT(OK, close, fd);
}
