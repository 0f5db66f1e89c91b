// SPDX-License-Identifier: MIT
//
// Opening, reading, writing, sizes.
#include "fsconform.h"

#include "kern/string.h"

void fsc_make(struct fsc *fsc, const char *path, const char *content)
{
	size_t done = 0;
	int32_t fd = -1;
	EXPECT(OK, open, TB_AT_FDCWD, path, TB_O_WRONLY | TB_O_CREAT | TB_O_TRUNC, 0644, &fd);
	EXPECT(OK, write, fd, content, strlen(content), &done);
	EXPECT_EQ(done, strlen(content));
	EXPECT(OK, close, fd);
}

int64_t fsc_size(struct fsc *fsc, const char *path)
{
	struct tb_stat stat;
	return CALL(stat, TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat) == 0 ? (int64_t)stat.size_bytes : -1;
}

uint32_t fsc_mode(struct fsc *fsc, const char *path)
{
	struct tb_stat stat;
	return CALL(stat, TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat) == 0 ? stat.mode : 0;
}

uint32_t fsc_links(struct fsc *fsc, const char *path)
{
	struct tb_stat stat;
	return CALL(stat, TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat) == 0 ? stat.nlink : 0;
}

void fsc_open_flags(struct fsc *fsc)
{
	char text[16];
	size_t done;
	int32_t fd;

	EXPECT(-ENOENT, open, TB_AT_FDCWD, "a", TB_O_RDONLY, 0, &fd);
	EXPECT(OK, open, TB_AT_FDCWD, "a", TB_O_RDWR | TB_O_CREAT | TB_O_EXCL, 0640, &fd);
	EXPECT(OK, write, fd, "hello", 5, &done);
	EXPECT(OK, close, fd);
	EXPECT_EQ(fsc_mode(fsc, "a"), TB_S_IFREG | 0640);
	EXPECT(-EEXIST, open, TB_AT_FDCWD, "a", TB_O_RDWR | TB_O_CREAT | TB_O_EXCL, 0640, &fd);
	EXPECT(OK, open, TB_AT_FDCWD, "a", TB_O_RDONLY | TB_O_CREAT, 0600, &fd);
	EXPECT(-EBADF, write, fd, "x", 1, &done);
	EXPECT(OK, read, fd, text, sizeof text, &done);
	EXPECT_EQ(done, 5);
	EXPECT(OK, read, fd, text, sizeof text, &done);
	EXPECT_EQ(done, 0);
	EXPECT(OK, close, fd);
	EXPECT(-EBADF, close, fd);
	EXPECT(OK, open, TB_AT_FDCWD, "a", TB_O_WRONLY | TB_O_APPEND, 0, &fd);
	EXPECT(-EBADF, read, fd, text, 1, &done);
	EXPECT(OK, write, fd, " you", 4, &done);
	EXPECT(OK, pwrite, fd, "!", 1, 0, &done); // appends on Linux, whatever the offset
	EXPECT(OK, close, fd);
	EXPECT_EQ(fsc_size(fsc, "a"), 10);
	EXPECT(OK, open, TB_AT_FDCWD, "a", TB_O_RDWR | TB_O_TRUNC, 0, &fd);
	EXPECT_EQ(fsc_size(fsc, "a"), 0);
	EXPECT(OK, close, fd);
	EXPECT(OK, open, TB_AT_FDCWD, "a", TB_O_PATH, 0, &fd);
	EXPECT(-EBADF, read, fd, text, 1, &done);
	EXPECT(-EBADF, write, fd, text, 1, &done);
	EXPECT(-EBADF, ftruncate, fd, 0);
	EXPECT(OK, close, fd);
}

