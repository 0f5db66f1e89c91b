// SPDX-License-Identifier: MIT
//
// tmpfs: mounting with its options, limits, inodes and their end.
#include "tmpfs_impl.h"

#include "kern/component.h"
#include "kern/log.h"
#include "kern/string.h"

#define ROOT_INO 1u
#define OPTION_SIZE 64u

// ---- limits --------------------------------------------------------------------------------------------------------------

bool tmpfs_pages_fit(struct tmpfs *fs, uint64_t pages)
{
	spin_lock(&fs->lock);
	bool fit = fs->page_limit == 0 || (fs->pages <= fs->page_limit && pages <= fs->page_limit - fs->pages);
	spin_unlock(&fs->lock);
	return fit;
}

err_t tmpfs_pages_charge(struct tmpfs *fs, uint64_t pages)
{
	spin_lock(&fs->lock);
	bool fit = fs->page_limit == 0 || (fs->pages <= fs->page_limit && pages <= fs->page_limit - fs->pages);
	if (fit)
		fs->pages += pages;
	spin_unlock(&fs->lock);
	return fit ? 0 : ERR(ENOSPC);
}

void tmpfs_pages_uncharge(struct tmpfs *fs, uint64_t pages)
{
	spin_lock(&fs->lock);
	VERIFY3(fs->pages, >=, pages);
	fs->pages -= pages;
	spin_unlock(&fs->lock);
}

// ---- inodes --------------------------------------------------------------------------------------------------------------

static bool number_before(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct tmpfs_inode, by_number)->inode.ino <
	       rb_entry(b, struct tmpfs_inode, by_number)->inode.ino;
}

static int number_compare(const void *key, const struct rb_node *node)
{
	uint64_t wanted = *(const uint64_t *)key;
	uint64_t ino = rb_entry(node, struct tmpfs_inode, by_number)->inode.ino;
	return wanted < ino ? -1 : wanted > ino;
}

static const char *link_target(struct inode *inode, uint32_t *size_bytes)
{
	*size_bytes = (uint32_t)inode_size(inode);
	return tmpfs_inode_of(inode)->target;
}

const struct inode_ops tmpfs_file_inode_ops = {
	.link_target = link_target,
	.resize = tmpfs_resize,
	.fallocate = tmpfs_fallocate,
	.xattr_get = tmpfs_xattr_get,
	.xattr_set = tmpfs_xattr_set,
	.xattr_list = tmpfs_xattr_list,
	.xattr_remove = tmpfs_xattr_remove,
};

err_t tmpfs_tmpfile(struct inode *dir, const struct inode_params *params, struct inode **out)
{
	err_t err = tmpfs_inode_make(dir->sb, params, out);
	if (err == 0)
		inode_add_links(*out, -1);
	return err;
}

const struct inode_ops tmpfs_dir_inode_ops = {
	.lookup = tmpfs_lookup,
	.create = tmpfs_create,
	.tmpfile = tmpfs_tmpfile,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.is_empty = tmpfs_is_empty,
	.rename = tmpfs_rename,
	.xattr_get = tmpfs_xattr_get,
	.xattr_set = tmpfs_xattr_set,
	.xattr_list = tmpfs_xattr_list,
	.xattr_remove = tmpfs_xattr_remove,
};

static const struct file_ops *file_ops_for(uint32_t mode)
{
	switch (mode & TB_S_IFMT) {
	case TB_S_IFREG:
		return &tmpfs_file_ops;
	case TB_S_IFDIR:
		return &tmpfs_dir_ops;
	default:
		return fs_special_file_ops();
	}
}

static struct tmpfs_shard *shard_of(struct tmpfs *fs, uint64_t ino)
{
	return &fs->shards[ino % TMPFS_SHARDS];
}

static err_t inode_count(struct tmpfs *fs)
{
	uint32_t count = atomic_fetch_add_u32_relaxed(&fs->inode_count, 1);

	if (fs->inode_limit == 0 || count < fs->inode_limit)
		return 0;
	atomic_fetch_sub_u32_relaxed(&fs->inode_count, 1);
	return -ENOSPC;
}

