// SPDX-License-Identifier: MIT
//
// Names: directories, links, renames.
#include "fsconform.h"

#include "kern/string.h"

void fsc_mkdir(struct fsc *fsc)
{
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0750);
	EXPECT_EQ(fsc_mode(fsc, "d"), TB_S_IFDIR | 0750);
	EXPECT_EQ(fsc_links(fsc, "d"), 2);
	EXPECT(-EEXIST, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(-EEXIST, mkdir, TB_AT_FDCWD, "d/", 0755);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d/e/", 0755);
	EXPECT_EQ(fsc_links(fsc, "d"), 3);
	EXPECT(-ENOENT, mkdir, TB_AT_FDCWD, "no/e", 0755);
	fsc_make(fsc, "f", "");
	EXPECT(-ENOTDIR, mkdir, TB_AT_FDCWD, "f/e", 0755);
	EXPECT(-EEXIST, mkdir, TB_AT_FDCWD, "f", 0755);
	EXPECT(-ENOENT, mkdir, TB_AT_FDCWD, "", 0755);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "t", 01777);
	EXPECT_EQ(fsc_mode(fsc, "t"), TB_S_IFDIR | 01755);
	EXPECT(-ENOTEMPTY, unlink, TB_AT_FDCWD, "d", TB_AT_REMOVEDIR);
	EXPECT(-ENOTDIR, unlink, TB_AT_FDCWD, "f", TB_AT_REMOVEDIR);
	EXPECT(OK, unlink, TB_AT_FDCWD, "d/e", TB_AT_REMOVEDIR);
	EXPECT_EQ(fsc_links(fsc, "d"), 2);
	EXPECT(OK, unlink, TB_AT_FDCWD, "d/", TB_AT_REMOVEDIR);
	EXPECT(-ENOENT, unlink, TB_AT_FDCWD, "d", TB_AT_REMOVEDIR);
}

