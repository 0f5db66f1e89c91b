// SPDX-License-Identifier: MIT
//
// Sleeping locks: mutex with priority inheritance, reader-writer lock, semaphore, condition variable, completion. Thread
// context only, never under a spinlock or with interrupts masked, but for what says irq-safe; the checker verifies it.
// Deadlines are absolute monotonic nanoseconds, TB_FOREVER for none. `name` is static and shows where a thread sleeps.
#ifndef KERN_SYNC_H
#define KERN_SYNC_H

#include "kern/rbtree.h"
#include "kern/waitq.h"

// Owned by one thread; a waiter lends its priority to the owner, along chains of owners (Sha, Rajkumar, Lehoczky 1990).
// Hand-over is by competition: an unlock wakes the best waiter, and a running thread that is no less urgent may overtake it;
// the third unlock that finds the same waiter hands the lock to it. Free lock: one compare-exchange to lock, one to unlock.
struct mutex {
	uintptr_t word;           // atomic: struct thread * of the owner, bit 0: there are waiters; 0: free
	struct rb_root waiters;   // PI lock: struct thread by pi_node: by priority, then arrival
	struct rb_node held_node; // PI lock: in the owner's pi_held while there are waiters
	int32_t top_prio;         // PI lock: key there: the best waiter's priority
	const char *name;
#if CONFIG_LOCKCHECK
	struct lock_class check;
#endif
};

#define MUTEX_WAITERS ((uintptr_t)1)
#define MUTEX_PASS_MAX 2u // unlocks that leave the race open before one hands over

void mutex_init(struct mutex *mutex, enum lock_rank rank, const char *name); // any context
void mutex_fini(struct mutex *mutex);                                        // must be free, nobody waits
err_t mutex_check(const struct mutex *mutex) must_check;                     // -EUCLEAN with a log line; any context

// The forms, in terms of the interface that both builds share (thread context; not recursive):
//
//   void mutex_lock(mutex)
//   void mutex_lock_nested(mutex)                    a second one of equal rank, ordered by the caller
//   bool mutex_trylock(mutex)                        false: somebody owns it, or a more urgent thread has been woken for it
//   err_t mutex_lock_until(mutex, deadline_ns)       -ETIMEDOUT: not locked, and what was lent is taken back
//   void mutex_unlock(mutex)                         by the owner; does not sleep

// Whether the running thread owns it. Thread context.
static inline bool mutex_held(const struct mutex *mutex)
{
	return (atomic_load_word_relaxed_nopoint(&mutex->word) & ~MUTEX_WAITERS) == (uintptr_t)current;
}

// Behind the inline forms (core/sync/mutex.c).
err_t mutex_lock_slow(struct mutex *mutex, uint64_t deadline_ns);
bool mutex_trylock_slow(struct mutex *mutex);
void mutex_unlock_slow(struct mutex *mutex);

static force_inline bool mutex_try_acquire(struct mutex *mutex)
{
	uintptr_t found = 0; // release, too: who waits reads the owner's thread by this word
	return atomic_cmpxchg_word_acq_rel_nopoint(&mutex->word, &found, (uintptr_t)current);
}

static force_inline void mutex_release(struct mutex *mutex)
{
	uintptr_t found = (uintptr_t)current;
	if (unlikely(!atomic_cmpxchg_word_release_nopoint(&mutex->word, &found, 0)))
		mutex_unlock_slow(mutex);
}

#if CONFIG_LOCKCHECK

void mutex_lock_at(struct mutex *mutex, enum lock_mode mode, const char *where);
bool mutex_trylock_at(struct mutex *mutex, const char *where) must_check;
err_t mutex_lock_until_at(struct mutex *mutex, uint64_t deadline_ns, const char *where) must_check;
void mutex_unlock_at(struct mutex *mutex, const char *where);

