// SPDX-License-Identifier: MIT
//
// ACPI: the SRAT (5.2.16), which CPU and which memory belong to which proximity domain, and the SLIT (5.2.17), how far domains
// are from each other.
#include "acpi_impl.h"

enum {
	SRAT_ENTRIES = 48,
	SRAT_CPU = 0,
	SRAT_MEMORY = 1,
	SRAT_X2APIC = 2,
	SRAT_ENABLED = 1,
	SRAT_HOTPLUG = 2,
	SRAT_CPU_SIZE = 16,
	SRAT_MEMORY_SIZE = 40,
	SRAT_X2APIC_SIZE = 24,
	SLIT_MATRIX = 44,
	SLIT_COUNT_MAX = 2048, // its square fits a table
	SLIT_LOCAL = 10
};

// The node of a proximity domain, a new one where it was not seen before. One too many becomes part of node 0.
static uint32_t domain_node(struct acpi_machine *machine, uint32_t domain)
{
	for (uint32_t i = 0; i < machine->domain_count; i++)
		if (machine->domains[i] == domain)
			return i;
	if (machine->domain_count == ACPI_DOMAINS_MAX) {
		machine->truncated++;
		return 0;
	}
	machine->domains[machine->domain_count] = domain;
	return machine->domain_count++;
}

static void cpu_place(struct acpi_machine *machine, uint32_t apic_id, uint32_t domain)
{
	uint32_t node = domain_node(machine, domain);
	for (uint32_t i = 0; i < machine->cpu_count; i++)
		if (machine->cpus[i].apic_id == apic_id)
			machine->cpus[i].node = node;
}

static void memory_add(struct acpi_machine *machine, const uint8_t *at, uint32_t domain)
{
	uint64_t start = le64(at + 8), size_bytes = le64(at + 16), last;

	if (size_bytes == 0)
		return;
	if (__builtin_add_overflow(start, size_bytes - 1, &last)) {
		machine->skipped++;
		return;
	}
	uint32_t node = domain_node(machine, domain);
	if (machine->memory_count == ACPI_MEMORY_MAX) {
		machine->truncated++;
		return;
	}
	machine->memory[machine->memory_count++] =
		(struct acpi_memory){.start = start,
				     .size_bytes = size_bytes,
				     .node = node,
				     .is_hotplug = (le32(at + 28) & SRAT_HOTPLUG) != 0};
}

static uint32_t flags_offset(uint8_t type)
{
	return type == SRAT_CPU ? 4 : type == SRAT_MEMORY ? 28 : 12;
}

static void entry_read(struct acpi_machine *machine, const struct acpi_bytes *entry, bool has_wide_domains)
{
	static const uint32_t sizes_min[] = {SRAT_CPU_SIZE, SRAT_MEMORY_SIZE, SRAT_X2APIC_SIZE};
	const uint8_t *at = entry->at;

	if (at[0] >= PURE_COUNT(sizes_min))
		return;
	if (entry->size_bytes < sizes_min[at[0]]) {
		machine->skipped++;
		return;
	}
	if ((le32(at + flags_offset(at[0])) & SRAT_ENABLED) == 0)
		return;
	// Revision 1 had domains of 8 bits, and what is behind them was not defined.
	if (at[0] == SRAT_CPU)
		cpu_place(machine, at[3], has_wide_domains ? at[2] | (le32(at + 8) & 0xffffff00u) : at[2]);
	else if (at[0] == SRAT_MEMORY)
		memory_add(machine, at, has_wide_domains ? le32(at + 2) : at[2]);
	else
		cpu_place(machine, le32(at + 8), le32(at + 4));
}

bool acpi_srat_read(struct acpi_machine *machine, const struct acpi_bytes *table)
{
	struct acpi_bytes entry;
	uint32_t offset = SRAT_ENTRIES;

	if (table->size_bytes < SRAT_ENTRIES)
		return false;
	while (acpi_entry_next(machine, table, &offset, &entry))
		entry_read(machine, &entry, table->at[ACPI_REVISION] >= 2);
	return true;
}

bool acpi_slit_read(struct acpi_machine *machine, const struct acpi_bytes *table)
{
	if (table->size_bytes < SLIT_MATRIX)
		return false;
	uint64_t count = le64(table->at + 36);
	if (count > SLIT_COUNT_MAX || count * count > table->size_bytes - SLIT_MATRIX)
		return false;
	for (uint32_t from = 0; from < machine->domain_count; from++) {
		for (uint32_t to = 0; to < machine->domain_count; to++) {
			uint64_t row = machine->domains[from], column = machine->domains[to];
			if (row >= count || column >= count)
				continue;
			uint8_t distance = table->at[SLIT_MATRIX + row * count + column];
			bool is_sound = from == to ? distance == SLIT_LOCAL : distance >= SLIT_LOCAL;
			machine->distance[from][to] = is_sound ? distance : 0;
			machine->skipped += !is_sound;
		}
	}
	return true;
}
