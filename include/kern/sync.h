// SPDX-License-Identifier: MIT
//
// Sleeping locks: mutex with priority inheritance, reader-writer lock, semaphore, condition variable. Thread context only,
// never under a spinlock or with interrupts masked; the checker verifies it. Deadlines are absolute monotonic nanoseconds,
// TB_FOREVER for none.
#ifndef KERN_SYNC_H
#define KERN_SYNC_H

#include "kern/waitq.h"

// Owned by one thread; a waiter lends its priority to the owner, along chains of owners (Sha, Rajkumar, Lehoczky 1990).
// Hand-over is by competition: an unlock wakes the best waiter and lets a running thread overtake it, but a waiter that
// lost twice is handed the lock.
struct mutex {
	uintptr_t owner; // struct thread *, bit 0: there are waiters; 0: free
	struct spinlock lock;
	struct rb_root waiters; // by priority, then arrival
	struct list_node held_link;
#if CONFIG_LOCKCHECK
	struct lock_class check;
#endif
};

void mutex_init(struct mutex *mutex, enum lock_rank rank, const char *name);
void mutex_fini(struct mutex *mutex); // must be free
void mutex_lock(struct mutex *mutex);
void mutex_lock_nested(struct mutex *mutex); // a second one of the same rank, ordered by the caller
bool mutex_trylock(struct mutex *mutex) must_check;
err_t mutex_lock_until(struct mutex *mutex, uint64_t deadline_ns) must_check; // -ETIMEDOUT
void mutex_unlock(struct mutex *mutex);
bool mutex_held(const struct mutex *mutex);              // by the running thread
err_t mutex_check(const struct mutex *mutex) must_check; // -EUCLEAN with a log line

// Many readers or one writer; writers are not starved: once one waits, new readers queue behind it.
struct rwlock {
	struct spinlock lock;
	uint32_t readers;
	struct thread *writer;
	struct list waiters;
#if CONFIG_LOCKCHECK
	struct lock_class check;
#endif
};

void rwlock_init(struct rwlock *rwlock, enum lock_rank rank, const char *name);
void rwlock_fini(struct rwlock *rwlock);
void rwlock_read_lock(struct rwlock *rwlock);
bool rwlock_read_trylock(struct rwlock *rwlock) must_check;
void rwlock_read_unlock(struct rwlock *rwlock);
void rwlock_write_lock(struct rwlock *rwlock);
bool rwlock_write_trylock(struct rwlock *rwlock) must_check;
void rwlock_write_unlock(struct rwlock *rwlock);
void rwlock_downgrade(struct rwlock *rwlock); // writer becomes reader, nobody in between

struct semaphore {
	struct waitq queue;
	uint32_t count; // under queue.lock
};

void sem_init(struct semaphore *sem, uint32_t count, const char *name);
void sem_down(struct semaphore *sem);
bool sem_trydown(struct semaphore *sem) must_check;                           // irq-safe
err_t sem_down_until(struct semaphore *sem, uint64_t deadline_ns) must_check; // -ETIMEDOUT
void sem_up(struct semaphore *sem);                                           // irq-safe

// Mesa semantics: the caller loops on its condition.
struct condvar {
	struct waitq queue;
};

void condvar_init(struct condvar *condvar, const char *name);
void condvar_wait(struct condvar *condvar, struct mutex *mutex);
err_t condvar_wait_until(struct condvar *condvar, struct mutex *mutex, uint64_t deadline_ns) must_check; // -ETIMEDOUT
void condvar_signal(struct condvar *condvar);
void condvar_broadcast(struct condvar *condvar);

// Waits once for something that happens once.
struct completion {
	struct waitq queue;
	uint32_t done; // atomic
};

void completion_init(struct completion *completion, const char *name);
void completion_done(struct completion *completion); // irq-safe; all waiters, for good
void completion_wait(struct completion *completion);
err_t completion_wait_until(struct completion *completion, uint64_t deadline_ns) must_check; // -ETIMEDOUT

#endif
