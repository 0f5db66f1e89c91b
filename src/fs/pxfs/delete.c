// SPDX-License-Identifier: MIT
//
// Subvolumes and snapshots that are deleted, piece by piece, each piece whole in its epoch; one at a time. What comes in between two others of its branch goes by the
// list of the one behind it; what comes last, by its tree.
#include "fs_impl.h"

#define STEP_LEAVES 64u
#define STEP_LISTS 16u

struct going {
	struct pxfs_volume *volume;
	uint64_t id, next_id;
	struct pxfs_subvolume item, next; // the one that goes, and the one behind it
};

static bool has_flag(const struct pxfs_subvolume *item, enum pxfs_subvolume_flags flag)
{
	return (le64_get(&item->flags) & (uint64_t)flag) != 0;
}

static uint64_t branch_of(uint64_t id, const struct pxfs_subvolume *item)
{
	return has_flag(item, PXFS_SUBVOLUME_SNAPSHOT) ? le64_get(&item->parent) : id;
}

static err_t item_take(struct pxfs_volume *volume, const struct pxfs_where *where)
{
	rwlock_write_lock(&volume->root_tree.lock);
	err_t err = tree_take(&volume->root_tree, where);
	rwlock_write_unlock(&volume->root_tree.lock);
	return err;
}

// ---- which ----------------------------------------------------------------------------------------------------------------------

// The one that comes behind it in its branch, and is not last and going itself. -ENOENT: there is none.
static err_t next_find(struct going *going)
{
	uint64_t id = 0;
	err_t err = 0;

	while ((err = subvol_next(going->volume, &id, &going->next)) == 0)
		if (le64_get(&going->next.previous) == going->id && !has_flag(&going->next, PXFS_SUBVOLUME_LAST)) {
			going->next_id = id;
			break;
		}
	return err;
}

// The first that has begun; else one that has others behind it; else any.
static uint32_t urgency(const struct pxfs_subvolume *item)
{
	return has_flag(item, PXFS_SUBVOLUME_GOING) ? 3 : has_flag(item, PXFS_SUBVOLUME_LAST) ? 1 : 2;
}

static err_t going_find(struct going *going)
{
	struct pxfs_subvolume item;
	uint32_t best = 0;
	uint64_t id = 0;
	err_t err = 0;

	while ((err = subvol_next(going->volume, &id, &item)) == 0)
		if (has_flag(&item, PXFS_SUBVOLUME_DELETING) && urgency(&item) > best) {
			best = urgency(&item);
			going->id = id;
			going->item = item;
		}
	return err != -ENOENT ? err : best != 0 ? 0 : -ENOENT;
}

// What the one behind has noted as dead belongs to the lists; from now on it shares with the one before only.
static err_t between_begin(struct going *going)
{
	struct pxfs_subvol *next = subvol_in_use(going->volume, going->next_id);
	err_t err = 0;

	if (next != NULL) {
		rwlock_write_lock(&going->volume->root_tree.lock);
		err = subvol_dead_store(next);
		rwlock_write_unlock(&going->volume->root_tree.lock);
		going->next.dead_next = next->item.dead_next;
	}
	going->next.last_shared = going->item.last_shared;
	le64_put(&going->item.flags, le64_get(&going->item.flags) | PXFS_SUBVOLUME_GOING);
	if (err == 0)
		err = subvol_item_put(going->volume, going->next_id, &going->next);
	return err;
}

static err_t last_begin(struct going *going)
{
	struct pxfs_space_state *space = &going->volume->space;

	le64_put(&going->item.flags, le64_get(&going->item.flags) | PXFS_SUBVOLUME_LAST);
	if (!has_flag(&going->item, PXFS_SUBVOLUME_SNAPSHOT)) {
		mutex_lock(&space->lock);
		space->promised_sectors -= MIN(space->promised_sectors, le64_get(&going->item.promised));
		mutex_unlock(&space->lock);
		le64_put(&going->item.promised, 0);
	}
	return 0;
}

static err_t going_begin(struct going *going)
{
	err_t err = next_find(going);

	if (has_flag(&going->item, PXFS_SUBVOLUME_LAST))
		return err == -ENOENT ? 0 : err;
	if (has_flag(&going->item, PXFS_SUBVOLUME_GOING))
		return err == -ENOENT ? ERR(EUCLEAN) : err;
	if (err != 0 && err != -ENOENT)
		return err;
	err = err == 0 ? between_begin(going) : last_begin(going);
	return err == 0 ? subvol_item_put(going->volume, going->id, &going->item) : err;
}

