// SPDX-License-Identifier: MIT
//
// Inodes in memory: made, found by number, written to their items when an epoch closes.
#include "fs_impl.h"

#define TARGET_MAX 4095u

static struct pxfs_where where_inode(uint64_t ino)
{
	return (struct pxfs_where){ino, PXFS_INODE, 0};
}

// ---- the table; mount->lock held ------------------------------------------------------------------------------------------------

static bool number_before(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct pxfs_inode_core, by_number)->inode.ino <
	       rb_entry(b, struct pxfs_inode_core, by_number)->inode.ino;
}

static int number_compare(const void *key, const struct rb_node *node)
{
	uint64_t wanted = *(const uint64_t *)key, ino = rb_entry(node, struct pxfs_inode_core, by_number)->inode.ino;
	return wanted < ino ? -1 : wanted > ino;
}

// NULL with *dying: it is there and has no user any more.
static struct inode *table_find(struct pxfs_mount *mount, uint64_t ino, bool *dying)
{
	struct rb_node *node = rb_find(&mount->inodes, &ino, number_compare);
	struct inode *inode = node == NULL ? NULL : &rb_entry(node, struct pxfs_inode_core, by_number)->inode;

	*dying = inode != NULL && !refcount_get_unless_zero(&inode->refs);
	return *dying ? NULL : inode;
}

bool pxfs_is_known(struct pxfs_mount *mount, uint64_t ino)
{
	spin_lock(&mount->lock);
	bool known = rb_find(&mount->inodes, &ino, number_compare) != NULL;
	spin_unlock(&mount->lock);
	return known;
}

// ---- making -----------------------------------------------------------------------------------------------------------------------

static const struct file_ops *file_ops_for(uint32_t mode)
{
	switch (mode & TB_S_IFMT) {
	case TB_S_IFREG:
		return &pxfs_file_ops;
	case TB_S_IFDIR:
		return &pxfs_dir_ops;
	default:
		return fs_special_file_ops();
	}
}

static void core_free(struct pxfs_inode_core *core)
{
	kfree(core->target);
	kfree(core);
}

// An inode in memory that nobody knows yet; its target is taken over.
static err_t core_make(struct pxfs_mount *mount, uint64_t ino, const struct inode_params *params, char *target,
		       const struct pxfs_setting *setting, struct pxfs_inode_core **out)
{
	struct pxfs_inode_core *core = kmalloc(sizeof *core, MEM_ZERO);
	uint32_t ops = setting->cluster_shift <= 16 ? 0 : setting->cluster_shift <= 18 ? 1 : 2;

	if (core == NULL)
		return ERR(ENOMEM);
	core->target = target;
	pxfs_setting_set(core, setting);
	inode_init(&core->inode, mount->sb, ino, params);
	core->inode.ino = ino;
	core->inode.ops = (params->mode & TB_S_IFMT) == TB_S_IFDIR ? &pxfs_dir_inode_ops : &pxfs_file_inode_ops;
	core->inode.file_ops = file_ops_for(params->mode);
	err_t err = 0;
	if ((params->mode & TB_S_IFMT) == TB_S_IFREG)
		err = cache_inode_init(&core->inode, &mount->cache_ops[ops]);
	if (err != 0) {
		core->target = NULL; // the caller's still
		mutex_fini(&core->inode.lock);
		kfree(core);
		return err;
	}
	*out = core;
	return 0;
}

static void table_add(struct pxfs_mount *mount, struct pxfs_inode_core *core)
{
	spin_lock(&mount->lock);
	rb_insert(&mount->inodes, &core->by_number, number_before);
	spin_unlock(&mount->lock);
}

static err_t target_store(struct pxfs_mount *mount, uint64_t ino, const struct inode_params *params, char **target)
{
	struct pxfs_tree *tree = &mount->subvol->tree;
	struct pxfs_where where = {ino, PXFS_INLINE, 0};

	*target = kmalloc(params->target_size_bytes + 1, 0);
	if (*target == NULL)
		return ERR(ENOMEM);
	memcpy(*target, params->target, params->target_size_bytes);
	(*target)[params->target_size_bytes] = '\0';
	rwlock_write_lock(&tree->lock);
	err_t err = tree_put(tree, &where, params->target, params->target_size_bytes);
	rwlock_write_unlock(&tree->lock);
	if (err != 0) {
		kfree(*target);
		*target = NULL;
	}
	return err;
}

