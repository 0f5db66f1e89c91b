// SPDX-License-Identifier: MIT
//
// The memory map: against a model of one byte per page, and at the edges: wraps, full storage, more ranges than fit.
#include "pure_test.h"

#include "../../src/hal_bare/common/memmap.h"
#include "../../src/hal_bare/common/pure.h"

#define PAGES 512u
#define PAGE 4096ull

static struct memmap map;

static void entry_is(uint32_t index, uint64_t start, uint64_t end, enum memmap_kind kind, uint32_t node)
{
	assert_in_range(index, 0, map.count - 1);
	assert_int_equal(map.entries[index].start, start);
	assert_int_equal(map.entries[index].end, end);
	assert_int_equal(map.entries[index].kind, kind);
	if (kind == MEMMAP_USABLE)
		assert_int_equal(map.entries[index].node, node);
}

static void reserved_wins_in_either_order(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		memmap_init(&map);
		if (order == 0)
			memmap_reserve(&map, 0x3000, 0x1000);
		memmap_add(&map, 0x1000, 0x4000, 0);
		if (order == 1)
			memmap_reserve(&map, 0x3000, 0x1000);
		memmap_add(&map, 0x2000, 0x4000, 1); // the first claim keeps its node
		assert_int_equal(map.count, 4);
		entry_is(0, 0x1000, 0x3000, MEMMAP_USABLE, 0);
		entry_is(1, 0x3000, 0x4000, MEMMAP_RESERVED, 0);
		entry_is(2, 0x4000, 0x5000, MEMMAP_USABLE, 0);
		entry_is(3, 0x5000, 0x6000, MEMMAP_USABLE, 1);
		assert_int_equal(memmap_usable_bytes(&map), 0x4000);
		assert_true(memmap_is_usable(&map, 0x4000, 0x2000) && memmap_is_usable(&map, 0x1fff, 1));
		assert_false(memmap_is_usable(&map, 0x2fff, 2) || memmap_is_usable(&map, 0x5000, 0x1001));
		assert_true(memmap_check(&map) && map.truncated == 0);
	}
}

static void ranges_that_wrap_are_cut(void **state)
{
	(void)state;
	memmap_init(&map);
	memmap_add(&map, 0x1000, 0, 0);
	assert_int_equal(map.count, 0);
	memmap_add(&map, UINT64_MAX - 0x1fff, 0x10000, 0);
	assert_int_equal(map.truncated, 1);
	entry_is(0, 0xffffffffffffe000, MEMMAP_END_MAX, MEMMAP_USABLE, 0);
	memmap_reserve(&map, 0xfffffffffffff000, 0x1000);
	memmap_add(&map, UINT64_MAX, UINT64_MAX, 0);
	assert_int_equal(map.count, 1);
	memmap_reserve(&map, 0, UINT64_MAX);
	entry_is(0, 0, MEMMAP_END_MAX, MEMMAP_RESERVED, 0);
	assert_true(memmap_check(&map));
}

static bool is_reserved(uint64_t address)
{
	for (uint32_t i = 0; i < map.count; i++)
		if (map.entries[i].start <= address && address < map.entries[i].end)
			return map.entries[i].kind == MEMMAP_RESERVED;
	return false;
}

