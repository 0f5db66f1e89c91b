// SPDX-License-Identifier: MIT
//
// x86-64 of the bare HAL: instructions, vectors, and what its files owe each other. Intel SDM volumes 2 and 3 (order 325462) are
// the source unless another is named.
#ifndef BARE_X86_H
#define BARE_X86_H

#include "../arch.h"
#include "../common/acpi.h"

enum x86_protocol {
	PROTOCOL_UNKNOWN,
	PROTOCOL_PVH,
	PROTOCOL_MULTIBOOT2
};

enum x86_vector {
	VECTOR_PIC = 0x20, // 16 of them, only on machines without an I/O APIC, and spurious ones elsewhere
	VECTOR_IOAPIC = 0x30,
	VECTOR_TIMER = 0xf0,
	VECTOR_IPI = 0xf1,
	VECTOR_SPURIOUS = 0xff
};

#define PIT_HZ 1193182ull

// IA-PC HPET 1.0a, 2.3, in words of 32 bits.
enum hpet_word {
	HPET_CAPABILITIES = 0x000 / 4,
	HPET_PERIOD = 0x004 / 4, // femtoseconds
	HPET_CONFIG = 0x010 / 4,
	HPET_COUNTER = 0x0f0 / 4,
	HPET_TIMER0 = 0x100 / 4,
	HPET_COMPARATOR0 = 0x108 / 4
};

// As vectors push it; trap.S knows the order.
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

// What CPU 0 found out about the processors, the same for all.
struct x86_features {
	bool has_nx, has_smep, has_smap, has_umip, has_rdrand, has_tsc_invariant, has_tsc_deadline, has_x2apic,
		has_apic;
	bool has_page1g;
};
extern struct x86_features x86_features;
extern struct acpi_machine x86_acpi;

void x86_protect(void); // paging.c: the bits of CR4, on this CPU

// desc.c
void desc_init(struct bare_cpu *cpu); // GDT, TSS, IDT, GS of this CPU
// boot_pvh.c, boot_multiboot2.c
void pvh_record(struct bare_boot *boot, uint64_t info);
void multiboot2_record(struct bare_boot *boot, uint64_t info);
// machine
void acpi_init(void);
void apic_init(void);     // CPU 0: finds and maps
void apic_cpu_init(void); // each CPU
uint32_t apic_id(void);
void apic_eoi(void);
void apic_timer_arm(uint64_t ticks); // in ticks of the LAPIC timer or TSC deadline
uint32_t apic_timer_left(void);
void ioapic_init(void);
bool ioapic_route(uint32_t isa_irq, uint32_t vector, uint32_t apic_id); // false: there is none
void pic_init(void);
void pic_unmask(uint32_t irq);
void pic_eoi(uint32_t irq);
bool apic_is_used(void);
void clock_x86_init(void);
uint64_t clock_tsc_at(uint64_t ns);      // the TSC when the clock will show it
uint64_t clock_lapic_ticks(uint64_t ns); // of a duration; without TSC deadline
extern volatile uint32_t *x86_hpet;      // its registers by 32 bits, running; NULL: none
void timer_x86_init(void);               // after the clock's
bool timer_is_local(void);               // false: one for the machine, which then is CPU 0's and has no others
void timer_line_fired(void);             // IRQ 0 by the 8259
void smp_init(void);

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;
	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid r;
	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(sub));
	return r;
}

#endif
