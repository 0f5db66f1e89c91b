// SPDX-License-Identifier: MIT
//
// Epochs: operations enter one and leave it; closing it makes all that they did durable, of all subvolumes of the volume that are mounted.
#include "fs_impl.h"

enum epoch_close {
	CLOSE_LOG,        // what has changed becomes durable
	CLOSE_CHECKPOINT, // and no batch is behind the superblock
	CLOSE_ALWAYS      // and the next generation begins, whether anything has changed or not
};

// Inodes that are dirty each want a leaf when they are stored. Who takes away (0) may have half of what is kept for him: closing the epoch needs some.
bool epoch_has_room(struct pxfs_mount *mount, uint32_t sectors)
{
	struct pxfs_volume *volume = mount->volume;
	struct pxfs_space_state *space = &volume->space;
	uint64_t dirty = __atomic_load_n(&mount->dirty_count, __ATOMIC_RELAXED);
	uint64_t leaves = dirty * volume->copies * node_sectors(volume);

	mutex_lock(&space->lock);
	uint64_t margin_sectors = sectors == 0 ? space->margin_sectors / 2 : space->margin_sectors;
	bool room = space_fits(volume, margin_sectors, leaves + sectors, 0);
	mutex_unlock(&space->lock);
	return room;
}

// What was given up may be had after two commits, and dirty pages may take less than was put aside for them.
static bool more_may_come(struct pxfs_mount *mount)
{
	struct pxfs_space_state *space = &mount->volume->space;

	mutex_lock(&space->lock);
	bool may = space->reserved_sectors != 0 || __atomic_load_n(&mount->dirty_count, __ATOMIC_RELAXED) != 0;
	for (uint32_t i = 0; i < 3; i++)
		may = may || space->rests[i].count != 0;
	mutex_unlock(&space->lock);
	return may;
}

// Space is short, and something is being deleted: all of it now. True: some was.
static err_t deletions_finish(struct pxfs_mount *mount, bool *some)
{
	bool more = true;
	err_t err = 0;

	*some = false;
	while (err == 0 && more) {
		err = pxfs_delete_step(mount->volume, &more);
		*some = *some || more;
		if (err == 0 && more)
			err = pxfs_generation_close(mount);
	}
	return err;
}

err_t epoch_enter(struct pxfs_mount *mount, bool grows)
{
	return epoch_enter_for(mount, grows ? OPERATION_SECTORS : 0);
}

err_t epoch_enter_for(struct pxfs_mount *mount, uint32_t wish_sectors)
{
	struct pxfs_volume *volume = mount->volume;

	if (mount->read_only)
		return ERR(EROFS);
	for (uint32_t tries = 0;; tries++) {
		bool crowded = __atomic_load_n(&volume->cache.dirty, __ATOMIC_RELAXED) > volume->cache.limit;
		err_t err = crowded && tries == 0 ? pxfs_checkpoint(mount) : 0; // or nodes would fill memory
		if (err != 0)
			return err;
		if (atomic_load_u32_acquire(&volume->failed) != 0)
			return ERR(EIO);
		rwlock_read_lock(&volume->epoch);
		if (epoch_has_room(mount, wish_sectors))
			return 0;
		bool last = tries >= 2 || !more_may_come(mount), some = false;
		if (last && (wish_sectors == 0 || epoch_has_room(mount, OPERATION_SECTORS)))
			return 0;
		rwlock_read_unlock(&volume->epoch);
		if (last)
			err = deletions_finish(mount, &some);
		if (err == 0 && last && !some)
			return ERR(ENOSPC);
		if (err == 0)
			err = pxfs_generation_close(mount);
		if (err != 0)
			return err;
		tries = some ? 0 : tries;
	}
}

void epoch_leave(struct pxfs_mount *mount)
{
	rwlock_read_unlock(&mount->volume->epoch);
	if (__atomic_load_n(&mount->dirty_count, __ATOMIC_RELAXED) > PXFS_DIRTY_INODES_MAX ||
	    __atomic_load_n(&mount->volume->cache.dirty, __ATOMIC_RELAXED) > mount->volume->cache.limit / 2)
		(void)waitq_wake_all(&mount->wake);
}

// Everything that is in memory only comes into the trees.
err_t pxfs_settle_locked(struct pxfs_volume *volume)
{
	struct pxfs_mount *mount = NULL;
	err_t err = 0;

	list_for_each (mount, &volume->mounts, link) {
		if (mount->read_only)
			continue;
		if (err == 0 && mount->sb->flusher != NULL)
			err = cache_flush_all(mount->sb);
		if (err == 0)
			err = pxfs_inodes_store(mount);
	}
	return err;
}

// Since the last checkpoint: trees are not as they are on disk.
static bool anything_changed(struct pxfs_volume *volume)
{
	const struct pxfs_subvol *subvol = NULL;

	list_for_each (subvol, &volume->subvols, link)
		if (subvol->changed || subvol->dead_count != 0 ||
		    le64_get(&subvol->tree.root.birth) == volume->generation)
			return true;
	return le64_get(&volume->refs_tree.root.birth) == volume->generation || volume->log.used_sectors != 0;
}

// A batch if it may be one and that is enough; else a checkpoint.
static err_t close_locked(struct pxfs_volume *volume, enum epoch_close how)
{
	err_t err = atomic_load_u32_acquire(&volume->failed) != 0 ? ERR(EIO) : pxfs_settle_locked(volume);
	bool done = false;

	if (err != 0)
		return err;
	bool idle = log_is_idle(volume) && !super_errors_changed(volume);
	if (how == CLOSE_LOG && idle)
		return 0;
	if (how == CLOSE_CHECKPOINT && idle && !anything_changed(volume))
		return 0;
	if (how == CLOSE_LOG && !super_errors_changed(volume))
		err = log_commit(volume, &done);
	return err == 0 && !done ? volume_checkpoint(volume) : err;
}

err_t pxfs_commit_locked(struct pxfs_volume *volume)
{
	return close_locked(volume, CLOSE_CHECKPOINT);
}

err_t pxfs_generation_close_locked(struct pxfs_volume *volume)
{
	return close_locked(volume, CLOSE_ALWAYS);
}

// First what takes long, while others go on; then the rest, while nobody does.
static err_t epoch_close(struct pxfs_mount *mount, enum epoch_close how)
{
	struct pxfs_volume *volume = mount->volume;

	if (mount->read_only)
		return 0;
	err_t err = mount->sb->flusher != NULL ? cache_flush_all(mount->sb) : 0;
	rwlock_write_lock(&volume->epoch);
	if (err == 0)
		err = close_locked(volume, how);
	rwlock_write_unlock(&volume->epoch);
	return err;
}

err_t pxfs_commit(struct pxfs_mount *mount)
{
	return epoch_close(mount, CLOSE_LOG);
}

err_t pxfs_generation_close(struct pxfs_mount *mount)
{
	return epoch_close(mount, CLOSE_ALWAYS);
}

err_t pxfs_checkpoint(struct pxfs_mount *mount)
{
	return epoch_close(mount, CLOSE_CHECKPOINT);
}
