// SPDX-License-Identifier: MIT
//
// The beginning on x86-64: what the processor can do, the early UART, which protocol filled the record, and the order in which
// the machine comes up.
#include "x86.h"

const char arch_name[] = "x86_64";
const uint64_t arch_early_limit = 1ull << 32;

struct x86_features x86_features;

static void features_find(void)
{
	struct x86_features *found = &x86_features;
	uint32_t leaves = cpuid(0, 0).eax;
	struct cpuid one = cpuid(1, 0);
	struct cpuid seven = leaves >= 7 ? cpuid(7, 0) : (struct cpuid){0, 0, 0, 0};
	uint32_t extended = cpuid(0x80000000u, 0).eax;
	struct cpuid big = cpuid(0x80000001u, 0);
	found->has_apic = (one.edx >> 9 & 1) != 0;
	found->has_x2apic = (one.ecx >> 21 & 1) != 0;
	found->has_tsc_deadline = (one.ecx >> 24 & 1) != 0;
	found->has_rdrand = (one.ecx >> 30 & 1) != 0;
	found->has_smep = (seven.ebx >> 7 & 1) != 0;
	found->has_smap = (seven.ebx >> 20 & 1) != 0;
	found->has_umip = (seven.ecx >> 2 & 1) != 0;
	found->has_nx = (big.edx >> 20 & 1) != 0;
	found->has_page1g = (big.edx >> 26 & 1) != 0;
	found->has_tsc_invariant = extended >= 0x80000007u && (cpuid(0x80000007u, 0).edx >> 8 & 1) != 0;
}

void arch_early(uint64_t protocol, uint64_t info)
{
	static char stack[BARE_EMERGENCY_SIZE] __attribute__((aligned(16)));
	(void)protocol;
	(void)info;
	bare_cpus[0].emergency = (uintptr_t)stack + sizeof stack;
	features_find();
	desc_init(&bare_cpus[0]);
	uart_16550.base = 0x3f8;
	uart_16550.width = 0;
	console_set(&uart_16550);
}

void arch_boot_record(struct bare_boot *boot, uint64_t protocol, uint64_t info)
{
	if (protocol == PROTOCOL_PVH)
		pvh_record(boot, info);
	else if (protocol == PROTOCOL_MULTIBOOT2)
		multiboot2_record(boot, info);
	else
		bare_die("boot: entered by no protocol that TBOS knows (PVH, Multiboot2)");
	acpi_init();
}

// Interrupts stay masked until the kernel's first thread unmasks them.
void arch_init(void)
{
	pic_init();
	apic_init();
	ioapic_init();
	clock_x86_init();
	timer_x86_init();
	smp_init();
	uart_16550.listen(&uart_16550);
	if (!ioapic_route(4, VECTOR_IOAPIC + 4, apic_id()))
		pic_unmask(4);
}

bool arch_entropy(uint64_t *value)
{
	uint8_t good = 0;
	for (uint32_t tries = 0; x86_features.has_rdrand && tries < 10 && good == 0; tries++)
		__asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(*value), "=qm"(good) : : "cc");
	return good != 0;
}

uint64_t arch_jitter(void)
{
	return rdtsc();
}

void arch_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

void arch_stop(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt" : : : "memory");
}

// The handler only collects while `idling` is set; sti takes effect after the next instruction, so none is missed before hlt.
void arch_idle(struct bare_cpu *cpu)
{
	(void)cpu;
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}
