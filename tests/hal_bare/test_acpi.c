// SPDX-License-Identifier: MIT
//
// ACPI: the tables of QEMU's pc, q35 and microvm give what these machines are known to have; tables made by hand hold what those
// do not; damaged ones never do harm. An input is a list of records {address, 8 bytes; size, 4 bytes; content}, the RSDP first.
#include "pure_test.h"

#include "../../src/hal_bare/common/acpi.h"
#include "../../src/hal_bare/common/pure.h"

static struct acpi_machine machine;

// ---- memory that holds the tables -----------------------------------------------------------------------------------

#define BLOCKS_MAX 16u

struct block {
	uint64_t phys;
	uint32_t size_bytes;
	uint8_t *bytes;
};

static struct block blocks[BLOCKS_MAX];
static uint32_t block_count;

static const void *blocks_map(void *context, uint64_t phys, size_t size_bytes)
{
	(void)context;
	for (uint32_t i = 0; i < block_count; i++)
		if (phys >= blocks[i].phys && phys - blocks[i].phys <= blocks[i].size_bytes &&
		    size_bytes <= blocks[i].size_bytes - (phys - blocks[i].phys))
			return blocks[i].bytes + (phys - blocks[i].phys);
	return NULL;
}

static const struct acpi_window window = {.map = blocks_map};

static void blocks_free(void)
{
	for (uint32_t i = 0; i < block_count; i++)
		free(blocks[i].bytes);
	block_count = 0;
}

static struct block *block_add(uint64_t phys, const void *bytes, uint32_t size_bytes)
{
	assert_in_range(block_count, 0, BLOCKS_MAX - 1);
	struct block *block = &blocks[block_count++];
	*block = (struct block){phys, size_bytes, malloc(size_bytes + 1)};
	memcpy(block->bytes, bytes, size_bytes);
	return block;
}

static void blocks_load(const char *name)
{
	size_t size, at = 0;
	uint8_t *input = input_read(name, &size);

	blocks_free();
	while (at + 12 <= size) {
		uint32_t block_size = le32(input + at + 8);
		assert_true(block_size <= size - at - 12);
		block_add(le64(input + at), input + at + 12, block_size);
		at += 12 + block_size;
	}
	assert_int_equal(at, size);
	free(input);
}

static void tables_read(const char *name)
{
	blocks_load(name);
	assert_int_equal(acpi_read(&machine, &window, blocks[0].phys), 0);
	assert_int_equal(machine.damaged, 0);
	assert_int_equal(machine.truncated, 0);
	assert_int_equal(machine.skipped, 0);
}

static void register_is(struct acpi_register reg, uint8_t space, uint64_t address, uint8_t width_bits)
{
	assert_int_equal(reg.space, space);
	assert_int_equal(reg.address, address);
	assert_int_equal(reg.width_bits, width_bits);
}

// ---- QEMU's ---------------------------------------------------------------------------------------------------------

static void pc(void **state)
{
	(void)state;
	tables_read("fuzz_acpi/pc");
	assert_int_equal(machine.revision, 0);
	assert_int_equal(machine.found, ACPI_RSDP | ACPI_ROOT | ACPI_MADT | ACPI_FADT | ACPI_HPET | ACPI_DSDT);
	assert_int_equal(machine.cpu_count, 1);
	assert_int_equal(machine.lapic_address, 0xfee00000);
	assert_true(machine.has_pic);
	assert_int_equal(machine.ioapics[0].address, 0xfec00000);
	assert_int_equal(machine.override_count, 5);
	assert_true(machine.overrides[0].source == 0 && machine.overrides[0].gsi == 2);
	assert_true(machine.overrides[2].source == 9 && machine.overrides[2].polarity == ACPI_HIGH &&
		    machine.overrides[2].trigger == ACPI_LEVEL);
	assert_true(machine.nmi_count == 1 && machine.nmis[0].uid == ACPI_UID_ALL && machine.nmis[0].lint == 1);
	register_is(machine.fadt.pm1a_control, ACPI_SPACE_IO, 0x604, 16);
	register_is(machine.fadt.pm_timer, ACPI_SPACE_IO, 0x608, 32);
	assert_true(machine.fadt.sci_irq == 9 && !machine.fadt.hw_reduced && !machine.fadt.has_reset);
	assert_int_equal(machine.fadt.smi_command, 0xb2);
	register_is(machine.hpet.base, ACPI_SPACE_MEMORY, 0xfed00000, 0);
	assert_true(machine.has_s5 && machine.s5_type_a == 0);
	assert_int_equal(machine.domain_count, 0);
}

