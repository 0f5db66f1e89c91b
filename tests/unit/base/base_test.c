// SPDX-License-Identifier: MIT
//
// base_init() on a toy kernel of its own: what it makes, by which sizes and flags, and every way in which the boot arena
// may turn out too small.
#include "kern/base.h"

#include "../../../src/core/base/base_impl.h"
#include "hal/hal.h"
#include "kern/component.h"
#include "kern/counter.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/string.h"
#include "kern/test.h"

#define TOY_CPUS (CONFIG_MAX_CPUS < 3 ? CONFIG_MAX_CPUS : 3u)
#define ARENA_BYTES 32768u

struct toy {
	struct kernel kernel;
	struct cpu cpus[TOY_CPUS];
	struct persona persona;
	_Alignas(64) char ram[ARENA_BYTES];
};

static void toy_init(struct toy *toy, uint32_t flags, uint32_t arena_bytes)
{
	memset(toy, 0, sizeof *toy);
	toy->persona.log_size_bytes = 17 * sizeof(struct log_record);
	toy->persona.trace_events = 40;
	toy->kernel.persona = &toy->persona;
	toy->kernel.flags = flags;
	toy->kernel.ram = toy->ram;
	toy->kernel.arena_limit_bytes = arena_bytes;
	toy->kernel.cpu_count = TOY_CPUS;
	for (uint32_t i = 0; i < TOY_CPUS; i++)
		toy->kernel.cpus[i] = &toy->cpus[i];
}

static uint32_t events_on(const uint32_t *words)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < TRACE_WORDS; i++)
		count += bit_count_u32(words[i]);
	return count;
}

static struct toy *toy_new(void)
{
	return kmalloc_aligned(sizeof(struct toy), 64, 0);
}

TEST(base, init_makes_the_recorders)
{
	struct toy *toy = toy_new();

	REQUIRE(toy != NULL);
	toy_init(toy, 0, ARENA_BYTES);
	CHECK_EQ(base_init(&toy->kernel, NULL), 0);
	CHECK_EQ(toy->kernel.log->ring.slot_count, 16);
	CHECK_EQ(toy->kernel.log->console_level, LOG_NOTICE);
	CHECK_EQ(toy->kernel.log->ring_level, CONFIG_ASSERTS ? LOG_DEBUG : LOG_INFO);
	CHECK_EQ(toy->kernel.trace->sink, 0);
	for (uint32_t i = 0; i < TOY_CPUS; i++) {
		CHECK_EQ(toy->cpus[i].trace->ring.slot_count, 32);
		if (CONFIG_TINY) // they do not count
			continue;
		CHECK(IS_ALIGNED((uintptr_t)toy->cpus[i].counters, CACHE_LINE_SIZE));
		toy->cpus[i].counters[COUNTER_COUNT - 1] = i + 1;
	}
	for (uint32_t i = 0; i < TOY_CPUS && !CONFIG_TINY; i++)
		CHECK_EQ(counter_read_cpu(COUNTER_COUNT - 1, &toy->cpus[i]), i + 1);
	kfree(toy);
}

TEST(base, flags_choose_levels_and_events)
{
	static const uint32_t all[] = {HAL_BOOT_SIMULATED, HAL_BOOT_TRACE, HAL_BOOT_SIMULATED | HAL_BOOT_TRACE};
	struct toy *toy = toy_new();

	REQUIRE(toy != NULL);
	toy_init(toy, HAL_BOOT_QUIET, ARENA_BYTES);
	CHECK_EQ(base_init(&toy->kernel, NULL), 0);
	CHECK_EQ(toy->kernel.log->console_level, LOG_ERR);
	CHECK_EQ(toy->kernel.trace->sink, 0);
	CHECK_EQ(events_on(toy->kernel.trace->enabled), CONFIG_ASSERTS ? TRACE_EVENT_COUNT : 0);
	CHECK_EQ(events_on(toy->kernel.trace->ringed), CONFIG_ASSERTS ? TRACE_EVENT_COUNT : 0);
	for (uint32_t i = 0; i < array_count(all); i++) {
		toy_init(toy, all[i], ARENA_BYTES);
		CHECK_EQ(base_init(&toy->kernel, NULL), 0);
		CHECK_EQ(toy->kernel.trace->sink, 1);
		CHECK_EQ(events_on(toy->kernel.trace->enabled), TRACE_EVENT_COUNT);
		CHECK_EQ(events_on(toy->kernel.trace->ringed), TRACE_EVENT_COUNT);
	}
	kfree(toy);
}

TEST(base, persona_without_room_does_without)
{
	struct toy *toy = toy_new();

	REQUIRE(toy != NULL);
	toy_init(toy, 0, ARENA_BYTES);
	toy->persona.log_size_bytes = 0;
	toy->persona.trace_events = 0;
	CHECK_EQ(base_init(&toy->kernel, NULL), 0);
	CHECK(toy->kernel.log == NULL);
	CHECK(toy->kernel.trace == NULL);
	kfree(toy);
}

// Whatever the arena lacks, the answer is an error, and nothing lies beyond its limit.
TEST(base, small_arena_is_an_error)
{
	struct toy *toy = toy_new();
	uint32_t refusals = 0;

	REQUIRE(toy != NULL);
	for (uint32_t bytes = 0; bytes < ARENA_BYTES; bytes += 64) {
		toy_init(toy, 0, bytes);
		err_t err = base_init(&toy->kernel, NULL);
		CHECK(err == 0 || err == -ENOMEM);
		CHECK(toy->kernel.arena_next_bytes <= bytes);
		CHECK(refusals == bytes / 64 || err == 0);
		refusals += err != 0;
	}
	CHECK(refusals > (CONFIG_TINY ? 20 : 100));
	CHECK(refusals < ARENA_BYTES / 64);
	kfree(toy);
}

TEST(base, arena_aligns_and_ends)
{
	struct toy *toy = toy_new();

	REQUIRE(toy != NULL);
	toy_init(toy, 0, 256);
	CHECK(boot_alloc(&toy->kernel, 1, 1) == toy->ram);
	CHECK(boot_alloc(&toy->kernel, 8, 64) == toy->ram + 64);
	CHECK(boot_alloc(&toy->kernel, 0, 1) == toy->ram + 72);
	CHECK(boot_alloc(&toy->kernel, 185, 1) == NULL);
	CHECK(boot_alloc(&toy->kernel, SIZE_MAX, 1) == NULL);
	CHECK(boot_alloc(&toy->kernel, 184, 1) == toy->ram + 72);
	CHECK(boot_alloc(&toy->kernel, 0, 1) == toy->ram + 256);
	CHECK(boot_alloc(&toy->kernel, 1, 1) == NULL);
	CHECK(boot_alloc(&toy->kernel, 1, 64) == NULL);
	kfree(toy);
}
