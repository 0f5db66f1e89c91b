// SPDX-License-Identifier: MIT
//
// Sync: how threads keep out of each other's way, and how they wait.
//
// Purpose. Spinlocks for short sections, sleeping locks for long ones, wait queues beneath those, read-copy-update for what
// is read far more than written, and a checker that proves the rules of all of them while tests run. Sync knows threads as
// objects that can be parked and unparked; how, the scheduler says in kernel->hooks.
//
// Files
//   preempt.c    the slow way out of preempt_enable()
//   spin.c       contended spinlocks; the checked forms
//   waitq.c      wait queues: enter, sleep, leave, wake
//   mutex.c      mutex: slow paths, hand-over             pi.c      priority inheritance: who lends what to whom
//   rwlock.c     reader-writer lock                       sem.c     semaphore and completion
//   condvar.c    condition variable                       rcu.c     read-copy-update
//   lockcheck.c  the rules                                lockorder.c  the graph of unranked locks
//   lockreport.c how a fault is told                      sync.c    boot, figures
//
// 1 Waiting. A waiter has an entry on its own stack. It enqueues, looks, parks; the waker dequeues the entry, sets
// `woken`, unparks, all under the queue's lock. The waiter takes that lock once more in waitq_leave(), so its stack outlives the waker's
// hands. A timeout dequeues under the same lock: an entry is woken or timed out, never both.
//
// 2 Mutex. `word` is the owner and the WAITERS bit. Without the bit nothing but `word` is in use. With it every path goes
// under the one PI lock of the instance, and these hold there:
//   2.1 WAITERS ⇔ `waiters` is not empty. Each waiter's blocked_on is the mutex.
//   2.2 owned and WAITERS ⇒ the mutex is in its owner's pi_held under top_prio = the best waiter's priority.
//   2.3 free and WAITERS ⇒ the best waiter is woken and not yet back (pi_woken): it, or somebody no less urgent, takes the lock.
//   2.4 thread.pi_lent = PRIO_COUNT − the first key of pi_held, 0 when that is empty.
//   2.5 waiter.pi_prio = min(prio_base, what is lent to it), and `waiters` is ordered by it, then by arrival.
// States of a mutex: free → owned (fast) ; owned → contended (first waiter) ; contended → free with waiters (unlock) or
// contended by another (hand-over, overtaking) ; back to owned or free when the last waiter goes.
// A change of one key may change the owner's 2.4, so pi.c walks owner → blocked_on → owner until nothing changes. In a cycle of
// owners the walk ends too, since each step must change something in one direction only.
//
// 3 Reader-writer lock. `state` alone while nobody waits; with RWLOCK_WAITERS every path goes under queue.lock, and
// whoever releases grants to the front of the queue: one writer, or all readers up to the next writer.
//
// 4 RCU. `gp` numbers grace periods. A CPU publishes the number it saw at a quiescent state in `seen`; the period `gp` is over
// when every CPU has seen it or was found idle. That a reader after its CPU's quiescent state sees what was
// unpublished before the period: loading `gp` acquires it. That one who leaves idle does: the driver and the CPU meet in
// an acquire-release exchange of the CPU's `state`, in whichever order.
//
// 5 Lock order: PI, then WAITQ, then the scheduler's. Queue locks are taken masked, the PI lock is not (no interrupt takes it).
// The checker's own lock is a bare flag, masked, innermost of all, and no schedule point.
// May sleep: mutex, rwlock, semaphore, condvar, completion waits, rcu_synchronize(), rcu_barrier(). Everything else may not.
#ifndef SYNC_IMPL_H
#define SYNC_IMPL_H

#include "kern/cpu.h"
#include "kern/rcu.h"
#include "kern/sync.h"

struct sync_state {
	struct spinlock pi_lock;
};

static inline struct spinlock *pi_lock(void)
{
	return &kernel_self()->sync->pi_lock;
}