void fsc_open_errors(struct fsc *fsc)
{
	size_t done;
	char text[4];
	int32_t fd;

	fsc_make(fsc, "f", "x");
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(-EISDIR, open, TB_AT_FDCWD, "d", TB_O_WRONLY, 0, &fd);
	EXPECT(-EISDIR, open, TB_AT_FDCWD, "d", TB_O_RDWR, 0, &fd);
	EXPECT(-EISDIR, open, TB_AT_FDCWD, "d", TB_O_RDONLY | TB_O_CREAT, 0644, &fd);
	EXPECT(-EISDIR, open, TB_AT_FDCWD, "new/", TB_O_WRONLY | TB_O_CREAT, 0644, &fd);
	EXPECT(-EEXIST, open, TB_AT_FDCWD, "d", TB_O_RDONLY | TB_O_CREAT | TB_O_EXCL, 0644, &fd);
	EXPECT(OK, open, TB_AT_FDCWD, "d", TB_O_RDONLY, 0, &fd);
	EXPECT(-EISDIR, read, fd, text, 1, &done);
	EXPECT(-EBADF, write, fd, text, 1, &done);
	EXPECT(OK, close, fd);
	EXPECT(-ENOTDIR, open, TB_AT_FDCWD, "f", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	EXPECT(-ENOTDIR, open, TB_AT_FDCWD, "f/", TB_O_RDONLY, 0, &fd);
	EXPECT(-ENOTDIR, open, TB_AT_FDCWD, "f/x", TB_O_RDONLY, 0, &fd);
	EXPECT(-ENOTDIR, open, TB_AT_FDCWD, "f/x", TB_O_WRONLY | TB_O_CREAT, 0644, &fd);
	EXPECT(-ENOENT, open, TB_AT_FDCWD, "no/x", TB_O_WRONLY | TB_O_CREAT, 0644, &fd);
	EXPECT(-ENOENT, open, TB_AT_FDCWD, "", TB_O_RDONLY, 0, &fd);
	EXPECT(-EBADF, open, 4000, "f", TB_O_RDONLY, 0, &fd);
	EXPECT(-EBADF, open, -5, "f", TB_O_RDONLY, 0, &fd);
	EXPECT(-EBADF, close, -1);
	EXPECT(-EBADF, read, 4000, text, 1, &done);
	EXPECT(OK, symlink, "f", "l");
	EXPECT(-ELOOP, open, TB_AT_FDCWD, "l", TB_O_RDONLY | TB_O_NOFOLLOW, 0, &fd);
	EXPECT(OK, open, TB_AT_FDCWD, "l", TB_O_RDONLY, 0, &fd);
	EXPECT(OK, close, fd);
	EXPECT(OK, symlink, "made", "dangling");
	EXPECT(-ENOENT, open, TB_AT_FDCWD, "dangling", TB_O_RDONLY, 0, &fd);
	EXPECT(-EEXIST, open, TB_AT_FDCWD, "dangling", TB_O_WRONLY | TB_O_CREAT | TB_O_EXCL, 0644, &fd);
	EXPECT_EQ(fsc_size(fsc, "made"), -1);
	EXPECT(OK, open, TB_AT_FDCWD, "dangling", TB_O_WRONLY | TB_O_CREAT, 0644, &fd);
	EXPECT(OK, close, fd);
	EXPECT_EQ(fsc_size(fsc, "made"), 0);
}

void fsc_read_write(struct fsc *fsc)
{
	uint64_t position;
	char text[16];
	size_t done;
	int32_t fd;

	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDWR | TB_O_CREAT, 0644, &fd);
	EXPECT(OK, write, fd, "0123456789", 10, &done);
	EXPECT(OK, seek, fd, 3, TB_SEEK_SET, &position);
	EXPECT_EQ(position, 3);
	EXPECT(OK, read, fd, text, 4, &done);
	EXPECT_EQ(done, 4);
	EXPECT_EQ(memcmp(text, "3456", 4), 0);
	EXPECT(OK, seek, fd, -2, TB_SEEK_CUR, &position);
	EXPECT_EQ(position, 5);
	EXPECT(OK, seek, fd, -1, TB_SEEK_END, &position);
	EXPECT_EQ(position, 9);
	EXPECT(-EINVAL, seek, fd, -11, TB_SEEK_END, &position);
	EXPECT(-EINVAL, seek, fd, -1, TB_SEEK_SET, &position);
	EXPECT(-EINVAL, seek, fd, 0, 99, &position);
	EXPECT(OK, seek, fd, 0, TB_SEEK_CUR, &position);
	EXPECT_EQ(position, 9);
	EXPECT(OK, pread, fd, text, 16, 8, &done);
	EXPECT_EQ(done, 2);
	EXPECT(OK, pread, fd, text, 16, 10, &done);
	EXPECT_EQ(done, 0);
	EXPECT(OK, pread, fd, text, 16, 1u << 30, &done);
	EXPECT_EQ(done, 0);
	EXPECT(-EINVAL, pread, fd, text, 1, UINT64_MAX, &done);
	EXPECT(OK, pwrite, fd, "ab", 2, 4, &done);
	EXPECT(OK, seek, fd, 0, TB_SEEK_CUR, &position);
	EXPECT_EQ(position, 9);
	EXPECT(OK, pread, fd, text, 10, 0, &done);
	EXPECT_EQ(memcmp(text, "0123ab6789", 10), 0);
	EXPECT(OK, read, fd, text, 0, &done);
	EXPECT_EQ(done, 0);
	EXPECT(OK, write, fd, text, 0, &done);
	EXPECT_EQ(fsc_size(fsc, "f"), 10);
	EXPECT(OK, fsync, fd);
	EXPECT(OK, close, fd);
}

