// SPDX-License-Identifier: MIT
//
// hal/inline.h for the hosted HAL: many instances a process, each in a slot aligned to its own size, so that thread and
// kernel are masks of the stack pointer. No thread-local storage: a compiler may cache its address across a switch.
#ifndef HAL_INLINE_HOSTED_H
#define HAL_INLINE_HOSTED_H

#define HAL_SLOT_BASE 0x550000000000ull
#define HAL_SLOT_LIMIT 0x555500000000ull
#define HAL_SLOT_SIZE 0x100000000ull

// Engine calls behind the inline fast paths. hal_irq_deliver(): interrupts unmasked on entry and on return; it runs every
// pending upcall (and, simulated, is a schedule point). hal_point_slow(): any context; the simulator may run other CPUs.
void hal_irq_deliver(void);
void hal_point_slow(enum hal_point_kind kind);

static inline uintptr_t hal_stack_pointer(void)
{
	uintptr_t sp;
#if defined(__x86_64__)
	__asm__("mov %%rsp, %0" : "=r"(sp));
#elif defined(__aarch64__)
	__asm__("mov %0, sp" : "=r"(sp));
#elif defined(__riscv)
	__asm__("mv %0, sp" : "=r"(sp));
#else
#error "hosted HAL: unknown host architecture"
#endif
	return sp;
}

static inline struct hal_thread *hal_self(void)
{
	return (struct hal_thread *)(hal_stack_pointer() & ~(uintptr_t)(CONFIG_KSTACK_SIZE - 1));
}

static inline struct kernel *hal_kernel(void)
{
	return (struct kernel *)(hal_stack_pointer() & ~(uintptr_t)(HAL_SLOT_SIZE - 1));
}

static inline bool hal_irq_masked(void)
{
	return *(volatile uint32_t *)&hal_self()->irq_off != 0;
}

static inline bool hal_irq_save(void)
{
	struct hal_thread *self = hal_self();
	bool was = *(volatile uint32_t *)&self->irq_off != 0;
	*(volatile uint32_t *)&self->irq_off = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return was;
}

// The CPU is read while still masked; after the unmask we may move, and a stale look is harmless: hal_irq_deliver()
// masks again and looks at the right CPU.
static inline void hal_irq_restore(bool was)
{
	struct hal_thread *self = hal_self();
	if (was)
		return;
	struct hal_cpu *cpu = self->cpu;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*(volatile uint32_t *)&self->irq_off = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&cpu->irq_pending, __ATOMIC_RELAXED) != 0, 0))
		hal_irq_deliver();
}

static inline void hal_point(enum hal_point_kind kind)
{
	if (__builtin_expect((hal_self()->point_mask >> kind) & 1u, 0))
		hal_point_slow(kind);
}

#endif
