// SPDX-License-Identifier: MIT
//
// Frames: orders, alignment, contents, merging, exhaustion, accounts, and what must be refused.
#include "mem_test.h"

#include "kern/atomic.h"
#include "kern/math.h"
#include "kern/string.h"

TEST(frame, every_order_is_aligned_and_inside_ram)
{
	struct kernel *kernel = kernel_self();
	for (uint32_t order = 0; order < FRAME_ORDER_MAX; order++) {
		size_t size_bytes = (size_t)FRAME_SIZE << order;
		char *block = frame_alloc(order, 0, NULL);
		REQUIRE(block != NULL);
		CHECK(is_aligned_to(block, size_bytes));
		CHECK(block >= kernel->ram);
		CHECK(block + size_bytes <= kernel->ram + (size_t)kernel->ram_size_bytes);
		block[0] = 1;
		block[size_bytes - 1] = 2;
		frame_free(block, order);
	}
	CHECK_EQ(frame_check(), 0);
}

TEST(frame, zeroed_when_asked)
{
	for (uint32_t order = 0; order < 5; order++) {
		size_t size_bytes = (size_t)FRAME_SIZE << order;
		void *block = frame_alloc(order, 0, NULL);
		REQUIRE(block != NULL);
		memset(block, 0xaa, size_bytes);
		frame_free(block, order);
		block = frame_alloc(order, MEM_ZERO, NULL);
		REQUIRE(block != NULL);
		CHECK(block_is_all(block, size_bytes, 0));
		frame_free(block, order);
	}
}

TEST(frame, fresh_memory_is_poisoned_on_request)
{
	struct kernel *kernel = kernel_self();
	uint32_t before = kernel->poison;
	kernel->poison = 0x5a;
	void *block = frame_alloc(1, 0, NULL);
	void *zeroed = frame_alloc(1, MEM_ZERO, NULL);
	void *range = range_alloc(3 * FRAME_SIZE, 0, NULL);
	REQUIRE(block != NULL && zeroed != NULL && range != NULL);
	CHECK(block_is_all(block, 2 * FRAME_SIZE, 0x5a));
	CHECK(block_is_all(zeroed, 2 * FRAME_SIZE, 0));
	CHECK(block_is_all(range, 3 * FRAME_SIZE, 0x5a));
	kernel->poison = before;
	frame_free(block, 1);
	frame_free(zeroed, 1);
	range_free(range);
}

TEST(frame, blocks_do_not_overlap)
{
	void *blocks[64];
	struct rand_stream random;
	rand_open(&random, "frame-overlap", 0);
	uint32_t orders[array_count(blocks)];
	for (uint32_t i = 0; i < array_count(blocks); i++) {
		orders[i] = rand_below(&random, 4);
		blocks[i] = frame_alloc(orders[i], 0, NULL);
		REQUIRE(blocks[i] != NULL);
		block_fill(blocks[i], (size_t)FRAME_SIZE << orders[i], i);
	}
	for (uint32_t i = 0; i < array_count(blocks); i++) {
		CHECK(block_is_intact(blocks[i], (size_t)FRAME_SIZE << orders[i], i));
		frame_free(blocks[i], orders[i]);
	}
	CHECK_EQ(frame_check(), 0);
}

// Takes single frames until there are none; the list runs through them.
static void *take_all(uint32_t mem_flags, uint32_t *count)
{
	void *list = NULL;
	void **frame;
	*count = 0;
	while ((frame = frame_alloc(0, mem_flags, NULL)) != NULL) {
		*frame = list;
		list = frame;
		++*count;
	}
	return list;
}

static void give_all(void *list)
{
	while (list != NULL) {
		void *next = *(void **)list;
		frame_free(list, 0);
		list = next;
	}
}

TEST(frame, exhaustion_is_an_answer_and_everything_merges_again)
{
	struct frame_info before, after, dry;
	uint32_t count;
	mem_settle(test_run_);
	frame_get_info(&before);
	void *list = take_all(MEM_ATOMIC, &count);
	frame_get_info(&dry);
	CHECK_EQ(dry.free + dry.cached, 0);
	CHECK(frame_alloc(0, MEM_ATOMIC, NULL) == NULL);
	CHECK(frame_alloc(3, MEM_ATOMIC, NULL) == NULL);
	CHECK(kmalloc(100000, MEM_ATOMIC) == NULL);
	CHECK(count >= before.free);
	give_all(list);
	CHECK_EQ(frame_check(), 0);
	frame_drain_caches();
	frame_get_info(&after);
	CHECK(after.free >= before.free);
	CHECK_EQ(after.largest_order, before.largest_order);
	CHECK(after.free_by_order[FRAME_ORDER_MAX - 1] >= before.free_by_order[FRAME_ORDER_MAX - 1]);
	CHECK(after.failures > before.failures);
	CHECK(after.peak_used >= count);
}

