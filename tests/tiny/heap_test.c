// SPDX-License-Identifier: MIT
//
// Frames and heap of small machines: every size, alignment, what is taken comes back, exhaustion, a model of what lives, and what is
// noticed when a pointer is wrong.
#include "hal/hal.h"
#include "kern/heap.h"
#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"

#define SLOTS 24u

static uint32_t frames_free(void)
{
	struct frame_info info;
	frame_get_info(&info);
	return info.free;
}

static void pattern_fill(uint8_t *block, size_t size_bytes, uint32_t key)
{
	for (size_t i = 0; i < size_bytes; i++)
		block[i] = (uint8_t)(i * 13 + key * 29);
}

static bool pattern_holds(const uint8_t *block, size_t size_bytes, uint32_t key)
{
	for (size_t i = 0; i < size_bytes; i++)
		if (block[i] != (uint8_t)(i * 13 + key * 29))
			return false;
	return true;
}

static bool all_bytes(const uint8_t *block, size_t size_bytes, uint8_t value)
{
	for (size_t i = 0; i < size_bytes; i++)
		if (block[i] != value)
			return false;
	return true;
}

static void both_check(TEST_RUN)
{
	CHECK_EQ(heap_check(), 0);
	CHECK_EQ(frame_check(), 0);
}

TEST(heap, every_size_has_a_fitting_block)
{
	uint32_t before = frames_free();
	for (uint32_t size = 0; size <= 3 * FRAME_SIZE; size++) {
		uint8_t *block = kmalloc(size, 0);
		REQUIRE(block != NULL);
		CHECK(kmalloc_usable(block) >= size);
		CHECK(IS_ALIGNED((uintptr_t)block, size < 16 ? 8 : 16));
		if (size >= 16 && (size & (size - 1)) == 0)
			CHECK(IS_ALIGNED((uintptr_t)block, MIN(size, FRAME_SIZE)));
		pattern_fill(block, size, size);
		CHECK(pattern_holds(block, size, size));
		kfree(block);
	}
	both_check(test_run_);
	CHECK_EQ(frames_free(), before);
}

TEST(heap, alignments_are_kept)
{
	uint32_t before = frames_free();
	for (size_t align = 1; align <= 4 * FRAME_SIZE; align *= 2)
		for (size_t size = 1; size <= 2 * FRAME_SIZE; size = size * 3 + 1) {
			uint8_t *block = kmalloc_aligned(size, align, MEM_ZERO);
			REQUIRE(block != NULL);
			CHECK(IS_ALIGNED((uintptr_t)block, align));
			CHECK(kmalloc_usable(block) >= size);
			CHECK(all_bytes(block, size, 0));
			kfree(block);
		}
	both_check(test_run_);
	CHECK_EQ(frames_free(), before);
}

TEST(heap, used_memory_is_zeroed_when_asked)
{
	for (uint32_t size = 1; size <= 4 * FRAME_SIZE; size = size * 2 + 1) {
		uint8_t *block = kmalloc(size, 0);
		REQUIRE(block != NULL);
		memset(block, 0xff, kmalloc_usable(block));
		kfree(block);
		block = kmalloc(size, MEM_ZERO);
		REQUIRE(block != NULL);
		CHECK(all_bytes(block, kmalloc_usable(block), 0));
		kfree(block);
	}
}

TEST(heap, growing_and_shrinking_keep_contents)
{
	static const uint32_t sizes[] = {1, 8, 9, 40, 200, FRAME_SIZE, 3 * FRAME_SIZE, FRAME_SIZE + 1, 100, 16, 3};
	uint8_t *block = NULL;
	uint32_t had = 0;
	for (uint32_t i = 0; i < array_count(sizes); i++) {
		block = krealloc(block, sizes[i], 0);
		REQUIRE(block != NULL);
		CHECK(pattern_holds(block, MIN(had, sizes[i]), 3));
		pattern_fill(block, sizes[i], 3);
		had = sizes[i];
	}
	CHECK(krealloc(block, kernel_self()->ram_size_bytes, 0) == NULL);
	CHECK(krealloc(block, SIZE_MAX, 0) == NULL);
	CHECK(pattern_holds(block, had, 3));
	kfree(block);
	both_check(test_run_);
}

TEST(heap, sizes_that_overflow_are_refused)
{
	uint32_t before = frames_free();
	CHECK(kmalloc(SIZE_MAX, 0) == NULL);
	CHECK(kmalloc_array(SIZE_MAX / 2, 3, 0) == NULL);
	CHECK(kmalloc_array(3, SIZE_MAX / 2, 0) == NULL);
	CHECK(kmalloc_aligned(1, (size_t)1 << 20, 0) == NULL);
	CHECK(range_alloc(SIZE_MAX - FRAME_SIZE, 0, NULL) == NULL);
	CHECK_EQ(frames_free(), before);
}

// Takes all there is, block by block, and gives it back.
static uint32_t take_all(TEST_RUN, uint32_t size)
{
	struct block {
		struct block *next;
		uint8_t rest[];
	} *list = NULL, *block;
	uint32_t count = 0;
	while ((block = kmalloc(size, 0)) != NULL) {
		pattern_fill(block->rest, size - sizeof *block, count++);
		block->next = list;
		list = block;
	}
	both_check(test_run_);
	for (uint32_t i = count; list != NULL; list = block) {
		block = list->next;
		CHECK(pattern_holds(list->rest, size - sizeof *list, --i));
		kfree(list);
	}
	return count;
}

TEST(heap, all_of_it_can_be_taken_and_comes_back)
{
	uint32_t before = frames_free();
	for (uint32_t size = 16; size <= 2 * FRAME_SIZE; size = size * 3 / 2) {
		uint32_t count = take_all(test_run_, size);
		CHECK(count >= before / DIV_ROUND_UP(size, FRAME_SIZE) - 1);
		CHECK_EQ(frames_free(), before);
	}
	both_check(test_run_);
}

