// SPDX-License-Identifier: MIT
//
// Extended attributes (xattr(7)): "user." on files and directories by their permissions, "trusted." for uid 0, "security." and
// "system." stored for it as they are.
#include "vfs_impl.h"

#include "kern/string.h"

#define XATTR_NAME_MAX 255u
#define XATTR_SIZE_MAX 65536u

static err_t name_check(const char *name)
{
	size_t size = strnlen(name, XATTR_NAME_MAX + 1);
	static const char *const prefixes[] = {"user.", "trusted.", "security.", "system."};

	if (size > XATTR_NAME_MAX || size == 0)
		return ERR(ERANGE);
	for (uint32_t i = 0; i < array_count(prefixes); i++)
		if (str_has_prefix(name, prefixes[i]))
			return name[strlen(prefixes[i])] != '\0' ? 0 : ERR(EINVAL);
	return ERR(EOPNOTSUPP);
}

static err_t may_touch(const struct process *process, const struct inode *inode, const char *name, bool write)
{
	if (str_has_prefix(name, "user.")) {
		uint32_t type = inode_mode(inode) & TB_S_IFMT;
		if (type != TB_S_IFREG && type != TB_S_IFDIR)
			return write ? ERR(EPERM) : ERR(ENODATA);
		if (write && type == TB_S_IFDIR && (inode_mode(inode) & TB_S_ISVTX) && !inode_owned(process, inode))
			return ERR(EPERM);
		return inode_permission(process, inode, write ? TB_W_OK : TB_R_OK);
	}
	if (str_has_prefix(name, "trusted.") && !process_is_root(process))
		return write ? ERR(EPERM) : ERR(ENODATA);
	return !write || process_is_root(process) ? 0 : ERR(EPERM);
}

// Walks to the inode and locks it.
static err_t begin(struct walk *walk, struct process *process, int32_t dirfd, const char *path, uint32_t at_flags,
		   struct inode **out)
{
	if (at_flags & ~(uint32_t)(TB_AT_SYMLINK_NOFOLLOW | TB_AT_EMPTY_PATH))
		return ERR(EINVAL);
	uint32_t flags =
		(at_flags & TB_AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & TB_AT_EMPTY_PATH ? WALK_EMPTY : 0);
	err_t err = walk_path(walk, process, dirfd, path, flags);
	if (err != 0)
		return err;
	*out = dentry_inode(walk->at.dentry);
	mutex_lock(&(*out)->lock);
	return 0;
}

static void end(struct walk *walk, struct inode *inode)
{
	if (inode != NULL)
		mutex_unlock(&inode->lock);
	walk_end(walk);
}

err_t vfs_getxattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   void *value, size_t *size_bytes)
{
	struct walk walk = {0};
	struct inode *inode = NULL;
	err_t err = begin(&walk, process, dirfd, path, at_flags, &inode);

	if (err == 0)
		err = name_check(name);
	if (err == 0)
		err = may_touch(process, inode, name, false);
	if (err == 0)
		err = inode->ops->xattr_get != NULL ? inode->ops->xattr_get(inode, name, value, size_bytes)
						    : ERR(EOPNOTSUPP);
	end(&walk, inode);
	return err;
}

err_t vfs_setxattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   const void *value, size_t size_bytes, uint32_t flags)
{
	struct walk walk = {0};
	struct inode *inode = NULL;

	if ((flags & ~(uint32_t)(TB_XATTR_CREATE | TB_XATTR_REPLACE)) || flags == (TB_XATTR_CREATE | TB_XATTR_REPLACE))
		return ERR(EINVAL);
	if (size_bytes > XATTR_SIZE_MAX)
		return ERR(E2BIG);
	err_t err = begin(&walk, process, dirfd, path, at_flags, &inode);
	if (err == 0)
		err = name_check(name);
	if (err == 0)
		err = path_writable(&walk.at);
	if (err == 0)
		err = may_touch(process, inode, name, true);
	if (err == 0)
		err = inode->ops->xattr_set != NULL ? inode->ops->xattr_set(inode, name, value, size_bytes, flags)
						    : ERR(EOPNOTSUPP);
	if (err == 0)
		inode_touch(inode, ATTR_CTIME);
	end(&walk, inode);
	return err;
}

err_t vfs_listxattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, char *names,
		    size_t *size_bytes)
{
	struct walk walk = {0};
	struct inode *inode = NULL;
	err_t err = begin(&walk, process, dirfd, path, at_flags, &inode);

	if (err == 0)
		err = inode->ops->xattr_list != NULL ? inode->ops->xattr_list(inode, names, size_bytes)
						     : ERR(EOPNOTSUPP);
	end(&walk, inode);
	return err;
}

err_t vfs_removexattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, const char *name)
{
	struct walk walk = {0};
	struct inode *inode = NULL;
	err_t err = begin(&walk, process, dirfd, path, at_flags, &inode);

	if (err == 0)
		err = name_check(name);
	if (err == 0)
		err = path_writable(&walk.at);
	if (err == 0)
		err = may_touch(process, inode, name, true);
	if (err == 0)
		err = inode->ops->xattr_remove != NULL ? inode->ops->xattr_remove(inode, name) : ERR(EOPNOTSUPP);
	if (err == 0)
		inode_touch(inode, ATTR_CTIME);
	end(&walk, inode);
	return err;
}
