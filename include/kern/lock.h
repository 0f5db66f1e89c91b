// SPDX-License-Identifier: MIT
//
// Spinlocks. Holding one disables preemption; a lock that an interrupt takes too must be taken by the _irqsave form
// everywhere, and the checker proves it. Contention goes through hal_spin_wait(), because a hosted peer may not be running.
//
// Order is by kern/lock_rank.h. With CONFIG_LOCKCHECK each acquisition is verified: rank, recursion, sleep-under-spin,
// irq-safety, unlock by another; a report names both locks, both holders and where each was taken.
#ifndef KERN_LOCK_H
#define KERN_LOCK_H

#include "kern/lock_rank.h"
#include "kern/preempt.h"

// The part of every lock the checker knows.
struct lock_class {
	const char *name;      // static string
	uint32_t rank;         // enum lock_rank
	uint32_t irq_use;      // atomic: bits LOCK_USED_IN_IRQ, LOCK_USED_UNMASKED
	struct thread *owner;  // checker's and diagnostics'; NULL when free
	uintptr_t owner_where; // kernel text offset of the acquisition
};

struct spinlock {
	uint32_t word; // 0 free, 1 held, 2 held with waiters
#if CONFIG_LOCKCHECK
	struct lock_class check;
#endif
};

// Makes a free lock. `name` must outlive it. Any context.
void spin_init(struct spinlock *lock, enum lock_rank rank, const char *name);

// Any context that respects the rules above; returns with preemption off. Unlock by the same thread.
void spin_lock(struct spinlock *lock);
void spin_unlock(struct spinlock *lock);
bool spin_trylock(struct spinlock *lock) must_check;

// The same with interrupts masked; `was` comes from the matching lock call.
bool spin_lock_irqsave(struct spinlock *lock) must_check;
void spin_unlock_irqrestore(struct spinlock *lock, bool was);

// A second lock of the same rank, the caller having ordered the two by a stable key (CPU index, inode number).
void spin_lock_nested(struct spinlock *lock);

// Whether the running thread holds it; without CONFIG_LOCKCHECK, whether anybody does. For assertions.
bool spin_held(const struct spinlock *lock);

#define LOCK_HELD(lock) ASSERT(spin_held(lock))

#endif
