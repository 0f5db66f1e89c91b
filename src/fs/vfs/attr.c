// SPDX-License-Identifier: MIT
//
// Attributes: stat, access, chmod, chown, utimensat, truncate, fallocate.
#include "vfs_impl.h"

static void stat_fill(const struct path *path, struct inode *inode, struct tb_stat *stat)
{
	*stat = (struct tb_stat){
		.dev = inode->sb->dev,
		.ino = inode->ino,
		.rdev = inode->rdev,
		.mount_id = path->mount->id,
		.size_bytes = inode_size(inode),
		.block_size_bytes = FRAME_SIZE,
	};
	spin_lock(&inode->attr_lock);
	stat->mode = inode->mode;
	stat->nlink = inode->nlink;
	stat->uid = inode->uid;
	stat->gid = inode->gid;
	stat->blocks = inode->blocks;
	stat->atime = inode->atime;
	stat->mtime = inode->mtime;
	stat->ctime = inode->ctime;
	stat->btime = inode->btime;
	spin_unlock(&inode->attr_lock);
}

err_t walk_at(struct walk *walk, struct process *process, int32_t dirfd, const char *path, uint32_t at_flags)
{
	uint32_t flags =
		(at_flags & TB_AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & TB_AT_EMPTY_PATH ? WALK_EMPTY : 0);

	*walk = (struct walk){0};
	if (at_flags & ~(uint32_t)(TB_AT_SYMLINK_NOFOLLOW | TB_AT_EMPTY_PATH))
		return ERR(EINVAL);
	return walk_path(walk, process, dirfd, path, flags);
}

err_t vfs_stat(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, struct tb_stat *stat)
{
	struct walk walk;
	err_t err = walk_at(&walk, process, dirfd, path, at_flags);
	if (err == 0)
		stat_fill(&walk.at, dentry_inode(walk.at.dentry), stat);
	walk_end(&walk);
	return err;
}

err_t vfs_fstat(struct process *process, int32_t fd, struct tb_stat *stat)
{
	struct file *file;
	err_t err = file_get(process, fd, RIGHT_STAT, &file);
	if (err != 0)
		return err;
	stat_fill(&file->path, file->inode, stat);
	file_put(file);
	return 0;
}

err_t vfs_access(struct process *process, int32_t dirfd, const char *path, uint32_t access, uint32_t at_flags)
{
	struct walk walk;

	if (access & ~(uint32_t)(TB_R_OK | TB_W_OK | TB_X_OK))
		return ERR(EINVAL);
	err_t err = walk_at(&walk, process, dirfd, path, at_flags);
	if (err == 0) {
		const struct inode *inode = dentry_inode(walk.at.dentry);
		uint32_t type = inode_mode(inode) & TB_S_IFMT;
		err = inode_permission(process, inode, access);
		if (err == 0 && (access & TB_W_OK) && (type == TB_S_IFREG || type == TB_S_IFDIR || type == TB_S_IFLNK))
			err = path_writable(&walk.at);
		if (err == 0 && (access & TB_X_OK) && type == TB_S_IFREG &&
		    (atomic_load_u32_relaxed(&walk.at.mount->flags) & TB_MS_NOEXEC))
			err = ERR(EACCES);
	}
	walk_end(&walk);
	return err;
}

// ---- changes -------------------------------------------------------------------------------------------------------------

// A change that a process asks for: what it may, with what follows from it.
typedef err_t prepare_fn(struct process *process, struct inode *inode, struct attr_change *change);

static err_t change_place(struct process *process, const struct path *path, struct inode *inode, prepare_fn *prepare,
			  const struct attr_change *wanted)
{
	struct attr_change change = *wanted;
	err_t err = path_writable(path);

	if (err != 0)
		return err;
	mutex_lock(&inode->lock);
	err = prepare(process, inode, &change);
	if (err == 0 && change.mask != 0) {
		change.mask |= ATTR_CTIME;
		change.ctime = time_now();
		err = inode_change(inode, &change);
	}
	mutex_unlock(&inode->lock);
	return err;
}

static err_t change_path(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags,
			 prepare_fn *prepare, const struct attr_change *wanted)
{
	struct walk walk;
	err_t err = walk_at(&walk, process, dirfd, path, at_flags);
	if (err == 0)
		err = change_place(process, &walk.at, dentry_inode(walk.at.dentry), prepare, wanted);
	walk_end(&walk);
	return err;
}

static err_t change_fd(struct process *process, int32_t fd, uint32_t rights, prepare_fn *prepare,
		       const struct attr_change *wanted)
{
	struct file *file;
	err_t err = file_get(process, fd, rights, &file);
	if (err != 0)
		return err;
	err = change_place(process, &file->path, file->inode, prepare, wanted);
	file_put(file);
	return err;
}

