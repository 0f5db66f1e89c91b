// SPDX-License-Identifier: MIT
//
// One-shot timers. Each CPU has its own where there are LAPICs, by TSC deadline where they can; else the machine has one, for one
// CPU: the HPET's first comparator where it can take the PIT's place (IA-PC HPET 1.0a, 2.3), else the PIT, one shot at a time. Both come
// by IRQ 0. `timer=` chooses; what the machine does not have is told, and the best that it has is taken.
#include "x86.h"

#define NS_PER_S 1000000000ull
#define FS_PER_NS 1000000ull
#define LAPIC_LEFT_MAX_NS (4 * NS_PER_S)
#define PIT_LEFT_MAX_NS 50000000ull
#define HPET_LEFT_MAX_NS (2 * NS_PER_S)
#define HPET_TICKS_MAX 0x40000000ull
#define HPET_CAN_REPLACE 0x8000u
#define HPET_REPLACES 0x2u
#define HPET_LEVEL 0x2u
#define HPET_ENABLE 0x4u
#define HPET_PERIODIC 0x8u
#define HPET_32BIT 0x100u

static uint8_t kind; // enum cmdline_timer, never BEST

static bool timer_exists(uint8_t wanted)
{
	switch (wanted) {
	case CMDLINE_TIMER_LOCAL:
		return apic_is_used();
	case CMDLINE_TIMER_HPET:
		return x86_hpet != NULL && (x86_hpet[HPET_CAPABILITIES] & HPET_CAN_REPLACE) != 0;
	default:
		return wanted == CMDLINE_TIMER_PIT;
	}
}

static uint8_t timer_best(void)
{
	for (uint8_t i = CMDLINE_TIMER_LOCAL; i < CMDLINE_TIMER_PIT; i++)
		if (timer_exists(i))
			return i;
	return CMDLINE_TIMER_PIT;
}

bool timer_is_local(void)
{
	return kind == CMDLINE_TIMER_LOCAL;
}

void timer_x86_init(void)
{
	kind = bare.options.timer;
	if (!timer_exists(kind)) {
		if (kind != CMDLINE_TIMER_BEST)
			bare_print("boot: timer=: this machine has no such timer\n");
		kind = timer_best();
	}
	if (timer_is_local())
		return;
	if (kind == CMDLINE_TIMER_HPET)
		x86_hpet[HPET_CONFIG] |= HPET_REPLACES;
	if (!apic_is_used() || !ioapic_route(0, VECTOR_TIMER, apic_id()))
		pic_unmask(0);
}

// The comparator is equal to the counter once in its round: a moment that has passed while it was written is set again, later.
static void hpet_arm(uint64_t left_ns, bool never)
{
	uint32_t config = (x86_hpet[HPET_TIMER0] & ~(HPET_LEVEL | HPET_ENABLE | HPET_PERIODIC)) | HPET_32BIT;
	if (never) {
		x86_hpet[HPET_TIMER0] = config;
		return;
	}
	uint64_t left = left_ns > HPET_LEFT_MAX_NS ? HPET_LEFT_MAX_NS : left_ns;
	uint64_t ticks = left * FS_PER_NS / x86_hpet[HPET_PERIOD] + 1;
	if (ticks > HPET_TICKS_MAX)
		ticks = HPET_TICKS_MAX;
	for (;; ticks *= 2) {
		uint32_t at = x86_hpet[HPET_COUNTER] + (uint32_t)ticks;
		x86_hpet[HPET_COMPARATOR0] = at;
		x86_hpet[HPET_TIMER0] = config | HPET_ENABLE;
		if ((int32_t)(at - x86_hpet[HPET_COUNTER]) > 0 || ticks >= HPET_TICKS_MAX)
			return;
	}
}

static void pit_arm(uint64_t left_ns)
{
	uint64_t ticks = left_ns > PIT_LEFT_MAX_NS ? 0xffff : left_ns * PIT_HZ / NS_PER_S + 1;
	outb(0x43, 0x30); // mode 0: once
	outb(0x40, (uint8_t)ticks);
	outb(0x40, (uint8_t)(ticks >> 8));
}

static uint64_t left_until(uint64_t deadline_ns)
{
	uint64_t now = arch_clock_ns();
	return deadline_ns > now ? deadline_ns - now : 0;
}

static void lapic_arm(uint64_t deadline_ns, bool never)
{
	if (never) {
		apic_timer_arm(0);
	} else if (x86_features.has_tsc_deadline) {
		apic_timer_arm(clock_tsc_at(deadline_ns));
	} else {
		uint64_t left = left_until(deadline_ns);
		apic_timer_arm(left > LAPIC_LEFT_MAX_NS ? UINT32_MAX : clock_lapic_ticks(left));
	}
}

void arch_timer_arm(struct bare_cpu *cpu, uint64_t deadline_ns)
{
	(void)cpu;
	bool never = deadline_ns > UINT64_MAX / 2; // TB_FOREVER is
	if (kind == CMDLINE_TIMER_LOCAL)
		lapic_arm(deadline_ns, never);
	else if (kind == CMDLINE_TIMER_HPET)
		hpet_arm(left_until(deadline_ns), never);
	else
		pit_arm(left_until(deadline_ns));
}

void timer_line_fired(void)
{
	if (!timer_is_local())
		clock_timer_fired(arch_cpu());
}
