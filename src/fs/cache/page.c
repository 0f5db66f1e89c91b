// SPDX-License-Identifier: MIT
//
// Pages: their lock, their flags, the list by use. Waiters for any page of a residue class share a queue, and look again.
#include "cache_impl.h"

static struct waitq *waits_of(const struct page *page)
{
	return &cache_state()->page_waits[page->index % PAGE_WAITS];
}

void page_set(struct page *page, uint32_t flags)
{
	atomic_fetch_or_u32_acq_rel(&page->flags, flags);
}

void page_clear(struct page *page, uint32_t flags)
{
	atomic_fetch_and_u32_acq_rel(&page->flags, ~flags);
	if (flags & (PAGE_LOCKED | PAGE_WRITEBACK))
		waitq_wake_all(waits_of(page));
}

bool page_trylock(struct page *page)
{
	return (atomic_fetch_or_u32_acq_rel(&page->flags, PAGE_LOCKED) & PAGE_LOCKED) == 0;
}

static void wait_for(struct page *page, uint32_t flag)
{
	err_t err = waitq_wait_until(waits_of(page), (page_flags(page) & flag) == 0, TB_FOREVER);
	VERIFY(err == 0);
}

void page_lock(struct page *page)
{
	while (!page_trylock(page))
		wait_for(page, PAGE_LOCKED);
}

void page_unlock(struct page *page)
{
	page_clear(page, PAGE_LOCKED);
}

void page_wait_writeback(struct page *page)
{
	while (page_flags(page) & PAGE_WRITEBACK)
		wait_for(page, PAGE_WRITEBACK);
}

// Whoever locks a new page first puts it on the list, if it is still its mapping's: nobody can take it off in between.
void lru_add(struct page *page)
{
	struct cache_state *state = cache_state();

	if (page->mapping == NULL || (page_flags(page) & PAGE_LISTED))
		return;
	page_set(page, PAGE_LISTED | PAGE_USED); // or it would go before the older ones that somebody has used
	spin_lock(&state->lru_lock);
	list_push_back(&state->lru, &page->lru);
	state->lru_count++;
	spin_unlock(&state->lru_lock);
}

void lru_remove(struct page *page)
{
	struct cache_state *state = cache_state();

	if ((page_flags(page) & PAGE_LISTED) == 0)
		return;
	page_clear(page, PAGE_LISTED);
	spin_lock(&state->lru_lock);
	list_remove(&page->lru);
	state->lru_count--;
	spin_unlock(&state->lru_lock);
}

// ---- dirt ----------------------------------------------------------------------------------------------------------------

void page_dirty_set(struct page *page)
{
	struct page_cache *cache = page->mapping->cache;

	if (atomic_fetch_or_u32_acq_rel(&page->flags, PAGE_DIRTY) & PAGE_DIRTY)
		return;
	mapping_tag(page->mapping, page->index, true);
	atomic_fetch_add_u32_relaxed(&cache_state()->dirty, 1);
	if (atomic_fetch_add_u32_acq_rel(&cache->dirty, 1) == 0)
		flusher_note_dirty(cache);
}

bool page_dirty_unset(struct page *page)
{
	struct page_cache *cache = page->mapping->cache;

	if ((atomic_fetch_and_u32_acq_rel(&page->flags, ~(uint32_t)PAGE_DIRTY) & PAGE_DIRTY) == 0)
		return false;
	mapping_tag(page->mapping, page->index, false);
	atomic_fetch_sub_u32_relaxed(&cache_state()->dirty, 1);
	atomic_fetch_sub_u32_acq_rel(&cache->dirty, 1);
	return true;
}

void cache_page_dirty(struct page *page)
{
	ASSERT((page_flags(page) & (PAGE_LOCKED | PAGE_WRITEBACK)) == PAGE_LOCKED);
	page_set(page, PAGE_UPTODATE | PAGE_USED);
	page_dirty_set(page);
}

void page_detach(struct page *page)
{
	struct mapping *mapping = page->mapping;

	ASSERT((page_flags(page) & (PAGE_LOCKED | PAGE_WRITEBACK)) == PAGE_LOCKED);
	if (mapping == NULL)
		return;
	if (page_dirty_unset(page) && mapping->cache->ops->release != NULL)
		mapping->cache->ops->release(mapping->cache->inode, 1);
	mapping_take(mapping, page);
	atomic_store_ptr_release(&page->mapping, (struct mapping *)NULL);
	lru_remove(page);
	page_put(page);
}
