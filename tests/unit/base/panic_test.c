// SPDX-License-Identifier: MIT
//
// Assertions: what a failure says, that operands are evaluated once, and that the compiled-out forms do nothing.
#include "kern/assert.h"

#include "kern/err.h"
#include "kern/string.h"
#include "kern/test.h"

static uint32_t next_number(uint32_t *number)
{
	return ++*number;
}

TEST(assert, operands_are_evaluated_once)
{
	uint32_t number = 0;
	size_t size = 3;

	VERIFY3(next_number(&number), ==, 1);
	CHECK_EQ(number, 1);
	VERIFY(next_number(&number) == 2);
	CHECK_EQ(number, 2);
	VERIFY3(size, <, 10);
	VERIFY3(-1, <, 1);
	ASSERT(size == 3);
	ASSERT3(size, <=, next_number(&number));
	CHECK_EQ(number, CONFIG_ASSERTS ? 3 : 2);
}

TEST_WITH(assert, verify_names_place_and_expression, 0, TEST_PANICS, "panic_test.c:")
{
	uint32_t three = 3;

	VERIFY(three == 4);
	CHECK(false);
}

TEST_WITH(assert, verify3_prints_both_values, 0, TEST_PANICS, "not true: three < minus (3, -2)")
{
	int32_t three = 3, minus = -2;

	VERIFY3(three, <, minus);
	CHECK(false);
}

TEST_WITH(assert, verify3_prints_pointers_as_offsets, 0, TEST_PANICS, "(ram+0x")
{
	uint32_t local = 0;
	uint32_t *pointer = &local;

	VERIFY3(pointer, ==, NULL);
	CHECK(false);
}

TEST_WITH(assert, verify3_prints_large_numbers_in_hexadecimal, 0, TEST_PANICS, "(0xfedcba9876543210, 5)")
{
	uint64_t large = 0xfedcba9876543210ull;

	VERIFY3(large, <=, 5);
	CHECK(false);
}

TEST_WITH(assert, panic_formats_its_message, 0, TEST_PANICS, "disk 3 is EIO")
{
	panic("disk %u is %pe", 3u, ERR_PTR(-EIO));
	CHECK(false);
}

#if CONFIG_ASSERTS
TEST_WITH(assert, assert_is_checked_in_debug_builds, 0, TEST_PANICS, "not true: three == 4")
{
	uint32_t three = 3;

	ASSERT(three == 4);
	CHECK(false);
}
#else
TEST(assert, assert_is_not_evaluated_in_release_builds)
{
	uint32_t number = 0;

	ASSERT(next_number(&number) == 99);
	ASSERT3(next_number(&number), ==, 99);
	CHECK_EQ(number, 0);
}
#endif
