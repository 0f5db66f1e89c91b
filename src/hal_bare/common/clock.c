// SPDX-License-Identifier: MIT
//
// The clock door. Two kinds of time: the machine's, and the stepped clock (`clock=stepped`), which stands still while anybody runs and
// moves to the next deadline when its one CPU is idle: then a run depends on nothing outside, and its trace events can be
// compared with those of other machines.
#include "../arch.h"

#include "hal/clock.h"

static uint64_t base_ns;    // machine time at the start
static uint64_t wall_ns;    // Unix time then
static uint64_t stepped_ns; // the stepped clock

void clock_init(void)
{
	base_ns = arch_clock_ns();
	wall_ns = arch_wall_ns();
}

uint64_t hal_clock_mono_ns(void)
{
	if (BARE_UNLIKELY(bare.options.is_stepped))
		return stepped_ns;
	return arch_clock_ns() - base_ns;
}

uint64_t hal_clock_wall_ns(void)
{
	return wall_ns + hal_clock_mono_ns();
}

static void timer_set(struct bare_cpu *cpu)
{
	uint64_t deadline = cpu->deadline_ns;
	arch_timer_arm(cpu, deadline > TB_FOREVER - base_ns ? TB_FOREVER : base_ns + deadline);
}

// A deadline that has passed: the cause is raised by way of the own IPI.
void hal_timer_arm(uint64_t deadline_ns)
{
	struct bare_cpu *cpu = arch_cpu();
	cpu->deadline_ns = deadline_ns;
	if (BARE_UNLIKELY(bare.options.is_stepped)) {
		if (deadline_ns <= stepped_ns) {
			cpu->deadline_ns = TB_FOREVER;
			bare_raise(cpu, HAL_IRQ_TIMER);
		}
		return;
	}
	timer_set(cpu);
}

void clock_timer_fired(struct bare_cpu *cpu)
{
	if (cpu->deadline_ns == TB_FOREVER || bare.options.is_stepped)
		return;
	if (hal_clock_mono_ns() < cpu->deadline_ns) {
		timer_set(cpu);
		return;
	}
	cpu->deadline_ns = TB_FOREVER;
	bare_irq(cpu, HAL_IRQ_TIMER);
}

// Idle under the stepped clock: to the next deadline. False: wait for the machine.
bool clock_step(struct bare_cpu *cpu)
{
	if (!bare.options.is_stepped || cpu->deadline_ns == TB_FOREVER)
		return false;
	if (stepped_ns < cpu->deadline_ns)
		stepped_ns = cpu->deadline_ns;
	cpu->deadline_ns = TB_FOREVER;
	__atomic_fetch_or(&cpu->hal->irq_pending, HAL_IRQ_TIMER, __ATOMIC_SEQ_CST);
	return true;
}

bool bare_wait_until(bool (*done)(void *), void *arg, uint64_t timeout_ns)
{
	uint64_t end = arch_clock_ns() + timeout_ns;
	while (!done(arg)) {
		if (arch_clock_ns() >= end)
			return done(arg);
		arch_relax();
	}
	return true;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

void bare_delay_ns(uint64_t duration_ns)
{
	(void)!bare_wait_until(never, NULL, duration_ns);
}
