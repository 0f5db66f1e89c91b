// SPDX-License-Identifier: MIT
//
// What a small tree holds: names, links, sizes, contents, attributes, without what filesystems differ in: numbers of inodes, blocks, times that nobody set.
#include "crash.h"

#define CONTENTS_MAX 131072u

static struct process *root(void)
{
	return vfs_monitor_process();
}

uint64_t bytes_digest(const void *bytes, size_t size)
{
	return checksum_xxh3(bytes, size, 23 + size);
}

static void err_keep(struct tree_entry *entry, err_t err)
{
	if (entry->err == 0)
		entry->err = err;
}

static void file_read(const char *path, struct tree_entry *entry)
{
	size_t room = (size_t)MIN(entry->size, (uint64_t)CONTENTS_MAX) + 1, done = 0;
	uint8_t *bytes = kmalloc(room, 0);
	int32_t fd = -1;
	err_t err = bytes == NULL ? ERR(ENOMEM) : vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd);

	if (err == 0)
		err = vfs_read(root(), fd, bytes, room, &done);
	if (err == 0 && done != entry->size)
		err = ERR(EUCLEAN);
	if (err == 0)
		entry->contents = bytes_digest(bytes, done);
	err_keep(entry, err);
	if (fd >= 0)
		err_keep(entry, vfs_close(root(), fd));
	kfree(bytes);
}

