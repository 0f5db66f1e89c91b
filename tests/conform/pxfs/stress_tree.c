// SPDX-License-Identifier: MIT
//
// Twins: two trees compared in all that can be seen of them, but for what filesystems differ in: numbers of inodes, blocks, sizes of directories, times that nobody
// set. And one tree made like another, for a model that is to be kept.
#include "stress.h"

#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/string.h"

#define NAMES_MAX 24u   // of one directory
#define NODES_MAX 256u  // of one tree
#define XATTR_LIST 512u // bytes of names
#define PIECE_BYTES 8192u

// Which inode of the one is which of the other; of a copy also where it has its first name.
struct pairing {
	struct twin *twin;
	bool holes;
	const char *what;
	uint32_t count;
	uint64_t numbers[NODES_MAX][TWIN_SIDES];
	char (*names)[TWIN_PATH_BYTES]; // of a copy
	uint8_t pieces[TWIN_SIDES][PIECE_BYTES];
};

struct level {
	char path[TWIN_SIDES][TWIN_PATH_BYTES];
	struct tb_dirent entries[NAMES_MAX];
	uint32_t count;
};

static int32_t opened(struct twin *twin, const char *path, uint32_t flags)
{
	int32_t fd = -1;
	twin_require(twin, vfs_open(twin_root(), TB_AT_FDCWD, path, flags | TB_O_NOATIME, 0, &fd), path);
	return fd;
}

static void closed(struct twin *twin, int32_t fd)
{
	if (fd >= 0)
		twin_require(twin, vfs_close(twin_root(), fd), "close");
}

// Without "." and "..".
static void names_read(struct twin *twin, const char *path, struct level *level)
{
	int32_t fd = opened(twin, path, TB_O_RDONLY | TB_O_DIRECTORY);
	uint32_t count = 1;

	level->count = 0;
	while (fd >= 0 && count != 0 && !twin->wrong) {
		struct tb_dirent entry;
		twin_require(twin, vfs_readdir(twin_root(), fd, &entry, 1, &count), path);
		if (count == 0 || str_equal(entry.name, ".") || str_equal(entry.name, ".."))
			continue;
		if (level->count == NAMES_MAX)
			twin_differ(twin, "%s has more names than there are", path);
		else
			level->entries[level->count++] = entry;
	}
	closed(twin, fd);
}

// ---- contents ---------------------------------------------------------------------------------------------------------------------

static void contents_compare(struct pairing *pairing, int32_t fd, int32_t model_fd, uint64_t size)
{
	struct twin *twin = pairing->twin;
	size_t done = 1, model_done = 1;

	for (uint64_t at = 0; done != 0 && !twin->wrong; at += done) {
		twin_require(twin, vfs_pread(twin_root(), fd, pairing->pieces[TWIN_PXFS], PIECE_BYTES, at, &done),
			     pairing->what);
		twin_require(twin,
			     vfs_pread(twin_root(), model_fd, pairing->pieces[TWIN_MODEL], PIECE_BYTES, at,
				       &model_done),
			     pairing->what);
		size_t same = 0;
		while (same < MIN(done, model_done) &&
		       pairing->pieces[TWIN_PXFS][same] == pairing->pieces[TWIN_MODEL][same])
			same++;
		if (same != done || same != model_done || (done == 0 && at != size))
			twin_differ(twin, "%s: its contents at %llu of %llu bytes", pairing->what,
				    (unsigned long long)(at + same), (unsigned long long)size);
	}
}

static void zeroes_require(struct pairing *pairing, int32_t model_fd, uint64_t from, uint64_t to)
{
	struct twin *twin = pairing->twin;
	size_t done = 1;

	for (; from < to && done != 0 && !twin->wrong; from += done) {
		size_t size = (size_t)MIN(to - from, (uint64_t)PIECE_BYTES);
		twin_require(twin, vfs_pread(twin_root(), model_fd, pairing->pieces[TWIN_MODEL], size, from, &done),
			     pairing->what);
		for (size_t i = 0; i < done && !twin->wrong; i++)
			if (pairing->pieces[TWIN_MODEL][i] != 0)
				twin_differ(twin, "%s: a hole is said to be at %llu, where there are data",
					    pairing->what, (unsigned long long)(from + i));
	}
}

