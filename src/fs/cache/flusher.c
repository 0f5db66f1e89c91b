// SPDX-License-Identifier: MIT
//
// The thread of a filesystem that flushes what has been dirty for long, or whatever is dirty when there is much of it, and the limits that
// writers keep to.
#include "cache_impl.h"

#include "kern/log.h"
#include "kern/timer.h"

#define FAILED_PAUSE_NS (50u * NS_PER_MS) // before a flush that failed is tried again
#define THROTTLE_NS (100u * NS_PER_MS)    // a writer looks again at least so often

uint32_t dirty_limit(uint32_t percent)
{
	struct frame_info info;
	frame_get_info(&info);
	return MAX((uint32_t)((uint64_t)info.total * percent / 100), CACHE_RANGE_MAX);
}

static bool over(uint32_t *percent)
{
	struct cache_state *state = cache_state();
	return atomic_load_u32_relaxed(&state->dirty) > dirty_limit(atomic_load_u32_relaxed(percent));
}

struct flusher *flusher_of(const struct superblock *sb)
{
	return sb->flusher;
}

static void wake(struct flusher *flusher, bool hurry)
{
	if (hurry)
		atomic_store_u32_release(&flusher->hurry, 1);
	waitq_wake_all(&flusher->wake);
}

void flusher_note_dirty(struct page_cache *cache)
{
	struct flusher *flusher = flusher_of(cache->inode->sb);

	spin_lock(&flusher->lock);
	if (!list_node_is_linked(&cache->link)) {
		inode_get(cache->inode);
		cache->dirtied_ns = clock_now_ns();
		list_push_back(&flusher->dirty, &cache->link);
	}
	spin_unlock(&flusher->lock);
}

// The inode that has been dirty longest, if that is long enough; it goes to the list's end. With a reference.
static struct page_cache *oldest_take(struct flusher *flusher, uint64_t dirtied_before_ns)
{
	spin_lock(&flusher->lock);
	struct page_cache *cache = list_first_entry(&flusher->dirty, struct page_cache, link);
	if (cache != NULL && cache->dirtied_ns > dirtied_before_ns)
		cache = NULL;
	if (cache != NULL) {
		inode_get(cache->inode);
		list_move_back(&flusher->dirty, &cache->link);
	}
	spin_unlock(&flusher->lock);
	return cache;
}

// Off the list, if nothing is dirty any more; else its time begins anew.
static void settle(struct flusher *flusher, struct page_cache *cache)
{
	bool gone = false;

	spin_lock(&flusher->lock);
	if (list_node_is_linked(&cache->link)) {
		gone = atomic_load_u32_acquire(&cache->dirty) == 0;
		cache->dirtied_ns = clock_now_ns();
		if (gone)
			list_remove(&cache->link);
	}
	spin_unlock(&flusher->lock);
	if (gone)
		inode_put(cache->inode);
}

void cache_orphan(struct inode *inode)
{
	struct page_cache *cache = cache_of(inode);
	struct flusher *flusher = flusher_of(inode->sb);
	bool gone = false;

	if (flusher == NULL)
		return;
	spin_lock(&flusher->lock);
	if (list_node_is_linked(&cache->link) && refcount_read(&inode->refs) == 2) {
		list_remove(&cache->link);
		gone = true; // the caller's reference and the list's, which is ours now; nobody else has any
	}
	spin_unlock(&flusher->lock);
	if (gone) {
		cache_lose(inode);
		inode_put(inode);
	}
}

static uint32_t list_size(struct flusher *flusher)
{
	struct page_cache *cache;
	uint32_t count = 0;

	spin_lock(&flusher->lock);
	list_for_each (cache, &flusher->dirty, link)
		count++;
	spin_unlock(&flusher->lock);
	return count;
}

// Each inode at most once. Errors: the first.
static err_t flush_before(struct flusher *flusher, uint64_t dirtied_before_ns)
{
	uint32_t left = list_size(flusher);
	struct page_cache *cache;
	err_t err = 0;

	while (left-- > 0 && (cache = oldest_take(flusher, dirtied_before_ns)) != NULL) {
		err_t one = flush_range(cache, 0, UINT64_MAX);
		err = err != 0 ? err : one;
		struct inode *inode = cache->inode;
		settle(flusher, cache);
		inode_put(inode);
	}
	return err;
}

err_t cache_flush_all(struct superblock *sb)
{
	return flush_before(flusher_of(sb), UINT64_MAX);
}

static bool is_wanted(struct flusher *flusher)
{
	return atomic_load_u32_acquire(&flusher->stop) != 0 || atomic_load_u32_acquire(&flusher->hurry) != 0;
}

