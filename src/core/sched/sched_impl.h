// SPDX-License-Identifier: MIT
//
// The scheduler: which thread runs where, and when it is somebody else's turn.
//
// 1 Files
//   thread.c      creation, moves between states, the list of all threads     stack.c   stacks, canary, depth
//   join.c        end of a thread, join, reaping            prio.c      priorities, classes, affinity, isolation
//   runq.c        one queue per CPU: in, out, who goes first, when a slice ends     park.c  park, unpark, wake
//   dispatch.c    the switch and what follows it            class_rt.c  FIFO and RR: bitmap of 100 levels (rt.h)
//   class_fair.c  virtual deadlines (fair.h)                class_idle.c  the thread that runs when none wants to
//   balance.c     placement of wakes, stealing, kicks       cpu.c       boot, idle loop, calls to other CPUs
//   timer.c       timers of one CPU, sleep                  irq.c       what an interrupt does
//   biased.c      locks of queues that their CPU takes for nothing
//   stats.c       figures                                   sched_check.c  invariants
//
// 2 Classes, most urgent first. Their order is enum sched_order; a deadline class goes before ORDER_RT.
//   FIFO, RR (ORDER_RT): 100 levels, first come first served within one; RR rotates after its slice.
//   FAIR: earliest virtual deadline first (Stoica, Abdel-Wahab 1995, without the eligibility test on every pick; Parekh,
//   Gallager 1993 bound the lead this allows by one request). IDLE: nothing else.
//
// 3 A thread's states: thread.h. READY and on_runq: in the queue of `home`. READY and not on_runq: on its way from one
//   CPU to another; only the code that took it out touches it. RUNNING: `home->running` is it. Parked threads belong to
//   their home's lock as well. `home` changes only under the lock of the old home, so thread_lock() looks, locks, and looks again.
//
// 4 The switch. The queue's lock is dropped before hal_context_switch(), so no lock is handed over. Until the next thread
//   has cleared `on_cpu` of the one that left, its stack is in use: nobody may run it elsewhere, and it is not freed. A wake
//   in that window puts it into its home's queue, whose CPU cannot look before it has finished the switch.
//
// 5 Preemption. Who makes a thread ready compares it with the running one of the target CPU. Own CPU: HAL_RESCHED_WANTED is set
//   in the running thread, which only ever writes its own flag. Another CPU: a bit in runq.requests, then an IPI, whose
//   handler does the same over there. The slice timer is armed only while somebody of the same class waits, and never moved
//   later: a timer that comes too early looks and re-arms (no HAL call on the switch's path).
//
// 6 Idle CPUs set their bit in sched_state.idle, then look for work to steal, then sleep. Who leaves a thread waiting looks at the
//   bits afterwards and sends one of them an IPI. A pending interrupt ends hal_cpu_idle() at once, so no wake is lost.
//
// 7 Invariants (sched_check.c): one running thread per CPU, whose home it is; counts, sums and bitmap match the queues; the fair
//   tree is in order; a queued thread is READY and at home; |lag| of a fair thread ≤ one request at joining.
//   While the lock of the list of threads is free: every thread on it has a CPU that affinity and isolation leave it; who is
//   queued may run there; who runs may, or is `expelled`, and its next switch takes it away. Masks and isolation change
//   under that lock, together with what follows for queues; who is on no queue is looked at when it enters one.
//
// 8 Locks: threads (list of all) < timer queue < run queue. Never two run queues at once. All but the first are
//   taken masked, and are biased to their CPU (biased.h).
//   May sleep: thread_start, thread_join, thread_set_affinity, sched_isolate, park and what is built on it.
#ifndef SCHED_IMPL_H
#define SCHED_IMPL_H

#include "biased.h"

#include "hal/call.h"
#include "hal/clock.h"
#include "hal/cpu.h"
#include "kern/atomic.h"
#include "kern/counter.h"
#include "kern/lock.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/rcu.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/timer.h"
#include "kern/trace.h"

#define RT_LEVELS 100
#define RT_WORDS ((RT_LEVELS + 31) / 32)
#define STACK_CACHE_COUNT 4u // stacks kept per CPU
#define STACK_ORDER                                                                                                    \
	(CONFIG_KSTACK_SIZE <= (1 << CONFIG_FRAME_SHIFT) ? 0u                                                          \
							 : STACK_ORDER_OF(CONFIG_KSTACK_SIZE >> CONFIG_FRAME_SHIFT))
#define STACK_ORDER_OF(frames) ((uint32_t)__builtin_ctz(frames))
#define THREAD_CANARY 0x7e57ca9eu
#define SLICE_MIN_NS 100000ull
#define SLICE_MAX_NS 1000000000ull
#define TIMER_BREATH_NS 10000u // at least, between two timer interrupts of which the second was due at once
#define NO_CPU UINT32_MAX

enum sched_order {
	ORDER_RT,
	ORDER_FAIR,
	ORDER_IDLE,
	ORDER_COUNT
};

// Why the running thread gives up its CPU.
enum switch_why {
	SWITCH_PREEMPT, // it would go on if nobody were better
	SWITCH_YIELD,
	SWITCH_PARK,
	SWITCH_EXIT
};

