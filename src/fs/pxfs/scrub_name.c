// SPDX-License-Identifier: MIT
//
// Scrubbing: which files have lost something. All names of the tree are looked through once for as many losses as there are, then the way up is walked for each.
#include "scrub_impl.h"

#include "kern/fmt.h"

#define STEP_ITEMS 256u // under the lock at once
#define PATH_BYTES 400u
#define DEPTH_MAX 64u

typedef bool name_fn(struct scrub *scrub, uint64_t dir, const struct pxfs_dirent *entry, void *arg);

// Calls fn for each name from *cursor on, for some items, until it says so. *more: *cursor is where to go on.
static err_t names_step(struct scrub *scrub, struct pxfs_where *cursor, uint64_t last_dir, name_fn *fn, void *arg,
			bool *more)
{
	struct pxfs_tree *tree = NULL;
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = false;
	err_t err = scrub_enter(scrub, &tree);

	*more = false;
	if (tree == NULL)
		return err;
	err = tree_find(tree, cursor, &path, &exact);
	for (uint32_t i = 0; err == 0; i++) {
		err = path_item(&path, cursor, &data, &size, &there);
		*more = err == 0 && there && cursor->object <= last_dir;
		if (!*more || i == STEP_ITEMS)
			break;
		const struct pxfs_dirent *entry = (const struct pxfs_dirent *)data;
		if (cursor->type == PXFS_DIRENT && size > sizeof *entry && size == sizeof *entry + entry->size &&
		    !fn(scrub, cursor->object, entry, arg)) {
			*more = false;
			break;
		}
		path_step(&path);
	}
	path_release(&path);
	scrub_leave(scrub, tree);
	return err;
}

static err_t names_each(struct scrub *scrub, uint64_t first_dir, uint64_t last_dir, name_fn *fn, void *arg)
{
	struct pxfs_where cursor = {first_dir, PXFS_DIRENT, 0};
	bool more = true;
	err_t err = 0;

	while (err == 0 && more)
		err = names_step(scrub, &cursor, last_dir, fn, arg, &more);
	return err;
}

static char *name_copy(const struct pxfs_dirent *entry)
{
	char *name = kmalloc(entry->size + 1u, 0);

	if (name != NULL) {
		memcpy(name, entry + 1, entry->size);
		name[entry->size] = '\0';
	}
	return name;
}

static bool lost_name(struct scrub *scrub, uint64_t dir, const struct pxfs_dirent *entry, void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < scrub->lost_count; i++) {
		struct scrub_lost *lost = &scrub->lost[i];
		if (lost->name != NULL || lost->ino != le64_get(&entry->inode))
			continue;
		lost->name = name_copy(entry);
		lost->dir = dir;
	}
	return true;
}

// ---- the way up -------------------------------------------------------------------------------------------------------------------

struct own_name {
	uint64_t ino;
	char *name;
};

static bool dir_name(struct scrub *scrub, uint64_t dir, const struct pxfs_dirent *entry, void *arg)
{
	struct own_name *own = arg;

	(void)scrub;
	(void)dir;
	if (le64_get(&entry->inode) != own->ino)
		return true;
	own->name = name_copy(entry);
	return false;
}

static uint64_t parent_of(struct scrub *scrub, uint64_t dir)
{
	struct pxfs_where where = {dir, PXFS_INODE, 0};
	struct pxfs_inode item;
	uint32_t size = sizeof item;
	struct pxfs_tree *tree = NULL;
	err_t err = scrub_enter(scrub, &tree);

	if (tree == NULL)
		return 0;
	err = tree_get(tree, &where, &item, &size);
	scrub_leave(scrub, tree);
	return err == 0 && size == sizeof item ? le64_get(&item.parent) : 0;
}

// Puts "/name" before what the path has from *at on; false: there is no room.
static bool path_prepend(char *path, size_t *at, const char *name)
{
	size_t size = strlen(name);

	if (size + 1 > *at)
		return false;
	*at -= size;
	memcpy(path + *at, name, size);
	path[--*at] = '/';
	return true;
}

// From the end to the front; "…" stands for what is above when that is not found, or long.
static const char *path_make(struct scrub *scrub, const struct scrub_lost *lost, char *path, size_t room)
{
	size_t at = room - 1;
	uint64_t dir = lost->dir;
	bool fits = true;

	path[at] = '\0';
	at = at > 3 ? at : 3;
	fits = path_prepend(path, &at, lost->name);
	for (uint32_t depth = 0; fits && dir != PXFS_ROOT_INO; depth++) {
		uint64_t parent = depth < DEPTH_MAX ? parent_of(scrub, dir) : 0;
		struct own_name own = {.ino = dir};
		if (parent != 0 && names_each(scrub, parent, parent, dir_name, &own) != 0)
			parent = 0;
		fits = parent != 0 && own.name != NULL && at > 4 && path_prepend(path, &at, own.name);
		kfree(own.name);
		dir = parent;
	}
	if (!fits && at >= 3) {
		at -= 3;
		memcpy(path + at, "...", 3);
	}
	return path + at;
}

void scrub_lost_say(struct scrub *scrub)
{
	char *path = scrub->lost_count == 0 || scrub->calls->say == NULL ? NULL : kmalloc(PATH_BYTES, 0);
	err_t err = path == NULL ? 0 : names_each(scrub, 0, UINT64_MAX, lost_name, NULL);

	for (uint32_t i = 0; i < scrub->lost_count; i++) {
		struct scrub_lost *lost = &scrub->lost[i];
		const char *name = "";
		if (lost->name != NULL && path != NULL)
			name = path_make(scrub, lost, path, PATH_BYTES);
		scrub_say(scrub, "subvolume %llu, inode %llu%s%s: %u bytes at %llu are lost (sector %llu)%s",
			  (unsigned long long)scrub->tree, (unsigned long long)lost->ino, *name != '\0' ? ", " : "",
			  name, lost->size_bytes, (unsigned long long)lost->offset, (unsigned long long)lost->sector,
			  err != 0 ? "; not all names could be read" : "");
		kfree(lost->name);
	}
	scrub->lost_count = 0;
	kfree(path);
}
