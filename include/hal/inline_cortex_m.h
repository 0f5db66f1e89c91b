// SPDX-License-Identifier: MIT
//
// hal/inline.h for Cortex-M: one CPU, one instance. The running thread is a word that the switch writes (stacks need no
// alignment, so they may be small); the kernel lies at the start of RAM, where the linker script puts it. Interrupts that
// may enter the kernel have priorities that BASEPRI holds back; the mask travels with the thread, because the switch saves it.
//
// One restriction of this HAL: inside the irq upcall, which runs in handler mode on the interrupt stack, hal_context_switch()
// notes where to go and returns; the switch happens when the upcall returns. So a scheduler does nothing after it there.
#ifndef HAL_INLINE_CORTEX_M_H
#define HAL_INLINE_CORTEX_M_H

// Priorities below this one (greater numbers) are the kernel's interrupts; faults and the switch stay above it.
#define HAL_CORTEX_MASK 0x40u

extern struct hal_thread *volatile hal_cortex_self;
extern char hal_cortex_kernel[]; // linker script

static inline struct hal_thread *hal_self(void)
{
	return hal_cortex_self;
}

static inline struct kernel *hal_kernel(void)
{
	return (struct kernel *)(void *)hal_cortex_kernel;
}

static inline bool hal_irq_masked(void)
{
	uint32_t base;
	__asm__ volatile("mrs %0, basepri" : "=r"(base));
	return base != 0;
}

static inline bool hal_irq_save(void)
{
	bool was = hal_irq_masked();
	__asm__ volatile("msr basepri, %0" : : "r"(HAL_CORTEX_MASK) : "memory");
	return was;
}

// What is pending is taken by the processor as soon as the mask falls.
static inline void hal_irq_restore(bool was)
{
	if (!was)
		__asm__ volatile("msr basepri, %0\n\tisb" : : "r"(0) : "memory");
}

static inline void hal_point(enum hal_point_kind kind)
{
	(void)kind;
}

#endif
