// SPDX-License-Identifier: MIT
//
// rename(2) with NOREPLACE and EXCHANGE. Between two directories the superblock's rename mutex keeps the shape of the tree still,
// so that ancestry can be asked; ancestors are locked first, unrelated directories by number.
#include "vfs_impl.h"

struct rename {
	struct walk from, to;
	struct dentry *from_dir, *to_dir;
	struct dentry *source, *target; // counted; target NULL: there is no such name, and nobody asked before
	uint32_t flags;
	bool apart; // two directories: the rename mutex is held
	bool locked;
};

static struct inode *target_inode(const struct rename *rename)
{
	return rename->target != NULL ? dentry_inode(rename->target) : NULL;
}

// Whether `above` is an ancestor of `below`, or the same. The rename mutex is held, or both are one.
static bool is_ancestor(const struct dentry *above, struct dentry *below)
{
	struct dentry *at = below;
	while (at != above && dentry_parent(at) != at)
		at = dentry_parent(at);
	return at == above;
}

static void rename_lock(struct rename *rename)
{
	struct inode *from = dentry_inode(rename->from_dir);
	struct inode *to = dentry_inode(rename->to_dir);

	rename->apart = from != to;
	rename->locked = true;
	if (!rename->apart) {
		mutex_lock(&from->lock);
		return;
	}
	mutex_lock(&from->sb->rename_lock);
	bool to_first = is_ancestor(rename->to_dir, rename->from_dir);
	if (!to_first && !is_ancestor(rename->from_dir, rename->to_dir))
		to_first = to->ino < from->ino;
	mutex_lock_nested(to_first ? &to->lock : &from->lock);
	mutex_lock_nested(to_first ? &from->lock : &to->lock);
}

static void rename_unlock(struct rename *rename)
{
	struct inode *from = dentry_inode(rename->from_dir);
	struct inode *to = dentry_inode(rename->to_dir);

	if (!rename->locked)
		return;
	mutex_unlock(&from->lock);
	if (rename->apart) {
		mutex_unlock(&to->lock);
		mutex_unlock(&from->sb->rename_lock);
	}
}

static err_t rename_find(struct rename *rename)
{
	err_t err = dentry_lookup_locked(rename->from_dir, &rename->from.last, &rename->source);
	if (err == 0 && dentry_inode(rename->source) == NULL)
		err = ERR(ENOENT);
	if (err == 0 && dentry_inode(rename->to_dir)->nlink == 0)
		err = ERR(ENOENT); // removed: where it once was is no matter, and what is known of it neither
	if (err == 0)
		err = dentry_lookup_known_locked(rename->to_dir, &rename->to.last, &rename->target);
	if (err != 0)
		return err;
	bool exists = target_inode(rename) != NULL;
	if (exists && (rename->flags & TB_RENAME_NOREPLACE))
		return ERR(EEXIST);
	if (!exists && (rename->flags & TB_RENAME_EXCHANGE))
		return ERR(ENOENT);
	bool exchange = (rename->flags & TB_RENAME_EXCHANGE) != 0;
	if (!inode_is(dentry_inode(rename->source), TB_S_IFDIR) &&
	    (rename->from.last_slash || (!exchange && rename->to.last_slash)))
		return ERR(ENOTDIR);
	if (exchange && rename->to.last_slash && !inode_is(dentry_inode(rename->target), TB_S_IFDIR))
		return ERR(ENOTDIR);
	if (is_ancestor(rename->source, rename->to_dir))
		return ERR(EINVAL);
	if (exists && is_ancestor(rename->target, rename->from_dir))
		return exchange ? ERR(EINVAL) : ERR(ENOTEMPTY);
	return 0;
}

// A directory that gets another parent is written, because of its "..".
static err_t may_move(const struct rename *rename, const struct inode *inode)
{
	if (rename->apart && inode_is(inode, TB_S_IFDIR))
		return inode_permission(rename->from.process, inode, TB_W_OK);
	return 0;
}

static bool is_mount_point(const struct dentry *dentry)
{
	return dentry != NULL && atomic_load_u32_acquire(&dentry->mounts) != 0;
}

