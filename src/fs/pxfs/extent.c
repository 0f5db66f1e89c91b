// SPDX-License-Identifier: MIT
//
// Which piece of a file lies where. Pieces of one cluster share its sectors; an item in the tree of references counts them when there are two or more, and goes when
// there is one again.
#include "fs_impl.h"

static struct pxfs_where where_at(uint64_t ino, uint64_t offset)
{
	return (struct pxfs_where){ino, PXFS_EXTENT, offset};
}

static uint32_t stored_sectors(const struct pxfs_extent *extent)
{
	return DIV_ROUND_UP(le32_get(&extent->stored), SECTOR_SIZE);
}

// ---- references -------------------------------------------------------------------------------------------------------------

static err_t refs_change(struct pxfs_volume *volume, const struct pxfs_extent *extent, int32_t by, uint32_t *left)
{
	struct pxfs_tree *tree = &volume->refs_tree;
	struct pxfs_where where = {le64_get(&extent->address), PXFS_REFS, 0};
	struct pxfs_refs refs = {.count = {{1}}};
	uint32_t size = sizeof refs;

	rwlock_write_lock(&tree->lock);
	err_t err = tree_get(tree, &where, &refs, &size);
	bool there = err == 0;
	uint32_t count = there ? le32_get(&refs.count) : 1;
	if (err == -ENOENT)
		err = 0;
	*left = (uint32_t)((int32_t)count + by);
	le32_put(&refs.count, *left);
	le32_put(&refs.sectors, stored_sectors(extent));
	le64_put(&refs.birth, le64_get(&extent->physical_birth));
	if (err == 0 && *left >= 2)
		err = tree_put(tree, &where, &refs, sizeof refs);
	else if (err == 0 && there)
		err = tree_take(tree, &where);
	rwlock_write_unlock(&tree->lock);
	return err;
}

static err_t extent_hold(struct pxfs_subvol *subvol, const struct pxfs_extent *extent)
{
	uint32_t left = 0;

	if (le64_get(&extent->address) == 0)
		return 0;
	return refs_change(subvol->volume, extent, 1, &left);
}

static err_t extent_drop(struct pxfs_subvol *subvol, const struct pxfs_extent *extent)
{
	uint64_t address = le64_get(&extent->address);
	uint32_t left = 0;

	if (address == 0)
		return 0;
	err_t err = refs_change(subvol->volume, extent, -1, &left);
	if (err == 0 && left == 0)
		err = space_give_up(subvol->volume, false, &address, 1, stored_sectors(extent));
	return err;
}

// ---- finding ------------------------------------------------------------------------------------------------------------------

static bool piece_is_sound(const struct pxfs_volume *volume, const struct pxfs_piece *piece)
{
	const struct pxfs_extent *extent = &piece->extent;
	uint64_t address = le64_get(&extent->address), length = le32_get(&extent->length);
	uint64_t cluster = le32_get(&extent->cluster), stored = le32_get(&extent->stored);

	if (length == 0 || piece->offset > INT64_MAX - length)
		return false;
	if (address == 0)
		return true;
	return cluster <= 1u << PXFS_CLUSTER_SHIFT_MAX && le32_get(&extent->into) + length <= cluster && stored != 0 &&
	       stored <= cluster && address < volume->sectors && stored_sectors(extent) <= volume->sectors - address &&
	       extent->method < PXFS_METHOD_COUNT;
}

static err_t piece_at(struct pxfs_subvol *subvol, struct pxfs_path *path, uint64_t ino, struct pxfs_piece *piece,
		      bool *there)
{
	struct pxfs_where where;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	err_t err = path_item(path, &where, &data, &size, there);

	if (err != 0 || !*there)
		return err;
	if (where.object != ino || where.type != PXFS_EXTENT) {
		*there = false;
		return 0;
	}
	piece->offset = where.offset;
	if (size == sizeof piece->extent)
		memcpy(&piece->extent, data, sizeof piece->extent);
	if (size == sizeof piece->extent && piece_is_sound(subvol->volume, piece))
		return 0;
	log_err_limited("pxfs: %s: inode %llu: what it has at %llu is no extent", block_name(subvol->volume->device),
			(unsigned long long)ino, (unsigned long long)where.offset);
	return ERR(EUCLEAN);
}

static uint64_t piece_end(const struct pxfs_piece *piece)
{
	return piece->offset + le32_get(&piece->extent.length);
}