err_t pxfs_inode_make(struct pxfs_mount *mount, struct inode *dir, const struct inode_params *params,
		      struct inode **out)
{
	uint64_t ino = __atomic_fetch_add(&mount->next_inode, 1, __ATOMIC_RELAXED);
	const struct pxfs_super *super = &mount->volume->super;
	struct pxfs_setting setting = dir != NULL
					      ? pxfs_setting_get(pxfs_core(dir))
					      : pxfs_setting_sound(super->method, super->level, super->cluster_shift);
	struct pxfs_inode_core *core = NULL;
	char *target = NULL;
	err_t err = params->target != NULL ? target_store(mount, ino, params, &target) : 0;

	setting.own = false;
	if (err == 0)
		err = core_make(mount, ino, params, target, &setting, &core);
	if (err != 0) {
		kfree(target);
		return err;
	}
	inode_set_size(&core->inode, params->target_size_bytes);
	core->inode.generation = (uint32_t)mount->volume->generation;
	core->parent = dir == NULL ? ino : dir->ino;
	table_add(mount, core);
	pxfs_dirty(&core->inode);
	*out = &core->inode;
	return 0;
}

// ---- items ------------------------------------------------------------------------------------------------------------------------

static void time_put(struct le64 *seconds, struct le32 *nanoseconds, const struct tb_time *time)
{
	le64_put(seconds, (uint64_t)time->seconds);
	le32_put(nanoseconds, time->nanoseconds);
}

static struct tb_time time_get(const struct le64 *seconds, const struct le32 *nanoseconds)
{
	return (struct tb_time){.seconds = (int64_t)le64_get(seconds), .nanoseconds = le32_get(nanoseconds)};
}

static void item_fill(struct pxfs_inode_core *core, struct pxfs_inode *item)
{
	struct inode *inode = &core->inode;

	struct pxfs_setting setting = pxfs_setting_get(core);

	*item = (struct pxfs_inode){.method = setting.own ? setting.method : PXFS_METHOD_INHERITED,
				    .level = setting.level,
				    .cluster_shift = setting.cluster_shift,
				    .inherited = setting.method};
	spin_lock(&inode->attr_lock);
	le64_put(&item->size, inode_is(inode, TB_S_IFDIR) ? 0 : inode_size(inode));
	le64_put(&item->blocks, inode->blocks);
	le64_put(&item->generation, inode->generation);
	le64_put(&item->parent, core->parent);
	le64_put(&item->rdev, inode->rdev);
	le32_put(&item->mode, inode_mode(inode));
	le32_put(&item->uid, inode->uid);
	le32_put(&item->gid, inode->gid);
	le32_put(&item->links, inode->nlink);
	le64_put(&item->entries, core->entries);
	time_put(&item->atime_s, &item->atime_ns, &inode->atime);
	time_put(&item->mtime_s, &item->mtime_ns, &inode->mtime);
	time_put(&item->ctime_s, &item->ctime_ns, &inode->ctime);
	time_put(&item->btime_s, &item->btime_ns, &inode->btime);
	spin_unlock(&inode->attr_lock);
}

static bool item_is_sound(const struct pxfs_inode *item, uint32_t size)
{
	uint32_t type = le32_get(&item->mode) & TB_S_IFMT;

	if (size != sizeof *item || le64_get(&item->size) > INT64_MAX)
		return false;
	return type == TB_S_IFREG || type == TB_S_IFDIR || type == TB_S_IFLNK || type == TB_S_IFCHR ||
	       type == TB_S_IFBLK || type == TB_S_IFIFO || type == TB_S_IFSOCK;
}

static err_t target_load(struct pxfs_mount *mount, uint64_t ino, uint64_t size_bytes, char **target)
{
	struct pxfs_where where = {ino, PXFS_INLINE, 0};
	uint32_t size = TARGET_MAX;

	if (size_bytes == 0 || size_bytes > TARGET_MAX)
		return ERR(EUCLEAN);
	*target = kmalloc(TARGET_MAX + 1, MEM_ZERO);
	if (*target == NULL)
		return ERR(ENOMEM);
	err_t err = tree_get(&mount->subvol->tree, &where, *target, &size);
	if (err == 0 && size == size_bytes)
		return 0;
	kfree(*target);
	*target = NULL;
	return err == -ENOMEM || err == -EIO ? err : ERR(EUCLEAN);
}

