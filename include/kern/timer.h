// SPDX-License-Identifier: MIT
//
// High-resolution timers, one queue per CPU, and sleep. Callbacks run in interrupt context on the CPU that armed the timer.
#ifndef KERN_TIMER_H
#define KERN_TIMER_H

#include "kern/lock.h"
#include "kern/rbtree.h"

struct timer {
	struct rb_node node;        // queue lock of `cpu`
	uint64_t deadline_ns;       // likewise; as asked for
	uint64_t due_ns;            // likewise; the place in the queue
	void (*fn)(struct timer *); // interrupt context; may arm its own timer again, or free it
	struct cpu *cpu;            // atomic; whose queue; NULL: never armed
	uint32_t state;             // queue lock: idle, queued
};

void timer_setup(struct timer *timer, void (*fn)(struct timer *));

// Fires fn at or after deadline_ns, on this CPU (or, if fn is running on another at this moment, on that one). Arming a queued
// timer moves it. What a callback arms for the past fires some microseconds later, so that the interrupted thread gets on. irq-safe.
void timer_arm(struct timer *timer, uint64_t deadline_ns);

// Takes it out; returns whether it was queued. After false the callback may be running on another CPU. irq-safe.
bool timer_cancel(struct timer *timer);

// The same, and waits (spinning) until a running callback has returned: then the memory may go. Not from its own callback.
bool timer_cancel_sync(struct timer *timer);

uint64_t clock_now_ns(void);  // the HAL's monotonic clock
uint64_t clock_wall_ns(void); // since 1970-01-01 UTC. irq-safe

// Thread context. sleep_until returns at or after the deadline.
void sleep_until_ns(uint64_t deadline_ns);
void sleep_ns(uint64_t duration_ns);

// Boot, after sched_init(): empty queues on all CPUs.
err_t timer_init(struct kernel *kernel) must_check;

// Every invariant of the CPU's queue: VERIFY for the tree, -EUCLEAN for the count. Any context.
err_t timer_check(const struct cpu *cpu) must_check;

// Calls fn for each queued timer, CPU by CPU, in order of deadline. Thread context; fn may not sleep. `where` is the kernel text
// offset (image_offset()) of the callback.
struct timer_info {
	uint64_t deadline_ns;
	uintptr_t where;
	uint32_t cpu;
};
void timer_each(void (*fn)(const struct timer_info *, void *), void *arg);

#endif
