// SPDX-License-Identifier: MIT
//
// The page cache.
//
// Purpose. A cached inode's mapping holds pages of a file whose contents lie beneath (a disk, a server). They come by fill, in ranges that
// grow while somebody reads on (read-ahead), and go back by flush, in ranges, when they have been dirty for long, when there are many of
// them, or when somebody waits (fsync, sync, a writer who dirties faster than the flusher can clean).
//
// Files
//   cache.c      state, the component, tunables, inodes · page.c locks and flags of pages, the LRU
//   read.c       reading, filling, read-ahead · write.c writing, sizes
//   flush.c      ranges of dirty pages, errors · flusher.c the thread of a filesystem, dirty limits · reclaim.c
//
// A page's life. Added unfilled ─fill→ up to date ─write→ dirty ─flush begins→ dirty no more, under writeback ─flush ends→ clean, or, if that
// failed, dirty again ─reclaim, truncation, the inode's end→ out of the mapping; whoever has a reference goes on with a page that
// belongs to nobody (page->mapping NULL).
//
// Rules. Contents change only under the page's lock, and not under writeback (stable pages). A page leaves the mapping only locked, clean or
// doomed, never under writeback. Dirty pages carry a tag in the mapping's tree; `dirty` counts them. An inode with dirty pages is on its
// flusher's list, which holds a reference. One flush per inode at a time (flush_lock), so who has that lock knows that nothing is under
// writeback but its own. Pages are locked in ascending order, of one inode at a time; reclaim only tries.
//
// Errors. A flush that fails leaves its pages dirty, to be tried again, and raises error_seq; each open file compares it with what it has
// seen, so every fsync tells of every failure once, also when a later try went well; one that nobody has heard of is told to who
// opens next. While the last try failed, writers beyond the dirty limit get the error instead of waiting for ever.
//
// Reclaim drops clean pages that were not used since it last looked and wakes flushers; it never calls a filesystem, takes spinlocks only
// and tries page locks, so that it may run under any lock of somebody who allocates.
//
// Locks, in order: inode->lock; flush_lock; page locks, ascending; then spinlocks, none held while another is taken but list_lock before a wait
// queue's.
#ifndef CACHE_IMPL_H
#define CACHE_IMPL_H

#include "kern/page_cache.h"

#include "kern/math.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/waitq.h"

#define PAGE_WAITS 64u
#define AHEAD_QUEUE 16u
#define CLUSTER_MASK(ops) ((uint64_t)(ops)->cluster_pages - 1)

// What an inode has when its pages are cached ones.
struct page_cache {
	const struct cache_ops *ops;
	struct inode *inode;
	struct mutex flush_lock;
	uint32_t dirty;        // atomic: pages
	uint32_t error_seq;    // atomic
	err_t error;           // of the last flush that failed; flush_lock
	uint32_t unseen;       // atomic: nobody has been told of it
	uint32_t failing;      // atomic: the last try failed
	struct list_node link; // flusher->dirty; flusher->lock
	uint64_t dirtied_ns;   // when it came onto the list; flusher->lock
};

// The flusher of one filesystem.
struct flusher {
	struct superblock *sb;
	struct thread *thread;
	struct spinlock lock;
	struct list dirty; // struct page_cache, longest first
	struct waitq wake, cleaned;
	uint32_t stop, hurry;  // atomic; hurry: flush whatever is dirty
	uint32_t rounds;       // atomic: of the thread, for who waits
	struct list_node link; // state->flushers, under its list_lock
};

struct ahead_request {
	struct inode *inode; // counted
	uint64_t first;
	uint32_t count;
};

struct cache_state {
	struct waitq page_waits[PAGE_WAITS];
	struct spinlock lru_lock;
	struct list lru; // pages, used longest ago first
	uint32_t lru_count;
	struct spinlock list_lock;
	struct list flushers;
	struct pressure_callback pressure;
	uint32_t dirty, writeback;                                                       // atomic
	uint32_t fills, flushes, reclaimed, ahead, throttled;                            // atomic
	uint32_t background_percent, dirty_percent, interval_ms, expire_ms, ahead_pages; // atomic: tunables
	// Read-ahead: one thread while there is any flusher.
	struct mutex users_lock; // starting and ending it
	struct thread *ahead_thread;
	struct waitq ahead_wake, ahead_idle;
	struct spinlock ahead_lock;
	struct ahead_request ahead_requests[AHEAD_QUEUE]; // ahead_lock, as the four below
	uint32_t ahead_first, ahead_count, ahead_busy;
	uint32_t ahead_users; // users_lock
	uint32_t ahead_stop;  // atomic
};

static inline struct cache_state *cache_state(void)
{
	return kernel_self()->page_cache;
}

static inline struct page_cache *cache_of(const struct inode *inode)
{
	return inode->mapping.cache;
}

static inline uint32_t page_flags(const struct page *page)
{
	return atomic_load_u32_acquire(&page->flags);
}

static inline uint64_t inode_pages(const struct inode *inode)
{
	return (inode_size(inode) + FRAME_SIZE - 1) / FRAME_SIZE;
}

// page.c
bool page_trylock(struct page *page) must_check;
void page_set(struct page *page, uint32_t flags);
void page_clear(struct page *page, uint32_t flags); // wakes who waits for PAGE_LOCKED or PAGE_WRITEBACK to go
void lru_add(struct page *page);                    // page locked, as for the next one
void lru_remove(struct page *page);
void page_dirty_set(struct page *page);
bool page_dirty_unset(struct page *page); // whether it was
void page_detach(struct page *page);      // locked, not under writeback: out of its mapping; a dirty one is lost

// read.c: fills what is missing in [first, first + count); NULL `ahead`: marks none for read-ahead.
err_t cache_fill(struct inode *inode, uint64_t first, uint32_t count, uint64_t ahead_at) must_check;
#define NO_AHEAD UINT64_MAX
err_t ahead_start(struct cache_state *state) must_check; // one more user of the thread
void ahead_stop(struct cache_state *state);
void ahead_drain(struct cache_state *state); // returns when nothing is queued or running

// write.c: all pages go, dirty ones too.
void cache_lose(struct inode *inode);

// flush.c
err_t flush_range(struct page_cache *cache, uint64_t first, uint64_t last) must_check; // takes flush_lock

// flusher.c
void flusher_note_dirty(struct page_cache *cache);    // its first dirty page
err_t dirty_throttle(struct inode *inode) must_check; // sleeps; no lock held but the inode's
void flushers_wake(bool hurry);
uint32_t dirty_limit(uint32_t percent);
struct flusher *flusher_of(const struct superblock *sb);

// reclaim.c
uint32_t cache_reclaim(struct pressure_callback *callback, uint32_t wanted_frames);

#endif
