// SPDX-License-Identifier: MIT
//
// See testfs.h. Options: a number, the cluster's pages (1).
#include "testfs.h"

#include "fs/vfs/vfs_impl.h"
#include "kern/hash.h"
#include "kern/timer.h"

struct testfs {
	struct superblock_ops ops; // first of all: sb->ops leads here
	struct testfs_knobs knobs;
	struct cache_ops cache_ops;
	struct inode_ops dir_ops, file_ops; // tmpfs's, but for what goes through the cache
	const struct superblock_ops *below;
	struct spinlock lock;
	struct rb_root stores; // lock
};

// The contents of one file.
struct store {
	struct rb_node node;
	uint64_t ino;
	struct mapping pages;
};

static const struct file_ops test_file_ops;

static struct testfs *testfs_of(const struct superblock *sb)
{
	return container_of(sb->ops, struct testfs, ops);
}

struct testfs_knobs *testfs_knobs_of(struct superblock *sb)
{
	return &testfs_of(sb)->knobs;
}

struct superblock *testfs_sb(const char *path)
{
	struct walk walk;
	struct superblock *sb = NULL;

	if (walk_path(&walk, vfs_monitor_process(), TB_AT_FDCWD, path, WALK_FOLLOW) == 0)
		sb = walk.at.mount->sb;
	walk_end(&walk);
	return sb;
}

// ---- the store -----------------------------------------------------------------------------------------------------------

static int store_compare(const void *key, const struct rb_node *node)
{
	uint64_t wanted = *(const uint64_t *)key;
	uint64_t ino = rb_entry(node, struct store, node)->ino;
	return wanted < ino ? -1 : wanted > ino;
}

static bool store_before(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct store, node)->ino < rb_entry(b, struct store, node)->ino;
}

static struct store *store_of(const struct inode *inode)
{
	struct testfs *fs = testfs_of(inode->sb);

	spin_lock(&fs->lock);
	struct rb_node *node = rb_find(&fs->stores, &inode->ino, store_compare);
	spin_unlock(&fs->lock);
	return rb_entry(node, struct store, node);
}

static err_t store_make(const struct inode *inode)
{
	struct testfs *fs = testfs_of(inode->sb);
	struct store *store = kmalloc(sizeof *store, MEM_ZERO);

	if (store == NULL)
		return ERR(ENOMEM);
	store->ino = inode->ino;
	mapping_init(&store->pages);
	spin_lock(&fs->lock);
	rb_insert(&fs->stores, &store->node, store_before);
	spin_unlock(&fs->lock);
	return 0;
}

static void store_free(struct inode *inode)
{
	struct testfs *fs = testfs_of(inode->sb);
	struct store *store = store_of(inode);

	mapping_remove(&store->pages, 0, UINT64_MAX);
	spin_lock(&fs->lock);
	rb_remove(&fs->stores, &store->node);
	spin_unlock(&fs->lock);
	kfree(store);
}

bool testfs_stored(struct inode *inode, uint64_t index, uint8_t *bytes)
{
	struct page *page = mapping_find(&store_of(inode)->pages, index);

	if (page == NULL)
		return false;
	memcpy(bytes, page->frame, FRAME_SIZE);
	page_put(page);
	return true;
}

// Whether this one fails, of those that are to.
static bool fails(uint32_t *count)
{
	uint32_t left = atomic_load_u32_relaxed(count);

	while (left != 0) {
		if (left == UINT32_MAX || atomic_cmpxchg_u32_relaxed(count, &left, left - 1))
			return true;
	}
	return false;
}

static void delay(uint32_t *delay_ns)
{
	uint32_t ns = atomic_load_u32_relaxed(delay_ns);
	if (ns != 0)
		sleep_ns(ns);
}

static void expect(struct testfs *fs, bool good)
{
	if (!good)
		atomic_fetch_add_u32_relaxed(&fs->knobs.broken, 1);
}

static err_t test_fill(struct inode *inode, uint64_t first, struct page **pages, uint32_t count)
{
	struct testfs *fs = testfs_of(inode->sb);
	struct store *store = store_of(inode);

	atomic_fetch_add_u32_relaxed(&fs->knobs.fills, 1);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t flags = page_flags(pages[i]);
		expect(fs, pages[i]->index == first + i && pages[i]->mapping == &inode->mapping);
		expect(fs, (flags & (PAGE_LOCKED | PAGE_UPTODATE | PAGE_DIRTY | PAGE_WRITEBACK)) == PAGE_LOCKED);
		memset(pages[i]->frame, 0xee, FRAME_SIZE);
	}
	delay(&fs->knobs.fill_delay_ns);
	if (fails(&fs->knobs.fill_fails))
		return ERR(EIO);
	for (uint32_t i = 0; i < count; i++) {
		struct page *stored = mapping_find(&store->pages, first + i);
		if (stored == NULL) {
			memset(pages[i]->frame, 0, FRAME_SIZE);
			continue;
		}
		memcpy(pages[i]->frame, stored->frame, FRAME_SIZE);
		page_put(stored);
	}
	return 0;
}

static err_t page_store(struct store *store, const struct page *page)
{
	struct page *stored;
	bool made;
	err_t err = mapping_add(&store->pages, page->index, &stored, &made);

	if (err != 0)
		return err;
	memcpy(stored->frame, page->frame, FRAME_SIZE);
	page_put(stored);
	return 0;
}

