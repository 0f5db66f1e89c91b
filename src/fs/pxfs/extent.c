// SPDX-License-Identifier: MIT
//
// Which piece of a file lies where. Pieces of one cluster share its sectors; an item in the tree of references counts them when there are two or more, and goes when
// there is one again. A piece that a snapshot has too is one reference; what is left of it when the subvolume cuts it are references of its own.
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

struct target {
	uint64_t address, birth;
	uint32_t sectors;
};

static struct target target_of(const struct pxfs_extent *extent)
{
	return (struct target){.address = le64_get(&extent->address),
			       .birth = le64_get(&extent->physical_birth),
			       .sectors = stored_sectors(extent)};
}

static err_t refs_change(struct pxfs_volume *volume, const struct target *target, int32_t by, uint32_t *left)
{
	struct pxfs_tree *tree = &volume->refs_tree;
	struct pxfs_where where = {target->address, PXFS_REFS, 0};
	struct pxfs_refs refs = {.count = {{1}}};
	uint32_t size = sizeof refs;

	le32_put(&refs.sectors, target->sectors);
	le64_put(&refs.birth, target->birth);
	rwlock_write_lock(&tree->lock);
	err_t err = tree_get(tree, &where, &refs, &size);
	bool there = err == 0;
	uint32_t count = there ? le32_get(&refs.count) : 1;
	if (err == -ENOENT)
		err = 0;
	if (err == 0 && by > 0 && count == UINT32_MAX)
		err = ERR(EMLINK);
	*left = (uint32_t)((int64_t)count + by);
	le32_put(&refs.count, *left);
	if (err == 0 && *left >= 2)
		err = tree_put(tree, &where, &refs, sizeof refs);
	else if (err == 0 && there)
		err = tree_take(tree, &where);
	rwlock_write_unlock(&tree->lock);
	return err;
}

err_t extent_hold(struct pxfs_volume *volume, const struct pxfs_extent *extent)
{
	struct target target = target_of(extent);
	uint32_t left = 0;

	return target.address == 0 ? 0 : refs_change(volume, &target, 1, &left);
}

err_t reference_drop(struct pxfs_volume *volume, uint64_t address, uint32_t sectors)
{
	struct target target = {.address = address, .sectors = sectors};
	uint32_t left = 0;
	err_t err = refs_change(volume, &target, -1, &left);

	if (err == 0 && left == 0)
		err = space_give_up(volume, false, &address, 1, sectors);
	return err;
}

static bool is_shared(const struct pxfs_subvol *subvol, const struct pxfs_extent *extent)
{
	return le64_get(&extent->reference_birth) <= subvol->shared;
}

err_t extent_drop(struct pxfs_subvol *subvol, const struct pxfs_extent *extent)
{
	uint64_t address = le64_get(&extent->address);

	if (address == 0)
		return 0;
	if (is_shared(subvol, extent))
		return subvol_dead(subvol, PXFS_RANGE_EXTENT, &address, 1, stored_sectors(extent),
				   le64_get(&extent->reference_birth));
	return reference_drop(subvol->volume, address, stored_sectors(extent));
}

// ---- finding ------------------------------------------------------------------------------------------------------------------

bool extent_is_sound(const struct pxfs_volume *volume, uint64_t offset, const struct pxfs_extent *extent)
{
	uint64_t address = le64_get(&extent->address), length = le32_get(&extent->length);
	uint64_t cluster = le32_get(&extent->cluster), stored = le32_get(&extent->stored);

	if (length == 0 || offset > INT64_MAX - length)
		return false;
	if (address == 0)
		return true;
	return cluster <= 1u << PXFS_CLUSTER_SHIFT_MAX && le32_get(&extent->into) + length <= cluster && stored != 0 &&
	       stored <= cluster && address < volume_sectors(volume) &&
	       stored_sectors(extent) <= volume_sectors(volume) - address && extent->method < PXFS_METHOD_COUNT;
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
	if (size == sizeof piece->extent && extent_is_sound(subvol->volume, piece->offset, &piece->extent))
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

// Room that was promised for bytes that lie nowhere yet. The tree is locked for writing.
void extent_promise(struct pxfs_subvol *subvol, int64_t bytes)
{
	struct pxfs_volume *volume = subvol->volume;
	int64_t sectors = bytes / (int64_t)SECTOR_SIZE;

	le64_put(&subvol->item.promised, (uint64_t)((int64_t)le64_get(&subvol->item.promised) + sectors));
	subvol->changed = true;
	mutex_lock(&volume->space.lock);
	volume->space.promised_sectors = (uint64_t)((int64_t)volume->space.promised_sectors + sectors);
	mutex_unlock(&volume->space.lock);
}

// What becomes of the references when `parts` of the piece are left: of one that a snapshot has too they are new, and it has one less.
static err_t references_cut(struct pxfs_subvol *subvol, const struct pxfs_piece *piece, uint32_t parts)
{
	bool shared = is_shared(subvol, &piece->extent);
	uint32_t more = shared ? parts : parts == 2 ? 1 : 0;
	err_t err = 0;

	if (le64_get(&piece->extent.address) == 0)
		return 0;
	for (uint32_t i = 0; i < more && err == 0; i++)
		err = extent_hold(subvol->volume, &piece->extent);
	if (err == 0 && (shared || parts == 0))
		err = extent_drop(subvol, &piece->extent);
	return err;
}

// What is left of a piece on both sides of [from, to).
static err_t piece_punch(struct pxfs_subvol *subvol, uint64_t ino, const struct pxfs_piece *piece, uint64_t from,
			 uint64_t to, int64_t *sectors)
{
	bool left = piece->offset<from, right = piece_end(piece)> to;
	struct pxfs_piece head = *piece, tail = *piece;
	struct pxfs_where where = where_at(ino, piece->offset);

	if (le64_get(&piece->extent.address) == 0) {
		int64_t gone = (int64_t)(MIN(piece_end(piece), to) - MAX(piece->offset, from));
		extent_promise(subvol, -gone);
		*sectors -= gone / (int64_t)SECTOR_SIZE;
	} else if (!left && !right) {
		*sectors -= stored_sectors(&piece->extent);
	}
	err_t err = references_cut(subvol, piece, (uint32_t)left + (uint32_t)right);
	if (is_shared(subvol, &piece->extent)) {
		le64_put(&head.extent.reference_birth, subvol->volume->generation);
		le64_put(&tail.extent.reference_birth, subvol->volume->generation);
	}
	if (err == 0 && right) {
		piece_cut_front(&tail, to);
		err = piece_store(subvol, ino, &tail);
	}
	if (err == 0 && left) {
		le32_put(&head.extent.length, (uint32_t)(from - piece->offset));
		err = piece_store(subvol, ino, &head);
	} else if (err == 0) {
		err = tree_take(&subvol->tree, &where);
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
	extent_promise(subvol, le32_get(&piece->extent.length));
	*sectors += le32_get(&piece->extent.length) / SECTOR_SIZE;
	return 0;
}
