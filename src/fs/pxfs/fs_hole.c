// SPDX-License-Identifier: MIT
//
// Sizes, holes, promises of room: truncate, fallocate, SEEK_DATA and SEEK_HOLE.
#include "fs_impl.h"

// A file that lies in its leaf and is to be something else comes to lie in pages, all of them dirty.
static err_t inline_cut(struct pxfs_mount *mount, uint64_t ino, uint64_t size_bytes)
{
	struct pxfs_tree *tree = &mount->subvol->tree;
	struct pxfs_where where = {ino, PXFS_INLINE, 0};
	uint8_t bytes[PXFS_INLINE_MAX];
	uint32_t size = sizeof bytes;
	err_t err = tree_get(tree, &where, bytes, &size);

	if (err == -ENOENT || (err == 0 && size <= size_bytes))
		return 0;
	if (err == 0)
		err = size_bytes == 0 ? tree_take(tree, &where) : tree_put(tree, &where, bytes, (uint32_t)size_bytes);
	return err;
}

err_t pxfs_resize(struct inode *inode, uint64_t size_bytes)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct pxfs_tree *tree = &mount->subvol->tree;
	bool shrinks = size_bytes < inode_size(inode);
	int64_t sectors = 0;
	err_t err = epoch_enter(mount, !shrinks);

	if (err != 0)
		return err;
	pxfs_core(inode)->shrinks = shrinks;
	err = cache_resize(inode, size_bytes);
	pxfs_core(inode)->shrinks = false;
	if (err == 0 && shrinks) {
		rwlock_write_lock(&tree->lock);
		err = inline_cut(mount, inode->ino, size_bytes);
		if (err == 0)
			err = extent_punch(mount->subvol, inode->ino, ALIGN_UP(size_bytes, (uint64_t)FRAME_SIZE),
					   INT64_MAX, &sectors);
		err = volume_break(mount->volume, err);
		rwlock_write_unlock(&tree->lock);
	}
	if (sectors != 0)
		pxfs_blocks_add(inode, sectors);
	if (err == 0)
		inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
	epoch_leave(mount);
	return err;
}

// What lies in the leaf comes to lie in a cluster of its own.
err_t pxfs_inline_leave(struct pxfs_mount *mount, struct inode *inode)
{
	struct pxfs_where where = {inode->ino, PXFS_INLINE, 0};
	struct page *page = NULL;
	uint32_t size = 0;
	err_t err = 0;

	rwlock_read_lock(&mount->subvol->tree.lock);
	err = tree_get(&mount->subvol->tree, &where, &size, &size);
	rwlock_read_unlock(&mount->subvol->tree.lock);
	if (err == -ENOENT || inode_size(inode) == 0)
		return 0;
	err = cache_page_get(inode, 0, &page);
	if (err != 0)
		return err;
	page_lock(page);
	page_wait_writeback(page);
	(void)atomic_fetch_or_u32_acq_rel(&page->flags, PAGE_CHANGED);
	err = pxfs_clusters_flush(mount, inode, 0, &page, 1);
	(void)atomic_fetch_and_u32_acq_rel(&page->flags, ~(uint32_t)PAGE_CHANGED);
	page_unlock(page);
	page_put(page);
	return err;
}

static err_t inline_size(struct pxfs_mount *mount, uint64_t ino, uint32_t *size_bytes)
{
	uint8_t bytes[PXFS_INLINE_MAX];

	*size_bytes = sizeof bytes;
	err_t err = tree_get(&mount->subvol->tree, &(struct pxfs_where){ino, PXFS_INLINE, 0}, bytes, size_bytes);
	if (err == -ENOENT)
		*size_bytes = 0;
	return err == -ENOENT ? 0 : err;
}

// From *at to the next place that is a hole, or data. -ENXIO: no data follow.
static err_t extents_seek(struct pxfs_mount *mount, uint64_t ino, bool data, uint64_t *at)
{
	struct pxfs_piece piece;
	bool there = true;

	for (;;) {
		err_t err = extent_find(mount->subvol, ino, *at, &piece, &there);
		if (err != 0)
			return err;
		if (!there)
			return data ? -ENXIO : 0;
		bool zero = le64_get(&piece.extent.address) == 0;
		if (!data && (piece.offset > *at || zero))
			return 0;
		if (data && !zero) {
			*at = MAX(*at, piece.offset);
			return 0;
		}
		*at = piece.offset + le32_get(&piece.extent.length);
	}
}

