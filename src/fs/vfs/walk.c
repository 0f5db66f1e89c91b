// SPDX-License-Identifier: MIT
//
// From a path to a place (path_resolution(7)). The fast half of a walk runs under RCU and counts nothing; what it cannot answer is
// done by walk_slow.c with references. Both halves share the loop: walk->fast says which it is.
#include "vfs_impl.h"

#include "kern/string.h"

struct name name_make(const char *bytes, uint32_t size_bytes)
{
	return (struct name){.bytes = bytes, .size_bytes = size_bytes, .hash = name_hash(bytes, size_bytes)};
}

uint32_t name_hash(const char *bytes, uint32_t size_bytes)
{
	uint32_t hash = 2166136261u;
	for (uint32_t i = 0; i < size_bytes; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * 16777619u;
	return hash ^ (hash >> 15);
}

// The next name of walk->rest, which is left behind it and the slashes that follow. False: there is none.
static bool next_name(struct walk *walk, struct name *name)
{
	const char *at = walk->rest;
	uint32_t hash = 2166136261u;

	while (*at == '/')
		at++;
	name->bytes = at;
	for (; *at != '\0' && *at != '/'; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	name->size_bytes = (uint32_t)(at - name->bytes);
	name->hash = hash ^ (hash >> 15);
	walk->last_slash = *at == '/';
	while (*at == '/')
		at++;
	walk->rest = at;
	return name->size_bytes > 0;
}

static enum last_kind kind_of(const struct name *name)
{
	if (name->bytes[0] == '.' && name->size_bytes == 1)
		return LAST_DOT;
	if (name->bytes[0] == '.' && name->size_bytes == 2 && name->bytes[1] == '.')
		return LAST_DOTDOT;
	return LAST_NORMAL;
}

static err_t may_search(const struct walk *walk)
{
	const struct inode *inode = dentry_inode(walk->at.dentry);
	if (inode == NULL)
		return -ENOENT; // removed under a fast walk
	if (!inode_is(inode, TB_S_IFDIR))
		return -ENOTDIR;
	return inode_permission(walk->process, inode, TB_X_OK);
}

// What stands under `name`: *next is counted unless the walk is fast. -EAGAIN: begin anew with references.
static err_t step_find(struct walk *walk, const struct name *name, struct dentry **next)
{
	if (walk->fast) {
		bool asks = (atomic_load_u32_relaxed(&walk->at.dentry->flags) & DENTRY_ASKS) != 0;
		*next = asks ? NULL : dentry_find(walk->at.dentry, name);
		if (*next != NULL)
			return 0;
		err_t err = walk_count(walk, NULL, false);
		if (err != 0)
			return err;
	}
	return dentry_lookup(walk->at.dentry, name, next);
}

void walk_into(struct walk *walk, struct dentry *next)
{
	if (walk->counted)
		dentry_put(walk->at.dentry);
	walk->at.dentry = next;
	if (unlikely(atomic_load_u32_relaxed(&next->mounts) != 0))
		walk_cross(walk);
}

static err_t step_normal(struct walk *walk, const struct name *name, bool last)
{
	struct dentry *next;

	if (last && walk->last_slash && (walk->flags & WALK_CREATE))
		return ERR(EISDIR);
	if (name->size_bytes > TB_NAME_MAX)
		return ERR(ENAMETOOLONG);
	err_t err = step_find(walk, name, &next);
	if (err != 0)
		return err;
	const struct inode *inode = dentry_inode(next);
	if (inode == NULL) {
		if (walk->counted)
			dentry_put(next);
		return -ENOENT; // no ERR(): negative entries are everyday
	}
	if (inode_is(inode, TB_S_IFLNK) && (!last || walk->last_slash || (walk->flags & WALK_FOLLOW))) {
		if (walk->fast)
			err = walk_count(walk, next, false);
		return err != 0 ? err : walk_follow(walk, next, walk->rest);
	}
	walk_into(walk, next);
	return 0;
}

// The last name of a walk to its directory: a link there is followed if that is wanted, and the walk goes on.
static err_t step_last(struct walk *walk, const struct name *name, bool *done)
{
	struct dentry *next;

	walk->last = *name;
	walk->last_kind = kind_of(name);
	*done = true;
	if (name->size_bytes > TB_NAME_MAX)
		return ERR(ENAMETOOLONG);
	if (!(walk->flags & WALK_FOLLOW) || walk->last_kind != LAST_NORMAL)
		return 0;
	err_t err = step_find(walk, name, &next);
	if (err != 0)
		return err;
	const struct inode *inode = dentry_inode(next);
	if (inode != NULL && inode_is(inode, TB_S_IFLNK)) {
		*done = false;
		if (walk->fast)
			err = walk_count(walk, next, false);
		return err != 0 ? err : walk_follow(walk, next, walk->rest);
	}
	if (walk->counted)
		dentry_put(next);
	return 0;
}

// One name. *done: the walk has arrived.
static err_t walk_step(struct walk *walk, bool *done)
{
	struct name name;

	if (!next_name(walk, &name)) {
		*done = true;
		return 0;
	}
	err_t err = may_search(walk);
	if (err != 0)
		return err;
	bool last = *walk->rest == '\0';
	enum last_kind kind = kind_of(&name);
	if (last && (walk->flags & WALK_PARENT))
		return step_last(walk, &name, done);
	if (kind == LAST_DOTDOT)
		walk_up(walk);
	else if (kind == LAST_NORMAL)
		err = step_normal(walk, &name, last);
	if (last && walk->last_slash)
		walk->flags |= WALK_DIRECTORY;
	return err;
}

static err_t walk_finish(struct walk *walk)
{
	const struct inode *inode = dentry_inode(walk->at.dentry);

	if (inode == NULL)
		return -ENOENT;
	if ((walk->flags & (WALK_DIRECTORY | WALK_PARENT)) && !inode_is(inode, TB_S_IFDIR))
		return -ENOTDIR;
	return walk->fast ? walk_count(walk, NULL, true) : 0;
}

// From where the process stands; counted if the walk is not fast.
static void walk_start(struct walk *walk, const char *path)
{
	struct process *process = walk->process;

	spin_lock(&process->lock);
	walk->root = process->root;
	if (*path == '/')
		walk->at = process->root;
	else if (walk->start == NULL)
		walk->at = process->cwd;
	else
		walk->at = walk->start->path;
	if (!walk->fast) {
		path_get(&walk->root);
		path_get(&walk->at);
		walk->counted = true;
	}
	spin_unlock(&process->lock);
}

static err_t walk_run(struct walk *walk, const char *path)
{
	bool done = false;
	err_t err = 0;

	walk->fast = !(walk->flags & WALK_NO_FAST);
	walk->counted = false;
	walk->rest = path;
	walk->last_kind = LAST_ROOT;
	if (walk->fast) {
		rcu_read_lock();
		walk->seq = atomic_load_u32_acquire(&vfs_state()->rename_seq);
	}
	walk_start(walk, path);
	if (walk->fast && (walk->seq & 1))
		err = -EAGAIN;
	while (err == 0 && !done)
		err = walk_step(walk, &done);
	if (err == 0)
		err = walk_finish(walk);
	if (walk->fast) { // only an error leaves it so: was it one?
		if (atomic_load_u32_acquire(&vfs_state()->rename_seq) != walk->seq)
			err = -EAGAIN;
		walk->fast = false;
		rcu_read_unlock();
	}
	return err;
}

static err_t walk_open_start(struct walk *walk, int32_t dirfd)
{
	if (dirfd == TB_AT_FDCWD)
		return 0;
	return file_get(walk->process, dirfd, RIGHT_LOOKUP, &walk->start);
}

err_t walk_path(struct walk *walk, struct process *process, int32_t dirfd, const char *path, uint32_t flags)
{
	err_t err = 0;

	*walk = (struct walk){.process = process, .flags = flags};
	if (strnlen(path, TB_PATH_MAX) == TB_PATH_MAX)
		return ERR(ENAMETOOLONG);
	if (*path == '\0' && !(flags & WALK_EMPTY))
		return -ENOENT;
	if (*path != '/')
		err = walk_open_start(walk, dirfd);
	if (err != 0)
		return err;
	err = walk_run(walk, path);
	if (err == -EAGAIN) {
		walk_end(walk);
		*walk = (struct walk){.process = process, .flags = flags | WALK_NO_FAST};
		if (*path != '/')
			err = walk_open_start(walk, dirfd);
		else
			err = 0;
		if (err == 0)
			err = walk_run(walk, path);
	}
	return err;
}

void walk_end(struct walk *walk)
{
	if (walk->counted) {
		if (walk->root.dentry != NULL)
			path_put(&walk->root);
		if (walk->at.dentry != NULL)
			path_put(&walk->at);
	}
	if (walk->start != NULL)
		file_put(walk->start);
	kfree(walk->buffer);
	*walk = (struct walk){0};
}
