// SPDX-License-Identifier: MIT
//
// The half of a walk that is not everyday: from RCU to references, symbolic links, mounts both ways.
#include "vfs_impl.h"

#include "kern/string.h"

static bool path_get_live(const struct path *path)
{
	if (!mount_get_live(path->mount))
		return false;
	if (dentry_get_unless_dead(path->dentry))
		return true;
	mount_put(path->mount);
	return false;
}

// Takes references of where the fast walk stands (and of `next`, a name found there), and leaves RCU. The walk was right if no name
// moved since it began; else, or if something has died, it begins anew. One that has arrived needs its root no more: everybody's root is
// the same, and CPUs that count it hinder each other.
err_t walk_count(struct walk *walk, struct dentry *next, bool arrived)
{
	bool root = arrived || path_get_live(&walk->root);
	bool at = root && path_get_live(&walk->at);
	bool found = at && (next == NULL || dentry_get_unless_dead(next));
	bool good = found && atomic_load_u32_acquire(&vfs_state()->rename_seq) == walk->seq;

	walk->fast = false;
	rcu_read_unlock();
	walk->counted = good;
	if (good && arrived)
		walk->root.dentry = NULL; // walk_end() has nothing to put
	if (good)
		return 0;
	if (found && next != NULL)
		dentry_put(next);
	if (at)
		path_put(&walk->at);
	if (root && !arrived)
		path_put(&walk->root);
	return -EAGAIN;
}

// The walk goes on with the link's text followed by what was left; `link` is counted and put. Walks with references only.
err_t walk_follow(struct walk *walk, struct dentry *link, const char *rest)
{
	struct inode *inode = dentry_inode(link);
	uint32_t size = 0;
	err_t err = 0;

	if (++walk->links > TB_SYMLINKS_MAX) {
		dentry_put(link);
		return ERR(ELOOP);
	}
	const char *target = inode->ops->link_target(inode, &size);
	size_t rest_size = strlen(rest);
	char *buffer = kmalloc(size + 2 + rest_size + 1, 0);
	if (buffer == NULL) {
		err = ERR(ENOMEM);
	} else {
		memcpy(buffer, target, size);
		size_t length = size;
		if (walk->last_slash)
			buffer[length++] = '/';
		memcpy(buffer + length, rest, rest_size + 1);
		kfree(walk->buffer);
		walk->buffer = buffer;
		walk->rest = buffer;
		if (size == 0)
			err = ERR(ENOENT);
	}
	dentry_put(link);
	if (err == 0 && buffer[0] == '/') {
		struct path old = walk->at;
		path_get(&walk->root);
		walk->at = walk->root;
		path_put(&old);
	}
	return err;
}

// Down into what is mounted here, as deep as it goes.
void walk_cross(struct walk *walk)
{
	for (;;) {
		if (!walk->fast)
			rcu_read_lock();
		struct mount *mount = mount_at(walk->at.mount, walk->at.dentry);
		bool counted = mount != NULL && walk->counted && mount_get_live(mount);
		if (counted)
			dentry_get(mount->root);
		if (!walk->fast)
			rcu_read_unlock();
		if (mount == NULL || (walk->counted && !counted))
			return;
		if (counted)
			path_put(&walk->at);
		walk->at = (struct path){.mount = mount, .dentry = mount->root};
		if (atomic_load_u32_relaxed(&mount->root->mounts) == 0)
			return;
	}
}

// From a mount's root to the place that it covers; false: there is none, or it has just gone.
static bool climb(struct walk *walk)
{
	struct mount *mount = walk->at.mount;
	struct path above = {0};

	if (!walk->fast)
		rcu_read_lock();
	above.mount = atomic_load_ptr_acquire(&mount->parent);
	above.dentry = atomic_load_ptr_acquire(&mount->place);
	bool good = above.mount != NULL;
	bool counted = good && walk->counted && mount_get_live(above.mount);
	if (walk->counted)
		good = counted && dentry_get_unless_dead(above.dentry);
	if (!walk->fast)
		rcu_read_unlock();
	if (!good) {
		if (counted)
			mount_put(above.mount);
		return false;
	}
	if (walk->counted)
		path_put(&walk->at);
	walk->at = above;
	return true;
}

void walk_up(struct walk *walk)
{
	while (!path_equal(&walk->at, &walk->root) && walk->at.dentry == walk->at.mount->root)
		if (!climb(walk))
			return;
	if (path_equal(&walk->at, &walk->root))
		return;
	struct dentry *parent = walk->counted ? dentry_parent_get(walk->at.dentry) : dentry_parent(walk->at.dentry);
	walk_into(walk, parent);
}

err_t path_writable(const struct path *path)
{
	return mount_is_read_only(path->mount) ? ERR(EROFS) : 0;
}
