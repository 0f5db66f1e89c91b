// SPDX-License-Identifier: MIT
//
// ACPI: the MADT (5.2.12): processors, I/O APICs, where ISA interrupts arrive, and who gets NMIs.
#include "acpi_impl.h"

enum {
	MADT_ENTRIES = 44,
	MADT_PCAT_COMPAT = 1,
	APIC_ID_ALL = 0xff,
	UID_ALL_8 = 0xff,
	CPU_ENABLED = 1,
	CPU_ONLINE_CAPABLE = 2
};

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_LAPIC_ADDRESS = 5,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10
};

static void cpu_add(struct acpi_machine *machine, const struct acpi_cpu *cpu)
{
	if (!cpu->is_enabled && !cpu->is_online_capable)
		return;
	if (machine->cpu_count == ACPI_CPUS_MAX) {
		machine->truncated++;
		return;
	}
	for (uint32_t i = 0; i < machine->cpu_count; i++) {
		if (machine->cpus[i].apic_id == cpu->apic_id) { // firmware lists low numbers in both forms
			machine->skipped++;
			return;
		}
	}
	machine->cpus[machine->cpu_count++] = *cpu;
}

static void lapic_read(struct acpi_machine *machine, const uint8_t *at)
{
	uint32_t flags = le32(at + 4);
	struct acpi_cpu cpu = {.apic_id = at[3],
			       .uid = at[2],
			       .is_enabled = (flags & CPU_ENABLED) != 0,
			       .is_online_capable = (flags & CPU_ONLINE_CAPABLE) != 0};

	if (cpu.apic_id != APIC_ID_ALL)
		cpu_add(machine, &cpu);
	else
		machine->skipped += cpu.is_enabled;
}

static void x2apic_read(struct acpi_machine *machine, const uint8_t *at)
{
	uint32_t flags = le32(at + 8);
	struct acpi_cpu cpu = {.apic_id = le32(at + 4),
			       .uid = le32(at + 12),
			       .is_enabled = (flags & CPU_ENABLED) != 0,
			       .is_online_capable = (flags & CPU_ONLINE_CAPABLE) != 0,
			       .is_x2apic = 1};

	if (cpu.apic_id != UINT32_MAX)
		cpu_add(machine, &cpu);
	else
		machine->skipped += cpu.is_enabled;
}

static void ioapic_read(struct acpi_machine *machine, const uint8_t *at)
{
	if (machine->ioapic_count == ACPI_IOAPICS_MAX) {
		machine->truncated++;
		return;
	}
	machine->ioapics[machine->ioapic_count++] =
		(struct acpi_ioapic){.address = le32(at + 4), .id = at[2], .gsi_base = le32(at + 8)};
}

static void override_read(struct acpi_machine *machine, const uint8_t *at)
{
	if (at[2] != 0) { // a bus other than ISA
		machine->skipped++;
		return;
	}
	if (machine->override_count == ACPI_OVERRIDES_MAX) {
		machine->truncated++;
		return;
	}
	machine->overrides[machine->override_count++] = (struct acpi_override){
		.source = at[3], .gsi = le32(at + 4), .polarity = at[8] & 3, .trigger = at[8] >> 2 & 3};
}

static void nmi_add(struct acpi_machine *machine, uint32_t uid, uint8_t flags, uint8_t lint)
{
	if (lint > 1) {
		machine->skipped++;
		return;
	}
	if (machine->nmi_count == ACPI_NMIS_MAX) {
		machine->truncated++;
		return;
	}
	machine->nmis[machine->nmi_count++] =
		(struct acpi_nmi){.uid = uid, .lint = lint, .polarity = flags & 3, .trigger = flags >> 2 & 3};
}

static uint32_t entry_size_min(uint8_t type)
{
	switch (type) {
	case MADT_LAPIC:
		return 8;
	case MADT_IOAPIC:
	case MADT_LAPIC_ADDRESS:
	case MADT_X2APIC_NMI:
		return 12;
	case MADT_OVERRIDE:
		return 10;
	case MADT_LAPIC_NMI:
		return 6;
	case MADT_X2APIC:
		return 16;
	default:
		return 2;
	}
}

static void entry_read(struct acpi_machine *machine, const struct acpi_bytes *entry)
{
	const uint8_t *at = entry->at;

	if (entry->size_bytes < entry_size_min(at[0])) {
		machine->skipped++;
		return;
	}
	switch (at[0]) {
	case MADT_LAPIC:
		lapic_read(machine, at);
		break;
	case MADT_IOAPIC:
		ioapic_read(machine, at);
		break;
	case MADT_OVERRIDE:
		override_read(machine, at);
		break;
	case MADT_LAPIC_NMI:
		nmi_add(machine, at[2] == UID_ALL_8 ? ACPI_UID_ALL : at[2], at[3], at[5]);
		break;
	case MADT_LAPIC_ADDRESS:
		machine->lapic_address = le64(at + 4);
		break;
	case MADT_X2APIC:
		x2apic_read(machine, at);
		break;
	case MADT_X2APIC_NMI:
		nmi_add(machine, le32(at + 4), at[2], at[8]);
		break;
	default:
		break;
	}
}

bool acpi_madt_read(struct acpi_machine *machine, const struct acpi_bytes *table)
{
	struct acpi_bytes entry;
	uint32_t offset = MADT_ENTRIES;

	if (table->size_bytes < MADT_ENTRIES)
		return false;
	machine->lapic_address = le32(table->at + 36);
	machine->has_pic = (le32(table->at + 40) & MADT_PCAT_COMPAT) != 0;
	while (acpi_entry_next(machine, table, &offset, &entry))
		entry_read(machine, &entry);
	return true;
}
