// SPDX-License-Identifier: MIT
//
// ACPI's tables: purpose in acpi.h.
//
// Files: acpi.c finds the tables and checks their sums; acpi_madt.c interrupts and CPUs; acpi_numa.c SRAT and SLIT;
// acpi_fixed.c FADT, HPET and the sleep type. The root table is read an entry at a time, because the caller's window may hold one mapping only. A
// table's reader gets the whole table, its sum and length already checked, and looks at nothing else.
#ifndef BARE_ACPI_IMPL_H
#define BARE_ACPI_IMPL_H

#include "acpi.h"
#include "pure.h"

enum {
	ACPI_HEADER_SIZE = 36,
	ACPI_REVISION = 8 // offset of a table's revision
};

// A sound table: `at` is its header, size_bytes ≥ ACPI_HEADER_SIZE.
struct acpi_bytes {
	const uint8_t *at;
	uint32_t size_bytes;
};

// Moves through entries that begin with type and length, from *offset; false at the end. Damage ends it, counted as skipped.
bool acpi_entry_next(struct acpi_machine *machine, const struct acpi_bytes *table, uint32_t *offset,
		     struct acpi_bytes *entry);

// Readers: false when the table is too short to be one.
bool acpi_madt_read(struct acpi_machine *machine, const struct acpi_bytes *table);
bool acpi_srat_read(struct acpi_machine *machine, const struct acpi_bytes *table); // after the MADT
bool acpi_slit_read(struct acpi_machine *machine, const struct acpi_bytes *table); // after the SRAT
bool acpi_fadt_read(struct acpi_machine *machine, const struct acpi_bytes *table);
bool acpi_hpet_read(struct acpi_machine *machine, const struct acpi_bytes *table);
bool acpi_dsdt_read(struct acpi_machine *machine, const struct acpi_bytes *table);
uint64_t acpi_dsdt_address(const struct acpi_bytes *fadt); // 0: none

#endif
