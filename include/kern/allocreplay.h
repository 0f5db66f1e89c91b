// SPDX-License-Identifier: MIT
//
// Replays an allocation trace against any allocator, one worker per thread, with every block's contents checked.
// The monitor's `stress` runs it over the kernel's allocators and the host's peer over malloc: the same loop, so figures
// compare and digests must be equal. Freestanding and pure but for the allocator it is given: it neither locks nor waits.
//
// Sharing: each worker replays the whole trace with blocks of its own. With two workers or more a quarter of the frees
// is handed to the next worker through a ring, so that blocks are freed on another CPU than the one that took them. A full
// ring never blocks: the owner then frees the block itself.
#ifndef KERN_ALLOCREPLAY_H
#define KERN_ALLOCREPLAY_H

#include "kern/alloctrace.h"

enum {
	REPLAY_RING_SIZE = 256,    // a power of two
	REPLAY_PAUSE_EVENTS = 256, // events between two calls of ops->pause
	REPLAY_SYNTHETIC_SLOTS = 4096,
};

// The allocator under test. `context` is the worker's own. Called in the worker's thread.
struct replay_ops {
	void *(*alloc)(void *context, size_t size_bytes, bool zero);
	void *(*alloc_aligned)(void *context, size_t size_bytes, size_t align);
	// The old block stays and NULL is returned when there is no memory.
	void *(*resize)(void *context, void *block, size_t old_size_bytes, size_t size_bytes);
	void (*release)(void *context, void *block, size_t size_bytes);
	bool (*pause)(void *context); // false ends the replay early; may be NULL
};

// What a slot holds; block NULL: empty, or its allocation was refused.
struct replay_slot {
	void *block;
	uint64_t birth; // number of the event that filled it
	uint32_t size_bytes;
	uint32_t reserved;
};

struct replay_handed {
	void *block;
	uint64_t key;
	uint32_t size_bytes;
	uint32_t event_low;
};

// From one worker to the next; each index is written by one side only, with release order.
struct replay_ring {
	uint32_t head; // next to take; receiver's
	uint8_t apart[60];
	uint32_t tail; // next to put; sender's
	uint8_t apart_too[60];
	struct replay_handed entries[REPLAY_RING_SIZE];
};

struct replay_result {
	uint64_t events;
	uint64_t refused;     // allocations and resizes that found no memory
	uint64_t wrong;       // blocks with wrong contents or alignment
	uint64_t first_wrong; // number of the event that found the first one
	uint64_t handed;      // frees done for the other worker
	uint64_t live_bytes;  // as asked for
	uint64_t peak_bytes;
	uint64_t digest; // sum of one word per event, from its operands and outcome: no address, no order, no CPU in it
};

struct replay_worker {
	// Set by the caller before replay_run().
	const struct replay_ops *ops;
	void *context;
	const struct alloctrace_record *records; // record_count, judged
	uint64_t record_count;
	struct replay_slot *slots; // slot_count, zeroed
	uint32_t slot_count;
	uint32_t index;          // of this worker
	bool check;              // fill and check contents, keep the digest; otherwise touch the first byte only
	struct replay_ring *in;  // zeroed; NULL for a single worker
	struct replay_ring *out; // the next worker's `in`

	struct replay_result result; // zeroed; grows over rounds
};

// One round: every record, then frees what is left, so that the slots are empty again. False: ops->pause said stop, or a
// block was wrong. The slots are emptied in that case too.
bool replay_run(struct replay_worker *worker);

// Frees what its neighbour has handed over. To be called once more for each worker after all have ended their last round.
void replay_drain(struct replay_worker *worker);

// Fills records[0 .. count - 1] with a made-up program of REPLAY_SYNTHETIC_SLOTS slots: the same for the same seed. Sizes are
// mostly small, some to 64 KiB; a seventh are resizes.
void replay_synthesise(struct alloctrace_record *records, uint64_t count, uint64_t seed);

#endif
