// SPDX-License-Identifier: MIT
//
// Pages back to the frame allocator when memory runs short: second chance over the list by use. Spinlocks and tries only: the caller may
// hold whatever somebody holds who allocates.
#include "cache_impl.h"

#define BATCH 32u // pages given back at least, once it is at it

// The page used longest ago, with a reference; it goes to the list's end.
static struct page *victim_take(struct cache_state *state)
{
	struct page *found = NULL;

	spin_lock(&state->lru_lock);
	struct page *page = list_first_entry(&state->lru, struct page, lru);
	if (page != NULL) {
		list_move_back(&state->lru, &page->lru);
		if (refcount_get_unless_zero(&page->refs))
			found = page;
	}
	spin_unlock(&state->lru_lock);
	return found;
}

// Whether the frame goes: the mapping's reference and ours are the only ones.
static bool victim_drop(struct page *page)
{
	const uint32_t busy = PAGE_DIRTY | PAGE_WRITEBACK;
	bool gone = false;

	if (page_flags(page) & PAGE_USED) {
		page_clear(page, PAGE_USED);
		return false;
	}
	if ((page_flags(page) & busy) != 0 || !page_trylock(page))
		return false;
	if (page->mapping != NULL && (page_flags(page) & busy) == 0 && refcount_read(&page->refs) == 2) {
		page_detach(page);
		gone = true;
	}
	page_unlock(page);
	return gone;
}

uint32_t cache_reclaim(struct pressure_callback *callback, uint32_t wanted_frames)
{
	struct cache_state *state = container_of(callback, struct cache_state, pressure);
	uint32_t given = 0;

	wanted_frames = MAX(wanted_frames, BATCH);
	spin_lock(&state->lru_lock);
	uint32_t scan = 2 * state->lru_count; // all have been used, at worst
	spin_unlock(&state->lru_lock);
	while (scan-- > 0 && given < wanted_frames) {
		struct page *page = victim_take(state);
		if (page == NULL)
			break;
		given += victim_drop(page);
		page_put(page);
	}
	atomic_fetch_add_u32_relaxed(&state->reclaimed, given);
	if (given < wanted_frames && atomic_load_u32_relaxed(&state->dirty) > 0)
		flushers_wake(true);
	return given;
}
