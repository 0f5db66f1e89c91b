// SPDX-License-Identifier: MIT
//
// Files by handle (name_to_handle_at(2), open_by_handle_at(2)): a number and a generation instead of a path, for servers whose clients name files that
// way. A file that is found gets a dentry of its own, without a name, as O_TMPFILE's. A directory has one dentry at most, because names are known
// below it: it is found by climbing to the root, and walking down the names that this gave. Renames may come between; then it is tried anew.
#include "vfs_impl.h"

#include "kern/math.h"
#include "kern/string.h"

#define TRIES 16u
#define CLIMB_MIN 512u
#define CLIMB_MAX (16u << 20) // bytes of names

// Names from below upward, each with its size behind it.
struct climb {
	char *bytes;
	size_t size, room;
};

static err_t climb_grow(struct climb *climb, size_t wanted)
{
	if (climb->size + wanted <= climb->room)
		return 0;
	size_t room = MAX(2 * climb->room, (size_t)CLIMB_MIN);
	if (room > CLIMB_MAX)
		return ERR(ENAMETOOLONG);
	char *bytes = kmalloc(room, 0);
	if (bytes == NULL)
		return ERR(ENOMEM);
	if (climb->size > 0)
		memcpy(bytes, climb->bytes, climb->size);
	kfree(climb->bytes);
	climb->bytes = bytes;
	climb->room = room;
	return 0;
}

static err_t climb_push(struct climb *climb, const char *name, uint32_t size)
{
	uint16_t behind = (uint16_t)size;
	err_t err = climb_grow(climb, size + sizeof behind);

	if (err != 0)
		return err;
	memcpy(climb->bytes + climb->size, name, size);
	memcpy(climb->bytes + climb->size + size, &behind, sizeof behind);
	climb->size += size + sizeof behind;
	return 0;
}

// From the directory to its filesystem's root.
static err_t climb_up(struct climb *climb, struct inode *dir)
{
	struct superblock *sb = dir->sb;
	const struct inode *root = dentry_inode(sb->root);
	char name[TB_NAME_MAX];
	uint32_t size;
	err_t err = 0;

	inode_get(dir);
	while (err == 0 && dir != root) {
		struct inode *parent;
		err = sb->ops->parent(dir, &parent, name, &size);
		if (err != 0)
			break;
		inode_put(dir);
		dir = parent;
		err = climb_push(climb, name, size);
	}
	inode_put(dir);
	return err;
}

// And down again. -EAGAIN: a name leads elsewhere by now.
static err_t climb_down(struct climb *climb, struct superblock *sb, struct dentry **out)
{
	struct dentry *at = sb->root, *next;
	err_t err = 0;

	dentry_get(at);
	while (err == 0 && climb->size > 0) {
		uint16_t size;
		memcpy(&size, climb->bytes + climb->size - sizeof size, sizeof size);
		climb->size -= size + sizeof size;
		struct name name = name_make(climb->bytes + climb->size, size);
		err = dentry_lookup(at, &name, &next);
		if (err != 0)
			break;
		dentry_put(at);
		at = next;
		const struct inode *inode = dentry_inode(at);
		if (inode == NULL || !inode_is(inode, TB_S_IFDIR))
			err = -EAGAIN;
	}
	if (err == 0)
		*out = at;
	else
		dentry_put(at);
	return err == -ENOENT ? -EAGAIN : err;
}

static err_t directory_find(struct inode *dir, struct dentry **out)
{
	struct climb climb = {0};
	err_t err = -EAGAIN;

	if (dir->sb->ops->parent == NULL)
		return ERR(EOPNOTSUPP);
	for (uint32_t i = 0; err == -EAGAIN && i < TRIES; i++) {
		climb.size = 0;
		err = climb_up(&climb, dir);
		if (err == 0)
			err = climb_down(&climb, dir->sb, out);
		if (err == 0 && dentry_inode(*out) != dir) {
			dentry_put(*out);
			err = -EAGAIN;
		}
	}
	kfree(climb.bytes);
	return err == -EAGAIN ? ERR(ESTALE) : err;
}

static err_t handle_find(struct superblock *sb, const struct tb_handle *handle, struct dentry **out)
{
	struct inode *inode;

	if (sb->ops->inode_by_number == NULL)
		return ERR(EOPNOTSUPP);
	if (handle->dev != sb->dev)
		return ERR(ESTALE);
	err_t err = sb->ops->inode_by_number(sb, handle->ino, handle->generation, &inode);
	if (err != 0)
		return err;
	spin_lock(&inode->attr_lock);
	bool named = inode->nlink > 0;
	spin_unlock(&inode->attr_lock);
	if (!named)
		err = ERR(ESTALE);
	else if (inode_is(inode, TB_S_IFDIR))
		err = directory_find(inode, out);
	else
		err = dentry_make_loose(sb->root, inode, out);
	if (err != 0 || inode_is(inode, TB_S_IFDIR))
		inode_put(inode); // the loose one has taken it over
	return err;
}

err_t vfs_name_to_handle(struct process *process, int32_t dirfd, const char *path, uint32_t at_flags,
			 struct tb_handle *handle)
{
	struct walk walk;
	uint32_t flags =
		(at_flags & TB_AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (at_flags & TB_AT_EMPTY_PATH ? WALK_EMPTY : 0);

	if (at_flags & ~(uint32_t)(TB_AT_SYMLINK_FOLLOW | TB_AT_EMPTY_PATH))
		return ERR(EINVAL);
	err_t err = walk_path(&walk, process, dirfd, path, flags);
	if (err == 0) {
		const struct inode *inode = dentry_inode(walk.at.dentry);
		if (inode->sb->ops->inode_by_number == NULL)
			err = ERR(EOPNOTSUPP);
		else
			*handle = (struct tb_handle){
				.ino = inode->ino, .dev = inode->sb->dev, .generation = inode->generation};
	}
	walk_end(&walk);
	return err;
}

// The mount that a descriptor, or the working directory, lies in.
static err_t mount_of(struct process *process, int32_t fd, struct path *out)
{
	struct walk walk;
	struct file *file;
	err_t err;

	if (fd == TB_AT_FDCWD) {
		err = walk_path(&walk, process, fd, ".", WALK_DIRECTORY);
		if (err == 0) {
			*out = walk.at;
			path_get(out);
		}
		walk_end(&walk);
		return err;
	}
	err = file_get(process, fd, 0, &file);
	if (err == 0) {
		*out = file->path;
		path_get(out);
		file_put(file);
	}
	return err;
}

err_t vfs_open_handle(struct process *process, int32_t mount_fd, const struct tb_handle *handle, uint32_t flags,
		      int32_t *fd)
{
	struct dentry *dentry = NULL;
	struct path at;

	if (!process_is_root(process))
		return ERR(EPERM);
	if (flags & (TB_O_CREAT | TB_O_EXCL | (TB_O_TMPFILE & ~TB_O_DIRECTORY)))
		return ERR(EINVAL);
	err_t err = mount_of(process, mount_fd, &at);
	if (err != 0)
		return err;
	err = handle_find(at.dentry->sb, handle, &dentry);
	if (err == 0) {
		struct path place = {.mount = at.mount, .dentry = dentry};
		err = file_open_place(process, &place, flags, fd);
		dentry_put(dentry);
	}
	path_put(&at);
	return err;
}
