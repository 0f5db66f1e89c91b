// SPDX-License-Identifier: MIT
//
// Inodes: life, times, permission (path_resolution(7), inode(7)). There are no capabilities yet: uid 0 has them all.
#include "vfs_impl.h"

#include "kern/page_cache.h"
#include "kern/sched.h"

#define NANOSECONDS 1000000000ull

struct tb_time time_now(void)
{
	uint64_t wall_ns = clock_wall_ns();
	return (struct tb_time){.seconds = (int64_t)(wall_ns / NANOSECONDS),
				.nanoseconds = (uint32_t)(wall_ns % NANOSECONDS)};
}

void inode_init(struct inode *inode, struct superblock *sb, uint64_t ino, const struct inode_params *params)
{
	refcount_init(&inode->refs, 1);
	inode->sb = sb;
	inode->ino = ino;
	inode->mode = params->mode;
	inode->uid = params->uid;
	inode->gid = params->gid;
	inode->rdev = params->rdev;
	inode->nlink = (params->mode & TB_S_IFMT) == TB_S_IFDIR ? 2 : 1;
	inode->ctime = time_now();
	inode->atime = inode->mtime = inode->btime = inode->ctime;
	mutex_init(&inode->lock, LOCK_RANK_INODE, "inode");
	spin_init(&inode->attr_lock, LOCK_RANK_INODE_ATTR, "inode: attributes");
	mapping_init(&inode->mapping);
}

void inode_get(struct inode *inode)
{
	refcount_get(&inode->refs);
}

static void orphan_check(struct inode *inode)
{
	spin_lock(&inode->attr_lock);
	bool orphan = inode->nlink == 0;
	spin_unlock(&inode->attr_lock);
	if (orphan)
		cache_orphan(inode);
}

void inode_put(struct inode *inode)
{
	if (inode->mapping.cache != NULL)
		orphan_check(inode);
	if (!refcount_put(&inode->refs))
		return;
	file_locks_free(inode);
	mutex_fini(&inode->lock);
	inode->sb->ops->destroy(inode);
}

void inode_free_later(struct inode *inode, void (*fn)(struct rcu_head *))
{
	rcu_call(&inode->rcu, fn);
}

static void inode_dirty(struct inode *inode)
{
	if (inode->sb->ops->dirty != NULL)
		inode->sb->ops->dirty(inode);
}

void inode_touch(struct inode *inode, uint32_t attr_mask)
{
	struct tb_time now = time_now();

	spin_lock(&inode->attr_lock);
	if (attr_mask == ATTR_ATIME && inode->sb->ops->keeps_atime != NULL && !inode->sb->ops->keeps_atime(inode)) {
		spin_unlock(&inode->attr_lock);
		return;
	}
	if (attr_mask & ATTR_ATIME)
		inode->atime = now;
	if (attr_mask & ATTR_MTIME)
		inode->mtime = now;
	if (attr_mask & ATTR_CTIME)
		inode->ctime = now;
	inode_dirty(inode);
	spin_unlock(&inode->attr_lock);
}

void inode_add_links(struct inode *inode, int32_t change)
{
	struct tb_time now = time_now();

	spin_lock(&inode->attr_lock);
	inode->nlink = (uint32_t)((int32_t)inode->nlink + change);
	inode->ctime = now;
	inode_dirty(inode);
	spin_unlock(&inode->attr_lock);
}

bool process_is_root(const struct process *process)
{
	rcu_read_lock();
	bool root = process_cred(process)->uid == 0;
	rcu_read_unlock();
	return root;
}

bool inode_owned(const struct process *process, const struct inode *inode)
{
	rcu_read_lock();
	uint32_t uid = process_cred(process)->uid;
	rcu_read_unlock();
	return uid == 0 || uid == atomic_load_u32_relaxed_nopoint(&inode->uid);
}

err_t inode_permission(const struct process *process, const struct inode *inode, uint32_t access)
{
	uint32_t mode = inode_mode(inode);
	uint32_t granted;

	rcu_read_lock();
	const struct cred *cred = process_cred(process);
	if (cred->uid == 0) // reads and writes all; runs what anybody may run
		granted = (mode & TB_S_IFMT) == TB_S_IFDIR || (mode & 0111) ? 7 : 6;
	else if (cred->uid == atomic_load_u32_relaxed_nopoint(&inode->uid))
		granted = mode >> 6;
	else if (cred_in_group(cred, atomic_load_u32_relaxed_nopoint(&inode->gid)))
		granted = mode >> 3;
	else
		granted = mode;
	rcu_read_unlock();
	return (granted & access) == access ? 0 : ERR(EACCES);
}

err_t inode_may_delete(const struct process *process, const struct inode *dir, const struct inode *victim)
{
	err_t err = inode_permission(process, dir, TB_W_OK | TB_X_OK);
	if (err == 0 && (inode_mode(dir) & TB_S_ISVTX) && !inode_owned(process, dir) && !inode_owned(process, victim))
		err = ERR(EPERM);
	return err;
}

void inode_lock_two(struct inode *a, struct inode *b)
{
	struct inode *first = a->ino <= b->ino ? a : b;
	struct inode *second = first == a ? b : a;

	mutex_lock_nested(&first->lock);
	if (second != first)
		mutex_lock_nested(&second->lock);
}

void inode_unlock_two(struct inode *a, struct inode *b)
{
	mutex_unlock(&a->lock);
	if (a != b)
		mutex_unlock(&b->lock);
}

// The size first, because it alone can fail.
err_t inode_change(struct inode *inode, const struct attr_change *change)
{
	err_t err = inode->sb->ops->change != NULL ? inode->sb->ops->change(inode) : 0;

	if (err == 0 && (change->mask & ATTR_SIZE))
		err = inode->ops->resize != NULL ? inode->ops->resize(inode, change->size_bytes) : ERR(EINVAL);
	if (err != 0)
		return err;
	spin_lock(&inode->attr_lock);
	if (change->mask & ATTR_MODE)
		atomic_store_u32_relaxed(&inode->mode, (inode->mode & TB_S_IFMT) | (change->mode & 07777));
	if (change->mask & ATTR_UID)
		atomic_store_u32_relaxed(&inode->uid, change->uid);
	if (change->mask & ATTR_GID)
		atomic_store_u32_relaxed(&inode->gid, change->gid);
	if (change->mask & ATTR_ATIME)
		inode->atime = change->atime;
	if (change->mask & ATTR_MTIME)
		inode->mtime = change->mtime;
	if (change->mask & ATTR_CTIME)
		inode->ctime = change->ctime;
	inode_dirty(inode);
	spin_unlock(&inode->attr_lock);
	return 0;
}
