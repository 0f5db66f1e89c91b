// SPDX-License-Identifier: MIT
//
// The run-time checker of locks (CONFIG_LOCKCHECK; all of this costs nothing without it). It verifies at each acquisition
// and release: rank order (kern/lock_rank.h), recursion, the order between unranked locks as a graph that grows with what
// was seen, sleeping where that is forbidden, locks that interrupts take and others hold unmasked, unlock by another
// thread, cycles of waiting mutex owners, locks held at a thread's end. A fault names both locks, both holders and where
// each was taken, as file and line, in the log, and ends the instance; while a test captures, it is recorded instead.
#ifndef KERN_LOCKCHECK_H
#define KERN_LOCKCHECK_H

#include "kern/preempt.h"

#define LOCK_HERE __FILE__ ":" STRINGIFY(__LINE__)

// How a lock is taken.
enum lock_mode {
	LOCK_MODE_PLAIN,
	LOCK_MODE_NESTED, // a second of equal rank, ordered by the caller
	LOCK_MODE_READ,   // shared
	LOCK_MODE_TRY     // never waits, so it can close no cycle
};

enum lock_class_flags {
	LOCK_SLEEPING = 1u << 0,      // its waiters sleep
	LOCK_USED_IN_IRQ = 1u << 1,   // an interrupt has waited for it
	LOCK_USED_UNMASKED = 1u << 2, // a thread has held it with interrupts unmasked
};

// The part of a lock that the checker knows. All fields that change are atomic.
struct lock_class {
	const char *name;     // static string
	uint32_t rank;        // enum lock_rank
	uint32_t flags;       // enum lock_class_flags
	struct thread *owner; // NULL: free, or held by readers
	const char *owner_where;
	const char *irq_where;      // first use of each kind
	const char *unmasked_where; //
};

enum lockcheck_kind {
	LOCKCHECK_RANK,      // lock: wanted; other: held, of higher or equal rank
	LOCKCHECK_RECURSION, // lock: wanted; other: the same, held by the same thread
	LOCKCHECK_ORDER,     // lock: wanted; other: held, and elsewhere taken after `lock`
	LOCKCHECK_SLEEP,     // lock: the place; other: the spinlock held, or what else forbids sleep
	LOCKCHECK_IRQ,       // lock: this use; other: the earlier use
	LOCKCHECK_OWNER,     // lock: the unlock; other: the true owner, if any
	LOCKCHECK_DEADLOCK,  // lock: wanted by this thread; other: wanted by the thread that closes the cycle
	LOCKCHECK_EXIT,      // lock: the end of the thread; other: held
	LOCKCHECK_TOO_DEEP,  // lock: wanted; other: the oldest held of LOCKCHECK_DEPTH
	LOCKCHECK_RCU,       // lock: what is wrong with the read section; other: none
	LOCKCHECK_KIND_COUNT
};

// One side of a fault. `thread_id` 0: nobody known.
struct lockcheck_party {
	const char *name;
	const char *where; // "file:line" or NULL
	uint32_t rank;
	uint32_t thread_id;
	char thread_name[THREAD_NAME_SIZE];
};

struct lockcheck_report {
	enum lockcheck_kind kind;
	struct lockcheck_party lock;
	struct lockcheck_party other;
};

#define LOCKCHECK_CAPTURE_MAX 8

// What a test has provoked. Reports beyond the array are counted only.
struct lockcheck_capture {
	uint32_t count; // atomic
	struct lockcheck_report reports[LOCKCHECK_CAPTURE_MAX];
};

#if CONFIG_LOCKCHECK

// From here on faults of the whole instance go into *capture, and the faulty operation goes on as well as it can: a
// recursion is counted and undone by its unlock, an unlock by a stranger does nothing. NULL ends it. Tests, any context.
void lockcheck_capture(struct lockcheck_capture *capture);

// Name of a kind, for people: "rank order", "recursion" … Static. Any context.
const char *lockcheck_kind_name(enum lockcheck_kind kind);

// Copies the locks that `thread` holds now into the array and returns how many: 0 … max. The thread must not end meanwhile; if
// it runs, the picture may be torn between slots but never within one. Any context.
uint32_t lockcheck_held(struct thread *thread, struct lockcheck_party *parties, uint32_t max);

// See might_sleep() and lockcheck_thread_end().
void lockcheck_might_sleep(const char *where);
void lockcheck_thread_ends(const char *where);

// Stands at the top of everything that may sleep, whether it will or not: no spinlock, no RCU read section, preemption on,
// unmasked, not in an interrupt. Void before the scheduler installs its hooks.
#define might_sleep() lockcheck_might_sleep(LOCK_HERE)

// The scheduler tells: the running thread is about to end, and must hold no lock. Thread context.
#define lockcheck_thread_end() lockcheck_thread_ends(LOCK_HERE)

#else

#define might_sleep() ((void)0)
#define lockcheck_thread_end() ((void)0)

#endif
#endif
