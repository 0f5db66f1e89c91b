// SPDX-License-Identifier: MIT
//
// Clock and timer: the generic timer (DDI 0487, D11). The clock is the virtual count; the timer is the virtual one, and where the
// device tree has no interrupt for that, the physical one of the state we run in. The wall clock is read once from a PL031 (Arm DDI
// 0224).
#include "arm.h"

#define NS_PER_S 1000000000ull
#define SCALE_SHIFT 32
#define CTL_ENABLE 1u
#define CTL_MASK 2u

static uint64_t ns_per_tick; // << 32
static uint64_t tick_per_ns; // << 32
static uint64_t base;        // ticks when the clock began

const struct fdtm_irq *intc_timer_irq(void)
{
	const struct fdtm_timer *timer = &arm.machine.timer;
	if (arm.uses_virtual_timer)
		return &timer->virt;
	return arm.is_secure ? &timer->secure : &timer->nonsecure;
}

static void control_write(uint64_t value)
{
	if (arm.uses_virtual_timer)
		arm_write(cntv_ctl_el0, value);
	else
		arm_write(cntp_ctl_el0, value);
	arm_isb();
}

void timer_quiet(void)
{
	control_write(CTL_ENABLE | CTL_MASK);
}

void clock_arm_cpu_init(void)
{
	control_write(0);
}

static uint64_t ticks(void)
{
	arm_isb(); // not ahead of what came before
	return arm_read(cntvct_el0);
}

void clock_arm_init(void)
{
	const struct fdtm_timer *timer = &arm.machine.timer;
	uint64_t hz = timer->frequency_hz != 0 ? timer->frequency_hz : (uint32_t)arm_read(cntfrq_el0);
	if (hz == 0)
		bare_die("clock: neither the device tree nor CNTFRQ_EL0 knows the rate of the counter");
	arm.uses_virtual_timer = timer->virt.valid != 0;
	if (!intc_timer_irq()->valid)
		bare_die("clock: the device tree has no interrupt of the generic timer");
	ns_per_tick = (NS_PER_S << SCALE_SHIFT) / hz;
	tick_per_ns = (hz << SCALE_SHIFT) / NS_PER_S;
	base = ticks();
	clock_arm_cpu_init();
}

static uint64_t scale(uint64_t value, uint64_t factor)
{
	return (uint64_t)(((unsigned __int128)value * factor) >> SCALE_SHIFT);
}

uint64_t arch_clock_ns(void)
{
	return scale(ticks() - base, ns_per_tick);
}

void arch_timer_arm(struct bare_cpu *cpu, uint64_t deadline_ns)
{
	(void)cpu;
	if (deadline_ns > UINT64_MAX / 4) {
		control_write(0);
		return;
	}
	uint64_t at = base + scale(deadline_ns, tick_per_ns) + 1;
	if (arm.uses_virtual_timer)
		arm_write(cntv_cval_el0, at);
	else
		arm_write(cntp_cval_el0, at + arm_read(cntpct_el0) - arm_read(cntvct_el0));
	control_write(CTL_ENABLE);
}

uint64_t arch_wall_ns(void)
{
	const struct fdt_range *rtc = &arm.machine.rtc;
	if (arm.machine.rtc_kind != FDTM_PL031 || rtc->size_bytes < 4)
		return 0;
	void *regs = bare_map(rtc->start, 4, PROT_WRITE | PROT_DEVICE);
	return regs == NULL ? 0 : mmio_read((uintptr_t)regs) * NS_PER_S;
}
