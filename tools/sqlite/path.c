// SPDX-License-Identifier: MIT
//
// One name for each database: journals are found by it, so links on the way are followed before SQLite hears it.
#include "sqlite_impl.h"

#include <errno.h>
#include <string.h>

// A path without links, which grows by names.
struct path {
	char text[TB_PATH_MAX];
	size_t size_bytes; // 0: the root
	uint32_t links;
};

static tb_err text_add(struct path *path, const char *name, size_t size_bytes)
{
	if (path->size_bytes + 1 + size_bytes >= sizeof path->text)
		return -ENAMETOOLONG;
	path->text[path->size_bytes++] = '/';
	memcpy(path->text + path->size_bytes, name, size_bytes);
	path->size_bytes += size_bytes;
	path->text[path->size_bytes] = '\0';
	return 0;
}

static void text_up(struct path *path)
{
	while (path->size_bytes > 0 && path->text[--path->size_bytes] != '/')
		continue;
	path->text[path->size_bytes] = '\0';
}

// `rest` becomes the link's target and what was behind it.
static tb_err link_follow(tb_context *files, struct path *path, char *rest, const char *behind, bool *followed)
{
	char target[TB_PATH_MAX];
	size_t size_bytes = 0, behind_bytes = strlen(behind);
	tb_err err = tb_readlink(files, TB_AT_FDCWD, path->text, target, sizeof target, &size_bytes);
	*followed = err == 0;
	if (err == -EINVAL || err == -ENOENT || err == -ENOTDIR)
		return 0;
	if (err != 0)
		return err;
	if (++path->links > TB_SYMLINKS_MAX)
		return -ELOOP;
	if (size_bytes + 1 + behind_bytes >= TB_PATH_MAX)
		return -ENAMETOOLONG;
	memmove(rest + size_bytes + 1, behind, behind_bytes + 1);
	memcpy(rest, target, size_bytes);
	rest[size_bytes] = '/';
	if (target[0] == '/')
		path->size_bytes = 0;
	else
		text_up(path);
	path->text[path->size_bytes] = '\0';
	return 0;
}

static tb_err path_walk(tb_context *files, struct path *path, char *rest)
{
	char *at = rest;
	while (*at != '\0') {
		bool followed = false;
		size_t size_bytes = strcspn(at, "/");
		tb_err err = 0;
		if (size_bytes == 2 && at[0] == '.' && at[1] == '.') {
			text_up(path);
		} else if (size_bytes > 1 || (size_bytes == 1 && at[0] != '.')) {
			err = text_add(path, at, size_bytes);
			if (err == 0)
				err = link_follow(files, path, rest, at + size_bytes, &followed);
		}
		if (err != 0)
			return err;
		at = followed ? rest : at + size_bytes + (at[size_bytes] == '/');
	}
	return 0;
}

static tb_err path_begin(tb_context *files, const char *name, struct path *path)
{
	path->size_bytes = 0;
	path->links = 0;
	path->text[0] = '\0';
	if (name[0] == '/')
		return 0;
	tb_err err = tb_getcwd(files, path->text, sizeof path->text, &path->size_bytes);
	path->size_bytes = err == 0 ? strlen(path->text) : 0;
	if (path->size_bytes == 1)
		text_up(path);
	return err;
}

int path_full(sqlite3_vfs *base, const char *name, int room_bytes, char *out)
{
	struct sqlite_vfs *vfs = vfs_of(base);
	struct path path;
	char rest[TB_PATH_MAX];
	size_t size_bytes = strlen(name);
	if (size_bytes >= sizeof rest)
		return vfs_fail(vfs, -ENAMETOOLONG, SQLITE_CANTOPEN_FULLPATH);
	memcpy(rest, name, size_bytes + 1);
	tb_err err = path_begin(vfs->files, name, &path);
	if (err == 0)
		err = path_walk(vfs->files, &path, rest);
	if (err == 0 && path.size_bytes >= (size_t)room_bytes)
		err = -ENAMETOOLONG;
	if (err != 0)
		return vfs_fail(vfs, err, SQLITE_CANTOPEN_FULLPATH);
	memcpy(out, path.text, path.size_bytes + 1);
	return path.links != 0 ? SQLITE_OK_SYMLINK : SQLITE_OK;
}

tb_err directory_sync(struct sqlite_vfs *vfs, const char *path)
{
	char folder[TB_PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t size_bytes = slash == NULL ? 0 : (size_t)(slash - path);
	int32_t fd;
	if (size_bytes >= sizeof folder)
		return -ENAMETOOLONG;
	memcpy(folder, path, size_bytes);
	folder[size_bytes] = '\0';
	if (size_bytes == 0)
		memcpy(folder, slash == NULL ? "." : "/", 2);
	tb_err err = tb_open(vfs->files, TB_AT_FDCWD, folder, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	if (err != 0)
		return err;
	err = tb_fsync(vfs->files, fd);
	tb_err closed = tb_close(vfs->files, fd);
	return err != 0 ? err : closed;
}
