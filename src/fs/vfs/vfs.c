// SPDX-License-Identifier: MIT
//
// The components: `vfs` keeps the state that all filesystems share, `rootfs` makes the tree and the monitor's process.
#include "cmd_impl.h"

#include "kern/component.h"
#include "kern/log.h"
#include "kern/monitor.h"

#define DENTRY_SIZE ((uint32_t)sizeof(struct dentry))

struct process *vfs_monitor_process(void)
{
	struct process *own = process_of_thread();
	return own != NULL ? own : vfs_state()->monitor;
}

// ---- what processes hold -------------------------------------------------------------------------------------------------

static err_t hook_init(struct process *process, struct process *parent)
{
	struct vfs_state *vfs = vfs_state();
	struct path top = {0};

	if (parent == NULL) {
		top = (struct path){.mount = vfs->ns->root, .dentry = vfs->ns->root->root};
		process->root = process->cwd = top;
		path_get(&process->root);
		path_get(&process->cwd);
		process->mounts = vfs->ns;
		refcount_get(&process->mounts->refs);
	} else {
		spin_lock(&parent->lock);
		process->root = parent->root;
		process->cwd = parent->cwd;
		path_get(&process->root);
		path_get(&process->cwd);
		process->mounts = parent->mounts;
		refcount_get(&process->mounts->refs);
		spin_unlock(&parent->lock);
	}
	return 0;
}

static void hook_release(struct process *process)
{
	path_put(&process->root);
	path_put(&process->cwd);
	mount_ns_put(process->mounts);
}

static const struct process_hooks hooks = {.init = hook_init, .release = hook_release};

// ---- memory --------------------------------------------------------------------------------------------------------------

#define SHRINK_PART 8u // of a filesystem's unused names, at least

// Kills unused names of the filesystem that has the most: a good part of them, because only slabs that are all free become frames. It
// says that it gave nothing, since the slab's own callback, which comes later, does that. It is called under locks of callers that
// allocate, so it takes only spinlocks; an inode that goes with its last name takes no lock of rank LOCK_RANK_INODE.
static uint32_t vfs_shrink(struct pressure_callback *callback, uint32_t wanted_frames)
{
	struct vfs_state *vfs = container_of(callback, struct vfs_state, pressure);
	uint32_t wanted = wanted_frames * (FRAME_SIZE / DENTRY_SIZE);
	uint32_t most = 0;
	struct superblock *sb;
	struct superblock *found = NULL;

	spin_lock(&vfs->list_lock);
	list_for_each (sb, &vfs->superblocks, link) {
		uint32_t unused = dentry_unused(sb);
		if (sb->root != NULL && unused > most) {
			most = unused;
			found = sb;
		}
	}
	if (found != NULL && !refcount_get_unless_zero(&found->refs))
		found = NULL;
	spin_unlock(&vfs->list_lock);
	if (found == NULL)
		return 0;
	uint32_t killed = dentry_prune(found, wanted > most / SHRINK_PART ? wanted : most / SHRINK_PART, false);
	superblock_put(found);
	if (killed > 0)
		rcu_barrier(); // only then is their memory the slab's again
	return 0;
}

static err_t caches_make(struct vfs_state *vfs)
{
	const struct {
		struct slab_cache **out;
		const char *name;
		size_t size_bytes;
	} caches[] = {
		{&vfs->dentries, "dentry", sizeof(struct dentry)},
		{&vfs->files, "file", sizeof(struct file)},
		{&vfs->pages, "page", sizeof(struct page)},
		{&vfs->page_nodes, "page_node", mapping_node_bytes()},
	};
	err_t err = 0;

	for (uint32_t i = 0; err == 0 && i < array_count(caches); i++) {
		struct slab_params params = {
			.name = caches[i].name,
			.size_bytes = (uint32_t)caches[i].size_bytes,
			.align = CACHE_LINE_SIZE,
		};
		err = slab_cache_create(&params, caches[i].out);
	}
	return err;
}

static void caches_free(struct vfs_state *vfs)
{
	struct slab_cache *caches[] = {vfs->dentries, vfs->files, vfs->pages, vfs->page_nodes};

	for (uint32_t i = 0; i < array_count(caches); i++) {
		if (caches[i] == NULL)
			continue;
		err_t err = slab_cache_destroy(caches[i]);
		if (err != 0)
			log_err("vfs: objects are left over: %pe", ERR_PTR(err));
	}
}

