// SPDX-License-Identifier: MIT
//
// Writing into pages, and sizes. Bytes behind the end in the last page are zero, always: filling leaves them so, cutting makes them so.
#include "cache_impl.h"

#define SIZE_MAX_BYTES ((uint64_t)INT64_MAX)
#define THROTTLE_PAGES 32u // written before the limit is looked at again

// The page at `index`, locked, in its mapping, not under writeback; filled unless it lies behind the end or is going to be written whole.
static err_t page_for_write(struct inode *inode, uint64_t index, bool whole, struct page **out)
{
	const struct cache_ops *ops = cache_of(inode)->ops;

	for (;;) {
		struct page *page;
		bool made;
		err_t err = mapping_add(&inode->mapping, index, &page, &made);
		if (err != 0)
			return err;
		page_lock(page);
		lru_add(page);
		bool filled = (page_flags(page) & PAGE_UPTODATE) != 0;
		bool behind = index >= inode_pages(inode);
		if (page->mapping != NULL && (filled || whole || behind)) {
			page_wait_writeback(page);
			if (!filled && !whole)
				memset(page->frame, 0, FRAME_SIZE); // a fill that failed may have left anything
			*out = page;
			return 0;
		}
		page_unlock(page);
		page_put(page);
		err = cache_fill(inode, index & ~CLUSTER_MASK(ops), ops->cluster_pages, NO_AHEAD);
		if (err != 0)
			return err;
	}
}

static err_t page_reserve(struct inode *inode, struct page *page)
{
	const struct cache_ops *ops = cache_of(inode)->ops;

	if (ops->reserve == NULL || (page_flags(page) & PAGE_DIRTY))
		return 0;
	return ops->reserve(inode, page->index, 1);
}

static err_t page_write(struct inode *inode, uint64_t at, struct io *io, size_t piece)
{
	struct page *page;
	err_t err = page_for_write(inode, at / FRAME_SIZE, piece == FRAME_SIZE, &page);

	if (err != 0)
		return err;
	err = page_reserve(inode, page);
	if (err == 0)
		err = io_get(io, (uint8_t *)page->frame + at % FRAME_SIZE, piece);
	if (err == 0) {
		if (at + piece > inode_size(inode))
			inode_set_size(inode, at + piece); // before anybody may flush the page
		cache_page_dirty(page);
	}
	page_unlock(page);
	page_put(page);
	return err;
}

err_t cache_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes)
{
	struct inode *inode = file->inode;
	uint32_t pages = 0;
	err_t err = dirty_throttle(inode);

	if (err != 0)
		return err;
	mutex_lock(&inode->lock);
	err = file_write_place(file, offset, io);
	uint64_t at = *offset;
	while (err == 0 && io->left_bytes > 0) {
		size_t piece = MIN(FRAME_SIZE - (size_t)(at % FRAME_SIZE), io->left_bytes);
		err = page_write(inode, at, io, piece);
		if (err != 0)
			break;
		at += piece;
		*done_bytes += piece;
		if (++pages % THROTTLE_PAGES == 0)
			err = dirty_throttle(inode);
	}
	if (*done_bytes > 0)
		inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
	mutex_unlock(&inode->lock);
	return err;
}

// ---- sizes ---------------------------------------------------------------------------------------------------------------

// Zeroes the last page from the new end on, so that a file that grows again has zeros there.
static err_t tail_zero(struct inode *inode, uint64_t size_bytes)
{
	size_t from = (size_t)(size_bytes % FRAME_SIZE);
	struct page *page;

	if (from == 0)
		return 0;
	err_t err = page_for_write(inode, size_bytes / FRAME_SIZE, false, &page);
	if (err != 0)
		return err;
	err = page_reserve(inode, page);
	if (err == 0) {
		memset((uint8_t *)page->frame + from, 0, FRAME_SIZE - from);
		cache_page_dirty(page);
	}
	page_unlock(page);
	page_put(page);
	return err;
}

static void pages_drop(struct inode *inode, uint64_t from)
{
	uint64_t index = from;

	while (mapping_next(&inode->mapping, index, &index)) {
		struct page *page = mapping_find(&inode->mapping, index);
		if (page != NULL) {
			page_lock(page);
			page_wait_writeback(page);
			page_detach(page);
			page_unlock(page);
			page_put(page);
		}
		if (++index == 0)
			return;
	}
}

err_t cache_resize(struct inode *inode, uint64_t size_bytes)
{
	uint64_t old = inode_size(inode);
	err_t err = 0;

	if (size_bytes > SIZE_MAX_BYTES)
		return ERR(EFBIG);
	if (size_bytes < old)
		err = tail_zero(inode, size_bytes);
	if (err != 0)
		return err;
	inode_set_size(inode, size_bytes);
	if (size_bytes < old)
		pages_drop(inode, inode_pages(inode));
	return 0;
}

void cache_lose(struct inode *inode)
{
	pages_drop(inode, 0);
}

void cache_drop(struct inode *inode)
{
	struct page_cache *cache = cache_of(inode);

	if (cache == NULL)
		return;
	pages_drop(inode, 0);
	VERIFY3(atomic_load_u32_acquire(&cache->dirty), ==, 0);
	VERIFY(!list_node_is_linked(&cache->link));
	mutex_fini(&cache->flush_lock);
	inode->mapping.cache = NULL;
	kfree(cache);
}
