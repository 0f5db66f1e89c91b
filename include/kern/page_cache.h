// SPDX-License-Identifier: MIT
//
// The page cache, for filesystems whose files lie somewhere else: pages of a file are filled when they are read, dirtied when they are
// written, flushed by a thread of the filesystem's or by fsync, and dropped when memory runs short. The page in
// src/fs/cache/cache_impl.h tells how. Filesystems whose files are their pages (tmpfs) use mappings alone.
#ifndef KERN_PAGE_CACHE_H
#define KERN_PAGE_CACHE_H

#include "kern/fs.h"

enum page_flags {
	PAGE_LOCKED = 1u << 0,    // one thread's: contents, flags and page->mapping do not change under it
	PAGE_UPTODATE = 1u << 1,  // filled, or written whole
	PAGE_DIRTY = 1u << 2,     // differs from what lies beneath
	PAGE_WRITEBACK = 1u << 3, // is being flushed: contents stay as they are
	PAGE_USED = 1u << 4,      // since reclaim looked
	PAGE_AHEAD = 1u << 5,     // whoever comes here wants the next window
	PAGE_LISTED = 1u << 6,    // on the list by use; changes under the page's lock
	PAGE_CHANGED = 1u << 7    // under writeback: it was dirty; others of its cluster were not
};

#define CACHE_RANGE_MAX 256u // pages of one fill or flush

// What a filesystem does for the cache. Called in thread context with the pages locked (fill) or under writeback (flush), no spinlock held;
// inode->lock may be held by the caller, or not: they may not take it. Both sleep as they like. `pages` are page->index first, first + 1, …;
// frames are written and read through page->frame.
struct cache_ops {
	uint32_t
		cluster_pages; // power of two ≤ CACHE_RANGE_MAX: ranges begin and end at multiples of it where the file does

	// Fills pages, every byte: what they hold is anything, and none is up to date. What lies beyond the file's end is zeroed. An error is the reader's; the pages stay unfilled.
	err_t (*fill)(struct inode *inode, uint64_t first, struct page **pages, uint32_t count);

	// Makes pages durable as fsync understands it. NULL among them, where a cluster is larger than a page: that page is not in the cache and has
	// not changed. An error is kept and told to every fsync (below); the pages stay dirty and are tried again.
	err_t (*flush)(struct inode *inode, uint64_t first, struct page **pages, uint32_t count);

	// Before pages that lie nowhere yet are dirtied: sees to it that flush() will find room. NULL: it always does. -ENOSPC, -EDQUOT, -EIO.
	err_t (*reserve)(struct inode *inode, uint64_t first, uint32_t count);

	// Around each slice of a write, up to 1 MiB and its new size and times: an operation that is whole or not at all. inode->lock is held. NULL both.
	err_t (*begin)(struct inode *inode);
	void (*end)(struct inode *inode);

	// That many pages that were reserved are dirty no more: flushed, or lost. Page locks may be held. NULL.
	void (*release)(struct inode *inode, uint32_t count);
};

// Starts the cache of a filesystem: its flusher, a thread. In mount(), before its first cached inode. The VFS ends it, when the last user of the
// filesystem has gone: sync() first, then cache_detach(), then the inodes; what cannot be flushed is lost, and said in the log. A mount()
// that fails later ends it itself. Thread context. Errors: -ENOMEM, -EAGAIN.
err_t cache_attach(struct superblock *sb) must_check;
void cache_detach(struct superblock *sb);

// An inode's pages become cached ones; before anybody reads it. cache_drop() is their end: called by destroy(), with no other user left.
// Errors: -ENOMEM.
err_t cache_inode_init(struct inode *inode, const struct cache_ops *ops) must_check;
void cache_drop(struct inode *inode);

// file_ops.read, write, sync of cached files, and the whole of inode_ops.resize but what the filesystem itself records: pages beyond the
// end go, the rest of the last one is zeroed. inode->lock: taken by write, held by the caller of resize.
err_t cache_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes) must_check;
err_t cache_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes) must_check;
err_t cache_sync(struct file *file) must_check;
err_t cache_resize(struct inode *inode, uint64_t size_bytes) must_check;

// What is between reads as zeroes: whole pages go, pieces of others are zeroed; the filesystem sees to what lies beneath. inode->lock held.
err_t cache_punch(struct inode *inode, uint64_t from_bytes, uint64_t to_bytes) must_check;

// An inode without names that has no user but the caller and the flusher loses its pages, which nobody will ever read. For inode_put().
void cache_orphan(struct inode *inode);

// What an open file begins with in error_seen. Any context.
uint32_t cache_error_sample(const struct inode *inode);

// Flushes all that is dirty now, in [first, last], of an inode or of a filesystem; waits for it. Thread context. Errors: the first of flush().
err_t cache_flush(struct inode *inode, uint64_t first, uint64_t last) must_check;
err_t cache_flush_all(struct superblock *sb) must_check;

// A page of a cached file, filled, with a reference: for mmap and for filesystems' own use. Thread context. Errors: those of fill, -ENOMEM,
// -ENXIO (beyond the end). cache_page_dirty(): after contents changed under the page's lock.
err_t cache_page_get(struct inode *inode, uint64_t index, struct page **out) must_check;
void page_lock(struct page *page);
void page_unlock(struct page *page);
void cache_page_dirty(struct page *page); // page locked and not under writeback: page_wait_writeback() first
void page_wait_writeback(struct page *page);

struct cache_info {
	uint32_t pages, dirty, writeback;          // of cached files
	uint32_t fills, flushes, reclaimed, ahead; // pages, since boot; wrap
	uint32_t throttled;                        // writers that had to wait
};
void cache_get_info(struct cache_info *info); // any thread context
err_t cache_check(struct inode *inode) must_check;

#endif