static void attributes_read(const char *path, struct tree_entry *entry)
{
	char *names = kmalloc(4096, 0), *value = kmalloc(4096, 0);
	size_t size = 4096;
	err_t err = names == NULL || value == NULL ? ERR(ENOMEM) : 0;

	if (err == 0)
		err = vfs_listxattr(root(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, names, &size);
	for (size_t at = 0; err == 0 && at < size; at += strlen(names + at) + 1) {
		size_t value_size = 4096;
		err = vfs_getxattr(root(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, names + at, value, &value_size);
		if (err == 0) // added up: their order is nothing
			entry->attributes += bytes_digest(names + at, strlen(names + at)) ^
					     bytes_digest(value, value_size) * 0x9e3779b97f4a7c15ull;
	}
	err_keep(entry, err);
	kfree(names);
	kfree(value);
}

static void entry_read(const char *path, struct tree_entry *entry, uint64_t *ino)
{
	struct tb_stat stat;
	char target[64];
	size_t size = 0;
	err_t err = vfs_stat(root(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat);

	err_keep(entry, err);
	if (err != 0)
		return;
	bool dir = (stat.mode & TB_S_IFMT) == TB_S_IFDIR, link = (stat.mode & TB_S_IFMT) == TB_S_IFLNK;
	*ino = stat.ino;
	entry->mode = stat.mode;
	entry->links = stat.nlink;
	entry->uid = stat.uid;
	entry->gid = stat.gid;
	entry->size = dir ? 0 : stat.size_bytes;
	entry->mtime_s = stat.mtime.seconds == 1000000000 ? stat.mtime.seconds : 0;
	if (link) {
		err = vfs_readlink(root(), TB_AT_FDCWD, path, target, sizeof target, &size);
		err_keep(entry, err);
		entry->target = bytes_digest(target, size);
	} else if (!dir) {
		file_read(path, entry);
	}
	if (!link)
		attributes_read(path, entry);
}

// Names of one directory, sorted into the tree behind `first`; what lies deeper is added by the caller.
static void names_read(const char *path, const char *below, struct tree *tree)
{
	struct tb_dirent *entries = kmalloc(8 * sizeof *entries, 0);
	uint32_t count = 0;
	int32_t fd = -1;
	err_t err = entries == NULL ? ERR(ENOMEM)
				    : vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);

	while (err == 0) {
		err = vfs_readdir(root(), fd, entries, 8, &count);
		for (uint32_t i = 0; err == 0 && i < count; i++) {
			if (str_equal(entries[i].name, ".") || str_equal(entries[i].name, ".."))
				continue;
			if (tree->count == TREE_MAX) {
				err = ERR(ENOSPC);
				break;
			}
			struct tree_entry *entry = &tree->entries[tree->count++];
			*entry = (struct tree_entry){.err = 0};
			ksnprintf(entry->path, sizeof entry->path, "%s%s%s", below, *below != '\0' ? "/" : "",
				  entries[i].name);
		}
		if (err != 0 || count == 0)
			break;
	}
	if (fd >= 0) {
		err_t closed = vfs_close(root(), fd);
		err = err != 0 ? err : closed;
	}
	kfree(entries);
	if (tree->err == 0)
		tree->err = err;
}

static void entries_sort(struct tree *tree, uint64_t *numbers)
{
	for (uint32_t i = 1; i < tree->count; i++)
		for (uint32_t j = i; j > 0 && strcmp(tree->entries[j].path, tree->entries[j - 1].path) < 0; j--) {
			struct tree_entry entry = tree->entries[j];
			uint64_t number = numbers[j];
			tree->entries[j] = tree->entries[j - 1];
			tree->entries[j - 1] = entry;
			numbers[j] = numbers[j - 1];
			numbers[j - 1] = number;
		}
}

void tree_capture(const char *top, struct tree *tree)
{
	uint64_t numbers[TREE_MAX] = {0};
	char path[40];

	memset(tree, 0, sizeof *tree);
	tree->count = 1;
	for (uint32_t i = 0; i < tree->count; i++) {
		struct tree_entry *entry = &tree->entries[i];
		ksnprintf(path, sizeof path, "%s%s%s", top, i != 0 ? "/" : "", entry->path);
		entry_read(path, entry, &numbers[i]);
		if ((entry->mode & TB_S_IFMT) == TB_S_IFDIR)
			names_read(path, entry->path, tree);
	}
	entries_sort(tree, numbers);
	for (uint32_t i = 0; i < tree->count; i++)
		for (uint32_t j = 0; j <= i; j++)
			if (numbers[j] == numbers[i]) {
				tree->entries[i].same = j;
				break;
			}
}

uint64_t tree_digest(const struct tree *tree)
{
	return checksum_xxh3(tree->entries, tree->count * sizeof tree->entries[0], (uint64_t)tree->err + 5);
}

struct tree_entry *tree_entry_of(const struct tree *tree, const char *path)
{
	for (uint32_t i = 0; i < tree->count; i++)
		if (str_equal(tree->entries[i].path, path))
			return (struct tree_entry *)(uintptr_t)&tree->entries[i];
	return NULL;
}

// As if somebody had made it; the name comes behind all that are there.
void tree_add_file(struct tree *tree, const char *path, uint32_t mode, const void *bytes, size_t size)
{
	struct tree_entry *entry = tree_entry_of(tree, path);

	if (entry == NULL && tree->count < TREE_MAX)
		entry = &tree->entries[tree->count++];
	if (entry == NULL)
		return;
	*entry = (struct tree_entry){.mode = TB_S_IFREG | mode, .links = 1, .size = size};
	strlcpy(entry->path, path, sizeof entry->path);
	entry->contents = bytes_digest(bytes, size);
	entry->same = (uint32_t)(entry - tree->entries);
}

// ---- comparing -------------------------------------------------------------------------------------------------------------

static const char *entry_difference(const struct tree_entry *a, const struct tree_entry *b)
{
	return a->mode != b->mode                     ? "its mode"
	       : a->links != b->links                 ? "its links"
	       : a->uid != b->uid || a->gid != b->gid ? "its owner"
	       : a->size != b->size                   ? "its size"
	       : a->contents != b->contents           ? "its contents"
	       : a->target != b->target               ? "its target"
	       : a->attributes != b->attributes       ? "its attributes"
	       : a->mtime_s != b->mtime_s             ? "its time"
	       : a->same != b->same                   ? "which other names it has"
						      : NULL;
}

void tree_differ(const struct tree *found, const struct tree *wanted, char *text, size_t size)
{
	*text = '\0';
	for (uint32_t i = 0; i < found->count && *text == '\0'; i++) {
		const struct tree_entry *entry = &found->entries[i], *other = tree_entry_of(wanted, entry->path);
		const char *what = other == NULL ? "its name" : entry_difference(entry, other);
		if (entry->err != 0)
			ksnprintf(text, size, "%s: %pe", entry->path, ERR_PTR(entry->err));
		else if (what != NULL)
			ksnprintf(text, size, "\"%s\" differs in %s", entry->path, what);
	}
	for (uint32_t i = 0; i < wanted->count && *text == '\0'; i++)
		if (tree_entry_of(found, wanted->entries[i].path) == NULL)
			ksnprintf(text, size, "\"%s\" is missing", wanted->entries[i].path);
	if (*text == '\0' && found->err != 0)
		ksnprintf(text, size, "a directory cannot be read: %pe", ERR_PTR(found->err));
}

bool tree_is_true(const struct tree *found, const struct tree *wanted, char *text, size_t size)
{
	for (uint32_t i = 0; i < found->count; i++) {
		const struct tree_entry *entry = &found->entries[i], *other = tree_entry_of(wanted, entry->path);
		if (other == NULL) {
			ksnprintf(text, size, "\"%s\" is there, and was not", entry->path);
			return false;
		}
		struct tree_entry copy = *other;
		copy.same = entry->same; // counted among those that are there
		const char *what = entry->err != 0 ? NULL : entry_difference(entry, &copy);
		if (what != NULL) {
			ksnprintf(text, size, "\"%s\" differs in %s", entry->path, what);
			return false;
		}
	}
	for (uint32_t i = 0; found->err == 0 && i < wanted->count; i++)
		if (tree_entry_of(found, wanted->entries[i].path) == NULL) {
			ksnprintf(text, size, "\"%s\" is missing without an error", wanted->entries[i].path);
			return false;
		}
	return true;
}