static err_t rename_allowed(const struct rename *rename)
{
	const struct process *process = rename->from.process;
	const struct inode *source = dentry_inode(rename->source);
	const struct inode *target = target_inode(rename);
	const struct inode *to_dir = dentry_inode(rename->to_dir);
	bool exchange = (rename->flags & TB_RENAME_EXCHANGE) != 0;

	err_t err = inode_may_delete(process, dentry_inode(rename->from_dir), source);
	if (err == 0 && target == NULL)
		err = inode_permission(process, to_dir, TB_W_OK | TB_X_OK);
	else if (err == 0)
		err = inode_may_delete(process, to_dir, target);
	if (err == 0 && target != NULL && !exchange) {
		if (inode_is(source, TB_S_IFDIR) && !inode_is(target, TB_S_IFDIR))
			err = ERR(ENOTDIR);
		else if (!inode_is(source, TB_S_IFDIR) && inode_is(target, TB_S_IFDIR))
			err = ERR(EISDIR);
	}
	if (err == 0)
		err = may_move(rename, source);
	if (err == 0 && exchange)
		err = may_move(rename, target);
	if (err == 0 && (is_mount_point(rename->source) || is_mount_point(rename->target)))
		err = ERR(EBUSY);
	if (err == 0 && to_dir->ops->rename == NULL)
		err = ERR(EPERM);
	return err;
}

// Everything that can fail for want of memory happens before the filesystem is asked.
static err_t rename_prepare(struct rename *rename, struct dentry_move *moves, uint32_t count)
{
	moves[0] = (struct dentry_move){.dentry = rename->source, .parent = rename->to_dir};
	moves[1] = (struct dentry_move){.dentry = rename->target, .parent = rename->from_dir};
	moves[0].name = dentry_name_make(&rename->to.last);
	if (count == 2)
		moves[1].name = dentry_name_make(&rename->from.last);
	if (moves[0].name == NULL || (count == 2 && moves[1].name == NULL))
		return ERR(ENOMEM);
	err_t err = dentry_table_reserve(rename->to_dir);
	return err != 0 ? err : dentry_table_reserve(rename->from_dir);
}

static err_t rename_do(struct rename *rename)
{
	struct inode *source = dentry_inode(rename->source);
	struct inode *target = target_inode(rename);
	struct inode *to_dir = dentry_inode(rename->to_dir);
	struct dentry_move moves[2];
	uint32_t count = rename->flags & TB_RENAME_EXCHANGE ? 2 : 1;

	if (source == target)
		return 0; // two names of one file: nothing is done
	err_t err = rename_allowed(rename);
	if (err != 0)
		return err;
	err = rename_prepare(rename, moves, count);
	if (err == 0) {
		inode_lock_two(source, target != NULL ? target : source);
		if (target != NULL && count == 1 && inode_is(target, TB_S_IFDIR) && !to_dir->ops->is_empty(target))
			err = ERR(ENOTEMPTY);
		if (err == 0)
			err = to_dir->ops->rename(dentry_inode(rename->from_dir), &rename->from.last, source, to_dir,
						  &rename->to.last, target, rename->flags);
		inode_unlock_two(source, target != NULL ? target : source);
	}
	if (err != 0) {
		kfree(moves[0].name);
		kfree(moves[1].name);
		return err;
	}
	if (count == 1 && rename->target != NULL) {
		dentry_drop(rename->target);
		dentry_prune_children(rename->target);
	}
	dentry_move(moves, count);
	for (uint32_t i = 0; i < count; i++)
		dentry_put(moves[i].old_parent); // held by the walk too: not the last
	return 0;
}

static err_t rename_places(const struct rename *rename)
{
	if (rename->from.at.mount != rename->to.at.mount)
		return ERR(EXDEV);
	if (rename->from.last_kind != LAST_NORMAL)
		return ERR(EBUSY);
	if (rename->to.last_kind != LAST_NORMAL)
		return rename->flags & TB_RENAME_NOREPLACE ? ERR(EEXIST) : ERR(EBUSY);
	return path_writable(&rename->from.at);
}

err_t vfs_rename(struct process *process, int32_t old_dirfd, const char *old_path, int32_t new_dirfd,
		 const char *new_path, uint32_t flags)
{
	struct rename rename = {.flags = flags};

	if ((flags & ~(uint32_t)(TB_RENAME_NOREPLACE | TB_RENAME_EXCHANGE)) ||
	    flags == (TB_RENAME_NOREPLACE | TB_RENAME_EXCHANGE))
		return ERR(EINVAL);
	err_t err = walk_path(&rename.from, process, old_dirfd, old_path, WALK_PARENT);
	if (err == 0)
		err = walk_path(&rename.to, process, new_dirfd, new_path, WALK_PARENT);
	if (err == 0)
		err = rename_places(&rename);
	if (err == 0) {
		rename.from_dir = rename.from.at.dentry;
		rename.to_dir = rename.to.at.dentry;
		rename_lock(&rename);
		err = rename_find(&rename);
		if (err == 0)
			err = rename_do(&rename);
		rename_unlock(&rename);
	}
	if (rename.source != NULL)
		dentry_put(rename.source);
	if (rename.target != NULL)
		dentry_put(rename.target);
	walk_end(&rename.to);
	walk_end(&rename.from);
	return err;
}
