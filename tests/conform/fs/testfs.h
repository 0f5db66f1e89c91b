// SPDX-License-Identifier: MIT
//
// A filesystem for tests of the page cache: names and attributes are a tmpfs's, contents go through the cache to a store in memory that takes
// its time and fails when it is told to.
#ifndef TESTFS_H
#define TESTFS_H

#include "../../../src/fs/cache/cache_impl.h"
#include "../../../src/fs/tmpfs/tmpfs_impl.h"
#include "kern/test.h"
#include "kern/vfs.h"

// What may be changed while it works; atomics.
struct testfs_knobs {
	uint32_t fill_delay_ns, flush_delay_ns;
	uint32_t fill_fails, flush_fails; // that many from now on; UINT32_MAX: all
	uint32_t reserve_fails;
	uint32_t fills, flushes, flushed_pages; // counted
	uint32_t broken;                        // what the cache must not do, seen
};

err_t testfs_register(void) must_check;
void testfs_unregister(void);
struct testfs_knobs *testfs_knobs_of(struct superblock *sb);
struct superblock *testfs_sb(const char *path); // of the mount at `path`; not counted

// A mount at /c for one body; its end checks that nothing stays and that the cache kept its promises.
struct stage {
	struct test_run *run;
	struct superblock *sb;
	struct testfs_knobs *knobs;
};
bool stage_begin(struct stage *stage, TEST_RUN, const char *options) must_check;
void stage_end(struct stage *stage);

int32_t stage_open(TEST_RUN, const char *path);            // to read and write, made if it is not there
struct inode *stage_inode(int32_t fd);                     // of an open file; not counted
void stage_evict(void);                                    // everything clean goes
uint32_t tunable_change(const char *name, uint64_t value); // returns what it was

// Bytes of the store, past the cache; false: they are not there (a hole).
bool testfs_stored(struct inode *inode, uint64_t index, uint8_t *bytes);

#endif
