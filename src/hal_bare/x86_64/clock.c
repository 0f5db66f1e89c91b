// SPDX-License-Identifier: MIT
//
// The clock is the TSC, measured once against the best ruler there is: HPET, the ACPI timer, or the PIT's counter, which needs no
// gate. The wall clock is read once from the CMOS. Timers are in timer.c.
#include "x86.h"

#define RULER_NS 10000000ull
#define PM_HZ 3579545ull
#define NS_PER_S 1000000000ull
#define SCALE_SHIFT 32

static uint64_t tsc_base;
static uint64_t ns_per_tsc;   // << 32
static uint64_t tsc_per_ns;   // << 32
static uint64_t timer_per_ns; // LAPIC ticks << 32

// ---- rulers -------------------------------------------------------------------------------------------------------------

struct ruler {
	const char *name;
	uint64_t (*read)(void);
	uint64_t mask;
	uint64_t fs_per_tick;
	bool down;
};

volatile uint32_t *x86_hpet;

static uint64_t hpet_read(void)
{
	return x86_hpet[HPET_COUNTER];
}

static uint16_t pm_port;

static uint64_t pm_read(void)
{
	return inl(pm_port) & 0xffffff;
}

// Counter 0 runs from 65,536 down, whatever its gate: mode 2 as left by pit_begin().
static uint64_t pit_read(void)
{
	outb(0x43, 0x00);
	uint32_t low = inb(0x40);
	return low | (uint32_t)inb(0x40) << 8;
}

static void pit_begin(void)
{
	outb(0x43, 0x34);
	outb(0x40, 0);
	outb(0x40, 0);
}

static bool hpet_find(struct ruler *ruler)
{
	const struct acpi_hpet *table = &x86_acpi.hpet;
	if (table->present == 0 || table->base.space != ACPI_SPACE_MEMORY)
		return false;
	volatile uint32_t *hpet = bare_map(table->base.address, 1024, PROT_WRITE | PROT_DEVICE);
	if (hpet == NULL)
		return false;
	uint64_t period_fs = hpet[HPET_PERIOD];
	if (period_fs == 0 || period_fs > 100000000)
		return false;
	hpet[HPET_CONFIG] |= 1; // run
	x86_hpet = hpet;
	*ruler = (struct ruler){"hpet", hpet_read, UINT32_MAX, period_fs, false};
	return true;
}

static bool pm_find(struct ruler *ruler)
{
	const struct acpi_register *timer = &x86_acpi.fadt.pm_timer;
	if (timer->address == 0 || timer->space != ACPI_SPACE_IO)
		return false;
	pm_port = (uint16_t)timer->address;
	*ruler = (struct ruler){"pm timer", pm_read, 0xffffff, 1000000ull * NS_PER_S / PM_HZ, false};
	return true;
}

static void ruler_find(struct ruler *ruler)
{
	if (hpet_find(ruler) || pm_find(ruler))
		return;
	pit_begin();
	*ruler = (struct ruler){"pit", pit_read, 0xffff, 1000000ull * NS_PER_S / PIT_HZ, true};
}

struct moment {
	uint64_t ruler, tsc, slack;
};

// The TSC in the middle of the fastest of some readings of the ruler.
static struct moment moment_take(const struct ruler *ruler)
{
	struct moment best = {0, 0, UINT64_MAX};
	for (uint32_t i = 0; i < 8; i++) {
		uint64_t before = rdtsc();
		uint64_t value = ruler->read();
		uint64_t after = rdtsc();
		if (after - before < best.slack)
			best = (struct moment){value, before + (after - before) / 2, after - before};
	}
	return best;
}

static uint64_t ruler_ns(const struct ruler *ruler, uint64_t from, uint64_t to)
{
	uint64_t ticks = (ruler->down ? from - to : to - from) & ruler->mask;
	return ticks * (ruler->fs_per_tick / 1000) / 1000 + ticks * (ruler->fs_per_tick % 1000) / 1000000;
}

