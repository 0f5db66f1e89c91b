// SPDX-License-Identifier: MIT
//
// Conformance: contexts. What a switch must keep, threads that end and whose stacks are used again, preemption.
#include "bodies.h"

// ---- switching ----------------------------------------------------------------------------------------------------------

struct pair {
	struct conform_result *result;
	uint32_t turn; // atomic
	uint32_t rounds;
	uint64_t sums[2];
};

static uint64_t mix(uint64_t value)
{
	value ^= value >> 33;
	value *= 0xff51afd7ed558ccdull;
	return value ^ value >> 29;
}

static void pair_main(struct pair *pair, uint32_t me)
{
	struct conform_result *result = pair->result;
	uint64_t a = me + 1, b = 2, c = 3, d = 5, e = 7, f = 11;
	for (uint32_t i = 0; i < pair->rounds; i++) {
		while (__atomic_load_n(&pair->turn, __ATOMIC_ACQUIRE) != me)
			mini_yield();
		a = mix(a + f);
		b = mix(b ^ a);
		c += b;
		d = mix(d - c);
		e ^= d;
		f = mix(f + e);
		__atomic_store_n(&pair->turn, 1 - me, __ATOMIC_RELEASE);
		mini_yield();
	}
	CHECK(mini_self()->arg == pair || me == 0);
	pair->sums[me] = a ^ b ^ c ^ d ^ e ^ f;
}

static void pair_other(void *arg)
{
	pair_main(arg, 1);
}

static uint64_t pair_alone(uint32_t me, uint32_t rounds)
{
	uint64_t a = me + 1, b = 2, c = 3, d = 5, e = 7, f = 11;
	for (uint32_t i = 0; i < rounds; i++) {
		a = mix(a + f);
		b = mix(b ^ a);
		c += b;
		d = mix(d - c);
		e ^= d;
		f = mix(f + e);
	}
	return a ^ b ^ c ^ d ^ e ^ f;
}

void body_switch_keeps_registers(struct conform_result *result)
{
	struct pair pair = {.result = result, .rounds = conform_rounds(20000)};
	struct mini_thread *other = mini_start(pair_other, &pair);
	CHECK(other != NULL);
	if (other == NULL)
		return;
	pair_main(&pair, 0);
	mini_join(other);
	CHECK(pair.sums[0] == pair_alone(0, pair.rounds));
	CHECK(pair.sums[1] == pair_alone(1, pair.rounds));
}

#if defined(__x86_64__) && CONFIG_HAL_HOSTED
static void rounding_other(void *arg)
{
	struct conform_result *result = arg;
	CHECK((__builtin_ia32_stmxcsr() & 0xffc0) == 0x1f80); // a new context starts with the default
	__builtin_ia32_ldmxcsr(0x7f80);                       // towards zero
	for (uint32_t i = 0; i < 10; i++) {
		mini_yield();
		CHECK((__builtin_ia32_stmxcsr() & 0xffc0) == 0x7f80);
	}
}

void body_switch_keeps_control_words(struct conform_result *result)
{
	uint32_t before = __builtin_ia32_stmxcsr();
	struct mini_thread *other = mini_start(rounding_other, result);
	CHECK(other != NULL);
	if (other == NULL)
		return;
	__builtin_ia32_ldmxcsr(0x3f80); // down
	for (uint32_t i = 0; i < 10; i++) {
		mini_yield();
		CHECK((__builtin_ia32_stmxcsr() & 0xffc0) == 0x3f80);
	}
	__builtin_ia32_ldmxcsr(before);
	mini_join(other);
}
#else
// A bare kernel does not touch floating point: there is nothing to keep, and the body says so by its name alone.
void body_switch_keeps_control_words(struct conform_result *result)
{
	CHECK(!CONFIG_HAL_HOSTED);
}
#endif

// ---- life ---------------------------------------------------------------------------------------------------------------

