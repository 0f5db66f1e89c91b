// SPDX-License-Identifier: MIT
//
// Which interrupt controller there is, and what follows from an interrupt. One is handled at a time: the kernel may go on with another
// thread, on another CPU, before it comes back, so nothing here outlives the call. Controller and timer are quiet before that.
#include "arm.h"

static const struct intc *intc;

static const struct intc *intc_found(void)
{
	switch (arm.machine.intc.kind) {
	case FDTM_GICV2:
		return &intc_gicv2;
	case FDTM_GICV3:
		return &intc_gicv3;
	case FDTM_BCM2836:
		return &intc_bcm2836;
	default:
		return NULL;
	}
}

void intc_init(void)
{
	const struct intc *found = intc_found();
	if (found == NULL)
		bare_die("intc: the device tree names no interrupt controller that TBOS knows (GICv2, GICv3, BCM2836)");
	if (!found->init() || !found->cpu_init(&bare_cpus[0]))
		bare_die("intc: the %s cannot be used", found->name);
	intc = found;
}

void intc_cpu_init(struct bare_cpu *cpu)
{
	if (!intc->cpu_init(cpu))
		bare_print("intc: CPU %u has no part of the %s\n", cpu->index, intc->name);
}

void intc_uart_on(void)
{
	intc->uart_on();
}

enum intc_source intc_source_of(uint32_t number)
{
	const struct fdtm_irq *uart = intc_uart_irq();
	if (number < 16)
		return SOURCE_IPI;
	if (number == intc_timer_irq()->number)
		return SOURCE_TIMER;
	return uart->valid && number == uart->number ? SOURCE_UART : SOURCE_OTHER;
}

void intc_handle(struct bare_cpu *cpu)
{
	uint32_t token = 0;
	enum intc_source source = intc->take(&token);
	if (source == SOURCE_NONE)
		return;
	if (source == SOURCE_TIMER)
		timer_quiet();
	else if (source == SOURCE_UART)
		console_quiet();
	intc->done(token);
	if (source == SOURCE_TIMER)
		clock_timer_fired(cpu);
	else if (source == SOURCE_IPI)
		bare_ipi_received(cpu);
	else if (source == SOURCE_UART)
		console_interrupt(cpu);
}

void arch_ipi(struct bare_cpu *cpu)
{
	if (intc != NULL)
		intc->ipi(cpu);
}

// A CPU that never unmasks cannot be stopped: there is no interrupt above the mask that is ours.
void arch_ipi_stop(struct bare_cpu *cpu)
{
	arch_ipi(cpu);
}
