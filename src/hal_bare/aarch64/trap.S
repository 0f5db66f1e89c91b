// SPDX-License-Identifier: MIT
//
// Vectors: each saves all general registers as struct trap_frame and calls trap_handle(frame, kind) on the interrupted stack. Before the
// first store it looks whether that stack still has room: when the stack pointer has reached the guard (or the page below it), or
// when the store itself faulted, the CPU's emergency stack takes over. Scratch registers of the vectors: tpidrro_el0 and
// sp_el0, which hold nothing while the kernel runs; user mode will save the latter when it enters. And the switch of contexts.
#include "arm.h"

	.section .text.vectors, "ax"

// Room for the frame; to \bad when the stack is used up. Stacks lie in the window (bit 44 of the address; the image has bit 46 too),
// aligned to their 32 KiB, with the guard in the second of eight pages. Flags are free: the processor has saved them.
	.macro STACK_CHECK bad
	sub sp, sp, #ARM_FRAME_SIZE
	msr tpidrro_el0, x0
	mov x0, sp
	tbz x0, #44, 1f
	tbnz x0, #46, 1f
	tst x0, #(CONFIG_KSTACK_SIZE - 1) & ~8191
	b.eq \bad
1:
	.endm

	.macro VECTOR kind
	.balign 128
	STACK_CHECK bad_\kind
	mrs x0, tpidrro_el0
	stp x0, x1, [sp]
	mov x1, #\kind
	b vector_save
	.endm

	.balign 2048
	.globl vector_table
vector_table:
	VECTOR 4 // from SP_EL0: never
	VECTOR 5
	VECTOR 6
	VECTOR 7
	.balign 128
	b vector_sync
	VECTOR 1
	VECTOR 2
	VECTOR 3
	VECTOR 4 // from EL0, AArch64: not yet
	VECTOR 5
	VECTOR 6
	VECTOR 7
	VECTOR 4 // from EL0, AArch32: never
	VECTOR 5
	VECTOR 6
	VECTOR 7
	.balign 128

// Three things first. A fault of the lines that save: the stack is no memory. A TLB conflict (an entry was split while this CPU held
// the whole): flush and try again, touching no stack, because that may be what conflicts. Then as the others.
vector_sync:
	msr tpidrro_el0, x0
	msr sp_el0, x1
	mrs x0, elr_el1
	adr x1, vector_table
	sub x0, x0, x1
	cmp x0, #(vector_saved_all - vector_table)
	b.lo bad_store
	mrs x0, esr_el1
	and x1, x0, #0x3f
	cmp x1, #0x30
	b.eq 3f
2:	mrs x1, sp_el0
	mrs x0, tpidrro_el0
	STACK_CHECK bad_0
	mrs x0, tpidrro_el0
	stp x0, x1, [sp]
	mov x1, #0
	b vector_save
3:	lsr x0, x0, #26
	orr x0, x0, #4
	cmp x0, #0x25 // data abort, or instruction abort (0x21)
	b.ne 2b
	tlbi vmalle1
	dsb nsh
	isb
	mrs x1, sp_el0
	mrs x0, tpidrro_el0
	eret