struct count {
	struct conform_result *result;
	uint32_t ran;  // atomic
	uint32_t stop; // atomic
	uint32_t progress[64];
	uint32_t number; // atomic
};

static void one_main(void *arg)
{
	struct count *count = arg;
	struct conform_result *result = count->result;
	CHECK(hal_self() == &mini_self()->hal);
	CHECK(hal_kernel() == (struct kernel *)mini());
	CHECK(!hal_irq_masked());
	__atomic_fetch_add(&count->ran, 1, __ATOMIC_RELAXED);
}

void body_context_exit_reuses_stacks(struct conform_result *result)
{
	struct count count = {.result = result};
	uint32_t rounds = conform_rounds(20000);
	for (uint32_t i = 0; i < rounds; i++) {
		struct mini_thread *thread = mini_start(one_main, &count);
		CHECK(thread != NULL);
		if (thread == NULL)
			return;
		mini_join(thread);
	}
	CHECK(count.ran == rounds);
}

static void many_main(void *arg)
{
	struct count *count = arg;
	for (uint32_t i = 0; i < 50; i++)
		mini_yield();
	__atomic_fetch_add(&count->ran, 1, __ATOMIC_RELAXED);
}

void body_context_many(struct conform_result *result)
{
	enum {
		THREADS = CONFIG_TINY ? 8 : 60
	};
	struct mini_thread *threads[THREADS];
	struct count count = {.result = result};
	for (uint32_t i = 0; i < THREADS; i++) {
		threads[i] = mini_start(many_main, &count);
		CHECK(threads[i] != NULL);
		if (threads[i] == NULL)
			return;
	}
	for (uint32_t i = 0; i < THREADS; i++)
		mini_join(threads[i]);
	CHECK(count.ran == THREADS);
}

// ---- preemption -----------------------------------------------------------------------------------------------------------

#if CONFIG_HAL_HOSTED
// Floating point at work: whoever preempts must not disturb it.
static bool float_spin(double *x)
{
	for (uint32_t i = 0; i < 1000; i++) {
		*x = *x * 1.5 + 1.0;
		*x = *x > 1e6 ? *x - 1e6 : *x;
	}
	return *x > 0 && *x <= 1e6 + 2.5e6;
}
#endif

static void hog_main(void *arg)
{
	struct count *count = arg;
	struct conform_result *result = count->result;
	uint32_t me = __atomic_fetch_add(&count->number, 1, __ATOMIC_RELAXED);
#if CONFIG_HAL_HOSTED
	double x = 1.0;
#endif
	uint64_t y = me;
	while (__atomic_load_n(&count->stop, __ATOMIC_RELAXED) == 0) {
		for (uint32_t i = 0; i < 1000; i++)
			y = mix(y + i);
#if CONFIG_HAL_HOSTED
		CHECK(float_spin(&x));
#else
		CHECK(y != 0 || me == 0); // it is used
#endif
		__atomic_fetch_add(&count->progress[me], 1, __ATOMIC_RELAXED);
		if (CONFIG_TSAN || (mini()->info.flags & HAL_BOOT_SIMULATED))
			hal_irq_restore(hal_irq_save()); // the only place where these are preempted
	}
	__atomic_fetch_add(&count->ran, 1, __ATOMIC_RELAXED);
}

void body_preempt_spinning_threads(struct conform_result *result)
{
	enum {
		THREADS = 6
	};
	struct mini_thread *threads[THREADS];
	struct count count = {.result = result};
	uint32_t least = conform_rounds(50);
	for (uint32_t i = 0; i < THREADS; i++)
		threads[i] = mini_start(hog_main, &count);
	for (uint32_t i = 0; i < THREADS; i++)
		CHECK(conform_await(&count.progress[i], least));
	__atomic_store_n(&count.stop, 1, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < THREADS; i++)
		mini_join(threads[i]);
	CHECK(count.ran == THREADS);
}
