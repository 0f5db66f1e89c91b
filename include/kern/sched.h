// SPDX-License-Identifier: MIT
//
// Threads and the scheduler. Per-CPU run queues; classes FIFO, RR, fair (virtual deadline, nice −20…19), idle; the place of
// the deadline class is before FIFO in sched_impl.h's class table. Ready threads are stolen by idle CPUs, except where
// affinity or isolation forbids it.
#ifndef KERN_SCHED_H
#define KERN_SCHED_H

#include "kern/cpu.h"
#include "kern/sync.h"
#include "kern/timer.h"

struct thread_params {
	const char *name;                // copied, cut to 15 bytes
	enum thread_class klass;         // FIFO, RR, FAIR
	int32_t rt_prio;                 // FIFO, RR: 0 (most urgent) … 99
	int32_t nice;                    // FAIR: −20 … 19
	uint32_t flags;                  // enum thread_flags
	const struct cpu_mask *affinity; // NULL: every CPU that is not isolated
	struct account *account;         // NULL: the creator's
};

// Makes a thread and starts it. The thread is owned by whoever joins it, or by itself when detached. `params` NULL: fair,
// nice 0, named "thread". Thread context (boot: before CPUs are online too). Errors: -ENOMEM, -EINVAL (params), -EAGAIN.
err_t thread_start(const struct thread_params *params, void (*entry)(void *), void *arg,
		   struct thread **out) must_check;

// Waits for the end of a joinable thread, frees it. Thread context. Errors: -EDEADLK (itself), -EINVAL (detached), -ETIMEDOUT.
err_t thread_join(struct thread *thread, int64_t *exit_value) must_check;
err_t thread_join_until(struct thread *thread, int64_t *exit_value, uint64_t deadline_ns) must_check;

// Ends the running thread. Also what happens when its entry returns.
void thread_exit(int64_t value) __attribute__((__noreturn__));

void thread_yield(void);

// Changes class and priority; errors -EINVAL. Affinity: -EINVAL when no online CPU remains. Thread context.
err_t thread_set_prio(struct thread *thread, enum thread_class klass, int32_t rt_prio, int32_t nice) must_check;
err_t thread_set_affinity(struct thread *thread, const struct cpu_mask *mask) must_check;

// An isolated CPU runs only threads whose affinity names it alone, and steals from nobody; others have left it when this
// returns. Thread context. Errors: -EINVAL (CPU 0, which is never isolated; no such CPU), -EBUSY (a thread would have no CPU).
err_t sched_isolate(uint32_t cpu, bool isolated) must_check;

// Park/unpark: see struct sched_hooks.
err_t thread_park(uint64_t deadline_ns) must_check;
void thread_unpark(struct thread *thread);

// Calls fn for every thread with a consistent copy of its figures, in id order. Thread context; fn may not sleep.
struct thread_info {
	uint32_t id, state, klass, cpu;
	int32_t prio, prio_base;
	char name[THREAD_NAME_SIZE];
	struct thread_stats stats;
	uint64_t stack_used_bytes;
	uint32_t held_count;    // locks held now; 0 without CONFIG_LOCKCHECK
	const char *waiting_on; // static name of the lock or queue, NULL
};
void thread_each(void (*fn)(const struct thread_info *, void *), void *arg);

struct cpu_info {
	uint32_t index, node, online, isolated, ready_count, switches, steals, interrupts, ipis;
	uint64_t busy_ns, idle_ns, latency_max_ns;
	char current_name[THREAD_NAME_SIZE];
};
err_t sched_cpu_info(uint32_t index, struct cpu_info *info) must_check;

// The slice of RR and fair threads, from the persona; may be changed while running. 100 µs … 1 s, else -EINVAL.
err_t sched_set_slice_ns(uint64_t slice_ns) must_check;
uint64_t sched_slice_ns(void);

// Boot stages. thread_boot_init(): the running boot stack becomes the idle thread of CPU 0; once the CPU is known, before any
// lock. sched_init(): run queues, timers, hooks; frames exist. sched_start_cpus(): the others. sched_stop(): gives back the
// stacks that are kept for new threads; thread context, nothing starts threads any more.
void thread_boot_init(struct cpu *cpu);
void sched_stop(void);
err_t sched_init(struct kernel *kernel) must_check;
err_t sched_start_cpus(struct kernel *kernel) must_check;
void sched_cpu_entry(struct cpu *cpu) __attribute__((__noreturn__)); // secondary CPUs
void sched_idle_loop(void) __attribute__((__noreturn__));            // what the boot stack ends in

// The irq upcall: accounts, dispatches timer/IPI, then switches when wanted. Others' causes go to the handlers below.
void sched_interrupt(uint32_t bits);
typedef void (*irq_handler)(uint32_t bits);
void irq_handler_set(enum hal_irq cause, irq_handler handler); // CONSOLE, CALL, STOP; boot only

// Runs fn(arg) on the CPU in interrupt context and waits for it. Thread context. -EINVAL.
err_t cpu_call(uint32_t cpu, void (*fn)(void *), void *arg) must_check;

err_t sched_check(void) must_check; // every invariant of every run queue; -EUCLEAN with a log line

static inline void cpu_mask_set(struct cpu_mask *mask, uint32_t cpu)
{
	mask->words[cpu / 32] |= 1u << (cpu % 32);
}
static inline bool cpu_mask_has(const struct cpu_mask *mask, uint32_t cpu)
{
	return (mask->words[cpu / 32] >> (cpu % 32)) & 1u;
}

#endif
