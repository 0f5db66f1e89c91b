// SPDX-License-Identifier: MIT
//
// Mounting a subvolume, closing epochs, and the thread that does so when nobody asks.
#include "fs_impl.h"

#include "kern/component.h"
#include "kern/rcu.h"
#include "kern/timer.h"

#define COMMIT_INTERVAL_NS (5 * NS_PER_S)
#define DIRTY_INODES_MAX 4096u

// ---- epochs -----------------------------------------------------------------------------------------------------------------------

static bool has_room(struct pxfs_mount *mount, uint32_t sectors)
{
	struct pxfs_volume *volume = mount->volume;
	struct pxfs_space_state *space = &volume->space;

	mutex_lock(&space->lock);
	uint64_t free = volume->sectors - space->used_sectors;
	bool room = free >= space->margin_sectors + space->reserved_sectors + space->promised_sectors + sectors;
	mutex_unlock(&space->lock);
	return room;
}

// What was given up may be had after two commits, and dirty pages may take less than was put aside for them.
static bool more_may_come(struct pxfs_mount *mount)
{
	struct pxfs_space_state *space = &mount->volume->space;

	mutex_lock(&space->lock);
	bool may = space->reserved_sectors != 0;
	for (uint32_t i = 0; i < 3; i++)
		may = may || space->rests[i].count != 0;
	mutex_unlock(&space->lock);
	return may;
}

// What rests comes back by generations, so one is closed whether anything has changed or not.
static err_t generation_close(struct pxfs_mount *mount)
{
	struct pxfs_volume *volume = mount->volume;

	rwlock_read_lock(&volume->epoch);
	uint64_t before = volume->generation;
	rwlock_read_unlock(&volume->epoch);
	err_t err = pxfs_commit(mount);
	if (err != 0)
		return err;
	rwlock_write_lock(&volume->epoch);
	if (volume->generation == before)
		err = volume_checkpoint(volume);
	rwlock_write_unlock(&volume->epoch);
	return err;
}

err_t epoch_enter(struct pxfs_mount *mount, bool grows)
{
	return epoch_enter_for(mount, grows ? OPERATION_SECTORS : 0);
}

err_t epoch_enter_for(struct pxfs_mount *mount, uint32_t wish_sectors)
{
	struct pxfs_volume *volume = mount->volume;

	if (volume->read_only)
		return ERR(EROFS);
	for (uint32_t tries = 0;; tries++) {
		bool crowded = __atomic_load_n(&volume->cache.dirty, __ATOMIC_RELAXED) > volume->cache.limit;
		err_t err = crowded && tries == 0 ? pxfs_commit(mount) : 0; // or nodes would fill memory
		if (err != 0)
			return err;
		if (atomic_load_u32_acquire(&volume->failed) != 0)
			return ERR(EIO);
		rwlock_read_lock(&volume->epoch);
		if (wish_sectors == 0 || has_room(mount, wish_sectors))
			return 0;
		bool last = tries == 2 || !more_may_come(mount);
		if (last && has_room(mount, OPERATION_SECTORS))
			return 0;
		rwlock_read_unlock(&volume->epoch);
		if (last)
			return ERR(ENOSPC);
		err = generation_close(mount);
		if (err != 0)
			return err;
	}
}

void epoch_leave(struct pxfs_mount *mount)
{
	rwlock_read_unlock(&mount->volume->epoch);
	if (__atomic_load_n(&mount->dirty_count, __ATOMIC_RELAXED) > DIRTY_INODES_MAX ||
	    __atomic_load_n(&mount->volume->cache.dirty, __ATOMIC_RELAXED) > mount->volume->cache.limit / 2)
		(void)waitq_wake_all(&mount->wake);
}

static bool anything_changed(struct pxfs_mount *mount)
{
	return mount->subvol->changed || le64_get(&mount->subvol->tree.root.birth) == mount->volume->generation ||
	       le64_get(&mount->volume->refs_tree.root.birth) == mount->volume->generation;
}

// First what takes long, while others go on; then the rest, while nobody does.
err_t pxfs_commit(struct pxfs_mount *mount)
{
	struct pxfs_volume *volume = mount->volume;
	bool pages = mount->sb->flusher != NULL;

	if (volume->read_only)
		return 0;
	err_t err = pages ? cache_flush_all(mount->sb) : 0;
	rwlock_write_lock(&volume->epoch);
	if (err == 0 && pages)
		err = cache_flush_all(mount->sb);
	if (err == 0)
		err = pxfs_inodes_store(mount);
	if (err == 0 && anything_changed(mount))
		err = volume_checkpoint(volume);
	rwlock_write_unlock(&volume->epoch);
	return err;
}

