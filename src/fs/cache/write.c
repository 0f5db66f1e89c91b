// SPDX-License-Identifier: MIT
//
// Writing into pages, and sizes. Bytes behind the end in the last page are zero, always: filling leaves them so, cutting makes them so.
#include "cache_impl.h"

#define SIZE_MAX_BYTES ((uint64_t)INT64_MAX)
#define THROTTLE_PAGES 32u // written before the limit is looked at again
#define SLICE_PAGES 256u   // of one operation, where the filesystem wants to know of them

// The page at `index`, locked, in its mapping, not under writeback; filled unless it lies behind the end or is going to be written whole.
static err_t page_for_write(struct inode *inode, uint64_t index, bool whole, struct page **out)
{
	const struct cache_ops *ops = cache_of(inode)->ops;

	for (;;) {
		struct page *page;
		bool made;
		err_t err = mapping_add_unzeroed(&inode->mapping, index, 0, &page, &made);
		if (err != 0)
			return err;
		page_lock(page);
		lru_add(page);
		bool filled = (page_flags(page) & PAGE_UPTODATE) != 0;
		bool behind = index >= inode_pages(inode);
		if (page->mapping != NULL && (filled || whole || behind)) {
			page_wait_writeback(page);
			if (!filled && !whole)
				memset(page->frame, 0, FRAME_SIZE); // nobody has filled it
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
	bool promised = err == 0 && cache_of(inode)->ops->release != NULL && (page_flags(page) & PAGE_DIRTY) == 0;
	if (err == 0)
		err = io_get(io, (uint8_t *)page->frame + at % FRAME_SIZE, piece);
	if (err != 0 && promised)
		cache_of(inode)->ops->release(inode, 1);
	if (err == 0) {
		if (at + piece > inode_size(inode))
			inode_set_size(inode, at + piece); // before anybody may flush the page
		cache_page_dirty(page);
	}
	page_unlock(page);
	page_put(page);
	return err;
}

// Some pages, as one operation of the filesystem's.
static err_t slice_write(struct inode *inode, uint64_t *at, struct io *io, size_t *done_bytes)
{
	const struct cache_ops *ops = cache_of(inode)->ops;
	uint32_t pages = ops->begin != NULL ? SLICE_PAGES : THROTTLE_PAGES;
	size_t before = *done_bytes;
	err_t err = ops->begin != NULL ? ops->begin(inode) : 0;

	if (err != 0)
		return err;
	while (err == 0 && io->left_bytes > 0 && pages-- > 0) {
		size_t piece = MIN(FRAME_SIZE - (size_t)(*at % FRAME_SIZE), io->left_bytes);
		err = page_write(inode, *at, io, piece);
		if (err != 0)
			break;
		*at += piece;
		*done_bytes += piece;
	}
	if (*done_bytes > before)
		inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
	if (ops->end != NULL)
		ops->end(inode);
	return err;
}

err_t cache_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes)
{
	struct inode *inode = file->inode;
	err_t err = dirty_throttle(inode);

	if (err != 0)
		return err;
	mutex_lock(&inode->lock);
	err = file_write_place(file, offset, io);
	uint64_t at = *offset;
	while (err == 0 && io->left_bytes > 0) {
		err = slice_write(inode, &at, io, done_bytes);
		if (err == 0 && io->left_bytes > 0)
			err = dirty_throttle(inode);
	}
	mutex_unlock(&inode->lock);
	return err;
}

// ---- sizes ---------------------------------------------------------------------------------------------------------------

// Zeroes a piece of one page.
static err_t piece_zero(struct inode *inode, uint64_t from_bytes, uint64_t to_bytes)
{
	struct page *page;

	if (from_bytes >= to_bytes || from_bytes >= inode_size(inode))
		return 0;
	err_t err = page_for_write(inode, from_bytes / FRAME_SIZE, false, &page);
	if (err != 0)
		return err;
	err = page_reserve(inode, page);
	if (err == 0) {
		memset((uint8_t *)page->frame + from_bytes % FRAME_SIZE, 0, (size_t)(to_bytes - from_bytes));
		cache_page_dirty(page);
	}
	page_unlock(page);
	page_put(page);
	return err;
}

// The last page from the new end on, so that a file that grows again has zeros there.
static err_t tail_zero(struct inode *inode, uint64_t size_bytes)
{
	return size_bytes % FRAME_SIZE == 0 ? 0
					    : piece_zero(inode, size_bytes, ALIGN_UP(size_bytes, (uint64_t)FRAME_SIZE));
}

// Pages from `from` on, those before `to`.
static void pages_drop(struct inode *inode, uint64_t from, uint64_t to)
{
	uint64_t index = from;

	while (mapping_next(&inode->mapping, index, &index) && index < to) {
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
		pages_drop(inode, inode_pages(inode), UINT64_MAX);
	return 0;
}

err_t cache_punch(struct inode *inode, uint64_t from_bytes, uint64_t to_bytes)
{
	uint64_t first = ALIGN_UP(from_bytes, (uint64_t)FRAME_SIZE), last = ALIGN_DOWN(to_bytes, (uint64_t)FRAME_SIZE);
	err_t err = 0;

	if (first > last) // within one page
		return piece_zero(inode, from_bytes, to_bytes);
	err = piece_zero(inode, from_bytes, first);
	if (err == 0)
		err = piece_zero(inode, last, to_bytes);
	if (err == 0)
		pages_drop(inode, first / FRAME_SIZE, last / FRAME_SIZE);
	return err;
}

void cache_lose(struct inode *inode)
{
	pages_drop(inode, 0, UINT64_MAX);
}

void cache_drop(struct inode *inode)
{
	struct page_cache *cache = cache_of(inode);

	if (cache == NULL)
		return;
	pages_drop(inode, 0, UINT64_MAX);
	VERIFY3(atomic_load_u32_acquire(&cache->dirty), ==, 0);
	VERIFY(!list_node_is_linked(&cache->link));
	mutex_fini(&cache->flush_lock);
	inode->mapping.cache = NULL;
	kfree(cache);
}
