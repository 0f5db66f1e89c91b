// SPDX-License-Identifier: MIT
//
// Where firmware enters: the Linux boot protocol of arm64 (Documentation/arm64/booting.rst of Linux; MMU off, x0: device tree), at
// EL1, EL2 or EL3. Goes down to EL1, makes tables that map the first 2 MiB of the image one to one and all of it at its link
// address, and goes up there to bare_main(entry level, device tree, image_phys); early.c maps more when it is known what is
// memory. Started CPUs take the same way to smp_entered().
#include "arm.h"

	.section .text.entry, "ax"
	.globl entry
entry:
	b primary
	.long 0
	.quad 0x200000        // text offset
	.quad bare_image_size
	.quad 0xa             // little-endian, 4 KiB pages, anywhere
	.quad 0, 0, 0
	.ascii "ARM\x64"
	.long 0

primary:
	mov x19, x0
	bl el1_enter
	mov x20, x0
	cmp x0, #3
	b.ne 0f
	mrs x0, mpidr_el1 // no firmware has held the others back
	and x1, x0, #0xffffff
	ubfx x0, x0, #32, #8
	orr x0, x0, x1
	cbnz x0, hang
0:	adr x21, entry
	tst x21, #0x1fffff
	b.ne hang
	lsr x0, x21, #39
	cbnz x0, hang

	adrp x1, boot_tables
	adrp x2, boot_tables_end
	mov x3, x1
