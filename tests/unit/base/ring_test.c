// SPDX-License-Identifier: MIT
//
// Rings. The interleavings of two writers that meet in one slot are played by hand with the two halves of a write; a
// second body lets real threads do it.
#include "kern/ring.h"

#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"

#define SLOTS 8u

struct record {
	uintptr_t number;
	uintptr_t copy[3]; // each equals number
};

struct fixture {
	struct ring ring;
	uintptr_t memory[SLOTS * (sizeof(struct record) / sizeof(uintptr_t) + 1)];
};

// The memory is promised to be zeroed, the structure is not.
static void fixture_init(struct fixture *fixture)
{
	memset(fixture, 0, sizeof *fixture);
	memset(&fixture->ring, 0xee, sizeof fixture->ring);
	ring_init(&fixture->ring, fixture->memory, SLOTS, sizeof(struct record));
}

static struct record record_make(uintptr_t number)
{
	return (struct record){number, {number, number, number}};
}

static bool record_is_whole(const struct record *record)
{
	return record->copy[0] == record->number && record->copy[1] == record->number &&
	       record->copy[2] == record->number;
}

static void ring_put(struct ring *ring, uintptr_t number)
{
	struct record record = record_make(number);
	(void)ring_write(ring, &record);
}

TEST(ring, size_counts_state_words)
{
	CHECK_EQ(ring_size_bytes(SLOTS, sizeof(struct record)), sizeof(((struct fixture *)0)->memory));
}

TEST(ring, keeps_the_newest)
{
	struct fixture fixture;
	struct ring_cursor cursor;
	struct record record;

	fixture_init(&fixture);
	ring_cursor_init(&fixture.ring, &cursor);
	CHECK(!ring_cursor_next(&fixture.ring, &cursor, &record));
	for (uintptr_t i = 0; i < 3 * SLOTS + 2; i++) {
		ring_put(&fixture.ring, i);
		ring_cursor_init(&fixture.ring, &cursor);
		uintptr_t expected = i + 1 > SLOTS ? i + 1 - SLOTS : 0;
		while (ring_cursor_next(&fixture.ring, &cursor, &record)) {
			CHECK_EQ(record.number, expected);
			CHECK(record_is_whole(&record));
			expected++;
		}
		CHECK_EQ(expected, i + 1);
	}
	CHECK_EQ(fixture.ring.lost, 0);
	ring_check(&fixture.ring);
}

TEST(ring, cursor_skips_what_was_overwritten)
{
	struct fixture fixture;
	struct ring_cursor cursor;
	struct record record;

	fixture_init(&fixture);
	for (uintptr_t i = 0; i < SLOTS; i++)
		ring_put(&fixture.ring, i);
	ring_cursor_init(&fixture.ring, &cursor);
	for (uintptr_t i = 0; i < 3; i++)
		ring_put(&fixture.ring, 100 + i);
	uintptr_t expected = 3;
	while (ring_cursor_next(&fixture.ring, &cursor, &record))
		CHECK_EQ(record.number, expected++);
	CHECK_EQ(expected, SLOTS);
}

TEST(ring, clear_hides_the_past)
{
	struct fixture fixture;
	struct ring_cursor cursor;
	struct record record;

	fixture_init(&fixture);
	for (uintptr_t i = 0; i < SLOTS + 3; i++)
		ring_put(&fixture.ring, i);
	ring_clear(&fixture.ring);
	ring_cursor_init(&fixture.ring, &cursor);
	CHECK(!ring_cursor_next(&fixture.ring, &cursor, &record));
	ring_put(&fixture.ring, 77);
	ring_cursor_init(&fixture.ring, &cursor);
	CHECK(ring_cursor_next(&fixture.ring, &cursor, &record));
	CHECK_EQ(record.number, 77);
	CHECK(!ring_cursor_next(&fixture.ring, &cursor, &record));
}