#define mutex_lock(mutex) mutex_lock_at((mutex), LOCK_MODE_PLAIN, LOCK_HERE)
#define mutex_lock_nested(mutex) mutex_lock_at((mutex), LOCK_MODE_NESTED, LOCK_HERE)
#define mutex_trylock(mutex) mutex_trylock_at((mutex), LOCK_HERE)
#define mutex_lock_until(mutex, deadline_ns) mutex_lock_until_at((mutex), (deadline_ns), LOCK_HERE)
#define mutex_unlock(mutex) mutex_unlock_at((mutex), LOCK_HERE)

#else

static inline void mutex_lock(struct mutex *mutex)
{
	hal_point(HAL_POINT_LOCK);
	if (unlikely(!mutex_try_acquire(mutex)))
		(void)mutex_lock_slow(mutex, TB_FOREVER);
}

static inline void mutex_lock_nested(struct mutex *mutex)
{
	mutex_lock(mutex);
}

static inline bool must_check mutex_trylock(struct mutex *mutex)
{
	hal_point(HAL_POINT_LOCK);
	return likely(mutex_try_acquire(mutex)) || mutex_trylock_slow(mutex);
}

static inline err_t must_check mutex_lock_until(struct mutex *mutex, uint64_t deadline_ns)
{
	hal_point(HAL_POINT_LOCK);
	return likely(mutex_try_acquire(mutex)) ? 0 : mutex_lock_slow(mutex, deadline_ns);
}

static inline void mutex_unlock(struct mutex *mutex)
{
	mutex_release(mutex);
	hal_point(HAL_POINT_UNLOCK);
}

#endif

// The scheduler tells: prio_base of `thread` has changed. Moves the thread among the waiters of a mutex it waits for, passes the
// change along the chain, and answers with hooks->inherit(thread), which recomputes the effective priority. Any thread
// context; no lock of rank LOCK_RANK_PI or above may be held; the thread must not end meanwhile.
void mutex_prio_changed(struct thread *thread);

// Many readers or one writer, in the order of arrival: once somebody waits, whoever comes later queues behind, so neither side
// starves; readers that stand together enter together. Free: one compare-exchange each way. No inheritance: readers
// have no names. Not recursive, not even for readers.
struct rwlock {
	uint32_t state; // atomic: RWLOCK_WRITER, RWLOCK_WAITERS, readers × RWLOCK_READER
	struct waitq queue;
#if CONFIG_LOCKCHECK
	struct lock_class check;
#endif
};

#define RWLOCK_WRITER 1u
#define RWLOCK_WAITERS 2u
#define RWLOCK_READER 4u

void rwlock_init(struct rwlock *rwlock, enum lock_rank rank, const char *name); // any context
void rwlock_fini(struct rwlock *rwlock);                                        // must be free, nobody waits
err_t rwlock_check(struct rwlock *rwlock) must_check;                           // -EUCLEAN with a log line; any context

#if CONFIG_LOCKCHECK
#define RWLOCK_FORM(name) name##_at
#define RWLOCK_WHERE , const char *where
#else
#define RWLOCK_FORM(name) name
#define RWLOCK_WHERE
#endif

// Thread context; the unlocks and the downgrade do not sleep.
void RWLOCK_FORM(rwlock_read_lock)(struct rwlock *rwlock RWLOCK_WHERE);
void RWLOCK_FORM(rwlock_write_lock)(struct rwlock *rwlock RWLOCK_WHERE);
bool RWLOCK_FORM(rwlock_read_trylock)(struct rwlock *rwlock RWLOCK_WHERE) must_check; // false also when somebody waits
bool RWLOCK_FORM(rwlock_write_trylock)(struct rwlock *rwlock RWLOCK_WHERE) must_check;
void RWLOCK_FORM(rwlock_read_unlock)(struct rwlock *rwlock RWLOCK_WHERE);
void RWLOCK_FORM(rwlock_write_unlock)(struct rwlock *rwlock RWLOCK_WHERE);
void RWLOCK_FORM(rwlock_downgrade)(struct rwlock *rwlock RWLOCK_WHERE); // writer becomes reader, no writer in between

