// SPDX-License-Identifier: MIT
//
// The part of the HAL line that must be inlined: who am I (thread, kernel), the interrupt mask, and the simulator's
// schedule point. Every HAL supplies the same names:
//
//   hal_self()                 header of the running kernel thread's stack; any context on a kernel stack
//   hal_kernel()               the instance that owns the running stack
//   hal_irq_save()             masks interrupts on this thread; returns whether they were masked already
//   hal_irq_restore(was)       undoes hal_irq_save(); delivers what arrived meanwhile when `was` is false
//   hal_irq_masked()           whether interrupts are masked now
//   hal_point(kind)            a place where the simulator may run another CPU; nothing elsewhere
//
// The mask belongs to the thread, not to the CPU: the stack is the identity, so that a mask flag can be read and
// written without knowing which CPU runs us. A switch happens with the mask set on both sides.
#ifndef HAL_INLINE_H
#define HAL_INLINE_H

#include "tbos/types.h"

struct kernel;
struct hal_cpu;

// Interrupt causes, OR-ed into hal_cpu.irq_pending and handed to the irq upcall.
enum hal_irq {
	HAL_IRQ_TIMER = 1u << 0,   // the one-shot timer of this CPU has expired
	HAL_IRQ_IPI = 1u << 1,     // another CPU called hal_ipi()
	HAL_IRQ_CONSOLE = 1u << 2, // console input waits, or the console's size changed
	HAL_IRQ_CALL = 1u << 3,    // the host asks for a call: hal_call_take()
	HAL_IRQ_STOP = 1u << 4,    // the host wants an orderly shutdown
	HAL_IRQ_PANEL = 1u << 5,   // a key has changed: hal_panel_keys()
	HAL_IRQ_BLOCK = 1u << 6,   // a request to a disk is done: hal_block_take()
	HAL_IRQ_POINT = 1u << 31,  // never delivered: kept set by the simulator, so that every unmask asks it
};

// hal_thread.resched: reasons for preempt_enable() to leave the fast path.
enum hal_resched {
	HAL_RESCHED_WANTED = 1u << 0, // the scheduler wants this CPU
	HAL_RESCHED_POINT = 1u << 31, // kept set by the simulator
};

// Kinds of schedule point: the bit number in hal_thread.point_mask.
enum hal_point_kind {
	HAL_POINT_LOCK,
	HAL_POINT_UNLOCK,
	HAL_POINT_WAKE,
	HAL_POINT_IRQ_ENABLE,
	HAL_POINT_IRQ,
	HAL_POINT_PERCPU,
	HAL_POINT_RELAX,
	HAL_POINT_ATOMIC,
	HAL_POINT_BLOCK,
	HAL_POINT_TRAP,
	HAL_POINT_COUNT
};

// First member of struct cpu. Written by the HAL unless said otherwise.
struct hal_cpu {
	uint32_t irq_pending; // atomic OR of enum hal_irq
	uint32_t index;       // 0 … cpu_count-1; set by the kernel before hal_cpu_bind()
	uint32_t host;        // the HAL's own handle; never a host pointer
	uint32_t clock_reach; // ticks; the four are for hal_clock_rough_ns() of the hosted HAL: own CPU, masked
	uint64_t clock_ticks; // read at
	uint64_t clock_ns;    // this time
	uint64_t clock_scale; // ns per 2^32 ticks
};

// First member of struct thread, at the base of each size-aligned kernel stack.
struct hal_thread {
	struct hal_cpu *cpu; // the CPU that runs this thread; valid with preemption off; written by the kernel's switch
	uint32_t irq_off;    // 1: interrupts masked
	uint32_t preempt_count; // kernel's: > 0 forbids preemption
	uint32_t resched;       // enum hal_resched
	uint32_t point_mask;    // schedule points that call the simulator; 0 under every other engine
	void *sp;               // saved stack pointer while switched out
	uintptr_t sanitizer;    // fiber of an instrumented build, else 0
};

#if CONFIG_HAL_HOSTED
#include "hal/inline_hosted.h"
#elif CONFIG_HAL_NULL
#include "hal/inline_null.h"
#elif CONFIG_HAL_CORTEX_M
#include "hal/inline_cortex_m.h"
#else
#include "hal/inline_bare.h"
#endif

// From the base of a stack: below lie the header and, where the HAL guards stacks, a page that must not be touched.
#ifndef HAL_STACK_OFFSET
#define HAL_STACK_OFFSET 0u
#endif

#endif
