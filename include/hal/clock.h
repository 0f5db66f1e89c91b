// SPDX-License-Identifier: MIT
//
// Core door: clocks and the one-shot timer of each CPU.
#ifndef HAL_CLOCK_H
#define HAL_CLOCK_H

#include "hal/inline.h"

// Nanoseconds since the instance was created; never goes back, one line for all CPUs. Any context, irq-safe, ≤ 30 ns.
uint64_t hal_clock_mono_ns(void);

// The same clock for accounts, at the cost of a few instructions: up to HAL_CLOCK_ROUGH_NS before or after hal_clock_mono_ns(),
// and it may go back by as much. Nothing may depend on its order. Masked.
#define HAL_CLOCK_ROUGH_NS 1000u
#if CONFIG_HAL_HOSTED
#include "hal/clock_hosted.h"
#else
static inline uint64_t hal_clock_rough_ns(void)
{
	return hal_clock_mono_ns();
}
#endif

// Nanoseconds since 1970-01-01 UTC (simulated: a fixed epoch plus the monotonic clock). irq-safe.
uint64_t hal_clock_wall_ns(void);

// Arms this CPU's one-shot timer: HAL_IRQ_TIMER is raised at or after deadline_ns on the monotonic clock, at once if that
// has passed. Replaces an earlier deadline. TB_FOREVER disarms; a cancelled timer may still raise one interrupt. Masked.
void hal_timer_arm(uint64_t deadline_ns);

#endif
