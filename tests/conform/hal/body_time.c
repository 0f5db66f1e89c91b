// SPDX-License-Identifier: MIT
//
// Conformance: clocks and one-shot timers. The bodies own the timers while raw_timer is set: the kernel below arms none.
#include "bodies.h"

static void raw_begin(void)
{
	__atomic_store_n(&mini()->raw_timer, 1, __ATOMIC_SEQ_CST);
	hal_irq_restore(hal_irq_save());
}

static void raw_end(void)
{
	__atomic_store_n(&mini()->raw_timer, 0, __ATOMIC_SEQ_CST);
	mini_yield(); // arms as the kernel likes it
}

// The timer belongs to the CPU, so the body must stay on it.
static struct mini_cpu *cpu_hold(void)
{
	bool was = hal_irq_save();
	hal_self()->preempt_count++;
	struct mini_cpu *cpu = mini_cpu();
	hal_irq_restore(was);
	return cpu;
}

static void cpu_let_go(void)
{
	hal_self()->preempt_count--;
}

static void arm(uint64_t deadline_ns)
{
	bool was = hal_irq_save();
	hal_timer_arm(deadline_ns);
	hal_irq_restore(was);
}

static uint32_t fired(const struct mini_cpu *cpu)
{
	return __atomic_load_n(&cpu->irqs[0], __ATOMIC_ACQUIRE);
}

// Lets every late interrupt of an earlier deadline come.
static void settle(void)
{
	uint64_t until_ns = hal_clock_mono_ns() + 3 * MINI_MS;
	while (hal_clock_mono_ns() < until_ns)
		conform_poll();
}

void body_timer_is_never_early(struct conform_result *result)
{
	uint32_t rounds = conform_rounds(500);
	raw_begin();
	struct mini_cpu *cpu = cpu_hold();
	arm(TB_FOREVER);
	settle();
	for (uint32_t i = 0; i < rounds; i++) {
		uint64_t deadline_ns = hal_clock_mono_ns() + (i * 7919u) % 300000u;
		uint32_t before = fired(cpu);
		arm(deadline_ns);
		CHECK(conform_await(&cpu->irqs[0], before + 1));
		CHECK(hal_clock_mono_ns() >= deadline_ns);
		CHECK(fired(cpu) == before + 1);
	}
	cpu_let_go();
	raw_end();
}

void body_timer_past_fires_at_once(struct conform_result *result)
{
	raw_begin();
	struct mini_cpu *cpu = cpu_hold();
	for (uint32_t i = 0; i < 20; i++) {
		uint32_t before = fired(cpu);
		arm(i % 2 == 0 ? 0 : hal_clock_mono_ns() - 1);
		CHECK(conform_await(&cpu->irqs[0], before + 1));
	}
	cpu_let_go();
	raw_end();
}

// A later deadline replaces an earlier one, and the other way round.
void body_timer_is_replaced(struct conform_result *result)
{
	uint32_t rounds = conform_rounds(40);
	raw_begin();
	struct mini_cpu *cpu = cpu_hold();
	for (uint32_t i = 0; i < rounds; i++) {
		settle();
		uint32_t before = fired(cpu);
		uint64_t now_ns = hal_clock_mono_ns();
		bool was = hal_irq_save();
		hal_timer_arm(now_ns + 2 * MINI_MS);
		hal_timer_arm(now_ns + 5 * MINI_MS);
		hal_irq_restore(was);
		CHECK(conform_await(&cpu->irqs[0], before + 1));
		// One stray interrupt of the replaced deadline is allowed.
		if (hal_clock_mono_ns() < now_ns + 5 * MINI_MS)
			CHECK(conform_await(&cpu->irqs[0], before + 2));
		CHECK(hal_clock_mono_ns() >= now_ns + 5 * MINI_MS);
		CHECK(fired(cpu) <= before + 2);

		before = fired(cpu);
		now_ns = hal_clock_mono_ns();
		was = hal_irq_save();
		hal_timer_arm(now_ns + 60000 * (uint64_t)MINI_MS);
		hal_timer_arm(now_ns + MINI_MS);
		hal_irq_restore(was);
		CHECK(conform_await(&cpu->irqs[0], before + 1));
		CHECK(hal_clock_mono_ns() >= now_ns + MINI_MS);
		CHECK(hal_clock_mono_ns() < now_ns + 60000 * (uint64_t)MINI_MS);
	}
	cpu_let_go();
	raw_end();
}

