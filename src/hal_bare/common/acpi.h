// SPDX-License-Identifier: MIT
//
// What ACPI's tables say about the machine (ACPI 6.5, chapter 5; IA-PC HPET 1.0a), as one record without pointers. No AML is
// run: of the DSDT only the package \_S5_ is looked for. A table with a wrong checksum or length is ignored and named in
// `damaged`. Pure: physical memory is read through the caller's window.
#ifndef BARE_ACPI_H
#define BARE_ACPI_H

#include "tbos/types.h"

#define ACPI_CPUS_MAX 256u
#define ACPI_IOAPICS_MAX 16u
#define ACPI_OVERRIDES_MAX 32u
#define ACPI_NMIS_MAX 32u
#define ACPI_MEMORY_MAX 64u
#define ACPI_DOMAINS_MAX 8u // proximity domains, renumbered from 0 in the order they appear
#define ACPI_TABLE_SIZE_MAX (4u << 20)
#define ACPI_TABLES_MAX 128u // entries of the root table that are looked at
#define ACPI_UID_ALL UINT32_MAX

// Bytes [phys, phys+size_bytes) for reading, valid until the next call of map; NULL when there is no such memory. size_bytes is
// at most ACPI_TABLE_SIZE_MAX.
struct acpi_window {
	const void *(*map)(void *context, uint64_t phys, size_t size_bytes);
	void *context;
};

enum acpi_table {
	ACPI_RSDP = 1u << 0,
	ACPI_ROOT = 1u << 1, // RSDT or XSDT
	ACPI_MADT = 1u << 2,
	ACPI_FADT = 1u << 3,
	ACPI_SRAT = 1u << 4,
	ACPI_SLIT = 1u << 5,
	ACPI_HPET = 1u << 6,
	ACPI_DSDT = 1u << 7,
	ACPI_OTHER = 1u << 8
};

struct acpi_cpu {
	uint32_t apic_id;
	uint32_t uid;
	uint32_t node;              // domain's new number, 0 without SRAT
	uint32_t is_enabled;        // usable now
	uint32_t is_online_capable; // not enabled, but may be by hot-plug
	uint32_t is_x2apic;         // listed by an x2APIC entry
};

struct acpi_ioapic {
	uint64_t address;
	uint32_t id;
	uint32_t gsi_base;
};

enum acpi_polarity {
	ACPI_BUS_DEFAULT = 0, // ISA: high, edge
	ACPI_HIGH = 1,
	ACPI_LOW = 3
};

enum acpi_trigger {
	ACPI_TRIGGER_DEFAULT = 0,
	ACPI_EDGE = 1,
	ACPI_LEVEL = 3
};

// ISA interrupt `source` arrives at global interrupt `gsi`.
struct acpi_override {
	uint32_t source;
	uint32_t gsi;
	uint8_t polarity; // enum acpi_polarity
	uint8_t trigger;  // enum acpi_trigger
	uint16_t reserved;
};

struct acpi_nmi {
	uint32_t uid; // ACPI_UID_ALL: every CPU
	uint8_t lint; // 0 or 1
	uint8_t polarity;
	uint8_t trigger;
	uint8_t reserved;
};

struct acpi_memory {
	uint64_t start;
	uint64_t size_bytes;
	uint32_t node;
	uint32_t is_hotplug;
};

// A generic address structure.
enum acpi_space {
	ACPI_SPACE_MEMORY = 0,
	ACPI_SPACE_IO = 1,
	ACPI_SPACE_PCI = 2
};

struct acpi_register {
	uint64_t address; // 0: none
	uint8_t space;    // enum acpi_space; others are possible and not usable
	uint8_t width_bits;
	uint8_t offset_bits;
	uint8_t access; // 0 undefined, 1 byte, 2 word, 3 dword, 4 qword
	uint32_t reserved;
};

struct acpi_fadt {
	uint32_t present;
	uint32_t sci_irq;
	uint32_t smi_command; // I/O port, 0: none
	uint32_t acpi_enable; // value for smi_command that switches ACPI on, 0: none
	struct acpi_register pm1a_control, pm1b_control, pm_timer;
	struct acpi_register reset, sleep_control, sleep_status;
	uint8_t reset_value;
	uint8_t has_reset; // RESET_REG_SUP and a register
	uint8_t hw_reduced;
	uint8_t pm_timer_32bit;             // else 24 bits
	uint8_t century_index;              // CMOS register, 0: none
	uint8_t has_8042, has_vga, has_rtc; // as IAPC_BOOT_ARCH of revision ≥ 2 says, else 1
};

struct acpi_hpet {
	struct acpi_register base;
	uint32_t present;
	uint32_t block_id;
	uint16_t min_tick;
	uint16_t number;
	uint32_t reserved;
};

struct acpi_machine {
	uint32_t found;     // enum acpi_table: there and sound
	uint32_t damaged;   // enum acpi_table: there, not sound, ignored
	uint32_t truncated; // entries that did not fit
	uint32_t skipped;   // damaged entries within sound tables
	uint32_t revision;  // of the RSDP: 0 is ACPI 1

	uint64_t lapic_address; // override applied; 0 without MADT
	uint32_t has_pic;       // PCAT_COMPAT: two 8259s
	uint32_t cpu_count;
	struct acpi_cpu
		cpus[ACPI_CPUS_MAX]; // in the order of the MADT; neither enabled nor online-capable ones are left out
	uint32_t ioapic_count;
	uint32_t override_count;
	struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
	struct acpi_override overrides[ACPI_OVERRIDES_MAX];
	uint32_t nmi_count;
	uint32_t memory_count;
	struct acpi_nmi nmis[ACPI_NMIS_MAX];
	struct acpi_memory memory[ACPI_MEMORY_MAX];

	uint32_t domain_count;                                // NUMA nodes, 0 without SRAT
	uint32_t domains[ACPI_DOMAINS_MAX];                   // proximity domain of node n
	uint8_t distance[ACPI_DOMAINS_MAX][ACPI_DOMAINS_MAX]; // SLIT: 10 is local; 0 unknown

	struct acpi_fadt fadt;
	struct acpi_hpet hpet;
	uint32_t has_s5;
	uint8_t s5_type_a, s5_type_b; // SLP_TYP for PM1a, PM1b
	uint16_t reserved;
};

// Reads everything that hangs off the RSDP at `rsdp_phys`. The record may live in static memory: it is some 11 KiB. Errors:
// -PURE_ENOENT (no sound RSDP or root table there; the record is empty then). Whatever else is missing shows in `found`.
tb_err acpi_read(struct acpi_machine *machine, const struct acpi_window *window, uint64_t rsdp_phys) TB_MUST_USE;

// Looks for an RSDP on 16-byte boundaries in [start, start+size_bytes), at most 1 MiB; 0: none. For BIOS: 0xe0000 to 0xfffff and
// the first KiB of the EBDA.
uint64_t acpi_rsdp_scan(const struct acpi_window *window, uint64_t start, uint64_t size_bytes);

#endif