void fsc_sparse(struct fsc *fsc)
{
	const uint64_t far = 1u << 20;
	struct tb_stat stat;
	uint64_t position;
	char text[8];
	size_t done;
	int32_t fd;

	EXPECT(OK, open, TB_AT_FDCWD, "s", TB_O_RDWR | TB_O_CREAT, 0644, &fd);
	EXPECT(OK, pwrite, fd, "end", 3, far, &done);
	EXPECT(OK, fstat, fd, &stat);
	EXPECT_EQ(stat.size_bytes, far + 3);
	EXPECT_EQ(stat.blocks < far / 512, true);
	EXPECT(OK, pread, fd, text, 8, far / 2, &done);
	EXPECT_EQ(done, 8);
	EXPECT_EQ(memcmp(text, "\0\0\0\0\0\0\0\0", 8), 0);
	EXPECT(OK, seek, fd, 0, TB_SEEK_DATA, &position);
	EXPECT_EQ(position, far);
	EXPECT(OK, seek, fd, 0, TB_SEEK_HOLE, &position);
	EXPECT_EQ(position, 0);
	EXPECT(OK, seek, fd, (int64_t)far, TB_SEEK_HOLE, &position);
	EXPECT_EQ(position, far + 3);
	EXPECT(-ENXIO, seek, fd, (int64_t)far + 3, TB_SEEK_DATA, &position);
	EXPECT(-ENXIO, seek, fd, (int64_t)far + 3, TB_SEEK_HOLE, &position);
	EXPECT(-ENXIO, seek, fd, -1, TB_SEEK_DATA, &position);
	EXPECT(OK, pwrite, fd, "x", 1, 0, &done);
	EXPECT(OK, seek, fd, 0, TB_SEEK_HOLE, &position);
	EXPECT_EQ(position, 4096);
	EXPECT(OK, close, fd);
}

void fsc_truncate(struct fsc *fsc)
{
	char text[8];
	size_t done;
	int32_t fd;

	fsc_make(fsc, "f", "abcdefgh");
	EXPECT(OK, truncate, "f", 4);
	EXPECT_EQ(fsc_size(fsc, "f"), 4);
	EXPECT(OK, truncate, "f", 8);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDWR, 0, &fd);
	EXPECT(OK, read, fd, text, 8, &done);
	EXPECT_EQ(done, 8);
	EXPECT_EQ(memcmp(text, "abcd\0\0\0\0", 8), 0);
	EXPECT(-EINVAL, ftruncate, fd, -1);
	EXPECT(OK, ftruncate, fd, 100000);
	EXPECT_EQ(fsc_size(fsc, "f"), 100000);
	EXPECT(OK, pwrite, fd, "z", 1, 99999, &done);
	EXPECT(OK, ftruncate, fd, 5000);
	EXPECT(OK, ftruncate, fd, 100000);
	EXPECT(OK, pread, fd, text, 1, 99999, &done);
	EXPECT_EQ(text[0], 0);
	EXPECT(OK, ftruncate, fd, 0);
	EXPECT(OK, close, fd);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDONLY, 0, &fd);
	EXPECT(-EINVAL, ftruncate, fd, 0);
	EXPECT(OK, close, fd);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(-EISDIR, truncate, "d", 0);
	EXPECT(-ENOENT, truncate, "no", 0);
	EXPECT(-EINVAL, truncate, "f", -1);
}

