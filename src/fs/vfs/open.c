// SPDX-License-Identifier: MIT
//
// open(2): from a path to an open file to a descriptor.
#include "vfs_impl.h"

#include "kern/page_cache.h"
#include "kern/string.h"

// Flags that stay with the open file.
#define FLAGS_KEPT                                                                                                     \
	(TB_O_ACCMODE | TB_O_APPEND | TB_O_NONBLOCK | TB_O_SYNC | TB_O_DIRECT | TB_O_LARGEFILE | TB_O_DIRECTORY |      \
	 TB_O_NOFOLLOW | TB_O_NOATIME | TB_O_PATH)
#define TMPFILE_BIT (TB_O_TMPFILE & ~TB_O_DIRECTORY)
#define OPEN_RETRIES 4

static uint32_t access_of(uint32_t flags)
{
	static const uint8_t access[4] = {TB_R_OK, TB_W_OK, TB_R_OK | TB_W_OK, TB_R_OK | TB_W_OK};
	uint32_t wanted = access[flags & TB_O_ACCMODE];
	return flags & TB_O_TRUNC ? wanted | TB_W_OK : wanted;
}

static uint32_t rights_of(uint32_t flags)
{
	uint32_t rights = RIGHT_STAT | RIGHT_LOOKUP;
	if (flags & TB_O_PATH)
		return rights;
	rights |= RIGHT_SEEK | RIGHT_CHANGE | RIGHT_LOCK;
	if ((flags & TB_O_ACCMODE) != TB_O_WRONLY)
		rights |= RIGHT_READ;
	if ((flags & TB_O_ACCMODE) != TB_O_RDONLY)
		rights |= RIGHT_WRITE;
	return rights;
}

err_t file_make(const struct path *path, struct inode *inode, uint32_t flags, struct file **out)
{
	struct file *file = slab_alloc(vfs_state()->files, MEM_ZERO);
	if (file == NULL)
		return ERR(ENOMEM);
	object_init(&file->object, &file_object_ops);
	mutex_init(&file->pos_lock, LOCK_RANK_FILE_POS, "file: position");
	file->path = *path;
	path_get(path);
	file->inode = inode;
	inode_get(inode);
	file->flags = flags & FLAGS_KEPT;
	file->ops = inode->file_ops;
	file->error_seen = cache_error_sample(inode);
	err_t err = !(flags & TB_O_PATH) && file->ops->open != NULL ? file->ops->open(file) : 0;
	if (err != 0) {
		file->ops = &no_file_ops; // nothing to release
		file_put(file);
		return err;
	}
	*out = file;
	return 0;
}

// O_TRUNC, by one who may write.
static err_t truncate_opened(const struct process *process, struct inode *inode)
{
	struct tb_time now = time_now();
	struct attr_change change = {.mask = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME, .mtime = now, .ctime = now};

	change_drop_set_ids(process, inode, &change);
	mutex_lock(&inode->lock);
	err_t err = inode_change(inode, &change);
	mutex_unlock(&inode->lock);
	return err;
}

static err_t may_open(struct process *process, const struct path *path, struct inode *inode, uint32_t flags)
{
	uint32_t type = inode_mode(inode) & TB_S_IFMT;
	uint32_t access = access_of(flags);

	if (type == TB_S_IFLNK)
		return ERR(ELOOP);
	if (type == TB_S_IFDIR && (access & TB_W_OK))
		return ERR(EISDIR);
	if ((type == TB_S_IFCHR || type == TB_S_IFBLK) && (atomic_load_u32_relaxed(&path->mount->flags) & TB_MS_NODEV))
		return ERR(EACCES);
	if ((access & TB_W_OK) && (type == TB_S_IFREG || type == TB_S_IFDIR) && mount_is_read_only(path->mount))
		return ERR(EROFS);
	err_t err = inode_permission(process, inode, access);
	if (err == 0 && (flags & TB_O_NOATIME) && !inode_owned(process, inode))
		err = ERR(EPERM);
	return err;
}

static err_t open_place(struct process *process, const struct path *path, struct inode *inode, uint32_t flags,
			bool made, struct file **out)
{
	err_t err = 0;

	if (!made && !(flags & TB_O_PATH))
		err = may_open(process, path, inode, flags);
	if (err == 0 && (flags & TB_O_DIRECTORY) && !inode_is(inode, TB_S_IFDIR))
		err = ERR(ENOTDIR);
	if (err == 0)
		err = file_make(path, inode, flags, out);
	if (err == 0 && !made && (flags & TB_O_TRUNC) && inode_is(inode, TB_S_IFREG)) {
		err = truncate_opened(process, inode);
		if (err != 0)
			file_put(*out);
	}
	return err;
}

static err_t open_existing(struct process *process, int32_t dirfd, const char *path, uint32_t flags, struct file **out)
{
	struct walk walk;
	uint32_t walk_flags = (flags & TB_O_NOFOLLOW ? 0 : WALK_FOLLOW) |
			      (flags & TB_O_DIRECTORY ? WALK_DIRECTORY : 0) | (flags & TB_O_CREAT ? WALK_CREATE : 0);

	err_t err = walk_path(&walk, process, dirfd, path, walk_flags);
	if (err == 0 && (flags & TB_O_CREAT)) {
		if (inode_is(dentry_inode(walk.at.dentry), TB_S_IFDIR))
			err = ERR(EISDIR);
	}
	if (err == 0)
		err = open_place(process, &walk.at, dentry_inode(walk.at.dentry), flags, false, out);
	walk_end(&walk);
	return err;
}