bool process_in_group(const struct process *process, uint32_t gid)
{
	rcu_read_lock();
	bool in = cred_in_group(process_cred(process), gid);
	rcu_read_unlock();
	return in;
}

static err_t chmod_prepare(struct process *process, struct inode *inode, struct attr_change *change)
{
	if (inode_is(inode, TB_S_IFLNK))
		return ERR(EOPNOTSUPP);
	if (!inode_owned(process, inode))
		return ERR(EPERM);
	if ((change->mode & TB_S_ISGID) && !process_is_root(process) && !process_in_group(process, inode->gid))
		change->mode &= ~(uint32_t)TB_S_ISGID;
	return 0;
}

err_t vfs_chmod(struct process *process, int32_t dirfd, const char *path, uint32_t mode, uint32_t at_flags)
{
	struct attr_change change = {.mask = ATTR_MODE, .mode = mode & 07777};
	return change_path(process, dirfd, path, at_flags, chmod_prepare, &change);
}

err_t vfs_fchmod(struct process *process, int32_t fd, uint32_t mode)
{
	struct attr_change change = {.mask = ATTR_MODE, .mode = mode & 07777};
	return change_fd(process, fd, RIGHT_CHANGE, chmod_prepare, &change);
}

// uid 0 gives to anybody; an owner to the groups that are his. A file that changes hands loses its set-ID bits (chown(2)); that of the group if
// the group may run it, or the owner is not in the group that the file has until then.
static err_t chown_prepare(struct process *process, struct inode *inode, struct attr_change *change)
{
	bool root = process_is_root(process);

	if ((change->mask & ATTR_UID) && !root && (!inode_owned(process, inode) || change->uid != inode->uid))
		return ERR(EPERM);
	if ((change->mask & ATTR_GID) && !root &&
	    (!inode_owned(process, inode) || (change->gid != inode->gid && !process_in_group(process, change->gid))))
		return ERR(EPERM);
	uint32_t mode = inode_mode(inode);
	if (!inode_is(inode, TB_S_IFDIR) && change->mask != 0) {
		change->mode = mode & 07777 & ~(uint32_t)TB_S_ISUID;
		if ((mode & 0010) || (!root && !process_in_group(process, inode->gid)))
			change->mode &= ~(uint32_t)TB_S_ISGID;
		change->mask |= ATTR_MODE;
	}
	return 0;
}

static struct attr_change owner_change(uint32_t uid, uint32_t gid)
{
	return (struct attr_change){.mask = (uid != UINT32_MAX ? ATTR_UID : 0u) | (gid != UINT32_MAX ? ATTR_GID : 0u),
				    .uid = uid,
				    .gid = gid};
}

err_t vfs_chown(struct process *process, int32_t dirfd, const char *path, uint32_t uid, uint32_t gid, uint32_t at_flags)
{
	struct attr_change change = owner_change(uid, gid);
	return change_path(process, dirfd, path, at_flags, chown_prepare, &change);
}

err_t vfs_fchown(struct process *process, int32_t fd, uint32_t uid, uint32_t gid)
{
	struct attr_change change = owner_change(uid, gid);
	return change_fd(process, fd, RIGHT_CHANGE, chown_prepare, &change);
}

// "Both now" needs write permission only; anything else the owner (utimensat(2)). The mark of the first is ATTR_CTIME.
static err_t utimens_prepare(struct process *process, struct inode *inode, struct attr_change *change)
{
	if (inode_owned(process, inode))
		return 0;
	return change->mask & ATTR_CTIME ? inode_permission(process, inode, TB_W_OK) : ERR(EPERM);
}

static err_t time_read(const struct tb_time *from, struct tb_time *to, uint32_t bit, struct attr_change *change)
{
	if (from->nanoseconds == TB_UTIME_OMIT)
		return 0;
	if (from->nanoseconds != TB_UTIME_NOW && from->nanoseconds > 999999999u)
		return ERR(EINVAL);
	*to = from->nanoseconds == TB_UTIME_NOW ? time_now() : *from;
	to->reserved = 0;
	change->mask |= bit;
	return 0;
}