// Names of the greatest length, and beyond; any byte but '/' and NUL.
void fsc_names(struct fsc *fsc)
{
	static const char *const odd[] = {" ", "a b", "\n", "\xff\xfe", "-", "...", ".hidden", "\xc3\xa9", "*"};
	char name[TB_NAME_MAX + 2];
	char path[TB_PATH_MAX + 8];
	struct tb_stat stat;

	memset(name, 'n', sizeof name);
	name[TB_NAME_MAX + 1] = '\0';
	EXPECT(-ENAMETOOLONG, mkdir, TB_AT_FDCWD, name, 0755);
	EXPECT(-ENAMETOOLONG, stat, TB_AT_FDCWD, name, 0, &stat);
	EXPECT(-ENAMETOOLONG, unlink, TB_AT_FDCWD, name, 0);
	name[TB_NAME_MAX] = '\0';
	EXPECT(OK, mkdir, TB_AT_FDCWD, name, 0755);
	EXPECT(OK, stat, TB_AT_FDCWD, name, 0, &stat);
	EXPECT(OK, unlink, TB_AT_FDCWD, name, TB_AT_REMOVEDIR);
	for (uint32_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		fsc_make(fsc, odd[i], odd[i]);
		EXPECT_EQ(fsc_size(fsc, odd[i]), strlen(odd[i]));
	}
	for (uint32_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		EXPECT(OK, unlink, TB_AT_FDCWD, odd[i], 0);
	for (uint32_t i = 0; i < sizeof path; i += 2)
		memcpy(path + i, "./", 2);
	path[TB_PATH_MAX - 1] = '\0';
	EXPECT(OK, stat, TB_AT_FDCWD, path, 0, &stat);
	path[TB_PATH_MAX - 1] = '/';
	path[TB_PATH_MAX] = '\0';
	EXPECT(-ENAMETOOLONG, stat, TB_AT_FDCWD, path, 0, &stat);
}

void fsc_dots(struct fsc *fsc)
{
	struct tb_stat here, other;

	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d/e", 0755);
	EXPECT(OK, stat, TB_AT_FDCWD, ".", 0, &here);
	EXPECT(OK, stat, TB_AT_FDCWD, "d/..", 0, &other);
	EXPECT_EQ(here.ino, other.ino);
	EXPECT(OK, stat, TB_AT_FDCWD, "d//e/./../..", 0, &other);
	EXPECT_EQ(here.ino, other.ino);
	EXPECT(-ENOENT, stat, TB_AT_FDCWD, "no/..", 0, &other);
	fsc_make(fsc, "f", "");
	EXPECT(-ENOTDIR, stat, TB_AT_FDCWD, "f/..", 0, &other);
	EXPECT(-ENOTDIR, stat, TB_AT_FDCWD, "f/.", 0, &other);
	EXPECT(OK, stat, TB_AT_FDCWD, "/../..", 0, &other);
	EXPECT(OK, stat, TB_AT_FDCWD, "///", 0, &here);
	EXPECT_EQ(here.ino, other.ino);
	EXPECT(-EINVAL, unlink, TB_AT_FDCWD, "d/.", TB_AT_REMOVEDIR);
	EXPECT(-ENOTEMPTY, unlink, TB_AT_FDCWD, "d/..", TB_AT_REMOVEDIR);
	EXPECT(-EISDIR, unlink, TB_AT_FDCWD, "d/.", 0);
	EXPECT(-EEXIST, mkdir, TB_AT_FDCWD, ".", 0755);
	EXPECT(-EEXIST, mkdir, TB_AT_FDCWD, "..", 0755);
	EXPECT(-EEXIST, mkdir, TB_AT_FDCWD, "/", 0755);
	EXPECT(-EBUSY, rename, "d/.", "x", 0);
}

void fsc_symlinks(struct fsc *fsc)
{
	char target[16];
	char name[8] = "l00";
	char next[8] = "l00";
	struct tb_stat stat;
	size_t done = 0;

	fsc_make(fsc, "f", "content");
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(OK, symlink, "../f", "d/l");
	EXPECT_EQ(fsc_mode(fsc, "d/l"), TB_S_IFLNK | 0777);
	EXPECT_EQ(fsc_size(fsc, "d/l"), 4);
	EXPECT(OK, stat, TB_AT_FDCWD, "d/l", 0, &stat);
	EXPECT_EQ(stat.size_bytes, 7);
	EXPECT(OK, readlink, "d/l", target, sizeof target, &done);
	EXPECT_EQ(done, 4);
	EXPECT_EQ(memcmp(target, "../f", 4), 0);
	EXPECT(OK, readlink, "d/l", target, 2, &done);
	EXPECT_EQ(done, 2);
	EXPECT(-EINVAL, readlink, "f", target, sizeof target, &done);
	EXPECT(-EINVAL, readlink, "d/l", target, 0, &done);
	EXPECT(-ENOENT, readlink, "no", target, sizeof target, &done);
	EXPECT(-EEXIST, symlink, "x", "d/l");
	EXPECT(-ENOENT, symlink, "", "empty");
	EXPECT(OK, symlink, "self", "self");
	EXPECT(-ELOOP, stat, TB_AT_FDCWD, "self", 0, &stat);
	EXPECT(OK, symlink, "d", "dl");
	EXPECT(OK, stat, TB_AT_FDCWD, "dl/", TB_AT_SYMLINK_NOFOLLOW, &stat);
	EXPECT_EQ(stat.mode & TB_S_IFMT, TB_S_IFDIR);
	EXPECT(-ENOTDIR, unlink, TB_AT_FDCWD, "dl/", 0);
	EXPECT(-ENOTDIR, unlink, TB_AT_FDCWD, "dl", TB_AT_REMOVEDIR);
	EXPECT(OK, stat, TB_AT_FDCWD, "dl/l", 0, &stat);
	EXPECT_EQ(stat.size_bytes, 7);
	EXPECT(OK, symlink, "f", "l00");
	for (uint32_t i = 1; i <= 40; i++) { // each leads to the one before
		name[1] = (char)('0' + i / 10);
		name[2] = (char)('0' + i % 10);
		EXPECT(OK, symlink, next, name);
		memcpy(next, name, sizeof next);
	}
	EXPECT(OK, stat, TB_AT_FDCWD, "l39", 0, &stat); // 40 links
	EXPECT(-ELOOP, stat, TB_AT_FDCWD, "l40", 0, &stat);
	EXPECT(OK, unlink, TB_AT_FDCWD, "dl", 0);
	EXPECT_EQ(fsc_mode(fsc, "d"), TB_S_IFDIR | 0755);
}

void fsc_hard_links(struct fsc *fsc)
{
	struct tb_stat a, b;

	fsc_make(fsc, "f", "x");
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(OK, link, TB_AT_FDCWD, "f", "d/g", 0);
	EXPECT_EQ(fsc_links(fsc, "f"), 2);
	EXPECT(OK, stat, TB_AT_FDCWD, "f", 0, &a);
	EXPECT(OK, stat, TB_AT_FDCWD, "d/g", 0, &b);
	EXPECT_EQ(a.ino, b.ino);
	EXPECT(-EEXIST, link, TB_AT_FDCWD, "f", "d/g", 0);
	EXPECT(-EPERM, link, TB_AT_FDCWD, "d", "e", 0);
	EXPECT(-ENOENT, link, TB_AT_FDCWD, "no", "e", 0);
	EXPECT(-ENOENT, link, TB_AT_FDCWD, "f", "no/e", 0);
	EXPECT(-ENOTDIR, link, TB_AT_FDCWD, "f", "f/e", 0);
	EXPECT(OK, symlink, "f", "l");
	EXPECT(OK, link, TB_AT_FDCWD, "l", "l2", 0);
	EXPECT_EQ(fsc_mode(fsc, "l2") & TB_S_IFMT, TB_S_IFLNK);
	EXPECT(OK, link, TB_AT_FDCWD, "l", "f2", TB_AT_SYMLINK_FOLLOW);
	EXPECT_EQ(fsc_mode(fsc, "f2") & TB_S_IFMT, TB_S_IFREG);
	EXPECT_EQ(fsc_links(fsc, "f"), 3);
	EXPECT(OK, unlink, TB_AT_FDCWD, "f", 0);
	EXPECT_EQ(fsc_links(fsc, "f2"), 2);
	EXPECT_EQ(fsc_size(fsc, "d/g"), 1);
}

void fsc_unlink(struct fsc *fsc)
{
	fsc_make(fsc, "f", "");
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(-EISDIR, unlink, TB_AT_FDCWD, "d", 0);
	EXPECT(-EISDIR, unlink, TB_AT_FDCWD, "d/", 0);
	EXPECT(-ENOTDIR, unlink, TB_AT_FDCWD, "f/", 0);
	EXPECT(-ENOENT, unlink, TB_AT_FDCWD, "no", 0);
	EXPECT(-ENOENT, unlink, TB_AT_FDCWD, "", 0);
	EXPECT(-ENOTDIR, unlink, TB_AT_FDCWD, "f/x", 0);
	EXPECT(-EINVAL, unlink, TB_AT_FDCWD, "f", 0x4000);
	EXPECT(OK, unlink, TB_AT_FDCWD, "f", 0);
	EXPECT(-ENOENT, unlink, TB_AT_FDCWD, "f", 0);
	EXPECT(OK, symlink, "nowhere", "l");
	EXPECT(OK, unlink, TB_AT_FDCWD, "l", 0);
	EXPECT_EQ(fsc_size(fsc, "l"), -1);
}

void fsc_rename_files(struct fsc *fsc)
{
	struct tb_stat before, after;

	fsc_make(fsc, "a", "a");
	fsc_make(fsc, "b", "bb");
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(OK, stat, TB_AT_FDCWD, "a", 0, &before);
	EXPECT(OK, rename, "a", "d/c", 0);
	EXPECT(OK, stat, TB_AT_FDCWD, "d/c", 0, &after);
	EXPECT_EQ(before.ino, after.ino);
	EXPECT_EQ(fsc_size(fsc, "a"), -1);
	EXPECT(-ENOENT, rename, "a", "x", 0);
	EXPECT(OK, rename, "d/c", "b", 0);
	EXPECT_EQ(fsc_size(fsc, "b"), 1);
	EXPECT(OK, rename, "b", "b", 0);
	EXPECT(-EISDIR, rename, "b", "d", 0);
	EXPECT(-ENOTDIR, rename, "b", "b/x", 0);
	EXPECT(-ENOTDIR, rename, "b", "x/", 0);
	EXPECT(-ENOTDIR, rename, "b/", "x", 0);
	EXPECT(-ENOENT, rename, "b", "no/x", 0);
	EXPECT(OK, link, TB_AT_FDCWD, "b", "b2", 0);
	EXPECT(OK, rename, "b", "b2", 0); // two names of one file: both stay
	EXPECT_EQ(fsc_size(fsc, "b"), 1);
	EXPECT_EQ(fsc_size(fsc, "b2"), 1);
	EXPECT(OK, symlink, "b", "l");
	EXPECT(OK, rename, "l", "l2", 0);
	EXPECT_EQ(fsc_mode(fsc, "l2") & TB_S_IFMT, TB_S_IFLNK);
	EXPECT(OK, rename, "b2", "l2", 0);
	EXPECT_EQ(fsc_mode(fsc, "l2") & TB_S_IFMT, TB_S_IFREG);
}

void fsc_rename_dirs(struct fsc *fsc)
{
	struct tb_stat stat, parent;

	EXPECT(OK, mkdir, TB_AT_FDCWD, "a", 0755);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "a/b", 0755);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "a/b/c", 0755);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "e", 0755);
	EXPECT(-EINVAL, rename, "a", "a/x", 0);
	EXPECT(-EINVAL, rename, "a", "a/b/c/x", 0);
	EXPECT(-ENOTEMPTY, rename, "a/b/c", "a", 0);
	EXPECT(-ENOTEMPTY, rename, "e", "a", 0);
	EXPECT(OK, rename, "a/b", "e", 0); // onto an empty one
	EXPECT_EQ(fsc_links(fsc, "a"), 2);
	EXPECT_EQ(fsc_links(fsc, "e"), 3);
	EXPECT(OK, stat, TB_AT_FDCWD, "e/c/../..", 0, &stat);
	EXPECT(OK, stat, TB_AT_FDCWD, ".", 0, &parent);
	EXPECT_EQ(stat.ino, parent.ino);
	EXPECT(OK, rename, "e/", "a/f/", 0);
	EXPECT_EQ(fsc_links(fsc, "a"), 3);
	fsc_make(fsc, "file", "");
	EXPECT(-ENOTDIR, rename, "a", "file", 0);
	EXPECT(-EISDIR, rename, "file", "a", 0);
	EXPECT(OK, chdir, "a/f/c");
	EXPECT(OK, rename, "../../../a", "../../../z", 0);
	EXPECT(OK, stat, TB_AT_FDCWD, "../..", 0, &stat);
	EXPECT(OK, chdir, "../../..");
	EXPECT(OK, stat, TB_AT_FDCWD, "z", 0, &parent);
	EXPECT_EQ(stat.ino, parent.ino);
}

