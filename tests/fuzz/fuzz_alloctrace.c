// SPDX-License-Identifier: MIT
//
// Fuzz target: the TBAT decoder and the replay loop. Whatever the bytes, the decoder ends, names a place inside the file
// and reads nothing beyond it; a file it accepts can be written back from what it decoded and be replayed without a wrong
// block. The mutator makes both checksums right again most of the time, so that the inside of the format is reached.

#include "kern/allocreplay.h"
#include "kern/assert.h"
#include "kern/string.h"

enum {
	RECORDS_MAX = 4096,
	SLOTS_MAX = 4096,
	ARENA_SIZE = 1 << 20,
	BLOCK_MAX = 1 << 14
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t size_max);

static uint32_t slot_sizes[SLOTS_MAX];
static struct replay_slot slots[SLOTS_MAX];
static struct alloctrace_record records[RECORDS_MAX];

static void put_le(uint8_t *bytes, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

// ---- a toy allocator: a bump pointer that starts again whenever nothing is live --------------------------------------------

static struct {
	_Alignas(4096) uint8_t bytes[ARENA_SIZE];
	size_t used;
	size_t live;
	size_t skew; // so that two replays see different addresses
} arena;

static void *arena_take(size_t size_bytes, size_t align)
{
	size_t at = (arena.used + arena.skew + align - 1) & ~(align - 1);

	if (size_bytes > BLOCK_MAX || align > 4096 || at + size_bytes > ARENA_SIZE)
		return NULL;
	arena.used = at + size_bytes;
	arena.live++;
	return arena.bytes + at;
}

static void *arena_alloc(void *context, size_t size_bytes, bool zero)
{
	void *block = arena_take(size_bytes, 16);

	(void)context;
	if (block != NULL)
		memset(block, zero ? 0 : 0xa5, size_bytes);
	return block;
}

static void *arena_alloc_aligned(void *context, size_t size_bytes, size_t align)
{
	(void)context;
	return arena_take(size_bytes, align < 16 ? 16 : align);
}

static void arena_release(void *context, void *block, size_t size_bytes)
{
	(void)context;
	memset(block, 0xfe, size_bytes);
	if (--arena.live == 0)
		arena.used = 0;
}

static void *arena_resize(void *context, void *block, size_t old_size_bytes, size_t size_bytes)
{
	void *moved = arena_alloc(context, size_bytes, false);

	if (moved == NULL)
		return NULL;
	memcpy(moved, block, old_size_bytes < size_bytes ? old_size_bytes : size_bytes);
	arena_release(context, block, old_size_bytes);
	return moved;
}

static const struct replay_ops arena_ops = {
	.alloc = arena_alloc,
	.alloc_aligned = arena_alloc_aligned,
	.resize = arena_resize,
	.release = arena_release,
};

// ---- what must hold --------------------------------------------------------------------------------------------------------

static void record_verify(const uint8_t *bytes, const struct alloctrace_record *record)
{
	uint8_t again[ALLOCTRACE_RECORD_SIZE];

	put_le(again, record->slot, 4);
	put_le(again + 4, record->size_bytes, 4);
	again[8] = record->op;
	again[9] = record->align_log2;
	put_le(again + 10, record->thread, 2);
	VERIFY(memcmp(bytes, again, sizeof again) == 0);
}

static uint64_t replay_verify(const struct alloctrace_header *header, size_t skew)
{
	struct replay_worker worker = {
		.ops = &arena_ops,
		.records = records,
		.record_count = header->record_count,
		.slots = slots,
		.slot_count = header->slot_count,
		.check = true,
	};

	arena.used = 0;
	arena.skew = skew;
	VERIFY(replay_run(&worker));
	VERIFY3(worker.result.wrong, ==, 0);
	VERIFY3(arena.live, ==, 0);
	VERIFY3(worker.result.live_bytes, ==, 0);
	VERIFY3(worker.result.peak_bytes, <=, header->peak_bytes);
	return worker.result.refused == 0 ? worker.result.digest : 0;
}

static void accepted_verify(const struct alloctrace_header *header, const uint8_t *bytes)
{
	const uint8_t *payload = bytes + ALLOCTRACE_HEADER_SIZE;
	struct alloctrace_error error;
	uint64_t digest;
	uint64_t again;

	for (uint64_t i = 0; i < header->record_count; i++) {
		const uint8_t *at = payload + i * ALLOCTRACE_RECORD_SIZE;

		VERIFY(alloctrace_record_decode(&records[i], header, at, i, &error));
		record_verify(at, &records[i]);
	}
	digest = replay_verify(header, 0);
	again = replay_verify(header, 48);
	VERIFY(digest == 0 || again == 0 || digest == again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct alloctrace_error error = {.fault = ALLOCTRACE_OK};
	struct alloctrace_ledger ledger;
	struct alloctrace_header header;

	if (!alloctrace_header_decode(&header, bytes, size, size, &error)) {
		VERIFY(error.fault != ALLOCTRACE_OK && error.fault < ALLOCTRACE_FAULT_COUNT_);
		VERIFY(error.offset <= size);
		return 0;
	}
	if (header.slot_count > SLOTS_MAX || header.record_count > RECORDS_MAX)
		return 0;
	alloctrace_ledger_init(&ledger, &header, slot_sizes);
	if (alloctrace_ledger_feed(&ledger, bytes + ALLOCTRACE_HEADER_SIZE, (size_t)header.record_count, &error) &&
	    alloctrace_ledger_finish(&ledger, &error)) {
		accepted_verify(&header, bytes);
		return 0;
	}
	VERIFY(error.fault != ALLOCTRACE_OK && error.fault < ALLOCTRACE_FAULT_COUNT_);
	VERIFY(error.offset < size);
	return 0;
}

// ---- the mutator -----------------------------------------------------------------------------------------------------------

// Makes the sums of the header what the records give, as far as the records are legal.
static void totals_repair(uint8_t *bytes, size_t size)
{
	struct alloctrace_error error;
	struct alloctrace_header header;
	struct alloctrace_ledger ledger;

	if (!alloctrace_header_decode(&header, bytes, size, size, &error) || header.slot_count > SLOTS_MAX)
		return;
	alloctrace_ledger_init(&ledger, &header, slot_sizes);
	if (!alloctrace_ledger_feed(&ledger, bytes + ALLOCTRACE_HEADER_SIZE, (size_t)header.record_count, &error))
		return;
	put_le(bytes + 24, ledger.peak_bytes, 8);
	put_le(bytes + 32, ledger.peak_blocks, 4);
	put_le(bytes + 36, ledger.live_blocks, 4);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed)
{
	size = LLVMFuzzerMutate(bytes, size, size_max);
	if (size < ALLOCTRACE_HEADER_SIZE || seed % 8 == 0)
		return size;
	if (seed % 8 != 1) {
		size -= (size - ALLOCTRACE_HEADER_SIZE) % ALLOCTRACE_RECORD_SIZE;
		put_le(bytes + 16, (size - ALLOCTRACE_HEADER_SIZE) / ALLOCTRACE_RECORD_SIZE, 8);
	}
	put_le(bytes + 40, alloctrace_crc(0, bytes + ALLOCTRACE_HEADER_SIZE, size - ALLOCTRACE_HEADER_SIZE), 4);
	for (int i = 0; i < 2; i++) {
		put_le(bytes + 60, alloctrace_crc(0, bytes, 60), 4);
		if (i == 0 && seed % 8 != 2)
			totals_repair(bytes, size);
	}
	return size;
}
