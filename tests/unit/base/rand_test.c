// SPDX-License-Identifier: MIT
//
// Streams of chance: the generator's reference values, independence of named streams, and the shape of what is drawn.
#include "kern/rand.h"

#include "kern/kernel.h"
#include "kern/string.h"
#include "kern/test.h"

// SplitMix64 from seed 0 gives these four words (Vigna's splitmix64.c); xoshiro256** goes on from there.
TEST(rand, reference_values)
{
	struct rand_stream stream;

	rand_init(&stream, 0);
	CHECK(stream.state[0] == 0xe220a8397b1dcdafull);
	CHECK(stream.state[1] == 0x6e789e6aa1b965f4ull);
	CHECK(stream.state[2] == 0x06c45d188009454full);
	CHECK(stream.state[3] == 0xf88bb8a8724c81ecull);
	CHECK(rand_u64(&stream) == 0x99ec5f36cb75f2b4ull);
	CHECK(rand_u64(&stream) == 0xbf6e1f784956452aull);
	CHECK(rand_u64(&stream) == 0x1a5f849d4933e6e0ull);
}

TEST(rand, streams_repeat_and_differ)
{
	struct rand_stream a, b, c, d;

	rand_open(&a, "test.a", 0);
	rand_open(&b, "test.a", 0);
	rand_open(&c, "test.b", 0);
	rand_open(&d, "test.a", 1);
	uint64_t first = rand_u64(&a);
	CHECK(first == rand_u64(&b));
	CHECK(first != rand_u64(&c));
	CHECK(first != rand_u64(&d));
}

TEST(rand, below_is_in_range_and_even)
{
	uint32_t seen[7] = {0};
	struct rand_stream stream;

	rand_init(&stream, 5);
	for (uint32_t i = 0; i < 7000; i++) {
		uint32_t drawn = rand_below(&stream, 7);
		REQUIRE(drawn < 7);
		seen[drawn]++;
	}
	for (uint32_t i = 0; i < 7; i++) {
		CHECK(seen[i] > 850);
		CHECK(seen[i] < 1150);
	}
	CHECK_EQ(rand_below(&stream, 1), 0);
}

// Just above half of the range, a plain multiplication would favour every other number two to one.
TEST(rand, below_has_no_bias_with_large_bounds)
{
	struct rand_stream stream;
	uint32_t even = 0;

	rand_init(&stream, 9);
	for (uint32_t i = 0; i < 4000; i++)
		even += rand_below(&stream, 0xc0000000u) % 3 == 0;
	CHECK(even > 1200);
	CHECK(even < 1467);
}

TEST(rand, between_includes_both_ends)
{
	struct rand_stream stream;
	bool low = false, high = false;

	rand_init(&stream, 6);
	for (uint32_t i = 0; i < 500; i++) {
		uint64_t drawn = rand_between(&stream, 10, 14);
		REQUIRE(drawn >= 10);
		REQUIRE(drawn <= 14);
		low |= drawn == 10;
		high |= drawn == 14;
	}
	CHECK(low);
	CHECK(high);
	CHECK(rand_between(&stream, 3, 3) == 3);
	uint64_t top = 0;
	for (uint32_t i = 0; i < 64; i++)
		top |= rand_between(&stream, 0, UINT64_MAX);
	CHECK(top == UINT64_MAX);
}

TEST(rand, chance_and_fill)
{
	struct rand_stream stream, again;
	uint8_t a[13], b[13];
	uint32_t hits = 0;

	rand_init(&stream, 8);
	for (uint32_t i = 0; i < 3000; i++)
		hits += rand_chance(&stream, 1, 3);
	CHECK(hits > 900);
	CHECK(hits < 1100);
	CHECK(rand_chance(&stream, 1, 1));
	CHECK(!rand_chance(&stream, 0, 5));
	again = stream;
	rand_fill(&stream, a, sizeof a);
	rand_fill(&again, b, sizeof b);
	CHECK_EQ(memcmp(a, b, sizeof a), 0);
	uint64_t word = 0;
	rand_init(&again, 1);
	rand_fill(&again, a, 8);
	rand_init(&again, 1);
	for (uint32_t i = 0; i < 8; i++)
		word |= (uint64_t)a[i] << (8 * i);
	CHECK(word == rand_u64(&again));
}