TEST(frame, emergency_frames_are_for_those_who_cannot_wait)
{
	uint32_t count;
	void *list = take_all(0, &count);
	void *urgent = frame_alloc(0, MEM_ATOMIC, NULL);
	CHECK(frame_alloc(0, 0, NULL) == NULL);
	CHECK(urgent != NULL);
	if (urgent != NULL)
		frame_free(urgent, 0);
	give_all(list);
}

TEST(frame, nodes_are_preferred_not_required)
{
	struct kernel *kernel = kernel_self();
	struct frame_info before, after;
	frame_get_node_info(0, &before);
	void *near = frame_alloc_node(0, 5, 0, NULL);
	frame_get_node_info(0, &after);
	void *far = frame_alloc_node(HAL_MAX_NODES - 1, 5, 0, NULL);
	REQUIRE(near != NULL && far != NULL);
	CHECK(after.free + 32 <= before.free + before.cached + 1);
	CHECK((char *)near >= kernel->ram);
	frame_free(near, 5);
	frame_free(far, 5);
}

TEST(frame, info_adds_up)
{
	struct frame_info info;
	frame_get_info(&info);
	uint32_t listed = 0;
	for (uint32_t order = 0; order < FRAME_ORDER_MAX; order++)
		listed += info.free_by_order[order] << order;
	CHECK_EQ(listed, info.free);
	CHECK(info.free + info.cached + info.grouped <= info.total);
	CHECK(info.free_by_order[info.largest_order] != 0);
	CHECK(info.total <= kernel_self()->ram_size_bytes / FRAME_SIZE);
}

// ---- reservations --------------------------------------------------------------------------------------------------

TEST(frame, reserved_frames_are_there_when_nothing_else_is)
{
	struct frame_reservation reservation;
	struct account *account;
	void *taken[20];
	uint32_t count;
	REQUIRE(account_create(NULL, "reserve", 24, &account) == 0);
	REQUIRE(frame_reserve(&reservation, 20, account) == 0);
	CHECK_EQ(atomic_load_u32_relaxed(&account->used_frames), 20);
	void *list = take_all(MEM_ATOMIC, &count);
	CHECK_EQ(frame_check(), 0);
	for (uint32_t i = 0; i < array_count(taken); i++) {
		taken[i] = frame_alloc_reserved(&reservation, MEM_ZERO);
		REQUIRE(taken[i] != NULL);
		CHECK(block_is_all(taken[i], FRAME_SIZE, 0));
	}
	CHECK(frame_alloc_reserved(&reservation, 0) == NULL);
	for (uint32_t i = 0; i < array_count(taken); i++)
		frame_free(taken[i], 0);
	give_all(list);
	CHECK_EQ(atomic_load_u32_relaxed(&account->used_frames), 0);
	frame_unreserve(&reservation);
	account_release(account);
}

TEST(frame, reservation_is_all_or_nothing)
{
	struct frame_reservation reservation;
	struct frame_info info;
	struct account *account;
	frame_get_info(&info);
	REQUIRE(account_create(NULL, "reserve", 10, &account) == 0);
	CHECK_EQ(frame_reserve(&reservation, 11, account), -ENOMEM);
	CHECK_EQ(atomic_load_u32_relaxed(&account->used_frames), 0);
	CHECK_EQ(frame_reserve(&reservation, info.total + 1, NULL), -ENOMEM);
	CHECK_EQ(reservation.left_frames, 0);
	REQUIRE(frame_reserve(&reservation, 10, account) == 0);
	void *frame = frame_alloc_reserved(&reservation, 0);
	REQUIRE(frame != NULL);
	frame_unreserve(&reservation);
	CHECK_EQ(atomic_load_u32_relaxed(&account->used_frames), 1);
	frame_free(frame, 0);
	account_release(account);
	CHECK_EQ(frame_check(), 0);
}

// ---- what must be refused --------------------------------------------------------------------------------------------

TEST_WITH(frame, a_foreign_address_is_noticed, 0, TEST_PANICS, "is not a frame")
{
	frame_free((void *)(uintptr_t)(FRAME_SIZE * 16), 0);
}

