// SPDX-License-Identifier: MIT
//
// Inodes that no name leads to: an item says so from the moment when the last name goes, so that whoever mounts after a power cut finds them. When nobody has one open
// any more, the mount's thread takes it apart.
#include "fs_impl.h"

err_t pxfs_orphan_set(struct pxfs_mount *mount, uint64_t ino, bool orphan)
{
	struct pxfs_tree *tree = &mount->subvol->tree;
	struct pxfs_where where = {0, PXFS_ORPHAN, ino};

	rwlock_write_lock(&tree->lock);
	err_t err = orphan ? tree_put(tree, &where, &ino, 0) : tree_take(tree, &where);
	rwlock_write_unlock(&tree->lock);
	return err;
}

// Takes away the inode's items from the end, some at a time, so that no operation waits for long. *done: nothing is left.
static err_t items_take(struct pxfs_mount *mount, uint64_t ino, bool *done)
{
	struct pxfs_tree *tree = &mount->subvol->tree;
	struct pxfs_where end = {ino + 1, 0, 0};
	int64_t sectors = 0;
	err_t err = 0;

	*done = false;
	rwlock_write_lock(&tree->lock);
	for (uint32_t i = 0; i < 64 && err == 0 && !*done; i++) {
		struct pxfs_path path;
		struct pxfs_where where;
		const uint8_t *data = NULL;
		uint32_t size = 0;
		bool there = false;
		err = tree_last(tree, &end, &path, &there);
		if (err == 0 && there)
			err = path_item(&path, &where, &data, &size, &there);
		path_release(&path);
		if (err != 0)
			break;
		if (!there || where.object != ino)
			*done = true;
		else if (where.type == PXFS_EXTENT)
			err = extent_punch(mount->subvol, ino, where.offset, INT64_MAX, &sectors);
		else
			err = tree_take(tree, &where);
	}
	rwlock_write_unlock(&tree->lock);
	return err;
}

// The first orphan from `from` on that is nobody's in memory.
static err_t orphan_next(struct pxfs_mount *mount, uint64_t from, uint64_t *ino, bool *there)
{
	struct pxfs_tree *tree = &mount->subvol->tree;
	struct pxfs_where where = {0, PXFS_ORPHAN, from};
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, used = true;

	rwlock_read_lock(&tree->lock);
	err_t err = tree_find(tree, &where, &path, &exact);
	*there = false;
	while (err == 0 && used) {
		err = path_item(&path, &where, &data, &size, there);
		*there = *there && where.object == 0 && where.type == PXFS_ORPHAN;
		if (err != 0 || !*there)
			break;
		*ino = where.offset;
		used = pxfs_is_known(mount, *ino);
		path_step(&path);
	}
	path_release(&path);
	rwlock_read_unlock(&tree->lock);
	return err;
}

err_t pxfs_orphans_reap(struct pxfs_mount *mount)
{
	uint64_t ino = 0;
	bool there = true, done = false;
	err_t err = 0;

	while (err == 0 && there && atomic_load_u32_acquire(&mount->stop) == 0) {
		err = orphan_next(mount, ino, &ino, &there);
		done = !there;
		while (err == 0 && !done) {
			err = epoch_enter(mount, false);
			if (err != 0)
				break;
			err = items_take(mount, ino, &done);
			if (err == 0 && done)
				err = pxfs_orphan_set(mount, ino, false);
			epoch_leave(mount);
		}
	}
	return err;
}
