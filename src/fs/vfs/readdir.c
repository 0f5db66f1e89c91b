// SPDX-License-Identifier: MIT
//
// Reading directories and links, and where the process stands: readdir, readlink, chdir, chroot, getcwd.
#include "vfs_impl.h"

#include "kern/string.h"

struct collect {
	struct dir_context context;
	struct tb_dirent *entries;
	uint32_t capacity, count;
};

static bool collect_emit(struct dir_context *context, const struct name *name, uint64_t ino, uint32_t mode,
			 uint64_t cookie)
{
	struct collect *collect = container_of(context, struct collect, context);
	if (collect->count == collect->capacity)
		return false;
	struct tb_dirent *entry = &collect->entries[collect->count++];
	entry->ino = ino;
	entry->cookie = cookie;
	entry->type = mode & TB_S_IFMT;
	entry->name_size_bytes = name->size_bytes;
	memcpy(entry->name, name->bytes, name->size_bytes);
	entry->name[name->size_bytes] = '\0';
	return true;
}

static void emit_dots(struct file *file, struct collect *collect)
{
	static const char dots[] = "..";
	struct dentry *parent = dentry_parent_get(file->path.dentry);

	if (file->pos < DIR_COOKIE_DOT) {
		struct name name = name_make(dots, 1);
		if (collect_emit(&collect->context, &name, file->inode->ino, TB_S_IFDIR, DIR_COOKIE_DOT))
			file->pos = DIR_COOKIE_DOT;
	}
	if (file->pos == DIR_COOKIE_DOT) {
		struct name name = name_make(dots, 2);
		if (collect_emit(&collect->context, &name, dentry_inode(parent)->ino, TB_S_IFDIR, DIR_COOKIE_DOTDOT))
			file->pos = DIR_COOKIE_DOTDOT;
	}
	dentry_put(parent);
}

// A directory that has been removed has not even dots.
static bool is_removed(struct inode *dir)
{
	spin_lock(&dir->attr_lock);
	bool removed = dir->nlink == 0;
	spin_unlock(&dir->attr_lock);
	return removed;
}

err_t vfs_readdir(struct process *process, int32_t fd, struct tb_dirent *entries, uint32_t capacity, uint32_t *count)
{
	struct collect collect = {.context.emit = collect_emit, .entries = entries, .capacity = capacity};
	struct file *file;
	err_t err = file_get(process, fd, RIGHT_READ, &file);

	*count = 0;
	if (err != 0)
		return err;
	if (!inode_is(file->inode, TB_S_IFDIR) || file->ops->iterate == NULL) {
		file_put(file);
		return ERR(ENOTDIR);
	}
	mutex_lock(&file->pos_lock);
	if (!is_removed(file->inode))
		emit_dots(file, &collect);
	mutex_lock(&file->inode->lock);
	if (file->inode->nlink == 0)
		err = ERR(ENOENT);
	else if (file->pos >= DIR_COOKIE_DOTDOT)
		err = file->ops->iterate(file, file->pos, &collect.context);
	mutex_unlock(&file->inode->lock);
	if (collect.count > 0) {
		file->pos = entries[collect.count - 1].cookie;
		err = 0;
	}
	mutex_unlock(&file->pos_lock);
	if (err == 0)
		inode_touch(file->inode, ATTR_ATIME);
	file_put(file);
	*count = err == 0 ? collect.count : 0;
	return err;
}

err_t vfs_readlink(struct process *process, int32_t dirfd, const char *path, char *buffer, size_t size_bytes,
		   size_t *done_bytes)
{
	struct walk walk;
	uint32_t size = 0;

	if (size_bytes == 0)
		return ERR(EINVAL);
	err_t err = walk_path(&walk, process, dirfd, path, WALK_EMPTY);
	if (err == 0) {
		struct inode *inode = dentry_inode(walk.at.dentry);
		if (inode_is(inode, TB_S_IFLNK)) {
			const char *target = inode->ops->link_target(inode, &size);
			*done_bytes = size < size_bytes ? size : size_bytes;
			memcpy(buffer, target, *done_bytes);
		} else {
			err = *path == '\0' ? ERR(ENOENT) : ERR(EINVAL);
		}
	}
	walk_end(&walk);
	return err;
}

