// SPDX-License-Identifier: MIT
//
// The scheduler of small machines: kern/sched.h and kern/timer.h for one CPU and a dozen threads, in a hundred bytes of state.
//
// Purpose. What the full scheduler gives (preemption, slices, priorities, inheritance, parking, timers, joins), where per-CPU
// queues, fair classes and balancing would cost more RAM than the machine has. Programs see the same headers.
//
// Files
//   tiny_switch.c  the ready list, the switch, what an interrupt does, idle
//   tiny_thread.c  threads: made, ended, joined, listed; park and unpark; priorities
//   tiny_timer.c   timers, the HAL's one-shot timer, sleep
//
// 1 Order. One list of ready threads, most urgent first, equals by arrival. A smaller `prio` always goes first: nice values of fair
//   threads order them strictly, which is the one promise of the full scheduler that is not kept here (a nicer thread may
//   starve). FIFO threads run until they give up; RR and fair ones share by slices with their equals, and a slice is only timed
//   when an equal is ready. What is preempted by something more urgent keeps its place before its equals.
//
// 2 States are those of kern/thread.h; thread_state_set() checks each change. READY threads but the idle thread are in the list,
//   RUNNING is the one that `current` names, PARKED and DEAD are nowhere.
//
// 3 The switch. sched_switch() is entered masked, decides, and ends with hal_context_switch(), after which it does nothing: on
//   Cortex-M an interrupt's switch happens only when the upcall has returned (hal/inline_cortex_m.h). So nothing is left to be
//   done by who comes next: a thread that ends tells its joiner before it leaves, which is right, since on one CPU the joiner
//   cannot run before that. A detached thread's stack waits in `ended` for the next thread_start() or thread_yield().
//
// 4 Masking is the only lock: every function here masks while it touches state, for tens of instructions.
//
// Invariants (sched_check): the ready list is ordered, its threads are READY and whole; the running thread's canary stands; the timer
// armed is no later than the first deadline and the slice's end. Lock order: none. May sleep: park, join, sleep.
#ifndef TINY_IMPL_H
#define TINY_IMPL_H

#include "hal/clock.h"
#include "hal/cpu.h"
#include "kern/counter.h"
#include "kern/sched.h"

#define THREAD_CANARY 0x5afe57acu
// Hosted, `current` is a mask of the stack pointer; a machine whose HAL keeps it in a word says how large its boot stack is.
#if CONFIG_HAL_CORTEX_M
#define STACK_ALIGN 8u
#define BOOT_STACK_SIZE CONFIG_BOOT_STACK_SIZE
#else
#define STACK_ALIGN CONFIG_KSTACK_SIZE
#define BOOT_STACK_SIZE CONFIG_KSTACK_SIZE
#endif
#define IRQ_CAUSES 6u

enum switch_why {
	SWITCH_PREEMPT, // something more urgent, or the slice is over
	SWITCH_YIELD,
	SWITCH_PARK,
	SWITCH_EXIT
};

struct sched_state {
	struct list ready;    // by prio, then arrival; never the idle thread
	struct list threads;  // all, by id
	struct thread *ended; // a detached thread that has left its stack
	uint32_t next_id;
	uint16_t thread_count;
	uint8_t slice_over; // the running thread's turn has ended
	uint8_t let_go;     // the HAL wants the CPU back: idle comes next
	uint64_t slice_ns;
	uint64_t slice_end_ns; // TB_FOREVER: no equal is waiting
	uint64_t since_ns;     // when the running thread was switched in
	uint64_t armed_ns;     // what the HAL's timer is set to
	struct rb_root timers; // struct timer, by due_ns
	uint32_t timer_count;
	irq_handler handlers[IRQ_CAUSES];
};

static inline struct sched_state *sched_state(void)
{
	return kernel_self()->sched;
}

// tiny_switch.c; all masked.
void sched_switch(enum switch_why why);
void ready_insert(struct thread *thread, bool before_equals);
void ready_wake(struct thread *thread); // to READY; asks for a switch when it is more urgent
void resched_look(void);                // asks for a switch when somebody in the list beats the running thread
void sched_resched(void);               // hook: unmasked

// tiny_thread.c
void thread_state_set(struct thread *thread, enum thread_state state);
void thread_inherit(struct thread *thread, int32_t prio);
void thread_reap(void); // the stack of `ended`. Thread context

// tiny_timer.c
void timer_interrupt(void);
void timer_program(void); // masked: the HAL's timer to whatever comes first

#endif