TEST(ring, unpublished_record_is_not_shown)
{
	struct fixture fixture;
	struct ring_cursor cursor;
	struct record record = record_make(2);
	uint32_t index;

	fixture_init(&fixture);
	ring_put(&fixture.ring, 1);
	REQUIRE(ring_claim(&fixture.ring, &index));
	ring_put(&fixture.ring, 3);
	ring_check(&fixture.ring);
	ring_cursor_init(&fixture.ring, &cursor);
	CHECK(ring_cursor_next(&fixture.ring, &cursor, &record));
	CHECK_EQ(record.number, 1);
	CHECK(ring_cursor_next(&fixture.ring, &cursor, &record));
	CHECK_EQ(record.number, 3);
	CHECK(!ring_cursor_next(&fixture.ring, &cursor, &record));
	record = record_make(2);
	ring_publish(&fixture.ring, index, &record);
	CHECK(ring_read(&fixture.ring, index, &record));
	CHECK_EQ(record.number, 2);
}

// A writer that was interrupted for a whole ring keeps its slot; the one that laps it gives up.
TEST(ring, lapped_writer_keeps_its_slot)
{
	struct fixture fixture;
	struct record record = record_make(50);
	uint32_t slow, index;

	fixture_init(&fixture);
	REQUIRE(ring_claim(&fixture.ring, &slow));
	for (uintptr_t i = 0; i < SLOTS - 1; i++)
		CHECK(ring_write(&fixture.ring, &record));
	CHECK(!ring_claim(&fixture.ring, &index));
	CHECK_EQ(fixture.ring.lost, 1);
	CHECK_EQ(index, slow + SLOTS);
	CHECK(!ring_read(&fixture.ring, slow, &record));
	record = record_make(50);
	ring_publish(&fixture.ring, slow, &record);
	CHECK(!ring_read(&fixture.ring, index, &record));
	CHECK(ring_read(&fixture.ring, slow, &record));
	CHECK_EQ(record.number, 50);
	for (uintptr_t i = 0; i < SLOTS; i++)
		ring_put(&fixture.ring, 200 + i);
	CHECK(!ring_read(&fixture.ring, slow, &record));
	CHECK_EQ(fixture.ring.lost, 1);
	ring_check(&fixture.ring);
}

// Indices wrap at 2^32, state words at 2^31.
TEST(ring, survives_wrapping_numbers)
{
	static const uint32_t starts[] = {0u - 4, (1u << 31) - 4};
	struct fixture fixture;
	struct ring_cursor cursor;
	struct record record;

	for (uint32_t i = 0; i < array_count(starts); i++) {
		fixture_init(&fixture);
		fixture.ring.next = starts[i];
		fixture.ring.cleared = starts[i];
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			fixture.memory[slot * 5] = (uint32_t)((starts[i] - SLOTS + (slot - starts[i]) % SLOTS) << 1);
		ring_check(&fixture.ring);
		for (uintptr_t number = 0; number < 12; number++) {
			ring_put(&fixture.ring, number);
			ring_check(&fixture.ring);
		}
		CHECK_EQ(fixture.ring.lost, 0);
		uintptr_t expected = 4;
		ring_cursor_init(&fixture.ring, &cursor);
		while (ring_cursor_next(&fixture.ring, &cursor, &record))
			CHECK_EQ(record.number, expected++);
		CHECK_EQ(expected, 12);
	}
}

TEST_WITH(ring, check_finds_an_index_from_the_future, 0, TEST_PANICS, "state_whole(next) - state")
{
	struct fixture fixture;

	fixture_init(&fixture);
	ring_put(&fixture.ring, 1);
	fixture.memory[0] = (SLOTS * 5u) << 1;
	ring_check(&fixture.ring);
	CHECK(false);
}

struct writers {
	struct fixture fixture;
	uint32_t torn; // atomic
	uint32_t running;
};

static void writer_main(void *arg)
{
	struct writers *writers = arg;

	for (uintptr_t i = 0; i < 400; i++) {
		ring_put(&writers->fixture.ring, (uintptr_t)current->id << 16 | i);
		if (i % 16 == 0)
			thread_yield();
	}
}

