// SPDX-License-Identifier: MIT
//
// The component: state, tunables, figures; cached inodes.
#include "cache_impl.h"

#include "kern/component.h"
#include "kern/tunable.h"

#define BACKGROUND_PERCENT 10u
#define DIRTY_PERCENT 20u
#define INTERVAL_MS 5000u
#define EXPIRE_MS 30000u
#define AHEAD_PAGES 32u

err_t cache_inode_init(struct inode *inode, const struct cache_ops *ops)
{
	struct page_cache *cache = kmalloc(sizeof *cache, MEM_ZERO);

	ASSERT(ops->cluster_pages <= CACHE_RANGE_MAX && IS_POWER_OF_2(ops->cluster_pages));
	if (cache == NULL)
		return ERR(ENOMEM);
	cache->ops = ops;
	cache->inode = inode;
	mutex_init(&cache->flush_lock, LOCK_RANK_FLUSH, "cache: flush");
	inode->mapping.cache = cache;
	return 0;
}

void cache_get_info(struct cache_info *info)
{
	struct cache_state *state = cache_state();

	spin_lock(&state->lru_lock);
	info->pages = state->lru_count;
	spin_unlock(&state->lru_lock);
	info->dirty = atomic_load_u32_relaxed(&state->dirty);
	info->writeback = atomic_load_u32_relaxed(&state->writeback);
	info->fills = atomic_load_u32_relaxed(&state->fills);
	info->flushes = atomic_load_u32_relaxed(&state->flushes);
	info->reclaimed = atomic_load_u32_relaxed(&state->reclaimed);
	info->ahead = atomic_load_u32_relaxed(&state->ahead);
	info->throttled = atomic_load_u32_relaxed(&state->throttled);
}

static err_t tags_check(struct inode *inode)
{
	struct page_cache *cache = cache_of(inode);
	uint32_t tagged = 0;
	uint64_t index = 0;

	while (mapping_next_tagged(&inode->mapping, index, &index)) {
		struct page *page = mapping_find(&inode->mapping, index);
		bool good = page != NULL && (page_flags(page) & PAGE_DIRTY);
		if (page != NULL)
			page_put(page);
		if (!good)
			return -EUCLEAN;
		tagged++;
		if (++index == 0)
			break;
	}
	return tagged == atomic_load_u32_acquire(&cache->dirty) ? mapping_check(&inode->mapping) : -EUCLEAN;
}

// Tags and counts of dirty pages agree. Call it when nobody writes to the file.
err_t cache_check(struct inode *inode)
{
	struct page_cache *cache = cache_of(inode);

	if (cache == NULL)
		return 0;
	mutex_lock(&cache->flush_lock);
	err_t err = tags_check(inode);
	mutex_unlock(&cache->flush_lock);
	return err;
}

// ---- tunables ------------------------------------------------------------------------------------------------------------

#define NUMBER(field)                                                                                                  \
	static uint64_t field##_get(void)                                                                              \
	{                                                                                                              \
		return atomic_load_u32_relaxed(&cache_state()->field);                                                 \
	}                                                                                                              \
	static err_t field##_set(uint64_t value)                                                                       \
	{                                                                                                              \
		atomic_store_u32_relaxed(&cache_state()->field, (uint32_t)value);                                      \
		return 0;                                                                                              \
	}

NUMBER(background_percent)
NUMBER(dirty_percent)
NUMBER(interval_ms)
NUMBER(expire_ms)
NUMBER(ahead_pages)

static const struct tunable tunables[] = {
	{"vm.dirty_background_percent", "share of memory that may be dirty before flushers begin", 0, 100,
	 background_percent_get, background_percent_set},
	{"vm.dirty_expire_ms", "how long a file may be dirty, in milliseconds", 0, 3600000, expire_ms_get,
	 expire_ms_set},
	{"vm.dirty_percent", "share of memory that may be dirty before writers wait", 1, 100, dirty_percent_get,
	 dirty_percent_set},
	{"vm.readahead_pages", "window of who reads on, in pages; 0: a cluster", 0, CACHE_RANGE_MAX, ahead_pages_get,
	 ahead_pages_set},
	{"vm.writeback_interval_ms", "how often flushers look, in milliseconds", 10, 3600000, interval_ms_get,
	 interval_ms_set},
	{NULL, NULL, 0, 0, NULL, NULL},
};

// ---- component -----------------------------------------------------------------------------------------------------------

static err_t cache_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	struct cache_state *state = kmalloc(sizeof *state, MEM_ZERO);

	(void)info;
	if (state == NULL)
		return ERR(ENOMEM);
	for (uint32_t i = 0; i < PAGE_WAITS; i++)
		waitq_init(&state->page_waits[i], "cache: a page");
	spin_init(&state->lru_lock, LOCK_RANK_PAGE_LRU, "cache: pages by use");
	spin_init(&state->list_lock, LOCK_RANK_FLUSHER_LIST, "cache: flushers");
	spin_init(&state->ahead_lock, LOCK_RANK_READ_AHEAD, "cache: read-ahead");
	mutex_init(&state->users_lock, LOCK_RANK_CACHE_USERS, "cache: users");
	list_init(&state->lru);
	list_init(&state->flushers);
	waitq_init(&state->ahead_wake, "cache: read-ahead waits");
	waitq_init(&state->ahead_idle, "cache: read-ahead drains");
	state->background_percent = BACKGROUND_PERCENT;
	state->dirty_percent = DIRTY_PERCENT;
	state->interval_ms = INTERVAL_MS;
	state->expire_ms = EXPIRE_MS;
	state->ahead_pages = AHEAD_PAGES;
	state->pressure = (struct pressure_callback){.name = "page cache", .order = 5, .shrink = cache_reclaim};
	kernel->page_cache = state;
	pressure_register(&state->pressure);
	return 0;
}

static void cache_stop(void)
{
	struct cache_state *state = cache_state();

	pressure_unregister(&state->pressure);
	VERIFY(list_is_empty(&state->flushers) && list_is_empty(&state->lru));
	VERIFY3(atomic_load_u32_relaxed(&state->dirty), ==, 0);
	mutex_fini(&state->users_lock);
	kernel_self()->page_cache = NULL;
	kfree(state);
}

const struct component component_page_cache = {
	.name = "page_cache", .stage = STAGE_SERVICES, .init = cache_init, .stop = cache_stop, .tunables = tunables};