static void flusher_main(void *arg)
{
	struct flusher *flusher = arg;
	struct cache_state *state = cache_state();
	uint64_t pause_ns = 0;

	while (atomic_load_u32_acquire(&flusher->stop) == 0) {
		uint64_t now_ns = clock_now_ns();
		uint64_t interval_ns = (uint64_t)atomic_load_u32_relaxed(&state->interval_ms) * NS_PER_MS;
		if (pause_ns != 0)
			(void)!waitq_wait_until(&flusher->wake, atomic_load_u32_acquire(&flusher->stop) != 0,
						now_ns + pause_ns);
		else
			(void)!waitq_wait_until(&flusher->wake, is_wanted(flusher), now_ns + interval_ns);
		bool hurry = atomic_xchg_u32_acq_rel(&flusher->hurry, 0) != 0;
		uint64_t expire_ns = (uint64_t)atomic_load_u32_relaxed(&state->expire_ms) * NS_PER_MS;
		now_ns = clock_now_ns();
		uint64_t before_ns = hurry || over(&state->background_percent) ? UINT64_MAX
				     : now_ns > expire_ns                      ? now_ns - expire_ns
									       : 0;
		pause_ns = before_ns != 0 && flush_before(flusher, before_ns) != 0 ? FAILED_PAUSE_NS : 0;
		atomic_fetch_add_u32_acq_rel(&flusher->rounds, 1);
		waitq_wake_all(&flusher->cleaned);
	}
}

// ---- limits --------------------------------------------------------------------------------------------------------------

err_t dirty_throttle(struct inode *inode)
{
	struct cache_state *state = cache_state();
	struct page_cache *cache = cache_of(inode);
	struct flusher *flusher = flusher_of(inode->sb);
	bool counted = false;

	if (!over(&state->background_percent))
		return 0;
	wake(flusher, true);
	while (over(&state->dirty_percent) && list_size(flusher) > 0) {
		if (atomic_load_u32_acquire(&cache->failing) != 0)
			return ERR(EIO); // what is dirty cannot be cleaned
		if (!counted)
			atomic_fetch_add_u32_relaxed(&state->throttled, 1);
		counted = true;
		uint32_t rounds = atomic_load_u32_acquire(&flusher->rounds);
		wake(flusher, true);
		(void)!waitq_wait_until(&flusher->cleaned, atomic_load_u32_acquire(&flusher->rounds) != rounds,
					clock_now_ns() + THROTTLE_NS);
	}
	return 0;
}

void flushers_wake(bool hurry)
{
	struct cache_state *state = cache_state();
	struct flusher *flusher;

	spin_lock(&state->list_lock);
	list_for_each (flusher, &state->flushers, link)
		wake(flusher, hurry);
	spin_unlock(&state->list_lock);
}

// ---- beginning and end ---------------------------------------------------------------------------------------------------

err_t cache_attach(struct superblock *sb)
{
	struct cache_state *state = cache_state();
	struct thread_params params = {.name = "flusher", .klass = CLASS_FAIR, .flags = THREAD_FLAG_KERNEL_SERVICE};
	struct flusher *flusher = kmalloc(sizeof *flusher, MEM_ZERO);

	if (flusher == NULL)
		return ERR(ENOMEM);
	flusher->sb = sb;
	spin_init(&flusher->lock, LOCK_RANK_FLUSHER, "cache: flusher");
	list_init(&flusher->dirty);
	waitq_init(&flusher->wake, "cache: flusher waits");
	waitq_init(&flusher->cleaned, "cache: writers wait");
	err_t err = ahead_start(state);
	if (err == 0) {
		err = thread_start(&params, flusher_main, flusher, &flusher->thread);
		if (err != 0)
			ahead_stop(state);
	}
	if (err != 0) {
		kfree(flusher);
		return err;
	}
	sb->flusher = flusher;
	spin_lock(&state->list_lock);
	list_push_back(&state->flushers, &flusher->link);
	spin_unlock(&state->list_lock);
	return 0;
}

// What could not be flushed is lost now; the list's references go with it.
static void leftovers_drop(struct flusher *flusher)
{
	struct page_cache *cache;

	while ((cache = oldest_take(flusher, UINT64_MAX)) != NULL) {
		struct inode *inode = cache->inode;
		uint32_t dirty = atomic_load_u32_acquire(&cache->dirty);
		if (dirty > 0)
			log_err("cache: inode %llu of device %u: %u pages are lost: %pe",
				(unsigned long long)inode->ino, inode->sb->dev, dirty, ERR_PTR(cache->error));
		cache_lose(inode);
		settle(flusher, cache);
		inode_put(inode);
	}
}

void cache_detach(struct superblock *sb)
{
	struct cache_state *state = cache_state();
	struct flusher *flusher = flusher_of(sb);

	spin_lock(&state->list_lock);
	list_remove(&flusher->link);
	spin_unlock(&state->list_lock);
	ahead_drain(state);
	atomic_store_u32_release(&flusher->stop, 1);
	waitq_wake_all(&flusher->wake);
	err_t err = thread_join(flusher->thread, NULL);
	VERIFY(err == 0);
	leftovers_drop(flusher);
	ahead_stop(state);
	sb->flusher = NULL;
	kfree(flusher);
}
