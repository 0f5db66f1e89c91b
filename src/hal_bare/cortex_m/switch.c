// SPDX-License-Identifier: MIT
//
// Thread switches and the delivery of interrupts to the kernel; cortex_impl.h, 3 and 4, tells how. The two handlers are
// written in assembly because they change the stack beneath them: a switched-out thread is the exception frame that the processor pushed
// on its PSP, and below that BASEPRI and r4 to r11.
#include "cortex_impl.h"

#include <string.h>

#define FRAME_WORDS 17 // 9 of ours, 8 of the processor's
#define XPSR_THUMB 0x01000000u
#define GUARD_SIZE 32u
#define MPU_REGION_GUARD 7u
#define MPU_RBAR_VALID 0x10u

_Static_assert(CONFIG_KSTACK_SIZE % 8 == 0 && CONFIG_BOOT_STACK_SIZE % 8 == 0,
	       "AAPCS: arguments of 64 bits lie at multiples of 8");
_Static_assert(offsetof(struct hal_thread, sp) == 20, "the handlers know the place");
_Static_assert(offsetof(struct hal_thread, sanitizer) == 24, "the handlers know the place");
_Static_assert(offsetof(struct hal_thread, cpu) == 0, "the switch leaves it to the kernel");

// r0: from, r1: to, r2: PSP of `from`. The guard of `to` goes into the MPU before its stack is used.
#define SWITCH_TO                                                                                                      \
	"	mrs r3, basepri\n"                                                                                           \
	"	stmdb r2!, {r3-r11}\n"                                                                                       \
	"	str r2, [r0, #20]\n"                                                                                         \
	"	ldr r3, =hal_cortex_self\n"                                                                                  \
	"	str r1, [r3]\n"                                                                                              \
	"	ldr r2, [r1, #20]\n"                                                                                         \
	"	ldr r0, [r1, #24]\n"                                                                                         \
	"	ldr r3, =0xe000ed9c\n" /* MPU_RBAR */                                                                  \
	"	str r0, [r3]\n"                                                                                              \
	"	ldmia r2!, {r3-r11}\n"                                                                                       \
	"	msr psp, r2\n"                                                                                               \
	"	msr basepri, r3\n"                                                                                           \
	"	bx lr\n"

__attribute__((naked)) void cortex_svc(void)
{
	__asm__ volatile("	mrs r2, psp\n"
			 "	ldr r0, [r2]\n"
			 "	ldr r1, [r2, #4]\n" SWITCH_TO);
}

__attribute__((naked)) void cortex_pendsv(void)
{
	__asm__ volatile("	push {r4, lr}\n"
			 "	bl cortex_deliver\n"
			 "	pop {r4, lr}\n"
			 "	cbnz r0, 1f\n"
			 "	bx lr\n"
			 "1:	mov r1, r0\n"
			 "	ldr r0, =hal_cortex_self\n"
			 "	ldr r0, [r0]\n"
			 "	mrs r2, psp\n" SWITCH_TO);
}

// PendSV's half in C: the upcall, then whom to switch to; NULL: nobody. Left unmasked, as it was entered.
struct hal_thread *cortex_deliver(void);

__attribute__((used)) struct hal_thread *cortex_deliver(void)
{
	struct hal_thread *next = NULL;

	__asm__ volatile("msr basepri, %0" : : "r"(HAL_CORTEX_MASK) : "memory");
	uint32_t bits = __atomic_exchange_n(&cortex.cpu->irq_pending, 0, __ATOMIC_RELAXED);
	if (bits != 0) {
		cortex.next = NULL;
		tb_upcalls.irq(bits);
		next = cortex.next != hal_cortex_self ? cortex.next : NULL;
	}
	__asm__ volatile("msr basepri, %0" : : "r"(0) : "memory");
	return next;
}

void cortex_raise(uint32_t bits)
{
	if (cortex.cpu == NULL)
		return;
	__atomic_fetch_or(&cortex.cpu->irq_pending, bits, __ATOMIC_RELAXED);
	SCB_ICSR = ICSR_PENDSVSET;
}

static bool in_handler(void)
{
	uint32_t ipsr;
	__asm__ volatile("mrs %0, ipsr" : "=r"(ipsr));
	return ipsr != 0;
}

void hal_context_switch(struct hal_thread *from, struct hal_thread *to)
{
	if (in_handler()) {
		cortex.next = to;
		return;
	}
	register struct hal_thread *r0 __asm__("r0") = from;
	register struct hal_thread *r1 __asm__("r1") = to;
	__asm__ volatile("svc #0" : "+r"(r0), "+r"(r1) : : "memory");
}

// What is saved on the stack of `from` is never used.
void hal_context_exit(struct hal_thread *from, struct hal_thread *to)
{
	hal_context_switch(from, to);
	hal_panic("an ended thread runs");
}

static void context_trap(void)
{
	hal_panic("a thread's entry has returned");
}

// The lowest 32 bytes of the stack proper: who comes there is about to run into the header.
static uintptr_t guard_of(const struct hal_thread *thread, size_t header_size_bytes)
{
	uintptr_t guard = ((uintptr_t)thread + header_size_bytes + GUARD_SIZE - 1) & ~(uintptr_t)(GUARD_SIZE - 1);
	return guard | MPU_RBAR_VALID | MPU_REGION_GUARD;
}

tb_err hal_context_init(struct hal_thread *thread, size_t header_size_bytes, void (*entry)(void *), void *arg)
{
	uint32_t *frame = (uint32_t *)(void *)((char *)thread + CONFIG_KSTACK_SIZE) - FRAME_WORDS;

	memset(frame, 0, FRAME_WORDS * sizeof *frame);
	frame[0] = HAL_CORTEX_MASK;
	frame[9] = (uint32_t)(uintptr_t)arg;
	frame[14] = (uint32_t)(uintptr_t)context_trap;
	frame[15] = (uint32_t)(uintptr_t)entry & ~1u;
	frame[16] = XPSR_THUMB;
	thread->irq_off = 1;
	thread->resched = 0;
	thread->point_mask = 0;
	thread->sp = frame;
	thread->sanitizer = guard_of(thread, header_size_bytes);
	return 0;
}

void hal_context_fini(struct hal_thread *thread)
{
	(void)thread;
}

// The way from reset, on MSP, to thread mode on the boot stack, with interrupts masked by BASEPRI as the kernel knows it.
void cortex_first(struct hal_thread *thread, void *stack_top, void (*entry)(const struct hal_boot_info *),
		  const struct hal_boot_info *info)
{
	hal_cortex_self = thread;
	thread->sanitizer = guard_of(thread, (size_t)(uintptr_t)tb_thread_room);
	MPU_RBAR = thread->sanitizer;
	register const struct hal_boot_info *r0 __asm__("r0") = info;
	__asm__ volatile("msr psp, %1\n\t"
			 "msr basepri, %2\n\t"
			 "msr control, %3\n\t"
			 "isb\n\t"
			 "cpsie i\n\t"
			 "blx %4"
			 :
			 : "r"(r0), "r"(stack_top), "r"(HAL_CORTEX_MASK), "r"(2), "r"(entry)
			 : "memory");
	__builtin_unreachable();
}
