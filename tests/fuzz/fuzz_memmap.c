// SPDX-License-Identifier: MIT
//
// Fuzz target: the map of memory while booting. The input is a list of claims of 8 bytes. Beside the map goes a model of one
// byte per page. What the map says is usable is usable in the model, with the same node; what the model has reserved is never
// usable; where nothing was cut or given up, both are equal. Runs and pieces lie inside, do not overlap, and are aligned.
#include "kern/assert.h"
#include "kern/string.h"

#include "../../src/hal_bare/common/memmap.h"
#include "../../src/hal_bare/common/pure.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum {
	PAGES = 4096,
	CLAIM_SIZE = 8,
	CLAIMS_MAX = 768, // three times what the map has room for
	NOBODYS = 0xff,
	RESERVED = 0xfe,
	RUNS_MAX = 8
};

#define PAGE 4096ull

enum claim_op {
	CLAIM_ADD,
	CLAIM_ADD_SMALL,
	CLAIM_RESERVE,
	CLAIM_RESERVE_SMALL,
	CLAIM_SET_NODE,
	CLAIM_TAKE,
	CLAIM_WILD,
	CLAIM_RUNS,
	CLAIM_COUNT
};

struct state {
	struct memmap map;
	uint8_t model[PAGES]; // node, NOBODYS, RESERVED
};

static struct state state;

static void model_paint(uint32_t page, uint32_t count, enum claim_op op, uint8_t node)
{
	for (uint32_t i = page; i < page + count; i++) {
		uint8_t *at = &state.model[i];
		if (op == CLAIM_RESERVE)
			*at = RESERVED;
		else if (op == CLAIM_ADD && *at == NOBODYS)
			*at = node;
		else if (op == CLAIM_SET_NODE && *at < RESERVED)
			*at = node;
	}
}

// Given up memory that is claimed again has the later claim's node: with truncation only what is usable is compared.
static void model_verify(void)
{
	const struct memmap *map = &state.map;
	uint32_t page = 0;

	VERIFY(memmap_check(map));
	for (uint32_t i = 0; i < map->count; i++) {
		const struct memmap_entry *entry = &map->entries[i];
		if (entry->start >= PAGES * PAGE)
			break;
		for (; page < entry->start / PAGE; page++)
			VERIFY(state.model[page] == NOBODYS || map->truncated > 0);
		for (; page < PAGES && page * PAGE < entry->end; page++) {
			uint8_t model = state.model[page];
			if (entry->kind == MEMMAP_USABLE)
				VERIFY(model < RESERVED && (model == entry->node || map->truncated > 0));
			else
				VERIFY(model == RESERVED || map->truncated > 0);
		}
	}
	for (; page < PAGES; page++)
		VERIFY(state.model[page] == NOBODYS || map->truncated > 0);
}

static void runs_verify(uint64_t min, uint64_t max, uint64_t align)
{
	struct memmap_run runs[RUNS_MAX];
	uint64_t left_out, end = 0, sum = 0;
	uint32_t count = memmap_runs(&state.map, min, max, align, runs, RUNS_MAX, &left_out);

	VERIFY3(count, <=, RUNS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		VERIFY(runs[i].size_bytes > 0 && runs[i].start >= min && runs[i].start >= end);
		end = runs[i].start + runs[i].size_bytes;
		VERIFY(end <= max && runs[i].start % align == 0 && runs[i].size_bytes % align == 0);
		VERIFY(memmap_is_usable(&state.map, runs[i].start, runs[i].size_bytes));
		sum += runs[i].size_bytes;
	}
	VERIFY(sum + left_out <= memmap_usable_bytes(&state.map));
	if (min == 0 && max >= MEMMAP_END_MAX)
		VERIFY3(sum + left_out, ==, memmap_usable_bytes(&state.map));
}

static void piece_take(uint32_t page, uint32_t count, const uint8_t *bytes)
{
	struct memmap_request request = {.size_bytes = count * PAGE,
					 .align = 1ull << (12 + bytes[5] % 8),
					 .min = page * PAGE,
					 .max = bytes[6] % 2 ? PAGES * PAGE : 0,
					 .node = bytes[5] & 128 ? bytes[6] >> 4 : MEMMAP_NODE_ANY,
					 .from = bytes[6] & 2 ? MEMMAP_HIGHEST : MEMMAP_LOWEST};
	uint64_t usable = memmap_usable_bytes(&state.map), start;

	tb_err err = memmap_take(&state.map, &request, &start);
	if (err != 0) {
		VERIFY3(err, ==, (count == 0 ? -PURE_EINVAL : -PURE_ENOMEM));
		return;
	}
	VERIFY(start % request.align == 0 && start >= request.min);
	VERIFY(request.max == 0 || start + request.size_bytes <= request.max);
	VERIFY(usable - memmap_usable_bytes(&state.map) >= request.size_bytes);
	for (uint64_t at = start / PAGE; at < PAGES && at < start / PAGE + count; at++) {
		VERIFY(state.model[at] < RESERVED);
		VERIFY(request.node == MEMMAP_NODE_ANY || state.model[at] == request.node || state.map.truncated > 0);
		state.model[at] = RESERVED;
	}
}

static void claim(const uint8_t *bytes)
{
	enum claim_op op = (enum claim_op)(bytes[0] % CLAIM_COUNT);
	uint32_t page = le16(bytes + 1) % PAGES, count = le16(bytes + 3) % PAGES;
	uint32_t node = bytes[7] % 16;

	if (op == CLAIM_ADD_SMALL || op == CLAIM_RESERVE_SMALL) {
		count %= 4;
		op = op == CLAIM_ADD_SMALL ? CLAIM_ADD : CLAIM_RESERVE;
	}
	if (count > PAGES - page)
		count = PAGES - page;
	if (op == CLAIM_ADD)
		memmap_add(&state.map, page * PAGE, count * PAGE, node);
	else if (op == CLAIM_RESERVE)
		memmap_reserve(&state.map, page * PAGE, count * PAGE);
	else if (op == CLAIM_SET_NODE)
		memmap_set_node(&state.map, page * PAGE, count * PAGE, node);
	else if (op == CLAIM_TAKE)
		piece_take(page, count, bytes);
	else if (op == CLAIM_RUNS)
		runs_verify(page * PAGE, (page + count) * PAGE, 1ull << bytes[5] % 32);
	else if (bytes[7] & 128) // above the model, up to the end of everything
		memmap_reserve(&state.map, le64(bytes) | 1ull << 40, le64(bytes) >> bytes[3] % 64);
	else
		memmap_add(&state.map, le64(bytes) | 1ull << 40, le64(bytes) >> bytes[3] % 64, node);
	model_paint(page, count, op, (uint8_t)node);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	memmap_init(&state.map);
	memset(state.model, NOBODYS, sizeof state.model);
	if (size > CLAIMS_MAX * CLAIM_SIZE)
		size = CLAIMS_MAX * CLAIM_SIZE;
	for (size_t at = 0; at + CLAIM_SIZE <= size; at += CLAIM_SIZE) {
		claim(bytes + at);
		VERIFY(memmap_check(&state.map));
		if (at / CLAIM_SIZE % 256 == 255)
			model_verify();
	}
	model_verify();
	runs_verify(0, UINT64_MAX, 1);
	runs_verify(0, UINT64_MAX, PAGE << 9);
	return 0;
}