TEST_WITH(frame, boot_memory_is_not_for_freeing, 0, TEST_PANICS, "is not a frame")
{
	frame_free(kernel_self()->ram, 0);
}

TEST_WITH(frame, a_slab_is_not_for_freeing, 0, TEST_PANICS, "part of a range or slab")
{
	char *object = kmalloc(64, 0);
	REQUIRE(object != NULL);
	frame_free((void *)((uintptr_t)object & ~(uintptr_t)(FRAME_SIZE - 1)), 0);
}

TEST_WITH(frame, an_order_beyond_the_greatest_is_noticed, 0, TEST_PANICS, "order < FRAME_ORDER_MAX")
{
	CHECK(frame_alloc(FRAME_ORDER_MAX, 0, NULL) == NULL);
}

// ---- crowds ----------------------------------------------------------------------------------------------------------

struct frame_slot {
	void *block;
	uint32_t order;
	uint32_t key;
};

#define SLOTS 48u

// Allocates and frees at random, every block filled and looked at again; sometimes all caches are emptied meanwhile.
static void frame_crowd(struct crowd_member *member)
{
	TEST_RUN = member->run;
	struct account *account = member->shared;
	struct frame_slot slots[SLOTS] = {0};
	struct rand_stream random;
	rand_open(&random, "frame-crowd", member->index);
	for (uint32_t i = 0; i < loops(6000, 40); i++) {
		struct frame_slot *slot = &slots[rand_below(&random, SLOTS)];
		if (slot->block != NULL) {
			CHECK(block_is_intact(slot->block, 256, slot->key));
			frame_free(slot->block, slot->order);
			slot->block = NULL;
			continue;
		}
		uint32_t flags = rand_chance(&random, 1, 3) ? MEM_USER : 0;
		slot->order = rand_chance(&random, 2, 3) ? 0 : rand_below(&random, 5);
		slot->key = member->index << 16 | i;
		slot->block = frame_alloc(slot->order, flags, account);
		if (slot->block != NULL)
			block_fill(slot->block, 256, slot->key);
		if (rand_chance(&random, 1, 400))
			frame_drain_caches();
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		if (slots[i].block != NULL)
			frame_free(slots[i].block, slots[i].order);
}

TEST_CPUS(frame, many_cpus_at_once, 2)
{
	struct account *account;
	REQUIRE(account_create(NULL, "crowd", 0, &account) == 0);
	crowd_run(test_run_, 4, frame_crowd, account);
	CHECK_EQ(atomic_load_u32_relaxed(&account->used_frames), 0);
	account_release(account);
	CHECK_EQ(frame_check(), 0);
}

// The account's limit makes most allocations fail.
TEST_CPUS(frame, many_cpus_at_a_limit, 2)
{
	struct account *account;
	REQUIRE(account_create(NULL, "crowd", 40, &account) == 0);
	crowd_run(test_run_, 4, frame_crowd, account);
	CHECK_EQ(atomic_load_u32_relaxed(&account->used_frames), 0);
	CHECK(account->peak_frames <= 40);
	account_release(account);
	CHECK_EQ(frame_check(), 0);
}

// One of them takes everything there is, again and again.
static void hunger_crowd(struct crowd_member *member)
{
	if (member->index != 0) {
		frame_crowd(member);
		return;
	}
	for (uint32_t i = 0; i < loops(30, 2); i++) {
		uint32_t count;
		void *list = take_all(i % 2 ? MEM_ATOMIC : 0, &count);
		thread_yield();
		give_all(list);
	}
}

TEST_CPUS(frame, many_cpus_without_memory, 2)
{
	crowd_run(test_run_, 4, hunger_crowd, account_root());
	CHECK_EQ(frame_check(), 0);
}

// What has been given to the host comes back as zeros, and is not given twice.
TEST(frame, free_memory_goes_back_to_the_host)
{
	const size_t size_bytes = 3u << 20;
	(void)frame_trim();
	CHECK_EQ(frame_trim(), 0);
	unsigned char *memory = range_alloc(size_bytes, 0, NULL);
	REQUIRE(memory != NULL);
	memset(memory, 0x5a, size_bytes);
	range_free(memory);
	CHECK(frame_trim() >= size_bytes / FRAME_SIZE / 2);
	CHECK_EQ(frame_trim(), 0);
	CHECK_EQ(frame_check(), 0);
	memory = range_alloc(size_bytes, 0, NULL);
	REQUIRE(memory != NULL);
	if (kernel_self()->poison == 0)
		CHECK(block_is_all(memory + size_bytes / 2, 65536, 0));
	range_free(memory);
}