#if CONFIG_LOCKCHECK
#define rwlock_read_lock(rwlock) rwlock_read_lock_at((rwlock), LOCK_HERE)
#define rwlock_write_lock(rwlock) rwlock_write_lock_at((rwlock), LOCK_HERE)
#define rwlock_read_trylock(rwlock) rwlock_read_trylock_at((rwlock), LOCK_HERE)
#define rwlock_write_trylock(rwlock) rwlock_write_trylock_at((rwlock), LOCK_HERE)
#define rwlock_read_unlock(rwlock) rwlock_read_unlock_at((rwlock), LOCK_HERE)
#define rwlock_write_unlock(rwlock) rwlock_write_unlock_at((rwlock), LOCK_HERE)
#define rwlock_downgrade(rwlock) rwlock_downgrade_at((rwlock), LOCK_HERE)
#endif

// Counts tokens. A token that is put up while somebody waits goes to the first in line, so nobody overtakes.
struct semaphore {
	struct waitq queue;
	uint32_t count; // under queue.lock
};

void sem_init(struct semaphore *sem, uint32_t count, const char *name);       // any context
void sem_down(struct semaphore *sem);                                         // thread context
bool sem_trydown(struct semaphore *sem) must_check;                           // irq-safe
err_t sem_down_until(struct semaphore *sem, uint64_t deadline_ns) must_check; // -ETIMEDOUT: no token taken
void sem_up(struct semaphore *sem);                                           // irq-safe
err_t sem_check(struct semaphore *sem) must_check;                            // -EUCLEAN with a log line; any context

// Mesa semantics: the caller loops on its condition. The mutex is held on entry and on return, also after -ETIMEDOUT. A
// signal is not lost to a waiter that times out at the same moment: that waiter returns 0.
struct condvar {
	struct waitq queue;
};

void condvar_init(struct condvar *condvar, const char *name); // any context
void condvar_wait(struct condvar *condvar, struct mutex *mutex);
err_t condvar_wait_until(struct condvar *condvar, struct mutex *mutex, uint64_t deadline_ns) must_check; // -ETIMEDOUT
void condvar_signal(struct condvar *condvar);    // irq-safe; wakes one
void condvar_broadcast(struct condvar *condvar); // irq-safe; wakes all

// Waits once for something that happens once. Its memory may go as soon as a wait has returned.
struct completion {
	struct waitq queue;
	uint32_t done; // under queue.lock
};

void completion_init(struct completion *completion, const char *name); // any context
void completion_done(struct completion *completion);                   // irq-safe; all waiters, for good
void completion_wait(struct completion *completion);
err_t completion_wait_until(struct completion *completion, uint64_t deadline_ns) must_check; // -ETIMEDOUT

// Each of these may sleep: the checker wants to know the caller's line. (A macro is not expanded inside itself.)
#if CONFIG_LOCKCHECK
#define sem_down(sem) (might_sleep(), sem_down(sem))
#define sem_down_until(sem, deadline_ns) (might_sleep(), sem_down_until((sem), (deadline_ns)))
#define condvar_wait(condvar, mutex) (might_sleep(), condvar_wait((condvar), (mutex)))
#define condvar_wait_until(condvar, mutex, deadline_ns)                                                                \
	(might_sleep(), condvar_wait_until((condvar), (mutex), (deadline_ns)))
#define completion_wait(completion) (might_sleep(), completion_wait(completion))
#define completion_wait_until(completion, deadline_ns)                                                                 \
	(might_sleep(), completion_wait_until((completion), (deadline_ns)))
#endif

// Boot, STAGE_BASE, after base_init(): the mutexes' shared state, read-copy-update, and, with CONFIG_LOCKCHECK, the checker. No
// lock may be contended before. Errors: -ENOMEM.
err_t sync_init(struct kernel *kernel) must_check;

// Invariants of what the module itself owns; a lock's are its x_check()'s. -EUCLEAN with a log line. Thread context.
err_t sync_check(void) must_check;

#endif
