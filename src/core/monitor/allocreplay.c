// SPDX-License-Identifier: MIT
//
// The replay loop; include/kern/allocreplay.h is the contract. One function per operation of the trace, each leaving its
// slot either empty or holding a block whose contents are the pattern of (worker, slot, birth).

#include "kern/allocreplay.h"
#include "kern/blockpattern.h"

enum outcome {
	OUTCOME_OK = 1,
	OUTCOME_REFUSED = 2,
	OUTCOME_WRONG = 3
};

// The event under way.
struct event {
	const struct alloctrace_record *record;
	uint64_t number;
	enum outcome outcome;
};

static void wrong_note(struct replay_worker *w, uint64_t number)
{
	if (w->result.wrong++ == 0)
		w->result.first_wrong = number;
}

// A sum, so that it does not matter who frees a handed-over block, and when.
static void digest_add(struct replay_worker *w, uint64_t number, uint64_t what)
{
	w->result.digest += pattern_mix(pattern_mix(number << 8 | w->index) + what);
}

static void live_add(struct replay_worker *w, uint32_t size_bytes)
{
	w->result.live_bytes += size_bytes;
	if (w->result.live_bytes > w->result.peak_bytes)
		w->result.peak_bytes = w->result.live_bytes;
}

static uint64_t slot_key(const struct replay_worker *w, const struct replay_slot *slot)
{
	return pattern_key(w->index, (uint32_t)(slot - w->slots), slot->birth);
}

static void *block_take(struct replay_worker *w, const struct alloctrace_record *record)
{
	if (record->op == ALLOCTRACE_ALIGNED)
		return w->ops->alloc_aligned(w->context, record->size_bytes, (size_t)1 << record->align_log2);
	return w->ops->alloc(w->context, record->size_bytes, record->op == ALLOCTRACE_ZALLOC);
}

// Blocks of 8 bytes and more are aligned for words, of 16 and more for anything, and at least as was asked.
static bool block_aligned(const struct alloctrace_record *record, const void *block)
{
	uintptr_t natural = record->size_bytes >= 16 ? 16 : record->size_bytes >= 8 ? 8 : 1;
	uintptr_t asked = (uintptr_t)1 << record->align_log2;

	return ((uintptr_t)block & (natural - 1)) == 0 && ((uintptr_t)block & (asked - 1)) == 0;
}

static void event_wrong(struct replay_worker *w, struct event *event)
{
	event->outcome = OUTCOME_WRONG;
	wrong_note(w, event->number);
}

// The slot holds a block; what a right one looks like is known when contents are checked.
static void block_begin(struct replay_worker *w, struct replay_slot *slot, struct event *event)
{
	const struct alloctrace_record *record = event->record;

	if (!block_aligned(record, slot->block)) {
		// Words cannot be written there: it goes back at once.
		event_wrong(w, event);
		w->ops->release(w->context, slot->block, slot->size_bytes);
		w->result.live_bytes -= slot->size_bytes;
		slot->block = NULL;
		return;
	}
	if (record->op == ALLOCTRACE_ZALLOC && !pattern_zero_check(slot->block, slot->size_bytes))
		event_wrong(w, event);
	pattern_fill(slot->block, 0, slot->size_bytes, slot_key(w, slot));
}

static void event_alloc(struct replay_worker *w, struct replay_slot *slot, struct event *event)
{
	const struct alloctrace_record *record = event->record;

	slot->block = block_take(w, record);
	if (slot->block == NULL) {
		event->outcome = OUTCOME_REFUSED;
		w->result.refused++;
		return;
	}
	slot->size_bytes = record->size_bytes;
	slot->birth = event->number;
	live_add(w, record->size_bytes);
	if (w->check)
		block_begin(w, slot, event);
	else
		*(volatile uint8_t *)slot->block = 1;
}

static void event_resize(struct replay_worker *w, struct replay_slot *slot, struct event *event)
{
	uint32_t old_size = slot->size_bytes;
	uint32_t size = event->record->size_bytes;
	uint32_t kept = old_size < size ? old_size : size;
	void *moved;

	if (slot->block == NULL) { // refused earlier
		event_alloc(w, slot, event);
		return;
	}
	moved = w->ops->resize(w->context, slot->block, old_size, size);
	if (moved == NULL) {
		event->outcome = OUTCOME_REFUSED;
		w->result.refused++;
		return;
	}
	slot->block = moved;
	slot->size_bytes = size;
	w->result.live_bytes -= old_size;
	live_add(w, size);
	if (!w->check)
		return;
	if (!block_aligned(event->record, moved) || !pattern_check(moved, kept, slot_key(w, slot)))
		event_wrong(w, event);
	else
		pattern_fill(moved, kept, size, slot_key(w, slot));
}

