// SPDX-License-Identifier: MIT
//
// Subvolumes that are in use, their items in the root tree, and the lists of what they have given up and a snapshot still has.
#include "pxfs_impl.h"

#define DEAD_ITEM 200u // ranges of one list
#define DEAD_FIRST 64u

static struct pxfs_where where_subvolume(uint64_t id)
{
	return (struct pxfs_where){id, PXFS_SUBVOLUME, 0};
}

struct pxfs_subvol *subvol_in_use(struct pxfs_volume *volume, uint64_t id)
{
	struct pxfs_subvol *subvol = NULL;

	list_for_each (subvol, &volume->subvols, link)
		if (subvol->id == id)
			return subvol;
	return NULL;
}

// ---- items --------------------------------------------------------------------------------------------------------------------

static bool item_is_sound(const struct pxfs_volume *volume, const struct pxfs_subvolume *item)
{
	uint64_t outside = volume->sectors - node_sectors(volume);

	return item->name_size != 0 && le64_get(&item->root.address[0]) <= outside &&
	       le64_get(&item->root.address[1]) <= outside && le64_get(&item->origin_created) <= volume->generation &&
	       le64_get(&item->last_shared) <= volume->generation;
}

err_t subvol_item_get(struct pxfs_volume *volume, uint64_t id, struct pxfs_subvolume *item)
{
	const struct pxfs_subvol *open = subvol_in_use(volume, id);
	struct pxfs_where where = where_subvolume(id);
	uint32_t size = sizeof *item;

	if (open != NULL) {
		*item = open->item;
		item->root = open->tree.root;
		return 0;
	}
	rwlock_read_lock(&volume->root_tree.lock);
	err_t err = tree_get(&volume->root_tree, &where, item, &size);
	rwlock_read_unlock(&volume->root_tree.lock);
	if (err == -ERANGE || (err == 0 && (size != sizeof *item || !item_is_sound(volume, item))))
		err = ERR(EUCLEAN);
	return err;
}

static void item_apply(struct pxfs_subvol *subvol)
{
	subvol->shared = le64_get(&subvol->item.last_shared);
	subvol->origin_created = le64_get(&subvol->item.origin_created);
}

err_t subvol_item_put(struct pxfs_volume *volume, uint64_t id, const struct pxfs_subvolume *item)
{
	struct pxfs_subvol *open = subvol_in_use(volume, id);
	struct pxfs_where where = where_subvolume(id);

	if (open != NULL) {
		rwlock_write_lock(&open->tree.lock);
		open->item = *item;
		open->changed = true;
		item_apply(open);
		rwlock_write_unlock(&open->tree.lock);
	}
	rwlock_write_lock(&volume->root_tree.lock);
	err_t err = tree_put(&volume->root_tree, &where, item, sizeof *item);
	rwlock_write_unlock(&volume->root_tree.lock);
	return err;
}

err_t subvol_next(struct pxfs_volume *volume, uint64_t *id, struct pxfs_subvolume *item)
{
	struct pxfs_where where = where_subvolume(*id + 1);
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = false;

	rwlock_read_lock(&volume->root_tree.lock);
	err_t err = tree_find(&volume->root_tree, &where, &path, &exact);
	do {
		if (err == 0)
			err = path_item(&path, &where, &data, &size, &there);
		path_step(&path);
	} while (err == 0 && there && (where.type != PXFS_SUBVOLUME || size != sizeof *item));
	path_release(&path);
	rwlock_read_unlock(&volume->root_tree.lock);
	if (err == 0 && !there)
		err = -ENOENT;
	if (err != 0)
		return err;
	*id = where.object;
	return subvol_item_get(volume, *id, item);
}

err_t subvol_find(struct pxfs_volume *volume, const char *name, uint64_t *id, struct pxfs_subvolume *item)
{
	size_t size = strlen(name);
	err_t err = 0;

	*id = 0;
	while ((err = subvol_next(volume, id, item)) == 0) {
		bool gone = (le64_get(&item->flags) & PXFS_SUBVOLUME_DELETING) != 0;
		if (!gone && item->name_size == size && memcmp(item->name, name, size) == 0)
			return 0;
	}
	return err;
}

// ---- in use -------------------------------------------------------------------------------------------------------------------

struct pxfs_subvol *subvol_make(struct pxfs_volume *volume, uint64_t id, const struct pxfs_subvolume *item)
{
	struct pxfs_subvol *subvol = kmalloc(sizeof *subvol, MEM_ZERO);

	if (subvol == NULL)
		return NULL;
	subvol->volume = volume;
	subvol->id = id;
	subvol->item = *item;
	subvol->users = 1;
	item_apply(subvol);
	rb_init(&subvol->notes);
	tree_init(&subvol->tree, volume, id, &item->root);
	subvol->tree.subvol = subvol;
	list_push_back(&volume->subvols, &subvol->link);
	return subvol;
}