// By positions, by offsets, within one file; as often as it takes.
static void copy_all(struct fsc *fsc, int32_t from, uint64_t from_offset, int32_t to, uint64_t to_offset, size_t size)
{
	size_t done = 1;

	for (size_t at = 0; at < size && done != 0; at += done)
		EXPECT(OK, copy_range, from, &from_offset, to, &to_offset, size - at, 0, &done);
}

void fsc_copy_range(struct fsc *fsc)
{
	static uint8_t bytes[70000], found[70000];
	uint64_t at = 0;
	size_t done = 0;
	int32_t fd = -1, to = -1;

	for (uint32_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i / 251 + i);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDWR | TB_O_CREAT, 0644, &fd);
	EXPECT(OK, write, fd, bytes, sizeof bytes, &done);
	EXPECT(OK, open, TB_AT_FDCWD, "g", TB_O_RDWR | TB_O_CREAT, 04755, &to);
	copy_all(fsc, fd, 0, to, 0, sizeof bytes);
	EXPECT_EQ(fsc_size(fsc, "g"), sizeof bytes);
	EXPECT(OK, pread, to, found, sizeof found, 0, &done);
	EXPECT_EQ(memcmp(found, bytes, sizeof bytes), 0);
	copy_all(fsc, fd, 4096, to, 8192, 20000); // in the middle
	copy_all(fsc, fd, 100, to, 65000, 9000);  // and over the end
	EXPECT_EQ(fsc_size(fsc, "g"), 74000);
	EXPECT(OK, pread, to, found, sizeof found, 0, &done);
	EXPECT_EQ(memcmp(found, bytes, 8192), 0);
	EXPECT_EQ(memcmp(found + 8192, bytes + 4096, 20000), 0);
	EXPECT_EQ(memcmp(found + 28192, bytes + 28192, 65000 - 28192), 0);
	EXPECT_EQ(memcmp(found + 65000, bytes + 100, 5000), 0);
	copy_all(fsc, to, 0, to, 100 * 4096, 50000); // within itself
	EXPECT(OK, pread, to, found, 50000, 100 * 4096, &done);
	EXPECT_EQ(memcmp(found + 8192, bytes + 4096, 20000), 0);
	EXPECT(OK, pread, to, found, 10, 80000, &done);
	EXPECT_EQ(found[0], 0);
	EXPECT(OK, seek, fd, 69998, TB_SEEK_SET, &at);
	EXPECT(OK, seek, to, 5, TB_SEEK_SET, &at);
	EXPECT(OK, copy_range, fd, NULL, to, NULL, 100, 0, &done); // the end is near
	EXPECT_EQ(done, 2);
	EXPECT(OK, copy_range, fd, NULL, to, NULL, 100, 0, &done);
	EXPECT_EQ(done, 0);
	EXPECT(OK, seek, to, 0, TB_SEEK_CUR, &at);
	EXPECT_EQ(at, 7);
	uint64_t a = 0, b = 100;
	EXPECT(-EINVAL, copy_range, to, &a, to, &b, 200, 0, &done);
	EXPECT(-EINVAL, copy_range, fd, &a, to, &b, 200, 1, &done);
	EXPECT(OK, close, to);
	EXPECT(OK, open, TB_AT_FDCWD, "g", TB_O_WRONLY | TB_O_APPEND, 0, &to);
	EXPECT(-EBADF, copy_range, fd, &a, to, &b, 200, 0, &done);
	EXPECT(-EBADF, copy_range, to, &a, fd, &b, 200, 0, &done);
	EXPECT(OK, close, to);
	EXPECT(OK, close, fd);
}

