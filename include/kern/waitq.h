// SPDX-License-Identifier: MIT
//
// Wait queues: threads that wait for a condition, in FIFO order. The waiter enqueues itself, looks at the condition, and
// parks; the waker makes the condition true, then wakes. No wake is lost, because the permit of kern/thread.h remembers one
// that comes between look and park.
#ifndef KERN_WAITQ_H
#define KERN_WAITQ_H

#include "kern/list.h"
#include "kern/lock.h"

struct waitq {
	struct spinlock lock;
	struct list waiters; // struct waitq_entry, FIFO
};

struct waitq_entry {
	struct list_node link;
	struct thread *thread;
	uint32_t woken; // set under the queue's lock by the waker, which also dequeues
	uint32_t exclusive;
};

void waitq_init(struct waitq *queue, const char *name);

// Enqueues the current thread. The entry lives on the caller's stack until waitq_leave(). Thread context.
void waitq_enter(struct waitq *queue, struct waitq_entry *entry, bool exclusive);

// Sleeps until woken or deadline_ns. Thread context, no spinlock held. 0, or -ETIMEDOUT (and not woken).
err_t waitq_sleep(struct waitq *queue, struct waitq_entry *entry, uint64_t deadline_ns) must_check;

// Takes the entry out, woken or not; returns whether it had been woken (a waker's token that must not be dropped).
bool waitq_leave(struct waitq *queue, struct waitq_entry *entry);

// Wakes up to `count` waiters (non-exclusive ones do not count); returns how many. irq-safe.
uint32_t waitq_wake(struct waitq *queue, uint32_t count);
uint32_t waitq_wake_all(struct waitq *queue);

// Waits until `condition` is true. `deadline_ns` absolute on the monotonic clock; evaluates to 0 or -ETIMEDOUT.
#define waitq_wait_until(queue, condition, deadline_ns)                                                                \
	({                                                                                                             \
		err_t waitq_err_ = 0;                                                                                  \
		struct waitq_entry waitq_entry_;                                                                       \
		while (!(condition)) {                                                                                 \
			waitq_enter((queue), &waitq_entry_, false);                                                    \
			if (!(condition))                                                                              \
				waitq_err_ = waitq_sleep((queue), &waitq_entry_, (deadline_ns));                       \
			(void)waitq_leave((queue), &waitq_entry_);                                                     \
			if (waitq_err_ != 0) {                                                                         \
				if (condition)                                                                         \
					waitq_err_ = 0;                                                                \
				break;                                                                                 \
			}                                                                                              \
		}                                                                                                      \
		waitq_err_;                                                                                            \
	})

#endif
