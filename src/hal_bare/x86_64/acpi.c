// SPDX-License-Identifier: MIT
//
// ACPI on this machine: the reader's window before and after paging_init(), power off and reboot by what the tables say.
#include "../common/acpi.h"
#include "x86.h"

struct acpi_machine x86_acpi;

static const void *early_map(void *context, uint64_t phys, size_t size_bytes)
{
	(void)context;
	return phys < arch_early_limit && size_bytes <= arch_early_limit - phys ? bare_phys(phys) : NULL;
}

void acpi_init(void)
{
	struct acpi_window window = {.map = early_map};
	struct bare_boot *boot = &bare.boot;
	if (boot->rsdp == 0)
		boot->rsdp = acpi_rsdp_scan(&window, 0xe0000, 0x20000);
	tb_err err = acpi_read(&x86_acpi, &window, boot->rsdp);
	if (err != 0 && boot->rsdp != 0)
		bare_print("acpi: no sound tables at %lx\n", boot->rsdp);
	if (x86_acpi.damaged != 0)
		bare_print("acpi: damaged tables were ignored: mask %x\n", x86_acpi.damaged);
	if (x86_acpi.truncated != 0)
		bare_print("acpi: %u entries did not fit\n", x86_acpi.truncated);
}

// ---- power ------------------------------------------------------------------------------------------------------------

static void register_write(const struct acpi_register *reg, uint64_t value, uint32_t default_bits)
{
	uint32_t bits = reg->access != 0 ? 4u << reg->access : reg->width_bits != 0 ? reg->width_bits : default_bits;
	if (reg->space == ACPI_SPACE_IO) {
		uint16_t port = (uint16_t)reg->address;
		if (bits <= 8)
			outb(port, (uint8_t)value);
		else if (bits <= 16)
			outw(port, (uint16_t)value);
		else
			outl(port, (uint32_t)value);
	} else if (reg->space == ACPI_SPACE_MEMORY) {
		volatile void *at = bare_map(reg->address, 8, PROT_WRITE | PROT_DEVICE);
		if (at == NULL)
			return;
		if (bits <= 8)
			*(volatile uint8_t *)at = (uint8_t)value;
		else if (bits <= 16)
			*(volatile uint16_t *)at = (uint16_t)value;
		else
			*(volatile uint32_t *)at = (uint32_t)value;
	}
}

void arch_power_off(void)
{
	const struct acpi_fadt *fadt = &x86_acpi.fadt;
	if (fadt->present == 0 || x86_acpi.has_s5 == 0)
		return;
	if (fadt->hw_reduced) {
		if (fadt->sleep_control.address != 0)
			register_write(&fadt->sleep_control, (uint64_t)x86_acpi.s5_type_a << 2 | 0x20, 8);
	} else if (fadt->pm1a_control.address != 0) {
		register_write(&fadt->pm1a_control, (uint64_t)x86_acpi.s5_type_a << 10 | 0x2000, 16);
		if (fadt->pm1b_control.address != 0)
			register_write(&fadt->pm1b_control, (uint64_t)x86_acpi.s5_type_b << 10 | 0x2000, 16);
	}
	bare_delay_ns(100000000);
}

// The reset register, the keyboard controller, and at last a triple fault.
void arch_reboot(void)
{
	const struct acpi_fadt *fadt = &x86_acpi.fadt;
	if (fadt->present != 0 && fadt->has_reset) {
		register_write(&fadt->reset, fadt->reset_value, 8);
		bare_delay_ns(10000000);
	}
	outb(0x64, 0xfe);
	bare_delay_ns(10000000);
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) nothing = {0, 0};
	__asm__ volatile("lidt %0\n\tint3" : : "m"(nothing));
}

// QEMU's isa-debug-exit: the emulator ends with (status << 1) | 1.
void arch_exit_debug(int32_t status)
{
	if (bare.options.exit == CMDLINE_EXIT_DEBUG)
		outl(0xf4, (uint32_t)status & 0x7f);
}