// What is dirty comes to lie somewhere first, so that the tree knows.
err_t pxfs_seek(struct inode *inode, uint64_t offset, bool data, uint64_t *found)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct pxfs_tree *tree = &mount->subvol->tree;
	uint64_t at = offset;
	uint32_t in_leaf = 0;
	err_t err = cache_flush(inode, 0, UINT64_MAX);

	rwlock_read_lock(&tree->lock);
	if (err == 0)
		err = inline_size(mount, inode->ino, &in_leaf);
	bool leaf = err == 0 && offset < in_leaf;
	if (leaf && !data)
		at = ALIGN_UP(in_leaf, FRAME_SIZE);
	if (err == 0 && !(leaf && data))
		err = extents_seek(mount, inode->ino, data, &at);
	rwlock_read_unlock(&tree->lock);
	*found = at;
	return err;
}

// Holes become extents that read as zeroes and whose room is promised. The tree is locked for writing.
static err_t holes_fill(struct pxfs_mount *mount, uint64_t ino, uint64_t from, uint64_t to, int64_t *sectors)
{
	struct pxfs_piece piece;
	err_t err = 0;

	while (err == 0 && from < to) {
		bool there = false;
		err = extent_find(mount->subvol, ino, from, &piece, &there);
		if (err != 0)
			break;
		uint64_t hole_end = there ? MIN(piece.offset, to) : to;
		if (hole_end > from) {
			uint32_t length = (uint32_t)MIN(hole_end - from, 1ull << 30);
			struct pxfs_piece zero = {.offset = from, .extent = {.method = PXFS_METHOD_NONE}};
			le32_put(&zero.extent.length, length);
			err = extent_put(mount->subvol, ino, &zero, sectors);
			from += length;
		} else {
			from = piece.offset + le32_get(&piece.extent.length);
		}
	}
	return err;
}

static err_t range_promise(struct pxfs_mount *mount, struct inode *inode, uint64_t offset, uint64_t end)
{
	uint64_t from = ALIGN_DOWN(offset, (uint64_t)FRAME_SIZE), to = ALIGN_UP(end, (uint64_t)FRAME_SIZE);
	struct pxfs_space_state *space = &mount->volume->space;
	int64_t sectors = 0;

	mutex_lock(&space->lock);
	bool fits = space_fits(mount->volume, space->margin_sectors, 0, (to - from) / FRAME_SIZE);
	mutex_unlock(&space->lock);
	if (!fits)
		return ERR(ENOSPC);
	rwlock_write_lock(&mount->subvol->tree.lock);
	err_t err = holes_fill(mount, inode->ino, from, to, &sectors);
	rwlock_write_unlock(&mount->subvol->tree.lock);
	pxfs_blocks_add(inode, sectors);
	return err;
}

static err_t range_punch(struct pxfs_mount *mount, struct inode *inode, uint64_t offset, uint64_t end)
{
	uint64_t from = ALIGN_UP(offset, (uint64_t)FRAME_SIZE), to = ALIGN_DOWN(end, (uint64_t)FRAME_SIZE);
	int64_t sectors = 0;
	pxfs_core(inode)->shrinks = true;
	err_t err = cache_punch(inode, offset, end);
	pxfs_core(inode)->shrinks = false;
	if (err != 0 || from >= to)
		return err;
	rwlock_write_lock(&mount->subvol->tree.lock);
	if (from == 0)
		err = inline_cut(mount, inode->ino, 0);
	if (err == 0)
		err = extent_punch(mount->subvol, inode->ino, from, to, &sectors);
	err = volume_break(mount->volume, err);
	rwlock_write_unlock(&mount->subvol->tree.lock);
	pxfs_blocks_add(inode, sectors);
	return err;
}

// A file in its leaf comes out of it first: its page is dirty, and the file is larger than what lies in leaves.
err_t pxfs_fallocate(struct inode *inode, uint32_t mode, uint64_t offset, uint64_t size_bytes)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	bool punch = (mode & TB_FALLOC_PUNCH_HOLE) != 0, zero = (mode & TB_FALLOC_ZERO_RANGE) != 0;
	uint64_t end = offset + size_bytes;
	err_t err = epoch_enter(mount, !punch);

	if (err != 0)
		return err;
	if (punch || zero)
		err = range_punch(mount, inode, offset, end);
	if (err == 0 && !punch && end > PXFS_INLINE_MAX)
		err = pxfs_inline_leave(mount, inode);
	if (err == 0 && !punch && end > PXFS_INLINE_MAX)
		err = range_promise(mount, inode, offset, end);
	if (err == 0 && !punch && (mode & TB_FALLOC_KEEP_SIZE) == 0 && end > inode_size(inode))
		inode_set_size(inode, end);
	if (err == 0)
		inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
	epoch_leave(mount);
	return err;
}
