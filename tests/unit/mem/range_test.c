// SPDX-License-Identifier: MIT
//
// Ranges: any number of frames, no more than asked for, beyond the greatest buddy block too.
#include "mem_test.h"

#include "kern/atomic.h"

static uint32_t charged(struct account *account)
{
	return atomic_load_u32_relaxed(&account->used_frames);
}

TEST(range, five_frames_cost_five)
{
	struct account *account;
	REQUIRE(account_create(NULL, "range", 0, &account) == 0);
	for (uint32_t frames = 1; frames < 70; frames += 4) {
		frame_drain_caches();
		uint32_t before = frames_used();
		char *range = range_alloc((size_t)frames * FRAME_SIZE - 100, 0, account);
		REQUIRE(range != NULL);
		CHECK_EQ(range_size_bytes(range), (size_t)frames * FRAME_SIZE);
		CHECK_EQ(charged(account), frames);
		CHECK_EQ(frames_used(), before + frames);
		CHECK(is_aligned_to(range, FRAME_SIZE));
		block_fill(range, range_size_bytes(range), frames);
		CHECK(block_is_intact(range, range_size_bytes(range), frames));
		CHECK_EQ(frame_check(), 0);
		range_free(range);
		CHECK_EQ(charged(account), 0);
	}
	account_release(account);
}

TEST(range, alignment_may_exceed_the_size)
{
	for (size_t align = FRAME_SIZE; align <= (size_t)FRAME_SIZE << (FRAME_ORDER_MAX - 1); align *= 2) {
		void *range = range_alloc_aligned(3 * FRAME_SIZE, align, 0, NULL);
		REQUIRE(range != NULL);
		CHECK(is_aligned_to(range, align));
		range_free(range);
	}
	CHECK_EQ(frame_check(), 0);
}

TEST(range, more_than_the_greatest_block)
{
	size_t top_bytes = (size_t)FRAME_SIZE << (FRAME_ORDER_MAX - 1);
	size_t size_bytes = 2 * top_bytes + 3 * FRAME_SIZE;
	char *range = range_alloc(size_bytes, MEM_ZERO, NULL);
	char *second = range_alloc(top_bytes + 1, 0, NULL);
	REQUIRE(range != NULL && second != NULL);
	CHECK_EQ(range_size_bytes(range), size_bytes);
	CHECK(block_is_all(range, size_bytes, 0));
	CHECK(second + top_bytes < range || second >= range + size_bytes);
	CHECK_EQ(frame_check(), 0);
	range_free(range);
	range_free(second);
	CHECK_EQ(frame_check(), 0);
}

TEST(range, shrinks_in_place)
{
	struct account *account;
	REQUIRE(account_create(NULL, "range", 0, &account) == 0);
	char *range = range_alloc(100 * FRAME_SIZE, 0, account);
	REQUIRE(range != NULL);
	block_fill(range, 100 * FRAME_SIZE, 9);
	range_shrink(range, 37 * FRAME_SIZE - 1);
	CHECK_EQ(range_size_bytes(range), 37 * FRAME_SIZE);
	CHECK_EQ(charged(account), 37);
	CHECK(block_is_intact(range, 37 * FRAME_SIZE, 9));
	CHECK_EQ(frame_check(), 0);
	range_shrink(range, 90 * FRAME_SIZE);
	CHECK_EQ(range_size_bytes(range), 37 * FRAME_SIZE);
	range_free(range);
	CHECK_EQ(charged(account), 0);
	account_release(account);
	CHECK_EQ(frame_check(), 0);
}

TEST(range, impossible_sizes_are_refused)
{
	CHECK(range_alloc(0, 0, NULL) == NULL);
	CHECK(range_alloc(SIZE_MAX, 0, NULL) == NULL);
	CHECK(range_alloc((size_t)kernel_self()->ram_size_bytes, 0, NULL) == NULL);
	CHECK(range_alloc_aligned(FRAME_SIZE, (size_t)FRAME_SIZE << FRAME_ORDER_MAX, 0, NULL) == NULL);
	CHECK_EQ(frame_check(), 0);
}

struct range_slot {
	char *block;
	size_t size_bytes;
	uint32_t key;
};

static void range_crowd(struct crowd_member *member)
{
	TEST_RUN = member->run;
	struct range_slot slots[12] = {0};
	struct rand_stream random;
	rand_open(&random, "range-crowd", member->index);
	for (uint32_t i = 0; i < loops(3000, 30); i++) {
		struct range_slot *slot = &slots[rand_below(&random, array_count(slots))];
		if (slot->block != NULL) {
			CHECK(block_is_intact(slot->block, 64, slot->key));
			CHECK(block_is_intact(slot->block + slot->size_bytes - 64, 64, slot->key));
			range_free(slot->block);
			slot->block = NULL;
			continue;
		}
		slot->size_bytes = (size_t)(1 + rand_below(&random, 50)) * FRAME_SIZE;
		slot->key = member->index << 16 | i;
		slot->block = range_alloc(slot->size_bytes, 0, NULL);
		if (slot->block == NULL)
			continue;
		block_fill(slot->block, 64, slot->key);
		block_fill(slot->block + slot->size_bytes - 64, 64, slot->key);
	}
	for (uint32_t i = 0; i < array_count(slots); i++)
		if (slots[i].block != NULL)
			range_free(slots[i].block);
}

TEST_CPUS(range, many_cpus_at_once, 2)
{
	crowd_run(test_run_, 4, range_crowd, NULL);
	CHECK_EQ(frame_check(), 0);
	CHECK_EQ(range_check(), 0);
}

TEST_WITH(range, double_free_is_noticed, 0, TEST_PANICS, "not the start of a range")
{
	void *range = range_alloc(3 * FRAME_SIZE, 0, NULL);
	REQUIRE(range != NULL);
	range_free(range);
	range_free(range);
}

TEST_WITH(range, a_plain_block_is_noticed, 0, TEST_PANICS, "not the start of a range")
{
	void *block = frame_alloc(1, 0, NULL);
	REQUIRE(block != NULL);
	range_free(block);
}

TEST_WITH(range, as_a_plain_block_it_is_noticed, 0, TEST_PANICS, "part of a range or slab")
{
	void *range = range_alloc(FRAME_SIZE, 0, NULL);
	REQUIRE(range != NULL);
	frame_free(range, 0);
}
