// SPDX-License-Identifier: MIT
//
// Replaying the log. First all sectors that its extents lie in are claimed, before anything is taken for trees. Each of these has its references counted here, and
// comes into the tree of references in the end, if it has two or more; other extents and what snapshots share are accounted for as when a file is written.
#include "log_impl.h"

#include "fs_impl.h"

struct fresh {
	uint64_t address, birth;
	uint32_t sectors, count;
};

struct replay {
	struct pxfs_volume *volume;
	struct log_batches batches;
	struct fresh *fresh; // by rising address
	uint64_t count, room;
	const char *problem;
};

static err_t broken(struct replay *replay, const char *problem)
{
	replay->problem = problem;
	return ERR(EUCLEAN);
}

// ---- extents of this generation -------------------------------------------------------------------------------------------------

static const struct pxfs_extent *record_extent(const struct pxfs_log_record *record)
{
	bool extent = record->key.type == PXFS_EXTENT && le32_get(&record->size) == sizeof(struct pxfs_extent);

	return extent ? (const struct pxfs_extent *)(record + 1) : NULL;
}

static bool is_fresh(const struct replay *replay, const struct pxfs_extent *extent)
{
	return le64_get(&extent->address) != 0 && le64_get(&extent->physical_birth) == replay->volume->generation;
}

static struct fresh *fresh_find(struct replay *replay, uint64_t address)
{
	return numbered_find(replay->fresh, replay->count, sizeof *replay->fresh, address);
}

static err_t fresh_add(struct replay *replay, const struct pxfs_extent *extent)
{
	if (replay->count == replay->room) {
		uint64_t room = replay->room * 2 + 256;
		struct fresh *more = krealloc(replay->fresh, room * sizeof *more, 0);
		if (more == NULL)
			return ERR(ENOMEM);
		replay->fresh = more;
		replay->room = room;
	}
	replay->fresh[replay->count++] =
		(struct fresh){.address = le64_get(&extent->address),
			       .birth = le64_get(&extent->physical_birth),
			       .sectors = DIV_ROUND_UP(le32_get(&extent->stored), SECTOR_SIZE)};
	return 0;
}

// By address, each once.
static void fresh_sort(struct replay *replay)
{
	uint64_t to = 0;

	numbered_sort(replay->fresh, replay->count, sizeof *replay->fresh);
	for (uint64_t i = 0; i < replay->count; i++)
		if (to == 0 || replay->fresh[to - 1].address != replay->fresh[i].address)
			replay->fresh[to++] = replay->fresh[i];
	replay->count = to;
}

static err_t fresh_claim(struct replay *replay)
{
	err_t err = 0;

	for (uint32_t i = 0; i < replay->batches.count && err == 0; i++) {
		const struct pxfs_log_record *record = NULL;
		while (err == 0 && (record = log_record_next(replay->batches.found[i].bytes, record)) != NULL) {
			const struct pxfs_extent *extent = record_extent(record);
			if (extent == NULL || !is_fresh(replay, extent))
				continue;
			if (!extent_is_sound(replay->volume, le64_get(&record->key.offset), extent))
				return broken(replay, "pxfs: the log has an extent that is none");
			err = fresh_add(replay, extent);
		}
	}
	if (err == 0)
		fresh_sort(replay);
	for (uint64_t i = 0; i < replay->count && err == 0; i++)
		err = space_claim_free(replay->volume, replay->fresh[i].address, replay->fresh[i].sectors);
	return err == -EEXIST ? broken(replay, "pxfs: the log has data where something else lies") : err;
}

