// SPDX-License-Identifier: MIT
//
// The overwriting record ring. Each slot begins with a state word: the index of its record, doubled, plus one while that
// record is being written. A claim is a compare-exchange on that word, so one record has one writer; all other words are
// accessed atomically, because a reader may look at any moment and finds out afterwards whether the record held still
// (a sequence lock per slot; Boehm 2012 on reading such data in the C memory model: acquire loads instead of a fence).
#include "kern/ring.h"

#include "kern/assert.h"

#define RING_SLOTS_MAX (1u << 20)

static inline uint32_t state_whole(uint32_t index)
{
	return index << 1;
}

static inline uint32_t state_busy(uint32_t index)
{
	return index << 1 | 1u;
}

static inline uintptr_t *ring_slot(const struct ring *ring, uint32_t index)
{
	return ring->slots + (size_t)(index & (ring->slot_count - 1)) * (ring->record_words + 1u);
}

size_t ring_size_bytes(uint32_t slot_count, size_t record_size_bytes)
{
	return slot_count * (record_size_bytes + sizeof(uintptr_t));
}

void ring_init(struct ring *ring, void *memory, uint32_t slot_count, size_t record_size_bytes)
{
	VERIFY(IS_POWER_OF_2(slot_count));
	VERIFY3(slot_count, <=, RING_SLOTS_MAX);
	VERIFY3(record_size_bytes % sizeof(uintptr_t), ==, 0);
	VERIFY3((uintptr_t)memory % sizeof(uintptr_t), ==, 0);
	ring->slots = memory;
	ring->slot_count = slot_count;
	ring->record_words = (uint32_t)(record_size_bytes / sizeof(uintptr_t));
	ring->next = slot_count; // a zeroed slot then holds index 0, which no cursor asks for before the numbers wrap
	ring->lost = 0;
	ring->cleared = slot_count;
}

// Waiting for the other writer is no choice: it may be the code that this interrupt interrupted. Release, so that whoever
// sees the slot claimed also sees `next` beyond it.
bool ring_claim(struct ring *ring, uint32_t *index)
{
	*index = atomic_fetch_add_u32_relaxed_nopoint(&ring->next, 1);
	uintptr_t *state = ring_slot(ring, *index);
	uintptr_t seen = atomic_load_word_relaxed_nopoint(state);
	bool is_busy = (seen & 1u) != 0;
	bool is_newer = (int32_t)((uint32_t)seen - state_whole(*index)) > 0;

	if (!is_busy && !is_newer && atomic_cmpxchg_word_release_nopoint(state, &seen, state_busy(*index)))
		return true;
	(void)atomic_fetch_add_u32_relaxed_nopoint(&ring->lost, 1);
	return false;
}

// The stores are release stores so that none overtakes the busy mark.
void ring_publish(struct ring *ring, uint32_t index, const void *record)
{
	uintptr_t *slot = ring_slot(ring, index);
	const uintptr_t *words = record;

	ASSERT3((uint32_t)atomic_load_word_relaxed_nopoint(&slot[0]), ==, state_busy(index));
	for (uint32_t i = 0; i < ring->record_words; i++)
		atomic_store_word_release_nopoint(&slot[i + 1], words[i]);
	atomic_store_word_release_nopoint(&slot[0], state_whole(index));
}

bool ring_write(struct ring *ring, const void *record)
{
	uint32_t index;
	if (!ring_claim(ring, &index))
		return false;
	ring_publish(ring, index, record);
	return true;
}

bool ring_read(const struct ring *ring, uint32_t index, void *record)
{
	const uintptr_t *slot = ring_slot(ring, index);
	uintptr_t *words = record;

	if ((uint32_t)atomic_load_word_acquire_nopoint(&slot[0]) != state_whole(index))
		return false;
	for (uint32_t i = 0; i < ring->record_words; i++)
		words[i] = atomic_load_word_acquire_nopoint(&slot[i + 1]);
	return (uint32_t)atomic_load_word_relaxed_nopoint(&slot[0]) == state_whole(index);
}

void ring_cursor_init(const struct ring *ring, struct ring_cursor *cursor)
{
	uint32_t cleared = atomic_load_u32_relaxed_nopoint(&ring->cleared);
	cursor->end = atomic_load_u32_relaxed_nopoint(&ring->next);
	uint32_t count = MIN(cursor->end - cleared, ring->slot_count);
	cursor->next = cursor->end - count;
}

bool ring_cursor_next(const struct ring *ring, struct ring_cursor *cursor, void *record)
{
	while (cursor->next != cursor->end) {
		if (ring_read(ring, cursor->next++, record))
			return true;
	}
	return false;
}

void ring_clear(struct ring *ring)
{
	atomic_store_u32_relaxed_nopoint(&ring->cleared, atomic_load_u32_relaxed_nopoint(&ring->next));
}

// Writers may be at work: a busy slot is fine, one that holds an index nobody has claimed is not.
void ring_check(const struct ring *ring)
{
	VERIFY(IS_POWER_OF_2(ring->slot_count));
	for (uint32_t i = 0; i < ring->slot_count; i++) {
		uint32_t state = (uint32_t)atomic_load_word_acquire_nopoint(ring_slot(ring, i));
		uint32_t next = atomic_load_u32_relaxed_nopoint(&ring->next);
		if (state == 0)
			continue;
		VERIFY3((int32_t)(state_whole(next) - state), >, 0);
		VERIFY3((state >> 1) & (ring->slot_count - 1), ==, i);
	}
}
