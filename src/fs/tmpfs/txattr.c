// SPDX-License-Identifier: MIT
//
// tmpfs: extended attributes, a list in order of making. inode->lock held.
#include "tmpfs_impl.h"

#include "kern/string.h"

#define XATTR_BYTES_MAX (128u << 10) // of one inode: names and values

static struct tmpfs_xattr *xattr_find(struct inode *inode, const char *name)
{
	struct tmpfs_xattr *xattr;
	list_for_each (xattr, &tmpfs_inode_of(inode)->xattrs, link)
		if (str_equal(xattr->bytes, name))
			return xattr;
	return NULL;
}

err_t tmpfs_xattr_get(struct inode *inode, const char *name, void *value, size_t *size_bytes)
{
	const struct tmpfs_xattr *xattr = xattr_find(inode, name);
	size_t room = *size_bytes;

	if (xattr == NULL)
		return ERR(ENODATA);
	*size_bytes = xattr->value_size;
	if (room == 0)
		return 0;
	if (room < xattr->value_size)
		return ERR(ERANGE);
	memcpy(value, xattr->bytes + xattr->name_size + 1, xattr->value_size);
	return 0;
}

static void xattr_drop(struct tmpfs_inode *inode, struct tmpfs_xattr *xattr)
{
	list_remove(&xattr->link);
	inode->xattr_bytes -= xattr->name_size + xattr->value_size;
	kfree(xattr);
}

err_t tmpfs_xattr_set(struct inode *inode, const char *name, const void *value, size_t size_bytes, uint32_t flags)
{
	struct tmpfs_inode *owner = tmpfs_inode_of(inode);
	struct tmpfs_xattr *old = xattr_find(inode, name);
	size_t name_size = strlen(name);
	size_t freed = old != NULL ? old->name_size + old->value_size : 0;

	if (old != NULL && (flags & TB_XATTR_CREATE))
		return ERR(EEXIST);
	if (old == NULL && (flags & TB_XATTR_REPLACE))
		return ERR(ENODATA);
	if (owner->xattr_bytes - freed + name_size + size_bytes > XATTR_BYTES_MAX)
		return ERR(ENOSPC);
	struct tmpfs_xattr *xattr = kmalloc(sizeof *xattr + name_size + 1 + size_bytes, MEM_ZERO);
	if (xattr == NULL)
		return ERR(ENOMEM);
	xattr->name_size = name_size;
	xattr->value_size = size_bytes;
	memcpy(xattr->bytes, name, name_size + 1);
	if (size_bytes > 0)
		memcpy(xattr->bytes + name_size + 1, value, size_bytes);
	if (old != NULL)
		xattr_drop(owner, old);
	list_push_back(&owner->xattrs, &xattr->link);
	owner->xattr_bytes += name_size + size_bytes;
	return 0;
}

err_t tmpfs_xattr_list(struct inode *inode, char *names, size_t *size_bytes)
{
	const struct tmpfs_xattr *xattr;
	size_t room = *size_bytes;
	size_t size = 0;

	list_for_each (xattr, &tmpfs_inode_of(inode)->xattrs, link)
		size += xattr->name_size + 1;
	*size_bytes = size;
	if (room == 0)
		return 0;
	if (room < size)
		return ERR(ERANGE);
	list_for_each (xattr, &tmpfs_inode_of(inode)->xattrs, link) {
		memcpy(names, xattr->bytes, xattr->name_size + 1);
		names += xattr->name_size + 1;
	}
	return 0;
}

err_t tmpfs_xattr_remove(struct inode *inode, const char *name)
{
	struct tmpfs_xattr *xattr = xattr_find(inode, name);
	if (xattr == NULL)
		return ERR(ENODATA);
	xattr_drop(tmpfs_inode_of(inode), xattr);
	return 0;
}

void tmpfs_xattr_clear(struct inode *inode)
{
	struct tmpfs_xattr *xattr;
	while ((xattr = list_first_entry(&tmpfs_inode_of(inode)->xattrs, struct tmpfs_xattr, link)) != NULL)
		xattr_drop(tmpfs_inode_of(inode), xattr);
}
