// SPDX-License-Identifier: MIT
//
// Locks on files: what lock_list.c (what is held, changes of it) and lock.c (waiting, the calls) share. A file that has ever been locked has a
// list of what is held, by where it begins.
#ifndef LOCK_IMPL_H
#define LOCK_IMPL_H

#include "vfs_impl.h"

#include "kern/math.h"
#include "kern/waitq.h"

#define LOCKS_MAX 65536u // on one file

enum lock_kind {
	KIND_FLOCK,
	KIND_POSIX,
	KIND_OFD
};

struct held {
	struct list_node link;
	const void *owner; // struct process of KIND_POSIX, else struct file
	uint32_t kind;     // enum lock_kind
	uint32_t process;  // its number; 0: an open file's
	bool write;
	uint64_t start, end; // inclusive
};

struct file_locks {
	struct spinlock lock;
	struct list held; // struct held, by start; under lock
	uint32_t count;
	struct waitq waiters;
	struct list_node link; // vfs->file_locks
	struct inode *inode;   // whose it is; not counted
};

// Nodes brought along for one change; what is left, and what the change made superfluous, is freed at the end.
struct supply {
	struct list free;
};

err_t locks_get(struct inode *inode, struct file_locks **out) must_check; // makes them. -ENOMEM
bool same_owner(const struct held *a, const struct held *b);
struct held *conflict_locked(struct file_locks *locks, const struct held *wanted); // the first that it must wait for
err_t supply_fill(struct supply *supply) must_check;                               // -ENOMEM
void supply_free(struct supply *supply);
void remove_locked(struct file_locks *locks, struct held *held, struct list *gone);

// The owner has `wanted`, or nothing in its range, from here on.
void change_locked(struct file_locks *locks, const struct held *wanted, bool set, struct supply *supply);

#endif