static void measure(const struct ruler *ruler)
{
	bool count_apic = apic_is_used() && !x86_features.has_tsc_deadline;
	struct moment from = moment_take(ruler);
	if (count_apic)
		apic_timer_arm(UINT32_MAX);
	uint64_t armed = rdtsc();
	struct moment to = from;
	for (uint32_t i = 0; i < 100000000 && ruler_ns(ruler, from.ruler, to.ruler) < RULER_NS; i++)
		to.ruler = ruler->read();
	to = moment_take(ruler);
	uint64_t left_at = rdtsc();
	uint64_t apic_ticks = count_apic ? UINT32_MAX - apic_timer_left() : 0;
	uint64_t ns = ruler_ns(ruler, from.ruler, to.ruler), tsc = to.tsc - from.tsc;
	if (ns < RULER_NS / 2 || tsc == 0)
		bare_die("clock: the %s does not run", ruler->name);
	ns_per_tsc = (ns << SCALE_SHIFT) / tsc;
	tsc_per_ns = (tsc << SCALE_SHIFT) / ns;
	if (count_apic) {
		apic_timer_arm(0);
		uint64_t apic_ns = ((left_at - armed) * ns_per_tsc) >> SCALE_SHIFT;
		timer_per_ns = (apic_ticks << SCALE_SHIFT) / apic_ns;
	}
}

static uint64_t scale(uint64_t value, uint64_t factor)
{
	return (uint64_t)(((unsigned __int128)value * factor) >> SCALE_SHIFT);
}

void clock_x86_init(void)
{
	struct ruler ruler;
	ruler_find(&ruler);
	measure(&ruler);
	tsc_base = rdtsc();
}

// ---- doors ----------------------------------------------------------------------------------------------------------------

// Processors whose TSCs differ would show it as time that goes back; smp.c measures that when it starts them.
uint64_t arch_clock_ns(void)
{
	return scale(rdtsc() - tsc_base, ns_per_tsc);
}

uint64_t clock_tsc_at(uint64_t ns)
{
	return tsc_base + scale(ns, tsc_per_ns) + 1;
}

uint64_t clock_lapic_ticks(uint64_t ns)
{
	return scale(ns, timer_per_ns) + 1;
}

// ---- wall clock -----------------------------------------------------------------------------------------------------------

static uint32_t cmos_read(uint8_t index)
{
	outb(0x70, index);
	return inb(0x71);
}

static uint32_t from_bcd(uint32_t value)
{
	return (value >> 4) * 10 + (value & 15);
}

// Days from civil: years begin in March, so that leap days come last.
static uint64_t days_of(uint64_t year, uint64_t month, uint64_t day)
{
	year -= month <= 2;
	uint64_t era = year / 400, of_era = year % 400;
	uint64_t of_year = (153 * (month + (month > 2 ? 0 : 12) - 3) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

uint64_t arch_wall_ns(void)
{
	static const uint8_t indexes[] = {0, 2, 4, 7, 8, 9};
	uint32_t values[BARE_COUNT(indexes)];
	for (uint32_t i = 0; i < 1000000 && (cmos_read(0x0a) & 0x80) != 0; i++)
		arch_relax();
	uint32_t mode = cmos_read(0x0b);
	for (uint32_t i = 0; i < BARE_COUNT(indexes); i++)
		values[i] = cmos_read(indexes[i]);
	bool pm = (mode & 2) == 0 && (values[2] & 0x80) != 0;
	values[2] &= 0x7f;
	for (uint32_t i = 0; i < BARE_COUNT(indexes) && (mode & 4) == 0; i++)
		values[i] = from_bcd(values[i]);
	if ((mode & 2) == 0)
		values[2] = values[2] % 12 + (pm ? 12 : 0);
	if (values[4] < 1 || values[4] > 12 || values[3] < 1 || values[3] > 31)
		return 0;
	uint64_t year = values[5] + (values[5] < 70 ? 2000u : 1900u);
	uint64_t seconds = days_of(year, values[4], values[3]) * 86400 + values[2] * 3600 + values[1] * 60 + values[0];
	return seconds * NS_PER_S;
}
