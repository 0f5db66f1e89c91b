// SPDX-License-Identifier: MIT
//
// Stepped time, instead of clock.c, for images whose events are compared with those of other machines: it stands still while
// anybody runs and moves to the next deadline when the CPU is idle, so that a run depends on nothing outside.
#include "cortex_impl.h"

void clock_start(void)
{
	cortex.deadline_ns = TB_FOREVER;
}

uint64_t hal_clock_mono_ns(void)
{
	return cortex.clock_ticks; // here they are nanoseconds
}

uint64_t hal_clock_wall_ns(void)
{
	return hal_clock_mono_ns();
}

static void expire(void)
{
	cortex.deadline_ns = TB_FOREVER;
	cortex_raise(HAL_IRQ_TIMER);
}

void hal_timer_arm(uint64_t deadline_ns)
{
	cortex.deadline_ns = deadline_ns;
	if (deadline_ns <= cortex.clock_ticks)
		expire();
}

// Never armed.
void cortex_systick(void)
{
}

// Masked. With nothing to come but bytes of the serial line it waits for them, in clock.c's manner.
void hal_cpu_idle(void)
{
	if (cortex.deadline_ns != TB_FOREVER) {
		cortex.clock_ticks = cortex.deadline_ns;
		expire();
		return;
	}
	cpu_wait();
}