// What the switch's finish has to do with the thread that left.
enum switch_fate {
	FATE_NONE,
	FATE_WAITING,  // it is in the queue: an idle CPU may want it
	FATE_EXPELLED, // it may not stay on this CPU
	FATE_DEAD
};

// Where a thread goes among its equals.
enum put_how {
	PUT_TAIL,    // has become ready
	PUT_HEAD,    // was preempted
	PUT_NEW_TURN // its turn has ended, by itself or by the slice: a new slice, behind the others
};

// runq.requests: what the next IPI is about.
enum runq_request {
	REQUEST_RESCHED = 1u << 0, // compare again
	REQUEST_PROGRAM = 1u << 1, // slice or first timer has changed: arm the HAL's timer
	REQUEST_CALL = 1u << 2     // cpu_call() waits
};

struct rt_queue {
	uint32_t bitmap[RT_WORDS];
	struct list levels[RT_LEVELS];
};

struct fair_queue {
	struct rb_root tree;  // ready threads by deadline_v
	uint32_t count;       // of them
	uint32_t joined;      // and the running one, if it is fair
	uint64_t virtual_now; // never goes back
	uint64_t weight;      // Σ weight of the joined
	int64_t lead;         // Σ weight · (vruntime − virtual_now)
};

struct cpu_call {
	struct cpu_call *next;
	void (*fn)(void *);
	void *arg;
	uint32_t done; // atomic
};

struct runq {
	struct biased_lock lock;
	bool ipi_due;              // tell the CPU once the lock is free
	struct cpu *cpu;           // immutable
	uint32_t ready_mask;       // bit per enum sched_order with queued threads
	uint32_t ready_count;      // atomic: queued threads
	int32_t running_prio;      // atomic: effective priority of the running thread
	uint32_t requests;         // atomic: enum runq_request
	uint64_t slice_end_ns;     // when the running thread's turn ends; TB_FOREVER: nobody waits for it
	const struct thread *last; // who ran before: its cache is warm
	struct rt_queue rt;
	struct fair_queue fair;
	struct cpu_call *calls; // atomic stack

	uint32_t let_go; // own CPU, masked: idle is to hand the CPU to the HAL once

	// Stacks of ended threads, for the next ones.
	struct thread *stacks;
	uint32_t stack_count;
	struct thread *dead; // more than the cache holds, to be freed by whoever may

	// Figures, under the lock.
	uint32_t switches;
	uint32_t steals;
	uint32_t interrupts; // own CPU, masked; atomic
	uint32_t ipis;       // likewise
	uint64_t online_since_ns;
	uint64_t latency_max_ns;
};

struct timer_cpu {
	struct biased_lock lock;
	struct cpu *cpu; // immutable
	struct rb_root tree;
	uint32_t count;
	struct timer *running;  // its callback runs now
	uint64_t not_before_ns; // for what callbacks arm now
	uint64_t armed_ns;      // own CPU, masked: what the HAL's timer is set to
};

// Into the queue and out of it is in fair.h and rt.h; runq.h chooses.
struct sched_class {
	const char *name;
	enum sched_order order;
	void (*join)(struct runq *rq, struct thread *thread);  // becomes ready or running on this queue
	void (*leave)(struct runq *rq, struct thread *thread); // is neither any more
	struct thread *(*first)(const struct runq *rq);
	void (*charge)(struct runq *rq, struct thread *thread, uint64_t ran_ns);
	bool (*beats)(const struct thread *a, const struct thread *running);    // same order: should `a` run instead?
	uint64_t (*slice)(const struct runq *rq, const struct thread *running); // ns left, TB_FOREVER: no end
	// Queued threads, best first; NULL after the last.
	struct thread *(*next)(const struct runq *rq, const struct thread *thread);
};

struct sched_state {
	uint32_t idle[CPU_MASK_WORDS];     // atomic: CPUs that wait for work
	uint32_t isolated[CPU_MASK_WORDS]; // atomic
	uint32_t online[CPU_MASK_WORDS];   // atomic
	uint32_t biased;                   // immutable: hal_cpu_barrier() works
	uint32_t slice_us;                 // atomic
	uint32_t thread_limit;             // immutable
	irq_handler handlers[7];           // by bit of enum hal_irq
	struct spinlock threads_lock;
	struct list threads; // all_link
	uint32_t thread_count;
	uint32_t next_id;
};

static inline struct sched_state *sched_state(void)
{
	return kernel_self()->sched;
}

// For accounts only: two looks may be out of order by HAL_CLOCK_ROUGH_NS, so differences go through sched_passed_ns().
// Masked.
static inline uint64_t sched_now_ns(void)
{
	return hal_clock_rough_ns();
}