// The root is the first of its shard, whatever CPU makes it.
static uint32_t shard_here(struct tmpfs *fs)
{
	if (__atomic_load_n(&fs->shards[ROOT_INO].made, __ATOMIC_RELAXED) == 0)
		return ROOT_INO;
	preempt_disable();
	uint32_t index = this_cpu()->hal.index;
	preempt_enable();
	return (ROOT_INO + index) % TMPFS_SHARDS;
}

static void inode_number(struct tmpfs *fs, struct tmpfs_inode *made)
{
	uint32_t index = shard_here(fs);
	struct tmpfs_shard *shard = &fs->shards[index];

	spin_lock(&shard->lock);
	made->inode.ino = shard->made * TMPFS_SHARDS + (index != 0 ? index : TMPFS_SHARDS);
	__atomic_store_n(&shard->made, shard->made + 1, __ATOMIC_RELAXED);
	made->inode.generation = shard->generation++;
	spin_unlock(&shard->lock);
}

err_t tmpfs_inode_make(struct superblock *sb, const struct inode_params *params, struct inode **out)
{
	struct tmpfs *fs = sb->data;
	struct tmpfs_inode *made = slab_alloc(fs->inodes, MEM_ZERO);

	if (made == NULL)
		return ERR(ENOMEM);
	if (params->target != NULL) {
		made->target = kmalloc(params->target_size_bytes + 1, 0);
		if (made->target == NULL) {
			slab_free(fs->inodes, made);
			return ERR(ENOMEM);
		}
		memcpy(made->target, params->target, params->target_size_bytes);
		made->target[params->target_size_bytes] = '\0';
	}
	err_t err = inode_count(fs);
	if (err != 0) {
		kfree(made->target);
		slab_free(fs->inodes, made);
		return err;
	}
	inode_number(fs, made);
	inode_init(&made->inode, sb, made->inode.ino, params);
	rb_init(&made->names);
	rb_init(&made->cookies);
	made->next_cookie = DIR_COOKIE_FIRST;
	list_init(&made->xattrs);
	made->inode.ops = (params->mode & TB_S_IFMT) == TB_S_IFDIR ? &tmpfs_dir_inode_ops : &tmpfs_file_inode_ops;
	made->inode.file_ops = file_ops_for(params->mode);
	inode_set_size(&made->inode, params->target_size_bytes);
	struct tmpfs_shard *shard = shard_of(fs, made->inode.ino);
	spin_lock(&shard->lock);
	rb_insert(&shard->numbers, &made->by_number, number_before);
	spin_unlock(&shard->lock);
	*out = &made->inode;
	return 0;
}

static void inode_free(struct rcu_head *head)
{
	struct tmpfs_inode *inode = tmpfs_inode_of(container_of(head, struct inode, rcu));
	kfree(inode->target);
	slab_free(tmpfs_of(&inode->inode)->inodes, inode);
}

static void tmpfs_destroy(struct inode *inode)
{
	struct tmpfs_inode *gone = tmpfs_inode_of(inode);
	struct tmpfs *fs = tmpfs_of(inode);
	struct tmpfs_shard *shard = shard_of(fs, inode->ino);

	spin_lock(&shard->lock);
	rb_remove(&shard->numbers, &gone->by_number);
	spin_unlock(&shard->lock);
	atomic_fetch_sub_u32_relaxed(&fs->inode_count, 1);
	tmpfs_file_clear(inode);
	tmpfs_dir_clear(inode);
	tmpfs_xattr_clear(inode);
	inode_free_later(inode, inode_free);
}

static err_t tmpfs_by_number(struct superblock *sb, uint64_t ino, uint32_t generation, struct inode **out)
{
	struct tmpfs_shard *shard = shard_of(sb->data, ino);
	err_t err = -ESTALE;

	spin_lock(&shard->lock);
	struct rb_node *node = rb_find(&shard->numbers, &ino, number_compare);
	if (node != NULL) {
		struct inode *inode = &rb_entry(node, struct tmpfs_inode, by_number)->inode;
		if (inode->generation == generation && refcount_get_unless_zero(&inode->refs)) {
			*out = inode;
			err = 0;
		}
	}
	spin_unlock(&shard->lock);
	return err;
}

