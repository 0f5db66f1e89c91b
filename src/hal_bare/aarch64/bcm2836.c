// SPDX-License-Identifier: MIT
//
// The local controller of the BCM2836 and BCM2837 ("ARM Quad A7 core", QA7_rev3.4) and the BCM2835's behind it ("ARM
// Peripherals", chapter 7): timers and mailboxes of each core, the peripherals' line to core 0. Mailbox 0 carries the IPI. Sources are
// levels without acknowledgement: they end where they began.
#include "arm.h"

enum {
	LOCAL_ROUTING = 0x0c, // of the peripherals' line
	LOCAL_TIMER = 0x40,   // of each core, 4 bytes apart
	LOCAL_MAILBOX = 0x50,
	LOCAL_SOURCE = 0x60,
	LOCAL_SET = 0x80, // mailbox 0, cores 16 bytes apart
	LOCAL_CLEAR = 0xc0,
	LOCAL_SIZE = 0x100,
	ARMCTRL_SIZE = 0x200 // whose registers may begin at 0x200 of their page
};

#define SOURCE_MAILBOX (1u << 4)
#define SOURCE_PERIPHERALS (1u << 8)
#define TIMERS 4u

// Banks as the device tree counts them: the basic one, then two of the peripherals.
static const uint32_t pending_offset[] = {0x00, 0x04, 0x08}, enable_offset[] = {0x18, 0x10, 0x14};
static const uint32_t disable_offset[] = {0x24, 0x1c, 0x20};

static uintptr_t local, armctrl;

static uint32_t core_of(const struct bare_cpu *cpu)
{
	return (uint32_t)cpu->hw_id & 3;
}

static bool init(void)
{
	const struct fdtm_intc *found = &arm.machine.intc;
	local = (uintptr_t)bare_map(found->distributor.start, LOCAL_SIZE, PROT_WRITE | PROT_DEVICE);
	if (local == 0)
		return false;
	if (found->armctrl.size_bytes != 0)
		armctrl = (uintptr_t)bare_map(found->armctrl.start, ARMCTRL_SIZE, PROT_WRITE | PROT_DEVICE);
	for (uint32_t i = 0; armctrl != 0 && i < BARE_COUNT(disable_offset); i++)
		mmio_write(armctrl + disable_offset[i], UINT32_MAX);
	mmio_write(local + LOCAL_ROUTING, core_of(&bare_cpus[0]));
	return true;
}

static bool cpu_init(struct bare_cpu *cpu)
{
	const struct fdtm_irq *timer = intc_timer_irq();
	uint32_t core = core_of(cpu);
	mmio_write(local + LOCAL_TIMER + 4 * core, 1u << timer->number % TIMERS);
	mmio_write(local + LOCAL_MAILBOX + 4 * core, 1);
	return timer->number < TIMERS;
}

static void uart_on(void)
{
	const struct fdtm_irq *uart = intc_uart_irq();
	if (uart->kind == FDTM_BCM2835_ARMCTRL && armctrl != 0)
		mmio_write(armctrl + enable_offset[uart->number / 32], 1u << uart->number % 32);
}

static void ipi(struct bare_cpu *cpu)
{
	arm_dsb();
	mmio_write(local + LOCAL_SET + 16 * core_of(cpu), 1);
}

static bool uart_pends(void)
{
	const struct fdtm_irq *uart = intc_uart_irq();
	return uart->valid && uart->kind == FDTM_BCM2835_ARMCTRL && armctrl != 0 &&
	       (mmio_read(armctrl + pending_offset[uart->number / 32]) >> uart->number % 32 & 1) != 0;
}

static enum intc_source take(uint32_t *token)
{
	uint32_t core = core_of(arch_cpu());
	uint32_t source = mmio_read(local + LOCAL_SOURCE + 4 * core);
	*token = 0;
	if ((source & SOURCE_MAILBOX) != 0) {
		mmio_write(local + LOCAL_CLEAR + 16 * core, UINT32_MAX);
		arm_dsb();
		return SOURCE_IPI;
	}
	if ((source >> intc_timer_irq()->number % TIMERS & 1) != 0)
		return SOURCE_TIMER;
	if ((source & SOURCE_PERIPHERALS) != 0 && uart_pends())
		return SOURCE_UART;
	return SOURCE_NONE;
}

static void done(uint32_t token)
{
	(void)token;
}

const struct intc intc_bcm2836 = {"BCM2836", init, cpu_init, uart_on, ipi, take, done};
