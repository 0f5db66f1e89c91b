// SPDX-License-Identifier: MIT
//
// A CPU as the kernel sees it, and how to say "this one". Per-CPU state of each subsystem hangs here by pointer; it is
// touched only with preemption off (or masked, where an interrupt touches it too), and each such access is a schedule
// point of the simulator.
#ifndef KERN_CPU_H
#define KERN_CPU_H

#include "kern/kernel.h"
#include "kern/thread.h"

struct cpu {
	struct hal_cpu hal; // must be first
	struct kernel *kernel;
	struct thread *running;       // the running thread; written by the switch
	struct thread *idle;          // immutable
	struct thread *switched_from; // between a switch and its finish
	uint32_t switch_fate;         // what the finish does with it (core/sched/dispatch.c)
	uint32_t node;
	uint32_t online;
	uint32_t irq_depth;    // > 0 inside the irq upcall
	struct slab_cpu *slab; // one for each slab cache, by its id

	struct runq *runq;
	struct timer_cpu *timers;
	struct rcu_cpu *rcu;
	struct trace_cpu *trace;
	struct frame_cpu *frames;
	struct lockcheck_cpu *lockcheck;
	uintptr_t *counters; // one word per counter id, atomic; see kern/counter.h
};

// The running CPU. Valid while preemption is off or interrupts are masked.
static inline struct cpu *this_cpu(void)
{
	return (struct cpu *)hal_self()->cpu;
}

static inline bool in_interrupt(void)
{
	return this_cpu()->irq_depth != 0;
}

#endif
