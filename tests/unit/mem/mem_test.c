// SPDX-License-Identifier: MIT
//
// Helpers of the memory tests.
#include "mem_test.h"

struct crowd_start {
	struct crowd_member *member;
	void (*fn)(struct crowd_member *);
};

static void crowd_main(void *arg)
{
	struct crowd_start *start = arg;
	TEST_RUN = start->member->run;
	CHECK_EQ(thread_park(TB_FOREVER), 0);
	start->fn(start->member);
}

// Nobody begins before all are made: who takes all memory would leave none for the next one's stack.
void crowd_run(TEST_RUN, uint32_t count, void (*fn)(struct crowd_member *), void *shared)
{
	struct crowd_member members[CROWD_MAX];
	struct crowd_start starts[CROWD_MAX];
	REQUIRE(count <= CROWD_MAX);
	for (uint32_t i = 0; i < count; i++) {
		struct cpu_mask mask = {0};
		struct thread_params params = {.name = "crowd", .klass = CLASS_FAIR, .affinity = &mask};
		cpu_mask_set(&mask, i % kernel_self()->cpu_count);
		members[i] = (struct crowd_member){.run = test_run_, .shared = shared, .index = i};
		starts[i] = (struct crowd_start){.member = &members[i], .fn = fn};
		CHECK_EQ(thread_start(&params, crowd_main, &starts[i], &members[i].thread), 0);
	}
	for (uint32_t i = 0; i < count; i++)
		if (members[i].thread != NULL)
			thread_unpark(members[i].thread);
	for (uint32_t i = 0; i < count; i++)
		if (members[i].thread != NULL)
			CHECK_EQ(thread_join(members[i].thread, NULL), 0);
}

static void settle_here(struct crowd_member *member)
{
	(void)member;
	slab_reap();
}

void mem_settle(TEST_RUN)
{
	uint32_t count = kernel_self()->cpu_count;
	crowd_run(test_run_, count < CROWD_MAX ? count : CROWD_MAX, settle_here, NULL);
	slab_reap();
	frame_drain_caches();
}

uint32_t frames_used(void)
{
	struct frame_info info;
	frame_get_info(&info);
	return info.total - info.free - info.cached - info.grouped;
}

static void slab_frames_add(const struct slab_info *info, void *arg)
{
	*(uint32_t *)arg += info->frames;
}

uint32_t slab_frames(void)
{
	uint32_t frames = 0;
	slab_each(slab_frames_add, &frames);
	return frames;
}

static uint8_t pattern_byte(size_t at, uint32_t key)
{
	return (uint8_t)((at * 167 + key * 13 + (at >> 8)) ^ key >> 8);
}

void block_fill(void *block, size_t size_bytes, uint32_t key)
{
	uint8_t *bytes = block;
	for (size_t i = 0; i < size_bytes; i++)
		bytes[i] = pattern_byte(i, key);
}

bool block_is_intact(const void *block, size_t size_bytes, uint32_t key)
{
	const uint8_t *bytes = block;
	for (size_t i = 0; i < size_bytes; i++)
		if (bytes[i] != pattern_byte(i, key))
			return false;
	return true;
}

bool block_is_all(const void *block, size_t size_bytes, uint8_t byte)
{
	const uint8_t *bytes = block;
	for (size_t i = 0; i < size_bytes; i++)
		if (bytes[i] != byte)
			return false;
	return true;
}
