// SPDX-License-Identifier: MIT
//
// The replay loop over a toy allocator that can be told to misbehave: what is right passes with a digest that no address
// enters; each kind of wrong is found.

#include "kern/allocreplay.h"
#include "kern/blockpattern.h"
#include "kern/mem.h"
#include "kern/test.h"

enum {
	CELLS = 640, // more than a ring holds
	CELL_SIZE = 512,
	SLOTS = 8,
	EVENTS = 2000
};

// Cells handed out round and round from `first`.
struct toy {
	bool taken[CELLS];
	uint32_t next;
	uint32_t takes;
	uint32_t live;
	uint32_t refuse_at; // the n-th take finds no memory
	uint32_t shared_at; // the n-th take or the next returns a cell that is in use
	uint32_t skew_at;   // the n-th take returns an address that is off by one
	bool dirty;         // zeroing is forgotten
	bool lossy;         // a resize forgets the contents
	_Alignas(64) uint8_t cells[CELLS][CELL_SIZE];
};

static void *toy_take(struct toy *toy)
{
	toy->takes++;
	if (toy->takes == toy->refuse_at)
		return NULL;
	if (toy->shared_at != 0 && toy->takes >= toy->shared_at)
		for (unsigned i = 0; i < CELLS; i++)
			if (toy->taken[i]) {
				toy->shared_at = 0;
				toy->live++;
				return toy->cells[i];
			}
	while (toy->taken[toy->next % CELLS])
		toy->next++;
	toy->taken[toy->next % CELLS] = true;
	toy->live++;
	return toy->cells[toy->next++ % CELLS] + (toy->takes == toy->skew_at ? 1 : 0);
}

static void *toy_alloc(void *context, size_t size_bytes, bool zero)
{
	struct toy *toy = context;
	uint8_t *block = toy_take(toy);

	for (size_t i = 0; block != NULL && i < size_bytes; i++)
		block[i] = zero && !toy->dirty ? 0 : 0x5a;
	return block;
}

static void *toy_alloc_aligned(void *context, size_t size_bytes, size_t align)
{
	(void)align; // cells are aligned to 64
	return toy_alloc(context, size_bytes, false);
}

static void toy_release(void *context, void *block, size_t size_bytes)
{
	struct toy *toy = context;

	(void)size_bytes;
	toy->taken[((uint8_t *)block - toy->cells[0]) / CELL_SIZE] = false;
	toy->live--;
}

static void *toy_resize(void *context, void *block, size_t old_size_bytes, size_t size_bytes)
{
	struct toy *toy = context;
	uint8_t *moved = toy_take(toy);

	if (moved == NULL)
		return NULL;
	for (size_t i = 0; i < size_bytes && i < old_size_bytes; i++)
		moved[i] = toy->lossy ? 0 : ((uint8_t *)block)[i];
	toy_release(toy, block, old_size_bytes);
	return moved;
}

static const struct replay_ops toy_ops = {
	.alloc = toy_alloc,
	.alloc_aligned = toy_alloc_aligned,
	.resize = toy_resize,
	.release = toy_release,
};

struct bench {
	struct toy toy;
	struct replay_slot slots[2][SLOTS];
	struct replay_ring rings[2];
	struct replay_worker workers[2];
	struct alloctrace_record records[EVENTS];
};

// A made-up program over SLOTS slots that uses every operation.
static void records_make(struct alloctrace_record *records)
{
	bool full[SLOTS] = {false};

	for (unsigned i = 0; i < EVENTS; i++) {
		uint64_t random = pattern_mix(i + 1);
		unsigned slot = (unsigned)(random % SLOTS);
		uint8_t op = (uint8_t)(ALLOCTRACE_ALLOC + (random >> 8) % 3);

		if (full[slot])
			op = (random >> 16) % 3 == 0 ? ALLOCTRACE_REALLOC : ALLOCTRACE_FREE;
		full[slot] = op != ALLOCTRACE_FREE;
		records[i] = (struct alloctrace_record){.slot = slot, .op = op};
		records[i].size_bytes = op == ALLOCTRACE_FREE ? 0 : 1 + (uint32_t)(random >> 32) % CELL_SIZE / 2;
		records[i].align_log2 = op == ALLOCTRACE_ALIGNED ? 6 : 0;
	}
}

static struct bench *bench_make(unsigned workers)
{
	struct bench *bench = range_alloc(sizeof(*bench), MEM_ZERO, NULL);

	if (bench == NULL)
		return NULL;
	records_make(bench->records);
	for (unsigned i = 0; i < workers; i++)
		bench->workers[i] = (struct replay_worker){
			.ops = &toy_ops,
			.context = &bench->toy,
			.records = bench->records,
			.record_count = EVENTS,
			.slots = bench->slots[i],
			.slot_count = SLOTS,
			.index = i,
			.check = true,
			.in = workers > 1 ? &bench->rings[i] : NULL,
			.out = workers > 1 ? &bench->rings[(i + 1) % workers] : NULL,
		};
	return bench;
}

TEST(allocreplay, digest_does_not_depend_on_addresses)
{
	struct bench *bench = bench_make(1);
	uint64_t digest;

	REQUIRE(bench != NULL);
	CHECK(replay_run(&bench->workers[0]));
	digest = bench->workers[0].result.digest;
	CHECK(digest != 0);
	CHECK_EQ(bench->toy.live, 0);
	CHECK_EQ(bench->workers[0].result.live_bytes, 0);
	CHECK(bench->workers[0].result.events >= EVENTS);

	bench->workers[0].result = (struct replay_result){.events = 0};
	bench->toy.next += 17;
	CHECK(replay_run(&bench->workers[0]));
	CHECK(bench->workers[0].result.digest == digest);

	// One operand more or less changes it.
	bench->workers[0].result = (struct replay_result){.events = 0};
	bench->records[0].size_bytes++;
	CHECK(replay_run(&bench->workers[0]));
	CHECK(bench->workers[0].result.digest != digest);
	range_free(bench);
}