TEST(heap, frames_come_back_whole)
{
	uint32_t before = frames_free();
	for (uint32_t order = 0; order < 5; order++) {
		void *one = frame_alloc(order, MEM_ZERO, NULL), *other = frame_alloc(order, 0, NULL);
		REQUIRE(one != NULL && other != NULL);
		CHECK(IS_ALIGNED((uintptr_t)one, (size_t)FRAME_SIZE << order));
		CHECK(all_bytes(one, (size_t)FRAME_SIZE << order, 0));
		CHECK(one != other);
		CHECK_EQ(frames_free(), before - (2u << order));
		frame_free(one, order);
		frame_free(other, order);
	}
	both_check(test_run_);
	CHECK_EQ(frames_free(), before);
}

TEST(heap, what_is_reserved_is_there)
{
	struct frame_reservation reservation, more;
	uint32_t before = frames_free();
	void *frame;
	REQUIRE(frame_reserve(&reservation, 3, NULL) == 0);
	CHECK_EQ(frame_reserve(&more, before, NULL), -ENOMEM);
	void *list = NULL;
	while ((frame = frame_alloc(0, 0, NULL)) != NULL) {
		*(void **)frame = list;
		list = frame;
	}
	CHECK_EQ(frames_free(), 3);
	for (uint32_t i = 0; i < 3; i++) {
		frame = frame_alloc_reserved(&reservation, 0);
		CHECK(frame != NULL);
		frame_free(frame, 0);
	}
	CHECK(frame_alloc_reserved(&reservation, 0) == NULL);
	frame_unreserve(&reservation);
	for (; list != NULL; list = frame) {
		frame = *(void **)list;
		frame_free(list, 0);
	}
	both_check(test_run_);
	CHECK_EQ(frames_free(), before);
}

struct slot {
	uint8_t *block;
	uint32_t size, key;
};

static void slot_step(TEST_RUN, struct slot *slot, struct rand_stream *chance, uint32_t key)
{
	uint32_t size = rand_below(chance, rand_chance(chance, 1, 6) ? 2 * FRAME_SIZE : 100);
	if (slot->block == NULL) {
		slot->block = kmalloc(size, 0);
	} else {
		CHECK(pattern_holds(slot->block, slot->size, slot->key));
		if (rand_chance(chance, 2, 3)) {
			kfree(slot->block);
			slot->block = NULL;
			return;
		}
		uint8_t *moved = krealloc(slot->block, size, 0);
		if (moved == NULL)
			return;
		CHECK(pattern_holds(moved, MIN(size, slot->size), slot->key));
		slot->block = moved;
	}
	if (slot->block == NULL)
		return;
	slot->size = size;
	slot->key = key;
	pattern_fill(slot->block, size, key);
}

static void model_run(TEST_RUN, uint32_t seed, uint32_t steps)
{
	struct slot slots[SLOTS] = {0};
	struct rand_stream chance;
	rand_init(&chance, seed);
	for (uint32_t i = 0; i < steps; i++) {
		slot_step(test_run_, &slots[rand_below(&chance, SLOTS)], &chance, seed + i);
		if (i % 64 == 0)
			both_check(test_run_);
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		kfree(slots[i].block);
}

TEST(heap, follows_a_model)
{
	uint32_t before = frames_free();
	for (uint32_t seed = 1; seed <= 4; seed++)
		model_run(test_run_, seed, 600);
	both_check(test_run_);
	CHECK_EQ(frames_free(), before);
}

struct walker {
	struct test_run *run;
	uint32_t seed;
};

static void body_walk(void *arg)
{
	const struct walker *walker = arg;
	model_run(walker->run, walker->seed, 300);
}

// Preempted anywhere, threads do not meet in each other's blocks.
TEST(heap, threads_share_it)
{
	struct walker walkers[3];
	struct thread *threads[3];
	uint32_t before = frames_free();
	CHECK_EQ(sched_set_slice_ns(100000), 0);
	for (uint32_t i = 0; i < array_count(walkers); i++) {
		walkers[i] = (struct walker){test_run_, 100 + i};
		REQUIRE(thread_start(NULL, body_walk, &walkers[i], &threads[i]) == 0);
	}
	for (uint32_t i = 0; i < array_count(walkers); i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	both_check(test_run_);
	CHECK_EQ(frames_free(), before);
}

TEST_WITH(heap, a_pointer_into_an_object_is_noticed, 0, TEST_PANICS, "holds no object at")
{
	char *block = kmalloc(64, 0);
	REQUIRE(block != NULL);
	kfree(block + 8);
}

TEST_WITH(heap, a_pointer_into_a_range_is_noticed, 0, TEST_PANICS, "is no range's first")
{
	char *block = kmalloc(2 * FRAME_SIZE, 0);
	REQUIRE(block != NULL);
	kfree(block + FRAME_SIZE);
}

TEST_WITH(heap, a_range_freed_twice_is_noticed, 0, TEST_PANICS, "is no range's first")
{
	char *block = kmalloc(2 * FRAME_SIZE, 0);
	REQUIRE(block != NULL);
	kfree(block);
	kfree(block);
}

TEST_WITH(heap, a_foreign_pointer_is_noticed, 0, TEST_PANICS, "is no range's first")
{
	kfree((char *)kernel_self()->ram + kernel_self()->ram_size_bytes);
}

TEST_WITH(heap, boots_own_frames_are_not_given_back, 0, TEST_PANICS, "frame_free: frame 0, order 0")
{
	frame_free((void *)ALIGN_DOWN((uintptr_t)kernel_self()->ram, (uintptr_t)65536), 0);
}
