// SPDX-License-Identifier: MIT
//
// Mounting a subvolume, and the thread that closes epochs when nobody asks.
#include "fs_impl.h"

#include "kern/component.h"
#include "kern/rcu.h"
#include "kern/timer.h"

#define COMMIT_INTERVAL_NS (5 * NS_PER_S)

// ---- the thread -------------------------------------------------------------------------------------------------------------------

static bool thread_is_wanted(struct pxfs_mount *mount)
{
	return atomic_load_u32_acquire(&mount->stop) != 0 || atomic_load_u32_acquire(&mount->orphans) != 0 ||
	       atomic_load_u32_acquire(&mount->deletes) != 0 ||
	       __atomic_load_n(&mount->dirty_count, __ATOMIC_RELAXED) > PXFS_DIRTY_INODES_MAX ||
	       __atomic_load_n(&mount->volume->cache.dirty, __ATOMIC_RELAXED) > mount->volume->cache.limit / 2;
}

// Some of what is being deleted, with a commit behind each piece that brings others their turn.
static err_t deletions_go_on(struct pxfs_mount *mount)
{
	bool more = true;
	err_t err = 0;

	while (err == 0 && more && atomic_load_u32_acquire(&mount->stop) == 0) {
		err = pxfs_delete_step(mount->volume, &more);
		if (err == 0 && more)
			err = pxfs_commit(mount);
	}
	return err;
}

