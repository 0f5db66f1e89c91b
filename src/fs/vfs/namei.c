// SPDX-License-Identifier: MIT
//
// Names made and unmade: mkdir, mknod, symlink, link, unlink, rmdir. Renaming is next door.
#include "vfs_impl.h"

#include "kern/string.h"

err_t change_begin(struct change *change, struct process *process, int32_t dirfd, const char *path, uint32_t walk_flags)
{
	change->dir = NULL;
	change->dentry = NULL;
	err_t err = walk_path(&change->walk, process, dirfd, path, WALK_PARENT | walk_flags);
	if (err != 0 || change->walk.last_kind != LAST_NORMAL)
		return err;
	if (change->walk.last_slash &&
	    (walk_flags & WALK_CREATE)) // before anybody looks whether the directory is still there
		return ERR(EISDIR);
	struct inode *dir = dentry_inode(change->walk.at.dentry);
	mutex_lock(&dir->lock);
	err = dentry_lookup_locked(change->walk.at.dentry, &change->walk.last, &change->dentry);
	if (err != 0) {
		mutex_unlock(&dir->lock);
		return err;
	}
	change->dir = dir;
	return 0;
}

void change_end(struct change *change)
{
	if (change->dir != NULL)
		mutex_unlock(&change->dir->lock);
	if (change->dentry != NULL)
		dentry_put(change->dentry);
	walk_end(&change->walk);
}

void inode_params_fill(struct inode_params *params, struct process *process, const struct inode *dir, uint32_t mode)
{
	rcu_read_lock();
	const struct cred *cred = process_cred(process);
	*params = (struct inode_params){.mode = mode, .uid = cred->uid, .gid = cred->gid};
	rcu_read_unlock();
	if (inode_mode(dir) & TB_S_ISGID) {
		params->gid = atomic_load_u32_relaxed_nopoint(&dir->gid);
		if ((mode & TB_S_IFMT) == TB_S_IFDIR)
			params->mode |= TB_S_ISGID;
	}
}

err_t change_may_create(const struct change *change)
{
	if (change->dir->nlink == 0)
		return ERR(ENOENT);
	err_t err = path_writable(&change->walk.at);
	return err != 0 ? err : inode_permission(change->walk.process, change->dir, TB_W_OK | TB_X_OK);
}

err_t change_create(struct change *change, uint32_t mode, uint64_t rdev, const char *target)
{
	struct process *process = change->walk.process;
	struct inode_params params;
	struct inode *inode;

	err_t err = change_may_create(change);
	if (err != 0)
		return err;
	if (change->dir->ops->create == NULL)
		return ERR(EPERM);
	if ((mode & TB_S_IFMT) != TB_S_IFLNK)
		mode &= ~(atomic_load_u32_relaxed(&process->umask) & 0777);
	inode_params_fill(&params, process, change->dir, mode);
	params.rdev = rdev;
	params.target = target;
	params.target_size_bytes = target != NULL ? (uint32_t)strlen(target) : 0;
	err = change->dir->ops->create(change->dir, &change->walk.last, &params, &inode);
	if (err == 0)
		dentry_fill(change->dentry, inode);
	return err;
}

// The whole of a call that makes a name.
static err_t make(struct process *process, int32_t dirfd, const char *path, uint32_t mode, uint64_t rdev,
		  const char *target)
{
	struct change change;
	err_t err = change_begin(&change, process, dirfd, path, 0);

	if (err == 0 && (change.dentry == NULL || dentry_inode(change.dentry) != NULL))
		err = ERR(EEXIST);
	if (err == 0 && change.walk.last_slash && (mode & TB_S_IFMT) != TB_S_IFDIR)
		err = ERR(ENOENT);
	if (err == 0)
		err = change_create(&change, mode, rdev, target);
	change_end(&change);
	return err;
}

err_t vfs_mkdir(struct process *process, int32_t dirfd, const char *path, uint32_t mode)
{
	return make(process, dirfd, path, TB_S_IFDIR | (mode & 01777), 0, NULL);
}

err_t vfs_mknod(struct process *process, int32_t dirfd, const char *path, uint32_t mode, uint64_t rdev)
{
	uint32_t type = mode & TB_S_IFMT;

	if (type == 0)
		type = TB_S_IFREG;
	if (type == TB_S_IFDIR)
		return ERR(EPERM);
	if (type != TB_S_IFREG && type != TB_S_IFCHR && type != TB_S_IFBLK && type != TB_S_IFIFO && type != TB_S_IFSOCK)
		return ERR(EINVAL);
	bool device = type == TB_S_IFCHR || type == TB_S_IFBLK;
	if (device && !process_is_root(process))
		return ERR(EPERM);
	return make(process, dirfd, path, type | (mode & 07777), device ? rdev : 0, NULL);
}

