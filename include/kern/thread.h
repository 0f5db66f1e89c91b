// SPDX-License-Identifier: MIT
//
// The thread object, at the base of its own size-aligned stack. It is declared below sync and sched because locks name
// owners and wait queues name sleepers; who may write which field is said per group. Its operations are in kern/sched.h.
#ifndef KERN_THREAD_H
#define KERN_THREAD_H

#include "hal/inline.h"
#include "kern/compiler.h"
#include "kern/err.h"
#include "kern/kernel.h"
#include "kern/list.h"
#include "kern/rbtree.h"

#define THREAD_MAGIC 0x54485244u
#define THREAD_NAME_SIZE (CONFIG_TINY ? 8 : 16)

// One number orders all threads: smaller runs first. 0…99 real time (FIFO, RR), 100…139 fair by nice −20…19, 140 idle.
enum thread_prio {
	PRIO_RT_MAX = 0,
	PRIO_RT_MIN = 99,
	PRIO_FAIR_MAX = 100, // nice −20
	PRIO_FAIR_DEFAULT = 120,
	PRIO_FAIR_MIN = 139, // nice 19
	PRIO_IDLE = 140,
	PRIO_COUNT
};

enum thread_class {
	CLASS_FIFO,
	CLASS_RR,
	CLASS_FAIR,
	CLASS_IDLE
};

// Changed in one place only (sched/thread.c, thread_state_set), which checks the transition:
// NEW → READY → RUNNING → {READY, PARKED, DEAD}; PARKED → READY; DEAD → REAPED; NEW → REAPED (its creation failed).
enum thread_state {
	THREAD_NEW,
	THREAD_READY,
	THREAD_RUNNING,
	THREAD_PARKED,
	THREAD_DEAD,
	THREAD_REAPED
};

// A lock that a thread holds, for the checker. An interrupt uses the slots of the thread that it interrupts, so a slot is
// claimed by its first field and freed by it. Fields are atomic: a report reads other threads' slots.
#define LOCKCHECK_DEPTH 24
struct held_lock {
	struct lock_class *lock; // NULL: free slot
	const char *name;        // the lock's, for who looks while the lock may go
	const char *where;       // "file:line" of the acquisition
	uint32_t rank;
	uint32_t depth; // > 1 only after a recursion that a test provoked
	uint32_t mode;  // enum lock_mode
};

#if CONFIG_TINY
#include "kern/thread_tiny.h"
#else

struct thread_stats {
	uint64_t run_ns;      // time on a CPU
	uint64_t wait_ns;     // time ready but not running
	uint64_t wait_max_ns; // worst single wait
	uint64_t park_ns;     // time parked
	uint32_t switches;    // times it was switched in
	uint32_t preemptions; // times it was switched out while it wanted to go on
	uint32_t migrations;
	uint32_t wakeups;
};

struct process;

struct thread {
	struct hal_thread hal; // must be first: the HAL finds it by masking the stack pointer

	// Immutable after creation.
	uint32_t magic;
	uint32_t id; // ≥ 1; 0 is nobody
	char name[THREAD_NAME_SIZE];
	void (*entry)(void *);
	void *arg;
	uint32_t flags; // enum thread_flags

	// sched: lock of the home's run queue. Words marked atomic are read without it.
	uint32_t state;    // atomic, enum thread_state; written only by thread_state_set()
	uint32_t klass;    // enum thread_class, by the effective priority
	uint32_t on_runq;  // queued: ready and waiting in the queue of `home`
	uint32_t on_cpu;   // atomic: its registers are on a CPU, or not yet saved
	int32_t prio;      // atomic; effective: min(prio_base, prio_lent)
	int32_t prio_base; // what was asked for
	int32_t prio_lent; // by waiters of its mutexes; PRIO_COUNT: none
	uint32_t klass_base;
	struct cpu *home;           // atomic; whose run queue it belongs to
	struct list_node runq_link; // real time queues
	struct rb_node runq_node;   // fair queue
	uint64_t vruntime;   // fair: run time over weight, see core/sched/class_fair.c; the lag while it has no queue
	uint64_t deadline_v; // fair: virtual deadline of the current request
	uint32_t weight;     // fair: by the effective nice value
	uint32_t weight_inverse;  // fair: 2^32 / weight, rounded up
	uint64_t request_v;       // fair: length of a request
	uint32_t expelled;        // runs where its affinity no longer lets it; the next switch sends it away
	uint32_t fair_joined;     // fair: counted in the queue's sums (ready or running)
	uint32_t fair_lag;        // fair: vruntime holds a lag, because it has left its queue for another
	uint64_t slice_left_ns;   // RR
	uint64_t since_ns;        // when the current state began, or was last accounted
	struct cpu_mask affinity; // words are atomic
	struct thread_stats stats;