// Two or more references are the tree's business; what has none rests, because an older batch may point to it until the next checkpoint.
static err_t fresh_settle(struct replay *replay)
{
	struct pxfs_tree *tree = &replay->volume->refs_tree;
	err_t err = 0;

	for (uint64_t i = 0; i < replay->count && err == 0; i++) {
		const struct fresh *fresh = &replay->fresh[i];
		struct pxfs_where where = {fresh->address, PXFS_REFS, 0};
		struct pxfs_refs refs;
		if (fresh->count == 0)
			err = space_give_up(replay->volume, false, &fresh->address, 1, fresh->sectors);
		if (fresh->count < 2)
			continue;
		le32_put(&refs.count, fresh->count);
		le32_put(&refs.sectors, fresh->sectors);
		le64_put(&refs.birth, fresh->birth);
		rwlock_write_lock(&tree->lock);
		err = tree_put(tree, &where, &refs, sizeof refs);
		rwlock_write_unlock(&tree->lock);
	}
	return err;
}

// ---- references -------------------------------------------------------------------------------------------------------------------

static err_t reference_count(struct replay *replay, struct pxfs_subvol *subvol, const struct pxfs_extent *extent,
			     bool more)
{
	if (le64_get(&extent->address) == 0) {
		int64_t length = le32_get(&extent->length);
		extent_promise(subvol, more ? length : -length);
		return 0;
	}
	if (!is_fresh(replay, extent))
		return more ? extent_hold(replay->volume, extent) : extent_drop(subvol, extent);
	struct fresh *fresh = fresh_find(replay, le64_get(&extent->address));
	if (fresh == NULL || fresh->sectors != DIV_ROUND_UP(le32_get(&extent->stored), SECTOR_SIZE) ||
	    (!more && fresh->count == 0))
		return broken(replay, "pxfs: the log contradicts itself");
	fresh->count += more ? 1 : (uint32_t)-1;
	return 0;
}

// The extent that is there; false: none.
static err_t extent_before(struct pxfs_subvol *subvol, const struct pxfs_where *where, struct pxfs_extent *extent,
			   bool *there)
{
	uint32_t size = sizeof *extent;
	err_t err = tree_get(&subvol->tree, where, extent, &size);

	*there = err == 0 && size == sizeof *extent;
	if (err == -ENOENT)
		return 0;
	return err == 0 && !*there ? ERR(EUCLEAN) : err;
}

static bool is_same(const struct pxfs_log_record *record, const struct pxfs_extent *before, bool there)
{
	return there && record_extent(record) != NULL && memcmp(record_extent(record), before, sizeof *before) == 0;
}

static err_t extent_change(struct replay *replay, struct pxfs_subvol *subvol, const struct pxfs_log_record *record,
			   bool more)
{
	struct pxfs_where where = where_of(&record->key);
	const struct pxfs_extent *extent = record_extent(record);
	struct pxfs_extent before;
	bool there = false;
	err_t err = extent_before(subvol, &where, &before, &there);

	if (err != 0 || is_same(record, &before, there))
		return err;
	if (more)
		return extent == NULL ? 0 : reference_count(replay, subvol, extent, true);
	return there ? reference_count(replay, subvol, &before, false) : 0;
}

// ---- records ------------------------------------------------------------------------------------------------------------------------

static err_t subvol_for(struct replay *replay, const struct pxfs_log_record *record, struct pxfs_subvol **out)
{
	uint64_t id = le64_get(&record->tree);
	struct pxfs_subvolume item;

	*out = subvol_in_use(replay->volume, id);
	if (*out != NULL)
		return 0;
	err_t err = subvol_item_get(replay->volume, id, &item);
	if (err == -ENOENT ||
	    (err == 0 && (le64_get(&item.flags) & (PXFS_SUBVOLUME_SNAPSHOT | PXFS_SUBVOLUME_DELETING)) != 0))
		return broken(replay, "pxfs: the log is of a subvolume that nobody may write to");
	if (err != 0)
		return err;
	*out = subvol_make(replay->volume, id, &item);
	if (*out == NULL)
		return ERR(ENOMEM);
	(*out)->users = 0; // mounting may have it
	return 0;
}

