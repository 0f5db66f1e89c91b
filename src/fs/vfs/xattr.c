// SPDX-License-Identifier: MIT
//
// Extended attributes (xattr(7)): "user." on files and directories by their permissions, "trusted." for uid 0, "security." and
// "system." stored for it as they are; those of the filesystem's own (fs_type.xattr_prefix) are for the owner to write.
#include "vfs_impl.h"

#include "kern/string.h"

#define XATTR_NAME_MAX 255u
#define XATTR_SIZE_MAX 65536u

static bool is_own(const struct inode *inode, const char *name)
{
	const char *prefix = inode->sb->type->xattr_prefix;
	return prefix != NULL && str_has_prefix(name, prefix);
}

static err_t name_check(const struct inode *inode, const char *name)
{
	size_t size = strnlen(name, XATTR_NAME_MAX + 1);
	static const char *const prefixes[] = {"user.", "trusted.", "security.", "system."};

	if (size > XATTR_NAME_MAX || size == 0)
		return ERR(ERANGE);
	for (uint32_t i = 0; i < array_count(prefixes); i++)
		if (str_has_prefix(name, prefixes[i]))
			return name[strlen(prefixes[i])] != '\0' ? 0 : ERR(EINVAL);
	return is_own(inode, name) ? 0 : ERR(EOPNOTSUPP);
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
	if (is_own(inode, name))
		return !write || inode_owned(process, inode) ? 0 : ERR(EPERM);
	if (str_has_prefix(name, "trusted.") && !process_is_root(process))
		return write ? ERR(EPERM) : ERR(ENODATA);
	return !write || process_is_root(process) ? 0 : ERR(EPERM);
}

// Walks to the inode and locks it; with a name, looks whether the process may use it so.
static err_t begin(struct walk *walk, struct process *process, int32_t dirfd, const char *path, uint32_t at_flags,
		   const char *name, bool write, struct inode **out)
{
	err_t err = walk_at(walk, process, dirfd, path, at_flags);
	*out = NULL;
	if (err != 0)
		return err;
	*out = dentry_inode(walk->at.dentry);
	mutex_lock(&(*out)->lock);
	if (name == NULL)
		return 0;
	err = name_check(*out, name);
	if (err == 0 && write)
		err = path_writable(&walk->at);
	return err != 0 ? err : may_touch(process, *out, name, write);
}

// What was written shows in the time of change.
static err_t end(struct walk *walk, struct inode *inode, bool write, err_t err)
{
	if (err == 0 && write)
		inode_touch(inode, ATTR_CTIME);
	if (inode != NULL)
		mutex_unlock(&inode->lock);
	walk_end(walk);
	return err;
}

err_t vfs_getxattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   void *value, size_t *size_bytes)
{
	struct walk walk;
	struct inode *inode;
	err_t err = begin(&walk, process, dirfd, path, at_flags, name, false, &inode);

	if (err == 0)
		err = inode->ops->xattr_get != NULL ? inode->ops->xattr_get(inode, name, value, size_bytes)
						    : ERR(EOPNOTSUPP);
	return end(&walk, inode, false, err);
}

err_t vfs_setxattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, const char *name,
		   const void *value, size_t size_bytes, uint32_t flags)
{
	struct walk walk;
	struct inode *inode;

	if ((flags & ~(uint32_t)(TB_XATTR_CREATE | TB_XATTR_REPLACE)) || flags == (TB_XATTR_CREATE | TB_XATTR_REPLACE))
		return ERR(EINVAL);
	if (size_bytes > XATTR_SIZE_MAX)
		return ERR(E2BIG);
	err_t err = begin(&walk, process, dirfd, path, at_flags, name, true, &inode);
	if (err == 0)
		err = inode->ops->xattr_set != NULL ? inode->ops->xattr_set(inode, name, value, size_bytes, flags)
						    : ERR(EOPNOTSUPP);
	return end(&walk, inode, true, err);
}

err_t vfs_listxattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, char *names,
		    size_t *size_bytes)
{
	struct walk walk;
	struct inode *inode;
	err_t err = begin(&walk, process, dirfd, path, at_flags, NULL, false, &inode);

	if (err == 0)
		err = inode->ops->xattr_list != NULL ? inode->ops->xattr_list(inode, names, size_bytes)
						     : ERR(EOPNOTSUPP);
	return end(&walk, inode, false, err);
}

err_t vfs_removexattr(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags, const char *name)
{
	struct walk walk;
	struct inode *inode;
	err_t err = begin(&walk, process, dirfd, path, at_flags, name, true, &inode);

	if (err == 0)
		err = inode->ops->xattr_remove != NULL ? inode->ops->xattr_remove(inode, name) : ERR(EOPNOTSUPP);
	return end(&walk, inode, true, err);
}
