// SPDX-License-Identifier: MIT
//
// Superblocks and the types of filesystems that make them.
#include "vfs_impl.h"

#include "kern/log.h"
#include "kern/page_cache.h"
#include "kern/string.h"

err_t fs_register(const struct fs_type *type)
{
	struct vfs_state *vfs = vfs_state();
	const struct fs_type **place = NULL;
	err_t err = 0;

	spin_lock(&vfs->list_lock);
	for (uint32_t i = 0; i < FS_TYPES_MAX; i++) {
		if (vfs->types[i] == NULL && place == NULL)
			place = &vfs->types[i];
		if (vfs->types[i] != NULL && str_equal(vfs->types[i]->name, type->name))
			err = -EEXIST;
	}
	if (err == 0 && place == NULL)
		err = -ENOSPC;
	if (err == 0)
		*place = type;
	spin_unlock(&vfs->list_lock);
	return err;
}

void fs_unregister(const struct fs_type *type)
{
	struct vfs_state *vfs = vfs_state();

	spin_lock(&vfs->list_lock);
	for (uint32_t i = 0; i < FS_TYPES_MAX; i++)
		if (vfs->types[i] == type)
			vfs->types[i] = NULL;
	spin_unlock(&vfs->list_lock);
}

const struct fs_type *fs_type_at(uint32_t n)
{
	struct vfs_state *vfs = vfs_state();
	const struct fs_type *found = NULL;

	spin_lock(&vfs->list_lock);
	for (uint32_t i = 0; i < FS_TYPES_MAX && found == NULL; i++)
		if (vfs->types[i] != NULL && n-- == 0)
			found = vfs->types[i];
	spin_unlock(&vfs->list_lock);
	return found;
}

static const struct fs_type *fs_find(struct vfs_state *vfs, const char *name)
{
	const struct fs_type *found = NULL;

	spin_lock(&vfs->list_lock);
	for (uint32_t i = 0; i < FS_TYPES_MAX; i++)
		if (vfs->types[i] != NULL && str_equal(vfs->types[i]->name, name))
			found = vfs->types[i];
	spin_unlock(&vfs->list_lock);
	return found;
}

static void superblock_enlist(struct vfs_state *vfs, struct superblock *sb)
{
	spin_lock(&vfs->list_lock);
	sb->dev = ++vfs->next_dev;
	list_push_back(&vfs->superblocks, &sb->link);
	spin_unlock(&vfs->list_lock);
}

err_t superblock_make(const char *type_name, const char *source, const char *options, uint32_t flags,
		      struct superblock **out, const char **problem)
{
	struct vfs_state *vfs = vfs_state();
	const struct fs_type *type = fs_find(vfs, type_name);
	struct inode *root = NULL;

	if (type == NULL) {
		*problem = "there is no such type of filesystem";
		return ERR(ENODEV);
	}
	struct superblock *sb = kmalloc(sizeof *sb, MEM_ZERO);
	if (sb == NULL)
		return ERR(ENOMEM);
	refcount_init(&sb->refs, 1);
	sb->type = type;
	sb->flags = flags & TB_MS_RDONLY;
	mutex_init(&sb->rename_lock, LOCK_RANK_RENAME, "superblock: rename");
	dentry_lrus_init(sb);
	superblock_enlist(vfs, sb);
	err_t err = type->mount(sb, source, options, &root, problem);
	if (err == 0) {
		struct dentry *top = dentry_make_root(sb, root);
		spin_lock(&vfs->list_lock);
		sb->root = top; // from here on others may find it
		spin_unlock(&vfs->list_lock);
		if (top == NULL) {
			inode_put(root);
			sb->ops->unmount(sb);
			err = ERR(ENOMEM);
		}
	}
	if (err == 0) {
		*out = sb;
		return 0;
	}
	spin_lock(&vfs->list_lock);
	list_remove(&sb->link);
	spin_unlock(&vfs->list_lock);
	mutex_fini(&sb->rename_lock);
	kfree(sb);
	return err;
}

void superblock_put(struct superblock *sb)
{
	struct vfs_state *vfs = vfs_state();

	if (!refcount_put(&sb->refs))
		return;
	spin_lock(&vfs->list_lock);
	list_remove(&sb->link);
	spin_unlock(&vfs->list_lock);
	if (sb->ops->stop != NULL)
		sb->ops->stop(sb);
	if (sb->flusher != NULL) {
		err_t err = sb->ops->sync != NULL ? sb->ops->sync(sb) : cache_flush_all(sb);
		if (err != 0)
			log_err("vfs: device %u is unmounted with errors: %pe", sb->dev, ERR_PTR(err));
		cache_detach(sb);
	}
	dentry_free_tree(sb);
	dentry_put(sb->root);
	VERIFY3(dentry_unused(sb), ==, 0);
	rcu_barrier(); // dentries and inodes of it that are being freed
	sb->ops->unmount(sb);
	mutex_fini(&sb->rename_lock);
	kfree(sb);
}

struct superblock *superblock_next(struct superblock *held)
{
	struct vfs_state *vfs = vfs_state();
	struct superblock *next = NULL;

	spin_lock(&vfs->list_lock);
	struct list_node *node =
		held != NULL ? list_next(&vfs->superblocks, &held->link) : list_first(&vfs->superblocks);
	for (; node != NULL && next == NULL; node = list_next(&vfs->superblocks, node)) {
		struct superblock *sb = container_of(node, struct superblock, link);
		if (sb->root != NULL && refcount_get_unless_zero(&sb->refs))
			next = sb;
	}
	spin_unlock(&vfs->list_lock);
	if (held != NULL)
		superblock_put(held);
	return next;
}