err_t subvol_open(struct pxfs_volume *volume, uint64_t id, struct pxfs_subvol **out, const char **problem)
{
	struct pxfs_subvol *subvol = subvol_in_use(volume, id);
	struct pxfs_subvolume item;
	err_t err = subvol_item_get(volume, id, &item);

	if (err == -ENOENT || err == -EUCLEAN)
		*problem = err == -ENOENT ? "pxfs: the volume has no such subvolume"
					  : "pxfs: the subvolume's item is damaged";
	if (err != 0)
		return err;
	uint64_t flags = le64_get(&item.flags);
	if ((flags & PXFS_SUBVOLUME_DELETING) != 0) {
		*problem = "pxfs: the subvolume is being deleted";
		return ERR(ENOENT);
	}
	if (subvol != NULL && subvol->users != 0 && (flags & PXFS_SUBVOLUME_SNAPSHOT) == 0) {
		*problem = "pxfs: the subvolume is mounted already";
		return ERR(EBUSY);
	}
	if (subvol != NULL)
		subvol->users++;
	else
		subvol = subvol_make(volume, id, &item);
	*out = subvol;
	return subvol == NULL ? ERR(ENOMEM) : 0;
}

void subvol_close(struct pxfs_subvol *subvol)
{
	if (--subvol->users != 0)
		return;
	list_remove(&subvol->link);
	log_notes_drop(subvol);
	tree_fini(&subvol->tree);
	kfree(subvol->dead);
	kfree(subvol);
}

// ---- what is dead -------------------------------------------------------------------------------------------------------------

static err_t dead_grow(struct pxfs_subvol *subvol, uint32_t more)
{
	if (subvol->dead_count + more <= subvol->dead_room)
		return 0;
	uint32_t room = MAX(subvol->dead_room * 2, DEAD_FIRST) + more;
	struct pxfs_dead_in *dead = krealloc(subvol->dead, (size_t)room * sizeof *dead, 0);
	if (dead == NULL)
		return ERR(ENOMEM);
	subvol->dead = dead;
	subvol->dead_room = room;
	return 0;
}

err_t subvol_dead(struct pxfs_subvol *subvol, enum pxfs_range_kind kind, const uint64_t *addresses, uint32_t count,
		  uint32_t sectors, uint64_t birth)
{
	if (birth <= subvol->origin_created)
		return 0;
	err_t err = dead_grow(subvol, count);
	for (uint32_t i = 0; err == 0 && i < count; i++)
		subvol->dead[subvol->dead_count++] = (struct pxfs_dead_in){
			.address = addresses[i], .birth = birth, .sectors = sectors, .kind = (uint8_t)kind};
	return err;
}

// One list gets as much as it has room for; the last one that is there is filled first.
static err_t dead_list_store(struct pxfs_subvol *subvol, struct pxfs_range *buffer)
{
	struct pxfs_tree *tree = &subvol->volume->root_tree;
	uint64_t next = le64_get(&subvol->item.dead_next);
	struct pxfs_where where = {le64_get(&subvol->item.dead_list), PXFS_DEAD, next == 0 ? 0 : next - 1};
	uint32_t size = DEAD_ITEM * (uint32_t)sizeof *buffer, from = subvol->dead_stored;
	err_t err = next == 0 ? -ENOENT : tree_get(tree, &where, buffer, &size);
	uint32_t count = err == 0 ? size / (uint32_t)sizeof *buffer : 0;

	if (err != 0 && err != -ENOENT)
		return err;
	if (err != 0 || count == DEAD_ITEM) {
		count = 0;
		where.offset = next;
		le64_put(&subvol->item.dead_next, next + 1);
		subvol->changed = true;
	}
	while (count < DEAD_ITEM && from < subvol->dead_count) {
		const struct pxfs_dead_in *dead = &subvol->dead[from++];
		struct pxfs_range *range = &buffer[count++];
		*range = (struct pxfs_range){.kind = dead->kind};
		le64_put(&range->address, dead->address);
		le32_put(&range->sectors, dead->sectors);
		le64_put(&range->birth, dead->birth);
	}
	err = tree_put(tree, &where, buffer, count * (uint32_t)sizeof *buffer);
	if (err == 0)
		subvol->dead_stored = from;
	return err;
}

err_t subvol_dead_store(struct pxfs_subvol *subvol)
{
	struct pxfs_range *buffer = NULL;
	err_t err = 0;

	if (subvol->dead_count == 0)
		return 0;
	buffer = kmalloc(DEAD_ITEM * sizeof *buffer, 0);
	if (buffer == NULL)
		return ERR(ENOMEM);
	while (err == 0 && subvol->dead_stored < subvol->dead_count)
		err = dead_list_store(subvol, buffer);
	if (err == 0)
		subvol->dead_count = subvol->dead_stored = 0;
	kfree(buffer);
	return err;
}
