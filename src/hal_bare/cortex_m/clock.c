// SPDX-License-Identifier: MIT
//
// Time. The watchdog timer counts down from 2^32-1 at the processor's clock and does nothing else (its reset is off), which
// makes a clock that nobody ever writes to and that therefore does not drift; its interrupt, every 86 seconds, only makes sure
// that each wrap is seen. SysTick is the one-shot timer: armed for what is left until the deadline, in pieces of at most 335 ms.
#include "cortex_impl.h"

#define WDT_LOAD REG(WATCHDOG_BASE + 0x000)
#define WDT_VALUE REG(WATCHDOG_BASE + 0x004)
#define WDT_CTL REG(WATCHDOG_BASE + 0x008)
#define WDT_LOCK REG(WATCHDOG_BASE + 0xc00)
#define WDT_UNLOCK 0x1acce551u
#define WDT_INTEN 1u // starts it

#define SYST_MAX 0xffffffu
#define SYST_RUN 7u // enabled, interrupt, processor clock

void clock_start(void)
{
	WDT_LOCK = WDT_UNLOCK;
	WDT_LOAD = UINT32_MAX;
	WDT_CTL = WDT_INTEN;
	cortex.clock_seen = WDT_VALUE;
	cortex.deadline_ns = TB_FOREVER;
	NVIC_ISER(0) = 1u << 18;
}

uint64_t hal_clock_mono_ns(void)
{
	uint32_t was = cortex_lock();
	uint32_t now = WDT_VALUE;
	cortex.clock_ticks += (uint32_t)(cortex.clock_seen - now);
	cortex.clock_seen = now;
	uint64_t ticks = cortex.clock_ticks;
	cortex_unlock(was);
	return ticks * NS_PER_TICK;
}

uint64_t hal_clock_wall_ns(void)
{
	uint32_t since_1970_s = semihost_time_s();
	return since_1970_s != 0 ? since_1970_s * 1000000000ull : hal_clock_mono_ns();
}

// One tick more than what is left: the timer never comes before the deadline.
static void systick_set(uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	uint32_t ticks = left_ns / 64 >= SYST_MAX ? SYST_MAX : (uint32_t)left_ns / NS_PER_TICK + 1;

	SYST_RVR = ticks < SYST_MAX ? ticks : SYST_MAX;
	SYST_CVR = 0;
	SYST_CSR = SYST_RUN;
}

void hal_timer_arm(uint64_t deadline_ns)
{
	uint32_t was = cortex_lock();
	cortex.deadline_ns = deadline_ns;
	SYST_CSR = 0;
	if (deadline_ns != TB_FOREVER)
		systick_set(deadline_ns, hal_clock_mono_ns());
	cortex_unlock(was);
}

void cortex_systick(void)
{
	uint64_t now_ns = hal_clock_mono_ns();

	SYST_CSR = 0;
	cortex.entropy = cortex.entropy * 0x9e3779b1u ^ cortex.clock_seen;
	if (cortex.deadline_ns == TB_FOREVER)
		return;
	if (now_ns < cortex.deadline_ns) {
		systick_set(cortex.deadline_ns, now_ns);
		return;
	}
	cortex.deadline_ns = TB_FOREVER;
	cortex_raise(HAL_IRQ_TIMER);
}

void hal_cpu_idle(void)
{
	cpu_wait();
}