// ---- superblock ----------------------------------------------------------------------------------------------------------

static void tmpfs_statfs(struct superblock *sb, struct tb_statfs *out)
{
	struct tmpfs *fs = sb->data;

	spin_lock(&fs->lock);
	out->blocks = fs->page_limit;
	out->blocks_free = fs->page_limit > fs->pages ? fs->page_limit - fs->pages : 0;
	out->files = fs->inode_limit;
	uint32_t count = atomic_load_u32_relaxed(&fs->inode_count);
	out->files_free = fs->inode_limit > count ? fs->inode_limit - count : 0;
	spin_unlock(&fs->lock);
}

static void tmpfs_unmount(struct superblock *sb)
{
	struct tmpfs *fs = sb->data;

	rcu_barrier(); // inodes
	VERIFY3(atomic_load_u32_relaxed(&fs->inode_count), ==, 0);
	VERIFY3(fs->pages, ==, 0);
	err_t err = slab_cache_destroy(fs->inodes);
	if (err != 0)
		log_err("tmpfs: inodes are left over: %pe", ERR_PTR(err));
	kfree(fs);
}

static err_t inode_check(struct tmpfs_inode *inode)
{
	err_t err = 0;

	mutex_lock(&inode->inode.lock);
	if (inode_is(&inode->inode, TB_S_IFDIR))
		err = tmpfs_dir_check(inode);
	else
		err = tmpfs_file_check(&inode->inode);
	mutex_unlock(&inode->inode.lock);
	return err;
}

// Inode after inode, each under its own lock, by rising number; what is made meanwhile may be left out.
static err_t shard_check(struct tmpfs_shard *shard)
{
	uint64_t number = 0;
	err_t err = 0;

	while (err == 0) {
		struct tmpfs_inode *found = NULL;
		spin_lock(&shard->lock);
		struct rb_node *node = rb_find_at_least(&shard->numbers, &number, number_compare);
		for (; node != NULL && found == NULL; node = rb_next(node)) {
			struct tmpfs_inode *inode = rb_entry(node, struct tmpfs_inode, by_number);
			if (refcount_get_unless_zero(&inode->inode.refs))
				found = inode;
		}
		spin_unlock(&shard->lock);
		if (found == NULL)
			break;
		number = found->inode.ino + 1;
		err = inode_check(found);
		inode_put(&found->inode);
	}
	return err;
}

static err_t tmpfs_check(struct superblock *sb)
{
	struct tmpfs *fs = sb->data;
	err_t err = 0;

	for (uint32_t i = 0; err == 0 && i < TMPFS_SHARDS; i++)
		err = shard_check(&fs->shards[i]);
	return err;
}

static const struct superblock_ops tmpfs_ops = {
	.destroy = tmpfs_destroy,
	.unmount = tmpfs_unmount,
	.statfs = tmpfs_statfs,
	.inode_by_number = tmpfs_by_number,
	.parent = tmpfs_parent,
	.check = tmpfs_check,
};

const struct superblock_ops devfs_ops = {
	.destroy = tmpfs_destroy,
	.unmount = tmpfs_unmount,
	.statfs = tmpfs_statfs,
	.inode_by_number = tmpfs_by_number,
	.parent = tmpfs_parent,
	.check = tmpfs_check,
	.name_holds = devfs_name_holds,
};

// "64M", or "80%" of the machine's memory.
static err_t size_take(struct tmpfs *fs, char *value)
{
	size_t last = strlen(value);
	uint64_t size = 0;
	uint32_t percent = 0;
	err_t err;

	if (last > 0 && value[last - 1] == '%') {
		value[last - 1] = '\0';
		err = str_to_u32(value, 10, &percent);
		if (err == 0 && (percent == 0 || percent > 100))
			err = ERR(ERANGE);
		fs->page_limit = (uint64_t)fs->total_frames * percent / 100;
	} else {
		err = str_to_size(value, &size);
		fs->page_limit = size / FRAME_SIZE + (size % FRAME_SIZE != 0);
	}
	return err;
}

