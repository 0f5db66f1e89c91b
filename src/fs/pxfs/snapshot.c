// SPDX-License-Identifier: MIT
//
// Subvolumes made, taken snapshots of, cloned, given up, rolled back. Each works on items alone, between two checkpoints that nothing comes in between, so that trees'
// roots are as they are on disk; none depends on how much a subvolume holds.
#include "fs_impl.h"

#include "kern/timer.h"

struct change {
	struct pxfs_volume *volume;
	const struct tb_pxfs_names *names;
	const char *problem;
};

static err_t refuse(struct change *change, const char *problem, err_t err)
{
	change->problem = problem;
	return err;
}

static bool has_flag(const struct pxfs_subvolume *item, enum pxfs_subvolume_flags flag)
{
	return (le64_get(&item->flags) & (uint64_t)flag) != 0;
}

static uint64_t number_next(struct pxfs_volume *volume)
{
	uint64_t number = le64_get(&volume->super.next_subvolume);

	le64_put(&volume->super.next_subvolume, number + 1);
	return number;
}

static bool name_is_sound(const char *name)
{
	size_t size = strnlen(name, TB_PXFS_NAME_MAX + 1);

	return size != 0 && size <= TB_PXFS_NAME_MAX && strchr(name, '/') == NULL && strchr(name, ',') == NULL;
}

// The name of what is to be made.
static err_t name_take(struct change *change, struct pxfs_subvolume *item)
{
	const char *name = change->names->name;
	struct pxfs_subvolume other;
	uint64_t id = 0;

	if (!name_is_sound(name))
		return refuse(change, "a name has 1 to 255 bytes, neither '/' nor ','", ERR(EINVAL));
	err_t err = subvol_find(change->volume, name, &id, &other);
	if (err == 0)
		return refuse(change, "the name is taken", ERR(EEXIST));
	if (err != -ENOENT)
		return err;
	memset(item->name, 0, sizeof item->name);
	item->name_size = (uint8_t)strlen(name);
	memcpy(item->name, name, item->name_size);
	return 0;
}

static err_t name_lookup(struct change *change, const char *name, uint64_t *id, struct pxfs_subvolume *item)
{
	if (!name_is_sound(name))
		return refuse(change, "a name has 1 to 255 bytes, neither '/' nor ','", ERR(EINVAL));
	err_t err = subvol_find(change->volume, name, id, item);
	return err == -ENOENT ? refuse(change, "the volume has no subvolume of that name", ERR(ENOENT)) : err;
}

static void item_begin(struct pxfs_volume *volume, struct pxfs_subvolume *item)
{
	le64_put(&item->created, volume->generation - 1);
	le64_put(&item->created_s, clock_wall_ns() / NS_PER_S);
	le64_put(&item->users, 0);
	le64_put(&item->cursor, 0);
}

static void dead_begin(struct pxfs_volume *volume, struct pxfs_subvolume *item)
{
	le64_put(&item->dead_list, number_next(volume));
	le64_put(&item->dead_next, 0);
}

// ---- each of them; half of one is none, so an error ends all writing once items have changed --------------------------------------

static err_t subvolume_create(struct change *change)
{
	struct pxfs_volume *volume = change->volume;
	const struct pxfs_super *super = &volume->super;
	struct pxfs_subvolume item = {
		.method = super->method, .level = super->level, .cluster_shift = super->cluster_shift};
	struct pxfs_inode root;
	err_t err = name_take(change, &item);

	if (err != 0)
		return err;
	uint64_t id = number_next(volume);
	item_begin(volume, &item);
	dead_begin(volume, &item);
	le64_put(&item.next_inode, PXFS_ROOT_INO + 1);
	struct pxfs_subvol *subvol = subvol_make(volume, id, &item);
	if (subvol == NULL)
		return ERR(ENOMEM);
	subvol->changed = true;
	pxfs_root_fill(volume, &root);
	rwlock_write_lock(&subvol->tree.lock);
	err = tree_put(&subvol->tree, &(struct pxfs_where){PXFS_ROOT_INO, PXFS_INODE, 0}, &root, sizeof root);
	rwlock_write_unlock(&subvol->tree.lock);
	if (err == 0)
		err = volume_checkpoint(volume);
	subvol_close(subvol);
	return volume_break(volume, err);
}