static bool thread_is_wanted(struct pxfs_mount *mount)
{
	return atomic_load_u32_acquire(&mount->stop) != 0 || atomic_load_u32_acquire(&mount->orphans) != 0 ||
	       __atomic_load_n(&mount->dirty_count, __ATOMIC_RELAXED) > DIRTY_INODES_MAX ||
	       __atomic_load_n(&mount->volume->cache.dirty, __ATOMIC_RELAXED) > mount->volume->cache.limit / 2;
}

static void mount_thread(void *arg)
{
	struct pxfs_mount *mount = arg;
	err_t err = pxfs_orphans_reap(mount); // those that a power cut left

	while (atomic_load_u32_acquire(&mount->stop) == 0) {
		if (err != 0)
			log_err_limited("pxfs: %s: in the background: %pe", block_name(mount->volume->device),
					ERR_PTR(err));
		uint64_t deadline_ns = clock_now_ns() + COMMIT_INTERVAL_NS;
		err = waitq_wait_until(&mount->wake, thread_is_wanted(mount), deadline_ns);
		if (atomic_load_u32_acquire(&mount->stop) != 0)
			break;
		err = 0;
		if (atomic_xchg_u32_acq_rel(&mount->orphans, 0) != 0)
			err = pxfs_orphans_reap(mount);
		if (err == 0)
			err = pxfs_commit(mount);
		if (err != 0) // not again at once
			(void)waitq_wait_until(&mount->wake, atomic_load_u32_acquire(&mount->stop) != 0,
					       clock_now_ns() + NS_PER_S);
	}
}

// ---- superblock -------------------------------------------------------------------------------------------------------------------

static err_t pxfs_sync(struct superblock *sb)
{
	return pxfs_commit(sb->data);
}

static void pxfs_statfs(struct superblock *sb, struct tb_statfs *out)
{
	struct pxfs_mount *mount = sb->data;
	struct pxfs_space_state *space = &mount->volume->space;
	uint64_t unit = FRAME_SIZE >> SECTOR_SHIFT;

	mutex_lock(&space->lock);
	uint64_t free = mount->volume->sectors - space->used_sectors,
		 kept = space->margin_sectors + space->reserved_sectors + space->promised_sectors;
	out->blocks = mount->volume->sectors / unit;
	out->blocks_free = (free > kept ? free - kept : 0) / unit;
	mutex_unlock(&space->lock);
}

static void subvol_free(struct pxfs_subvol *subvol)
{
	tree_fini(&subvol->tree);
	kfree(subvol);
}

static void mount_free(struct pxfs_mount *mount)
{
	VERIFY(rb_is_empty(&mount->inodes) && list_is_empty(&mount->dirty));
	err_t err = volume_close(mount->volume, mount->subvol);
	if (err != 0)
		log_err("pxfs: the volume is closed with errors: %pe", ERR_PTR(err));
	kfree(mount);
}

static void pxfs_stop_sb(struct superblock *sb)
{
	struct pxfs_mount *mount = sb->data;

	if (mount->thread == NULL)
		return;
	atomic_store_u32_release(&mount->stop, 1);
	(void)waitq_wake_all(&mount->wake);
	err_t err = thread_join(mount->thread, NULL);
	VERIFY3(err, ==, 0);
	atomic_store_u32_release(&mount->stop, 0);
	mount->thread = NULL;
}

static void pxfs_unmount(struct superblock *sb)
{
	struct pxfs_mount *mount = sb->data;

	err_t err = pxfs_commit(mount); // lets go of the inodes that were dirty
	pxfs_inodes_drop(mount);
	rcu_barrier();
	if (err == 0)
		err = mount->volume->read_only ? 0 : pxfs_orphans_reap(mount);
	if (err != 0)
		log_err("pxfs: %s: unmounting: %pe", block_name(mount->volume->device), ERR_PTR(err));
	mount_free(mount);
}

static err_t pxfs_check(struct superblock *sb)
{
	struct pxfs_mount *mount = sb->data;
	struct pxfs_volume *volume = mount->volume;
	struct pxfs_tree *trees[] = {&mount->subvol->tree, &volume->refs_tree, &volume->root_tree};
	uint64_t items = 0, nodes = 0;
	err_t err = 0;

	for (uint32_t i = 0; i < array_count(trees) && err == 0; i++) {
		rwlock_read_lock(&trees[i]->lock);
		err = tree_check(trees[i], &items, &nodes);
		rwlock_read_unlock(&trees[i]->lock);
	}
	mutex_lock(&volume->space.lock);
	if (err == 0)
		err = tree_check(&volume->space_tree, &items, &nodes);
	mutex_unlock(&volume->space.lock);
	return err;
}

static const struct superblock_ops pxfs_ops = {
	.destroy = pxfs_destroy,
	.unmount = pxfs_unmount,
	.stop = pxfs_stop_sb,
	.sync = pxfs_sync,
	.statfs = pxfs_statfs,
	.inode_by_number = pxfs_inode_by_number,
	.parent = pxfs_parent,
	.check = pxfs_check,
	.dirty = pxfs_dirty,
};