static void item_apply(struct pxfs_inode_core *core, const struct pxfs_inode *item)
{
	struct inode *inode = &core->inode;

	inode_set_size(inode, le64_get(&item->size));
	inode->generation = (uint32_t)le64_get(&item->generation);
	inode->nlink = le32_get(&item->links);
	inode->blocks = le64_get(&item->blocks);
	inode->atime = time_get(&item->atime_s, &item->atime_ns);
	inode->mtime = time_get(&item->mtime_s, &item->mtime_ns);
	inode->ctime = time_get(&item->ctime_s, &item->ctime_ns);
	inode->btime = time_get(&item->btime_s, &item->btime_ns);
	core->parent = le64_get(&item->parent);
	core->entries = le64_get(&item->entries);
	if (inode_is(inode, TB_S_IFDIR))
		inode_set_size(inode, core->entries * 32);
}

static err_t core_load(struct pxfs_mount *mount, uint64_t ino, struct pxfs_inode_core **out)
{
	struct pxfs_tree *tree = &mount->subvol->tree;
	struct pxfs_where where = where_inode(ino);
	struct pxfs_inode item;
	uint32_t size = sizeof item;
	char *target = NULL;

	rwlock_read_lock(&tree->lock);
	err_t err = tree_get(tree, &where, &item, &size);
	if (err == -ERANGE || (err == 0 && !item_is_sound(&item, size)))
		err = ERR(EUCLEAN);
	if (err == 0 && (le32_get(&item.mode) & TB_S_IFMT) == TB_S_IFLNK)
		err = target_load(mount, ino, le64_get(&item.size), &target);
	rwlock_read_unlock(&tree->lock);
	if (err != 0)
		return err;
	struct inode_params params = {.mode = le32_get(&item.mode),
				      .uid = le32_get(&item.uid),
				      .gid = le32_get(&item.gid),
				      .rdev = le64_get(&item.rdev)};
	bool own = item.method != PXFS_METHOD_INHERITED;
	struct pxfs_setting setting =
		pxfs_setting_sound(own ? item.method : item.inherited, item.level, item.cluster_shift);
	setting.own = own;
	err = core_make(mount, ino, &params, target, &setting, out);
	if (err != 0)
		kfree(target);
	else
		item_apply(*out, &item);
	return err;
}

static void core_discard(struct pxfs_inode_core *core)
{
	cache_drop(&core->inode);
	mutex_fini(&core->inode.lock);
	core_free(core);
}

err_t pxfs_iget(struct pxfs_mount *mount, uint64_t ino, struct inode **out)
{
	struct pxfs_inode_core *core = NULL;
	err_t err = 0;

	for (;;) {
		bool dying = false;
		spin_lock(&mount->lock);
		struct inode *found = table_find(mount, ino, &dying);
		if (found == NULL && !dying && core != NULL)
			rb_insert(&mount->inodes, &core->by_number, number_before);
		spin_unlock(&mount->lock);
		if (found != NULL && core != NULL)
			core_discard(core); // somebody was faster
		if (found != NULL || (!dying && core != NULL)) {
			*out = found != NULL ? found : &core->inode;
			return 0;
		}
		if (dying) { // it leaves the table soon, and may have been changed before
			if (core != NULL)
				core_discard(core);
			core = NULL;
			thread_yield();
			continue;
		}
		err = core_load(mount, ino, &core);
		if (err != 0)
			return err;
	}
}

err_t pxfs_inode_by_number(struct superblock *sb, uint64_t ino, uint32_t generation, struct inode **out)
{
	err_t err = pxfs_iget(sb->data, ino, out);

	if (err == -ENOENT)
		return -ESTALE;
	if (err != 0)
		return err;
	spin_lock(&(*out)->attr_lock);
	bool stale = (*out)->generation != generation || (*out)->nlink == 0;
	spin_unlock(&(*out)->attr_lock);
	if (stale)
		inode_put(*out);
	return stale ? -ESTALE : 0;
}

// ---- dirt -------------------------------------------------------------------------------------------------------------------------

