// SPDX-License-Identifier: MIT
//
// hal/inline.h for bare machines with paging: one instance a machine, whose RAM is seen through a window at a fixed virtual
// address, so that the kernel is a constant and the thread a mask of the stack pointer. The interrupt mask is the
// processor's own, hence follows the thread over a switch, which happens masked.
#ifndef HAL_INLINE_BARE_H
#define HAL_INLINE_BARE_H

#if defined(__x86_64__)

#define HAL_RAM_BASE 0xffff900000000000ull
#define HAL_SLOT_SIZE 0x200000000000ull // how far RAM can reach from there

static inline uintptr_t hal_stack_pointer(void)
{
	uintptr_t sp;
	__asm__("mov %%rsp, %0" : "=r"(sp));
	return sp;
}

static inline bool hal_irq_masked(void)
{
	uintptr_t flags;
	__asm__ volatile("pushfq\n\tpop %0" : "=r"(flags) : : "memory");
	return (flags & 0x200) == 0;
}

static inline bool hal_irq_save(void)
{
	bool was = hal_irq_masked();
	__asm__ volatile("cli" : : : "memory");
	return was;
}

static inline void hal_irq_restore(bool was)
{
	if (!was)
		__asm__ volatile("sti" : : : "memory");
}

#elif defined(__aarch64__)

#define HAL_RAM_BASE 0xffff900000000000ull
#define HAL_SLOT_SIZE 0x200000000000ull

static inline uintptr_t hal_stack_pointer(void)
{
	uintptr_t sp;
	__asm__("mov %0, sp" : "=r"(sp));
	return sp;
}

static inline bool hal_irq_masked(void)
{
	uintptr_t daif;
	__asm__ volatile("mrs %0, daif" : "=r"(daif) : : "memory");
	return (daif & 0x80) != 0;
}

static inline bool hal_irq_save(void)
{
	bool was = hal_irq_masked();
	__asm__ volatile("msr daifset, #2" : : : "memory");
	return was;
}

static inline void hal_irq_restore(bool was)
{
	if (!was)
		__asm__ volatile("msr daifclr, #2" : : : "memory");
}

#elif defined(__riscv)

#define HAL_RAM_BASE 0xffffffd000000000ull
#define HAL_SLOT_SIZE 0x2000000000ull

static inline uintptr_t hal_stack_pointer(void)
{
	uintptr_t sp;
	__asm__("mv %0, sp" : "=r"(sp));
	return sp;
}

static inline bool hal_irq_masked(void)
{
	uintptr_t status;
	__asm__ volatile("csrr %0, sstatus" : "=r"(status) : : "memory");
	return (status & 2) == 0;
}

static inline bool hal_irq_save(void)
{
	uintptr_t status;
	__asm__ volatile("csrrci %0, sstatus, 2" : "=r"(status) : : "memory");
	return (status & 2) == 0;
}

static inline void hal_irq_restore(bool was)
{
	if (!was)
		__asm__ volatile("csrsi sstatus, 2" : : : "memory");
}

#else
#error "bare HAL: unknown architecture"
#endif

#define HAL_STACK_OFFSET 8192u

static inline struct hal_thread *hal_self(void)
{
	return (struct hal_thread *)(hal_stack_pointer() & ~(uintptr_t)(CONFIG_KSTACK_SIZE - 1));
}

static inline struct kernel *hal_kernel(void)
{
	return (struct kernel *)HAL_RAM_BASE;
}

static inline void hal_point(enum hal_point_kind kind)
{
	(void)kind;
}

#endif