vector_save:
	stp x2, x3, [sp, #16]
	stp x4, x5, [sp, #32]
	add x4, sp, #ARM_FRAME_SIZE
	str x4, [sp, #ARM_FRAME_SP]
vector_saved:
	stp x6, x7, [sp, #48]
	stp x8, x9, [sp, #64]
	stp x10, x11, [sp, #80]
	stp x12, x13, [sp, #96]
	stp x14, x15, [sp, #112]
	stp x16, x17, [sp, #128]
	stp x18, x19, [sp, #144]
	stp x20, x21, [sp, #160]
	stp x22, x23, [sp, #176]
	stp x24, x25, [sp, #192]
	stp x26, x27, [sp, #208]
	stp x28, x29, [sp, #224]
	str x30, [sp, #240]
	mrs x2, elr_el1
	mrs x3, spsr_el1
	stp x2, x3, [sp, #ARM_FRAME_PC]
	// A frame record, so that a backtrace goes through: as if the interrupted code had called.
	stp x29, x2, [sp, #ARM_FRAME_RECORD]
vector_saved_all:
	add x29, sp, #ARM_FRAME_RECORD
	mov x0, sp
	bl trap_handle
	ldp x2, x3, [sp, #ARM_FRAME_PC]
	msr daifset, #15
	msr elr_el1, x2
	msr spsr_el1, x3
	ldp x0, x1, [sp]
	ldp x2, x3, [sp, #16]
	ldp x4, x5, [sp, #32]
	ldp x6, x7, [sp, #48]
	ldp x8, x9, [sp, #64]
	ldp x10, x11, [sp, #80]
	ldp x12, x13, [sp, #96]
	ldp x14, x15, [sp, #112]
	ldp x16, x17, [sp, #128]
	ldp x18, x19, [sp, #144]
	ldp x20, x21, [sp, #160]
	ldp x22, x23, [sp, #176]
	ldp x24, x25, [sp, #192]
	ldp x26, x27, [sp, #208]
	ldp x28, x29, [sp, #224]
	ldr x30, [sp, #240]
	add sp, sp, #ARM_FRAME_SIZE
	eret

// The stack that the frame does not fit on becomes a number in the frame. x1: kind.
	.macro BAD kind
bad_\kind:
	msr sp_el0, x1
	mov x1, #(8 + \kind)
	b bad_stack
	.endm
	BAD 0
	BAD 1
	BAD 2
	BAD 3
	BAD 4
	BAD 5
	BAD 6
	BAD 7
bad_store: // x0 in tpidrro_el0, x1 in sp_el0: of the second fault, which is the one that is reported
	mov x1, #8
bad_stack:
	mrs x0, tpidr_el1
	str x1, [x0, #ARM_CPU_SCRATCH]
	add x1, sp, #ARM_FRAME_SIZE
	str x1, [x0, #ARM_CPU_SCRATCH + 8]
	ldr x1, [x0, #ARM_CPU_EMERGENCY]
	sub x1, x1, #ARM_FRAME_SIZE
	mov sp, x1
	mrs x1, tpidrro_el0
	str x1, [sp]
	mrs x1, sp_el0
	str x1, [sp, #8]
	ldr x1, [x0, #ARM_CPU_SCRATCH]
	stp x2, x3, [sp, #16]
	stp x4, x5, [sp, #32]
	ldr x4, [x0, #ARM_CPU_SCRATCH + 8]
	str x4, [sp, #ARM_FRAME_SP]
	b vector_saved

// ---- contexts -----------------------------------------------------------------------------------------------------------
	.section .text

// void arch_switch(void **save, void *load)
	.balign 16
	.globl arch_switch
arch_switch:
	stp x29, x30, [sp, #-96]!
	stp x19, x20, [sp, #16]
	stp x21, x22, [sp, #32]
	stp x23, x24, [sp, #48]
	stp x25, x26, [sp, #64]
	stp x27, x28, [sp, #80]
	mov x2, sp
	str x2, [x0]
	mov sp, x1
	ldp x19, x20, [sp, #16]
	ldp x21, x22, [sp, #32]
	ldp x23, x24, [sp, #48]
	ldp x25, x26, [sp, #64]
	ldp x27, x28, [sp, #80]
	ldp x29, x30, [sp], #96
	ret

// First code of a context: x19 entry, x20 argument.
	.globl context_start
context_start:
	mov x29, xzr
	mov x30, xzr
	mov x0, x20
	blr x19
	brk #0

// void arch_call_on(void *top, void (*fn)(void *), void *arg): sp stays below top, by which the stack's owner is found.
	.globl arch_call_on
arch_call_on:
	sub x0, x0, #16
	mov sp, x0
	mov x0, x2
	mov x29, xzr
	mov x30, xzr
	blr x1
	brk #0

// Semihosting (Arm IHI 0028): x0 operation, x1 parameter block. Where nobody listens it is an undefined instruction, which trap.c
// passes over.
	.globl semihosting_call, semihosting_instruction
semihosting_call:
semihosting_instruction:
	hlt #0xf000
	ret

	.section .note.GNU-stack, "", %progbits
