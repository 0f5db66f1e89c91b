// SPDX-License-Identifier: MIT
//
// Mounts: where filesystems show, and how many use them. Counts are per CPU, because every path that is looked up counts one; a mount
// that is to go makes all go through its lock, so that the sum is exact.
#include "vfs_impl.h"

#include "kern/string.h"

static void mount_free(struct rcu_head *head)
{
	struct mount *mount = container_of(head, struct mount, rcu);
	kfree(mount->counts);
	kfree(mount);
}

static int64_t mount_users(struct mount *mount)
{
	int64_t users = 0;
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++)
		users += (int32_t)atomic_load_u32_relaxed((uint32_t *)&mount->counts[i].users);
	return users;
}

// Adds to this CPU's count; preemption is off, so nobody else writes it. Whether that was the last user of a mount out of the tree.
static bool mount_count_add(struct mount *mount, int32_t change)
{
	uint32_t *users = (uint32_t *)&mount->counts[this_cpu()->hal.index].users;
	bool last = false;

	if (likely(atomic_load_u32_acquire(&mount->dying) == 0)) {
		atomic_store_u32_relaxed(users, atomic_load_u32_relaxed(users) + (uint32_t)change);
		return false;
	}
	spin_lock(&mount->lock);
	atomic_store_u32_relaxed(users, atomic_load_u32_relaxed(users) + (uint32_t)change);
	if (change < 0)
		last = mount_users(mount) == 0;
	spin_unlock(&mount->lock);
	return last;
}

void mount_get(struct mount *mount)
{
	rcu_read_lock();
	(void)mount_count_add(mount, 1);
	rcu_read_unlock();
}

// For one who found it under RCU: a mount that is leaving may have no users left, and is gone then.
bool mount_get_live(struct mount *mount)
{
	uint32_t *users = (uint32_t *)&mount->counts[this_cpu()->hal.index].users;
	bool live = true;

	if (likely(atomic_load_u32_acquire(&mount->dying) == 0))
		return !mount_count_add(mount, 1);
	spin_lock(&mount->lock);
	live = mount_users(mount) > 0;
	if (live)
		atomic_store_u32_relaxed(users, atomic_load_u32_relaxed(users) + 1);
	spin_unlock(&mount->lock);
	return live;
}

void mount_put(struct mount *mount)
{
	rcu_read_lock();
	bool last = mount_count_add(mount, -1);
	rcu_read_unlock();
	if (!last)
		return;
	dentry_put(mount->root);
	superblock_put(mount->sb);
	rcu_call(&mount->rcu, mount_free);
}

void path_put(const struct path *path)
{
	dentry_put(path->dentry);
	mount_put(path->mount);
}

struct mount *mount_at(const struct mount *parent, const struct dentry *place)
{
	struct mount *mount = atomic_load_ptr_acquire(&parent->children);
	while (mount != NULL && atomic_load_ptr_acquire(&mount->place) != place)
		mount = atomic_load_ptr_acquire(&mount->next_here);
	return mount;
}

err_t mount_make(struct superblock *sb, struct dentry *root, const char *source, uint32_t flags, struct mount **out)
{
	struct vfs_state *vfs = vfs_state();
	struct mount *mount = kmalloc(sizeof *mount, MEM_ZERO);
	if (mount == NULL)
		return ERR(ENOMEM);
	mount->counts = kmalloc_array(kernel_self()->cpu_count, sizeof *mount->counts, MEM_ZERO);
	if (mount->counts == NULL) {
		kfree(mount);
		return ERR(ENOMEM);
	}
	mount->counts[0].users = 1; // the maker's, then the tree's
	spin_init(&mount->lock, LOCK_RANK_MOUNT, "mount");
	refcount_get(&sb->refs);
	mount->sb = sb;
	dentry_get(root);
	mount->root = root;
	mount->flags = flags & (TB_MS_RDONLY | TB_MS_NOSUID | TB_MS_NODEV | TB_MS_NOEXEC);
	strlcpy(mount->source, source, sizeof mount->source);
	spin_lock(&vfs->list_lock);
	mount->id = ++vfs->next_mount_id;
	spin_unlock(&vfs->list_lock);
	*out = mount;
	return 0;
}

