// SPDX-License-Identifier: MIT
//
// GICv2 (Arm IHI 0048B): distributor and CPU interfaces in memory, at most eight CPUs. All interrupts stay in the group they are in:
// group 1 as the Non-secure state sees it, or group 0 on a controller without states; both are switched on by bit 0.
#include "arm.h"

enum {
	GICD_CTLR = 0x000,
	GICD_TYPER = 0x004,
	GICD_ISENABLER = 0x100,
	GICD_ICENABLER = 0x180,
	GICD_ICPENDR = 0x280,
	GICD_IPRIORITYR = 0x400,
	GICD_ITARGETSR = 0x800,
	GICD_SGIR = 0xf00,
	GICD_SIZE = 0x1000,
	GICC_CTLR = 0x00,
	GICC_PMR = 0x04,
	GICC_BPR = 0x08,
	GICC_IAR = 0x0c,
	GICC_EOIR = 0x10,
	GICC_SIZE = 0x1000
};

#define PRIORITIES 0xa0a0a0a0u
#define SGI_IPI 0u
#define ID_MASK 0x3ffu
#define ID_SPECIAL 1020u

static uintptr_t distributor, interface;
static uint32_t targets[CONFIG_MAX_CPUS]; // bit of each CPU's interface
static uint32_t lines;

static bool init(void)
{
	const struct fdtm_intc *found = &arm.machine.intc;
	distributor = (uintptr_t)bare_map(found->distributor.start, GICD_SIZE, PROT_WRITE | PROT_DEVICE);
	interface = (uintptr_t)bare_map(found->cpu_interface.start, GICC_SIZE, PROT_WRITE | PROT_DEVICE);
	if (distributor == 0 || interface == 0)
		return false;
	mmio_write(distributor + GICD_CTLR, 0);
	lines = 32 * ((mmio_read(distributor + GICD_TYPER) & 31) + 1);
	for (uint32_t line = 32; line < lines; line += 32) {
		mmio_write(distributor + GICD_ICENABLER + line / 8, UINT32_MAX);
		mmio_write(distributor + GICD_ICPENDR + line / 8, UINT32_MAX);
	}
	for (uint32_t line = 32; line < lines; line += 4)
		mmio_write(distributor + GICD_IPRIORITYR + line, PRIORITIES);
	mmio_write(distributor + GICD_CTLR, 1);
	return true;
}

static bool cpu_init(struct bare_cpu *cpu)
{
	uint32_t timer = intc_timer_irq()->number;
	uint32_t target = mmio_read(distributor + GICD_ITARGETSR) & 0xff;
	targets[cpu->index] = target != 0 ? target : 1; // reads as zero where there is one CPU
	mmio_write(distributor + GICD_ICENABLER, UINT32_MAX);
	for (uint32_t line = 0; line < 32; line += 4)
		mmio_write(distributor + GICD_IPRIORITYR + line, PRIORITIES);
	mmio_write(interface + GICC_PMR, 0xff);
	mmio_write(interface + GICC_BPR, 0);
	mmio_write(interface + GICC_CTLR, 1);
	mmio_write(distributor + GICD_ISENABLER, 0xffffu | 1u << (timer & 31));
	return timer >= 16 && timer < 32;
}

static void uart_on(void)
{
	uint32_t number = intc_uart_irq()->number;
	if (number < 32 || number >= lines)
		return;
	uintptr_t target = distributor + GICD_ITARGETSR + (number & ~3u);
	uint32_t shift = number % 4 * 8;
	mmio_write(target, (mmio_read(target) & ~(0xffu << shift)) | targets[0] << shift);
	mmio_write(distributor + GICD_ISENABLER + number / 32 * 4, 1u << number % 32);
}

static void ipi(struct bare_cpu *cpu)
{
	__asm__ volatile("dsb ishst" : : : "memory");
	mmio_write(distributor + GICD_SGIR, targets[cpu->index] << 16 | SGI_IPI);
}

static enum intc_source take(uint32_t *token)
{
	*token = mmio_read(interface + GICC_IAR);
	uint32_t number = *token & ID_MASK;
	return number >= ID_SPECIAL ? SOURCE_NONE : intc_source_of(number);
}

static void done(uint32_t token)
{
	mmio_write(interface + GICC_EOIR, token);
}

const struct intc intc_gicv2 = {"GICv2", init, cpu_init, uart_on, ipi, take, done};