void fsc_rename_flags(struct fsc *fsc)
{
	fsc_make(fsc, "a", "a");
	fsc_make(fsc, "b", "bb");
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d/e", 0755);
	EXPECT(-EEXIST, rename, "a", "b", TB_RENAME_NOREPLACE);
	EXPECT(-EEXIST, rename, "a", "d", TB_RENAME_NOREPLACE);
	EXPECT(OK, rename, "a", "c", TB_RENAME_NOREPLACE);
	EXPECT(-ENOENT, rename, "c", "no", TB_RENAME_EXCHANGE);
	EXPECT(OK, rename, "c", "b", TB_RENAME_EXCHANGE);
	EXPECT_EQ(fsc_size(fsc, "c"), 2);
	EXPECT_EQ(fsc_size(fsc, "b"), 1);
	EXPECT(-EINVAL, rename, "d", "d/e", TB_RENAME_EXCHANGE);
	EXPECT(-EINVAL, rename, "d/e", "d", TB_RENAME_EXCHANGE);
	EXPECT(OK, rename, "d/e", "b", TB_RENAME_EXCHANGE); // a directory against a file
	EXPECT_EQ(fsc_mode(fsc, "b") & TB_S_IFMT, TB_S_IFDIR);
	EXPECT_EQ(fsc_size(fsc, "d/e"), 1);
	EXPECT_EQ(fsc_links(fsc, "d"), 2);
	EXPECT(-EINVAL, rename, "b", "x", TB_RENAME_EXCHANGE | TB_RENAME_NOREPLACE);
	EXPECT(-EINVAL, rename, "b", "x", 0x80);
}