err_t vfs_utimens(struct process *process, int32_t dirfd, const char *path, const struct tb_time *times,
		  uint32_t at_flags)
{
	static const struct tb_time both_now[2] = {{.nanoseconds = TB_UTIME_NOW}, {.nanoseconds = TB_UTIME_NOW}};
	struct attr_change change = {0};
	const struct tb_time *wanted = times != NULL ? times : both_now;

	err_t err = time_read(&wanted[0], &change.atime, ATTR_ATIME, &change);
	if (err == 0)
		err = time_read(&wanted[1], &change.mtime, ATTR_MTIME, &change);
	if (err != 0)
		return err;
	if (wanted[0].nanoseconds == TB_UTIME_NOW && wanted[1].nanoseconds == TB_UTIME_NOW)
		change.mask |= ATTR_CTIME;
	return change_path(process, dirfd, path, at_flags, utimens_prepare, &change);
}

// A set-user-ID file whose contents a user changes loses the bit (inode(7)); a set-group-ID one if the group may run it, or the
// user is not in the group.
void change_drop_set_ids(const struct process *process, const struct inode *inode, struct attr_change *change)
{
	uint32_t mode = inode_mode(inode);
	uint32_t drop = mode & (TB_S_ISUID | TB_S_ISGID);

	if (drop == 0 || process_is_root(process))
		return;
	if (!(mode & 0010) && process_in_group(process, atomic_load_u32_relaxed_nopoint(&inode->gid)))
		drop &= ~(uint32_t)TB_S_ISGID;
	change->mask |= ATTR_MODE;
	change->mode = mode & ~drop & 07777;
}

static err_t truncate_prepare(struct process *process, struct inode *inode, struct attr_change *change)
{
	if (inode_is(inode, TB_S_IFDIR))
		return ERR(EISDIR);
	if (!inode_is(inode, TB_S_IFREG))
		return ERR(EINVAL);
	change->mask |= ATTR_MTIME;
	change->mtime = time_now();
	change_drop_set_ids(process, inode, change);
	return 0;
}

static err_t truncate_path_prepare(struct process *process, struct inode *inode, struct attr_change *change)
{
	err_t err = truncate_prepare(process, inode, change);
	return err != 0 ? err : inode_permission(process, inode, TB_W_OK);
}

err_t vfs_truncate(struct process *process, int32_t dirfd, const char *path, int64_t size_bytes)
{
	struct attr_change change = {.mask = ATTR_SIZE, .size_bytes = (uint64_t)size_bytes};
	if (size_bytes < 0)
		return ERR(EINVAL);
	return change_path(process, dirfd, path, 0, truncate_path_prepare, &change);
}

err_t vfs_ftruncate(struct process *process, int32_t fd, int64_t size_bytes)
{
	struct attr_change change = {.mask = ATTR_SIZE, .size_bytes = (uint64_t)size_bytes};
	struct file *file;

	if (size_bytes < 0)
		return ERR(EINVAL);
	err_t err = file_get(process, fd, RIGHT_CHANGE, &file);
	if (err != 0)
		return err;
	if ((file->flags & TB_O_ACCMODE) == TB_O_RDONLY || inode_is(file->inode, TB_S_IFDIR))
		err = ERR(EINVAL);
	else
		err = change_place(process, &file->path, file->inode, truncate_prepare, &change);
	file_put(file);
	return err;
}

err_t file_allocate(struct file *file, uint32_t mode, uint64_t offset, uint64_t size_bytes)
{
	struct inode *inode = file->inode;
	err_t err = 0;

	if (!inode_is(inode, TB_S_IFREG))
		err = ERR(ENODEV);
	else if (inode->ops->fallocate == NULL)
		err = ERR(EOPNOTSUPP);
	else
		err = path_writable(&file->path);
	if (err != 0)
		return err;
	mutex_lock(&inode->lock);
	err = inode->ops->fallocate(inode, mode, offset, size_bytes);
	if (err == 0)
		inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
	mutex_unlock(&inode->lock);
	return err;
}

err_t vfs_fallocate(struct process *process, int32_t fd, uint32_t mode, int64_t offset, int64_t size_bytes)
{
	struct file *file;
	int64_t end;

	if (offset < 0 || size_bytes <= 0)
		return ERR(EINVAL);
	if (__builtin_add_overflow(offset, size_bytes, &end))
		return ERR(EFBIG);
	if ((mode & ~(uint32_t)(TB_FALLOC_KEEP_SIZE | TB_FALLOC_PUNCH_HOLE | TB_FALLOC_ZERO_RANGE)) ||
	    ((mode & TB_FALLOC_PUNCH_HOLE) && mode != (TB_FALLOC_PUNCH_HOLE | TB_FALLOC_KEEP_SIZE)))
		return ERR(EOPNOTSUPP);
	err_t err = file_get(process, fd, RIGHT_WRITE, &file);
	if (err != 0)
		return err;
	err = file_allocate(file, mode, (uint64_t)offset, (uint64_t)size_bytes);
	file_put(file);
	return err;
}
