// SPDX-License-Identifier: MIT
//
// ACPI: from the RSDP to the tables, and the order in which they are read.
#include "acpi_impl.h"

#include <string.h>

enum {
	RSDP_SIZE_1 = 20,
	RSDP_SIZE_2 = 36,
	RSDP_SIZE_MAX = 4096,
	SCAN_SIZE_MAX = 1 << 20
};

struct acpi_root {
	uint64_t phys;
	uint32_t entry_size; // 4: RSDT, 8: XSDT
	uint32_t count;
};

// Where a table is expected to come from, and who reads it.
struct acpi_kind {
	char signature[5];
	enum acpi_table table;
	bool (*read)(struct acpi_machine *machine, const struct acpi_bytes *table);
};

// In the order of reading.
static const struct acpi_kind kinds[] = {
	{"APIC", ACPI_MADT, acpi_madt_read}, {"SRAT", ACPI_SRAT, acpi_srat_read}, {"SLIT", ACPI_SLIT, acpi_slit_read},
	{"FACP", ACPI_FADT, acpi_fadt_read}, {"HPET", ACPI_HPET, acpi_hpet_read},
};

static const uint8_t *window_map(const struct acpi_window *window, uint64_t phys, size_t size_bytes)
{
	uint64_t end;
	if (phys == 0 || __builtin_add_overflow(phys, size_bytes, &end))
		return NULL;
	return (const uint8_t *)window->map(window->context, phys, size_bytes);
}

static bool sum_is_zero(const uint8_t *at, uint32_t size_bytes)
{
	uint8_t sum = 0;
	for (uint32_t i = 0; i < size_bytes; i++)
		sum = (uint8_t)(sum + at[i]);
	return sum == 0;
}

static bool signature_is(const uint8_t *at, const char *signature)
{
	return memcmp(at, signature, 4) == 0;
}

// The whole table at `phys`, if it has that signature and is sound.
static bool table_map(const struct acpi_window *window, uint64_t phys, const char *signature, struct acpi_bytes *table)
{
	const uint8_t *header = window_map(window, phys, ACPI_HEADER_SIZE);
	if (header == NULL || !signature_is(header, signature))
		return false;
	table->size_bytes = le32(header + 4);
	if (table->size_bytes < ACPI_HEADER_SIZE || table->size_bytes > ACPI_TABLE_SIZE_MAX)
		return false;
	table->at = window_map(window, phys, table->size_bytes);
	return table->at != NULL && sum_is_zero(table->at, table->size_bytes);
}

// ---- root -----------------------------------------------------------------------------------------------------------

static bool rsdp_is_at(const struct acpi_window *window, uint64_t phys)
{
	const uint8_t *rsdp = window_map(window, phys, RSDP_SIZE_1);
	return rsdp != NULL && memcmp(rsdp, "RSD PTR ", 8) == 0 && sum_is_zero(rsdp, RSDP_SIZE_1);
}

// The XSDT's address of a sound RSDP of version 2 or later; 0: none.
static uint64_t xsdt_address(struct acpi_machine *machine, const struct acpi_window *window, uint64_t phys)
{
	const uint8_t *rsdp = window_map(window, phys, RSDP_SIZE_2);
	uint32_t size = rsdp != NULL ? le32(rsdp + 20) : 0;

	if (size < RSDP_SIZE_2 || size > RSDP_SIZE_MAX)
		rsdp = NULL;
	else
		rsdp = window_map(window, phys, size);
	if (rsdp != NULL && sum_is_zero(rsdp, size))
		return le64(rsdp + 24);
	machine->damaged |= ACPI_RSDP;
	return 0;
}

static bool root_open(struct acpi_machine *machine, const struct acpi_window *window, uint64_t phys,
		      uint32_t entry_size, struct acpi_root *root)
{
	struct acpi_bytes table;

	if (phys == 0)
		return false;
	if (!table_map(window, phys, entry_size == 8 ? "XSDT" : "RSDT", &table)) {
		machine->damaged |= ACPI_ROOT;
		return false;
	}
	root->phys = phys;
	root->entry_size = entry_size;
	root->count = (table.size_bytes - ACPI_HEADER_SIZE) / entry_size;
	if (root->count > ACPI_TABLES_MAX) {
		machine->truncated += root->count - ACPI_TABLES_MAX;
		root->count = ACPI_TABLES_MAX;
	}
	machine->found |= ACPI_ROOT;
	return true;
}

