// SPDX-License-Identifier: MIT
//
// mount(2), umount(2), unshare(2), statfs(2), sync(2).
#include "vfs_impl.h"

#include "kern/string.h"

// At what the path leads to, which is covered from now on.
static err_t mount_here(struct process *process, struct mount *mount, struct path *place)
{
	struct vfs_state *vfs = vfs_state();
	struct inode *inode = dentry_inode(place->dentry);
	err_t err = 0;

	mutex_lock(&vfs->mount_lock);
	if (place->mount->ns != process->mounts)
		err = ERR(EINVAL);
	else if (!inode_is(inode, TB_S_IFDIR) != !inode_is(dentry_inode(mount->root), TB_S_IFDIR))
		err = ERR(ENOTDIR);
	if (err == 0 && inode->nlink == 0)
		err = ERR(ENOENT);
	if (err == 0) {
		path_get(place);
		mount_attach_locked(place->mount->ns, mount, place);
	}
	mutex_unlock(&vfs->mount_lock);
	return err;
}

static err_t mount_new(struct process *process, struct path *place, const char *source, const char *type,
		       uint32_t flags, const char *options, const char **problem)
{
	struct superblock *sb;
	struct mount *mount;

	err_t err = superblock_make(type, source, options, flags, &sb, problem);
	if (err != 0)
		return err;
	err = mount_make(sb, sb->root, source, flags, &mount);
	superblock_put(sb);
	if (err != 0)
		return err;
	err = mount_here(process, mount, place);
	if (err != 0) {
		atomic_store_u32_release(&mount->dying, 1); // nobody else knows it
		mount_put(mount);
	}
	return err;
}

static err_t mount_bind(struct process *process, struct path *place, const char *source, uint32_t flags)
{
	struct walk walk;
	struct mount *mount = NULL;

	err_t err = walk_path(&walk, process, TB_AT_FDCWD, source, WALK_FOLLOW);
	if (err == 0)
		err = mount_make(walk.at.mount->sb, walk.at.dentry, walk.at.mount->source,
				 flags | (walk.at.mount->flags & (TB_MS_NOSUID | TB_MS_NODEV | TB_MS_NOEXEC)), &mount);
	if (err == 0)
		err = mount_here(process, mount, place);
	if (err != 0 && mount != NULL) {
		atomic_store_u32_release(&mount->dying, 1);
		mount_put(mount);
	}
	walk_end(&walk);
	return err;
}

static err_t remount(struct path *place, uint32_t flags)
{
	if (place->dentry != place->mount->root)
		return ERR(EINVAL);
	atomic_store_u32_relaxed(&place->mount->flags,
				 flags & (TB_MS_RDONLY | TB_MS_NOSUID | TB_MS_NODEV | TB_MS_NOEXEC));
	if (!(flags & TB_MS_BIND))
		atomic_store_u32_relaxed(&place->mount->sb->flags, flags & TB_MS_RDONLY);
	return 0;
}

err_t vfs_mount(struct process *process, const char *source, const char *path, const char *type, uint32_t flags,
		const char *options, const char **problem)
{
	const uint32_t known = TB_MS_RDONLY | TB_MS_NOSUID | TB_MS_NODEV | TB_MS_NOEXEC | TB_MS_REMOUNT | TB_MS_BIND;
	const char *unused;
	struct walk walk;

	if (problem == NULL)
		problem = &unused;
	*problem = NULL;
	if (!process_is_root(process))
		return ERR(EPERM);
	if (flags & ~known)
		return ERR(EINVAL);
	if (!(flags & TB_MS_REMOUNT) && (flags & TB_MS_BIND ? source : type) == NULL)
		return ERR(EFAULT);
	source = source != NULL ? source : "none";
	err_t err = walk_path(&walk, process, TB_AT_FDCWD, path, WALK_FOLLOW);
	if (err == 0) {
		if (flags & TB_MS_REMOUNT)
			err = remount(&walk.at, flags);
		else if (flags & TB_MS_BIND)
			err = mount_bind(process, &walk.at, source, flags);
		else
			err = mount_new(process, &walk.at, source, type, flags, options != NULL ? options : "",
					problem);
	}
	walk_end(&walk);
	return err;
}

// A mount of the caller's namespace that is not its root. mount_lock held.
static bool may_go_locked(const struct process *process, const struct mount *mount)
{
	return mount->ns == process->mounts && mount->parent != NULL;
}

// Detaches the last of what hangs on `top`, or `top` itself: *done then. The caller has a reference of it.
static err_t leaf_detach(struct process *process, struct mount *top, bool *done)
{
	struct vfs_state *vfs = vfs_state();
	struct superblock *sb = NULL;
	err_t err = -EINVAL;

	mutex_lock(&vfs->mount_lock);
	if (may_go_locked(process, top)) {
		struct mount *leaf = top;
		while (leaf->children != NULL)
			leaf = leaf->children;
		*done = leaf == top;
		sb = leaf->sb;
		refcount_get(&sb->refs); // the last reference may take long to go: not under the lock
		err = mount_detach_locked(leaf, true);
	}
	mutex_unlock(&vfs->mount_lock);
	if (sb != NULL)
		superblock_put(sb);
	return err;
}