static err_t snapshot_take(struct change *change)
{
	struct pxfs_volume *volume = change->volume;
	struct pxfs_subvolume head, snapshot;
	uint64_t of = 0;
	err_t err = name_lookup(change, change->names->of, &of, &head);

	if (err == 0 && has_flag(&head, PXFS_SUBVOLUME_SNAPSHOT))
		err = refuse(change, "a snapshot is of a subvolume; this is a snapshot itself: clone it", ERR(EINVAL));
	snapshot = head;
	if (err == 0)
		err = name_take(change, &snapshot);
	if (err != 0)
		return err;
	uint64_t id = number_next(volume);
	item_begin(volume, &snapshot);
	le64_put(&snapshot.parent, of);
	le64_put(&snapshot.flags, PXFS_SUBVOLUME_SNAPSHOT);
	le64_put(&head.previous, id);
	head.last_shared = snapshot.created;
	dead_begin(volume, &head);
	err = subvol_item_put(volume, id, &snapshot);
	if (err == 0)
		err = subvol_item_put(volume, of, &head);
	return volume_break(volume, err);
}

// What is promised in a subvolume that comes to be, or is another from now on.
static err_t promise_move(struct change *change, uint64_t less, uint64_t more)
{
	struct pxfs_space_state *space = &change->volume->space;

	mutex_lock(&space->lock);
	uint64_t free = change->volume->sectors - space->used_sectors;
	uint64_t kept = space->margin_sectors + space->reserved_sectors + space->promised_sectors - less + more;
	bool fits = more <= less || free >= kept;
	if (fits)
		space->promised_sectors = space->promised_sectors - less + more;
	mutex_unlock(&space->lock);
	return fits ? 0 : refuse(change, "there is no room for what fallocate promised in it", ERR(ENOSPC));
}

static err_t clone_make(struct change *change)
{
	struct pxfs_volume *volume = change->volume;
	struct pxfs_subvolume origin, clone;
	uint64_t of = 0;
	err_t err = name_lookup(change, change->names->of, &of, &origin);

	if (err == 0 && !has_flag(&origin, PXFS_SUBVOLUME_SNAPSHOT))
		err = refuse(change, "a clone is of a snapshot: take one first", ERR(EINVAL));
	clone = origin;
	if (err == 0)
		err = name_take(change, &clone);
	if (err == 0)
		err = promise_move(change, 0, le64_get(&origin.promised));
	if (err != 0)
		return err;
	item_begin(volume, &clone);
	uint64_t id = number_next(volume);
	dead_begin(volume, &clone);
	le64_put(&clone.parent, 0);
	le64_put(&clone.previous, 0);
	le64_put(&clone.flags, 0);
	le64_put(&clone.origin, of);
	clone.origin_created = origin.created;
	clone.last_shared = origin.created;
	le64_put(&origin.users, le64_get(&origin.users) + 1);
	err = subvol_item_put(volume, id, &clone);
	if (err == 0)
		err = subvol_item_put(volume, of, &origin);
	return volume_break(volume, err);
}

static err_t may_go(struct change *change, uint64_t id, const struct pxfs_subvolume *item)
{
	if (subvol_in_use(change->volume, id) != NULL)
		return refuse(change, "it is mounted", ERR(EBUSY));
	if (le64_get(&item->users) != 0)
		return refuse(change, "clones were made of it, and need it", ERR(EBUSY));
	return 0;
}

