// SPDX-License-Identifier: MIT
//
// Spinlocks. Holding one disables preemption; a lock that an interrupt takes too must be taken by the _irqsave form
// everywhere, and the checker proves it. Unfair on purpose: contention goes through hal_spin_wait(), because a hosted peer
// may not be running (Dice and others). Taking a free lock is one compare-exchange, releasing it one store.
//
// Order is by kern/lock_rank.h. With CONFIG_LOCKCHECK each acquisition is verified (kern/lockcheck.h) and the names below are
// macros that pass their file and line; without it the fast paths are inline. Schedule points: before a lock is taken and
// after it is released.
#ifndef KERN_LOCK_H
#define KERN_LOCK_H

#include "kern/assert.h"
#include "kern/atomic.h"
#include "kern/lock_rank.h"
#include "kern/lockcheck.h"
#include "kern/preempt.h"

struct spinlock {
	uint32_t word; // atomic: 0 free, 1 held, 2 held and somebody may wait
#if CONFIG_LOCKCHECK
	struct lock_class check;
#endif
};

// Makes a free lock. `name` must outlive it. Any context.
void spin_init(struct spinlock *lock, enum lock_rank rank, const char *name);

// The forms, in terms of the interface that both builds share:
//
//   void spin_lock(lock)                any context that respects the rules above; returns with preemption off
//   void spin_unlock(lock)              by the thread that took it
//   bool spin_trylock(lock)             false: somebody holds it, nothing has changed
//   bool spin_lock_irqsave(lock)        the same as spin_lock() with interrupts masked; returns what the unlock needs
//   void spin_unlock_irqrestore(lock, was)
//   void spin_lock_nested(lock)         a second lock of equal rank; the caller orders the two by a stable key (CPU index)
//   bool spin_held(lock)                whether the running thread holds it; without CONFIG_LOCKCHECK, whether anybody does
#define LOCK_HELD(lock) ASSERT(spin_held(lock))

// Behind the inline forms (core/sync/spin.c). spin_lock_slow(): takes a lock that was found held, preemption off.
void spin_lock_slow(struct spinlock *lock);

static force_inline void spin_acquire(struct spinlock *lock)
{
#if CONFIG_MAX_CPUS == 1
	ASSERT3(lock->word, ==, 0);
	atomic_store_u32_relaxed_nopoint(&lock->word, 1);
	barrier();
#else
	uint32_t found = 0;
	if (unlikely(!atomic_cmpxchg_u32_acquire_nopoint(&lock->word, &found, 1)))
		spin_lock_slow(lock);
#endif
}

static force_inline bool spin_try_acquire(struct spinlock *lock)
{
	uint32_t found = 0;
	return atomic_cmpxchg_u32_acquire_nopoint(&lock->word, &found, 1);
}

void spin_wake_slow(const uint32_t *word);

// The store that frees the lock is the last access to it: its memory may be gone right after. A waiter that sets 2 between the
// look and the store is not woken; since the word is then not what it waits for, and hal_spin_wait() is bounded, it comes back
// by itself. That saves the exchange, half the price of a free lock.
static force_inline void spin_release(struct spinlock *lock)
{
	bool wake = CONFIG_HAL_HOSTED && atomic_load_u32_relaxed_nopoint(&lock->word) == 2; // real CPUs poll
	atomic_store_u32_release_nopoint(&lock->word, 0);
	if (unlikely(wake))
		spin_wake_slow(&lock->word);
}

#if CONFIG_LOCKCHECK

void spin_lock_at(struct spinlock *lock, enum lock_mode mode, const char *where);
void spin_unlock_at(struct spinlock *lock, const char *where);
bool spin_trylock_at(struct spinlock *lock, const char *where) must_check;
bool spin_lock_irqsave_at(struct spinlock *lock, const char *where) must_check;
void spin_unlock_irqrestore_at(struct spinlock *lock, bool was, const char *where);
bool spin_held(const struct spinlock *lock);

#define spin_lock(lock) spin_lock_at((lock), LOCK_MODE_PLAIN, LOCK_HERE)
#define spin_unlock(lock) spin_unlock_at((lock), LOCK_HERE)
#define spin_trylock(lock) spin_trylock_at((lock), LOCK_HERE)
#define spin_lock_irqsave(lock) spin_lock_irqsave_at((lock), LOCK_HERE)
#define spin_unlock_irqrestore(lock, was) spin_unlock_irqrestore_at((lock), (was), LOCK_HERE)
#define spin_lock_nested(lock) spin_lock_at((lock), LOCK_MODE_NESTED, LOCK_HERE)

#else

static inline void spin_lock(struct spinlock *lock)
{
	hal_point(HAL_POINT_LOCK);
	preempt_disable();
	spin_acquire(lock);
}

static inline void spin_unlock(struct spinlock *lock)
{
	spin_release(lock);
	hal_point(HAL_POINT_UNLOCK);
	preempt_enable();
}

static inline bool must_check spin_trylock(struct spinlock *lock)
{
	hal_point(HAL_POINT_LOCK);
	preempt_disable();
	bool taken = spin_try_acquire(lock);
	if (!taken)
		preempt_enable();
	return taken;
}

static inline bool must_check spin_lock_irqsave(struct spinlock *lock)
{
	hal_point(HAL_POINT_LOCK);
	bool was = hal_irq_save();
	preempt_disable();
	spin_acquire(lock);
	return was;
}

// Unmasks before it enables preemption, so that a switch wanted inside the section happens here.
static inline void spin_unlock_irqrestore(struct spinlock *lock, bool was)
{
	spin_release(lock);
	hal_point(HAL_POINT_UNLOCK);
	hal_irq_restore(was);
	preempt_enable();
}

static inline void spin_lock_nested(struct spinlock *lock)
{
	spin_lock(lock);
}

static inline bool spin_held(const struct spinlock *lock)
{
	return atomic_load_u32_relaxed_nopoint(&lock->word) != 0;
}

#endif
#endif
