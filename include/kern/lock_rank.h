// SPDX-License-Identifier: MIT
//
// Every lock's place in the one order of acquisition: a thread may only take a lock of a higher rank than all it holds
// (equal ranks where the class says "ordered by address-free key" and the caller uses the _nested form). Sleeping locks
// come first, because a spinlock may be taken under a mutex and never the other way round.
#ifndef KERN_LOCK_RANK_H
#define KERN_LOCK_RANK_H

enum lock_rank {
	LOCK_RANK_NONE, // unranked: tests only; the checker still sees order inversions between two instances

	// Sleeping locks.
	LOCK_RANK_BOOT,
	LOCK_RANK_MONITOR,
	LOCK_RANK_APP,    // an application of a small machine: one request at a time
	LOCK_RANK_SCREEN, // its display
	LOCK_RANK_DRILL,  // the monitor's drill
	LOCK_RANK_DRILL_INNER,
	LOCK_RANK_TEST_OUTER,
	LOCK_RANK_TEST_MIDDLE,
	LOCK_RANK_TEST_INNER,
	LOCK_RANK_FILE_POS,     // an open file's position
	LOCK_RANK_TERMINALS,    // virtual consoles: which there are
	LOCK_RANK_MOUNTS,       // mount trees
	LOCK_RANK_RENAME,       // renames between directories of a filesystem
	LOCK_RANK_INODE,        // nested: parents first, then by number
	LOCK_RANK_FS_VOLUMES,   // a filesystem's volumes: which are in use
	LOCK_RANK_FS_EPOCH,     // a filesystem's operations, and who excludes them
	LOCK_RANK_FLUSH,        // page cache: one flush of an inode at a time
	LOCK_RANK_CACHE_USERS,  // page cache: who has a flusher
	LOCK_RANK_FS_TREE,      // a filesystem's trees: of a part of it,
	LOCK_RANK_FS_TREE_REFS, // of what parts share,
	LOCK_RANK_FS_TREE_ROOT, // of the whole
	LOCK_RANK_FS_SPACE,
	LOCK_RANK_BLOCK_EDGE,   // a block device: blocks that are written in part
	LOCK_RANK_BLOCK_LIST,   // block devices: which there are, and who uses them
	LOCK_RANK_BLOCK_DRIVER, // what a driver sleeps on when it begins a command
	LOCK_RANK_PRESSURE,     // mem: list of pressure callbacks; anybody who allocates may come to it
	LOCK_RANK_CACHE_LIST,   // slab: list of caches
	LOCK_RANK_TTY,          // a terminal; who prints may hold any of those above
	LOCK_RANK_VC,           // virtual consoles: what is on the screen
	LOCK_RANK_SLEEPING_LAST,

	// Spinlocks that no interrupt takes. They are held unmasked, so they come before all that interrupts take: an interrupt may
	// land on the holder.
	LOCK_RANK_SPIN_TEST_OUTER,
	LOCK_RANK_SPIN_TEST_INNER,
	LOCK_RANK_PROCESS_LIST,
	LOCK_RANK_PROCESS,
	LOCK_RANK_DESCRIPTORS,
	LOCK_RANK_FILE_LOCK_LIST,
	LOCK_RANK_FILE_LOCKS,
	LOCK_RANK_VFS_LIST,
	LOCK_RANK_RENAME_WRITER,
	LOCK_RANK_DENTRY,
	LOCK_RANK_DENTRY_LRU,
	LOCK_RANK_MOUNT,
	LOCK_RANK_FS, // a filesystem's own
	LOCK_RANK_INODE_ATTR,
	LOCK_RANK_FS_INODES, // a filesystem's inodes by number, and which of them are dirty
	LOCK_RANK_FLUSHER_LIST,
	LOCK_RANK_FLUSHER,
	LOCK_RANK_MAPPING,
	LOCK_RANK_PAGE_LRU,
	LOCK_RANK_READ_AHEAD,
	LOCK_RANK_SLAB_DEPOT,
	LOCK_RANK_SLAB,
	LOCK_RANK_FRAME_CPU,
	LOCK_RANK_FRAME,
	LOCK_RANK_ACCOUNT,
	LOCK_RANK_FAULT, // failure injection: allocators ask under any lock of theirs
	LOCK_RANK_THREAD_LIST,
	LOCK_RANK_PI, // mutex inheritance chains

	// Spinlocks that interrupts take too: masked everywhere.
	LOCK_RANK_SPIN_TEST_IRQ,
	LOCK_RANK_CONSOLE_PULL,
	LOCK_RANK_BLOCK_QUEUE,
	LOCK_RANK_WAITQ, // wait queues and the inner lock of sleeping locks
	LOCK_RANK_TIMER,
	LOCK_RANK_RUNQ,
	LOCK_RANK_LAST
};

#endif