static err_t subvolume_delete(struct change *change)
{
	struct pxfs_volume *volume = change->volume;
	struct pxfs_subvolume item;
	uint64_t id = 0;
	err_t err = name_lookup(change, change->names->name, &id, &item);

	if (err == 0 && id == le64_get(&volume->super.default_subvolume))
		err = refuse(change, "it is what is mounted when no name is given", ERR(EBUSY));
	if (err == 0)
		err = may_go(change, id, &item);
	if (err != 0)
		return err;
	le64_put(&item.flags, le64_get(&item.flags) | PXFS_SUBVOLUME_DELETING);
	volume->deletions = true;
	return volume_break(volume, subvol_item_put(volume, id, &item));
}

// ---- rollback ---------------------------------------------------------------------------------------------------------------------

// Snapshots from the subvolume's last one back to `until`: may they go, or they go. Errors: -ENOENT: it is not among them.
static err_t newer_ones(struct change *change, uint64_t from, uint64_t until, bool go)
{
	struct pxfs_volume *volume = change->volume;
	struct pxfs_subvolume item;
	err_t err = 0;

	while (err == 0 && from != until) {
		if (from == 0)
			return refuse(change, "the snapshot is not one of this subvolume", ERR(EINVAL));
		err = subvol_item_get(volume, from, &item);
		uint64_t previous = le64_get(&item.previous), flags = le64_get(&item.flags);
		if (err == 0 && previous >= from)
			err = ERR(EUCLEAN);
		if (err == 0 && !go && (flags & PXFS_SUBVOLUME_DELETING) == 0 &&
		    (change->names->flags & TB_PXFS_NEWER_GO) == 0)
			err = refuse(change, "there are newer snapshots: delete them first, or have them deleted",
				     ERR(EBUSY));
		if (err == 0 && !go)
			err = (flags & PXFS_SUBVOLUME_GOING) != 0 ? ERR(EBUSY) : may_go(change, from, &item);
		le64_put(&item.flags, flags | PXFS_SUBVOLUME_DELETING | PXFS_SUBVOLUME_LAST);
		if (err == 0 && go)
			err = subvol_item_put(volume, from, &item);
		from = previous;
	}
	return err;
}

// What the subvolume was becomes something without a name that is deleted.
static err_t rollback_do(struct change *change, uint64_t of, struct pxfs_subvolume *head, uint64_t to,
			 const struct pxfs_subvolume *snapshot)
{
	struct pxfs_volume *volume = change->volume;
	struct pxfs_subvolume old = *head;
	uint64_t id = number_next(volume);

	memset(old.name, 0, sizeof old.name);
	old.name[0] = '-';
	old.name_size = 1;
	le64_put(&old.parent, of);
	le64_put(&old.promised, 0);
	le64_put(&old.flags, PXFS_SUBVOLUME_SNAPSHOT | PXFS_SUBVOLUME_DELETING | PXFS_SUBVOLUME_LAST);
	err_t err = newer_ones(change, le64_get(&head->previous), to, true);
	head->root = snapshot->root;
	head->promised = snapshot->promised;
	head->last_shared = snapshot->created;
	le64_put(&head->previous, to);
	dead_begin(volume, head);
	if (err == 0)
		err = subvol_item_put(volume, id, &old);
	if (err == 0)
		err = subvol_item_put(volume, of, head);
	volume->deletions = true;
	return err;
}

static err_t rollback(struct change *change)
{
	struct pxfs_subvolume head, snapshot;
	uint64_t of = 0, to = 0;
	err_t err = name_lookup(change, change->names->of, &of, &head);

	if (err == 0)
		err = name_lookup(change, change->names->name, &to, &snapshot);
	if (err == 0 && (has_flag(&head, PXFS_SUBVOLUME_SNAPSHOT) || !has_flag(&snapshot, PXFS_SUBVOLUME_SNAPSHOT)))
		err = refuse(change, "a subvolume is rolled back to a snapshot", ERR(EINVAL));
	if (err == 0 && subvol_in_use(change->volume, of) != NULL)
		err = refuse(change, "the subvolume is mounted", ERR(EBUSY));
	if (err == 0)
		err = newer_ones(change, le64_get(&head.previous), to, false);
	if (err == 0)
		err = promise_move(change, le64_get(&head.promised), le64_get(&snapshot.promised));
	if (err != 0)
		return err;
	return volume_break(change->volume, rollback_do(change, of, &head, to, &snapshot));
}