// One "key=value" of the options.
static err_t option_take(struct tmpfs *fs, struct inode_params *root, char *option, const char **problem)
{
	char *value = strchr(option, '=');
	err_t err = 0;

	if (value == NULL) {
		*problem = "tmpfs: an option has no value; there are size, nr_inodes, mode, uid, gid";
		return ERR(EINVAL);
	}
	*value++ = '\0';
	if (str_equal(option, "size")) {
		err = size_take(fs, value);
	} else if (str_equal(option, "nr_inodes")) {
		err = str_to_size(value, &fs->inode_limit);
	} else if (str_equal(option, "mode")) {
		uint32_t mode = 0;
		err = str_to_u32(value, 8, &mode);
		root->mode = TB_S_IFDIR | (mode & 07777);
	} else if (str_equal(option, "uid")) {
		err = str_to_u32(value, 10, &root->uid);
	} else if (str_equal(option, "gid")) {
		err = str_to_u32(value, 10, &root->gid);
	} else {
		*problem = "tmpfs: an option is not known; there are size, nr_inodes, mode, uid, gid";
		return ERR(EINVAL);
	}
	if (err != 0)
		*problem = "tmpfs: the value of an option is no number";
	return err;
}

static err_t options_take(struct tmpfs *fs, struct inode_params *root, const char *options, const char **problem)
{
	char option[OPTION_SIZE];
	err_t err = 0;

	while (err == 0 && *options != '\0') {
		const char *end = strchr(options, ',');
		size_t size = end != NULL ? (size_t)(end - options) : strlen(options);
		if (size >= sizeof option) {
			*problem = "tmpfs: an option is too long";
			return ERR(EINVAL);
		}
		memcpy(option, options, size);
		option[size] = '\0';
		if (size > 0)
			err = option_take(fs, root, option, problem);
		options += size + (end != NULL);
	}
	return err;
}

err_t tmpfs_mount(struct superblock *sb, const char *source, const char *options, struct inode **root,
		  const char **problem)
{
	struct slab_params cache = {
		.name = "tmpfs_inode", .size_bytes = sizeof(struct tmpfs_inode), .align = CACHE_LINE_SIZE};
	struct inode_params params = {.mode = TB_S_IFDIR | 01777};
	struct tmpfs *fs = kmalloc_aligned(sizeof *fs, CACHE_LINE_SIZE, MEM_ZERO);
	struct frame_info frames;

	(void)source;
	if (fs == NULL)
		return ERR(ENOMEM);
	frame_get_info(&frames);
	fs->total_frames = frames.total;
	fs->page_limit = frames.total / 2;
	fs->inode_limit = frames.total / 2;
	spin_init(&fs->lock, LOCK_RANK_FS, "tmpfs");
	for (uint32_t i = 0; i < TMPFS_SHARDS; i++) {
		spin_init(&fs->shards[i].lock, LOCK_RANK_FS, "tmpfs: numbers");
		rb_init(&fs->shards[i].numbers);
	}
	sb->data = fs;
	sb->ops = &tmpfs_ops;
	err_t err = options_take(fs, &params, options, problem);
	if (err == 0)
		err = slab_cache_create(&cache, &fs->inodes);
	if (err == 0) {
		err = tmpfs_inode_make(sb, &params, root);
		if (err != 0) {
			err_t destroyed = slab_cache_destroy(fs->inodes);
			VERIFY(destroyed == 0);
		}
	}
	if (err != 0)
		kfree(fs);
	return err;
}

static const struct fs_type tmpfs_type = {.name = "tmpfs", .mount = tmpfs_mount};

static err_t tmpfs_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)kernel;
	(void)info;
	err_t err = fs_register(&tmpfs_type);
	if (err == 0) {
		err = fs_register(&devfs_type);
		if (err != 0)
			fs_unregister(&tmpfs_type);
	}
	return err;
}

static void tmpfs_stop(void)
{
	fs_unregister(&devfs_type);
	fs_unregister(&tmpfs_type);
}

const struct component component_tmpfs = {
	.name = "tmpfs", .stage = STAGE_SERVICES, .init = tmpfs_init, .stop = tmpfs_stop};