err_t extent_find(struct pxfs_subvol *subvol, uint64_t ino, uint64_t offset, struct pxfs_piece *piece, bool *there)
{
	struct pxfs_where where = where_at(ino, offset + 1);
	struct pxfs_path path;
	bool exact = false;
	err_t err = tree_last(&subvol->tree, &where, &path, there);

	if (err == 0 && *there)
		err = piece_at(subvol, &path, ino, piece, there);
	path_release(&path);
	if (err != 0 || (*there && piece_end(piece) > offset))
		return err;
	err = tree_find(&subvol->tree, &where, &path, &exact);
	if (err == 0)
		err = piece_at(subvol, &path, ino, piece, there);
	path_release(&path);
	return err;
}

// ---- changing -----------------------------------------------------------------------------------------------------------------

static err_t piece_store(struct pxfs_subvol *subvol, uint64_t ino, const struct pxfs_piece *piece)
{
	struct pxfs_where where = where_at(ino, piece->offset);
	return tree_put(&subvol->tree, &where, &piece->extent, sizeof piece->extent);
}

static void piece_cut_front(struct pxfs_piece *piece, uint64_t from)
{
	uint32_t by = (uint32_t)(from - piece->offset);

	le32_put(&piece->extent.into, le32_get(&piece->extent.into) + by);
	le32_put(&piece->extent.length, le32_get(&piece->extent.length) - by);
	piece->offset = from;
}

// Room that was promised for bytes that lie nowhere yet.
static void promise_change(struct pxfs_volume *volume, int64_t bytes)
{
	mutex_lock(&volume->space.lock);
	volume->space.promised_sectors =
		(uint64_t)((int64_t)volume->space.promised_sectors + bytes / (int64_t)SECTOR_SIZE);
	mutex_unlock(&volume->space.lock);
}

// What is left of a piece on both sides of [from, to).
static err_t piece_punch(struct pxfs_subvol *subvol, uint64_t ino, const struct pxfs_piece *piece, uint64_t from,
			 uint64_t to, int64_t *sectors)
{
	bool left = piece->offset<from, right = piece_end(piece)> to;
	struct pxfs_piece head = *piece, tail = *piece;
	struct pxfs_where where = where_at(ino, piece->offset);
	err_t err = 0;

	if (le64_get(&piece->extent.address) == 0) {
		int64_t gone = (int64_t)(MIN(piece_end(piece), to) - MAX(piece->offset, from));
		promise_change(subvol->volume, -gone);
		*sectors -= gone / (int64_t)SECTOR_SIZE;
	}
	if (right) {
		piece_cut_front(&tail, to);
		err = left ? extent_hold(subvol, &piece->extent) : 0;
		if (err == 0)
			err = piece_store(subvol, ino, &tail);
	}
	if (err == 0 && left) {
		le32_put(&head.extent.length, (uint32_t)(from - piece->offset));
		return piece_store(subvol, ino, &head);
	}
	if (err == 0)
		err = tree_take(&subvol->tree, &where);
	if (err == 0 && !right) {
		if (le64_get(&piece->extent.address) != 0)
			*sectors -= stored_sectors(&piece->extent);
		err = extent_drop(subvol, &piece->extent);
	}
	return err;
}

err_t extent_punch(struct pxfs_subvol *subvol, uint64_t ino, uint64_t from, uint64_t to, int64_t *sectors)
{
	err_t err = 0;

	while (err == 0 && from < to) {
		struct pxfs_piece piece;
		bool there = false;
		err = extent_find(subvol, ino, from, &piece, &there);
		if (err != 0 || !there || piece.offset >= to)
			break;
		err = piece_punch(subvol, ino, &piece, MAX(from, piece.offset), to, sectors);
		from = MAX(from, piece.offset) + 1;
		from = MAX(from, MIN(piece_end(&piece), to));
	}
	return err;
}

err_t extent_put(struct pxfs_subvol *subvol, uint64_t ino, const struct pxfs_piece *piece, int64_t *sectors)
{
	err_t err = extent_punch(subvol, ino, piece->offset, piece_end(piece), sectors);

	if (err == 0)
		err = piece_store(subvol, ino, piece);
	if (err != 0)
		return err;
	if (le64_get(&piece->extent.address) != 0) {
		*sectors += stored_sectors(&piece->extent);
		return 0;
	}
	promise_change(subvol->volume, le32_get(&piece->extent.length));
	*sectors += le32_get(&piece->extent.length) / SECTOR_SIZE;
	return 0;
}