// -EAGAIN: the name came into being meanwhile.
static err_t open_new(struct process *process, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode,
		      struct file **out)
{
	struct change change;
	bool exclusive = (flags & TB_O_EXCL) != 0;
	uint32_t follow = exclusive || (flags & TB_O_NOFOLLOW) ? 0 : WALK_FOLLOW;
	err_t err = change_begin(&change, process, dirfd, path, follow | WALK_CREATE);

	if (err == 0 && change.dentry == NULL)
		err = exclusive ? ERR(EEXIST) : ERR(EISDIR);
	if (err == 0 && dentry_inode(change.dentry) != NULL)
		err = exclusive ? ERR(EEXIST) : -EAGAIN;
	if (err == 0)
		err = change_create(&change, TB_S_IFREG | (mode & 07777), 0, NULL);
	if (err == 0) {
		struct path place = {.mount = change.walk.at.mount, .dentry = change.dentry};
		err = open_place(process, &place, dentry_inode(change.dentry), flags & ~(uint32_t)TB_O_TRUNC, true,
				 out);
	}
	change_end(&change);
	return err;
}

static err_t open_create(struct process *process, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode,
			 struct file **out)
{
	err_t err = -EAGAIN;

	for (uint32_t i = 0; err == -EAGAIN && i < OPEN_RETRIES; i++) {
		if (!(flags & TB_O_EXCL)) {
			err = open_existing(process, dirfd, path, flags, out);
			if (err != -ENOENT)
				return err;
		}
		err = open_new(process, dirfd, path, flags, mode, out);
	}
	return err;
}

// A file that no name leads to; with O_EXCL none ever will.
static err_t open_tmpfile(struct process *process, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode,
			  struct file **out)
{
	struct inode_params params;
	struct inode *inode;
	struct walk walk;
	struct dentry *dentry = NULL;

	if ((flags & TB_O_ACCMODE) == TB_O_RDONLY)
		return ERR(EINVAL);
	err_t err = walk_path(&walk, process, dirfd, path, WALK_FOLLOW | WALK_DIRECTORY);
	if (err == 0)
		err = path_writable(&walk.at);
	struct inode *dir = err == 0 ? dentry_inode(walk.at.dentry) : NULL;
	if (err == 0)
		err = inode_permission(process, dir, TB_W_OK | TB_X_OK);
	if (err == 0 && dir->ops->tmpfile == NULL)
		err = ERR(EOPNOTSUPP);
	if (err == 0) {
		uint32_t umask = atomic_load_u32_relaxed(&process->umask);
		inode_params_fill(&params, process, dir, TB_S_IFREG | (mode & 07777 & ~umask));
		mutex_lock(&dir->lock);
		err = dir->ops->tmpfile(dir, &params, &inode);
		mutex_unlock(&dir->lock);
	}
	if (err == 0) {
		inode->linkable = !(flags & TB_O_EXCL);
		err = dentry_make_loose(walk.at.dentry, inode, &dentry);
		if (err != 0)
			inode_put(inode);
	}
	if (err == 0) {
		struct path place = {.mount = walk.at.mount, .dentry = dentry};
		err = open_place(process, &place, inode, flags & ~(uint32_t)TB_O_DIRECTORY, true, out);
		dentry_put(dentry);
	}
	walk_end(&walk);
	return err;
}

// A descriptor for an open file, whose reference it takes over, also when it fails.
static err_t file_install(struct process *process, struct file *file, uint32_t flags, int32_t *fd)
{
	uint32_t descriptor_flags = flags & TB_O_CLOEXEC ? DESCRIPTOR_CLOEXEC : 0;
	err_t err = descriptor_open(process, &file->object, rights_of(flags), descriptor_flags, 0, fd);
	if (err != 0)
		file_put(file);
	return err;
}

#define FLAGS_OF_PATH (TB_O_PATH | TB_O_DIRECTORY | TB_O_NOFOLLOW | TB_O_CLOEXEC)

err_t file_open_place(struct process *process, const struct path *path, uint32_t flags, int32_t *fd)
{
	struct file *file;

	if (flags & TB_O_PATH)
		flags &= FLAGS_OF_PATH;
	err_t err = open_place(process, path, dentry_inode(path->dentry), flags, false, &file);
	return err == 0 ? file_install(process, file, flags, fd) : err;
}

err_t vfs_open(struct process *process, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode, int32_t *fd)
{
	struct file *file;
	err_t err;

	if (flags & TB_O_PATH)
		flags &= FLAGS_OF_PATH;
	if ((flags & TB_O_CREAT) && (flags & TB_O_DIRECTORY))
		return ERR(EINVAL);
	if ((flags & TMPFILE_BIT) && !(flags & TB_O_DIRECTORY))
		return ERR(EINVAL);
	if (flags & TMPFILE_BIT)
		err = open_tmpfile(process, dirfd, path, flags, mode, &file);
	else if (flags & TB_O_CREAT)
		err = open_create(process, dirfd, path, flags, mode, &file);
	else
		err = open_existing(process, dirfd, path, flags, &file);
	return err == 0 ? file_install(process, file, flags, fd) : err;
}
