// SPDX-License-Identifier: MIT
//
// User frames: they share no group with anything else, kept groups hand out what suits the address, and give way in need.
#include "mem_test.h"

#include "kern/atomic.h"

#define GROUP_BYTES 65536u
#define GROUP_FRAMES (GROUP_BYTES / FRAME_SIZE)

static uintptr_t group_of(const void *frame)
{
	return (uintptr_t)frame & ~(uintptr_t)(GROUP_BYTES - 1);
}

TEST(frame_group, user_and_kernel_frames_do_not_mix)
{
	void *user[3 * GROUP_FRAMES];
	void *kernel[3 * GROUP_FRAMES];
	for (uint32_t i = 0; i < array_count(user); i++) {
		user[i] = frame_alloc(0, MEM_USER, NULL);
		kernel[i] = frame_alloc(0, 0, NULL);
		REQUIRE(user[i] != NULL && kernel[i] != NULL);
	}
	uint32_t mixed = 0;
	for (uint32_t i = 0; i < array_count(user); i++)
		for (uint32_t j = 0; j < array_count(kernel); j++)
			mixed += group_of(user[i]) == group_of(kernel[j]);
	CHECK_EQ(mixed, 0);
	CHECK_EQ(frame_check(), 0);
	for (uint32_t i = 0; i < array_count(user); i++) {
		frame_free(user[i], 0);
		frame_free(kernel[i], 0);
	}
	CHECK_EQ(frame_check(), 0);
}

// What a process maps bit by bit lies in few pieces.
TEST(frame_group, user_frames_lie_together)
{
	void *user[4 * GROUP_FRAMES];
	uint32_t groups = 0;
	frame_drain_caches();
	for (uint32_t i = 0; i < array_count(user); i++) {
		bool known = false;
		user[i] = frame_alloc(0, MEM_USER, NULL);
		REQUIRE(user[i] != NULL);
		for (uint32_t j = 0; j < i && !known; j++)
			known = group_of(user[i]) == group_of(user[j]);
		groups += !known;
	}
	CHECK(groups <= 8);
	for (uint32_t i = 0; i < array_count(user); i++)
		frame_free(user[i], 0);
}

TEST(frame_group, larger_user_blocks_fit_in)
{
	void *blocks[40];
	for (uint32_t i = 0; i < array_count(blocks); i++) {
		blocks[i] = frame_alloc(i % 6, MEM_USER | MEM_ZERO, NULL);
		REQUIRE(blocks[i] != NULL);
		CHECK(is_aligned_to(blocks[i], (size_t)FRAME_SIZE << i % 6));
		block_fill(blocks[i], (size_t)FRAME_SIZE << i % 6, i);
	}
	CHECK_EQ(frame_check(), 0);
	for (uint32_t i = 0; i < array_count(blocks); i++) {
		CHECK(block_is_intact(blocks[i], (size_t)FRAME_SIZE << i % 6, i));
		frame_free(blocks[i], i % 6);
	}
	CHECK_EQ(frame_check(), 0);
}

TEST(frame_group, kept_group_hands_out_the_frame_asked_for)
{
	struct account *account;
	void *group;
	REQUIRE(account_create(NULL, "space", 0, &account) == 0);
	REQUIRE(frame_group_keep(4, &group) == 0);
	CHECK(is_aligned_to(group, (size_t)FRAME_SIZE << 4));
	char *seventh = frame_group_take(group, 7, MEM_ZERO, account);
	CHECK(seventh == (char *)group + 7 * FRAME_SIZE);
	CHECK(frame_group_take(group, 7, 0, account) == NULL);
	char *first = frame_group_take(group, 0, 0, account);
	CHECK(first == group);
	CHECK_EQ(atomic_load_u32_relaxed(&account->used_frames), 2);
	CHECK_EQ(frame_check(), 0);
	REQUIRE(seventh != NULL && first != NULL);
	frame_free(seventh, 0);
	frame_drain_caches();
	seventh = frame_group_take(group, 7, 0, account);
	CHECK(seventh == (char *)group + 7 * FRAME_SIZE);
	frame_group_release(group);
	CHECK_EQ(frame_check(), 0);
	frame_free(first, 0);
	frame_free(seventh, 0);
	frame_drain_caches();
	CHECK_EQ(frame_check(), 0);
	account_release(account);
}

TEST(frame_group, limits_and_orders_are_judged)
{
	struct account *account;
	void *group;
	CHECK_EQ(frame_group_keep(0, &group), -EINVAL);
	CHECK_EQ(frame_group_keep(12, &group), -EINVAL);
	REQUIRE(account_create(NULL, "space", 1, &account) == 0);
	REQUIRE(frame_group_keep(9, &group) == 0);
	CHECK(is_aligned_to(group, 2u << 20));
	void *frame = frame_group_take(group, 511, 0, account);
	CHECK(frame == (char *)group + 511 * FRAME_SIZE);
	CHECK(frame_group_take(group, 510, 0, account) == NULL);
	frame_group_release(group);
	REQUIRE(frame != NULL);
	frame_free(frame, 0);
	account_release(account);
}

TEST(frame_group, kept_frames_give_way_when_memory_is_short)
{
	void *group;
	void *list = NULL;
	void **frame;
	uint32_t stolen = 0;
	REQUIRE(frame_group_keep(4, &group) == 0);
	char *mine = frame_group_take(group, 3, 0, NULL);
	REQUIRE(mine != NULL);
	while ((frame = frame_alloc(0, MEM_USER | MEM_ATOMIC, NULL)) != NULL) {
		stolen += (char *)frame >= (char *)group && (char *)frame < (char *)group + ((size_t)FRAME_SIZE << 4);
		*frame = list;
		list = frame;
	}
	CHECK_EQ(stolen, 15);
	CHECK(frame_group_take(group, 5, 0, NULL) == NULL);
	CHECK_EQ(frame_check(), 0);
	frame_group_release(group);
	while (list != NULL) {
		void *next = *(void **)list;
		frame_free(list, 0);
		list = next;
	}
	frame_free(mine, 0);
	frame_drain_caches();
	CHECK_EQ(frame_check(), 0);
}

static void group_crowd(struct crowd_member *member)
{
	TEST_RUN = member->run;
	struct rand_stream random;
	rand_open(&random, "group-crowd", member->index);
	for (uint32_t i = 0; i < loops(300, 4); i++) {
		void *taken[16] = {0};
		void *group;
		if (frame_group_keep(4, &group) != 0)
			continue;
		for (uint32_t j = 0; j < 10; j++) {
			uint32_t index = rand_below(&random, 16);
			if (taken[index] == NULL)
				taken[index] = frame_group_take(group, index, 0, NULL);
			else
				CHECK(taken[index] == (char *)group + (size_t)index * FRAME_SIZE);
		}
		bool early = rand_chance(&random, 1, 2);
		if (early)
			frame_group_release(group);
		for (uint32_t index = 0; index < 16; index++)
			if (taken[index] != NULL)
				frame_free(taken[index], 0);
		if (!early)
			frame_group_release(group);
	}
}

TEST_CPUS(frame_group, many_cpus_at_once, 2)
{
	crowd_run(test_run_, 4, group_crowd, NULL);
	frame_drain_caches();
	CHECK_EQ(frame_check(), 0);
}

TEST_WITH(frame_group, release_twice_is_noticed, 0, TEST_PANICS, "FRAME_FLAG_KEPT")
{
	void *group;
	REQUIRE(frame_group_keep(4, &group) == 0);
	void *frame = frame_group_take(group, 1, 0, NULL);
	REQUIRE(frame != NULL);
	frame_group_release(group);
	frame_group_release(group);
}