static err_t record_judge(struct replay *replay, const struct pxfs_log_record *record)
{
	const struct pxfs_extent *extent = record_extent(record);
	bool gone = le32_get(&record->size) == UINT32_MAX;

	if (record->key.type < PXFS_INODE || record->key.type > PXFS_ORPHAN)
		return broken(replay, "pxfs: the log has an item that no subvolume has");
	if (record->key.type == PXFS_EXTENT && !gone &&
	    (extent == NULL || !extent_is_sound(replay->volume, le64_get(&record->key.offset), extent)))
		return broken(replay, "pxfs: the log has an extent that is none");
	return 0;
}

static void inode_see(struct pxfs_subvol *subvol, const struct pxfs_log_record *record)
{
	uint64_t ino = le64_get(&record->key.object);

	if (record->key.type != PXFS_INODE || ino < le64_get(&subvol->item.next_inode))
		return;
	le64_put(&subvol->item.next_inode, ino + 1);
	subvol->changed = true;
}

static err_t record_apply(struct replay *replay, struct pxfs_subvol *subvol, const struct pxfs_log_record *record)
{
	struct pxfs_where where = where_of(&record->key);
	uint32_t size = le32_get(&record->size);
	err_t err = record->key.type == PXFS_EXTENT ? extent_change(replay, subvol, record, false) : 0;

	if (err != 0)
		return err;
	if (size != UINT32_MAX) {
		inode_see(subvol, record);
		return tree_put(&subvol->tree, &where, record + 1, size);
	}
	err = tree_take(&subvol->tree, &where);
	return err == -ENOENT ? 0 : err;
}

// What becomes referred to, before what no longer is: nothing is without a reference in between.
static err_t batch_apply(struct replay *replay, const uint8_t *batch)
{
	const struct pxfs_log_record *record = NULL;
	struct pxfs_subvol *subvol = NULL;
	err_t err = 0;

	for (uint32_t pass = 0; pass < 2; pass++)
		while (err == 0 && (record = log_record_next(batch, record)) != NULL) {
			err = record_judge(replay, record);
			if (err == 0)
				err = subvol_for(replay, record, &subvol);
			if (err != 0)
				break;
			rwlock_write_lock(&subvol->tree.lock);
			if (pass == 1)
				err = record_apply(replay, subvol, record);
			else if (record->key.type == PXFS_EXTENT)
				err = extent_change(replay, subvol, record, true);
			rwlock_write_unlock(&subvol->tree.lock);
		}
	return err;
}

// ---- the whole --------------------------------------------------------------------------------------------------------------------

static err_t batches_apply(struct replay *replay)
{
	struct pxfs_volume *volume = replay->volume;
	err_t err = space_rests_clear(volume);

	if (err == 0)
		err = fresh_claim(replay);
	rwlock_write_lock(&volume->root_tree.lock);
	if (err == 0)
		err = space_advance(volume);
	rwlock_write_unlock(&volume->root_tree.lock);
	for (uint32_t i = 0; i < replay->batches.count && err == 0; i++)
		err = batch_apply(replay, replay->batches.found[i].bytes);
	return err == 0 ? fresh_settle(replay) : err;
}

err_t log_replay(struct pxfs_volume *volume, bool *some, const char **problem)
{
	struct replay replay = {.volume = volume};

	log_begin(volume);
	err_t err = log_read(volume, &replay.batches, &replay.problem);
	*some = err == 0 && replay.batches.count != 0;
	if (err == 0 && replay.batches.lost != 0) {
		log_err("pxfs: %s: the log ends before batch %llu, which had been acknowledged: what it held is lost",
			block_name(volume->device), (unsigned long long)replay.batches.lost);
		(void)__atomic_fetch_add(&volume->errors_lost, 1, __ATOMIC_RELAXED);
	}
	if (*some) {
		log_skip(volume); // a checkpoint is next
		atomic_store_u32_release(&volume->log.overflow, 1);
		err = batches_apply(&replay);
	}
	if (err != 0 && replay.problem != NULL)
		*problem = replay.problem;
	kfree(replay.fresh);
	log_batches_free(&replay.batches);
	return err;
}