TEST(allocreplay, refused_memory_is_counted_and_survived)
{
	struct bench *bench = bench_make(1);

	REQUIRE(bench != NULL);
	bench->toy.refuse_at = 20;
	CHECK(replay_run(&bench->workers[0]));
	CHECK_EQ(bench->workers[0].result.refused, 1);
	CHECK_EQ(bench->workers[0].result.wrong, 0);
	CHECK_EQ(bench->toy.live, 0);
	range_free(bench);
}

TEST(allocreplay, block_with_two_owners_is_found)
{
	struct bench *bench = bench_make(1);

	REQUIRE(bench != NULL);
	bench->toy.shared_at = 20;
	CHECK(!replay_run(&bench->workers[0]));
	CHECK(bench->workers[0].result.wrong != 0);
	CHECK(bench->workers[0].result.first_wrong > 0);
	range_free(bench);
}

TEST(allocreplay, forgotten_zeroing_is_found)
{
	struct bench *bench = bench_make(1);

	REQUIRE(bench != NULL);
	bench->toy.dirty = true;
	CHECK(!replay_run(&bench->workers[0]));
	range_free(bench);
}

TEST(allocreplay, crooked_address_is_found)
{
	struct bench *bench = bench_make(1);

	REQUIRE(bench != NULL);
	// Every block is large enough for its address to be judged.
	for (unsigned i = 0; i < EVENTS; i++)
		if (bench->records[i].size_bytes != 0)
			bench->records[i].size_bytes |= 16;
	bench->toy.skew_at = 20;
	CHECK(!replay_run(&bench->workers[0]));
	CHECK(bench->workers[0].result.wrong != 0);
	range_free(bench);
}

TEST(allocreplay, lost_contents_of_a_resize_are_found)
{
	struct bench *bench = bench_make(1);

	REQUIRE(bench != NULL);
	bench->toy.lossy = true;
	CHECK(!replay_run(&bench->workers[0]));
	range_free(bench);
}

TEST(allocreplay, handed_over_blocks_are_freed_and_judged)
{
	struct bench *bench = bench_make(2);
	uint64_t handed;

	REQUIRE(bench != NULL);
	CHECK(replay_run(&bench->workers[0]));
	CHECK(replay_run(&bench->workers[1]));
	replay_drain(&bench->workers[0]);
	replay_drain(&bench->workers[1]);
	handed = bench->workers[0].result.handed + bench->workers[1].result.handed;
	CHECK(handed > 0);
	CHECK_EQ(bench->toy.live, 0);
	CHECK(bench->workers[0].result.digest != bench->workers[1].result.digest);

	// A block that is changed on its way is found by the receiver.
	CHECK(replay_run(&bench->workers[0]));
	REQUIRE(bench->rings[1].head != bench->rings[1].tail);
	*(uint8_t *)bench->rings[1].entries[bench->rings[1].head % REPLAY_RING_SIZE].block ^= 1;
	replay_drain(&bench->workers[1]);
	CHECK_EQ(bench->workers[1].result.wrong, 1);
	range_free(bench);
}

TEST(allocreplay, pattern_notices_any_byte)
{
	_Alignas(8) uint8_t block[80];

	for (size_t size = 1; size <= 72; size++) {
		uint64_t key = pattern_key(1, (uint32_t)size, 2);

		block[size] = 0xee;
		pattern_fill(block, 0, size / 2, key);
		pattern_fill(block, size / 2, size, key);
		CHECK(pattern_check(block, size, key));
		CHECK_EQ(block[size], 0xee);
		for (size_t at = 0; at < size; at++) {
			block[at] ^= 0x10;
			CHECK(!pattern_check(block, size, key));
			block[at] ^= 0x10;
		}
	}
}

TEST(allocreplay, synthetic_program_is_legal_and_repeats)
{
	enum {
		COUNT = 20000
	};
	struct alloctrace_record *records = range_alloc(COUNT * 2 * sizeof(*records), MEM_ZERO, NULL);
	uint32_t *sizes = range_alloc(REPLAY_SYNTHETIC_SLOTS * sizeof(*sizes), MEM_ZERO, NULL);
	struct alloctrace_header header = {
		.record_count = COUNT, .slot_count = REPLAY_SYNTHETIC_SLOTS, .thread_count = 1};
	struct alloctrace_ledger ledger;
	struct alloctrace_error error;
	bool same = true;

	REQUIRE(records != NULL && sizes != NULL);
	replay_synthesise(records, COUNT, 7);
	replay_synthesise(records + COUNT, COUNT, 7);
	for (unsigned i = 0; i < COUNT; i++)
		same = same && records[i].slot == records[COUNT + i].slot && records[i].op == records[COUNT + i].op &&
		       records[i].size_bytes == records[COUNT + i].size_bytes;
	CHECK(same);
	alloctrace_ledger_init(&ledger, &header, sizes);
	CHECK(alloctrace_ledger_feed(&ledger, (const uint8_t *)records, COUNT, &error));
	replay_synthesise(records + COUNT, COUNT, 8);
	CHECK(records[0].slot != records[COUNT].slot || records[1].slot != records[COUNT + 1].slot);
	range_free(sizes);
	range_free(records);
}