err_t vfs_symlink(struct process *process, const char *target, int32_t dirfd, const char *path)
{
	size_t size = strnlen(target, TB_PATH_MAX);
	if (size == 0)
		return ERR(ENOENT);
	if (size == TB_PATH_MAX)
		return ERR(ENAMETOOLONG);
	return make(process, dirfd, path, TB_S_IFLNK | 0777, 0, target);
}

// A link to a file without a name in the tree (O_TMPFILE) gives it its first one.
static err_t link_locked(struct change *change, struct inode *inode)
{
	struct inode *dir = change->dir;
	err_t err = change_may_create(change);

	if (err == 0 && inode->sb != dir->sb)
		err = ERR(EXDEV);
	if (err == 0 && (inode_is(inode, TB_S_IFDIR) || dir->ops->link == NULL))
		err = ERR(EPERM);
	if (err != 0)
		return err;
	mutex_lock_nested(&inode->lock);
	if (inode->nlink == 0 && !inode->linkable)
		err = ERR(ENOENT);
	else
		err = dir->ops->link(dir, &change->walk.last, inode);
	if (err == 0)
		inode->linkable = false;
	mutex_unlock(&inode->lock);
	if (err == 0) {
		inode_get(inode);
		dentry_fill(change->dentry, inode);
	}
	return err;
}

err_t vfs_link(struct process *process, int32_t old_dirfd, const char *old_path, int32_t new_dirfd,
	       const char *new_path, uint32_t at_flags)
{
	struct change change;
	struct walk walk;
	uint32_t flags =
		(at_flags & TB_AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (at_flags & TB_AT_EMPTY_PATH ? WALK_EMPTY : 0);

	if (at_flags & ~(uint32_t)(TB_AT_SYMLINK_FOLLOW | TB_AT_EMPTY_PATH))
		return ERR(EINVAL);
	err_t err = walk_path(&walk, process, old_dirfd, old_path, flags);
	if (err != 0) {
		walk_end(&walk);
		return err;
	}
	err = change_begin(&change, process, new_dirfd, new_path, 0);
	if (err == 0 && (change.dentry == NULL || dentry_inode(change.dentry) != NULL))
		err = ERR(EEXIST);
	if (err == 0 && change.walk.last_slash)
		err = ERR(ENOENT);
	if (err == 0 && change.walk.at.mount != walk.at.mount)
		err = ERR(EXDEV);
	if (err == 0)
		err = link_locked(&change, dentry_inode(walk.at.dentry));
	change_end(&change);
	walk_end(&walk);
	return err;
}

// ---- unlink and rmdir ----------------------------------------------------------------------------------------------------

static err_t no_name(enum last_kind kind, bool directory)
{
	if (!directory)
		return ERR(EISDIR);
	if (kind == LAST_DOT)
		return ERR(EINVAL);
	return kind == LAST_DOTDOT ? ERR(ENOTEMPTY) : ERR(EBUSY);
}

static err_t may_unlink(const struct change *change, const struct inode *inode, bool directory)
{
	bool is_directory = inode_is(inode, TB_S_IFDIR);
	err_t err = path_writable(&change->walk.at);

	if (err == 0 && !directory && change->walk.last_slash) // before anybody asks for permission
		return is_directory ? ERR(EISDIR) : ERR(ENOTDIR);
	if (err == 0)
		err = inode_may_delete(change->walk.process, change->dir, inode);
	if (err != 0)
		return err;
	if (directory && !is_directory)
		return ERR(ENOTDIR);
	if (!directory && is_directory)
		return ERR(EISDIR);
	if (atomic_load_u32_acquire(&change->dentry->mounts) != 0)
		return ERR(EBUSY);
	return change->dir->ops->unlink != NULL ? 0 : ERR(EPERM);
}

static err_t unlink_locked(struct change *change, bool directory)
{
	struct inode *inode = dentry_inode(change->dentry);
	if (inode == NULL)
		return ERR(ENOENT);
	err_t err = may_unlink(change, inode, directory);
	if (err != 0)
		return err;
	mutex_lock_nested(&inode->lock);
	if (directory && !change->dir->ops->is_empty(inode))
		err = ERR(ENOTEMPTY);
	if (err == 0)
		err = change->dir->ops->unlink(change->dir, &change->walk.last, inode);
	mutex_unlock(&inode->lock);
	if (err != 0)
		return err;
	dentry_drop(change->dentry);
	if (directory)
		dentry_prune_children(change->dentry);
	return 0;
}

err_t vfs_unlink(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags)
{
	struct change change;
	bool directory = (at_flags & TB_AT_REMOVEDIR) != 0;

	if (at_flags & ~(uint32_t)TB_AT_REMOVEDIR)
		return ERR(EINVAL);
	err_t err = change_begin(&change, process, dirfd, path, 0);
	if (err == 0 && change.dentry == NULL)
		err = no_name(change.walk.last_kind, directory);
	else if (err == 0)
		err = unlink_locked(&change, directory);
	change_end(&change);
	return err;
}
