// SPDX-License-Identifier: MIT
//
// Two rings in the caller's memory. Neither locks, sleeps, or is a schedule point.
//
// struct ring: records of one size, many writers, overwrites the oldest. Behind log and trace. A writer claims an index and
// then the slot; of two writers that meet in one slot a whole ring apart the later to claim gives up and is counted as
// lost, so a record is never a mixture. Readers look at any time and know whether what they got is whole.
//
// struct byte_ring: bytes, one writer and one reader at a time, refuses what does not fit. Behind console input and pipes.
#ifndef KERN_RING_H
#define KERN_RING_H

#include "kern/atomic.h"

struct ring {
	uintptr_t *slots;      // each a state word and record_words words
	uint32_t slot_count;   // power of two
	uint32_t record_words; // immutable like the two above
	uint32_t next;         // atomic: index of the next record; begins at slot_count
	uint32_t lost;         // atomic: records given up
	uint32_t cleared;      // atomic: records before this index are not shown
};

// Memory for `slot_count` (a power of two ≤ 2^20) records of record_size_bytes, a multiple of sizeof(uintptr_t).
size_t ring_size_bytes(uint32_t slot_count, size_t record_size_bytes);

// `memory` holds ring_size_bytes() bytes, aligned to uintptr_t, zeroed; the ring borrows it.
void ring_init(struct ring *ring, void *memory, uint32_t slot_count, size_t record_size_bytes);

// Copies a record in; false when it was given up. Any context, any number of writers. The two halves of it, for whoever
// wants a place in the order before the record is ready; each claim that succeeded must be published.
bool ring_write(struct ring *ring, const void *record);
bool ring_claim(struct ring *ring, uint32_t *index) must_check;
void ring_publish(struct ring *ring, uint32_t index, const void *record);

// Copies record `index` out; false when it is not written yet, was given up, or has been overwritten. Any context.
bool ring_read(const struct ring *ring, uint32_t index, void *record) must_check;

// What the ring held when the cursor was made, oldest first.
struct ring_cursor {
	uint32_t next;
	uint32_t end;
};

void ring_cursor_init(const struct ring *ring, struct ring_cursor *cursor);
bool ring_cursor_next(const struct ring *ring, struct ring_cursor *cursor, void *record);

// Hides all records up to now from later cursors. Any context.
void ring_clear(struct ring *ring);

// Fails with VERIFY on a slot in an impossible state. Any context.
void ring_check(const struct ring *ring);

struct byte_ring {
	uint8_t *bytes;
	uint32_t size_bytes; // power of two
	uint32_t head;       // atomic: bytes ever written; the writer's
	uint32_t tail;       // atomic: bytes ever read; the reader's
};

// `memory` of size_bytes (a power of two ≤ 2^31) is borrowed.
void byte_ring_init(struct byte_ring *ring, void *memory, uint32_t size_bytes);

// Move what fits, or what is there; return how many bytes. One writer and one reader at a time, each in any context.
uint32_t byte_ring_write(struct byte_ring *ring, const void *bytes, uint32_t size_bytes);
uint32_t byte_ring_read(struct byte_ring *ring, void *bytes, uint32_t size_bytes);

// Bytes to be read; the reader sees at least, the writer at most this many. Any context.
uint32_t byte_ring_used(const struct byte_ring *ring);

// head − tail never exceeds the size (VERIFY).
void byte_ring_check(const struct byte_ring *ring);

#endif
