// SPDX-License-Identifier: MIT
//
// Clock and timer: the time register, whose frequency the device tree tells and which all harts share, and stimecmp (Sstc) or the
// firmware's timer. A timer that has fired, or is not wanted, is masked rather than set to never: that costs no call. The wall
// clock is read once from a Goldfish RTC.
#include "riscv.h"

#define NS_PER_S 1000000000ull
#define SCALE_SHIFT 32
#define HZ_MIN 1000u
#define NEVER UINT64_MAX

static uint64_t ns_per_tick;            // << 32
static uint64_t tick_per_ns;            // << 32
static uint64_t armed[CONFIG_MAX_CPUS]; // what each hart's timer is set to, in ticks; NEVER: to nothing that matters

static uint64_t scale(uint64_t value, uint64_t factor)
{
	return (uint64_t)(((unsigned __int128)value * factor) >> SCALE_SHIFT);
}

void clock_riscv_init(void)
{
	uint64_t hz = riscv_machine.timebase_hz;
	if (hz < HZ_MIN)
		bare_die("clock: the device tree does not tell the timebase-frequency");
	ns_per_tick = (NS_PER_S << SCALE_SHIFT) / hz;
	tick_per_ns = (hz << SCALE_SHIFT) / NS_PER_S;
	riscv_features.has_stimecmp = trap_try_stimecmp(NEVER);
	clock_cpu_init(&bare_cpus[0]);
}

void clock_cpu_init(struct bare_cpu *cpu)
{
	clock_interrupt_ends(cpu);
	if (riscv_features.has_stimecmp)
		csr_write(0x14d, NEVER);
}

void clock_interrupt_ends(struct bare_cpu *cpu)
{
	csr_clear(sie, 1u << IRQ_TIMER);
	armed[cpu->index] = NEVER;
}

uint64_t arch_clock_ns(void)
{
	return scale(csr_read(time), ns_per_tick);
}

// One tick late rather than early, which would only cause another interrupt. A timer that is going to fire before the deadline
// is left alone: switches move the deadline all the time, and setting the timer costs far more than one interrupt that comes
// too early.
void arch_timer_arm(struct bare_cpu *cpu, uint64_t deadline_ns)
{
	if (deadline_ns == TB_FOREVER) {
		csr_clear(sie, 1u << IRQ_TIMER);
		return;
	}
	uint64_t ticks = deadline_ns > UINT64_MAX / 2 ? UINT64_MAX / 2 : scale(deadline_ns, tick_per_ns) + 1;
	uint64_t *set = &armed[cpu->index];
	if (*set > ticks || *set <= csr_read(time)) {
		*set = ticks;
		if (riscv_features.has_stimecmp)
			csr_write(0x14d, ticks);
		else
			sbi_timer_set(ticks);
	}
	csr_set(sie, 1u << IRQ_TIMER);
}

// Reading the low half holds the high half still.
uint64_t arch_wall_ns(void)
{
	if (riscv_machine.rtc_kind != FDTM_GOLDFISH_RTC || riscv_machine.rtc.size_bytes < 8)
		return 0;
	const volatile uint32_t *rtc = bare_map(riscv_machine.rtc.start, 8, PROT_DEVICE);
	if (rtc == NULL)
		return 0;
	uint64_t low = rtc[0];
	return (uint64_t)rtc[1] << 32 | low;
}

uint64_t arch_jitter(void)
{
	return riscv_features.has_cycle ? csr_read(cycle) : csr_read(time);
}