// ---- by lists -------------------------------------------------------------------------------------------------------------------

static bool range_is_sound(const struct pxfs_volume *volume, const struct pxfs_range *range)
{
	uint64_t address = le64_get(&range->address), sectors = le32_get(&range->sectors);

	return sectors != 0 && address < volume->sectors && sectors <= volume->sectors - address;
}

static err_t dead_free(struct pxfs_volume *volume, const struct pxfs_range *range)
{
	uint64_t address = le64_get(&range->address);
	uint32_t sectors = le32_get(&range->sectors);

	if (!range_is_sound(volume, range)) {
		log_err_limited("pxfs: %s: a list of what is dead has a range outside the volume, sector %llu",
				block_name(volume->device), (unsigned long long)address);
		return ERR(EUCLEAN);
	}
	if (range->kind == PXFS_RANGE_EXTENT)
		return reference_drop(volume, address, sectors);
	return space_give_up(volume, false, &address, 1, sectors);
}

static err_t list_read(struct pxfs_volume *volume, const struct pxfs_where *where, struct pxfs_range *ranges,
		       uint32_t *count)
{
	uint32_t size = PXFS_ITEM_BYTES_MAX;

	rwlock_read_lock(&volume->root_tree.lock);
	err_t err = tree_get(&volume->root_tree, where, ranges, &size);
	rwlock_read_unlock(&volume->root_tree.lock);
	*count = err == 0 ? size / (uint32_t)sizeof *ranges : 0;
	return err;
}

// Sets the list, or takes it away when it is empty.
static err_t list_write(struct pxfs_volume *volume, const struct pxfs_where *where, const struct pxfs_range *ranges,
			uint32_t count)
{
	if (count == 0)
		return item_take(volume, where);
	rwlock_write_lock(&volume->root_tree.lock);
	err_t err = tree_put(&volume->root_tree, where, ranges, count * (uint32_t)sizeof *ranges);
	rwlock_write_unlock(&volume->root_tree.lock);
	return err;
}

// Of one list of the one behind: what was born after everything before the one that goes was that one's alone.
static err_t list_sift(struct going *going, struct pxfs_range *ranges)
{
	uint64_t cursor = le64_get(&going->item.cursor), bound = le64_get(&going->item.last_shared);
	struct pxfs_where where = {le64_get(&going->next.dead_list), PXFS_DEAD, cursor};
	uint32_t count = 0, kept = 0;
	err_t err = list_read(going->volume, &where, ranges, &count);

	le64_put(&going->item.cursor, cursor + 1);
	if (err == -ENOENT)
		return 0;
	for (uint32_t i = 0; i < count && err == 0; i++) {
		if (le64_get(&ranges[i].birth) > bound)
			err = dead_free(going->volume, &ranges[i]);
		else
			ranges[kept++] = ranges[i];
	}
	return err == 0 && kept != count ? list_write(going->volume, &where, ranges, kept) : err;
}

// The last list of the one that goes becomes one of the one behind.
static err_t list_hand_on(struct going *going, struct pxfs_range *ranges)
{
	uint64_t last = le64_get(&going->item.dead_next) - 1, next = le64_get(&going->next.dead_next);
	struct pxfs_where from = {le64_get(&going->item.dead_list), PXFS_DEAD, last},
			  to = {le64_get(&going->next.dead_list), PXFS_DEAD, next};
	uint32_t count = 0;
	err_t err = list_read(going->volume, &from, ranges, &count);

	le64_put(&going->item.dead_next, last);
	if (err == -ENOENT)
		return 0;
	if (err == 0)
		err = list_write(going->volume, &to, ranges, count);
	le64_put(&going->next.dead_next, next + 1);
	le64_put(&going->item.cursor, next + 1);
	return err == 0 ? item_take(going->volume, &from) : err;
}

static err_t between_step(struct going *going, bool *done)
{
	struct pxfs_range *ranges = kmalloc(PXFS_ITEM_BYTES_MAX, 0);
	err_t err = ranges == NULL ? ERR(ENOMEM) : 0;

	*done = false;
	for (uint32_t i = 0; i < STEP_LISTS && err == 0 && !*done; i++) {
		if (le64_get(&going->item.cursor) < le64_get(&going->next.dead_next))
			err = list_sift(going, ranges);
		else if (le64_get(&going->item.dead_next) != 0)
			err = list_hand_on(going, ranges);
		else
			*done = true;
	}
	kfree(ranges);
	if (*done)
		going->next.previous = going->item.previous;
	if (err == 0)
		err = subvol_item_put(going->volume, going->next_id, &going->next);
	return err;
}

