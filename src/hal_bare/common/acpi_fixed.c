// SPDX-License-Identifier: MIT
//
// ACPI: the FADT (5.2.9), the HPET's table, and the type of sleep that is "off" out of the DSDT. Firmware writes \_S5_ as a
// package of constants in all cases known, so that its bytes can be looked for without running AML (encoding: chapter 20).
#include "acpi_impl.h"

#include <string.h>

enum {
	FADT_SIZE_1 = 116,
	FADT_SIZE_RESET = 129,
	FADT_X_DSDT = 140,
	FADT_TIMER_32BIT = 1 << 8,
	FADT_RESET_SUPPORTED = 1 << 10,
	FADT_HW_REDUCED = 1 << 20,
	BOOT_8042 = 1 << 1,
	BOOT_NO_VGA = 1 << 2,
	BOOT_NO_RTC = 1 << 5,
	REGISTER_SIZE = 12,
	HPET_SIZE = 56
};

enum aml {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_PACKAGE = 0x12,
	AML_ROOT = '\\',
	SLEEP_TYPE_MAX = 7
};

// ---- FADT -----------------------------------------------------------------------------------------------------------

static void register_read(const struct acpi_bytes *table, uint32_t offset, struct acpi_register *reg)
{
	if (table->size_bytes < REGISTER_SIZE || offset > table->size_bytes - REGISTER_SIZE)
		return;
	const uint8_t *at = table->at + offset;
	*reg = (struct acpi_register){
		.address = le64(at + 4), .space = at[0], .width_bits = at[1], .offset_bits = at[2], .access = at[3]};
}

// A register in its wide form, or else as the I/O port that the first version gave.
static void register_choose(const struct acpi_bytes *table, uint32_t wide_offset, uint32_t port_offset,
			    uint32_t size_offset, struct acpi_register *reg)
{
	register_read(table, wide_offset, reg);
	if (reg->address != 0)
		return;
	*reg = (struct acpi_register){.address = le32(table->at + port_offset),
				      .space = ACPI_SPACE_IO,
				      .width_bits = (uint8_t)(table->at[size_offset] * 8)};
}

static void boot_flags_read(const struct acpi_bytes *table, struct acpi_fadt *fadt)
{
	uint32_t flags = le16(table->at + 109);
	bool is_told = table->at[ACPI_REVISION] >= 2;

	fadt->has_8042 = !is_told || (flags & BOOT_8042) != 0;
	fadt->has_vga = !is_told || (flags & BOOT_NO_VGA) == 0;
	fadt->has_rtc = !is_told || (flags & BOOT_NO_RTC) == 0;
}

bool acpi_fadt_read(struct acpi_machine *machine, const struct acpi_bytes *table)
{
	struct acpi_fadt *fadt = &machine->fadt;

	if (table->size_bytes < FADT_SIZE_1)
		return false;
	uint32_t flags = le32(table->at + 112);
	fadt->present = 1;
	fadt->sci_irq = le16(table->at + 46);
	fadt->smi_command = le32(table->at + 48);
	fadt->acpi_enable = table->at[52];
	fadt->century_index = table->at[108];
	fadt->hw_reduced = (flags & FADT_HW_REDUCED) != 0;
	fadt->pm_timer_32bit = (flags & FADT_TIMER_32BIT) != 0;
	register_choose(table, 172, 64, 89, &fadt->pm1a_control);
	register_choose(table, 184, 68, 89, &fadt->pm1b_control);
	register_choose(table, 208, 76, 91, &fadt->pm_timer);
	register_read(table, 244, &fadt->sleep_control);
	register_read(table, 256, &fadt->sleep_status);
	boot_flags_read(table, fadt);
	if (table->size_bytes >= FADT_SIZE_RESET) {
		register_read(table, 116, &fadt->reset);
		fadt->reset_value = table->at[128];
		fadt->has_reset = (flags & FADT_RESET_SUPPORTED) != 0 && fadt->reset.address != 0;
	}
	return true;
}