// One belief of an x_check(): logs what is wrong and makes the function return -EUCLEAN at its end.
#define SYNC_EXPECT(err, name, expression)                                                                             \
	do {                                                                                                           \
		if (!(expression))                                                                                     \
			(err) = sync_unclean((name), #expression);                                                     \
	} while (0)
err_t sync_unclean(const char *name, const char *expression);

// -- waitq.c: for locks that keep their own state under a queue's lock ---------------------------------------------------

// Enqueues the current thread's entry; the caller holds queue->lock.
void waitq_enter_locked(struct waitq *queue, struct waitq_entry *entry, bool exclusive);

// Dequeues and wakes one entry; the caller holds queue->lock.
void waitq_wake_entry_locked(struct waitq *queue, struct waitq_entry *entry);

static inline struct waitq_entry *waitq_first_locked(struct waitq *queue)
{
	return list_first_entry(&queue->waiters, struct waitq_entry, link);
}

// Wakes everybody; the caller holds queue->lock masked, `was` from its irqsave. Releases the lock, between batches too.
uint32_t waitq_wake_all_unlock(struct waitq *queue, bool was);

// Sleeps with the entry that has been entered until it is woken or the deadline, and leaves. 0 or -ETIMEDOUT.
err_t waitq_finish(struct waitq *queue, struct waitq_entry *entry, uint64_t deadline_ns) must_check;

// -- pi.c: all under the PI lock -------------------------------------------------------------------------------------------

static inline struct thread *mutex_owner_locked(const struct mutex *mutex)
{
	return (struct thread *)(atomic_load_word_acquire_nopoint(&mutex->word) & ~MUTEX_WAITERS);
}

static inline struct thread *mutex_top_locked(const struct mutex *mutex)
{
	return rb_entry_or_null(rb_first(&mutex->waiters), struct thread, pi_node);
}

// min(prio_base, inherited) as inheritance sees it.
int32_t pi_prio_of(const struct thread *thread);

// `thread` begins or ceases to wait for the mutex (2.1, 2.5). Lends nothing yet: pi_owner_changed() follows.
void pi_waiter_insert_locked(struct mutex *mutex, struct thread *thread);
void pi_waiter_remove_locked(struct mutex *mutex, struct thread *thread);

// The mutex has waiters and `owner` now owns it (2.2), or has had them or it until now. Restores 2.4 from `owner` on.
void pi_attach_locked(struct mutex *mutex, struct thread *owner);
void pi_detach_locked(struct mutex *mutex, struct thread *owner);

// The waiters of the owned mutex have changed: restores 2.2 and 2.4 along the chain.
void pi_waiters_changed_locked(struct mutex *mutex);

// The mutex is free and has waiters: restores 2.3.
void mutex_wake_top_locked(struct mutex *mutex);

// rcu.c
err_t rcu_init(struct kernel *kernel) must_check;

// -- the checker -----------------------------------------------------------------------------------------------------------

#if CONFIG_LOCKCHECK

void lock_class_init(struct lock_class *lock, enum lock_rank rank, uint32_t flags, const char *name);
void lock_class_fini(struct lock_class *lock);

// Before waiting: verifies every rule. False: captured and the thread holds the lock already, so it must not wait.
bool lockcheck_wants(struct lock_class *lock, enum lock_mode mode, const char *where) must_check;

// After taking it: remembers.
void lockcheck_took(struct lock_class *lock, enum lock_mode mode, const char *where);

// Before releasing it. False: captured and not to be released.
bool lockcheck_releases(struct lock_class *lock, const char *where) must_check;

// A writer has become a reader.
void lockcheck_shares(struct lock_class *lock, const char *where);

// Where the running thread took the lock; NULL: not held.
const char *lockcheck_where(const struct lock_class *lock);

bool lockcheck_holds(const struct lock_class *lock);

// The running thread begins to wait for the mutex: tells when the chain of owners leads back to it. PI lock held.
void lockcheck_deadlock_locked(const struct mutex *mutex);

err_t lockcheck_init(struct kernel *kernel) must_check;

// lockreport.c: tells a fault. Returns only while a test captures.
void lockcheck_fault(enum lockcheck_kind kind, const struct lockcheck_party *lock, const struct lockcheck_party *other);

// A party made of a lock and a thread, each of which may be NULL.
struct lockcheck_party lockcheck_party_of(const struct lock_class *lock, const struct thread *thread,
					  const char *where);

// lockorder.c: the order between unranked locks. Note: `to` is taken while `from` is held. False: the reverse has been seen
// before, and *reverse says where. Forget: the lock begins or ends its life.
#define LOCKORDER_EDGES 512u

struct lockorder_edge {
	const struct lock_class *from;
	const struct lock_class *to;
	const char *to_where;
	uint32_t search; // the last search that has met it
	uint16_t first;  // the edge by which that search left its start
};

struct lockorder_graph {
	uint32_t word; // the bare lock
	uint32_t used;
	uint32_t search;
	uint32_t dropped; // edges that found no room
	struct lockorder_edge edges[LOCKORDER_EDGES];
	uint16_t queue[LOCKORDER_EDGES];
};

bool lockorder_note(struct lockorder_graph *graph, const struct lock_class *from, const struct lock_class *to,
		    const char *to_where, const char **reverse) must_check;
void lockorder_forget(struct lockorder_graph *graph, const struct lock_class *lock);

struct lockcheck_state {
	struct lockcheck_capture *capture; // atomic
	struct lockorder_graph order;
};

#endif
#endif