1:	stp xzr, xzr, [x3], #16
	cmp x3, x2
	b.lo 1b

	// One to one.
	adrp x3, boot_low_0
	adrp x4, boot_low_1
	orr x5, x4, #ARM_PTE_TABLE
	str x5, [x3]
	adrp x3, boot_low_2
	orr x5, x3, #ARM_PTE_TABLE
	lsr x6, x21, #30
	str x5, [x4, x6, lsl #3]
	ubfx x6, x21, #21, #9
	mov x7, #ARM_PTE_BLOCK
	orr x5, x21, x7
	str x5, [x3, x6, lsl #3]

	// The image: its link address has the indices 511, 510, 1.
	adrp x3, boot_high_0
	adrp x4, boot_high_1
	orr x6, x4, #ARM_PTE_TABLE
	str x6, [x3, #511 * 8]
	adrp x3, boot_high_2
	orr x6, x3, #ARM_PTE_TABLE
	str x6, [x4, #510 * 8]
	movz x6, #:abs_g0:bare_image_large_pages
2:	str x5, [x3, #8]!
	add x5, x5, #0x200000
	subs x6, x6, #1
	b.ne 2b

	// What the cache held of the tables is older than they.
	dsb sy
	mrs x3, ctr_el0
	ubfx x3, x3, #16, #4
	mov x4, #4
	lsl x4, x4, x3
3:	dc ivac, x1
	add x1, x1, x4
	cmp x1, x2
	b.lo 3b
	dsb sy

	adrp x1, boot_high_0
	ldr x2, =primary_high
	b mmu_on

primary_high:
	ldr x0, =boot_stack_top
	mov sp, x0
	ldr x0, =bare_bss_start
	ldr x1, =bare_bss_end
4:	stp xzr, xzr, [x0], #16
	cmp x0, x1
	b.lo 4b
	mov x0, x20
	mov x1, x19
	mov x2, x21
	mov x29, xzr
	mov x30, xzr
	bl bare_main
hang:
	wfe
	b hang

// x1: physical address of the high tables, x2: where to go on. Low tables are the early ones.
mmu_on:
	mov x3, #(ARM_MAIR & 0xffff)
	movk x3, #(ARM_MAIR >> 16), lsl #16
	msr mair_el1, x3
	mov x3, #(ARM_TCR & 0xffff)
	movk x3, #(ARM_TCR >> 16), lsl #16
	mrs x4, id_aa64mmfr0_el1
	and x4, x4, #15
	cmp x4, #5
	mov x5, #5
	csel x4, x4, x5, lo
	bfi x3, x4, #32, #3 // width of physical addresses
	msr tcr_el1, x3
	adrp x3, boot_low_0
	msr ttbr0_el1, x3
	msr ttbr1_el1, x1
	isb
	tlbi vmalle1
	ic iallu
	dsb nsh
	isb
	mov x3, #(ARM_SCTLR_ON & 0xffff)
	movk x3, #(ARM_SCTLR_ON >> 16), lsl #16
	msr sctlr_el1, x3
	isb
	br x2

// Returns at EL1, interrupts masked, MMU off; x0: the level it was called at. The return address leads through eret.
el1_enter:
	msr daifset, #15
	mov x1, #(ARM_SCTLR_OFF & 0xffff)
	movk x1, #(ARM_SCTLR_OFF >> 16), lsl #16
	mrs x0, CurrentEL
	lsr x0, x0, #2
	cmp x0, #2
	b.hi from_el3
	msr sctlr_el1, x1
	isb
	b.eq from_el2
	msr spsel, #1
	msr cpacr_el1, xzr
	msr cntkctl_el1, xzr
	ret

from_el2:
	mov x1, #(1 << 31) // EL1 is AArch64; nothing is trapped
	msr hcr_el2, x1
	isb
	mrs x1, cnthctl_el2
	orr x1, x1, #3     // physical counter and timer
	msr cnthctl_el2, x1
	msr cntvoff_el2, xzr
	mov x1, #0x33ff
	msr cptr_el2, x1
	msr hstr_el2, xzr
	msr vttbr_el2, xzr
	mrs x1, midr_el1
	msr vpidr_el2, x1
	mrs x1, mpidr_el1
	msr vmpidr_el2, x1
	mrs x1, id_aa64dfr0_el1
	ubfx x2, x1, #8, #4
	mov x1, xzr
	cbz x2, 1f
	cmp x2, #15
	b.eq 1f
	mrs x1, pmcr_el0
	ubfx x1, x1, #11, #5 // all event counters are EL1's
1:	msr mdcr_el2, x1
	mrs x1, id_aa64pfr0_el1
	ubfx x1, x1, #24, #4
	cbz x1, 2f
	mrs x1, s3_4_c12_c9_5 // ICC_SRE_EL2
	orr x1, x1, #15
	msr s3_4_c12_c9_5, x1
	isb
	mrs x1, s3_4_c12_c9_5
	tbz x1, #0, 2f
	msr s3_4_c12_c11_0, xzr // ICH_HCR_EL2
2:	mov x1, #0x3c5 // EL1 with its own stack pointer, all masked
	msr spsr_el2, x1
	msr elr_el2, x30
	b 3f

from_el3:
	msr sctlr_el1, x1
	mov x1, #0x530 // EL1 is AArch64, hvc is defined; Secure
	msr scr_el3, x1
	msr cptr_el3, xzr
	msr mdcr_el3, xzr
	mrs x1, id_aa64pfr0_el1
	ubfx x1, x1, #24, #4
	cbz x1, 2f
	mrs x1, s3_6_c12_c12_5 // ICC_SRE_EL3
	orr x1, x1, #15
	msr s3_6_c12_c12_5, x1
2:	mov x1, #0x3c5
	msr spsr_el3, x1
	msr elr_el3, x30
3:	msr cpacr_el1, xzr
	msr cntkctl_el1, xzr
	isb
	eret

// ---- other CPUs: entered by PSCI or the spin table, everything off ---------------------------------------------------------
	.globl smp_entry
smp_entry:
	bl el1_enter
	adrp x1, smp_root
	ldr x1, [x1, #:lo12:smp_root]
	ldr x2, =smp_high
	b mmu_on

// Who am I? The slots are filled before anybody is started.
smp_high:
	mrs x0, mpidr_el1
	mov x1, #(ARM_AFFINITY & 0xffff)
	movk x1, #0x00ff, lsl #16
	movk x1, #0x00ff, lsl #32
	and x0, x0, x1
	ldr x1, =smp_slots
	ldr x2, =smp_slot_count
	ldr w2, [x2]
1:	cbz w2, hang
	ldr x3, [x1]
	cmp x3, x0
	b.eq 2f
	add x1, x1, #ARM_SLOT_SIZE
	sub w2, w2, #1
	b 1b
2:	ldr x0, [x1, #ARM_SLOT_STACK]
	mov sp, x0
	ldr x0, [x1, #ARM_SLOT_CPU]
	msr tpidr_el1, x0
	ldr x1, =vector_table
	msr vbar_el1, x1
	isb
	mov x29, xzr
	mov x30, xzr
	bl smp_entered
	b hang

	.ltorg

	.section .bss.tables, "aw", %nobits
	.balign 4096
	.globl boot_low_1, boot_low_2
boot_tables:
boot_low_0: .skip 4096
boot_low_1: .skip 4096
boot_high_0: .skip 4096
boot_high_1: .skip 4096
boot_high_2: .skip 4096
boot_low_2: .skip 4096 * ARM_EARLY_TABLES
boot_tables_end:
	.balign 4096
boot_stack: .skip 16384
boot_stack_top:

	.section .note.GNU-stack, "", %progbits
