// SPDX-License-Identifier: MIT
//
// struct thread of small machines: what kern/thread.h says, without what one CPU, strict priorities and no host have no use for.
// Field names that sync knows are the same. Included by kern/thread.h alone.
#ifndef KERN_THREAD_TINY_H
#define KERN_THREAD_TINY_H

struct thread_stats {
	uint64_t run_ns;      // time on the CPU
	uint32_t switches;    // times it was switched in; wraps at 2^16
	uint32_t preemptions; // times it was switched out while it wanted to go on; wraps at 2^8
};

struct thread {
	struct hal_thread hal; // must be first

	// Immutable after creation.
	uint32_t magic;
	uint32_t id;
	char name[THREAD_NAME_SIZE];
	void (*entry)(void *);
	void *arg;
	struct account *account; // always NULL: there is one payer

	// sched: masked.
	uint8_t flags;       // enum thread_flags
	uint8_t state;       // enum thread_state
	uint8_t klass;       // enum thread_class: whether it has a slice
	uint8_t join_state;  // enum thread_join
	uint8_t preemptions; // wraps
	uint8_t call_asleep; // the HAL was told that the call it serves sleeps
	uint16_t switches;   // wraps
	int32_t prio;        // effective
	int32_t prio_base;   // atomic for sync
	struct list_node runq_link;
	uint64_t run_ns;     // on the CPU, up to its last switch
	uint64_t call_token; // hal_call it serves; 0: none

	// Parking: one permit.
	uint32_t permit;         // atomic
	uint32_t park_timed_out; // atomic

	// sync: as kern/thread.h.
	struct mutex *blocked_on;
	struct rb_node pi_node;
	struct rb_root pi_held;
	int32_t pi_prio;
	int32_t pi_lent;
	uint32_t pi_passed;
	uint32_t pi_woken;
	const char *waiting_on;

#if CONFIG_LOCKCHECK
	uint32_t rcu_nesting;
	uint64_t rcu_since_ns;
	struct held_lock held_locks[LOCKCHECK_DEPTH];
#endif

	// Life.
	struct list_node all_link;
	struct thread *joiner;
	int64_t exit_value;
	uint32_t stack_canary; // last
};

#endif