static void full_storage_gives_up_the_smallest(void **state)
{
	(void)state;
	memmap_init(&map);
	for (uint32_t i = 0; i < 1000; i++) // larger and larger
		memmap_add(&map, (uint64_t)i << 20, (i + 1) * PAGE / 4, 0);
	assert_int_equal(map.count, MEMMAP_ENTRIES_MAX);
	assert_int_equal(map.truncated, 1000 - MEMMAP_ENTRIES_MAX);
	entry_is(0, (uint64_t)(1000 - MEMMAP_ENTRIES_MAX) << 20,
		 ((uint64_t)(1000 - MEMMAP_ENTRIES_MAX) << 20) + (1001 - MEMMAP_ENTRIES_MAX) * PAGE / 4, MEMMAP_USABLE,
		 0);
	uint64_t dropped = 0;
	for (uint32_t i = 0; i < 1000 - MEMMAP_ENTRIES_MAX; i++)
		dropped += (i + 1) * PAGE / 4;
	assert_int_equal(map.dropped_bytes, dropped);
	for (uint32_t i = 0; i < 1000;
	     i++) // reservations in the gaps take the place of usable memory, all of it in the end
		memmap_reserve(&map, ((uint64_t)i << 20) + (1u << 19), PAGE);
	assert_true(memmap_check(&map));
	assert_int_equal(memmap_usable_bytes(&map), 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(is_reserved(((uint64_t)i << 20) + (1u << 19)));
}

static void nodes_come_later(void **state)
{
	(void)state;
	memmap_init(&map);
	memmap_add(&map, 0, 10 * PAGE, 0);
	memmap_reserve(&map, 4 * PAGE, PAGE);
	memmap_set_node(&map, 3 * PAGE, 4 * PAGE, 5);
	assert_int_equal(map.count, 5);
	entry_is(1, 3 * PAGE, 4 * PAGE, MEMMAP_USABLE, 5);
	entry_is(2, 4 * PAGE, 5 * PAGE, MEMMAP_RESERVED, 0);
	entry_is(3, 5 * PAGE, 7 * PAGE, MEMMAP_USABLE, 5);
	memmap_set_node(&map, 0, 10 * PAGE, 5);
	assert_int_equal(map.count, 3);
}

static void runs_are_the_largest_in_order(void **state)
{
	struct memmap_run runs[2];
	uint64_t left_out;

	(void)state;
	memmap_init(&map);
	memmap_add(&map, 0x100, 3 * PAGE, 0); // two whole pages within
	memmap_add(&map, 0x10000, 5 * PAGE, 1);
	memmap_add(&map, 0x20000, PAGE / 2, 1);
	memmap_add(&map, 0x30000, 4 * PAGE, 2);
	assert_int_equal(memmap_runs(&map, 0, UINT64_MAX, PAGE, runs, 2, &left_out), 2);
	assert_true(runs[0].start == 0x10000 && runs[0].size_bytes == 5 * PAGE && runs[0].node == 1);
	assert_true(runs[1].start == 0x30000 && runs[1].size_bytes == 4 * PAGE && runs[1].node == 2);
	assert_int_equal(left_out, 3 * PAGE + PAGE / 2);
	assert_int_equal(memmap_runs(&map, 0x2000, 0x11000, PAGE, runs, 2, &left_out), 2);
	assert_true(runs[0].start == 0x2000 && runs[0].size_bytes == PAGE);
	assert_true(runs[1].start == 0x10000 && runs[1].size_bytes == PAGE);
	assert_int_equal(left_out, 0x100);
	assert_int_equal(memmap_runs(&map, 0, UINT64_MAX, PAGE, runs, 0, &left_out), 0);
	assert_int_equal(left_out, memmap_usable_bytes(&map));
	assert_int_equal(memmap_runs(&map, 0, UINT64_MAX, 1ull << 63, runs, 2, &left_out), 0);
}

static void pieces_are_taken_where_asked(void **state)
{
	struct memmap_request request = {.size_bytes = 0x1800, .align = 0x1000, .node = MEMMAP_NODE_ANY};
	uint64_t start;

	(void)state;
	memmap_init(&map);
	memmap_add(&map, 0x800, 0x8000, 0);
	memmap_add(&map, 0x100000, 0x10000, 1);
	assert_int_equal(memmap_take(&map, &request, &start), 0);
	assert_int_equal(start, 0x1000);
	assert_int_equal(memmap_take(&map, &request, &start), 0);
	assert_int_equal(start, 0x3000);
	request.from = MEMMAP_HIGHEST;
	assert_int_equal(memmap_take(&map, &request, &start), 0);
	assert_int_equal(start, 0x10e000);
	request.max = 0x100000;
	assert_int_equal(memmap_take(&map, &request, &start), 0);
	assert_int_equal(start, 0x7000);
	request.node = 1;
	assert_int_equal(memmap_take(&map, &request, &start), -PURE_ENOMEM);
	request.max = 0;
	request.min = 0x104001;
	request.from = MEMMAP_LOWEST;
	assert_int_equal(memmap_take(&map, &request, &start), 0);
	assert_int_equal(start, 0x105000);
	request.align = 3;
	assert_int_equal(memmap_take(&map, &request, &start), -PURE_EINVAL);
	request.align = 0;
	assert_int_equal(memmap_take(&map, &request, &start), -PURE_EINVAL);
	request.align = 1ull << 63;
	assert_int_equal(memmap_take(&map, &request, &start), -PURE_ENOMEM);
	request.align = 1;
	request.size_bytes = 0;
	assert_int_equal(memmap_take(&map, &request, &start), -PURE_EINVAL);
}

// ---- the model ------------------------------------------------------------------------------------------------------

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % bound;
}

// model[page]: −1 nobody's, −2 reserved, else the node.
static void model_compare(const int8_t model[PAGES])
{
	for (uint32_t page = 0; page < PAGES; page++) {
		int8_t found = -1;
		for (uint32_t i = 0; i < map.count; i++)
			if (map.entries[i].start <= page * PAGE && page * PAGE < map.entries[i].end)
				found = map.entries[i].kind == MEMMAP_RESERVED ? -2 : (int8_t)map.entries[i].node;
		assert_int_equal(found, model[page]);
	}
}

static void random_claims_agree_with_the_model(void **state)
{
	int8_t model[PAGES];

	(void)state;
	for (uint64_t round = 0; round < 200; round++) {
		random_state = round;
		memset(model, -1, sizeof model);
		memmap_init(&map);
		for (uint32_t step = 0; step < 60; step++) {
			uint32_t page = random_below(PAGES), count = random_below(40), op = random_below(5);
			int8_t node = (int8_t)random_below(3);
			count = count > PAGES - page ? PAGES - page : count;
			if (op < 3)
				memmap_add(&map, page * PAGE, count * PAGE, (uint32_t)node);
			else if (op == 3)
				memmap_reserve(&map, page * PAGE, count * PAGE);
			else
				memmap_set_node(&map, page * PAGE, count * PAGE, (uint32_t)node);
			for (uint32_t i = page; i < page + count; i++) {
				if (op == 3)
					model[i] = -2;
				else if (op < 3 ? model[i] == -1 : model[i] >= 0)
					model[i] = node;
			}
			assert_true(memmap_check(&map));
		}
		assert_int_equal(map.truncated, 0);
		model_compare(model);
	}
}

const struct CMUnitTest memmap_tests[] = {
	cmocka_unit_test(reserved_wins_in_either_order),      cmocka_unit_test(ranges_that_wrap_are_cut),
	cmocka_unit_test(full_storage_gives_up_the_smallest), cmocka_unit_test(nodes_come_later),
	cmocka_unit_test(runs_are_the_largest_in_order),      cmocka_unit_test(pieces_are_taken_where_asked),
	cmocka_unit_test(random_claims_agree_with_the_model),
};
TESTS_OF(memmap);