	// Parking: one permit.
	uint32_t permit;         // atomic
	uint32_t park_timed_out; // atomic

	// sync, under the PI lock of core/sync/sync_impl.h; all valid when zero.
	struct mutex *blocked_on;                     // the mutex it waits for
	struct rb_node pi_node;                       // in blocked_on->waiters
	struct rb_root pi_held;                       // mutexes it owns that have waiters, most urgent first
	int32_t pi_prio;                              // its place in blocked_on->waiters
	int32_t pi_lent;                              // PRIO_COUNT − the priority that its waiters lend; 0: none
	uint32_t pi_passed;                           // unlocks that woke it and left the race open
	uint32_t pi_woken;                            // woken and not yet back
	const char *waiting_on;                       // atomic: static name of what it sleeps for, NULL
	uint32_t rcu_nesting;                         // own: read sections (CONFIG_LOCKCHECK)
	uint64_t rcu_since_ns;                        // own: when the outermost one began
#if CONFIG_LOCKCHECK
	struct held_lock held_locks[LOCKCHECK_DEPTH]; // own; others may look (lockcheck.h)
#endif

	struct process *process; // own: whom it acts as (kern/process.h), NULL: nobody of its own

	// Life.
	struct list_node all_link; // sched: list of all threads, by id
	uint32_t join_state;       // atomic, enum thread_join (core/sched/join.c)
	uint32_t joined;           // atomic: somebody waits for or took the exit
	struct thread *joiner;     // valid while join_state is JOIN_WAITED
	int64_t exit_value;
	uint64_t call_token;      // hal_call this thread serves, 0: none; own
	uint32_t call_asleep;     // the HAL was told that the call sleeps; own
	uint32_t stack_low;       // own: deepest stack pointer seen at switches and interrupts, from the stack's base
	struct account *account;  // whom its allocations charge; NULL: the kernel's
	struct thread *dead_next; // sched: list of ended threads whose stack is to be given back

	uint32_t stack_canary; // last: the stack above it grows down towards it
};

#endif

enum thread_flags {
	THREAD_FLAG_IDLE = 1u << 0,
	THREAD_FLAG_KERNEL_SERVICE = 1u << 1, // stopped by its owner at shutdown
	THREAD_FLAG_DETACHED = 1u << 2,       // reaped without a join
	THREAD_FLAG_API = 1u << 3             // serves calls of the host
};

// The running thread.
static inline struct thread *current_thread(void)
{
	return (struct thread *)hal_self();
}
#define current current_thread()

// What it does at this moment, which the next may change. No schedule point. Any context.
static inline enum thread_state thread_state_now(const struct thread *thread)
{
	return (enum thread_state)__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE);
}

static inline struct kernel *kernel_self(void)
{
	return hal_kernel();
}

// How sync, base and mem reach the scheduler, which installs the table at boot. Before that, nothing may sleep.
struct sched_hooks {
	// Sleeps until the current thread's permit is set (consumes it) or deadline_ns passes (TB_FOREVER: never). A permit may be
	// stale: callers loop on their condition. Thread context, no spinlock held, unmasked. Returns 0 or -ETIMEDOUT.
	err_t (*park)(uint64_t deadline_ns);

	// Sets the thread's permit and makes it ready when parked. Any context, irq-safe; the caller guarantees that the thread
	// exists (it holds a lock that the thread needs before it can go on).
	void (*unpark)(struct thread *thread);

	// The thread's inherited priority has changed to `prio` (PRIO_COUNT: none). Any context, no run-queue lock held.
	void (*inherit)(struct thread *thread, int32_t prio);

	// preempt_enable()'s slow path: switches when the scheduler wants to. Unmasked, preempt_count 0.
	void (*resched)(void);

	// Starts a service thread of sync's own: fair, nice −20, any CPU. Thread context. Errors: those of thread_start().
	err_t (*service_start)(const char *name, void (*entry)(void *), void *arg, struct thread **out);

	// The calling service thread goes on on that CPU, for a while; where it is if that one is isolated, not online, or does real-time
	// work. Thread context, no lock held.
	void (*service_move)(uint32_t cpu);

	// A service thread that is on such a way, and may have met real-time work there after all, goes on anywhere. Thread context.
	void (*service_free)(struct thread *thread);

	// Waits for the end of such a thread and frees it. Thread context.
	void (*service_join)(struct thread *thread);

	// cpu_call() of kern/sched.h: runs fn(arg) on that CPU in interrupt context and waits for it. Thread context, unmasked.
	err_t (*cpu_call)(uint32_t cpu, void (*fn)(void *), void *arg);
};

#endif