static void writers_watch(struct writers *writers)
{
	struct ring_cursor cursor;
	struct record record;

	for (uint32_t i = 0; i < 100; i++) {
		ring_cursor_init(&writers->fixture.ring, &cursor);
		while (ring_cursor_next(&writers->fixture.ring, &cursor, &record))
			if (!record_is_whole(&record))
				(void)atomic_fetch_add_u32_relaxed(&writers->torn, 1);
		ring_check(&writers->fixture.ring);
		thread_yield();
	}
}

TEST_CPUS(ring, concurrent_writers_never_tear_a_record, 4)
{
	struct writers *writers = kmalloc(sizeof *writers, MEM_ZERO);
	struct thread *threads[4];
	uint32_t started = 0;

	REQUIRE(writers != NULL);
	fixture_init(&writers->fixture);
	while (started < array_count(threads) && thread_start(NULL, writer_main, writers, &threads[started]) == 0)
		started++;
	CHECK_EQ(started, array_count(threads));
	writers_watch(writers);
	for (uint32_t i = 0; i < started; i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	CHECK_EQ(writers->torn, 0);
	CHECK_EQ(writers->fixture.ring.next, SLOTS + started * 400);
	ring_check(&writers->fixture.ring);
	kfree(writers);
}

TEST(ring, bytes_come_out_as_they_went_in)
{
	uint8_t memory[16], piece[16];
	struct byte_ring ring;
	struct rand_stream chance;
	uint32_t written = 0, taken = 0;

	byte_ring_init(&ring, memory, sizeof memory);
	ring.head = ring.tail = 0u - 100; // so that the counters wrap on the way
	rand_init(&chance, 11);
	for (uint32_t step = 0; step < 500; step++) {
		uint32_t wanted = rand_below(&chance, 20) % (sizeof piece + 1);
		for (uint32_t i = 0; i < wanted; i++)
			piece[i] = (uint8_t)(written + i);
		uint32_t room = sizeof memory - (written - taken);
		uint32_t put = byte_ring_write(&ring, piece, wanted);
		CHECK_EQ(put, MIN(wanted, room));
		written += put;
		CHECK_EQ(byte_ring_used(&ring), written - taken);
		uint32_t got = byte_ring_read(&ring, piece, rand_below(&chance, sizeof piece + 1));
		for (uint32_t i = 0; i < got; i++)
			CHECK_EQ(piece[i], (uint8_t)(taken + i));
		taken += got;
		byte_ring_check(&ring);
	}
	CHECK(written > 1000);
}

TEST(ring, byte_ring_refuses_what_does_not_fit)
{
	uint8_t memory[8], out[8];
	struct byte_ring ring;

	memset(&ring, 0xee, sizeof ring);
	byte_ring_init(&ring, memory, sizeof memory);
	CHECK_EQ(byte_ring_used(&ring), 0);
	CHECK_EQ(ring.head, 0);
	CHECK_EQ(byte_ring_read(&ring, out, sizeof out), 0);
	CHECK_EQ(byte_ring_write(&ring, "0123456789", 10), 8);
	CHECK_EQ(byte_ring_write(&ring, "x", 1), 0);
	CHECK_EQ(byte_ring_read(&ring, out, 3), 3);
	CHECK_EQ(byte_ring_write(&ring, "abcd", 4), 3);
	CHECK_EQ(byte_ring_read(&ring, out, 8), 8);
	CHECK_EQ(memcmp(out, "34567abc", 8), 0);
}

TEST_WITH(ring, byte_ring_check_finds_more_than_fits, 0, TEST_PANICS, "byte_ring_used(ring) <= ring->size_bytes")
{
	uint8_t memory[8];
	struct byte_ring ring;

	byte_ring_init(&ring, memory, sizeof memory);
	ring.head = 9;
	byte_ring_check(&ring);
	CHECK(false);
}
