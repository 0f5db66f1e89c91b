// SPDX-License-Identifier: MIT
//
// The byte ring: head and tail only grow, each written by one side; the difference is what is in it. The release store
// of one side's mark hands the bytes (or the room) over to the other side's acquire load.
#include "kern/ring.h"

#include "kern/assert.h"
#include "kern/string.h"

#define BYTE_RING_MAX (1u << 31)

void byte_ring_init(struct byte_ring *ring, void *memory, uint32_t size_bytes)
{
	VERIFY(IS_POWER_OF_2(size_bytes));
	VERIFY3(size_bytes, <=, BYTE_RING_MAX);
	ring->bytes = memory;
	ring->size_bytes = size_bytes;
	ring->head = 0;
	ring->tail = 0;
}

uint32_t byte_ring_write(struct byte_ring *ring, const void *bytes, uint32_t size_bytes)
{
	uint32_t head = atomic_load_u32_relaxed_nopoint(&ring->head);
	uint32_t used = head - atomic_load_u32_acquire_nopoint(&ring->tail);
	uint32_t count = MIN(size_bytes, ring->size_bytes - used);
	uint32_t place = head & (ring->size_bytes - 1);
	uint32_t until_wrap = MIN(count, ring->size_bytes - place);

	memcpy(ring->bytes + place, bytes, until_wrap);
	memcpy(ring->bytes, (const uint8_t *)bytes + until_wrap, count - until_wrap);
	atomic_store_u32_release_nopoint(&ring->head, head + count);
	return count;
}

uint32_t byte_ring_read(struct byte_ring *ring, void *bytes, uint32_t size_bytes)
{
	uint32_t tail = atomic_load_u32_relaxed_nopoint(&ring->tail);
	uint32_t used = atomic_load_u32_acquire_nopoint(&ring->head) - tail;
	uint32_t count = MIN(size_bytes, used);
	uint32_t place = tail & (ring->size_bytes - 1);
	uint32_t until_wrap = MIN(count, ring->size_bytes - place);

	memcpy(bytes, ring->bytes + place, until_wrap);
	memcpy((uint8_t *)bytes + until_wrap, ring->bytes, count - until_wrap);
	atomic_store_u32_release_nopoint(&ring->tail, tail + count);
	return count;
}

// The tail first: it cannot overtake the head that is read after it.
uint32_t byte_ring_used(const struct byte_ring *ring)
{
	uint32_t tail = atomic_load_u32_acquire_nopoint(&ring->tail);
	return atomic_load_u32_acquire_nopoint(&ring->head) - tail;
}

void byte_ring_check(const struct byte_ring *ring)
{
	VERIFY(IS_POWER_OF_2(ring->size_bytes));
	VERIFY3(byte_ring_used(ring), <=, ring->size_bytes);
}