static tb_err root_find(struct acpi_machine *machine, const struct acpi_window *window, uint64_t rsdp_phys,
			struct acpi_root *root)
{
	if (!rsdp_is_at(window, rsdp_phys))
		return -PURE_ENOENT;
	machine->found |= ACPI_RSDP;
	const uint8_t *rsdp = window_map(window, rsdp_phys, RSDP_SIZE_1);
	if (rsdp == NULL)
		return -PURE_ENOENT;
	uint64_t rsdt = le32(rsdp + 16);
	machine->revision = rsdp[15];
	if (machine->revision >= 2 && root_open(machine, window, xsdt_address(machine, window, rsdp_phys), 8, root))
		return 0;
	return root_open(machine, window, rsdt, 4, root) ? 0 : -PURE_ENOENT;
}

uint64_t acpi_rsdp_scan(const struct acpi_window *window, uint64_t start, uint64_t size_bytes)
{
	if (size_bytes > SCAN_SIZE_MAX)
		size_bytes = SCAN_SIZE_MAX;
	uint64_t skip = (16 - start % 16) % 16;
	for (uint64_t at = skip; at + RSDP_SIZE_1 <= size_bytes; at += 16)
		if (rsdp_is_at(window, start + at))
			return start + at;
	return 0;
}

// ---- tables ---------------------------------------------------------------------------------------------------------

// Addresses of the first table of each kind; 0: not there.
static void tables_find(const struct acpi_window *window, const struct acpi_root *root,
			uint64_t phys[PURE_COUNT(kinds)])
{
	memset(phys, 0, PURE_COUNT(kinds) * sizeof phys[0]);
	for (uint32_t i = 0; i < root->count; i++) {
		uint64_t at = root->phys + ACPI_HEADER_SIZE + (uint64_t)i * root->entry_size;
		const uint8_t *entry = window_map(window, at, root->entry_size);
		if (entry == NULL)
			return;
		uint64_t table = root->entry_size == 8 ? le64(entry) : le32(entry);
		const uint8_t *header = window_map(window, table, 4);
		for (size_t kind = 0; header != NULL && kind < PURE_COUNT(kinds); kind++)
			if (phys[kind] == 0 && signature_is(header, kinds[kind].signature))
				phys[kind] = table;
	}
}

static void table_read(struct acpi_machine *machine, const struct acpi_window *window, uint64_t phys,
		       const struct acpi_kind *kind)
{
	struct acpi_bytes table;

	if (phys == 0)
		return;
	if (!table_map(window, phys, kind->signature, &table) || !kind->read(machine, &table))
		machine->damaged |= kind->table;
	else
		machine->found |= kind->table;
}

static void dsdt_read(struct acpi_machine *machine, const struct acpi_window *window, uint64_t fadt_phys)
{
	static const struct acpi_kind dsdt = {"DSDT", ACPI_DSDT, acpi_dsdt_read};
	struct acpi_bytes fadt;

	if ((machine->found & ACPI_FADT) != 0 && table_map(window, fadt_phys, "FACP", &fadt))
		table_read(machine, window, acpi_dsdt_address(&fadt), &dsdt);
}

bool acpi_entry_next(struct acpi_machine *machine, const struct acpi_bytes *table, uint32_t *offset,
		     struct acpi_bytes *entry)
{
	uint32_t left = table->size_bytes - *offset;

	if (left == 0)
		return false;
	entry->at = table->at + *offset;
	entry->size_bytes = left >= 2 ? entry->at[1] : 0;
	if (entry->size_bytes < 2 || entry->size_bytes > left) {
		machine->skipped++;
		return false;
	}
	*offset += entry->size_bytes;
	return true;
}

tb_err acpi_read(struct acpi_machine *machine, const struct acpi_window *window, uint64_t rsdp_phys)
{
	uint64_t phys[PURE_COUNT(kinds)];
	struct acpi_root root;

	memset(machine, 0, sizeof *machine);
	tb_err err = root_find(machine, window, rsdp_phys, &root);
	if (err != 0)
		return err;
	tables_find(window, &root, phys);
	for (size_t kind = 0; kind < PURE_COUNT(kinds); kind++) {
		table_read(machine, window, phys[kind], &kinds[kind]);
		if (kinds[kind].table == ACPI_FADT)
			dsdt_read(machine, window, phys[kind]);
	}
	return 0;
}
