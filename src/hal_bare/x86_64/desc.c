// SPDX-License-Identifier: MIT
//
// Descriptor tables of each CPU: flat segments, a task state segment with stacks for the faults that must not trust the current one,
// and the vectors. GS holds struct bare_cpu.
#include "x86.h"

#define SEGMENT_CODE 0x08
#define SEGMENT_TSS 0x18
#define GATE_INTERRUPT 0x8e00u
#define MSR_GS_BASE 0xc0000101u
#define IST_FAULT 1u
#define IST_NMI 2u
#define IST_STACK_SIZE 4096u

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap;
} __attribute__((packed));

struct pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct desc_cpu {
	uint64_t gdt[5];
	struct tss tss;
};

static struct desc_cpu tables[CONFIG_MAX_CPUS];
static uint64_t idt[256][2]; // the same for all CPUs
extern const char vector_table[];

static void idt_fill(void)
{
	for (uint32_t vector = 0; vector < 256; vector++) {
		uint64_t address = (uintptr_t)vector_table + vector * 16;
		uint64_t ist = vector == 8 ? IST_FAULT : vector == 2 || vector == 18 ? IST_NMI : 0;
		idt[vector][0] = (address & 0xffff) | SEGMENT_CODE << 16 | ist << 32 | (uint64_t)GATE_INTERRUPT << 32 |
				 (address >> 16 & 0xffff) << 48;
		idt[vector][1] = address >> 32;
	}
}

static void tss_describe(struct desc_cpu *table)
{
	uint64_t base = (uintptr_t)&table->tss, limit = sizeof table->tss - 1;
	table->gdt[3] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	table->gdt[4] = base >> 32;
}

// The lower half of the emergency stack serves NMI and machine checks, the upper one double faults.
void desc_init(struct bare_cpu *cpu)
{
	struct desc_cpu *table = &tables[cpu->index];
	if (cpu->index == 0)
		idt_fill();
	table->gdt[0] = 0;
	table->gdt[1] = 0x00af9b000000ffffull;
	table->gdt[2] = 0x00cf93000000ffffull;
	table->tss.ist[IST_FAULT - 1] = cpu->emergency;
	table->tss.ist[IST_NMI - 1] = cpu->emergency - IST_STACK_SIZE;
	table->tss.iomap = sizeof table->tss;
	tss_describe(table);
	struct pointer gdt_pointer = {sizeof table->gdt - 1, (uintptr_t)table->gdt};
	struct pointer idt_pointer = {sizeof idt - 1, (uintptr_t)idt};
	__asm__ volatile("lgdt %0\n\tlidt %1\n\tltr %w2\n\t"
			 "mov %w3, %%ds\n\tmov %w3, %%es\n\tmov %w3, %%ss\n\tmov %w4, %%fs\n\tmov %w4, %%gs\n\t"
			 "push %5\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\tlretq\n1:"
			 :
			 : "m"(gdt_pointer), "m"(idt_pointer), "r"(SEGMENT_TSS), "r"(0x10), "r"(0), "i"(SEGMENT_CODE)
			 : "rax", "memory");
	wrmsr(MSR_GS_BASE, (uintptr_t)cpu);
}