void fsc_fallocate(struct fsc *fsc)
{
	struct tb_stat stat;
	char text[4];
	size_t done;
	int32_t fd;

	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDWR | TB_O_CREAT, 0644, &fd);
	EXPECT(OK, fallocate, fd, 0, 0, 20000);
	EXPECT(OK, fstat, fd, &stat);
	EXPECT_EQ(stat.size_bytes, 20000);
	EXPECT_EQ(stat.blocks >= 40, true);
	EXPECT(OK, fallocate, fd, TB_FALLOC_KEEP_SIZE, 20000, 20000);
	EXPECT(OK, fstat, fd, &stat);
	EXPECT_EQ(stat.size_bytes, 20000);
	EXPECT(OK, pwrite, fd, "abcd", 4, 8190, &done);
	EXPECT(OK, fallocate, fd, TB_FALLOC_PUNCH_HOLE | TB_FALLOC_KEEP_SIZE, 8192, 4096);
	EXPECT(OK, pread, fd, text, 4, 8190, &done);
	EXPECT_EQ(memcmp(text, "ab\0\0", 4), 0);
	EXPECT(-EOPNOTSUPP, fallocate, fd, TB_FALLOC_PUNCH_HOLE, 0, 4096);
	EXPECT(-EINVAL, fallocate, fd, 0, -1, 4096);
	EXPECT(-EINVAL, fallocate, fd, 0, 0, 0);
	EXPECT(OK, close, fd);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDONLY, 0, &fd);
	EXPECT(-EBADF, fallocate, fd, 0, 0, 1);
	EXPECT(OK, close, fd);
}

void fsc_unlinked(struct fsc *fsc)
{
	struct tb_stat stat;
	char text[8];
	size_t done;
	int32_t fd;

	fsc_make(fsc, "f", "alive");
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDWR, 0, &fd);
	EXPECT(OK, unlink, TB_AT_FDCWD, "f", 0);
	EXPECT_EQ(fsc_size(fsc, "f"), -1);
	EXPECT(OK, fstat, fd, &stat);
	EXPECT_EQ(stat.nlink, 0);
	EXPECT(OK, read, fd, text, 8, &done);
	EXPECT_EQ(done, 5);
	EXPECT(OK, pwrite, fd, "more", 4, 5, &done);
	fsc_make(fsc, "f", "other");
	EXPECT(OK, pread, fd, text, 8, 0, &done);
	EXPECT_EQ(memcmp(text, "alivemor", 8), 0);
	EXPECT(OK, close, fd);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(OK, open, TB_AT_FDCWD, "d", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	EXPECT(OK, unlink, TB_AT_FDCWD, "d", TB_AT_REMOVEDIR);
	EXPECT(OK, fstat, fd, &stat);
	EXPECT_EQ(stat.nlink, 0);
	EXPECT(-ENOENT, mkdir, fd, "below", 0755);
	EXPECT(-ENOENT, open, fd, "below", TB_O_WRONLY | TB_O_CREAT, 0644, &(int32_t){0});
	EXPECT(OK, close, fd);
}

void fsc_tmpfile(struct fsc *fsc)
{
	struct tb_stat stat;
	size_t done;
	int32_t fd;

	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(-EINVAL, open, TB_AT_FDCWD, "d", TB_O_TMPFILE | TB_O_RDONLY, 0600, &fd);
	EXPECT(OK, open, TB_AT_FDCWD, "d", TB_O_TMPFILE | TB_O_RDWR, 0600, &fd);
	EXPECT(OK, write, fd, "data", 4, &done);
	EXPECT(OK, fstat, fd, &stat);
	EXPECT_EQ(stat.nlink, 0);
	EXPECT_EQ(stat.mode, TB_S_IFREG | 0600);
	EXPECT(OK, link, fd, "", "named", TB_AT_EMPTY_PATH);
	EXPECT_EQ(fsc_size(fsc, "named"), 4);
	EXPECT_EQ(fsc_links(fsc, "named"), 1);
	EXPECT(OK, close, fd);
	EXPECT(OK, open, TB_AT_FDCWD, "d", TB_O_TMPFILE | TB_O_RDWR | TB_O_EXCL, 0600, &fd);
	EXPECT(-ENOENT, link, fd, "", "never", TB_AT_EMPTY_PATH);
	EXPECT(OK, close, fd);
	EXPECT(OK, unlink, TB_AT_FDCWD, "d", TB_AT_REMOVEDIR);
}
