// SPDX-License-Identifier: MIT
//
// hal_clock_rough_ns() of the hosted HAL: the time that the CPU last looked at, plus the processor's ticks since then. The CPU
// looks again when `clock_reach` ticks have passed; where the reach is 0 (nobody vouches for the ticks, or the simulator drives) it
// looks each time. Kept in step by src/hal_hosted/threads/thr_clock.c.
#ifndef HAL_CLOCK_HOSTED_H
#define HAL_CLOCK_HOSTED_H

#include "hal/inline.h"

uint64_t hal_clock_look_ns(void); // masked

// Not fenced: the processor may read its ticks before earlier loads are through.
static inline uint64_t hal_clock_rough_ns(void)
{
#if defined(__x86_64__)
	const struct hal_cpu *cpu = hal_self()->cpu;
	uint64_t passed = __builtin_ia32_rdtsc() - cpu->clock_ticks;
	if (__builtin_expect(passed < cpu->clock_reach, 1))
		return cpu->clock_ns + (passed * cpu->clock_scale >> 32);
#endif
	return hal_clock_look_ns();
}

#endif