static void mount_thread(void *arg)
{
	struct pxfs_mount *mount = arg;
	(void)epoch_has_room(mount, MIB(64) >> SECTOR_SHIFT); // which looks how much there is
	err_t err = pxfs_orphans_reap(mount);                 // those that a power cut left

	if (err == 0)
		err = deletions_go_on(mount);

	while (atomic_load_u32_acquire(&mount->stop) == 0) {
		if (err != 0)
			log_err_limited("pxfs: %s: in the background: %pe", block_name(mount->volume->device),
					ERR_PTR(err));
		uint64_t deadline_ns = clock_now_ns() + COMMIT_INTERVAL_NS;
		err = waitq_wait_until(&mount->wake, thread_is_wanted(mount), deadline_ns);
		if (atomic_load_u32_acquire(&mount->stop) != 0)
			break;
		err = 0;
		atomic_store_u32_release(&mount->deletes, 0);
		if (atomic_xchg_u32_acq_rel(&mount->orphans, 0) != 0)
			err = pxfs_orphans_reap(mount);
		if (err == 0)
			err = deletions_go_on(mount);
		if (err == 0)
			err = pxfs_checkpoint(mount);
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
	for (uint32_t i = 0; i < 3; i++) // who wants it has it: epochs are closed for him
		free += space->rests[i].cleared == 0 ? space->rests[i].sectors : 0;
	out->blocks = mount->volume->sectors / unit;
	out->blocks_free = (free > kept ? free - kept : 0) / unit;
	mutex_unlock(&space->lock);
}

// Nobody uses it any more. What is dirty has been written, or could not be.
static err_t mount_free(struct pxfs_mount *mount)
{
	struct pxfs_volume *volume = mount->volume;

	VERIFY(rb_is_empty(&mount->inodes) && list_is_empty(&mount->dirty));
	rwlock_write_lock(&volume->epoch);
	list_remove(&mount->link);
	subvol_close(mount->subvol);
	rwlock_write_unlock(&volume->epoch);
	kfree(mount);
	return volume_put(volume);
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
	if (err == 0 && !mount->read_only)
		err = pxfs_orphans_reap(mount);
	if (err == 0)
		err = pxfs_checkpoint(mount); // its tree is not written once it is nobody's
	if (err != 0)
		log_err("pxfs: %s: unmounting: %pe", block_name(mount->volume->device), ERR_PTR(err));
	err = mount_free(mount);
	if (err != 0)
		log_err("pxfs: the volume is closed with errors: %pe", ERR_PTR(err));
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
	.change = pxfs_change,
	.keeps_atime = pxfs_keeps_atime,
};

// ---- mounting ---------------------------------------------------------------------------------------------------------------------

// "ram0", or "/dev/ram0".
static const char *device_of(const char *source)
{
	return source != NULL && strncmp(source, "/dev/", 5) == 0 ? source + 5 : source;
}

// "subvol=NAME" or "snapshot=NAME"; "": the volume's own.
static err_t options_read(const char *options, const char **name, const char **problem)
{
	static const char *const keys[] = {"subvol=", "snapshot="};

	*name = NULL;
	for (uint32_t i = 0; i < array_count(keys) && *name == NULL; i++)
		if (strncmp(options, keys[i], strlen(keys[i])) == 0)
			*name = options + strlen(keys[i]);
	if (*name != NULL ? (**name != '\0' && strchr(*name, ',') == NULL) : *options == '\0')
		return 0;
	*problem = "pxfs: the one option is subvol=NAME (or snapshot=NAME)";
	return ERR(EINVAL);
}

// The epoch is held for writing.
static err_t mount_subvol(struct pxfs_mount *mount, const char *name, const char **problem)
{
	struct pxfs_volume *volume = mount->volume;
	struct pxfs_subvolume item;
	uint64_t id = le64_get(&volume->super.default_subvolume);
	err_t err = name != NULL ? subvol_find(volume, name, &id, &item) : 0;

	if (err == -ENOENT)
		*problem = "pxfs: the volume has no subvolume of that name";
	if (err == 0)
		err = subvol_open(volume, id, &mount->subvol, problem);
	if (err != 0)
		return err;
	mount->next_inode = le64_get(&mount->subvol->item.next_inode);
	mount->read_only = volume->read_only || (mount->sb->flags & TB_MS_RDONLY) != 0 ||
			   (le64_get(&mount->subvol->item.flags) & PXFS_SUBVOLUME_SNAPSHOT) != 0;
	list_push_back(&volume->mounts, &mount->link);
	return 0;
}

static err_t mount_make(struct superblock *sb, struct pxfs_volume *volume, const char *name, struct pxfs_mount **out,
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
	for (uint32_t i = 0; i < array_count(mount->cache_ops); i++)
		mount->cache_ops[i] = (struct cache_ops){.cluster_pages = 16u << 2 * i,
							 .fill = pxfs_fill,
							 .flush = pxfs_flush,
							 .reserve = pxfs_reserve,
							 .begin = pxfs_write_begin,
							 .end = pxfs_write_end,
							 .release = pxfs_release};
	rwlock_write_lock(&volume->epoch);
	err_t err = mount_subvol(mount, name, problem);
	rwlock_write_unlock(&volume->epoch);
	if (err != 0)
		kfree(mount);
	else
		*out = mount;
	return err;
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
	if (err == 0 && !mount->read_only) {
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
	const char *name = NULL;
	err_t err = options_read(options, &name, problem);

	if (err == 0)
		err = volume_take(device_of(source), (sb->flags & TB_MS_RDONLY) != 0, &volume, problem);
	if (err != 0)
		return err;
	err = mount_make(sb, volume, name, &mount, problem);
	if (err != 0) {
		err_t closed = volume_put(volume);
		return closed != 0 && err == 0 ? closed : err;
	}
	sb->data = mount;
	sb->ops = &pxfs_ops;
	if (mount->read_only)
		sb->flags |= TB_MS_RDONLY;
	err = mount_begin(mount, root);
	if (err == 0)
		return 0;
	rcu_barrier();
	err_t closed = mount_free(mount);
	return closed != 0 && err == 0 ? closed : err;
}

static const struct fs_type pxfs_type = {.name = "pxfs", .xattr_prefix = "pxfs.", .mount = pxfs_mount_type};

static err_t pxfs_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)kernel;
	(void)info;
	err_t err = volumes_init();

	if (err == 0)
		err = fs_register(&pxfs_type);
	return err;
}

static void pxfs_stop(void)
{
	fs_unregister(&pxfs_type);
	volumes_fini();
}

const struct component component_pxfs = {
	.name = "pxfs", .stage = STAGE_SERVICES, .init = pxfs_init, .stop = pxfs_stop, .commands = pxfs_commands};