// ---- the whole --------------------------------------------------------------------------------------------------------------------

static err_t change_do(struct change *change, enum tb_pxfs_request request)
{
	switch (request) {
	case TB_PXFS_CREATE:
		return subvolume_create(change);
	case TB_PXFS_SNAPSHOT:
		return snapshot_take(change);
	case TB_PXFS_CLONE:
		return clone_make(change);
	case TB_PXFS_DELETE:
		return subvolume_delete(change);
	case TB_PXFS_ROLLBACK:
		return rollback(change);
	default:
		return ERR(ENOTTY);
	}
}

// Threads of mounts take apart what is deleted; without one it is done here.
static err_t deletions_begin(struct pxfs_volume *volume)
{
	struct pxfs_mount *mount = NULL;
	bool some = false, more = true;
	err_t err = 0;

	rwlock_write_lock(&volume->epoch);
	more = volume->deletions;
	list_for_each (mount, &volume->mounts, link)
		if (!mount->read_only && more) {
			some = true;
			atomic_store_u32_release(&mount->deletes, 1);
			(void)waitq_wake_all(&mount->wake);
		}
	rwlock_write_unlock(&volume->epoch);
	while (!some && more && err == 0)
		err = pxfs_delete_step(volume, &more);
	return err;
}

static err_t change_try(struct change *change, enum tb_pxfs_request request)
{
	struct pxfs_volume *volume = change->volume;

	rwlock_write_lock(&volume->epoch);
	err_t err = atomic_load_u32_acquire(&volume->failed) != 0 ? ERR(EIO) : pxfs_commit_locked(volume);
	if (err == 0)
		err = change_do(change, request);
	if (err == 0)
		err = volume_checkpoint(volume);
	rwlock_write_unlock(&volume->epoch);
	return err;
}

// What is in the way may be going already: then it goes first.
err_t pxfs_subvolume_do(struct pxfs_volume *volume, enum tb_pxfs_request request, const struct tb_pxfs_names *names,
			const char **problem)
{
	struct change change = {.volume = volume, .names = names};
	bool more = true;

	if (volume->read_only)
		return ERR(EROFS);
	err_t err = change_try(&change, request);
	if (err == -EBUSY) {
		for (err = 0; err == 0 && more;)
			err = pxfs_delete_step(volume, &more);
		change.problem = NULL;
		if (err == 0)
			err = change_try(&change, request);
	}
	if (err == 0)
		err = deletions_begin(volume);
	if (problem != NULL && change.problem != NULL)
		*problem = change.problem;
	return err;
}

err_t pxfs_subvolume_show(struct pxfs_volume *volume, struct tb_pxfs_subvolume *out)
{
	struct pxfs_subvolume item;
	uint64_t id = out->number;

	rwlock_read_lock(&volume->epoch);
	err_t err = subvol_next(volume, &id, &item);
	rwlock_read_unlock(&volume->epoch);
	if (err != 0)
		return err;
	uint64_t flags = le64_get(&item.flags);
	*out = (struct tb_pxfs_subvolume){
		.number = id,
		.of = le64_get(&item.parent) != 0 ? le64_get(&item.parent) : le64_get(&item.origin),
		.generation = le64_get(&item.created),
		.created_s = le64_get(&item.created_s),
		.clones = le64_get(&item.users),
		.flags = ((flags & PXFS_SUBVOLUME_SNAPSHOT) != 0 ? TB_PXFS_IS_SNAPSHOT : 0) |
			 (id == le64_get(&volume->super.default_subvolume) ? TB_PXFS_IS_DEFAULT : 0) |
			 ((flags & PXFS_SUBVOLUME_DELETING) != 0 ? TB_PXFS_IS_GOING : 0)};
	memcpy(out->name, item.name, MIN(item.name_size, TB_PXFS_NAME_MAX));
	return 0;
}