// -smp 6 -m 1G, two nodes of 512 MiB, distance 21.
static void q35_with_two_nodes(void **state)
{
	(void)state;
	tables_read("fuzz_acpi/q35_numa");
	assert_int_equal(machine.cpu_count, 6);
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(machine.cpus[i].apic_id, i);
		assert_int_equal(machine.cpus[i].node, i / 3);
		assert_true(machine.cpus[i].is_enabled);
	}
	assert_int_equal(machine.memory_count, 3);
	assert_true(machine.memory[1].start == 1u << 20 && machine.memory[1].size_bytes == 511u << 20);
	assert_true(machine.memory[2].start == 512u << 20 && machine.memory[2].node == 1);
	assert_int_equal(machine.domain_count, 2);
	assert_true(machine.distance[0][0] == 10 && machine.distance[0][1] == 21 && machine.distance[1][0] == 21);
	assert_true(machine.fadt.has_reset && machine.fadt.reset_value == 0x0f);
	register_is(machine.fadt.reset, ACPI_SPACE_IO, 0xcf9, 8);
	assert_true(machine.has_s5 && machine.s5_type_a == 0);
}

static void microvm_is_hardware_reduced(void **state)
{
	(void)state;
	tables_read("fuzz_acpi/microvm");
	assert_int_equal(machine.revision, 2);
	assert_int_equal(machine.cpu_count, 4);
	assert_int_equal(machine.ioapic_count, 2);
	assert_int_equal(machine.ioapics[1].gsi_base, 24);
	assert_true(machine.fadt.hw_reduced && machine.fadt.has_reset);
	register_is(machine.fadt.sleep_control, ACPI_SPACE_MEMORY, 0xfea00200, 8);
	register_is(machine.fadt.sleep_status, ACPI_SPACE_MEMORY, 0xfea00201, 8);
	register_is(machine.fadt.reset, ACPI_SPACE_MEMORY, 0xfea00202, 8);
	assert_int_equal(machine.fadt.reset_value, 0x42);
	assert_true(machine.has_s5 && machine.s5_type_a == 5);
	assert_int_equal(machine.found & ACPI_HPET, 0);
}

static void the_rsdp_is_found_by_its_sum(void **state)
{
	uint8_t page[256] = {0};

	(void)state;
	blocks_load("fuzz_acpi/pc");
	memcpy(page + 40, blocks[0].bytes, 20); // not on 16 bytes
	memcpy(page + 80, blocks[0].bytes, 20);
	page[85] ^= 1;                           // wrong
	memcpy(page + 112, blocks[0].bytes, 20); // the one
	block_add(0xe0000, page, sizeof page);
	assert_int_equal(acpi_rsdp_scan(&window, 0xe0001, sizeof page - 1), 0xe0070);
	assert_int_equal(acpi_rsdp_scan(&window, 0xe0000, 131), 0); // ends a byte early
	assert_int_equal(acpi_rsdp_scan(&window, 0xe0000, 132), 0xe0070);
	assert_int_equal(acpi_rsdp_scan(&window, 0x100000, 4096), 0);
	blocks_free();
}

// ---- made by hand ---------------------------------------------------------------------------------------------------

#define RSDP_AT 0x1000u
#define ROOT_AT 0x2000u
#define TABLE_AT 0x10000u

static void sum_fix(uint8_t *bytes, uint32_t size_bytes, uint32_t at)
{
	uint8_t sum = 0;
	bytes[at] = 0;
	for (uint32_t i = 0; i < size_bytes; i++)
		sum = (uint8_t)(sum + bytes[i]);
	bytes[at] = (uint8_t)-sum;
}

