// SPDX-License-Identifier: MIT
//
// The trace sink: a hash of a whole run on one machine. Kind, thread and arguments of every event, in order, as they are, addresses and
// sizes too: it tells whether two boots of one image on one machine went alike. What is compared across machines is
// kern/trace_hash.h. FNV-1a over the words' bytes: it is compared, not defended.
#include "../arch.h"

#include "hal/halt.h"

#define FNV_PRIME 0x100000001b3ull

static uint64_t hash = 0xcbf29ce484222325ull;
static uint64_t events;
static struct bare_lock lock;

static uint64_t hash_word(uint64_t state, uint64_t word)
{
	for (uint32_t i = 0; i < 8; i++) {
		state = (state ^ (word & 0xff)) * FNV_PRIME;
		word >>= 8;
	}
	return state;
}

void hal_trace_event(const struct hal_trace_event *event)
{
	bool was = bare_lock_take(&lock);
	hash = hash_word(hash_word(hash_word(hash_word(hash, event->event), event->thread), event->a), event->b);
	events++;
	bare_lock_free(&lock, was);
}

void trace_report(void)
{
	if (bare.options.has_trace)
		bare_print("event-hash: %16lx over %lu events\n", hash, events);
}
