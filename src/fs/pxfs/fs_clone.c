// SPDX-License-Identifier: MIT
//
// Reflink: pieces of one file come to be pieces of another, with one reference more each. What is dirty in the source comes to lie somewhere first, and what lies in its
// leaf in a cluster.
#include "fs_impl.h"

#define PIECES_ONCE 256u // of one epoch

// What is to come to `to` is whole in an epoch up to here.
struct clone {
	struct pxfs_mount *mount;
	struct inode *from, *to;
	uint64_t at, end, shift; // of the source; where a byte of it comes to lie, less where it lies
};

// The piece at clone->at or behind it, cut to what is wanted; false: a hole to the end.
static err_t piece_cut(const struct clone *clone, struct pxfs_piece *piece, bool *there)
{
	err_t err = extent_find(clone->mount->subvol, clone->from->ino, clone->at, piece, there);

	if (err != 0 || !*there)
		return err;
	uint64_t begin = MAX(piece->offset, clone->at), end = piece->offset + le32_get(&piece->extent.length);
	end = MIN(end, ALIGN_UP(clone->end, (uint64_t)FRAME_SIZE));
	*there = begin < end;
	if (!*there)
		return 0;
	le32_put(&piece->extent.into, le32_get(&piece->extent.into) + (uint32_t)(begin - piece->offset));
	le32_put(&piece->extent.length, (uint32_t)(end - begin));
	piece->offset = begin;
	return 0;
}

static err_t piece_clone(const struct clone *clone, struct pxfs_piece *piece, int64_t *sectors)
{
	struct pxfs_subvol *subvol = clone->mount->subvol;

	if (le64_get(&piece->extent.address) == 0) // reads as zeroes, and so does a hole
		return 0;
	err_t err = extent_hold(subvol->volume, &piece->extent);
	piece->offset += clone->shift;
	le64_put(&piece->extent.reference_birth, subvol->volume->generation);
	return err == 0 ? extent_put(subvol, clone->to->ino, piece, sectors) : err;
}

// The tree is locked for writing. What is in the way of the pieces goes first.
static err_t pieces_clone(struct clone *clone, int64_t *sectors)
{
	uint64_t whole_end = ALIGN_UP(clone->end, (uint64_t)FRAME_SIZE);
	struct pxfs_piece piece;
	bool there = true;
	err_t err = 0;

	for (uint32_t i = 0; i < PIECES_ONCE && err == 0 && clone->at < clone->end; i++) {
		err = piece_cut(clone, &piece, &there);
		if (err != 0)
			break;
		uint64_t to = there ? piece.offset + le32_get(&piece.extent.length) : whole_end;
		err = extent_punch(clone->mount->subvol, clone->to->ino, clone->at + clone->shift, to + clone->shift,
				   sectors);
		if (err == 0 && there)
			err = piece_clone(clone, &piece, sectors);
		clone->at = MIN(to, clone->end);
	}
	return err;
}

// One epoch's worth: the pages of what has come go, and the file grows that far.
static err_t part_clone(struct clone *clone)
{
	struct pxfs_mount *mount = clone->mount;
	struct pxfs_tree *tree = &mount->subvol->tree;
	uint64_t began = clone->at;
	int64_t sectors = 0;
	err_t err = epoch_enter(mount, true);

	if (err != 0)
		return err;
	err = pxfs_inline_leave(mount, clone->to);
	if (err == 0) {
		rwlock_write_lock(&tree->lock);
		err = volume_break(mount->volume, pieces_clone(clone, &sectors));
		rwlock_write_unlock(&tree->lock);
	}
	if (err == 0) {
		uint64_t end = clone->at + clone->shift;
		pxfs_core(clone->to)->shrinks = true;
		err = cache_punch(clone->to, began + clone->shift, ALIGN_UP(end, (uint64_t)FRAME_SIZE));
		pxfs_core(clone->to)->shrinks = false;
		if (end > inode_size(clone->to))
			inode_set_size(clone->to, end);
		pxfs_blocks_add(clone->to, sectors);
		inode_touch(clone->to, ATTR_MTIME | ATTR_CTIME);
	}
	epoch_leave(mount);
	return err;
}

err_t pxfs_clone(struct inode *from, uint64_t from_offset, struct inode *to, uint64_t to_offset, uint64_t size_bytes,
		 uint64_t *done_bytes)
{
	struct clone clone = {.mount = pxfs_mount_of(from),
			      .from = from,
			      .to = to,
			      .at = from_offset,
			      .end = from_offset + size_bytes,
			      .shift = to_offset - from_offset};
	err_t err = cache_flush(from, from_offset / FRAME_SIZE, (clone.end - 1) / FRAME_SIZE);

	*done_bytes = 0;
	if (err == 0) // or it would be written back over what comes there
		err = cache_flush(to, to_offset / FRAME_SIZE, (to_offset + size_bytes - 1) / FRAME_SIZE);
	if (err == 0 && inode_size(to) <= PXFS_INLINE_MAX) // what is dirty of it comes to no leaf any more
		err = cache_flush(to, 0, 0);
	if (err == 0)
		err = epoch_enter(clone.mount, true);
	if (err != 0)
		return err;
	err = pxfs_inline_leave(clone.mount, from); // flushed, a small file lies in its leaf
	epoch_leave(clone.mount);
	while (err == 0 && clone.at < clone.end) {
		err = part_clone(&clone);
		*done_bytes = err == 0 ? clone.at - from_offset : *done_bytes;
	}
	return *done_bytes != 0 ? 0 : err;
}