void pxfs_dirty(struct inode *inode)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct pxfs_inode_core *core = pxfs_core(inode);

	if (mount->read_only)
		return;
	spin_lock(&mount->lock);
	if (!core->dirty) {
		core->dirty = true;
		refcount_get(&inode->refs);
		memset(&core->dirty_link, 0, sizeof core->dirty_link);
		list_push_back(&mount->dirty, &core->dirty_link);
		(void)__atomic_fetch_add(&mount->dirty_count, 1, __ATOMIC_RELAXED);
	}
	spin_unlock(&mount->lock);
}

static err_t core_store(struct pxfs_mount *mount, struct pxfs_inode_core *core)
{
	struct pxfs_tree *tree = &mount->subvol->tree;
	struct pxfs_where where = where_inode(core->inode.ino);
	struct pxfs_inode item;

	item_fill(core, &item);
	rwlock_write_lock(&tree->lock);
	err_t err = tree_put(tree, &where, &item, sizeof item);
	rwlock_write_unlock(&tree->lock);
	return err;
}

// The one that has been dirty longest, with the reference that being dirty was; NULL: none is.
static struct pxfs_inode_core *dirty_take(struct pxfs_mount *mount)
{
	spin_lock(&mount->lock);
	struct pxfs_inode_core *core = list_pop_front_entry(&mount->dirty, struct pxfs_inode_core, dirty_link);
	if (core != NULL) {
		core->dirty = false;
		(void)__atomic_fetch_sub(&mount->dirty_count, 1, __ATOMIC_RELAXED);
	}
	spin_unlock(&mount->lock);
	return core;
}

err_t pxfs_inodes_store(struct pxfs_mount *mount)
{
	struct pxfs_inode_core *core = NULL;
	err_t err = 0;

	while (err == 0 && (core = dirty_take(mount)) != NULL) {
		err = core_store(mount, core);
		if (err != 0)
			pxfs_dirty(&core->inode);
		inode_put(&core->inode);
	}
	uint64_t next = __atomic_load_n(&mount->next_inode, __ATOMIC_RELAXED);
	if (err == 0 && next != le64_get(&mount->subvol->item.next_inode)) {
		le64_put(&mount->subvol->item.next_inode, next);
		mount->subvol->changed = true;
	}
	return err;
}

// What cannot be written any more is let go of.
void pxfs_inodes_drop(struct pxfs_mount *mount)
{
	struct pxfs_inode_core *core = NULL;

	while ((core = dirty_take(mount)) != NULL)
		inode_put(&core->inode);
}

// ---- the end ----------------------------------------------------------------------------------------------------------------------

static void inode_free(struct rcu_head *head)
{
	core_free(pxfs_core(container_of(head, struct inode, rcu)));
}

void pxfs_destroy(struct inode *inode)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct pxfs_inode_core *core = pxfs_core(inode);
	bool orphan = inode->nlink == 0;

	cache_drop(inode);
	spin_lock(&mount->lock);
	VERIFY(!core->dirty);
	rb_remove(&mount->inodes, &core->by_number);
	spin_unlock(&mount->lock);
	inode_free_later(inode, inode_free);
	if (orphan && mount->thread != NULL) {
		(void)atomic_fetch_add_u32_relaxed(&mount->orphans, 1);
		(void)waitq_wake_all(&mount->wake);
	}
}

// ---- operations -------------------------------------------------------------------------------------------------------------------

static const char *link_target(struct inode *inode, uint32_t *size_bytes)
{
	*size_bytes = (uint32_t)inode_size(inode);
	return pxfs_core(inode)->target;
}

const struct inode_ops pxfs_file_inode_ops = {
	.link_target = link_target,
	.resize = pxfs_resize,
	.fallocate = pxfs_fallocate,
	.clone = pxfs_clone,
	.seek = pxfs_seek,
	.xattr_get = pxfs_xattr_get,
	.xattr_set = pxfs_xattr_set,
	.xattr_list = pxfs_xattr_list,
	.xattr_remove = pxfs_xattr_remove,
};

const struct inode_ops pxfs_dir_inode_ops = {
	.lookup = pxfs_lookup,
	.create = pxfs_create,
	.tmpfile = pxfs_tmpfile,
	.link = pxfs_link,
	.unlink = pxfs_unlink,
	.is_empty = pxfs_is_empty,
	.rename = pxfs_rename,
	.xattr_get = pxfs_xattr_get,
	.xattr_set = pxfs_xattr_set,
	.xattr_list = pxfs_xattr_list,
	.xattr_remove = pxfs_xattr_remove,
};