static err_t umount_lazily(struct process *process, struct walk *walk)
{
	bool done = false;
	err_t err = 0;

	while (err == 0 && !done)
		err = leaf_detach(process, walk->at.mount, &done);
	walk_end(walk);
	return err;
}

err_t vfs_umount(struct process *process, const char *path, uint32_t flags)
{
	struct vfs_state *vfs = vfs_state();
	struct walk walk;
	struct mount *mount = NULL;

	if (!process_is_root(process))
		return ERR(EPERM);
	if (flags & ~(uint32_t)TB_MNT_DETACH)
		return ERR(EINVAL);
	err_t err = walk_path(&walk, process, TB_AT_FDCWD, path, WALK_FOLLOW);
	if (err == 0 && walk.at.dentry != walk.at.mount->root)
		err = ERR(EINVAL);
	if (err != 0) {
		walk_end(&walk);
		return err;
	}
	if (flags & TB_MNT_DETACH)
		return umount_lazily(process, &walk);
	struct superblock *sb = walk.at.mount->sb;
	refcount_get(&sb->refs);
	mutex_lock(&vfs->mount_lock);
	mount = walk.at.mount;
	bool goes = may_go_locked(process, mount);
	walk_end(&walk); // in the tree, it lives on without us
	if (!goes)
		err = ERR(EINVAL);
	else if (mount->children != NULL)
		err = ERR(EBUSY);
	else
		err = mount_detach_locked(mount, false);
	mutex_unlock(&vfs->mount_lock);
	superblock_put(sb);
	return err;
}

// Into the copy of its mount; returns what is to be put. A mount that is out of the tree has none.
static struct mount *path_move_locked(struct path *path, const struct mount_ns *from)
{
	struct mount *old = path->mount;
	if (old->ns != from)
		return NULL;
	mount_get(old->copy);
	path->mount = old->copy;
	return old;
}

err_t vfs_unshare(struct process *process, uint32_t flags)
{
	struct vfs_state *vfs = vfs_state();
	struct mount *old[2] = {NULL, NULL};
	struct mount_ns *ns;

	if (flags & ~(uint32_t)TB_CLONE_NEWNS)
		return ERR(EINVAL);
	if (flags == 0)
		return 0;
	if (!process_is_root(process))
		return ERR(EPERM);
	err_t err = mount_ns_make(&ns);
	if (err != 0)
		return err;
	mutex_lock(&vfs->mount_lock);
	struct mount_ns *from = process->mounts;
	err = mount_ns_copy_locked(from, ns);
	if (err == 0) {
		spin_lock(&process->lock);
		old[0] = path_move_locked(&process->root, from);
		old[1] = path_move_locked(&process->cwd, from);
		process->mounts = ns;
		spin_unlock(&process->lock);
	}
	mutex_unlock(&vfs->mount_lock);
	for (size_t i = 0; i < sizeof old / sizeof old[0]; i++)
		if (old[i] != NULL)
			mount_put(old[i]);
	mount_ns_put(err == 0 ? from : ns);
	return err;
}

err_t vfs_statfs(struct process *process, int32_t dirfd, const char *path, struct tb_statfs *out)
{
	struct walk walk;
	err_t err = walk_path(&walk, process, dirfd, path, WALK_FOLLOW | WALK_EMPTY);
	if (err == 0) {
		struct superblock *sb = walk.at.mount->sb;
		*out = (struct tb_statfs){.block_size_bytes = FRAME_SIZE, .name_max = TB_NAME_MAX, .id = sb->dev};
		strlcpy(out->type, sb->type->name, sizeof out->type);
		out->flags = atomic_load_u32_relaxed(&walk.at.mount->flags) | atomic_load_u32_relaxed(&sb->flags);
		sb->ops->statfs(sb, out);
	}
	walk_end(&walk);
	return err;
}

err_t vfs_sync(void)
{
	struct superblock *sb = NULL;
	err_t first = 0;

	while ((sb = superblock_next(sb)) != NULL) {
		err_t err = sb->ops->sync != NULL ? sb->ops->sync(sb) : 0;
		if (first == 0)
			first = err;
	}
	return first;
}

err_t vfs_each_mount(struct process *process,
		     void (*fn)(const char *type, const char *source, uint32_t flags, const char *path, void *arg),
		     void *arg)
{
	struct vfs_state *vfs = vfs_state();
	char *text = kmalloc(TB_PATH_MAX, 0);
	struct mount *mount;
	struct path root;

	if (text == NULL)
		return ERR(ENOMEM);
	mutex_lock(&vfs->mount_lock);
	spin_lock(&process->lock);
	root = process->root;
	path_get(&root);
	spin_unlock(&process->lock);
	list_for_each (mount, &process->mounts->mounts, ns_link) {
		struct path place = {.mount = mount, .dentry = mount->root};
		size_t size;
		if (path_show(&root, &place, text, TB_PATH_MAX, &size) == 0)
			fn(mount->sb->type->name, mount->source, mount->flags | mount->sb->flags, text, arg);
	}
	mutex_unlock(&vfs->mount_lock);
	path_put(&root);
	kfree(text);
	return 0;
}
