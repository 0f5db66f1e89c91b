// SPDX-License-Identifier: MIT
//
// Ranges of dirty pages, from the cache to what lies beneath. A batch begins at a cluster's beginning and goes on as long as clusters have
// something dirty; all pages of its clusters that are there stay as they are until it has ended.
#include "cache_impl.h"

#include "kern/log.h"

struct batch {
	uint64_t first;
	uint32_t count;
	uint32_t dirty;
	struct page *pages[CACHE_RANGE_MAX];
};

// The page for the batch, under writeback; NULL: it is not there, has nothing, or lies behind the end.
static struct page *page_take(struct page_cache *cache, uint64_t index, struct batch *batch)
{
	struct page *page = mapping_find(&cache->inode->mapping, index);

	if (page == NULL)
		return NULL;
	page_lock(page);
	if (page->mapping == NULL || (page_flags(page) & PAGE_UPTODATE) == 0 || index >= inode_pages(cache->inode)) {
		page_unlock(page);
		page_put(page);
		return NULL;
	}
	bool dirty = page_dirty_unset(page);
	page_set(page, PAGE_WRITEBACK | (dirty ? PAGE_CHANGED : 0u));
	batch->dirty += dirty;
	atomic_fetch_add_u32_relaxed(&cache_state()->writeback, 1);
	page_unlock(page);
	return page;
}

static bool cluster_is_dirty(struct page_cache *cache, uint64_t first)
{
	uint64_t found;
	return mapping_next_tagged(&cache->inode->mapping, first, &found) && found - first < cache->ops->cluster_pages;
}

static void batch_gather(struct page_cache *cache, uint64_t found, uint64_t last, struct batch *batch)
{
	batch->first = found & ~CLUSTER_MASK(cache->ops);
	batch->count = batch->dirty = 0;
	while (batch->count < CACHE_RANGE_MAX) {
		uint64_t index = batch->first + batch->count;
		bool border = (index & CLUSTER_MASK(cache->ops)) == 0;
		if (border && batch->count > 0 && (index > last || !cluster_is_dirty(cache, index)))
			break;
		batch->pages[batch->count++] = page_take(cache, index, batch);
	}
}

static void error_note(struct page_cache *cache, err_t err)
{
	if (err == 0) {
		atomic_store_u32_release(&cache->failing, 0);
		return;
	}
	cache->error = err;
	atomic_store_u32_release(&cache->failing, 1);
	atomic_store_u32_release(&cache->unseen, 1);
	atomic_fetch_add_u32_acq_rel(&cache->error_seq, 1);
	log_err_limited("cache: inode %llu of device %u: a flush failed: %pe", (unsigned long long)cache->inode->ino,
			cache->inode->sb->dev, ERR_PTR(err));
}

static void batch_end(struct batch *batch, err_t err)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		struct page *page = batch->pages[i];
		if (page == NULL)
			continue;
		if (err != 0 && (page_flags(page) & PAGE_CHANGED))
			page_dirty_set(page); // before writeback ends, so that it is never seen clean
		atomic_fetch_sub_u32_relaxed(&cache_state()->writeback, 1);
		page_clear(page, PAGE_WRITEBACK | PAGE_CHANGED);
		page_put(page);
	}
}

// What the file has of the batch: a file's last cluster may be short.
static uint32_t batch_size(const struct page_cache *cache, const struct batch *batch)
{
	uint64_t end = inode_pages(cache->inode);
	return batch->first >= end ? 0 : (uint32_t)MIN(end - batch->first, batch->count);
}

static err_t batch_flush(struct page_cache *cache, struct batch *batch)
{
	uint32_t count = batch_size(cache, batch);
	err_t err = 0;

	if (batch->dirty > 0 && count > 0) {
		err = cache->ops->flush(cache->inode, batch->first, batch->pages, count);
		error_note(cache, err);
		atomic_fetch_add_u32_relaxed(&cache_state()->flushes, batch->dirty);
	}
	if (err == 0 && batch->dirty > 0 && cache->ops->release != NULL)
		cache->ops->release(cache->inode, batch->dirty);
	batch_end(batch, err);
	return err;
}

err_t flush_range(struct page_cache *cache, uint64_t first, uint64_t last)
{
	struct batch batch;
	uint64_t index = first;
	err_t err = 0;

	mutex_lock(&cache->flush_lock);
	while (index <= last && mapping_next_tagged(&cache->inode->mapping, index, &index) && index <= last) {
		batch_gather(cache, index, last, &batch);
		err_t one = batch_flush(cache, &batch);
		err = err != 0 ? err : one;
		index = batch.first + batch.count;
		if (index == 0)
			break;
	}
	mutex_unlock(&cache->flush_lock);
	return err;
}

err_t cache_flush(struct inode *inode, uint64_t first, uint64_t last)
{
	return flush_range(cache_of(inode), first, last);
}

uint32_t cache_error_sample(const struct inode *inode)
{
	const struct page_cache *cache = cache_of(inode);

	if (cache == NULL)
		return 0;
	uint32_t seq = atomic_load_u32_acquire(&cache->error_seq);
	return atomic_load_u32_acquire(&cache->unseen) != 0 ? seq - 1 : seq;
}

err_t cache_sync(struct file *file)
{
	struct page_cache *cache = cache_of(file->inode);
	err_t err = flush_range(cache, 0, UINT64_MAX);
	uint32_t seq = atomic_load_u32_acquire(&cache->error_seq);

	if (atomic_xchg_u32_acq_rel(&file->error_seen, seq) == seq)
		return err;
	atomic_store_u32_release(&cache->unseen, 0);
	mutex_lock(&cache->flush_lock);
	err = cache->error;
	mutex_unlock(&cache->flush_lock);
	return err;
}
