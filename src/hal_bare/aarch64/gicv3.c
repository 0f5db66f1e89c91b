// SPDX-License-Identifier: MIT
//
// GICv3 (Arm IHI 0069): distributor and one redistributor a CPU in memory, CPU interfaces in system registers. Interrupts are in group
// 1 of the state we run in; the Secure one is told from group 0 by GICR_IGRPMODR.
#include "arm.h"

enum {
	GICD_CTLR = 0x0000,
	GICD_TYPER = 0x0004,
	GICD_IGROUPR = 0x0080,
	GICD_ISENABLER = 0x0100,
	GICD_ICENABLER = 0x0180,
	GICD_ICPENDR = 0x0280,
	GICD_IPRIORITYR = 0x0400,
	GICD_IGRPMODR = 0x0d00,
	GICD_IROUTER = 0x6000,
	GICD_SIZE = 0x10000,
	GICR_TYPER = 0x0008,
	GICR_WAKER = 0x0014,
	GICR_SGI = 0x10000, // frame of the interrupts that are the CPU's own
	GICR_SIZE = 0x20000
};

#define CTLR_RWP (1u << 31)
#define CTLR_ON 0x12u        // affinity routing, group 1; the same bits with one state as seen from Non-secure
#define CTLR_ON_SECURE 0x34u // both states' affinity routing, Secure group 1
#define TYPER_VLPIS (1u << 1)
#define TYPER_LAST (1u << 4)
#define WAKER_SLEEP (1u << 1)
#define WAKER_ASLEEP (1u << 2)
#define PRIORITIES 0xa0a0a0a0u
#define ID_MASK 0xffffffu
#define ID_SPECIAL 1020u
#define SPINS_MAX 1000000u

static uintptr_t distributor;
static uintptr_t redistributors[CONFIG_MAX_CPUS];
static uint32_t lines;

static void wait_clear(uintptr_t address, uint32_t bits)
{
	for (uint32_t i = 0; i < SPINS_MAX && (mmio_read(address) & bits) != 0; i++)
		arch_relax();
}

// Of all interrupts of a register from `line` on.
static void group_set(uintptr_t frame, uint32_t line)
{
	mmio_write(frame + GICD_IGROUPR + line / 8, arm.is_secure ? 0 : UINT32_MAX);
	mmio_write(frame + GICD_IGRPMODR + line / 8, arm.is_secure ? UINT32_MAX : 0);
}

// Where TYPER writes the affinity is MPIDR's order without its hole.
static uint64_t affinity_of(uint64_t typer)
{
	return (typer >> 32 & 0xffffff) | (typer >> 56) << 32;
}

static void redistributor_keep(uint64_t affinity, uintptr_t frame)
{
	for (uint32_t i = 0; i < bare.cpu_count; i++)
		if (bare_cpus[i].hw_id == affinity && redistributors[i] == 0)
			redistributors[i] = frame;
}

// A region is a row of frames, the last of which says so.
static void region_read(const struct fdt_range *region)
{
	uint64_t at = 0;
	while (at < region->size_bytes && region->size_bytes - at >= GICR_SIZE) {
		uintptr_t frame = (uintptr_t)bare_map(region->start + at, GICR_SIZE, PROT_WRITE | PROT_DEVICE);
		if (frame == 0)
			return;
		uint64_t typer = mmio_read(frame + GICR_TYPER) | (uint64_t)mmio_read(frame + GICR_TYPER + 4) << 32;
		redistributor_keep(affinity_of(typer), frame);
		uint64_t stride = (typer & TYPER_VLPIS) != 0 ? 2 * GICR_SIZE : GICR_SIZE;
		at += arm.machine.intc.redistributor_stride != 0 ? arm.machine.intc.redistributor_stride : stride;
		if ((typer & TYPER_LAST) != 0)
			return;
	}
}

