// SPDX-License-Identifier: MIT
//
// Bitmaps against an array of bools, at sizes around word borders.
#include "kern/bitmap.h"

#include "kern/rand.h"
#include "kern/string.h"
#include "kern/test.h"

#define BITS_MAX 200u

struct pair {
	uint32_t map[BITMAP_WORDS(BITS_MAX) + 2]; // one guard word on each side
	bool model[BITS_MAX];
	uint32_t size_bits;
};

#define GUARD 0xa5a5a5a5u

static uint32_t *pair_map(struct pair *pair)
{
	return &pair->map[1];
}

static void pair_init(struct pair *pair, uint32_t size_bits)
{
	memset(pair, 0, sizeof *pair);
	pair->size_bits = size_bits;
	pair->map[0] = GUARD;
	pair->map[array_count(pair->map) - 1] = GUARD;
}

static uint32_t model_find(const struct pair *pair, uint32_t from, bool value)
{
	for (uint32_t i = from; i < pair->size_bits; i++)
		if (pair->model[i] == value)
			return i;
	return pair->size_bits;
}

static bool model_range_is(const struct pair *pair, uint32_t first, uint32_t count, bool value)
{
	for (uint32_t i = first; i < first + count; i++)
		if (pair->model[i] != value)
			return false;
	return true;
}

static uint32_t model_find_range(const struct pair *pair, uint32_t from, uint32_t count, uint32_t align)
{
	for (uint32_t i = ALIGN_UP(from, align); i + count <= pair->size_bits; i += align)
		if (model_range_is(pair, i, count, false))
			return i;
	return pair->size_bits;
}

static void pair_compare(TEST_RUN, struct pair *pair)
{
	const uint32_t *map = pair_map(pair);
	uint32_t count = 0;

	for (uint32_t i = 0; i < pair->size_bits; i++) {
		CHECK_EQ(bitmap_test(map, i), pair->model[i]);
		count += pair->model[i];
	}
	CHECK_EQ(bitmap_count(map, pair->size_bits), count);
	CHECK_EQ(pair->map[0], GUARD);
	CHECK_EQ(pair->map[array_count(pair->map) - 1], GUARD);
}

static void pair_change(struct pair *pair, struct rand_stream *chance)
{
	uint32_t first = rand_below(chance, pair->size_bits);
	uint32_t count = rand_below(chance, pair->size_bits - first + 1);
	bool value = rand_chance(chance, 1, 2);

	if (rand_chance(chance, 1, 3)) {
		count = 1;
		if (value)
			bitmap_set(pair_map(pair), first);
		else
			bitmap_clear(pair_map(pair), first);
	} else if (value) {
		bitmap_set_range(pair_map(pair), first, count);
	} else {
		bitmap_clear_range(pair_map(pair), first, count);
	}
	for (uint32_t i = first; i < first + count; i++)
		pair->model[i] = value;
}

static void pair_search(TEST_RUN, struct pair *pair, struct rand_stream *chance)
{
	const uint32_t *map = pair_map(pair);
	uint32_t from = rand_below(chance, pair->size_bits + 2);
	uint32_t first = rand_below(chance, pair->size_bits);
	uint32_t count = rand_below(chance, pair->size_bits - first + 1);
	uint32_t align = 1u << rand_below(chance, 5);
	uint32_t run = 1 + rand_below(chance, 40);

	CHECK_EQ(bitmap_find_set(map, pair->size_bits, from), model_find(pair, from, true));
	CHECK_EQ(bitmap_find_clear(map, pair->size_bits, from), model_find(pair, from, false));
	CHECK_EQ(bitmap_range_is_set(map, first, count), model_range_is(pair, first, count, true));
	CHECK_EQ(bitmap_range_is_clear(map, first, count), model_range_is(pair, first, count, false));
	CHECK_EQ(bitmap_find_clear_range(map, pair->size_bits, from, run, align),
		 model_find_range(pair, from, run, align));
}

TEST(bitmap, matches_a_model)
{
	static const uint32_t sizes[] = {1, 31, 32, 33, 63, 64, 65, 96, 127, 200};
	struct rand_stream chance;
	struct pair pair;

	rand_init(&chance, 3);
	for (uint32_t i = 0; i < array_count(sizes); i++) {
		pair_init(&pair, sizes[i]);
		for (uint32_t step = 0; step < 60; step++) {
			pair_change(&pair, &chance);
			pair_search(test_run_, &pair, &chance);
			pair_search(test_run_, &pair, &chance);
			pair_compare(test_run_, &pair);
		}
	}
}

TEST(bitmap, full_and_empty_maps_have_ends)
{
	uint32_t map[2] = {0};

	CHECK_EQ(bitmap_find_set(map, 64, 0), 64);
	CHECK_EQ(bitmap_find_clear_range(map, 64, 0, 64, 1), 0);
	CHECK_EQ(bitmap_find_clear_range(map, 64, 1, 64, 1), 64);
	CHECK_EQ(bitmap_find_clear_range(map, 64, 1, 32, 32), 32);
	bitmap_set_range(map, 0, 64);
	CHECK_EQ(bitmap_find_clear(map, 64, 0), 64);
	CHECK_EQ(bitmap_find_clear_range(map, 64, 0, 1, 1), 64);
	CHECK_EQ(bitmap_find_set(map, 64, 63), 63);
	CHECK_EQ(bitmap_find_set(map, 64, 64), 64);
}

// Bits behind the size belong to somebody else: neither found nor counted.
TEST(bitmap, bits_behind_the_size_do_not_count)
{
	uint32_t map[1] = {0xffff0000u};

	CHECK_EQ(bitmap_find_set(map, 16, 0), 16);
	CHECK_EQ(bitmap_count(map, 16), 0);
	CHECK_EQ(bitmap_count(map, 20), 4);
	CHECK(bitmap_range_is_clear(map, 0, 16));
}

TEST(bitmap, for_each_visits_set_bits_in_order)
{
	uint32_t map[3] = {0};
	uint32_t bit, sum = 0, visits = 0, last = 0;

	bitmap_set(map, 0);
	bitmap_set(map, 31);
	bitmap_set(map, 32);
	bitmap_set(map, 95);
	bitmap_for_each (bit, map, 96) {
		CHECK(visits == 0 || bit > last);
		last = bit;
		sum += bit;
		visits++;
		bitmap_clear(map, bit);
	}
	CHECK_EQ(visits, 4);
	CHECK_EQ(sum, 158);
	CHECK_EQ(bitmap_count(map, 96), 0);
}
