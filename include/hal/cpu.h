// SPDX-License-Identifier: MIT
//
// Core door: CPUs, inter-processor interrupts, idle, contexts, and the slow path of spinning.
#ifndef HAL_CPU_H
#define HAL_CPU_H

#include "hal/inline.h"

// Tells the HAL where the CPU's header lies, and the running thread that this is its CPU. CPU 0: first act of boot, before
// interrupts are unmasked. Masked.
void hal_cpu_bind(struct hal_cpu *cpu);

// Starts a secondary CPU: upcalls->cpu_entry(cpu) runs on the stack whose base is `idle`, already prepared by
// hal_context_init() (whatever entry it named is not used). Any context. Errors: -EAGAIN (no host thread), -EINVAL (index out of range, started twice).
tb_err hal_cpu_start(struct hal_cpu *cpu, struct hal_thread *idle) TB_MUST_USE;

// Waits for an interrupt on this CPU; returns at once if one is pending. Only the idle thread, masked; returns masked
// with nothing delivered: the caller unmasks. The only call that blocks the CPU.
void hal_cpu_idle(void);

// Raises HAL_IRQ_IPI on `cpu` (which may be the caller's). irq-safe, any context.
void hal_ipi(struct hal_cpu *cpu);

// A pause in a polling loop; simulated, a fair yield to the other CPUs. Any context.
void hal_cpu_relax(void);

// Contended spinlock: waits a bounded time while *word == seen; may return early. hal_spin_wake() ends one such wait, if there
// is one. Any context, also masked. On real CPUs the wait is a pause; hosted, the host thread sleeps, because its peer may not be
// running at all (Dice and others: unfair locks suit overcommitted hosts).
void hal_spin_wait(const uint32_t *word, uint32_t seen);
void hal_spin_wake(const uint32_t *word);

// The slow side of an asymmetric Dekker pair (Dice, Huang, Yang 2001; membarrier(2)): when it returns true, every CPU of the
// instance has executed a full memory barrier since the call, or will before it runs kernel code again. The fast side needs no
// more than a compiler barrier. False: the machine or the build cannot, nothing has happened, and it never will. irq-safe;
// a microsecond or two.
bool hal_cpu_barrier(void);

// Prepares a context: the first switch to `thread` calls entry(arg) on its stack, masked, with preempt_count as the kernel
// set it. The stack is CONFIG_KSTACK_SIZE bytes from `thread`; `header_size_bytes` of them are the thread header. Sets
// irq_off, resched, point_mask, sp, sanitizer. `entry` must not return. irq-safe. Errors: -EAGAIN (instrumented builds: no fiber).
tb_err hal_context_init(struct hal_thread *thread, size_t header_size_bytes, void (*entry)(void *),
			void *arg) TB_MUST_USE;

// Saves the callee-saved state of `from` (the caller) and resumes `to`. Masked. Returns when somebody switches back.
void hal_context_switch(struct hal_thread *from, struct hal_thread *to);

// The last switch of a thread: like hal_context_switch(), but `from` will never run again and its stack may be freed or
// reused as soon as another thread runs on this CPU. Masked.
void hal_context_exit(struct hal_thread *from, struct hal_thread *to) __attribute__((__noreturn__));

// Gives back what hal_context_init() took for a thread that never ran or has exited. irq-safe.
void hal_context_fini(struct hal_thread *thread);

#endif