void body_timer_is_disarmed(struct conform_result *result)
{
	raw_begin();
	struct mini_cpu *cpu = cpu_hold();
	for (uint32_t i = 0; i < 20; i++) {
		arm(TB_FOREVER);
		settle();
		uint32_t before = fired(cpu);
		arm(hal_clock_mono_ns() + MINI_MS);
		arm(TB_FOREVER);
		settle();
		CHECK(fired(cpu) <= before + 1);
	}
	arm(TB_FOREVER);
	settle();
	uint32_t before = fired(cpu);
	settle();
	CHECK(fired(cpu) == before);
	cpu_let_go();
	raw_end();
}

struct line {
	struct conform_result *result;
	struct mini_lock lock;
	uint64_t last_ns; // under lock
	uint32_t rounds;
};

static void line_main(void *arg)
{
	struct line *line = arg;
	struct conform_result *result = line->result;
	for (uint32_t i = 0; i < line->rounds; i++) {
		bool was = mini_lock(&line->lock);
		uint64_t now_ns = hal_clock_mono_ns();
		if (now_ns < line->last_ns)
			CHECK(now_ns >= line->last_ns);
		line->last_ns = now_ns;
		mini_unlock(&line->lock, was);
	}
}

void body_clock_is_one_line(struct conform_result *result)
{
	struct line line = {.result = result, .rounds = conform_rounds(50000)};
	struct mini_thread *threads[CONFIG_MAX_CPUS] = {0};
	uint32_t count = mini()->cpu_count;
	for (uint32_t i = 0; i < count; i++)
		threads[i] = mini_start_on(i, line_main, &line);
	for (uint32_t i = 0; i < count; i++)
		mini_join(threads[i]);
	CHECK(line.last_ns > 0);
	CHECK(hal_clock_wall_ns() > hal_clock_mono_ns());
}

// Between two looks at the exact clock. The pauses let a reach run out; the whole lasts longer than a HAL needs to trust ticks.
static void rough_main(void *arg)
{
	struct conform_result *result = arg;
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t astray = 0;
		for (uint32_t j = conform_rounds(1000); j > 0; j--) {
			bool was = hal_irq_save();
			uint64_t before_ns = hal_clock_mono_ns();
			uint64_t rough_ns = hal_clock_rough_ns();
			uint64_t after_ns = hal_clock_mono_ns();
			hal_irq_restore(was);
			astray += rough_ns + HAL_CLOCK_ROUGH_NS < before_ns || rough_ns > after_ns + HAL_CLOCK_ROUGH_NS;
		}
		CHECK(astray == 0);
		mini_sleep_ns(500000);
	}
}

void body_clock_rough_is_near(struct conform_result *result)
{
	struct mini_thread *threads[CONFIG_MAX_CPUS] = {0};
	uint32_t count = mini()->cpu_count;
	for (uint32_t i = 0; i < count; i++)
		threads[i] = mini_start_on(i, rough_main, result);
	for (uint32_t i = 0; i < count; i++)
		mini_join(threads[i]);
}

static void sleeper_main(void *arg)
{
	struct conform_result *result = arg;
	for (uint32_t i = 0; i < 20; i++) {
		uint64_t start_ns = hal_clock_mono_ns();
		uint64_t want_ns = 100000 + i * 50000;
		mini_sleep_ns(want_ns);
		CHECK(hal_clock_mono_ns() - start_ns >= want_ns);
	}
}

void body_sleep_many(struct conform_result *result)
{
	enum {
		THREADS = CONFIG_TINY ? 8 : 20
	};
	struct mini_thread *threads[THREADS];
	for (uint32_t i = 0; i < THREADS; i++)
		threads[i] = mini_start(sleeper_main, result);
	for (uint32_t i = 0; i < THREADS; i++)
		mini_join(threads[i]);
}
