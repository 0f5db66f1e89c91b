// SPDX-License-Identifier: MIT
//
// Local APIC (SDM 3A, chapter 11; memory or x2APIC), I/O APICs (Intel 82093AA), and the two 8259s for machines that have
// nothing else.
#include "x86.h"

enum {
	LAPIC_ID = 0x02,
	LAPIC_TPR = 0x08,
	LAPIC_EOI = 0x0b,
	LAPIC_SVR = 0x0f,
	LAPIC_ESR = 0x28,
	LAPIC_ICR = 0x30,
	LAPIC_ICR_HIGH = 0x31,
	LAPIC_TIMER = 0x32,
	LAPIC_LINT0 = 0x35,
	LAPIC_LINT1 = 0x36,
	LAPIC_ERROR = 0x37,
	LAPIC_INITIAL = 0x38,
	LAPIC_CURRENT = 0x39,
	LAPIC_DIVIDE = 0x3e
};

#define MSR_APIC_BASE 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC 0x800u
#define BASE_ENABLED 0x800ull
#define BASE_X2APIC 0x400ull
#define LVT_MASKED 0x10000u
#define LVT_DEADLINE 0x40000u
#define LVT_NMI 0x400u
#define ICR_PENDING 0x1000u
#define ICR_NMI 0x400u
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define SPINS_MAX 1000000u

static volatile uint32_t *lapic; // NULL: x2APIC
static bool used, x2apic;

static uint32_t lapic_read(uint32_t reg)
{
	return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + reg) : lapic[reg * 4];
}

static void lapic_write(uint32_t reg, uint32_t value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg, value);
	else
		lapic[reg * 4] = value;
}

bool apic_is_used(void)
{
	return used;
}

uint32_t apic_id(void)
{
	if (!used)
		return 0;
	return x2apic ? lapic_read(LAPIC_ID) : lapic_read(LAPIC_ID) >> 24;
}

void apic_eoi(void)
{
	if (used)
		lapic_write(LAPIC_EOI, 0);
}

static void icr_send(uint32_t id, uint32_t command)
{
	if (x2apic) {
		wrmsr(MSR_X2APIC + LAPIC_ICR, (uint64_t)id << 32 | command);
		return;
	}
	bool was = hal_irq_save(); // two halves
	for (uint32_t i = 0; i < SPINS_MAX && (lapic_read(LAPIC_ICR) & ICR_PENDING) != 0; i++)
		arch_relax();
	lapic_write(LAPIC_ICR_HIGH, id << 24);
	lapic_write(LAPIC_ICR, command);
	hal_irq_restore(was);
}

void arch_ipi(struct bare_cpu *cpu)
{
	if (used)
		icr_send((uint32_t)cpu->hw_id, VECTOR_IPI);
	else
		__asm__ volatile("int %0" : : "i"(VECTOR_IPI) : "memory"); // one CPU: now, masked or not
}

void arch_ipi_stop(struct bare_cpu *cpu)
{
	icr_send((uint32_t)cpu->hw_id, ICR_NMI);
}

void apic_start(uint32_t id, uint32_t page);
void apic_start(uint32_t id, uint32_t page)
{
	icr_send(id, ICR_INIT);
	bare_delay_ns(200000);
	for (uint32_t i = 0; i < 2; i++) {
		icr_send(id, ICR_STARTUP | page);
		bare_delay_ns(100000);
	}
}

// Interrupts of the chipset come by the I/O APIC; LINT0 is shut, LINT1 is NMI, as on every PC.
void apic_cpu_init(void)
{
	if (!used)
		return;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_ENABLED | (x2apic ? BASE_X2APIC : 0));
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_LINT0, LVT_MASKED);
	lapic_write(LAPIC_LINT1, LVT_NMI);
	lapic_write(LAPIC_ERROR, LVT_MASKED);
	lapic_write(LAPIC_DIVIDE, 0x0b); // by 1
	lapic_write(LAPIC_TIMER, VECTOR_TIMER | (x86_features.has_tsc_deadline ? LVT_DEADLINE : 0));
	lapic_write(LAPIC_SVR, 0x100 | VECTOR_SPURIOUS);
	lapic_write(LAPIC_EOI, 0);
}