// ---- directories ---------------------------------------------------------------------------------------------------------

#define FILES 100u

static void number_name(char name[8], uint32_t number)
{
	name[0] = 'f';
	name[1] = (char)('0' + number / 100 % 10);
	name[2] = (char)('0' + number / 10 % 10);
	name[3] = (char)('0' + number % 10);
	name[4] = '\0';
}

// Reads on from the position; marks what was seen and returns how many, with the dots.
static uint32_t read_all(struct fsc *fsc, int32_t fd, uint8_t seen[FILES], uint32_t at_most)
{
	struct tb_dirent entries[7];
	uint32_t total = 0, count = 0;

	do {
		EXPECT(OK, readdir, fd, entries, 7, &count);
		for (uint32_t i = 0; i < count; i++) {
			const char *name = entries[i].name;
			if (name[0] == 'f')
				seen[((uint32_t)(name[1] - '0') * 100 + (uint32_t)(name[2] - '0') * 10 +
				      (uint32_t)(name[3] - '0')) %
				     FILES]++;
			EXPECT_EQ(entries[i].type == TB_S_IFDIR, name[0] == '.');
		}
		total += count;
	} while (count > 0 && total < at_most);
	return total;
}

void fsc_readdir(struct fsc *fsc)
{
	uint8_t seen[FILES] = {0};
	char name[8];
	uint32_t count;
	uint64_t position;
	int32_t fd;

	for (uint32_t i = 0; i < FILES; i++) {
		number_name(name, i);
		fsc_make(fsc, name, "");
	}
	EXPECT(OK, open, TB_AT_FDCWD, ".", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	EXPECT_EQ(read_all(fsc, fd, seen, UINT32_MAX), FILES + 2);
	for (uint32_t i = 0; i < FILES; i++)
		EXPECT_EQ(seen[i], 1);
	EXPECT(OK, seek, fd, 0, TB_SEEK_SET, &position);
	EXPECT_EQ(read_all(fsc, fd, seen, UINT32_MAX), FILES + 2);
	EXPECT(OK, close, fd);
	EXPECT(OK, open, TB_AT_FDCWD, "f000", TB_O_RDONLY, 0, &fd);
	EXPECT(-ENOTDIR, readdir, fd, &(struct tb_dirent){0}, 1, &count);
	EXPECT(OK, close, fd);
	EXPECT(-EBADF, readdir, 4000, &(struct tb_dirent){0}, 1, &count);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "gone", 0755);
	EXPECT(OK, open, TB_AT_FDCWD, "gone", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	EXPECT(OK, unlink, TB_AT_FDCWD, "gone", TB_AT_REMOVEDIR);
	EXPECT(-ENOENT, readdir, fd, &(struct tb_dirent){0}, 1, &count);
	EXPECT(OK, close, fd);
}

// What is there all the time is seen once, whatever else comes and goes.
void fsc_readdir_changes(struct fsc *fsc)
{
	uint8_t seen[FILES] = {0};
	char name[8];
	int32_t fd;

	for (uint32_t i = 0; i < FILES; i++) {
		number_name(name, i);
		fsc_make(fsc, name, "");
	}
	EXPECT(OK, open, TB_AT_FDCWD, ".", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	uint32_t total = read_all(fsc, fd, seen, 50);
	for (uint32_t i = 1; i < FILES; i += 2) {
		number_name(name, i);
		EXPECT(OK, unlink, TB_AT_FDCWD, name, 0);
	}
	for (uint32_t i = 0; i < 50; i++) {
		name[0] = 'g';
		name[1] = (char)('0' + i / 10);
		name[2] = (char)('0' + i % 10);
		name[3] = '\0';
		fsc_make(fsc, name, "");
	}
	total += read_all(fsc, fd, seen, UINT32_MAX);
	for (uint32_t i = 0; i < FILES; i += 2)
		EXPECT_EQ(seen[i], 1);
	for (uint32_t i = 1; i < FILES; i += 2)
		EXPECT_EQ(seen[i] <= 1, true);
	EXPECT_EQ(total <= FILES + 2 + 50, true);
	EXPECT(OK, close, fd);
}

void fsc_dirfd(struct fsc *fsc)
{
	struct tb_stat stat;
	int32_t dir, fd;

	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	fsc_make(fsc, "f", "x");
	EXPECT(OK, open, TB_AT_FDCWD, "d", TB_O_PATH | TB_O_DIRECTORY, 0, &dir);
	EXPECT(OK, open, dir, "in", TB_O_WRONLY | TB_O_CREAT, 0644, &fd);
	EXPECT(OK, close, fd);
	EXPECT_EQ(fsc_size(fsc, "d/in"), 0);
	EXPECT(OK, rename, "d", "moved", 0);
	EXPECT(OK, stat, dir, "in", 0, &stat);
	EXPECT(OK, stat, dir, "", TB_AT_EMPTY_PATH, &stat);
	EXPECT_EQ(stat.mode & TB_S_IFMT, TB_S_IFDIR);
	EXPECT(-ENOENT, stat, dir, "", 0, &stat);
	EXPECT(OK, stat, dir, "../f", 0, &stat);
	EXPECT(OK, mkdir, dir, "sub", 0755);
	EXPECT(OK, unlink, dir, "in", 0);
	EXPECT(OK, unlink, dir, "sub", TB_AT_REMOVEDIR);
	EXPECT(-EISDIR, open, dir, "in/", TB_O_WRONLY | TB_O_CREAT, 0644, &fd);
	EXPECT(-EISDIR, open, dir, "in/", TB_O_WRONLY | TB_O_CREAT | TB_O_EXCL, 0644, &fd);
	EXPECT(OK, unlink, TB_AT_FDCWD, "moved", TB_AT_REMOVEDIR); // in one that is gone the slash is seen first, too
	EXPECT(-EISDIR, open, dir, "in/", TB_O_WRONLY | TB_O_CREAT, 0644, &fd);
	EXPECT(-EISDIR, open, dir, "in/", TB_O_WRONLY | TB_O_CREAT | TB_O_EXCL, 0644, &fd);
	EXPECT(-ENOENT, open, dir, "in", TB_O_WRONLY | TB_O_CREAT | TB_O_EXCL, 0644, &fd);
	EXPECT(OK, close, dir);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDONLY, 0, &fd);
	EXPECT(-ENOTDIR, stat, fd, "x", 0, &stat);
	EXPECT(OK, stat, fd, "", TB_AT_EMPTY_PATH, &stat);
	EXPECT(OK, close, fd);
	EXPECT(-EBADF, stat, fd, "x", 0, &stat);
	EXPECT(OK, stat, fd, "/", 0, &stat); // not looked at
}
