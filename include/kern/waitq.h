// SPDX-License-Identifier: MIT
//
// Wait queues: threads that wait for a condition, in FIFO order. The waiter enqueues itself, looks at the condition, and
// parks; the waker makes the condition true, then wakes. No wake is lost, because the permit of kern/thread.h remembers one
// that comes between look and park. A wake that collides with a timeout counts as a wake, so no token is lost either.
#ifndef KERN_WAITQ_H
#define KERN_WAITQ_H

#include "kern/list.h"
#include "kern/lock.h"

struct waitq {
	struct spinlock lock; // LOCK_RANK_WAITQ, taken masked
	struct list waiters;  // struct waitq_entry, FIFO
	const char *name;
};

struct waitq_entry {
	struct list_node link; // under the queue's lock
	struct thread *thread;
	uint32_t woken; // atomic; set under the queue's lock by the waker, which also dequeues
	uint16_t exclusive;
	uint16_t chosen; // under the queue's lock: a waker has it on its list, and will wake it
};

// `name` must outlive the queue. Any context. A queue needs no end, but nobody may wait on it then.
void waitq_init(struct waitq *queue, const char *name);

// Enqueues the current thread. The entry lives on the caller's stack until waitq_leave(). Thread context.
void waitq_enter(struct waitq *queue, struct waitq_entry *entry, bool exclusive);

// Sleeps until woken or deadline_ns (absolute, monotonic). Thread context, no spinlock held. 0: woken. -ETIMEDOUT: not woken, and
// never will be, for the entry has left the queue.
err_t waitq_sleep(struct waitq *queue, struct waitq_entry *entry, uint64_t deadline_ns) must_check;

// Takes the entry out if it is still in; returns whether it had been woken. An exclusive waiter that was woken and does not
// use what it was woken for must wake another. After this the waker is done with the entry too. Thread context.
bool waitq_leave(struct waitq *queue, struct waitq_entry *entry);

// From the front, wakes all non-exclusive waiters up to and including the `count`-th exclusive one; returns how many threads it
// woke. irq-safe; no lock of rank LOCK_RANK_WAITQ or above may be held. Waiters that come during the call are not woken by it.
uint32_t waitq_wake(struct waitq *queue, uint32_t count);
uint32_t waitq_wake_all(struct waitq *queue);

// Waits until `condition` is true, looking after each wake. `deadline_ns` absolute on the monotonic clock, looked at once per
// round; evaluates to 0, or -ETIMEDOUT when the condition was still false after the deadline. Thread context.
#define waitq_wait_until(queue, condition, deadline_ns) WAITQ_WAIT_(queue, condition, deadline_ns, false)

// The same for waiters of whom one is enough: a waker's count counts them.
#define waitq_wait_exclusive_until(queue, condition, deadline_ns) WAITQ_WAIT_(queue, condition, deadline_ns, true)

// A waiter that finds the condition true without having slept passes a wake that it did not need on to the next.
#define WAITQ_WAIT_(queue, condition, deadline_ns, is_exclusive)                                                       \
	({                                                                                                             \
		err_t waitq_err_ = 0;                                                                                  \
		struct waitq_entry waitq_entry_;                                                                       \
		might_sleep();                                                                                         \
		while (!(condition)) {                                                                                 \
			bool waitq_true_ = false;                                                                      \
			waitq_enter((queue), &waitq_entry_, (is_exclusive));                                           \
			waitq_true_ = (condition);                                                                     \
			if (!waitq_true_)                                                                              \
				waitq_err_ = waitq_sleep((queue), &waitq_entry_, (deadline_ns));                       \
			if (waitq_leave((queue), &waitq_entry_) && waitq_true_ && (is_exclusive))                      \
				(void)waitq_wake((queue), 1);                                                          \
			if (waitq_true_)                                                                               \
				break;                                                                                 \
			if (waitq_err_ != 0) {                                                                         \
				if (condition)                                                                         \
					waitq_err_ = 0;                                                                \
				break;                                                                                 \
			}                                                                                              \
		}                                                                                                      \
		waitq_err_;                                                                                            \
	})

#if CONFIG_LOCKCHECK
#define waitq_sleep(queue, entry, deadline_ns) (might_sleep(), waitq_sleep((queue), (entry), (deadline_ns)))
#endif

// -EUCLEAN with a log line when links, entries or woken flags contradict each other. Any context.
err_t waitq_check(struct waitq *queue) must_check;

#endif
