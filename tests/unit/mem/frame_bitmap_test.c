// SPDX-License-Identifier: MIT
//
// The bitmap allocator of tiny personas, compiled a second time over a piece of memory of this instance: 256-byte frames,
// under names of its own.
#include "mem_test.h"

#include "kern/bitmap.h"
#include "kern/log.h"
#include "kern/string.h"

struct tiny {
	struct kernel kernel;
	struct hal_boot_info info;
	char *ram;
};

static struct kernel *tiny_kernel; // of one body at a time

#undef FRAME_SHIFT
#define FRAME_SHIFT 8
#define kernel_self() tiny_kernel
#define frame_init tiny_init
#define frame_alloc tiny_alloc
#define frame_alloc_node tiny_alloc_node
#define frame_free tiny_free
#define frame_reserve tiny_reserve
#define frame_alloc_reserved tiny_alloc_reserved
#define frame_unreserve tiny_unreserve
#define frame_group_keep tiny_group_keep
#define frame_get_info tiny_get_info
#define frame_get_node_info tiny_get_node_info
#define frame_drain_caches tiny_drain_caches
#define frame_check tiny_check
#define range_alloc_aligned tiny_range_alloc_aligned
#define range_alloc tiny_range_alloc
#define range_size_bytes tiny_range_size_bytes
#define range_free tiny_range_free
#define range_shrink tiny_range_shrink

err_t tiny_init(struct kernel *kernel, const struct hal_boot_info *info);
void *tiny_alloc(uint32_t order, uint32_t mem_flags, struct account *account);
void *tiny_alloc_node(uint32_t node, uint32_t order, uint32_t mem_flags, struct account *account);
void tiny_free(void *frames, uint32_t order);
err_t tiny_reserve(struct frame_reservation *reservation, uint32_t frames, struct account *account);
void *tiny_alloc_reserved(struct frame_reservation *reservation, uint32_t mem_flags);
void tiny_unreserve(struct frame_reservation *reservation);
err_t tiny_group_keep(uint32_t order, void **group);
void tiny_get_info(struct frame_info *info);
void tiny_get_node_info(uint32_t node, struct frame_info *info);
void tiny_drain_caches(void);
void *tiny_range_alloc_aligned(size_t size_bytes, size_t align, uint32_t mem_flags, struct account *account);
void *tiny_range_alloc(size_t size_bytes, uint32_t mem_flags, struct account *account);
size_t tiny_range_size_bytes(const void *memory);
void tiny_range_free(void *memory);
void tiny_range_shrink(void *memory, size_t size_bytes);
err_t tiny_check(void);

#include "../../../src/core/mem/frame_bitmap.c"
#undef range_alloc_aligned
#undef range_alloc
#undef range_size_bytes
#undef range_free
#undef range_shrink

#define FRAMES 64u

// A machine of 64 frames, of which boot has used two and a bit.
static struct tiny *tiny_make(TEST_RUN)
{
	struct tiny *tiny = kmalloc(sizeof *tiny, MEM_ZERO);
	CHECK(tiny != NULL);
	if (tiny == NULL)
		return NULL;
	tiny->ram = range_alloc_aligned(FRAMES * FRAME_SIZE, 65536, MEM_ZERO, NULL);
	CHECK(tiny->ram != NULL);
	tiny->kernel.ram = tiny->ram;
	tiny->kernel.arena_next_bytes = 2 * FRAME_SIZE + 10;
	tiny->kernel.arena_limit_bytes = FRAMES * FRAME_SIZE;
	tiny->info.ram = tiny->ram;
	tiny->info.node_count = 1;
	tiny->info.nodes[0].size_bytes = FRAMES * FRAME_SIZE;
	tiny_kernel = &tiny->kernel;
	CHECK_EQ(tiny_init(&tiny->kernel, &tiny->info), 0);
	return tiny;
}

static void tiny_end(struct tiny *tiny)
{
	range_free(tiny->ram);
	kfree(tiny);
}

TEST(frame_bitmap, state_is_tens_of_bytes)
{
	struct tiny *tiny = tiny_make(test_run_);
	REQUIRE(tiny != NULL);
	CHECK(tiny->kernel.arena_next_bytes - (2 * FRAME_SIZE + 10) <= 64 + 2 * FRAMES / 8);
	tiny_end(tiny);
}

