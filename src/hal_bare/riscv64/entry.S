// SPDX-License-Identifier: MIT
//
// Where the firmware enters: a0 hart, a1 device tree, paging off, at any multiple of 2 MiB. The start carries the header of
// Linux's flat images, so that boot loaders which know only those take it. Clears .bss, makes tables that map the low 256 GiB
// one to one and the image at its link address, goes up there and to bare_main(hart, tree, image_phys). Another hart comes with
// a1 = its struct bare_cpu, uses the same tables to get up, and changes to the final ones.
#include "riscv.h"

#define PTE_TABLE 0x01
#define PTE_ALL 0xef // valid, read, write, execute, global, accessed, dirty
#define IDENTITY_ENTRIES 256
#define IMAGE_ENTRY 510
#define IMAGE_LARGE_PAGES 8 // 16 MiB is more than an image has

	// CSRs in a safe state: no interrupts, no access to user pages, no floating point.
	.macro QUIET
	csrw sie, zero
	csrw sscratch, zero
	li t0, RISCV_SSTATUS_CLEARED | 2
	csrc sstatus, t0
	.endm

	// Early tables, whose root lies at `root` (physical): translation begins, the program counter stays low.
	.macro TRANSLATE root
	srli t0, \root, 12
	li t1, RISCV_SATP_SV39
	slli t1, t1, 60
	or t0, t0, t1
	sfence.vma
	csrw satp, t0
	sfence.vma
	.endm

	.section .text.entry, "ax"
	.globl entry
	.option push
	.option norelax
	.balign 8
entry:
	.option norvc
	j entry_first
	.word 0
	.option rvc
	.quad 0x200000                         // from the start of RAM
	.quad bare_image_end - bare_image_start
	.quad 0                                // little endian
	.word 2                                // version 0.2
	.word 0
	.quad 0
	.ascii "RISCV\0\0\0"
	.ascii "RSC\x05"
	.word 0

entry_first:
	QUIET
	lla t0, smp_lottery
	li t1, 1
	amoadd.w t1, t1, (t0)
	bnez t1, entry_stray
	mv s0, a0
	mv s1, a1
	lla s2, entry // physical start of the image

	lla t0, bare_bss_start
	lla t1, bare_bss_end
1:	sd zero, 0(t0)
	sd zero, 8(t0)
	addi t0, t0, 16
	bltu t0, t1, 1b

	lla s3, boot_root
	mv t0, s3
	li t1, PTE_ALL
	li t2, IDENTITY_ENTRIES
	li t3, 1 << 28 // a gigabyte in an entry's frame number
2:	sd t1, 0(t0)
	add t1, t1, t3
	addi t0, t0, 8
	addi t2, t2, -1
	bnez t2, 2b

	lla t0, boot_image_table
	srli t1, t0, 2
	ori t1, t1, PTE_TABLE
	li t2, IMAGE_ENTRY * 8
	add t2, t2, s3
	sd t1, 0(t2)
	srli t1, s2, 2
	ori t1, t1, PTE_ALL
	li t2, IMAGE_LARGE_PAGES
	li t3, 1 << 19
3:	sd t1, 8(t0) // linked 2 MiB above the border
	add t1, t1, t3
	addi t0, t0, 8
	addi t2, t2, -1
	bnez t2, 3b

	TRANSLATE s3
	ld t0, first_high
	jr t0

	// Not the first one here. OpenSBI 1.1 marks a hart as starting before it writes where: one that has just looked, as in a boot as short
	// as ours they do, comes with the first one's address. It waits until it is named, and goes on where it was sent.
entry_stray:
	lla t0, smp_start
	addi t1, a0, 1
4:	.word 0x0100000f // pause
	ld t2, 0(t0)
	bne t2, t1, 4b
	fence r, rw
	ld a1, 8(t0)

	.globl entry_other
entry_other:
	QUIET
	mv s1, a1
	lla s3, boot_root
	TRANSLATE s3
	ld t0, other_high
	jr t0

	.balign 8
first_high:
	.quad entry_first_high
other_high:
	.quad entry_other_high

entry_first_high:
	lla sp, boot_stack_top
	lla tp, bare_cpus
	mv a0, s0
	mv a1, s1
	mv a2, s2
	li s0, 0
	li ra, 0
	call bare_main
	ebreak

entry_other_high:
	mv tp, s1
	ld sp, 40(tp) // emergency
	ld t0, smp_satp
	csrw satp, t0
	sfence.vma
	li s0, 0
	li ra, 0
	mv a0, tp
	call bare_cpu_main
	ebreak
	.option pop

	.section .data.smp, "aw"
	.balign 8
	.globl smp_start
smp_start: // struct smp_start of smp.c
	.quad 0, 0
smp_lottery: // not in .bss, which the winner clears
	.word 0, 0

	.section .bss.tables, "aw", @nobits
	.balign 4096
boot_root: .skip 4096
boot_image_table: .skip 4096
	.balign 16
boot_stack: .skip 16384
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