void mount_attach_locked(struct mount_ns *ns, struct mount *mount, const struct path *place)
{
	mount->ns = ns;
	list_push_back(&ns->mounts, &mount->ns_link);
	if (place == NULL) {
		ns->root = mount;
		return;
	}
	atomic_store_ptr_release(&mount->parent, place->mount);
	atomic_store_ptr_release(&mount->place, place->dentry);
	atomic_store_ptr_release(&mount->next_here, place->mount->children);
	atomic_fetch_add_u32_acq_rel(&place->dentry->mounts, 1);
	atomic_store_ptr_release(&place->mount->children, mount);
}

static void mount_unlink(struct mount *mount)
{
	struct mount **link = &mount->parent->children;
	while (*link != mount)
		link = &(*link)->next_here;
	atomic_store_ptr_release(link, mount->next_here);
	atomic_fetch_sub_u32_acq_rel(&mount->place->mounts, 1);
}

// Back where it was, since somebody uses it; the order among mounts of one place is that of their ids.
static void mount_relink(struct mount *mount)
{
	struct mount **link = &mount->parent->children;
	while (*link != NULL && (*link)->id > mount->id)
		link = &(*link)->next_here;
	atomic_store_ptr_release(&mount->next_here, *link);
	atomic_fetch_add_u32_acq_rel(&mount->place->mounts, 1);
	atomic_store_ptr_release(link, mount);
}

// Takes the mount out of the tree, if the tree alone uses it or `lazy`; the tree's reference goes with it. It has no children.
err_t mount_detach_locked(struct mount *mount, bool lazy)
{
	struct mount *parent = mount->parent;
	struct dentry *place = mount->place;

	if (parent != NULL)
		mount_unlink(mount);
	atomic_store_u32_release(&mount->dying, 1);
	rcu_synchronize(); // nobody counts past the lock, or finds it in the tree, any more
	spin_lock(&mount->lock);
	int64_t users = mount_users(mount);
	spin_unlock(&mount->lock);
	if (users > 1 && !lazy) {
		if (parent != NULL)
			mount_relink(mount);
		atomic_store_u32_release(&mount->dying, 0);
		return ERR(EBUSY);
	}
	list_remove(&mount->ns_link);
	mount->ns = NULL;
	atomic_store_ptr_release(&mount->parent, (struct mount *)NULL);
	mount_put(mount);
	if (parent != NULL) {
		dentry_put(place);
		mount_put(parent);
	}
	return 0;
}

err_t mount_ns_make(struct mount_ns **out)
{
	struct mount_ns *ns = kmalloc(sizeof *ns, MEM_ZERO);
	if (ns == NULL)
		return ERR(ENOMEM);
	refcount_init(&ns->refs, 1);
	list_init(&ns->mounts);
	*out = ns;
	return 0;
}

err_t mount_ns_copy_locked(struct mount_ns *from, struct mount_ns *to)
{
	struct mount *mount;

	list_for_each (mount, &from->mounts, ns_link) {
		uint32_t flags = atomic_load_u32_relaxed(&mount->flags);
		err_t err = mount_make(mount->sb, mount->root, mount->source, flags, &mount->copy);
		if (err != 0)
			return err;
		if (mount->parent == NULL) {
			mount_attach_locked(to, mount->copy, NULL);
			continue;
		}
		struct path place = {.mount = mount->parent->copy, .dentry = mount->place};
		path_get(&place);
		mount_attach_locked(to, mount->copy, &place);
	}
	return 0;
}

// Children come after their parents in the list, so it is taken down from its end.
void mount_ns_put(struct mount_ns *ns)
{
	struct vfs_state *vfs = vfs_state();
	struct list_node *node;

	if (!refcount_put(&ns->refs))
		return;
	mutex_lock(&vfs->mount_lock);
	while ((node = list_last(&ns->mounts)) != NULL) {
		err_t err = mount_detach_locked(container_of(node, struct mount, ns_link), true);
		VERIFY(err == 0);
	}
	mutex_unlock(&vfs->mount_lock);
	kfree(ns);
}