uint64_t acpi_dsdt_address(const struct acpi_bytes *fadt)
{
	uint64_t wide = fadt->size_bytes >= FADT_X_DSDT + 8 ? le64(fadt->at + FADT_X_DSDT) : 0;
	return wide != 0 ? wide : le32(fadt->at + 40);
}

bool acpi_hpet_read(struct acpi_machine *machine, const struct acpi_bytes *table)
{
	struct acpi_hpet *hpet = &machine->hpet;

	if (table->size_bytes < HPET_SIZE)
		return false;
	hpet->present = 1;
	hpet->block_id = le32(table->at + 36);
	register_read(table, 40, &hpet->base);
	hpet->number = table->at[52];
	hpet->min_tick = le16(table->at + 53);
	return true;
}

// ---- \_S5_ ----------------------------------------------------------------------------------------------------------

// A stretch of AML that is read byte by byte; `bad` stays set once it ran out.
struct aml_bytes {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

static uint8_t aml_byte(struct aml_bytes *bytes)
{
	if (bytes->at == bytes->end) {
		bytes->bad = true;
		return 0;
	}
	return *bytes->at++;
}

// PkgLength counts from its own first byte. Cuts the stretch to the package.
static void aml_package_cut(struct aml_bytes *bytes)
{
	const uint8_t *start = bytes->at;
	uint32_t lead = aml_byte(bytes), more = lead >> 6;
	uint32_t size = more == 0 ? lead & 0x3f : lead & 0x0f;

	for (uint32_t i = 0; i < more; i++)
		size |= (uint32_t)aml_byte(bytes) << (4 + 8 * i);
	if (bytes->bad || size > (size_t)(bytes->end - start) || size < (size_t)(bytes->at - start))
		bytes->bad = true;
	else
		bytes->end = start + size;
}

static uint32_t aml_constant(struct aml_bytes *bytes)
{
	uint8_t op = aml_byte(bytes);
	uint32_t count = op == AML_BYTE ? 1 : op == AML_WORD ? 2 : op == AML_DWORD ? 4 : 0;
	uint32_t value = 0;

	if (op == AML_ZERO || op == AML_ONE)
		return op;
	if (count == 0) // an expression, or Ones, which is no sleep type either
		bytes->bad = true;
	for (uint32_t i = 0; i < count; i++)
		value |= (uint32_t)aml_byte(bytes) << 8 * i;
	return value;
}

// What follows the name; false: not a package of sleep types.
static bool sleep_package_read(struct acpi_machine *machine, const uint8_t *at, const uint8_t *end)
{
	struct aml_bytes bytes = {.at = at, .end = end};

	if (aml_byte(&bytes) != AML_PACKAGE)
		return false;
	aml_package_cut(&bytes);
	uint8_t count = aml_byte(&bytes);
	uint32_t a = count >= 1 ? aml_constant(&bytes) : SLEEP_TYPE_MAX + 1u;
	uint32_t b = count >= 2 ? aml_constant(&bytes) : a;
	if (bytes.bad || a > SLEEP_TYPE_MAX || b > SLEEP_TYPE_MAX)
		return false;
	machine->s5_type_a = (uint8_t)a;
	machine->s5_type_b = (uint8_t)b;
	machine->has_s5 = 1;
	return true;
}

bool acpi_dsdt_read(struct acpi_machine *machine, const struct acpi_bytes *table)
{
	const uint8_t *end = table->at + table->size_bytes;

	for (const uint8_t *at = table->at + ACPI_HEADER_SIZE; (size_t)(end - at) > 6; at++) {
		if (at[0] != AML_NAME)
			continue;
		const uint8_t *name = at + 1 + (at[1] == AML_ROOT);
		if (memcmp(name, "_S5_", 4) == 0 && sleep_package_read(machine, name + 4, end))
			break;
	}
	return true;
}
