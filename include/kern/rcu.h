// SPDX-License-Identifier: MIT
//
// Read-copy-update (McKenney and Slingwine 1998). A reader runs with preemption off and must not sleep; sections are bounded
// and the bound is watched (CONFIG_LOCKCHECK: the longest is kept, one over RCU_SECTION_LIMIT_NS is logged; it is no fault,
// because a host may stop us anywhere). A grace period ends when every CPU has passed a quiescent state: a switch, idle, or an
// interrupt or preempt_enable() that finds preemption on. One service thread drives grace periods and runs callbacks.
#ifndef KERN_RCU_H
#define KERN_RCU_H

#include "kern/atomic.h"
#include "kern/lockcheck.h"
#include "kern/preempt.h"

#define RCU_SECTION_LIMIT_NS 10000000ull

struct rcu_head {
	struct rcu_head *next;
	void (*fn)(struct rcu_head *);
};

// A read section. Nests. Any context, but not on a CPU that has told it is idle.
#if CONFIG_LOCKCHECK
void rcu_read_lock(void);
void rcu_read_unlock(void);
#else
static inline void rcu_read_lock(void)
{
	preempt_disable();
}

static inline void rcu_read_unlock(void)
{
	preempt_enable();
}
#endif

// Whether the running thread is in a read section; without CONFIG_LOCKCHECK, whether preemption is off. For assertions.
bool rcu_read_held(void);

// Publish a pointer with everything written before it, and read one that was so published.
#define rcu_assign(pointer, value) atomic_store_ptr_release(&(pointer), (value))
#define rcu_dereference(pointer) atomic_load_ptr_acquire(&(pointer))

// Waits until every reader that began before has ended. Thread context, after rcu_start(); not inside a read section, no
// spinlock, not in a callback.
void rcu_synchronize(void);

// Runs fn(head) after a grace period, those called on one CPU in order of these calls, in the service thread, which may be delayed by a callback that
// sleeps and must not wait for RCU itself. The head belongs to RCU until then. irq-safe; takes no memory; no lock of rank
// LOCK_RANK_WAITQ or above may be held.
void rcu_call(struct rcu_head *head, void (*fn)(struct rcu_head *));

// Waits until all callbacks queued before have run. Contexts as rcu_synchronize().
void rcu_barrier(void);

// The scheduler tells: this CPU switches threads, or runs one with preemption on. Masked.
void rcu_quiescent(void);

// The irq upcall's first act on a CPU that is not idle: if the interrupted thread had preemption on, this CPU is quiescent;
// else, and if a grace period waits for this CPU, the thread is made to tell when its section ends. Masked.
void rcu_interrupt(void);

// An idle CPU counts as quiescent and is left alone. Enter: right before hal_cpu_idle(); exit: right after, before
// interrupts are unmasked. Every CPU but CPU 0 begins idle, and exits before its first thread. Masked.
void rcu_idle_enter(void);
void rcu_idle_exit(void);

// Figures since boot.
struct rcu_info {
	uint32_t grace_periods;  // wraps
	uint32_t callbacks;      // run; wraps
	uint32_t waiting;        // queued and not yet run
	uint32_t kicks;          // interrupts sent to CPUs that were late; wraps
	uint32_t long_sections;  // read sections over the limit (CONFIG_LOCKCHECK)
	uint32_t grace_max_ns;   // longest grace period; saturates
	uint32_t section_max_ns; // longest read section (CONFIG_LOCKCHECK); saturates
};
void rcu_get_info(struct rcu_info *info); // thread context

// Stages. The state comes with sync_init(). rcu_start(): the service thread, once threads exist; errors of thread_start().
// rcu_stop(): runs all callbacks and ends it; nobody may use RCU afterwards. Thread context.
err_t rcu_start(void) must_check;
void rcu_stop(void);

err_t rcu_check(void) must_check; // -EUCLEAN with a log line; thread context

#endif