// ---- components ----------------------------------------------------------------------------------------------------------

static err_t vfs_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)info;
	struct vfs_state *vfs = kmalloc(sizeof *vfs, MEM_ZERO);
	if (vfs == NULL)
		return ERR(ENOMEM);
	err_t err = caches_make(vfs);
	if (err != 0) {
		caches_free(vfs);
		kfree(vfs);
		return err;
	}
	mutex_init(&vfs->mount_lock, LOCK_RANK_MOUNTS, "vfs: mounts");
	spin_init(&vfs->rename_writer, LOCK_RANK_RENAME_WRITER, "vfs: a name moves");
	spin_init(&vfs->list_lock, LOCK_RANK_VFS_LIST, "vfs: lists");
	list_init(&vfs->superblocks);
	list_init(&vfs->lock_edges);
	list_init(&vfs->file_locks);
	spin_init(&vfs->file_lock_list_lock, LOCK_RANK_FILE_LOCK_LIST, "vfs: files with locks");
	list_init(&vfs->api_contexts);
	vfs->pressure = (struct pressure_callback){.name = "dentries", .order = 10, .shrink = vfs_shrink};
	kernel->vfs = vfs;
	pressure_register(&vfs->pressure);
	return 0;
}

static void vfs_stop(void)
{
	struct vfs_state *vfs = vfs_state();

	pressure_unregister(&vfs->pressure);
	rcu_barrier(); // what is still being freed
	caches_free(vfs);
	mutex_fini(&vfs->mount_lock);
	kernel_self()->vfs = NULL;
	kfree(vfs);
}

static err_t superblock_check(struct superblock *sb)
{
	err_t err = dentry_lrus_check(sb);
	if (err == 0)
		err = dentry_check(sb->root);
	if (err == 0 && sb->ops->check != NULL)
		err = sb->ops->check(sb);
	if (err != 0)
		log_err("vfs: the %s of device %u contradicts itself", sb->type->name, sb->dev);
	return err;
}

static err_t vfs_check(void)
{
	struct superblock *sb = NULL;
	err_t first = file_locks_check();

	while ((sb = superblock_next(sb)) != NULL) {
		err_t err = superblock_check(sb);
		if (first == 0)
			first = err;
	}
	return first;
}

// More than tmpfs takes by itself: where there is nothing but memory, the tree is what it is for.
#define ROOT_OPTIONS "mode=755,size=80%"

static err_t root_mount(struct vfs_state *vfs)
{
	const char *problem;
	struct superblock *sb;
	struct mount *mount;

	err_t err = mount_ns_make(&vfs->ns);
	if (err != 0)
		return err;
	err = superblock_make("tmpfs", "rootfs", ROOT_OPTIONS, 0, &sb, &problem);
	if (err == 0) {
		err = mount_make(sb, sb->root, "rootfs", 0, &mount);
		superblock_put(sb);
	}
	if (err == 0) {
		mutex_lock(&vfs->mount_lock);
		mount_attach_locked(vfs->ns, mount, NULL);
		mutex_unlock(&vfs->mount_lock);
	} else {
		mount_ns_put(vfs->ns);
	}
	return err;
}

static err_t rootfs_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	struct vfs_state *vfs = kernel->vfs;
	(void)info;
	err_t err = root_mount(vfs);
	if (err != 0)
		return err;
	process_set_hooks(&hooks);
	err = process_create("monitor", NULL, &vfs->monitor);
	if (err != 0) {
		process_set_hooks(NULL);
		mount_ns_put(vfs->ns);
		return err;
	}
	kernel->file_call = api_file_call;
	kernel->monitor_process = vfs->monitor;
	monitor_set_open(cmd_stream_open);
	return 0;
}

static void rootfs_stop(void)
{
	struct vfs_state *vfs = vfs_state();

	monitor_set_open(NULL);
	kernel_self()->monitor_process = NULL;
	kernel_self()->file_call = NULL;
	api_contexts_end();
	process_put(vfs->monitor);
	process_set_hooks(NULL);
	mount_ns_put(vfs->ns);
}

const struct component component_vfs = {
	.name = "vfs", .stage = STAGE_SERVICES, .init = vfs_init, .stop = vfs_stop, .check = vfs_check};
const struct component component_rootfs = {
	.name = "rootfs", .stage = STAGE_SERVICES, .init = rootfs_init, .stop = rootfs_stop, .commands = file_commands};
