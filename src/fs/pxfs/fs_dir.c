// SPDX-License-Identifier: MIT
//
// Directories. A name's item lies at its hash, seeded by the volume, which is also its cookie for readdir, once and for ever: 55 bits of hash, and eight that tell apart
// names of one hash. The caller holds the directory's inode->lock throughout.
#include "fs_impl.h"

#define COOKIE_SLOTS 256u

struct found {
	uint64_t cookie;
	uint64_t ino;
	uint64_t free; // the first cookie of the hash that nobody has; 0: none
};

static uint64_t cookie_base(const struct pxfs_volume *volume, const char *bytes, uint32_t size_bytes)
{
	uint64_t hash = checksum_xxh3(bytes, size_bytes, volume->hash_seed) >> 9;
	return MAX(hash, 1ull) << 8;
}

static bool dirent_is_sound(const struct pxfs_dirent *entry, uint32_t size)
{
	return size > sizeof *entry && size == sizeof *entry + entry->size;
}

// Walks the names of one hash. -ENOENT: none of them is it; found->free is where it would go. The tree is locked.
static err_t name_find(struct pxfs_mount *mount, uint64_t dir, const char *bytes, uint32_t size_bytes,
		       struct found *found)
{
	uint64_t base = cookie_base(mount->volume, bytes, size_bytes), next = base;
	struct pxfs_where where = {dir, PXFS_DIRENT, base};
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = false;
	err_t err = tree_find(&mount->subvol->tree, &where, &path, &exact);

	*found = (struct found){.free = 0};
	while (err == 0) {
		err = path_item(&path, &where, &data, &size, &there);
		if (err != 0 || !there || where.object != dir || where.type != PXFS_DIRENT ||
		    where.offset >= base + COOKIE_SLOTS)
			break;
		const struct pxfs_dirent *entry = (const struct pxfs_dirent *)data;
		if (!dirent_is_sound(entry, size)) {
			err = ERR(EUCLEAN);
		} else if (entry->size == size_bytes && memcmp(entry + 1, bytes, size_bytes) == 0) {
			found->cookie = where.offset;
			found->ino = le64_get(&entry->inode);
			path_release(&path);
			return 0;
		}
		if (where.offset == next)
			next++;
		path_step(&path);
	}
	path_release(&path);
	found->free = next < base + COOKIE_SLOTS ? next : 0;
	return err != 0 ? err : -ENOENT;
}

static err_t entry_put(struct pxfs_mount *mount, uint64_t dir, uint64_t cookie, const struct name *name,
		       const struct inode *inode)
{
	uint8_t buffer[sizeof(struct pxfs_dirent) + PXFS_NAME_MAX];
	struct pxfs_dirent *entry = (struct pxfs_dirent *)buffer;
	struct pxfs_where where = {dir, PXFS_DIRENT, cookie};

	*entry = (struct pxfs_dirent){.kind = (uint8_t)(inode_mode(inode) >> 12), .size = (uint8_t)name->size_bytes};
	le64_put(&entry->inode, inode->ino);
	le32_put(&entry->generation, inode->generation);
	memcpy(entry + 1, name->bytes, name->size_bytes);
	return tree_put(&mount->subvol->tree, &where, buffer, (uint32_t)(sizeof *entry + name->size_bytes));
}

static void dir_count(struct inode *dir, int32_t change)
{
	struct pxfs_inode_core *core = pxfs_core(dir);

	core->entries = (uint64_t)((int64_t)core->entries + change);
	inode_set_size(dir, core->entries * 32);
	inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
}

// ---- looking ----------------------------------------------------------------------------------------------------------------------