// ---- by its tree ------------------------------------------------------------------------------------------------------------------

static err_t extent_free(struct pxfs_subvol *subvol, const struct pxfs_extent *extent)
{
	struct pxfs_range range = {.address = extent->address, .kind = PXFS_RANGE_EXTENT};

	if (le64_get(&extent->address) == 0)
		return 0;
	le32_put(&range.sectors, DIV_ROUND_UP(le32_get(&extent->stored), SECTOR_SIZE));
	return dead_free(subvol->volume, &range);
}

// Its own lists name what those before it have.
static err_t lists_drop(struct going *going, struct pxfs_subvol *subvol, bool *done)
{
	uint64_t next = le64_get(&subvol->item.dead_next);
	err_t err = 0;

	for (uint32_t i = 0; i < STEP_LISTS && err == 0 && next > 0; i++) {
		struct pxfs_where where = {le64_get(&subvol->item.dead_list), PXFS_DEAD, --next};
		err = item_take(going->volume, &where);
		err = err == -ENOENT ? 0 : err;
	}
	le64_put(&subvol->item.dead_next, next);
	subvol->changed = true;
	*done = err == 0 && next == 0;
	return err;
}

// The branch has nobody any more: the snapshot that it began with is one clone poorer.
static err_t origin_let_go(struct going *going)
{
	struct pxfs_volume *volume = going->volume;
	uint64_t branch = branch_of(going->id, &going->item), origin = le64_get(&going->item.origin), id = 0;
	struct pxfs_subvolume item;
	err_t err = 0;

	while (origin != 0 && (err = subvol_next(volume, &id, &item)) == 0)
		if (id != going->id && branch_of(id, &item) == branch)
			return 0;
	if (origin == 0 || err != -ENOENT)
		return err;
	err = subvol_item_get(volume, origin, &item);
	if (err == -ENOENT || (err == 0 && le64_get(&item.users) == 0))
		return ERR(EUCLEAN);
	le64_put(&item.users, le64_get(&item.users) - 1);
	return err == 0 ? subvol_item_put(volume, origin, &item) : err;
}

static err_t last_step(struct going *going, bool *done)
{
	struct pxfs_subvol *subvol = subvol_in_use(going->volume, going->id);
	uint32_t budget = STEP_LEAVES;

	if (subvol == NULL)
		subvol = subvol_make(going->volume, going->id, &going->item);
	if (subvol == NULL)
		return ERR(ENOMEM);
	rwlock_write_lock(&subvol->tree.lock);
	err_t err = tree_prune(subvol, extent_free, &budget, done);
	rwlock_write_unlock(&subvol->tree.lock);
	subvol->changed = true;
	if (err == 0 && *done)
		err = lists_drop(going, subvol, done);
	if (err != 0 || !*done)
		return err;
	subvol_close(subvol);
	return origin_let_go(going);
}

// ---- the whole --------------------------------------------------------------------------------------------------------------------

static err_t going_step(struct going *going)
{
	bool done = false, last = false;
	err_t err = going_begin(going);

	if (err != 0)
		return err;
	last = has_flag(&going->item, PXFS_SUBVOLUME_LAST);
	err = last ? last_step(going, &done) : between_step(going, &done);
	if (err == 0 && done)
		return item_take(going->volume, &(struct pxfs_where){going->id, PXFS_SUBVOLUME, 0});
	return err == 0 && !last ? subvol_item_put(going->volume, going->id, &going->item) : err;
}

err_t pxfs_delete_step(struct pxfs_volume *volume, bool *more)
{
	struct going going = {.volume = volume};

	*more = false;
	rwlock_write_lock(&volume->epoch);
	err_t err = volume->read_only || atomic_load_u32_acquire(&volume->failed) != 0 ? ERR(EIO) : 0;
	if (err == 0 && !volume->deletions)
		goto out;
	if (err == 0)
		err = pxfs_settle_locked(volume); // nobody writes back while items change
	if (err == 0)
		err = going_find(&going);
	if (err == -ENOENT) {
		volume->deletions = false;
		err = 0;
	} else if (err == 0) {
		log_skip(volume);
		err = volume_break(volume, going_step(&going));
		*more = err == 0;
		if (err == 0)
			err = pxfs_commit_locked(volume);
	}
out:
	rwlock_write_unlock(&volume->epoch);
	return err;
}
