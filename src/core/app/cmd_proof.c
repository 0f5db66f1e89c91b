// SPDX-License-Identifier: MIT
//
// Commands that show the machine at its limits: how two busy threads share it, how late timers are, what faults look like.
#include "app_impl.h"

#include "hal/cpu.h"
#include "kern/mem.h"
#include "kern/string.h"

#define SPIN_MS_MAX 10000u
#define TIMER_COUNT_MAX 1000u
#define TIMER_STEP_NS 10000000u
#define NS_PER_MS 1000000u

struct spin {
	uint32_t counts[2]; // atomic
	uint32_t stop;      // atomic
	uint64_t until_ns;
};

// Both sides do the same, so that equal counts mean equal time.
static void spin_loop(struct spin *spin, uint32_t index)
{
	while (atomic_load_u32_relaxed(&spin->stop) == 0) {
		atomic_store_u32_relaxed(&spin->counts[index], spin->counts[index] + 1);
		if (clock_now_ns() >= spin->until_ns)
			atomic_store_u32_relaxed(&spin->stop, 1);
		hal_cpu_relax();
	}
}

static void spin_other(void *arg)
{
	spin_loop(arg, 1);
}

static err_t spin_pair(struct spin *spin, uint32_t *turns)
{
	struct thread *other;

	err_t err = thread_start(NULL, spin_other, spin, &other);
	if (err != 0)
		return err;
	uint32_t before = READ_ONCE(current->switches);
	spin_loop(spin, 0);
	*turns = (uint16_t)(READ_ONCE(current->switches) - before);
	return thread_join(other, NULL);
}

static int32_t spin_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct spin spin = {0};
	uint32_t ms = 500, turns = 0;

	if (argc > 2 || (argc == 2 && (str_to_u32(argv[1], 10, &ms) != 0 || ms == 0 || ms > SPIN_MS_MAX)))
		return 2;
	spin.until_ns = clock_now_ns() + (uint64_t)ms * NS_PER_MS;
	err_t err = spin_pair(&spin, &turns);
	if (err == 0)
		monitor_printf(session, "spin: %u and %u, %u turns\n", spin.counts[0], spin.counts[1], turns);
	else
		monitor_printf(session, "error: %s\n", err_text(err));
	return err == 0 ? 0 : 1;
}

struct lateness {
	uint32_t early, worst_ns;
	uint64_t sum_ns;
};

static void timer_measure(struct lateness *late, uint32_t count)
{
	uint64_t due_ns = clock_now_ns();
	for (uint32_t i = 0; i < count; i++) {
		due_ns += TIMER_STEP_NS;
		sleep_until_ns(due_ns);
		uint64_t now_ns = clock_now_ns();
		late->early += now_ns < due_ns;
		uint32_t late_ns = (uint32_t)MIN(now_ns - due_ns, (uint64_t)UINT32_MAX);
		late->worst_ns = MAX(late->worst_ns, late_ns);
		late->sum_ns += late_ns;
	}
}

// With a less urgent thread that keeps the CPU busy: what is measured then is the kernel, not how fast the machine wakes.
static err_t timer_measure_busy(struct lateness *late, uint32_t count)
{
	const struct thread_params params = {.name = "spin", .klass = CLASS_FAIR, .nice = 10};
	struct spin spin = {.until_ns = TB_FOREVER};
	struct thread *other;

	err_t err = thread_start(&params, spin_other, &spin, &other);
	if (err != 0)
		return err;
	timer_measure(late, count);
	atomic_store_u32_relaxed(&spin.stop, 1);
	return thread_join(other, NULL);
}

static int32_t timer_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct lateness late = {0};
	uint32_t count = 20;
	bool busy = argc == 3 && str_equal(argv[2], "busy");
	err_t err = 0;

	if (argc > 3 || (argc == 3 && !busy))
		return 2;
	if (argc > 1 && (str_to_u32(argv[1], 10, &count) != 0 || count == 0 || count > TIMER_COUNT_MAX))
		return 2;
	if (busy)
		err = timer_measure_busy(&late, count);
	else
		timer_measure(&late, count);
	if (err != 0) {
		monitor_printf(session, "error: %s\n", err_text(err));
		return 1;
	}
	monitor_printf(session, "timer: %u early, late by %u us", late.early, (uint32_t)(late.sum_ns / count / 1000));
	monitor_printf(session, " on average, %u us at most\n", late.worst_ns / 1000);
	return 0;
}

// Each frame is larger than what is left below the last one's; `depth` keeps it from being a loop.
static no_inline uint32_t fall(uint32_t depth)
{
	volatile uint32_t pad[8] = {depth};
	return depth == 0 ? pad[0] : fall(depth - 1) + pad[0];
}

static int32_t fault_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	volatile uint32_t zero = 0, seven = 7;
	volatile uintptr_t address = 16;
	const char *kind = argc == 2 ? argv[1] : "";

	(void)session;
	if (str_equal(kind, "null"))
		return (int32_t) * (volatile uint32_t *)address;
	if (str_equal(kind, "divide"))
		return (int32_t)(seven / zero);
	if (str_equal(kind, "undefined"))
		__builtin_trap();
	if (str_equal(kind, "stack"))
		return (int32_t)(fall(1000000) & 1);
	if (str_equal(kind, "execute")) {
		address = (uintptr_t)&zero | 1;
		return ((int32_t(*)(void))address)();
	}
	if (str_equal(kind, "panic"))
		panic("asked for by the user");
	return 2;
}

#define COMMAND(name_, usage_, summary_)                                                                               \
	const struct monitor_command command_##name_ = {                                                               \
		.name = #name_, .usage = (usage_), .summary = (summary_), .run = name_##_run}

COMMAND(spin, "[MS]", "two busy threads share the CPU");
COMMAND(timer, "[COUNT [busy]]", "how late sleeps of 10 ms end");
COMMAND(fault, "null|divide|undefined|stack|execute|panic", "a fault on purpose");