// Contents may not change while it takes its time.
static err_t test_flush(struct inode *inode, uint64_t first, struct page **pages, uint32_t count)
{
	struct testfs *fs = testfs_of(inode->sb);
	struct store *store = store_of(inode);
	uint64_t before = 0, after = 0;
	err_t err = 0;

	atomic_fetch_add_u32_relaxed(&fs->knobs.flushes, 1);
	expect(fs, first % fs->cache_ops.cluster_pages == 0 && count > 0);
	for (uint32_t i = 0; i < count; i++) {
		if (pages[i] == NULL)
			continue;
		expect(fs, pages[i]->index == first + i && (page_flags(pages[i]) & PAGE_WRITEBACK));
		before += (uint64_t)hash_bytes(pages[i]->frame, FRAME_SIZE) * (i + 1);
	}
	delay(&fs->knobs.flush_delay_ns);
	if (fails(&fs->knobs.flush_fails))
		return ERR(EIO);
	for (uint32_t i = 0; i < count && err == 0; i++) {
		if (pages[i] == NULL)
			continue;
		after += (uint64_t)hash_bytes(pages[i]->frame, FRAME_SIZE) * (i + 1);
		err = page_store(store, pages[i]);
		atomic_fetch_add_u32_relaxed(&fs->knobs.flushed_pages, 1);
	}
	expect(fs, err != 0 || before == after);
	return err;
}

static err_t test_reserve(struct inode *inode, uint64_t first, uint32_t count)
{
	(void)first;
	(void)count;
	return fails(&testfs_of(inode->sb)->knobs.reserve_fails) ? ERR(ENOSPC) : 0;
}

// ---- inodes --------------------------------------------------------------------------------------------------------------

static err_t convert(struct inode *inode)
{
	if (inode_is(inode, TB_S_IFDIR))
		inode->ops = &testfs_of(inode->sb)->dir_ops;
	if (!inode_is(inode, TB_S_IFREG))
		return 0;
	err_t err = store_make(inode);
	if (err != 0)
		return err;
	err = cache_inode_init(inode, &testfs_of(inode->sb)->cache_ops);
	if (err != 0) {
		store_free(inode);
		return err;
	}
	inode->ops = &testfs_of(inode->sb)->file_ops;
	inode->file_ops = &test_file_ops;
	return 0;
}

static err_t test_create(struct inode *dir, const struct name *name, const struct inode_params *params,
			 struct inode **out)
{
	err_t err = tmpfs_create(dir, name, params, out);
	if (err != 0)
		return err;
	err = convert(*out);
	if (err != 0) {
		err_t undone = tmpfs_unlink(dir, name, *out);
		VERIFY(undone == 0);
		inode_put(*out);
	}
	return err;
}

static err_t test_tmpfile(struct inode *dir, const struct inode_params *params, struct inode **out)
{
	err_t err = tmpfs_inode_make(dir->sb, params, out);
	if (err != 0)
		return err;
	inode_add_links(*out, -1);
	err = convert(*out);
	if (err != 0)
		inode_put(*out);
	return err;
}

static err_t test_resize(struct inode *inode, uint64_t size_bytes)
{
	err_t err = cache_resize(inode, size_bytes);
	if (err == 0)
		mapping_remove(&store_of(inode)->pages, (size_bytes + FRAME_SIZE - 1) / FRAME_SIZE, UINT64_MAX);
	return err;
}

static void test_destroy(struct inode *inode)
{
	struct testfs *fs = testfs_of(inode->sb);

	if (inode->mapping.cache != NULL) {
		cache_drop(inode);
		store_free(inode);
	}
	fs->below->destroy(inode);
}

static const struct file_ops test_file_ops = {.read = cache_read, .write = cache_write, .sync = cache_sync};

// ---- superblock ----------------------------------------------------------------------------------------------------------

static void test_unmount(struct superblock *sb)
{
	struct testfs *fs = testfs_of(sb);

	sb->ops = fs->below;
	sb->ops->unmount(sb);
	VERIFY(rb_is_empty(&fs->stores));
	kfree(fs);
}

static err_t test_sync(struct superblock *sb)
{
	return cache_flush_all(sb);
}

static err_t test_mount(struct superblock *sb, const char *source, const char *options, struct inode **root,
			const char **problem)
{
	struct testfs *fs = kmalloc(sizeof *fs, MEM_ZERO);
	uint32_t cluster = 1;

	if (fs == NULL)
		return ERR(ENOMEM);
	err_t err = *options != '\0' ? str_to_u32(options, 10, &cluster) : 0;
	if (err == 0)
		err = tmpfs_mount(sb, source, "mode=755", root, problem);
	if (err != 0) {
		kfree(fs);
		return err;
	}
	fs->below = sb->ops;
	fs->ops = *sb->ops;
	fs->ops.destroy = test_destroy;
	fs->ops.unmount = test_unmount;
	fs->ops.sync = test_sync;
	fs->ops.check = NULL;
	fs->cache_ops = (struct cache_ops){
		.cluster_pages = cluster, .fill = test_fill, .flush = test_flush, .reserve = test_reserve};
	fs->dir_ops = tmpfs_dir_inode_ops;
	fs->dir_ops.create = test_create;
	fs->dir_ops.tmpfile = test_tmpfile;
	fs->file_ops = tmpfs_file_inode_ops;
	fs->file_ops.link_target = NULL;
	fs->file_ops.resize = test_resize;
	fs->file_ops.fallocate = NULL;
	spin_init(&fs->lock, LOCK_RANK_FS, "testfs");
	rb_init(&fs->stores);
	sb->ops = &fs->ops;
	err = convert(*root);
	if (err == 0)
		err = cache_attach(sb);
	if (err != 0) {
		inode_put(*root);
		sb->ops->unmount(sb);
	}
	return err;
}

static const struct fs_type testfs_type = {.name = "testfs", .mount = test_mount};

err_t testfs_register(void)
{
	return fs_register(&testfs_type);
}

void testfs_unregister(void)
{
	fs_unregister(&testfs_type);
}