// ---- mounting ---------------------------------------------------------------------------------------------------------------------

// "ram0", or "/dev/ram0".
static const char *device_of(const char *source)
{
	return source != NULL && strncmp(source, "/dev/", 5) == 0 ? source + 5 : source;
}

static err_t subvol_open(struct pxfs_volume *volume, uint64_t id, struct pxfs_subvol **out, const char **problem)
{
	struct pxfs_where where = {id, PXFS_SUBVOLUME, 0};
	struct pxfs_subvol *subvol = kmalloc(sizeof *subvol, MEM_ZERO);
	uint32_t size = sizeof subvol->item;

	if (subvol == NULL)
		return ERR(ENOMEM);
	err_t err = tree_get(&volume->root_tree, &where, &subvol->item, &size);
	if (err == -ENOENT || err == -ERANGE || (err == 0 && size != sizeof subvol->item)) {
		*problem = "pxfs: the volume has no such subvolume";
		err = err == -ENOENT ? ERR(ENOENT) : ERR(EUCLEAN);
	}
	if (err != 0) {
		kfree(subvol);
		return err;
	}
	subvol->volume = volume;
	subvol->id = id;
	tree_init(&subvol->tree, volume, id, &subvol->item.root);
	list_push_back(&volume->subvols, &subvol->link);
	*out = subvol;
	return 0;
}

static err_t mount_make(struct superblock *sb, struct pxfs_volume *volume, struct pxfs_mount **out,
			const char **problem)
{
	struct pxfs_mount *mount = kmalloc(sizeof *mount, MEM_ZERO);

	if (mount == NULL)
		return ERR(ENOMEM);
	mount->volume = volume;
	mount->sb = sb;
	spin_init(&mount->lock, LOCK_RANK_FS_INODES, "pxfs: inodes");
	rb_init(&mount->inodes);
	list_init(&mount->dirty);
	waitq_init(&mount->wake, "pxfs: background");
	mount->cache_ops = (struct cache_ops){.cluster_pages = 16,
					      .fill = pxfs_fill,
					      .flush = pxfs_flush,
					      .reserve = pxfs_reserve,
					      .begin = pxfs_write_begin,
					      .end = pxfs_write_end,
					      .release = pxfs_release};
	err_t err = subvol_open(volume, le64_get(&volume->super.default_subvolume), &mount->subvol, problem);
	if (err != 0) {
		kfree(mount);
		return err;
	}
	mount->next_inode = le64_get(&mount->subvol->item.next_inode);
	*out = mount;
	return 0;
}

static err_t mount_begin(struct pxfs_mount *mount, struct inode **root)
{
	struct thread_params params = {.name = "pxfs", .klass = CLASS_FAIR};
	err_t err = cache_attach(mount->sb);

	if (err != 0)
		return err;
	err = pxfs_iget(mount, PXFS_ROOT_INO, root);
	if (err == 0 && !inode_is(*root, TB_S_IFDIR)) {
		inode_put(*root);
		err = ERR(EUCLEAN);
	}
	if (err == 0 && !mount->volume->read_only) {
		err = thread_start(&params, mount_thread, mount, &mount->thread);
		if (err != 0)
			inode_put(*root);
	}
	if (err != 0)
		cache_detach(mount->sb);
	return err;
}

static err_t pxfs_mount_type(struct superblock *sb, const char *source, const char *options, struct inode **root,
			     const char **problem)
{
	struct pxfs_volume *volume = NULL;
	struct pxfs_mount *mount = NULL;

	if (*options != '\0') {
		*problem = "pxfs: there are no options yet";
		return ERR(EINVAL);
	}
	err_t err = volume_open(device_of(source), (sb->flags & TB_MS_RDONLY) != 0, &volume, problem);
	if (err != 0)
		return err;
	err = mount_make(sb, volume, &mount, problem);
	if (err != 0) {
		volume_abandon(volume);
		return err;
	}
	sb->data = mount;
	sb->ops = &pxfs_ops;
	if (volume->read_only)
		sb->flags |= TB_MS_RDONLY;
	err = mount_begin(mount, root);
	if (err == 0)
		return 0;
	rcu_barrier();
	list_remove(&mount->subvol->link);
	subvol_free(mount->subvol);
	volume_abandon(volume);
	kfree(mount);
	return err;
}

static const struct fs_type pxfs_type = {.name = "pxfs", .mount = pxfs_mount_type};

static err_t pxfs_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)kernel;
	(void)info;
	return fs_register(&pxfs_type);
}

static void pxfs_stop(void)
{
	fs_unregister(&pxfs_type);
}

const struct component component_pxfs = {
	.name = "pxfs", .stage = STAGE_SERVICES, .init = pxfs_init, .stop = pxfs_stop, .commands = pxfs_commands};
