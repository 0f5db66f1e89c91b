// SPDX-License-Identifier: MIT
//
// A lock that one CPU takes nearly always: its own takes and frees it with plain stores, others pay for that. Two atomic
// instructions on a spinlock cost the switch 31 of 60 ns (measured; they wait for all stores before them), and a visit from
// another CPU costs one hal_cpu_barrier(), about a microsecond, where it mostly goes on to send an interrupt that costs more.
//
// Owner: says `inside`, then looks for visitors. Visitor: has the spinlock, says so, makes every CPU execute a barrier,
// then looks whether the owner is inside. So one of the two sees the other (Dekker). An owner that sees a visitor queues for the
// spinlock like anybody. While the owner sleeps in hal_cpu_idle() no visitor needs to disturb it: it says so, and looks for visitors
// by an atomic instruction when it is back. Where hal_cpu_barrier() does not work, and where locks are checked, the visitor
// word is never 0: a plain spinlock.
//
// Everything here is masked.
#ifndef SCHED_BIASED_H
#define SCHED_BIASED_H

#include "kern/cpu.h"
#include "kern/lock.h"

struct biased_lock {
	uint32_t inside;   // atomic: the owner is in its section, without the spinlock
	uint32_t visitors; // atomic: somebody else is, or may be
	uint32_t away;     // atomic: the owner sleeps
	uint32_t queued;   // owner's: it has the spinlock
	uint32_t plain;    // immutable: 1 where the bias does not work
	struct cpu *owner; // immutable
	struct spinlock lock;
};

// `biased` false: a plain spinlock.
void biased_init(struct biased_lock *lock, struct cpu *owner, bool biased, enum lock_rank rank, const char *name);

// From another CPU than the owner.
void biased_visit(struct biased_lock *lock);
void biased_leave(struct biased_lock *lock);

void biased_own_slow(struct biased_lock *lock);
void biased_drop_slow(struct biased_lock *lock);

// On the owner.
static force_inline void biased_own(struct biased_lock *lock)
{
	hal_point(HAL_POINT_LOCK);
	atomic_store_u32_relaxed_nopoint(&lock->inside, 1);
	barrier();
	if (unlikely(atomic_load_u32_acquire_nopoint(&lock->visitors) != 0))
		biased_own_slow(lock);
}

static force_inline void biased_drop(struct biased_lock *lock)
{
	atomic_store_u32_release_nopoint(&lock->inside, 0);
	if (unlikely(atomic_load_u32_relaxed_nopoint(&lock->visitors) != 0))
		biased_drop_slow(lock);
	hal_point(HAL_POINT_UNLOCK);
}

// On any CPU.
static inline void biased_take(struct biased_lock *lock)
{
	if (lock->owner == this_cpu())
		biased_own(lock);
	else
		biased_visit(lock);
}

static inline void biased_free(struct biased_lock *lock)
{
	if (lock->owner == this_cpu())
		biased_drop(lock);
	else
		biased_leave(lock);
}

// Around hal_cpu_idle(), on the owner, holding nothing.
static inline void biased_away(struct biased_lock *lock)
{
	atomic_store_u32_release(&lock->away, 1);
}

// Either this comes before a visitor's exchange, which then finds the owner back, or it sees the visitor.
static inline void biased_back(struct biased_lock *lock)
{
	atomic_store_u32_relaxed(&lock->away, 0);
	(void)atomic_fetch_or_u32_acq_rel(&lock->visitors, 0);
}

#endif