// A directory has one name, in the directory that it knows: on a damaged volume a second one might lead to it, or round in a ring.
static bool directory_is_named(const struct inode *dir, const struct inode *inode, uint64_t cookie)
{
	struct pxfs_inode_core *core = pxfs_core(inode);
	uint64_t none = 0;

	if (__atomic_load_n(&core->parent, __ATOMIC_RELAXED) != dir->ino || inode->ino == PXFS_ROOT_INO)
		return false;
	return __atomic_compare_exchange_n(&core->name_at, &none, cookie, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
	       none == cookie;
}

err_t pxfs_lookup(struct inode *dir, const struct name *name, struct inode **out)
{
	struct pxfs_mount *mount = pxfs_mount_of(dir);
	struct pxfs_tree *tree = &mount->subvol->tree;
	struct found found;

	rwlock_read_lock(&tree->lock);
	err_t err = name_find(mount, dir->ino, name->bytes, name->size_bytes, &found);
	rwlock_read_unlock(&tree->lock);
	if (err != 0)
		return err;
	err = pxfs_iget(mount, found.ino, out);
	if (err == 0 && inode_is(*out, TB_S_IFDIR) && !directory_is_named(dir, *out, found.cookie)) {
		inode_put(*out);
		err = ERR(EUCLEAN);
	}
	return err == -ENOENT ? ERR(EUCLEAN) : err; // a name that leads nowhere
}

bool pxfs_is_empty(struct inode *dir)
{
	return pxfs_core(dir)->entries == 0;
}

// A batch of names, copied out of the tree: emit() may touch anything.
struct listed {
	uint64_t cookie, ino;
	uint32_t mode, size;
	char name[PXFS_NAME_MAX];
};
#define LISTED_MAX 16u

static err_t names_list(struct pxfs_mount *mount, uint64_t dir, uint64_t from, struct listed *listed, uint32_t *count)
{
	struct pxfs_tree *tree = &mount->subvol->tree;
	struct pxfs_where where = {dir, PXFS_DIRENT, from};
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = false;

	*count = 0;
	rwlock_read_lock(&tree->lock);
	err_t err = tree_find(tree, &where, &path, &exact);
	while (err == 0 && *count < LISTED_MAX) {
		err = path_item(&path, &where, &data, &size, &there);
		if (err != 0 || !there || where.object != dir || where.type != PXFS_DIRENT)
			break;
		const struct pxfs_dirent *entry = (const struct pxfs_dirent *)data;
		struct listed *one = &listed[*count];
		if (!dirent_is_sound(entry, size)) {
			err = ERR(EUCLEAN);
			break;
		}
		*one = (struct listed){.cookie = where.offset,
				       .ino = le64_get(&entry->inode),
				       .mode = (uint32_t)entry->kind << 12,
				       .size = entry->size};
		memcpy(one->name, entry + 1, entry->size);
		(*count)++;
		path_step(&path);
	}
	path_release(&path);
	rwlock_read_unlock(&tree->lock);
	return err;
}

static err_t dir_iterate(struct file *file, uint64_t cookie, struct dir_context *context)
{
	struct pxfs_mount *mount = pxfs_mount_of(file->inode);
	struct listed *listed = kmalloc(LISTED_MAX * sizeof *listed, 0);
	uint32_t count = LISTED_MAX;
	bool more = cookie != UINT64_MAX;
	err_t err = listed == NULL ? ERR(ENOMEM) : 0;

	while (err == 0 && more && count == LISTED_MAX) {
		err = names_list(mount, file->inode->ino, cookie + 1, listed, &count);
		for (uint32_t i = 0; i < count && more; i++) {
			struct name name = {.bytes = listed[i].name,
					    .size_bytes = listed[i].size,
					    .hash = name_hash(listed[i].name, listed[i].size)};
			more = context->emit(context, &name, listed[i].ino, listed[i].mode, listed[i].cookie);
			cookie = listed[i].cookie;
		}
	}
	kfree(listed);
	return err;
}

static err_t dir_sync(struct file *file)
{
	return pxfs_commit(pxfs_mount_of(file->inode));
}

const struct file_ops pxfs_dir_ops = {
	.iterate = dir_iterate, .sync = dir_sync, .ioctl = pxfs_ioctl, .ioctl_is_privileged = pxfs_ioctl_is_privileged};

// The name is searched for: handles of directories are seldom.
err_t pxfs_parent(struct inode *dir, struct inode **parent, char *name, uint32_t *size_bytes)
{
	struct pxfs_mount *mount = pxfs_mount_of(dir);
	struct listed *listed = kmalloc(LISTED_MAX * sizeof *listed, 0);
	uint64_t above = __atomic_load_n(&pxfs_core(dir)->parent, __ATOMIC_RELAXED), cookie = DIR_COOKIE_DOTDOT;
	uint32_t count = LISTED_MAX;
	bool found = false;
	err_t err = listed == NULL ? ERR(ENOMEM) : pxfs_iget(mount, above, parent);

	while (err == 0 && !found && count == LISTED_MAX) {
		err = names_list(mount, above, cookie + 1, listed, &count);
		for (uint32_t i = 0; err == 0 && i < count && !found; i++) {
			found = listed[i].ino == dir->ino;
			cookie = listed[i].cookie;
			*size_bytes = listed[i].size;
			memcpy(name, listed[i].name, listed[i].size);
		}
		if (err != 0 || (!found && count < LISTED_MAX)) {
			inode_put(*parent);
			err = err != 0 ? err : -ESTALE;
		}
	}
	kfree(listed);
	return err == -ENOENT ? -ESTALE : err;
}

// ---- changing ---------------------------------------------------------------------------------------------------------------------

enum name_change {
	NAME_ADD,  // it comes to be, and leads to that inode
	NAME_LEAD, // it is there, and leads to another inode from now on
	NAME_DROP
};

static err_t name_change_locked(const struct inode *dir, const struct name *name, const struct inode *inode,
				enum name_change change)
{
	struct pxfs_mount *mount = pxfs_mount_of(dir);
	struct found found;
	err_t err = name_find(mount, dir->ino, name->bytes, name->size_bytes, &found);

	if (change == NAME_ADD) {
		if (err != -ENOENT)
			return err == 0 ? ERR(EEXIST) : err;
		return found.free == 0 ? ERR(ENOSPC) : entry_put(mount, dir->ino, found.free, name, inode);
	}
	if (err != 0)
		return err;
	if (change == NAME_LEAD)
		return entry_put(mount, dir->ino, found.cookie, name, inode);
	return tree_take(&mount->subvol->tree, &(struct pxfs_where){dir->ino, PXFS_DIRENT, found.cookie});
}

// Within an epoch. Errors: -EEXIST, -ENOENT, -ENOSPC, those of trees.
static err_t name_change(struct inode *dir, const struct name *name, const struct inode *inode, enum name_change change)
{
	struct pxfs_tree *tree = &pxfs_mount_of(dir)->subvol->tree;

	rwlock_write_lock(&tree->lock);
	err_t err = name_change_locked(dir, name, inode, change);
	rwlock_write_unlock(&tree->lock);
	if (err == 0 && change == NAME_LEAD)
		inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
	else if (err == 0)
		dir_count(dir, change == NAME_ADD ? 1 : -1);
	return err;
}

static bool is_dir(const struct inode *inode)
{
	return inode_is(inode, TB_S_IFDIR);
}

static void parent_set(struct inode *inode, const struct inode *dir)
{
	if (!is_dir(inode))
		return;
	__atomic_store_n(&pxfs_core(inode)->name_at, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&pxfs_core(inode)->parent, dir->ino, __ATOMIC_RELAXED);
	pxfs_dirty(inode);
}

err_t pxfs_create(struct inode *dir, const struct name *name, const struct inode_params *params, struct inode **out)
{
	struct pxfs_mount *mount = pxfs_mount_of(dir);
	struct inode *inode = NULL;
	err_t err = epoch_enter(mount, true);

	if (err != 0)
		return err;
	err = pxfs_inode_make(mount, dir, params, &inode);
	if (err == 0)
		err = name_change(dir, name, inode, NAME_ADD);
	if (err == 0 && is_dir(inode))
		inode_add_links(dir, 1);
	if (err != 0 && inode != NULL) { // it has never been anybody's: an orphan
		err_t left = volume_break(mount->volume, pxfs_orphan_set(mount, inode->ino, true));
		inode_add_links(inode, -(int32_t)inode->nlink);
		err = left != 0 ? left : err;
	}
	epoch_leave(mount);
	if (err != 0 && inode != NULL)
		inode_put(inode);
	else
		*out = inode;
	return err;
}

err_t pxfs_tmpfile(struct inode *dir, const struct inode_params *params, struct inode **out)
{
	struct pxfs_mount *mount = pxfs_mount_of(dir);
	struct inode *inode = NULL;
	err_t err = epoch_enter(mount, true);

	if (err != 0)
		return err;
	err = pxfs_inode_make(mount, dir, params, &inode);
	if (err == 0)
		err = volume_break(mount->volume, pxfs_orphan_set(mount, inode->ino, true));
	if (inode != NULL)
		inode_add_links(inode, -1);
	epoch_leave(mount);
	if (err != 0 && inode != NULL)
		inode_put(inode);
	else
		*out = inode;
	return err;
}

err_t pxfs_link(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct pxfs_mount *mount = pxfs_mount_of(dir);
	bool orphan = inode->nlink == 0;
	err_t err = epoch_enter(mount, true);

	if (err != 0)
		return err;
	err = name_change(dir, name, inode, NAME_ADD);
	if (err == 0 && orphan)
		err = volume_break(mount->volume, pxfs_orphan_set(mount, inode->ino, false));
	if (err == 0)
		inode_add_links(inode, 1);
	epoch_leave(mount);
	return err;
}

// The name is gone: what that means for the counts of links.
static err_t links_drop(struct inode *dir, struct inode *inode)
{
	inode_add_links(inode, is_dir(inode) ? -2 : -1);
	if (is_dir(inode))
		inode_add_links(dir, -1);
	if (inode->nlink != 0)
		return 0;
	return volume_break(pxfs_mount_of(dir)->volume, pxfs_orphan_set(pxfs_mount_of(dir), inode->ino, true));
}

err_t pxfs_unlink(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct pxfs_mount *mount = pxfs_mount_of(dir);
	err_t err = epoch_enter(mount, false);

	if (err != 0)
		return err;
	err = name_change(dir, name, NULL, NAME_DROP);
	if (err == 0)
		err = links_drop(dir, inode);
	epoch_leave(mount);
	return err;
}

static void parents_change(struct inode *dir, struct inode *to_dir, struct inode *inode)
{
	parent_set(inode, to_dir);
	if (dir == to_dir || !is_dir(inode))
		return;
	inode_add_links(dir, -1);
	inode_add_links(to_dir, 1);
}

static err_t exchange(struct inode *dir, const struct name *name, struct inode *inode, struct inode *to_dir,
		      const struct name *to_name, struct inode *target)
{
	err_t err = name_change(dir, name, target, NAME_LEAD);

	if (err == 0)
		err = volume_break(pxfs_mount_of(dir)->volume, name_change(to_dir, to_name, inode, NAME_LEAD));
	if (err != 0)
		return err;
	parents_change(dir, to_dir, inode);
	parents_change(to_dir, dir, target);
	inode_touch(target, ATTR_CTIME);
	inode_touch(inode, ATTR_CTIME);
	return 0;
}

err_t pxfs_rename(struct inode *dir, const struct name *name, struct inode *inode, struct inode *to_dir,
		  const struct name *to_name, struct inode *target, uint32_t flags)
{
	struct pxfs_mount *mount = pxfs_mount_of(dir);
	err_t err = epoch_enter(mount, true);

	if (err != 0)
		return err;
	if ((flags & TB_RENAME_EXCHANGE) != 0) {
		err = exchange(dir, name, inode, to_dir, to_name, target);
		epoch_leave(mount);
		return err;
	}
	err = name_change(to_dir, to_name, inode, target != NULL ? NAME_LEAD : NAME_ADD);
	if (err == 0)
		err = volume_break(mount->volume, name_change(dir, name, NULL, NAME_DROP));
	if (err == 0 && target != NULL)
		err = links_drop(to_dir, target);
	if (err == 0) {
		parents_change(dir, to_dir, inode);
		inode_touch(inode, ATTR_CTIME);
	}
	epoch_leave(mount);
	return err;
}
