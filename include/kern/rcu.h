// SPDX-License-Identifier: MIT
//
// Read-copy-update. A reader runs with preemption off and must not sleep; sections are bounded and the bound is checked
// (CONFIG_LOCKCHECK: longest section kept, over RCU_SECTION_LIMIT_NS reported). A grace period ends when every CPU has
// passed a quiescent state: a switch, idle, or an interrupt taken with preemption on.
#ifndef KERN_RCU_H
#define KERN_RCU_H

#include "kern/atomic.h"
#include "kern/preempt.h"

#define RCU_SECTION_LIMIT_NS 10000000ull

struct rcu_head {
	struct rcu_head *next;
	void (*fn)(struct rcu_head *);
};

// Nests. Any context.
void rcu_read_lock(void);
void rcu_read_unlock(void);

// Publish and read a pointer under RCU.
#define rcu_assign(pointer, value) atomic_store_ptr_release((pointer), (value))
#define rcu_dereference(pointer) atomic_load_ptr_acquire((pointer))

// Waits until every reader that began before has ended. Thread context; not inside a read section, no spinlock.
void rcu_synchronize(void);

// Runs fn(head) in a thread after a grace period. irq-safe; takes no memory.
void rcu_call(struct rcu_head *head, void (*fn)(struct rcu_head *));

// Waits until all callbacks queued before have run. Thread context.
void rcu_barrier(void);

// The scheduler tells: this CPU has passed a quiescent state (switch, idle). Masked.
void rcu_quiescent(void);
// Idle CPUs count as quiescent and need not be woken. Masked.
void rcu_idle_enter(void);
void rcu_idle_exit(void);

// Stages: state, then the callback thread once threads exist; rcu_stop() runs all callbacks and ends it.
err_t rcu_init(struct kernel *kernel) must_check;
err_t rcu_start(void) must_check;
void rcu_stop(void);

#endif
