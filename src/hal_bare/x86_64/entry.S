// SPDX-License-Identifier: MIT
//
// Where firmware enters: PVH (Xen's docs/misc/pvh.pandoc; 32-bit protected mode, paging off, ebx: start info) and Multiboot2 (GNU
// Multiboot2 Specification 2.0, 3.3; the same, eax: its magic). Finds where the image lies, makes tables that map the first 4 GiB one to one and the
// image at its link address, goes to long mode, up there, and to bare_main(protocol, info, image_phys).
#define VIRTUAL 0xffffffff80000000
#define IMAGE (VIRTUAL + 0x100000) // link address of its start
#define PROTOCOL_PVH 1
#define PROTOCOL_MULTIBOOT2 2
#define MULTIBOOT2_MAGIC 0x36d76289
#define PAGE_TABLE 0x03      // present, writable
#define PAGE_LARGE 0x83      // and a large page
#define IMAGE_TABLES 4       // 8 MiB from VIRTUAL; the linker script asserts that the image fits
#define IDENTITY_TABLES 4

// ---- headers ------------------------------------------------------------------------------------------------------------
	.section .multiboot, "a"
	.balign 8
multiboot_header:
	.long 0xe85250d6
	.long 0
	.long multiboot_end - multiboot_header
	.long -(0xe85250d6 + (multiboot_end - multiboot_header))
	.balign 8
	.short 3, 0          // entry address
	.long 12
	.long entry_multiboot - VIRTUAL
	.balign 8
	.short 6, 1          // modules on page borders
	.long 8
	.balign 8
	.short 10, 1         // may be placed elsewhere: on any page, low preferred
	.long 24
	.long 0x100000, 0xc0000000, 0x1000, 1
	.balign 8
	.short 0, 0
	.long 8
multiboot_end:

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18
	.asciz "Xen"
	.long entry_pvh - VIRTUAL

// ---- 32 bits --------------------------------------------------------------------------------------------------------------
	.section .text.entry, "ax"
	.code32
	.globl entry_pvh, entry_multiboot, entry_multiboot_virtual
entry_multiboot_virtual: // what e_entry names; the header's address is the one that counts
entry_multiboot:
	mov $PROTOCOL_MULTIBOOT2, %edi
	cmp $MULTIBOOT2_MAGIC, %eax
	je 1f
	xor %edi, %edi
	jmp 1f
entry_pvh:
	mov $PROTOCOL_PVH, %edi
1:	cli
	cld
	// The first word of the information serves as a stack, once, to learn where we are.
	mov (%ebx), %edx
	lea 4(%ebx), %esp
	call 2f
2:	pop %ebp
	mov %edx, (%ebx)
	sub $(2b - IMAGE), %ebp // physical start of the image

	// Tables: identity, then the image.
	lea (boot_pml4 - IMAGE)(%ebp), %eax
	lea (boot_pdpt_low - IMAGE + PAGE_TABLE)(%ebp), %ecx
	mov %ecx, (%eax)
	lea (boot_pdpt_high - IMAGE + PAGE_TABLE)(%ebp), %ecx
	mov %ecx, 511 * 8(%eax)
	lea (boot_pdpt_low - IMAGE)(%ebp), %eax
	lea (boot_pd_low - IMAGE + PAGE_TABLE)(%ebp), %ecx
	mov $IDENTITY_TABLES, %edx
3:	mov %ecx, (%eax)
	add $8, %eax
	add $4096, %ecx
	dec %edx
	jnz 3b
	lea (boot_pd_low - IMAGE)(%ebp), %eax
	mov $PAGE_LARGE, %ecx
	mov $(IDENTITY_TABLES * 512), %edx
4:	mov %ecx, (%eax)
	add $8, %eax
	add $0x200000, %ecx
	dec %edx
	jnz 4b
	lea (boot_pdpt_high - IMAGE)(%ebp), %eax
	lea (boot_pd_high - IMAGE + PAGE_TABLE)(%ebp), %ecx
	mov %ecx, 510 * 8(%eax)
	lea (boot_pd_high - IMAGE)(%ebp), %eax
	lea (boot_pt_high - IMAGE + PAGE_TABLE)(%ebp), %ecx
	mov $IMAGE_TABLES, %edx
5:	mov %ecx, (%eax)
	add $8, %eax
	add $4096, %ecx
	dec %edx
	jnz 5b
	lea (boot_pt_high - IMAGE + 256 * 8)(%ebp), %eax // linked 256 pages above the border
	lea PAGE_TABLE(%ebp), %ecx
	mov $(IMAGE_TABLES * 512 - 256), %edx