// Data and holes follow each other to the end, and a hole holds zeroes.
static void holes_compare(struct pairing *pairing, int32_t fd, int32_t model_fd, uint64_t size)
{
	struct twin *twin = pairing->twin;
	uint64_t at = 0, data = 0, hole = 0;

	while (at < size && !twin->wrong) {
		err_t err = vfs_seek(twin_root(), fd, (int64_t)at, TB_SEEK_DATA, &data);
		if (err != -ENXIO)
			twin_require(twin, err, "SEEK_DATA");
		data = err == -ENXIO ? size : data;
		zeroes_require(pairing, model_fd, at, data);
		if (data >= size)
			break;
		twin_require(twin, vfs_seek(twin_root(), fd, (int64_t)data, TB_SEEK_HOLE, &hole), "SEEK_HOLE");
		if (data < at || hole <= data || hole > size)
			twin_differ(twin, "%s: data at %llu and a hole at %llu, asked at %llu of %llu", pairing->what,
				    (unsigned long long)data, (unsigned long long)hole, (unsigned long long)at,
				    (unsigned long long)size);
		at = hole;
	}
}

static void file_compare(struct pairing *pairing, const struct level *level, uint64_t size)
{
	int32_t fd = opened(pairing->twin, level->path[TWIN_PXFS], TB_O_RDONLY);
	int32_t model_fd = opened(pairing->twin, level->path[TWIN_MODEL], TB_O_RDONLY);

	if (fd >= 0 && model_fd >= 0) {
		contents_compare(pairing, fd, model_fd, size);
		if (pairing->holes)
			holes_compare(pairing, fd, model_fd, size);
	}
	closed(pairing->twin, fd);
	closed(pairing->twin, model_fd);
}

static void target_compare(struct pairing *pairing, const struct level *level)
{
	size_t done[TWIN_SIDES] = {0};

	for (uint32_t side = 0; side < TWIN_SIDES; side++)
		twin_require(pairing->twin,
			     vfs_readlink(twin_root(), TB_AT_FDCWD, level->path[side], (char *)pairing->pieces[side],
					  PIECE_BYTES, &done[side]),
			     pairing->what);
	if (done[0] != done[1] || memcmp(pairing->pieces[0], pairing->pieces[1], done[0]) != 0)
		twin_differ(pairing->twin, "%s: its target", pairing->what);
}

// ---- attributes -------------------------------------------------------------------------------------------------------------------

