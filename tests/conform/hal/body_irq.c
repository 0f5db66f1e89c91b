// SPDX-License-Identifier: MIT
//
// Conformance: the interrupt mask and inter-processor interrupts. Nothing is lost, nothing comes while masked.
#include "bodies.h"

static uint32_t ipis(struct mini_cpu *cpu)
{
	return __atomic_load_n(&cpu->irqs[1], __ATOMIC_ACQUIRE);
}

void body_mask_defers(struct conform_result *result)
{
	for (uint32_t i = 0; i < 100; i++) {
		bool was = hal_irq_save();
		CHECK(!was);
		CHECK(hal_irq_masked());
		struct mini_cpu *cpu = mini_cpu();
		uint32_t before = ipis(cpu);
		hal_ipi(&cpu->hal);
		for (uint32_t spin = 0; spin < 100; spin++)
			hal_cpu_relax();
		bool inner = hal_irq_save();
		CHECK(inner);
		hal_irq_restore(inner); // still masked: nothing may come
		CHECK(ipis(cpu) == before);
		hal_irq_restore(was);
		if (mini()->info.flags & HAL_BOOT_SIMULATED) // where it takes its time
			CHECK(conform_await(&cpu->irqs[1], before + 1));
		else
			CHECK(ipis(cpu) > before); // delivered before the unmask returned, wherever we run now
	}
}

void body_ipi_to_self_unmasked(struct conform_result *result)
{
	for (uint32_t i = 0; i < 100; i++) {
		bool was = hal_irq_save();
		struct mini_cpu *cpu = mini_cpu();
		uint32_t before = ipis(cpu);
		hal_irq_restore(was);
		hal_ipi(&cpu->hal); // perhaps another CPU's by now
		CHECK(conform_await(&cpu->irqs[1], before + 1));
	}
}

// ---- directed ---------------------------------------------------------------------------------------------------------------

struct volley {
	struct conform_result *result;
	uint32_t stop;     // atomic
	uint32_t violated; // atomic
	uint32_t opened;   // atomic
};

// Masks and unmasks all the time; while masked its CPU's count must stand still.
static void target_main(void *arg)
{
	struct volley *volley = arg;
	while (__atomic_load_n(&volley->stop, __ATOMIC_RELAXED) == 0) {
		bool was = hal_irq_save();
		struct mini_cpu *cpu = mini_cpu();
		uint32_t before = ipis(cpu);
		for (uint32_t spin = 0; spin < 20; spin++)
			hal_cpu_relax();
		if (ipis(cpu) != before)
			__atomic_store_n(&volley->violated, 1, __ATOMIC_RELAXED);
		hal_irq_restore(was);
		__atomic_fetch_add(&volley->opened, 1, __ATOMIC_RELAXED);
	}
}

// One sender at a time, which waits for each to arrive: a lost one ends the test.
void body_ipi_none_lost(struct conform_result *result)
{
	struct volley volley = {.result = result};
	struct mini_thread *target = mini_start_on(1, target_main, &volley);
	uint32_t rounds = conform_rounds(100000);
	struct mini_cpu *cpu = &mini()->cpus[1];
	CHECK(target != NULL);
	for (uint32_t i = 0; i < rounds; i++) {
		uint32_t before = ipis(cpu);
		hal_ipi(&cpu->hal);
		bool came = conform_await(&cpu->irqs[1], before + 1);
		if (!came) {
			CHECK(came);
			break;
		}
	}
	__atomic_store_n(&volley.stop, 1, __ATOMIC_RELAXED);
	mini_join(target);
	CHECK(volley.violated == 0);
	CHECK(volley.opened > 0);
}

// The same at a CPU that idles between rounds.
void body_ipi_wakes_idle(struct conform_result *result)
{
	uint32_t rounds = conform_rounds(5000);
	for (uint32_t i = 0; i < rounds; i++) {
		struct mini_cpu *cpu = &mini()->cpus[1 + i % (mini()->cpu_count - 1)];
		uint32_t before = ipis(cpu);
		if (i % 3 == 0)
			mini_sleep_ns(20000);
		hal_ipi(&cpu->hal);
		bool came = conform_await(&cpu->irqs[1], before + 1);
		if (!came) {
			CHECK(came);
			break;
		}
	}
	CHECK(rounds > 0);
}