void apic_init(void)
{
	if (!x86_features.has_apic)
		return;
	uint64_t base = rdmsr(MSR_APIC_BASE);
	x2apic = (base & BASE_X2APIC) != 0;
	if (!x2apic) {
		uint64_t phys = x86_acpi.lapic_address != 0 ? x86_acpi.lapic_address : base & 0xffffff000ull;
		lapic = bare_map(phys, BARE_PAGE_SIZE, PROT_WRITE | PROT_DEVICE);
		if (lapic == NULL)
			bare_die("apic: its registers at %lx cannot be mapped", phys);
	}
	used = true;
	apic_cpu_init();
}

void apic_timer_arm(uint64_t ticks)
{
	if (x86_features.has_tsc_deadline)
		wrmsr(MSR_TSC_DEADLINE, ticks);
	else
		lapic_write(LAPIC_INITIAL, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

uint32_t apic_timer_left(void)
{
	return lapic_read(LAPIC_CURRENT);
}

// ---- I/O APIC -----------------------------------------------------------------------------------------------------------

#define IOAPIC_VERSION 1u
#define IOAPIC_TABLE 0x10u
#define ENTRY_MASKED 0x10000u
#define ENTRY_LEVEL 0x8000u
#define ENTRY_LOW 0x2000u

static volatile uint32_t *ioapics[ACPI_IOAPICS_MAX];
static uint32_t ioapic_inputs[ACPI_IOAPICS_MAX];

static uint32_t ioapic_read(uint32_t which, uint32_t reg)
{
	ioapics[which][0] = reg;
	return ioapics[which][4];
}

static void ioapic_write(uint32_t which, uint32_t reg, uint32_t value)
{
	ioapics[which][0] = reg;
	ioapics[which][4] = value;
}

void ioapic_init(void)
{
	for (uint32_t i = 0; i < x86_acpi.ioapic_count && used; i++) {
		ioapics[i] = bare_map(x86_acpi.ioapics[i].address, 32, PROT_WRITE | PROT_DEVICE);
		if (ioapics[i] == NULL)
			continue;
		ioapic_inputs[i] = (ioapic_read(i, IOAPIC_VERSION) >> 16 & 0xff) + 1;
		for (uint32_t input = 0; input < ioapic_inputs[i]; input++)
			ioapic_write(i, IOAPIC_TABLE + input * 2, ENTRY_MASKED);
	}
}

bool ioapic_route(uint32_t isa_irq, uint32_t vector, uint32_t id)
{
	uint32_t gsi = isa_irq, flags = 0;
	for (uint32_t i = 0; i < x86_acpi.override_count; i++) {
		const struct acpi_override *override = &x86_acpi.overrides[i];
		if (override->source != isa_irq)
			continue;
		gsi = override->gsi;
		flags = (override->polarity == ACPI_LOW ? ENTRY_LOW : 0) |
			(override->trigger == ACPI_LEVEL ? ENTRY_LEVEL : 0);
	}
	for (uint32_t i = 0; i < x86_acpi.ioapic_count; i++) {
		uint32_t base = x86_acpi.ioapics[i].gsi_base;
		if (ioapics[i] == NULL || gsi < base || gsi - base >= ioapic_inputs[i])
			continue;
		ioapic_write(i, IOAPIC_TABLE + (gsi - base) * 2 + 1, id << 24);
		ioapic_write(i, IOAPIC_TABLE + (gsi - base) * 2, vector | flags);
		return true;
	}
	return false;
}

// ---- 8259 ---------------------------------------------------------------------------------------------------------------

static uint16_t pic_mask = 0xffff;

static void pic_mask_write(void)
{
	outb(0x21, (uint8_t)pic_mask);
	outb(0xa1, (uint8_t)(pic_mask >> 8));
}

// Moved away from the exceptions even where it stays shut: it can raise a spurious interrupt all the same.
void pic_init(void)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, VECTOR_PIC);
	outb(0xa1, VECTOR_PIC + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	pic_mask_write();
}

void pic_unmask(uint32_t irq)
{
	pic_mask &= (uint16_t) ~(1u << irq | (irq >= 8 ? 1u << 2 : 0));
	pic_mask_write();
}

// A spurious interrupt of either one is not in service.
void pic_eoi(uint32_t irq)
{
	outb(irq >= 8 ? 0xa0 : 0x20, 0x0b);
	uint8_t serving = inb(irq >= 8 ? 0xa0 : 0x20);
	bool real = (serving >> (irq % 8) & 1) != 0;
	if (irq >= 8 && real)
		outb(0xa0, 0x20);
	if (irq < 8 ? real : true)
		outb(0x20, 0x20);
}