static inline uint64_t sched_passed_ns(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

static inline bool runq_lock(struct runq *rq)
{
	bool was = hal_irq_save();
	biased_take(&rq->lock);
	return was;
}

// class_*.c
extern const struct sched_class class_fifo, class_rr, class_fair, class_idle;
extern const struct sched_class *const sched_classes[CLASS_IDLE + 1];
void rt_queue_init(struct rt_queue *queue);
void fair_set_nice(struct thread *thread, int32_t nice); // not joined
bool fair_is_eligible(struct fair_queue *queue, const struct thread *thread);
void fair_detach(struct runq *rq, struct thread *thread); // not joined; will join another queue

static inline const struct sched_class *class_of(const struct thread *thread)
{
	return sched_classes[thread->klass];
}

// thread.c
extern const uint8_t thread_moves[THREAD_REAPED + 1];

// The only place where a state changes.
static inline void thread_state_set(struct thread *thread, enum thread_state state)
{
	VERIFY((thread_moves[thread->state] >> state & 1u) != 0);
	atomic_store_u32_relaxed_nopoint(&thread->state, state);
}

err_t thread_make_idle(struct cpu *cpu) must_check;
err_t thread_params_check(const struct thread_params *params) must_check;
err_t thread_list_add(struct thread *thread) must_check;
void thread_list_remove(struct thread *thread);
err_t thread_service_start(const char *name, void (*entry)(void *), void *arg, struct thread **out) must_check;
void thread_service_move(uint32_t cpu); // prio.c, as the next
void thread_service_free(struct thread *thread);
void thread_service_join(struct thread *thread);
void thread_release(struct thread *thread); // ended: gives its memory back; thread context

// stack.c
struct thread *stack_get(struct account *account) must_check; // zeroed header; thread context
void stack_put(struct thread *thread); // any context; what the cache cannot hold waits for stack_reap()
void stack_reap(void);                 // frees what waits on this CPU; thread context
void stack_drain(struct runq *rq);     // and what the cache holds; thread context

// Where this is called from, as seen from the base.
static inline void stack_note_depth(struct thread *thread)
{
	uint32_t low = (uint32_t)((uintptr_t)__builtin_frame_address(0) - (uintptr_t)thread);
	if (low < thread->stack_low)
		atomic_store_u32_relaxed_nopoint(&thread->stack_low, low);
}

void stack_check(const struct thread *thread);
size_t stack_used_bytes(const struct thread *thread);

// runq.c. All masked; _locked: rq's lock is held.
struct runq *thread_lock(struct thread *thread, bool *was); // the run queue of its home, locked
void runq_enqueue_locked(struct runq *rq, struct thread *thread, uint64_t now_ns);
void runq_dequeue_locked(struct runq *rq, struct thread *thread); // a queued one, to go elsewhere
void runq_look_locked(struct runq *rq);                           // has the running thread lost its right to run?
void runq_rearm_locked(struct runq *rq);
void runq_tell(struct runq *rq, uint32_t request); // another CPU; its lock not held
void runq_unlock(struct runq *rq, bool was);       // what runq_lock() or thread_lock() took
void runq_tick(struct runq *rq, uint64_t now_ns);

// dispatch.c
void sched_switch(enum switch_why why); // masked, no lock; returns when the thread runs again
void sched_switch_finish(void);
void sched_resched(void);

static inline void resched_set_own(void)
{
	struct hal_thread *self = hal_self();
	__atomic_store_n(&self->resched, __atomic_load_n(&self->resched, __ATOMIC_RELAXED) | HAL_RESCHED_WANTED,
			 __ATOMIC_RELAXED);
}

static inline void resched_clear_own(void)
{
	struct hal_thread *self = hal_self();
	__atomic_store_n(&self->resched, __atomic_load_n(&self->resched, __ATOMIC_RELAXED) & ~HAL_RESCHED_WANTED,
			 __ATOMIC_RELAXED);
}

// park.c
void thread_wake(struct thread *thread);

// prio.c
void thread_prio_apply(struct thread *thread, enum thread_class klass, int32_t prio); // on no queue
void sched_inherit(struct thread *thread, int32_t prio);

// balance.c
bool balance_allows(const struct thread *thread, uint32_t cpu);
bool balance_has_cpu(const struct cpu_mask *mask, uint32_t without);
struct cpu *balance_place_locked(struct runq *home, const struct thread *thread, bool settled);
void balance_rehome_locked(struct runq *home, struct thread *thread, struct cpu *target);
void balance_send(struct thread *thread); // READY, on no queue: to a CPU that it may use
bool balance_steal(struct cpu *cpu);      // masked, no lock
struct cpu *balance_find_helper(struct runq *rq, const struct thread *waiting);
void balance_idle_set(const struct cpu *cpu, bool idle);
bool balance_is_isolated(uint32_t cpu);

// timer.c
void timer_program(struct cpu *cpu); // masked, own CPU: arms the HAL's timer for whatever comes first, exactly
void timer_interrupt(void);          // masked

// Makes sure that the HAL's timer does not come after deadline_ns. Masked, own CPU.
static inline void timer_at_latest(struct cpu *cpu, uint64_t deadline_ns)
{
	if (deadline_ns < cpu->timers->armed_ns) {
		cpu->timers->armed_ns = deadline_ns;
		hal_timer_arm(deadline_ns);
	}
}

// cpu.c
void cpu_call_run(struct runq *rq);

// join.c
void thread_bury(struct thread *dead); // switch finish: it has left its stack. Masked, no lock

#endif
