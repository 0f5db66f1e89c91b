// SPDX-License-Identifier: MIT
//
// Frames given back wrongly: what either frame allocator notices. A small machine cuts its message short.
#include "kern/mem.h"
#include "kern/test.h"

TEST_WITH(frame, double_free_is_noticed, 0, TEST_PANICS, "free already")
{
	void *frame = frame_alloc(0, 0, NULL);
	REQUIRE(frame != NULL);
	frame_free(frame, 0);
	frame_free(frame, 0);
}

TEST_WITH(frame, double_free_of_a_block_is_noticed, 0, TEST_PANICS, "frame_free: frame")
{
	void *block = frame_alloc(4, 0, NULL);
	REQUIRE(block != NULL);
	frame_free(block, 4);
	frame_free(block, 4);
}

TEST_WITH(frame, another_order_is_noticed, 0, TEST_PANICS, "another order")
{
	void *block = frame_alloc(2, 0, NULL);
	REQUIRE(block != NULL);
	frame_free(block, 1);
}

TEST_WITH(frame, the_middle_of_a_block_is_noticed, 0, TEST_PANICS, "not the start of an allocated")
{
	char *block = frame_alloc(2, 0, NULL);
	REQUIRE(block != NULL);
	frame_free(block + FRAME_SIZE, 0);
}

TEST_WITH(frame, a_crooked_address_is_noticed, 0, TEST_PANICS, "not a frame")
{
	char *block = frame_alloc(0, 0, NULL);
	REQUIRE(block != NULL);
	frame_free(block + 16, 0);
}