struct pairs {
	struct conform_result *result;
	uint32_t done; // atomic
};

static void pairs_main(void *arg)
{
	struct pairs *pairs = arg;
	struct conform_result *result = pairs->result;
	uint32_t rounds = conform_rounds(200);
	for (uint32_t i = 0; i < rounds; i++)
		for (uint32_t to = 0; to < mini()->cpu_count; to++) {
			struct mini_cpu *cpu = &mini()->cpus[to];
			uint32_t before = ipis(cpu);
			hal_ipi(&cpu->hal);
			bool came = conform_await(&cpu->irqs[1], before + 1);
			if (!came)
				CHECK(came);
		}
	__atomic_fetch_add(&pairs->done, 1, __ATOMIC_RELAXED);
}

void body_ipi_all_pairs(struct conform_result *result)
{
	struct pairs pairs = {.result = result};
	struct mini_thread *threads[CONFIG_MAX_CPUS] = {0};
	uint32_t count = mini()->cpu_count;
	for (uint32_t i = 0; i < count; i++)
		threads[i] = mini_start_on(i, pairs_main, &pairs);
	for (uint32_t i = 0; i < count; i++)
		mini_join(threads[i]);
	CHECK(pairs.done == count);
}

// ---- spinning ---------------------------------------------------------------------------------------------------------------

struct contest {
	struct conform_result *result;
	struct mini_lock lock;
	uint64_t guarded[8];
	uint32_t rounds;
};

static void contest_main(void *arg)
{
	struct contest *contest = arg;
	for (uint32_t i = 0; i < contest->rounds; i++) {
		bool was = mini_lock(&contest->lock);
		uint64_t value = contest->guarded[0];
		for (uint32_t k = 0; k < 8; k++) {
			if (contest->guarded[k] != value)
				__atomic_fetch_add(&contest->result->failures, 1, __ATOMIC_RELAXED);
			contest->guarded[k] = value + 1;
		}
		mini_unlock(&contest->lock, was);
	}
}

void body_spin_excludes(struct conform_result *result)
{
	enum {
		THREADS = 8
	};
	struct mini_thread *threads[THREADS];
	struct contest contest = {.result = result, .rounds = conform_rounds(20000)};
	for (uint32_t i = 0; i < THREADS; i++)
		threads[i] = mini_start(contest_main, &contest);
	for (uint32_t i = 0; i < THREADS; i++)
		mini_join(threads[i]);
	CHECK(contest.guarded[0] == (uint64_t)THREADS * contest.rounds);
}

void body_spin_wait_is_bounded(struct conform_result *result)
{
	uint32_t word = 7;
	for (uint32_t i = 0; i < 5; i++) {
		hal_spin_wait(&word, 7); // nobody will ever change it
		hal_spin_wait(&word, 8); // differs already
	}
	bool was = hal_irq_save();
	hal_spin_wait(&word, 7);
	hal_irq_restore(was);
	CHECK(word == 7);
}

struct baton {
	uint32_t word;   // atomic
	uint32_t rounds; // each side
};

static void baton_main(void *arg)
{
	struct baton *baton = arg;
	for (uint32_t i = 0; i < baton->rounds; i++) {
		uint32_t seen;
		while ((seen = __atomic_load_n(&baton->word, __ATOMIC_ACQUIRE)) % 2 == 0)
			hal_spin_wait(&baton->word, seen);
		__atomic_store_n(&baton->word, seen + 1, __ATOMIC_SEQ_CST);
		hal_spin_wake(&baton->word);
	}
}

void body_spin_wake_ends_wait(struct conform_result *result)
{
	struct baton baton = {.rounds = conform_rounds(2000)};
	struct mini_thread *other = mini_start_on(1, baton_main, &baton);
	for (uint32_t i = 0; i < baton.rounds; i++) {
		uint32_t seen;
		while ((seen = __atomic_load_n(&baton.word, __ATOMIC_ACQUIRE)) % 2 == 1)
			hal_spin_wait(&baton.word, seen);
		__atomic_store_n(&baton.word, seen + 1, __ATOMIC_SEQ_CST);
		hal_spin_wake(&baton.word);
	}
	mini_join(other);
	CHECK(baton.word == 2 * baton.rounds);
}