static void le_put(uint8_t *at, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint8_t *table_make(uint64_t phys, const char *signature, uint8_t revision, const void *body,
			   uint32_t size_bytes)
{
	uint8_t header[36] = {0};
	memcpy(header, signature, 4);
	header[8] = revision;
	struct block *block = block_add(phys, header, sizeof header);
	block->size_bytes += size_bytes;
	block->bytes = realloc(block->bytes, block->size_bytes);
	memcpy(block->bytes + 36, body, size_bytes);
	le_put(block->bytes + 4, block->size_bytes, 4);
	sum_fix(block->bytes, block->size_bytes, 9);
	return block->bytes;
}

// An RSDP of version 2 and an XSDT that lists `count` tables at TABLE_AT, TABLE_AT + 0x1000, …
static void root_make(uint32_t count)
{
	uint8_t rsdp[36] = "RSD PTR ";
	uint8_t entries[8 * BLOCKS_MAX];

	blocks_free();
	rsdp[15] = 2;
	le_put(rsdp + 20, 36, 4);
	le_put(rsdp + 24, ROOT_AT, 8);
	sum_fix(rsdp, 20, 8);
	sum_fix(rsdp, 36, 32);
	block_add(RSDP_AT, rsdp, 36);
	for (uint32_t i = 0; i < count; i++)
		le_put(entries + 8 * i, TABLE_AT + 0x1000u * i, 8);
	table_make(ROOT_AT, "XSDT", 1, entries, 8 * count);
}

static void root_read(void)
{
	assert_int_equal(acpi_read(&machine, &window, RSDP_AT), 0);
}

static void madt_lists_cpus_of_both_kinds(void **state)
{
	static const uint8_t body[] = {
		0,  0,  0xe0, 0xfe, 0,    0,    0,    0,                             // LAPIC at 0xfee00000, no PIC
		0,  8,  1,    7,    1,    0,    0,    0,                             // APIC 7, enabled
		0,  8,  2,    8,    2,    0,    0,    0,                             // APIC 8, may come
		0,  8,  3,    9,    0,    0,    0,    0,                             // APIC 9, never
		0,  8,  4,    255,  1,    0,    0,    0,                             // everybody's number
		9,  16, 0,    0,    7,    0,    0,    0,    1, 0, 0, 0, 1,  0, 0, 0, // APIC 7 again
		9,  16, 0,    0,    0,    1,    0,    0,    1, 0, 0, 0, 44, 0, 0, 0, // APIC 256
		5,  12, 0,    0,    0,    0,    0x10, 0,    1, 0, 0, 0,              // LAPIC at 0x100100000 instead
		4,  6,  2,    13,   0,    1,                                         // NMI of CPU 2: high, level
		10, 12, 5,    0,    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,              // NMI of all on LINT0
		4,  6,  2,    0,    0,    2,                                         // LINT2 there is none
		2,  10, 1,    3,    0,    0,    0,    0,    0, 0, // override of a bus that is not ISA
		99, 3,  0,                                        // unknown
		1,  4,  0,    0,                                  // too short for an I/O APIC
		0,  1,                                            // too short for anything: the end
	};

	(void)state;
	root_make(1);
	table_make(TABLE_AT, "APIC", 3, body, sizeof body);
	root_read();
	assert_int_equal(machine.cpu_count, 3);
	assert_true(machine.cpus[0].apic_id == 7 && machine.cpus[0].is_enabled && !machine.cpus[0].is_x2apic);
	assert_true(machine.cpus[1].apic_id == 8 && !machine.cpus[1].is_enabled && machine.cpus[1].is_online_capable);
	assert_true(machine.cpus[2].apic_id == 256 && machine.cpus[2].uid == 44 && machine.cpus[2].is_x2apic);
	assert_int_equal(machine.lapic_address, 0x100100000);
	assert_false(machine.has_pic);
	assert_int_equal(machine.nmi_count, 2);
	assert_true(machine.nmis[0].uid == 2 && machine.nmis[0].polarity == 1 && machine.nmis[0].trigger == 3);
	assert_true(machine.nmis[1].uid == ACPI_UID_ALL && machine.nmis[1].lint == 0);
	assert_int_equal(machine.override_count, 0);
	assert_int_equal(machine.ioapic_count, 0);
	assert_int_equal(machine.skipped, 6);
	blocks_free();
}

static void srat_of_revision_1_has_small_domains(void **state)
{
	uint8_t body[12 + 40 + 16] = {1};
	static const uint8_t madt[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 5, 1, 0, 0, 0};

	(void)state;
	body[12] = 1, body[13] = 40, body[14] = 3, body[15] = 0x77; // memory of domain 3, junk behind it
	le_put(body + 12 + 8, 1u << 20, 8);
	le_put(body + 12 + 16, 1u << 20, 8);
	body[12 + 28] = 1;
	body[52] = 0, body[53] = 16, body[54] = 4, body[55] = 5, body[56] = 1; // APIC 5 of domain 4
	for (uint8_t revision = 1; revision <= 2; revision++) {
		root_make(2);
		table_make(TABLE_AT, "SRAT", revision, body,
			   sizeof body); // before the MADT, which is read first all the same
		table_make(TABLE_AT + 0x1000, "APIC", 1, madt, sizeof madt);
		root_read();
		assert_int_equal(machine.domain_count, 2);
		assert_int_equal(machine.domains[0], revision == 1 ? 3 : 0x7703);
		assert_int_equal(machine.domains[1], 4);
		assert_int_equal(machine.cpus[0].node, 1);
	}
	blocks_free();
}

static void damaged_tables_are_named_and_left_out(void **state)
{
	uint8_t zeros[256] = {0};

	(void)state;
	root_make(3);
	uint8_t *madt = table_make(TABLE_AT, "APIC", 1, zeros, 8);
	table_make(TABLE_AT + 0x1000, "HPET", 1, zeros, 19); // a byte short
	table_make(TABLE_AT + 0x2000, "SLIT", 1, zeros, 8);
	madt[40] ^= 1; // the sum is wrong now
	root_read();
	assert_int_equal(machine.damaged, ACPI_MADT | ACPI_HPET);
	assert_int_equal(machine.found, ACPI_RSDP | ACPI_ROOT | ACPI_SLIT);
	assert_false(machine.hpet.present);
	assert_int_equal(acpi_read(&machine, &window, ROOT_AT), -PURE_ENOENT);
	assert_int_equal(acpi_read(&machine, &window, 0), -PURE_ENOENT);
	assert_int_equal(machine.found, 0);
	blocks_free();
}

static void a_broken_xsdt_leaves_the_rsdt(void **state)
{
	uint8_t entry[4];

	(void)state;
	root_make(0);
	blocks[1].bytes[9]++;
	le_put(entry, TABLE_AT, 4);
	table_make(0x3000, "RSDT", 1, entry, 4);
	le_put(blocks[0].bytes + 16, 0x3000, 4);
	sum_fix(blocks[0].bytes, 20, 8);
	sum_fix(blocks[0].bytes, 36, 32);
	table_make(TABLE_AT, "APIC", 1, "\0\0\0\0\1\0\0\0", 8);
	root_read();
	assert_int_equal(machine.damaged, ACPI_ROOT);
	assert_true((machine.found & ACPI_MADT) != 0 && machine.has_pic);
	blocks_free();
}

// A FADT of version 5 whose registers are where the standard says, in both forms; flags choose.
static void fadt_flags_choose_registers(void **state)
{
	(void)state;
	for (uint32_t flags = 0; flags < 4; flags++) {
		uint8_t body[268 - 36] = {0};
		le_put(body + 112 - 36, (flags & 1) << 10 | (flags & 2) << 7, 4); // RESET_REG_SUP, TMR_VAL_EXT
		body[116 - 36] = 1, body[117 - 36] = 8;
		le_put(body + 120 - 36, 0x64, 8);
		body[128 - 36] = 0xfe;
		le_put(body + 64 - 36, 0xb004, 4); // PM1a as a port of two bytes
		body[89 - 36] = 2;
		le_put(body + 68 - 36, 0x1111, 4);      // PM1b in both forms: the wide one counts
		le_put(body + 184 - 36, 0x03001000, 4); // memory, 16 bits, by dwords
		le_put(body + 188 - 36, 0xfed80000, 8);
		le_put(body + 109 - 36, 1 << 2 | 1 << 5, 2); // no VGA, no CMOS clock, no 8042
		root_make(1);
		table_make(TABLE_AT, "FACP", 5, body, sizeof body);
		root_read();
		blocks_free();
		assert_int_equal(machine.fadt.has_reset, flags & 1);
		assert_int_equal(machine.fadt.pm_timer_32bit, flags >> 1);
		register_is(machine.fadt.reset, ACPI_SPACE_IO, 0x64, 8);
		register_is(machine.fadt.pm1a_control, ACPI_SPACE_IO, 0xb004, 16);
		register_is(machine.fadt.pm1b_control, ACPI_SPACE_MEMORY, 0xfed80000, 16);
		assert_int_equal(machine.fadt.pm1b_control.access, 3);
		assert_false(machine.fadt.has_8042 || machine.fadt.has_vga || machine.fadt.has_rtc);
	}
}

static bool s5_read(const void *aml, uint32_t size_bytes)
{
	uint8_t fadt[116 - 36] = {0};

	root_make(1);
	le_put(fadt + 4, 0x8000, 4);
	table_make(TABLE_AT, "FACP", 1, fadt, sizeof fadt);
	table_make(0x8000, "DSDT", 1, aml, size_bytes);
	root_read();
	blocks_free();
	return machine.has_s5;
}

static void the_sleep_type_is_a_package_of_constants(void **state)
{
	(void)state;
	assert_true(s5_read("\x08_S5_\x12\x08\x04\x0a\x05\x0a\x06\x00\x00", 14));
	assert_true(machine.s5_type_a == 5 && machine.s5_type_b == 6);
	assert_true(s5_read("junk_S5_\x08\\_S5_\x12\x06\x04\x01\x00\x00\x00", 21));
	assert_true(machine.s5_type_a == 1 && machine.s5_type_b == 0);
	assert_true(s5_read("\x08_S5_\x12\x4b\x00\x02\x0b\x07\x00\x0c\x03\x00\x00\x00", 17)); // length of two bytes
	assert_true(machine.s5_type_a == 7 && machine.s5_type_b == 3);
	assert_true(s5_read("\x08_S5_\x12\x04\x01\x0a\x04", 10)); // one element for both
	assert_true(machine.s5_type_a == 4 && machine.s5_type_b == 4);
	assert_false(s5_read("\x08_S5_\x12\x04\x01\x0a\x08", 10)); // three bits
	assert_false(s5_read("\x08_S5_\x12\x04\x01\x70\x01", 10)); // an expression
	assert_false(s5_read("\x08_S5_\x12\x05\x01\x0a\x01", 10)); // longer than the table
	assert_false(s5_read("\x08_S5_\x12\x03\x02\x01\x01", 10)); // more elements than bytes
	assert_false(s5_read("\x08_S5_\x12\xff", 7));
	assert_false(s5_read("\x08_S5", 4));
}

// ---- damage ---------------------------------------------------------------------------------------------------------

static void record_is_within_bounds(void)
{
	assert_in_range(machine.cpu_count, 0, ACPI_CPUS_MAX);
	assert_in_range(machine.ioapic_count, 0, ACPI_IOAPICS_MAX);
	assert_in_range(machine.override_count, 0, ACPI_OVERRIDES_MAX);
	assert_in_range(machine.nmi_count, 0, ACPI_NMIS_MAX);
	assert_in_range(machine.memory_count, 0, ACPI_MEMORY_MAX);
	assert_in_range(machine.domain_count, 0, ACPI_DOMAINS_MAX);
	for (uint32_t i = 0; i < machine.cpu_count; i++)
		assert_in_range(machine.cpus[i].node, 0, ACPI_DOMAINS_MAX - 1);
}

// Every byte of every table but the long AML, with the sums made right again, so that the damage is seen.
static void damaged_bytes_do_no_harm(void **state)
{
	static const char *const inputs[] = {"fuzz_acpi/pc", "fuzz_acpi/q35_numa", "fuzz_acpi/microvm"};
	static const uint8_t numbers[] = {0, 1, 2, 0x7f, 0x80, 0xff};

	(void)state;
	for (size_t i = 0; i < PURE_COUNT(inputs); i++) {
		blocks_load(inputs[i]);
		for (uint32_t b = 0; b < block_count; b++) {
			struct block *block = &blocks[b];
			uint32_t sum_at = b == 0 ? 8 : 9, sum_size = b == 0 ? 20 : block->size_bytes;
			for (uint32_t at = 0; at < block->size_bytes && at < 512; at++) {
				uint8_t saved = block->bytes[at];
				for (size_t k = 0; k < PURE_COUNT(numbers); k++) {
					block->bytes[at] = numbers[k];
					sum_fix(block->bytes, sum_size, sum_at);
					(void)!acpi_read(&machine, &window, blocks[0].phys);
					record_is_within_bounds();
				}
				block->bytes[at] = saved;
				sum_fix(block->bytes, sum_size, sum_at);
			}
		}
	}
	blocks_free();
}

const struct CMUnitTest acpi_tests[] = {
	cmocka_unit_test(pc),
	cmocka_unit_test(q35_with_two_nodes),
	cmocka_unit_test(microvm_is_hardware_reduced),
	cmocka_unit_test(the_rsdp_is_found_by_its_sum),
	cmocka_unit_test(madt_lists_cpus_of_both_kinds),
	cmocka_unit_test(srat_of_revision_1_has_small_domains),
	cmocka_unit_test(damaged_tables_are_named_and_left_out),
	cmocka_unit_test(a_broken_xsdt_leaves_the_rsdt),
	cmocka_unit_test(fadt_flags_choose_registers),
	cmocka_unit_test(the_sleep_type_is_a_package_of_constants),
	cmocka_unit_test(damaged_bytes_do_no_harm),
};
TESTS_OF(acpi);