// ---- where a process stands ----------------------------------------------------------------------------------------------

static void place_set(struct process *process, struct path *place, const struct path *path)
{
	path_get(path);
	spin_lock(&process->lock);
	struct path old = *place;
	*place = *path;
	spin_unlock(&process->lock);
	path_put(&old);
}

static err_t place_move(struct process *process, const char *path, struct path *place)
{
	struct walk walk;
	err_t err = walk_path(&walk, process, TB_AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY);
	if (err == 0)
		err = inode_permission(process, dentry_inode(walk.at.dentry), TB_X_OK);
	if (err == 0)
		place_set(process, place, &walk.at);
	walk_end(&walk);
	return err;
}

err_t vfs_chdir(struct process *process, const char *path)
{
	return place_move(process, path, &process->cwd);
}

err_t vfs_chroot(struct process *process, const char *path)
{
	if (!process_is_root(process))
		return ERR(EPERM);
	return place_move(process, path, &process->root);
}

err_t vfs_fchdir(struct process *process, int32_t fd)
{
	struct file *file;
	err_t err = file_get(process, fd, RIGHT_LOOKUP, &file);
	if (err != 0)
		return err;
	err = inode_is(file->inode, TB_S_IFDIR) ? inode_permission(process, file->inode, TB_X_OK) : ERR(ENOTDIR);
	if (err == 0)
		place_set(process, &process->cwd, &file->path);
	file_put(file);
	return err;
}

// Puts "/name" in front of what is written already. False: no room.
static bool text_put(char *buffer, size_t *at, const struct dentry_name *name)
{
	if (*at < name->size_bytes + 1)
		return false;
	*at -= name->size_bytes;
	memcpy(buffer + *at, name->bytes, name->size_bytes);
	buffer[--*at] = '/';
	return true;
}

// The path from `root` to `path`, right-aligned in the buffer; under RCU, while no name moves. -ENOENT: removed.
static err_t path_text(const struct path *root, const struct path *path, char *buffer, size_t *at)
{
	struct path place = *path;

	while (!path_equal(&place, root)) {
		if (place.dentry == place.mount->root) {
			struct path above = {.mount = atomic_load_ptr_acquire(&place.mount->parent),
					     .dentry = atomic_load_ptr_acquire(&place.mount->place)};
			if (above.mount == NULL)
				break;
			place = above;
			continue;
		}
		if (!dentry_is_hashed(place.dentry))
			return -ENOENT;
		if (!text_put(buffer, at, atomic_load_ptr_acquire(&place.dentry->name)))
			return -ERANGE;
		place.dentry = dentry_parent(place.dentry);
	}
	return 0;
}

err_t path_show(const struct path *root, const struct path *path, char *buffer, size_t size_bytes, size_t *done_bytes)
{
	err_t err = -EAGAIN;
	size_t at = 0;

	while (err == -EAGAIN) {
		rcu_read_lock();
		uint32_t seq = atomic_load_u32_acquire(&vfs_state()->rename_seq);
		at = size_bytes - 1;
		err = path_text(root, path, buffer, &at);
		if ((seq & 1) || atomic_load_u32_acquire(&vfs_state()->rename_seq) != seq)
			err = -EAGAIN;
		rcu_read_unlock();
	}
	if (err == 0 && at == size_bytes - 1) {
		if (at == 0)
			return ERR(ERANGE);
		buffer[--at] = '/';
	}
	if (err != 0)
		return err;
	*done_bytes = size_bytes - 1 - at;
	memmove(buffer, buffer + at, *done_bytes);
	buffer[*done_bytes] = '\0';
	return 0;
}

err_t vfs_getcwd(struct process *process, char *buffer, size_t size_bytes, size_t *done_bytes)
{
	struct path root, cwd;

	if (size_bytes == 0)
		return ERR(EINVAL);
	spin_lock(&process->lock);
	root = process->root;
	cwd = process->cwd;
	path_get(&root);
	path_get(&cwd);
	spin_unlock(&process->lock);
	err_t err = path_show(&root, &cwd, buffer, size_bytes, done_bytes);
	path_put(&cwd);
	path_put(&root);
	return err;
}
