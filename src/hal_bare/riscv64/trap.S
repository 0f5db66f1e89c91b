// SPDX-License-Identifier: MIT
//
// The one vector: saves all registers as struct trap_frame on the interrupted stack and calls trap_handle(frame). A stack is
// touched only when it looks like one: inside the RAM window with room above its guard, inside the image (the boot stack), or
// the CPU's emergency stack. From any other the fault goes to the emergency stack, as trap_stranded(frame). And the switch of
// contexts.
#include "riscv.h"

#define SCRATCH0 8 // in struct bare_cpu
#define EMERGENCY 40
#if CONFIG_KSTACK_SIZE != 32768
#error "the stack check of trap_vector knows 32 KiB"
#endif

	.macro SAVE_ALL
	sd x1, 1 * 8(sp)
	sd x3, 3 * 8(sp)
	sd x4, 4 * 8(sp)
	.irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	sd x\n, \n * 8(sp)
	.endr
	csrr t1, sstatus
	csrr t2, scause
	csrr t3, sepc
	csrr t4, stval
	sd t1, 32 * 8(sp)
	sd t2, 33 * 8(sp)
	sd s0, 34 * 8(sp)
	sd t3, 35 * 8(sp)
	sd t4, 0(sp)
	ld t0, SCRATCH0(tp)
	sd t0, 5 * 8(sp)
	.endm

	.section .text
	.balign 4
	.globl trap_vector, trap_vector_end
trap_vector:
	sd t0, SCRATCH0(tp)
	srai t0, sp, 36 // the window: two times 64 GiB
	addi t0, t0, 3
	sltiu t0, t0, 2
	beqz t0, 3f
	addi t0, sp, -RISCV_FRAME_SIZE
	slli t0, t0, 64 - 15 // header and guard take the first quarter
	srli t0, t0, 64 - 2
	beqz t0, 3f
1:	addi sp, sp, -RISCV_FRAME_SIZE
	SAVE_ALL
	addi t0, sp, RISCV_FRAME_SIZE
	sd t0, 2 * 8(sp)
	mv s0, t0
	mv a0, sp
	call trap_handle
	// A reservation of the interrupted code must not meet a store of another's.
	sc.d zero, zero, (sp)
	ld t1, 32 * 8(sp)
	ld t2, 35 * 8(sp)
	csrw sstatus, t1
	csrw sepc, t2
	ld x1, 1 * 8(sp)
	ld x3, 3 * 8(sp)
	.irp n, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	ld x\n, \n * 8(sp)
	.endr
	addi sp, sp, RISCV_FRAME_SIZE
	sret

3:	srai t0, sp, 31 // the image's 2 GiB
	addi t0, t0, 1
	beqz t0, 1b
	ld t0, EMERGENCY(tp)
	sub t0, t0, sp
	srli t0, t0, 13
	beqz t0, 1b
	sd sp, SCRATCH0 + 8(tp)
	ld sp, EMERGENCY(tp)
	addi sp, sp, -RISCV_FRAME_SIZE
	SAVE_ALL
	ld t0, SCRATCH0 + 8(tp)
	sd t0, 2 * 8(sp)
	addi s0, sp, RISCV_FRAME_SIZE
	mv a0, sp
	call trap_stranded
trap_vector_end:
	ebreak

// bool trap_try_stimecmp(uint64_t value), trap_try_seed(uint64_t *value), trap_try_cycle(void): when the instruction at the
// start is refused, trap_handle() goes on at trap_refused.
	.globl trap_try_stimecmp, trap_try_seed, trap_try_cycle, trap_refused
trap_try_stimecmp:
	csrw 0x14d, a0
	li a0, 1
	ret
trap_try_seed:
	csrrw t0, 0x015, zero
	sd t0, 0(a0)
	li a0, 1
	ret
trap_try_cycle:
	csrr t0, cycle
	li a0, 1
	ret
trap_refused:
	li a0, 0
	ret

// void arch_switch(void **save, void *load)
	.globl arch_switch
arch_switch:
	addi sp, sp, -112
	sd ra, 0(sp)
	sd s0, 8(sp)
	sd s1, 16(sp)
	sd s2, 24(sp)
	sd s3, 32(sp)
	sd s4, 40(sp)
	sd s5, 48(sp)
	sd s6, 56(sp)
	sd s7, 64(sp)
	sd s8, 72(sp)
	sd s9, 80(sp)
	sd s10, 88(sp)
	sd s11, 96(sp)
	sd sp, 0(a0)
	mv sp, a1
	ld ra, 0(sp)
	ld s0, 8(sp)
	ld s1, 16(sp)
	ld s2, 24(sp)
	ld s3, 32(sp)
	ld s4, 40(sp)
	ld s5, 48(sp)
	ld s6, 56(sp)
	ld s7, 64(sp)
	ld s8, 72(sp)
	ld s9, 80(sp)
	ld s10, 88(sp)
	ld s11, 96(sp)
	addi sp, sp, 112
	ret

// First code of a context: s1 entry, s2 argument.
	.globl context_start
context_start:
	mv a0, s2
	jalr s1
	ebreak

// void arch_call_on(void *top, void (*fn)(void *), void *arg)
	.globl arch_call_on
arch_call_on:
	mv sp, a0
	mv t0, a1
	mv a0, a2
	li s0, 0
	jalr t0
	ebreak

	.section .note.GNU-stack, "", @progbits