static bool block_release(struct replay_worker *w, void *block, uint32_t size_bytes, uint64_t key, uint64_t number)
{
	bool readable = size_bytes < 8 || (uintptr_t)block % 8 == 0; // else its resize was found wrong already
	bool right = !w->check || (readable && pattern_check(block, size_bytes, key));

	if (!right)
		wrong_note(w, number);
	w->ops->release(w->context, block, size_bytes);
	return right;
}

static bool block_hand_over(struct replay_worker *w, const struct replay_slot *slot, uint64_t number)
{
	struct replay_ring *ring = w->out;
	uint32_t tail = ring->tail;

	if (tail - __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) == REPLAY_RING_SIZE)
		return false;
	ring->entries[tail % REPLAY_RING_SIZE] = (struct replay_handed){
		.block = slot->block,
		.key = slot_key(w, slot),
		.size_bytes = slot->size_bytes,
		.event_low = (uint32_t)number,
	};
	__atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

static void event_free(struct replay_worker *w, struct replay_slot *slot, struct event *event)
{
	bool hand_over = w->out != NULL && (slot - w->slots) % 4 == 3;

	if (slot->block == NULL) { // refused earlier
		event->outcome = OUTCOME_REFUSED;
		return;
	}
	w->result.live_bytes -= slot->size_bytes;
	// A block that is handed over is judged by whoever frees it; the digest is the same unless something is wrong.
	if (!hand_over || !block_hand_over(w, slot, event->number)) {
		if (!block_release(w, slot->block, slot->size_bytes, slot_key(w, slot), event->number))
			event->outcome = OUTCOME_WRONG;
	}
	*slot = (struct replay_slot){.block = NULL};
}

void replay_drain(struct replay_worker *worker)
{
	struct replay_ring *ring = worker->in;
	uint32_t tail;

	if (ring == NULL)
		return;
	tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	while (ring->head != tail) {
		struct replay_handed handed = ring->entries[ring->head % REPLAY_RING_SIZE];

		__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
		block_release(worker, handed.block, handed.size_bytes, handed.key, handed.event_low);
		worker->result.handed++;
	}
}

static void record_replay(struct replay_worker *w, const struct alloctrace_record *record)
{
	struct replay_slot *slot = &w->slots[record->slot];
	struct event event = {.record = record, .number = w->result.events++, .outcome = OUTCOME_OK};

	if (record->op == ALLOCTRACE_FREE)
		event_free(w, slot, &event);
	else if (record->op == ALLOCTRACE_REALLOC)
		event_resize(w, slot, &event);
	else
		event_alloc(w, slot, &event);
	if (w->check)
		digest_add(w, event.number,
			   (uint64_t)record->size_bytes << 32 ^ (uint64_t)record->slot << 8 ^
				   (uint64_t)record->op << 4 ^ event.outcome);
}

static void slots_empty(struct replay_worker *w)
{
	for (uint32_t i = 0; i < w->slot_count; i++) {
		struct alloctrace_record record = {.slot = i, .op = ALLOCTRACE_FREE};

		if (w->slots[i].block != NULL)
			record_replay(w, &record);
	}
}

bool replay_run(struct replay_worker *worker)
{
	bool go_on = true;

	for (uint64_t i = 0; i < worker->record_count && go_on; i++) {
		record_replay(worker, &worker->records[i]);
		if (i % REPLAY_PAUSE_EVENTS != 0)
			continue;
		replay_drain(worker);
		if (worker->ops->pause != NULL)
			go_on = worker->ops->pause(worker->context);
		go_on = go_on && worker->result.wrong == 0;
	}
	slots_empty(worker);
	return go_on && worker->result.wrong == 0;
}

// Mostly small; one in 128 has 1 to 64 KiB.
static uint32_t synthetic_size(uint64_t random)
{
	uint32_t size_bytes = pattern_size_draw(random);

	return (random >> 8) % 128 == 0 ? size_bytes * 64 : size_bytes;
}

void replay_synthesise(struct alloctrace_record *records, uint64_t count, uint64_t seed)
{
	uint8_t full[REPLAY_SYNTHETIC_SLOTS / 8] = {0};

	for (uint64_t i = 0; i < count; i++) {
		uint64_t random = pattern_mix(seed + i * 0x9e3779b97f4a7c15u);
		uint32_t slot = (uint32_t)(random >> 40) % REPLAY_SYNTHETIC_SLOTS;
		bool is_full = (full[slot / 8] >> slot % 8 & 1) != 0;
		bool resize = is_full && random % 7 < 2;
		bool birth = !is_full;
		struct alloctrace_record *record = &records[i];

		*record = (struct alloctrace_record){.slot = slot};
		record->op = resize ? ALLOCTRACE_REALLOC : birth ? ALLOCTRACE_ALLOC : ALLOCTRACE_FREE;
		if (birth && (random >> 20) % 16 == 0)
			record->op = ALLOCTRACE_ZALLOC;
		if (record->op != ALLOCTRACE_FREE)
			record->size_bytes = synthetic_size(pattern_mix(random));
		if (!resize)
			full[slot / 8] ^= (uint8_t)(1u << slot % 8);
	}
}