7:	mov %ecx, (%eax)
	add $8, %eax
	add $4096, %ecx
	dec %edx
	jnz 7b

	lea (boot_pml4 - IMAGE)(%ebp), %eax
	mov %eax, (boot_pml4_phys - IMAGE)(%ebp)
	mov %eax, %cr3
	mov $0x80000001, %eax
	mov %ebx, %esi // cpuid takes ebx
	cpuid
	mov %esi, %ebx
	mov %edx, %esi
	mov %cr4, %eax
	or $0x20, %eax // PAE
	mov %eax, %cr4
	mov $0xc0000080, %ecx // EFER
	rdmsr
	or $0x100, %eax // LME
	test $0x100000, %esi
	jz 6f
	or $0x800, %eax // NXE
6:	wrmsr
	mov %cr0, %eax
	and $~0x60000000, %eax // caches on
	or $0x80010001, %eax // PG, WP, PE
	mov %eax, %cr0
	lea (boot_gdt - IMAGE)(%ebp), %eax
	mov %eax, (boot_gdt_pointer + 2 - IMAGE)(%ebp)
	lgdt (boot_gdt_pointer - IMAGE)(%ebp)
	// A far return to 64-bit code needs a stack: the boot stack, by its low address.
	lea (boot_stack_top - IMAGE)(%ebp), %esp
	push $0x08
	lea (entry_long - IMAGE)(%ebp), %eax
	push %eax
	lret

	.code64
entry_long:
	movabs $entry_high, %rax
	jmp *%rax
entry_high:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $boot_stack_top, %rsp
	mov %edi, %edi // protocol
	mov %ebx, %esi // info
	mov %ebp, %edx // image
	xor %ebp, %ebp
	push $0
	push $0
	call bare_main
	ud2

// ---- other CPUs: copied below 1 MiB, entered in real mode by SIPI ------------------------------------------------------
	.globl trampoline_start, trampoline_end, trampoline_data
	.section .rodata
	.balign 16
	.code16
trampoline_start:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	xor %ebp, %ebp
	mov %ax, %bp
	shl $4, %ebp // where the copy lies
	lgdtl (trampoline_gdt_pointer - trampoline_start)
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl *(trampoline_far32 - trampoline_start)
	.code32
trampoline_32:
	mov $0x18, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %cr4, %eax
	or $0x20, %eax
	mov %eax, %cr4
	mov (trampoline_data - trampoline_start)(%ebp), %eax // boot tables
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or (trampoline_data + 4 - trampoline_start)(%ebp), %eax // LME, NXE
	wrmsr
	mov %cr0, %eax
	and $~0x60000000, %eax
	or $0x80010001, %eax
	mov %eax, %cr0
	ljmpl *(trampoline_far64 - trampoline_start)(%ebp)
	.code64
trampoline_64:
	mov %ebp, %ebp
	mov (trampoline_data + 8 - trampoline_start)(%rbp), %rsp  // emergency stack
	mov (trampoline_data + 16 - trampoline_start)(%rbp), %rdi // struct bare_cpu
	mov (trampoline_data + 24 - trampoline_start)(%rbp), %rax // final tables
	mov (trampoline_data + 32 - trampoline_start)(%rbp), %rcx // smp_entered()
	jmp *%rcx
	.balign 8
	.globl trampoline_far32, trampoline_far64, trampoline_gdt_pointer
trampoline_far32: // offsets are filled in
	.long trampoline_32 - trampoline_start
	.short 0x08
	.balign 4
trampoline_far64:
	.long trampoline_64 - trampoline_start
	.short 0x10
	.balign 8
trampoline_gdt:
	.quad 0
	.quad 0x00cf9b000000ffff // code, 32 bits
	.quad 0x00af9b000000ffff // code, 64 bits
	.quad 0x00cf93000000ffff // data
trampoline_gdt_end:
trampoline_gdt_pointer:
	.short trampoline_gdt_end - trampoline_gdt - 1
	.long trampoline_gdt - trampoline_start
	.balign 8
trampoline_data: // pml4, efer bits; stack; cpu; root; entry
	.long 0, 0
	.quad 0, 0, 0, 0
trampoline_end:

// void smp_switch(cpu (rdi), root (rax)): final tables, then C, on the emergency stack.
	.section .text
	.globl smp_entered_asm
smp_entered_asm:
	mov %rax, %cr3
	xor %ebp, %ebp
	push $0
	push $0
	call smp_entered
	ud2

// ---- data ---------------------------------------------------------------------------------------------------------------
	.section .data
	.balign 8
	.globl boot_gdt
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
boot_gdt_pointer:
	.short boot_gdt_pointer - boot_gdt - 1
	.quad 0
	.globl boot_pml4_phys
	.balign 4
boot_pml4_phys:
	.long 0

	.section .bss.tables, "aw", @nobits
	.balign 4096
boot_pml4: .skip 4096
boot_pdpt_low: .skip 4096
boot_pdpt_high: .skip 4096
boot_pd_low: .skip 4096 * IDENTITY_TABLES
boot_pd_high: .skip 4096
boot_pt_high: .skip 4096 * IMAGE_TABLES
	.balign 16
boot_stack: .skip 16384
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
