// SPDX-License-Identifier: MIT
//
// Vectors: each pushes what the processor did not, saves all general registers as struct trap_frame, and calls
// trap_handle(frame) on the interrupted stack, or on one of the CPU's own where the IDT says so. And the switch of contexts.
	.section .text

	.macro SAVE register
	push %\register
	.endm

vector_common:
	cld
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	// A frame record, so that a backtrace goes through: as if the interrupted code had called.
	push 17 * 8(%rdi)
	push %rbp
	mov %rsp, %rbp
	and $-16, %rsp
	call trap_handle
	lea 16(%rbp), %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	// 256 entries of 16 bytes. Vectors 8, 10-14, 17, 21, 29, 30 bring an error code.
	.balign 16
	.globl vector_table
vector_table:
	.set vector, 0
	.rept 256
	.balign 16
	.if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
	.else
	push $0
	.endif
	pushq $vector
	jmp vector_common
	.set vector, vector + 1
	.endr

// void arch_switch(void **save, void *load)
	.balign 16
	.globl arch_switch
arch_switch:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret

// First code of a context: rbx entry, r12 argument.
	.globl context_start
context_start:
	xor %ebp, %ebp
	mov %r12, %rdi
	call *%rbx
	ud2

// void arch_call_on(void *top, void (*fn)(void *), void *arg)
	.globl arch_call_on
arch_call_on:
	mov %rdi, %rsp
	mov %rsi, %rax
	mov %rdx, %rdi
	xor %ebp, %ebp
	push $0
	push $0
	call *%rax
	ud2

	.section .note.GNU-stack, "", @progbits