static bool init(void)
{
	const struct fdtm_intc *found = &arm.machine.intc;
	distributor = (uintptr_t)bare_map(found->distributor.start, GICD_SIZE, PROT_WRITE | PROT_DEVICE);
	if (distributor == 0)
		return false;
	mmio_write(distributor + GICD_CTLR, 0);
	wait_clear(distributor + GICD_CTLR, CTLR_RWP);
	lines = 32 * ((mmio_read(distributor + GICD_TYPER) & 31) + 1);
	for (uint32_t line = 32; line < lines; line += 32) {
		group_set(distributor, line);
		mmio_write(distributor + GICD_ICENABLER + line / 8, UINT32_MAX);
		mmio_write(distributor + GICD_ICPENDR + line / 8, UINT32_MAX);
	}
	for (uint32_t line = 32; line < lines; line += 4)
		mmio_write(distributor + GICD_IPRIORITYR + line, PRIORITIES);
	mmio_write(distributor + GICD_CTLR, arm.is_secure ? CTLR_ON_SECURE : CTLR_ON);
	wait_clear(distributor + GICD_CTLR, CTLR_RWP);
	for (uint32_t i = 0; i < found->redistributor_count; i++)
		region_read(&found->redistributors[i]);
	return true;
}

static bool redistributor_init(uintptr_t frame, uint32_t timer)
{
	mmio_write(frame + GICR_WAKER, mmio_read(frame + GICR_WAKER) & ~WAKER_SLEEP);
	wait_clear(frame + GICR_WAKER, WAKER_ASLEEP);
	uintptr_t own = frame + GICR_SGI;
	mmio_write(own + GICD_ICENABLER, UINT32_MAX);
	wait_clear(frame + GICD_CTLR, 1u << 3); // the redistributor's RWP
	group_set(own, 0);
	for (uint32_t line = 0; line < 32; line += 4)
		mmio_write(own + GICD_IPRIORITYR + line, PRIORITIES);
	mmio_write(own + GICD_ISENABLER, 0xffffu | 1u << (timer & 31));
	return timer >= 16 && timer < 32;
}

static bool cpu_init(struct bare_cpu *cpu)
{
	if (redistributors[cpu->index] == 0 ||
	    !redistributor_init(redistributors[cpu->index], intc_timer_irq()->number))
		return false;
	arm_write(s3_0_c12_c12_5, arm_read(s3_0_c12_c12_5) | 1); // ICC_SRE_EL1
	arm_isb();
	if ((arm_read(s3_0_c12_c12_5) & 1) == 0)
		return false;
	arm_write(s3_0_c4_c6_0, 0xff); // ICC_PMR_EL1
	arm_write(s3_0_c12_c12_3, 0);  // ICC_BPR1_EL1
	arm_write(s3_0_c12_c12_4, 0);  // ICC_CTLR_EL1: one write ends an interrupt
	arm_write(s3_0_c12_c12_7, 1);  // ICC_IGRPEN1_EL1
	arm_isb();
	return true;
}

static void uart_on(void)
{
	uint32_t number = intc_uart_irq()->number;
	if (number < 32 || number >= lines)
		return;
	uintptr_t route = distributor + GICD_IROUTER + 8ull * number;
	mmio_write(route, (uint32_t)bare_cpus[0].hw_id);
	mmio_write(route + 4, (uint32_t)(bare_cpus[0].hw_id >> 32));
	mmio_write(distributor + GICD_ISENABLER + number / 32 * 4, 1u << number % 32);
}

// ICC_SGI1R_EL1, interrupt 0: a list of sixteen within the range of the target.
static void ipi(struct bare_cpu *cpu)
{
	uint64_t id = cpu->hw_id, in_cluster = id & 0xff;
	uint64_t value = (id >> 32 & 0xff) << 48 | (in_cluster >> 4) << 44 | (id >> 16 & 0xff) << 32 |
			 (id >> 8 & 0xff) << 16 | 1ull << (in_cluster & 15);
	__asm__ volatile("dsb ishst" : : : "memory");
	arm_write(s3_0_c12_c11_5, value);
	arm_isb();
}

static enum intc_source take(uint32_t *token)
{
	*token = (uint32_t)arm_read(s3_0_c12_c12_0) & ID_MASK; // ICC_IAR1_EL1
	arm_dsb();
	return *token >= ID_SPECIAL && *token < 8192 ? SOURCE_NONE : intc_source_of(*token);
}

static void done(uint32_t token)
{
	arm_write(s3_0_c12_c12_1, token); // ICC_EOIR1_EL1
	arm_isb();
}

const struct intc intc_gicv3 = {"GICv3", init, cpu_init, uart_on, ipi, take, done};