static size_t xattrs_list(struct pairing *pairing, const char *path, char names[XATTR_LIST])
{
	size_t size = XATTR_LIST;
	twin_require(pairing->twin, vfs_listxattr(twin_root(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, names, &size),
		     path);
	return pairing->twin->wrong ? 0 : size;
}

static void xattr_compare(struct pairing *pairing, const struct level *level, const char *name)
{
	uint8_t *values[TWIN_SIDES] = {kmalloc(65536, 0), kmalloc(65536, 0)};
	size_t sizes[TWIN_SIDES] = {65536, 65536};

	for (uint32_t side = 0; side < TWIN_SIDES; side++)
		twin_require(pairing->twin,
			     values[side] == NULL
				     ? -ENOMEM
				     : vfs_getxattr(twin_root(), TB_AT_FDCWD, level->path[side], TB_AT_SYMLINK_NOFOLLOW,
						    name, values[side], &sizes[side]),
			     name);
	if (!pairing->twin->wrong && (sizes[0] != sizes[1] || memcmp(values[0], values[1], sizes[0]) != 0))
		twin_differ(pairing->twin, "%s: its attribute %s", pairing->what, name);
	kfree(values[0]);
	kfree(values[1]);
}

// "pxfs.compression" is the volume's own.
static void xattrs_compare(struct pairing *pairing, const struct level *level)
{
	char names[XATTR_LIST];
	size_t size = xattrs_list(pairing, level->path[TWIN_PXFS], names);
	uint32_t count = 0;

	for (size_t at = 0; at < size && !pairing->twin->wrong; at += strlen(names + at) + 1)
		if (strncmp(names + at, "pxfs.", 5) != 0) {
			xattr_compare(pairing, level, names + at);
			count++;
		}
	size = xattrs_list(pairing, level->path[TWIN_MODEL], names);
	for (size_t at = 0; at < size; at += strlen(names + at) + 1)
		count--;
	if (count != 0)
		twin_differ(pairing->twin, "%s: how many attributes it has", pairing->what);
}

// A time that was set, or 0.
static uint64_t time_of(const struct tb_time *time)
{
	bool set = time->seconds >= TWIN_MARK_S && time->seconds < TWIN_MARK_S + TWIN_MARKS;
	return set ? (uint64_t)time->seconds * 1000000000u + time->nanoseconds : 0;
}

// That a file was read the volume may let go, when it knows of no room to say so; and a call that finds no room may have read.
static bool access_differs(const struct twin *twin, uint64_t time, uint64_t model)
{
	return time != model && (time != 0 || !twin->may_be_full) && (time == 0 || model != 0);
}

static void stat_compare(struct twin *twin, const char *what, const struct tb_stat *stat, const struct tb_stat *model)
{
	bool dir = (stat->mode & TB_S_IFMT) == TB_S_IFDIR, file = (stat->mode & TB_S_IFMT) == TB_S_IFREG;

	if (stat->mode != model->mode)
		twin_differ(twin, "%s: mode %o, and %o in the model", what, stat->mode, model->mode);
	else if (stat->nlink != model->nlink)
		twin_differ(twin, "%s: %u links, and %u in the model", what, stat->nlink, model->nlink);
	else if (stat->uid != model->uid || stat->gid != model->gid)
		twin_differ(twin, "%s: its owner", what);
	else if (!dir && stat->size_bytes != model->size_bytes)
		twin_differ(twin, "%s: %llu bytes, and %llu in the model", what, (unsigned long long)stat->size_bytes,
			    (unsigned long long)model->size_bytes);
	else if (stat->rdev != model->rdev)
		twin_differ(twin, "%s: its device", what);
	else if (time_of(&stat->mtime) != time_of(&model->mtime))
		twin_differ(twin, "%s: its time of change %llu, and %llu in the model", what,
			    (unsigned long long)time_of(&stat->mtime), (unsigned long long)time_of(&model->mtime));
	else if (file && access_differs(twin, time_of(&stat->atime), time_of(&model->atime)))
		twin_differ(twin, "%s: its time of access %llu, and %llu in the model", what,
			    (unsigned long long)time_of(&stat->atime), (unsigned long long)time_of(&model->atime));
}

// True: this inode is met for the first time.
static bool pair(struct pairing *pairing, uint64_t number, uint64_t model, uint32_t *index)
{
	for (*index = 0; *index < pairing->count; ++*index) {
		const uint64_t *one = pairing->numbers[*index];
		if (one[TWIN_PXFS] != number && one[TWIN_MODEL] != model)
			continue;
		if (one[TWIN_PXFS] != number || one[TWIN_MODEL] != model)
			twin_differ(pairing->twin, "%s: which other names it has", pairing->what);
		return false;
	}
	if (pairing->count == NODES_MAX) {
		twin_differ(pairing->twin, "there are more files than can be");
		return false;
	}
	pairing->numbers[pairing->count][TWIN_PXFS] = number;
	pairing->numbers[pairing->count++][TWIN_MODEL] = model;
	return true;
}

// ---- trees ------------------------------------------------------------------------------------------------------------------------

static void node_compare(struct pairing *pairing, const struct level *level, bool *is_dir)
{
	struct twin *twin = pairing->twin;
	struct tb_stat stats[TWIN_SIDES] = {{0}};
	uint32_t index;

	pairing->what = level->path[TWIN_PXFS];
	for (uint32_t side = 0; side < TWIN_SIDES; side++)
		twin_require(twin,
			     vfs_stat(twin_root(), TB_AT_FDCWD, level->path[side], TB_AT_SYMLINK_NOFOLLOW,
				      &stats[side]),
			     level->path[side]);
	uint32_t kind = stats[TWIN_PXFS].mode & TB_S_IFMT;
	*is_dir = kind == TB_S_IFDIR;
	if (twin->wrong)
		return;
	stat_compare(twin, pairing->what, &stats[TWIN_PXFS], &stats[TWIN_MODEL]);
	if (twin->wrong || !pair(pairing, stats[TWIN_PXFS].ino, stats[TWIN_MODEL].ino, &index))
		return;
	if (kind == TB_S_IFREG)
		file_compare(pairing, level, stats[TWIN_PXFS].size_bytes);
	else if (kind == TB_S_IFLNK)
		target_compare(pairing, level);
	xattrs_compare(pairing, level);
}

static struct level *level_make(struct pairing *pairing, const struct level *above, const char *name)
{
	struct level *level = kmalloc(sizeof *level, 0);

	if (level == NULL) {
		twin_differ(pairing->twin, "there is no memory to compare");
		return NULL;
	}
	level->count = 0;
	for (uint32_t side = 0; side < TWIN_SIDES; side++)
		if (ksnprintf(level->path[side], TWIN_PATH_BYTES, "%s/%s", above->path[side], name) >= TWIN_PATH_BYTES)
			twin_differ(pairing->twin, "a path is too long");
	return level;
}

static bool same_names(struct pairing *pairing, struct level *level)
{
	struct twin *twin = pairing->twin;
	uint32_t count = 0;

	names_read(twin, level->path[TWIN_MODEL], level);
	count = level->count;
	names_read(twin, level->path[TWIN_PXFS], level);
	for (uint32_t i = 0; i < level->count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (str_equal(level->entries[i].name, level->entries[j].name))
				twin_differ(twin, "%s lists %s twice", level->path[TWIN_PXFS], level->entries[i].name);
	if (level->count != count)
		twin_differ(twin, "%s has %u names, and %u in the model", level->path[TWIN_PXFS], level->count, count);
	return !twin->wrong;
}

static void level_compare(struct pairing *pairing, struct level *level) // a few deep
{
	bool is_dir = false;

	node_compare(pairing, level, &is_dir);
	if (pairing->twin->wrong || !is_dir || !same_names(pairing, level))
		return;
	for (uint32_t i = 0; i < level->count && !pairing->twin->wrong; i++) {
		struct level *below = level_make(pairing, level, level->entries[i].name);
		if (below == NULL)
			return;
		level_compare(pairing, below);
		kfree(below);
	}
}

static struct pairing *pairing_make(struct twin *twin, const char *one, const char *other, struct level **top)
{
	struct pairing *pairing = kmalloc(sizeof *pairing, MEM_ZERO);

	*top = kmalloc(sizeof **top, MEM_ZERO);
	if (pairing == NULL || *top == NULL) {
		twin_differ(twin, "there is no memory to compare");
		kfree(pairing);
		kfree(*top);
		return NULL;
	}
	pairing->twin = twin;
	strlcpy((*top)->path[TWIN_PXFS], one, TWIN_PATH_BYTES);
	strlcpy((*top)->path[TWIN_MODEL], other, TWIN_PATH_BYTES);
	return pairing;
}

void trees_compare(struct twin *twin, const char *pxfs_top, const char *model_top, bool holes)
{
	struct level *top = NULL;
	struct pairing *pairing = pairing_make(twin, pxfs_top, model_top, &top);

	twin->compared++;
	if (pairing == NULL)
		return;
	pairing->holes = holes;
	level_compare(pairing, top);
	kfree(top);
	kfree(pairing);
}

void twin_compare(struct twin *twin, bool holes)
{
	for (uint32_t i = 0; i < TWIN_HELD; i++) {
		struct tb_stat stats[TWIN_SIDES] = {{0}};
		for (uint32_t side = 0; twin->held[i].open && side < TWIN_SIDES; side++)
			twin_require(twin, vfs_fstat(twin_root(), twin->held[i].fd[side], &stats[side]), "fstat");
		stat_compare(twin, "an open file", &stats[TWIN_PXFS], &stats[TWIN_MODEL]);
	}
	trees_compare(twin, twin->tops[TWIN_PXFS], twin->tops[TWIN_MODEL], holes);
}

// ---- copying ----------------------------------------------------------------------------------------------------------------------

static void xattrs_copy(struct pairing *pairing, const struct level *level)
{
	char names[XATTR_LIST];
	size_t size = xattrs_list(pairing, level->path[0], names);
	uint8_t *value = kmalloc(65536, 0);

	twin_require(pairing->twin, value == NULL ? -ENOMEM : 0, "copying");
	for (size_t at = 0; at < size && !pairing->twin->wrong; at += strlen(names + at) + 1) {
		size_t bytes = 65536;
		twin_require(pairing->twin,
			     vfs_getxattr(twin_root(), TB_AT_FDCWD, level->path[0], TB_AT_SYMLINK_NOFOLLOW, names + at,
					  value, &bytes),
			     "copying");
		twin_require(pairing->twin,
			     vfs_setxattr(twin_root(), TB_AT_FDCWD, level->path[1], TB_AT_SYMLINK_NOFOLLOW, names + at,
					  value, bytes, 0),
			     "copying");
	}
	kfree(value);
}

static void contents_copy(struct pairing *pairing, const struct level *level, uint64_t size)
{
	struct twin *twin = pairing->twin;
	int32_t from = opened(twin, level->path[0], TB_O_RDONLY), to = opened(twin, level->path[1], TB_O_WRONLY);
	size_t done = 1, put = 0;

	for (uint64_t at = 0; at < size && done != 0 && !twin->wrong; at += done) {
		twin_require(twin, vfs_pread(twin_root(), from, pairing->pieces[0], PIECE_BYTES, at, &done), "copying");
		twin_require(twin, vfs_pwrite(twin_root(), to, pairing->pieces[0], done, at, &put), "copying");
	}
	closed(twin, from);
	closed(twin, to);
}

static void node_make(struct pairing *pairing, const struct level *level, const struct tb_stat *stat)
{
	uint32_t kind = stat->mode & TB_S_IFMT;
	struct twin *twin = pairing->twin;
	size_t done = 0;

	if (kind == TB_S_IFLNK) {
		twin_require(twin,
			     vfs_readlink(twin_root(), TB_AT_FDCWD, level->path[0], (char *)pairing->pieces[0],
					  PIECE_BYTES - 1, &done),
			     "copying");
		pairing->pieces[0][done] = '\0';
		twin_require(twin, vfs_symlink(twin_root(), (char *)pairing->pieces[0], TB_AT_FDCWD, level->path[1]),
			     "copying");
	} else if (kind == TB_S_IFDIR) {
		err_t err = vfs_mkdir(twin_root(), TB_AT_FDCWD, level->path[1], 0755);
		twin_require(twin, err == -EEXIST && pairing->count == 1 ? 0 : err, "copying");
	} else {
		twin_require(twin, vfs_mknod(twin_root(), TB_AT_FDCWD, level->path[1], kind | 0600, stat->rdev),
			     "copying");
		if (kind == TB_S_IFREG)
			contents_copy(pairing, level, stat->size_bytes);
	}
}

// Behind all that changes them.
static void node_finish(struct pairing *pairing, const struct level *level, const struct tb_stat *stat)
{
	const struct tb_time times[2] = {stat->atime, stat->mtime};
	struct twin *twin = pairing->twin;
	const char *path = level->path[1];

	if ((stat->mode & TB_S_IFMT) != TB_S_IFLNK)
		xattrs_copy(pairing, level);
	twin_require(twin, vfs_chown(twin_root(), TB_AT_FDCWD, path, stat->uid, stat->gid, TB_AT_SYMLINK_NOFOLLOW),
		     "copying");
	if ((stat->mode & TB_S_IFMT) != TB_S_IFLNK)
		twin_require(twin, vfs_chmod(twin_root(), TB_AT_FDCWD, path, stat->mode & 07777, 0), "copying");
	twin_require(twin, vfs_utimens(twin_root(), TB_AT_FDCWD, path, times, TB_AT_SYMLINK_NOFOLLOW), "copying");
}

static void level_copy(struct pairing *pairing, struct level *level) // a few deep
{
	struct twin *twin = pairing->twin;
	struct tb_stat stat = {0};
	uint32_t index = 0;

	twin_require(twin, vfs_stat(twin_root(), TB_AT_FDCWD, level->path[0], TB_AT_SYMLINK_NOFOLLOW, &stat),
		     "copying");
	if (twin->wrong)
		return;
	if (!pair(pairing, stat.ino, stat.ino, &index)) {
		twin_require(twin,
			     vfs_link(twin_root(), TB_AT_FDCWD, pairing->names[index], TB_AT_FDCWD, level->path[1], 0),
			     "copying");
		return;
	}
	strlcpy(pairing->names[index], level->path[1], TWIN_PATH_BYTES);
	node_make(pairing, level, &stat);
	if ((stat.mode & TB_S_IFMT) == TB_S_IFDIR)
		names_read(twin, level->path[0], level);
	for (uint32_t i = 0; i < level->count && !twin->wrong; i++) {
		struct level *below = level_make(pairing, level, level->entries[i].name);
		if (below == NULL)
			return;
		level_copy(pairing, below);
		kfree(below);
	}
	node_finish(pairing, level, &stat);
}

void tree_copy(struct twin *twin, const char *from, const char *to)
{
	struct level *top = NULL;
	struct pairing *pairing = pairing_make(twin, from, to, &top);

	if (pairing == NULL)
		return;
	pairing->names = kmalloc(NODES_MAX * TWIN_PATH_BYTES, 0);
	if (pairing->names != NULL)
		level_copy(pairing, top);
	else
		twin_differ(twin, "there is no memory to copy");
	kfree(pairing->names);
	kfree(top);
	kfree(pairing);
}