TEST(frame_bitmap, blocks_are_aligned_and_end_in_exhaustion)
{
	struct tiny *tiny = tiny_make(test_run_);
	struct frame_info info;
	void *blocks[FRAMES];
	uint32_t count = 0;
	REQUIRE(tiny != NULL);
	tiny_get_info(&info);
	CHECK_EQ(info.total, FRAMES - 3);
	CHECK_EQ(info.free, FRAMES - 3);
	CHECK_EQ(info.largest_order, 5);
	for (uint32_t order = 0; order < 5; order++) {
		blocks[order] = tiny_alloc(order, MEM_ZERO, NULL);
		REQUIRE(blocks[order] != NULL);
		CHECK(is_aligned_to(blocks[order], (size_t)FRAME_SIZE << order));
		CHECK(block_is_all(blocks[order], (size_t)FRAME_SIZE << order, 0));
		block_fill(blocks[order], (size_t)FRAME_SIZE << order, order);
	}
	CHECK(tiny_alloc(6, 0, NULL) == NULL);
	for (uint32_t order = 0; order < 5; order++) {
		CHECK(block_is_intact(blocks[order], (size_t)FRAME_SIZE << order, order));
		tiny_free(blocks[order], order);
	}
	CHECK_EQ(tiny_check(), 0);
	while ((blocks[count] = tiny_alloc(0, 0, NULL)) != NULL)
		count++;
	CHECK_EQ(count, FRAMES - 3);
	CHECK_EQ(tiny_check(), 0);
	while (count > 0)
		tiny_free(blocks[--count], 0);
	tiny_get_info(&info);
	CHECK_EQ(info.free, FRAMES - 3);
	CHECK_EQ(info.peak_used, FRAMES - 3);
	CHECK_EQ(info.failures, 2);
	tiny_end(tiny);
}

TEST(frame_bitmap, reservations_are_kept)
{
	struct tiny *tiny = tiny_make(test_run_);
	struct frame_reservation reservation;
	void *frames[FRAMES];
	uint32_t count = 0;
	REQUIRE(tiny != NULL);
	CHECK_EQ(tiny_reserve(&reservation, FRAMES, NULL), -ENOMEM);
	REQUIRE(tiny_reserve(&reservation, 10, NULL) == 0);
	while ((frames[count] = tiny_alloc(0, 0, NULL)) != NULL)
		count++;
	CHECK_EQ(count, FRAMES - 3 - 10);
	for (uint32_t i = 0; i < 9; i++) {
		frames[count] = tiny_alloc_reserved(&reservation, 0);
		REQUIRE(frames[count] != NULL);
		count++;
	}
	CHECK(tiny_alloc(0, 0, NULL) == NULL);
	tiny_unreserve(&reservation);
	frames[count] = tiny_alloc(0, 0, NULL);
	CHECK(frames[count] != NULL);
	CHECK_EQ(tiny_check(), 0);
	tiny_end(tiny);
}

// Against a model that knows each frame's owner.
TEST(frame_bitmap, agrees_with_a_model)
{
	struct tiny *tiny = tiny_make(test_run_);
	uint8_t owner[FRAMES] = {0};
	struct {
		char *block;
		uint32_t order;
	} slots[20] = {0};
	struct rand_stream random;
	REQUIRE(tiny != NULL);
	rand_open(&random, "bitmap", 0);
	for (uint32_t i = 0; i < loops(4000, 400); i++) {
		uint32_t at = rand_below(&random, array_count(slots));
		bool had = slots[at].block != NULL;
		if (!had) {
			slots[at].order = rand_below(&random, 4);
			slots[at].block = tiny_alloc(slots[at].order, 0, NULL);
		}
		uint32_t first = (uint32_t)(slots[at].block - tiny->ram) / FRAME_SIZE;
		for (uint32_t j = 0; slots[at].block != NULL && j < 1u << slots[at].order; j++) {
			CHECK_EQ(owner[first + j], had ? at + 1 : 0);
			owner[first + j] = had ? 0 : (uint8_t)(at + 1);
		}
		if (had) {
			tiny_free(slots[at].block, slots[at].order);
			slots[at].block = NULL;
		}
		CHECK_EQ(tiny_check(), 0);
	}
	tiny_end(tiny);
}

TEST_WITH(frame_bitmap, double_free_is_noticed, 0, TEST_PANICS, "free already")
{
	struct tiny *tiny = tiny_make(test_run_);
	void *block = tiny_alloc(1, 0, NULL);
	REQUIRE(tiny != NULL && block != NULL);
	tiny_free(block, 1);
	tiny_free(block, 1);
}

TEST_WITH(frame_bitmap, another_order_is_noticed, 0, TEST_PANICS, "another order")
{
	struct tiny *tiny = tiny_make(test_run_);
	void *block = tiny_alloc(1, 0, NULL);
	REQUIRE(tiny != NULL && block != NULL);
	tiny_free(block, 2);
}

TEST_WITH(frame_bitmap, half_a_block_is_noticed, 0, TEST_PANICS, "not the start of an allocated block")
{
	struct tiny *tiny = tiny_make(test_run_);
	char *block = tiny_alloc(1, 0, NULL);
	REQUIRE(tiny != NULL && block != NULL);
	tiny_free(block + FRAME_SIZE, 0);
}

TEST_WITH(frame_bitmap, boot_memory_is_not_for_freeing, 0, TEST_PANICS, "boot's own")
{
	struct tiny *tiny = tiny_make(test_run_);
	REQUIRE(tiny != NULL);
	tiny_free(tiny->ram, 0);
}

TEST_WITH(frame_bitmap, a_crooked_address_is_noticed, 0, TEST_PANICS, "not a frame")
{
	struct tiny *tiny = tiny_make(test_run_);
	char *block = tiny_alloc(0, 0, NULL);
	REQUIRE(tiny != NULL && block != NULL);
	tiny_free(block + 4, 0);
}
