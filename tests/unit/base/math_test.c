// SPDX-License-Identifier: MIT
//
// Integer helpers and the macros of kern/compiler.h: single evaluation, borders, constant expressions.
#include "kern/math.h"

#include "kern/test.h"

TEST(math, bit_positions)
{
	for (uint32_t bit = 0; bit < 64; bit++) {
		uint64_t x = 1ull << bit;
		CHECK_EQ(bit_lowest_u64(x | 1ull << 63), bit);
		CHECK_EQ(bit_highest_u64(x | 1), bit);
		CHECK_EQ(log2_floor(x), bit);
		CHECK_EQ(log2_ceil(x), bit);
		CHECK(power_of_2_ceil(x) == x);
		CHECK(power_of_2_floor(x + x / 2) == x);
		if (bit >= 1 && bit < 63)
			CHECK_EQ(log2_ceil(x + 1), bit + 1);
		if (bit < 32) {
			CHECK_EQ(bit_lowest_u32((uint32_t)x | 1u << 31), bit);
			CHECK_EQ(bit_highest_u32((uint32_t)x | 1), bit);
			CHECK_EQ(bit_count_u32((uint32_t)(x - 1)), bit);
		}
	}
	CHECK_EQ(bit_count_u32(UINT32_MAX), 32);
	CHECK_EQ(bit_count_u32(0x80000001u), 2);
	CHECK_EQ(power_of_2_ceil(0), 1);
	CHECK_EQ(power_of_2_ceil(5), 8);
}

TEST(math, overflow_is_seen)
{
	uint32_t sum;
	size_t product;

	CHECK(add_overflows(UINT32_MAX, 1u, &sum));
	CHECK(!add_overflows(UINT32_MAX, 0u, &sum));
	CHECK(mul_overflows(SIZE_MAX / 2, (size_t)3, &product));
	CHECK(sub_overflows(0u, 1u, &sum));
	CHECK(add_saturated_u64(5, UINT64_MAX) == UINT64_MAX);
	CHECK(add_saturated_u64(5, 6) == 11);
	CHECK(mul_div_u64(UINT64_MAX, 3, 3) == UINT64_MAX);
	CHECK(mul_div_u64(10, 3, 4) == 7);
	CHECK(mul_div_u64(1ull << 62, 1000000007, 1000000009) == 4611686009204015950ull);
}

TEST(compiler, minimum_and_maximum_evaluate_once)
{
	uint32_t calls = 0;
	size_t n = 7;

	CHECK_EQ(MIN(++calls, 5u), 1);
	CHECK_EQ(calls, 1);
	CHECK_EQ(MAX(++calls, 1u), 2);
	CHECK_EQ(calls, 2);
	CHECK_EQ(MIN(n, 3), 3);
	CHECK_EQ(MAX(MIN(n, 9), MIN(n, 2)), 7);
	CHECK_EQ(MIN(-3, 2), -3);
	CHECK_EQ(CLAMP(n, 1, 5), 5);
	CHECK_EQ(CLAMP(n, 9, 12), 9);
	static_assert(MIN_CONST(3, 4) == 3 && MAX_CONST(3, 4) == 4, "constant expressions");
}

TEST(compiler, alignment)
{
	uint64_t wide = 0x100000001ull;

	CHECK(ALIGN_UP(wide, 4096) == 0x100001000ull);
	CHECK(ALIGN_DOWN(wide, 4096) == 0x100000000ull);
	CHECK_EQ(ALIGN_UP(4096u, 4096), 4096);
	CHECK_EQ(ALIGN_UP(0u, 8), 0);
	CHECK(IS_ALIGNED(64u, 64));
	CHECK(!IS_ALIGNED(65u, 64));
	CHECK_EQ(DIV_ROUND_UP(9u, 4), 3);
	CHECK_EQ(DIV_ROUND_UP(8u, 4), 2);
	CHECK(IS_POWER_OF_2(1));
	CHECK(!IS_POWER_OF_2(0));
	CHECK(!IS_POWER_OF_2(6));
	uint32_t array[5];
	static_assert(array_count(array) == 5, "array_count is a constant expression");
	CHECK_EQ(sizeof array, 20);
}

struct outer {
	uint32_t before;
	uint32_t member;
};

TEST(compiler, container_is_found_from_a_member)
{
	struct outer outer = {1, 2};
	const uint32_t *constant = &outer.member;

	CHECK(container_of(&outer.member, struct outer, member) == &outer);
	CHECK(container_of(constant, struct outer, member) == &outer);
}
