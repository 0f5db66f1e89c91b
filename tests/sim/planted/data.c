// SPDX-License-Identifier: MIT
//
// Planted mistakes in shared data.
#include "planted.h"

// ---- lost update: load, add, store ----------------------------------------------------------------------------------------

struct counter_state {
	uint32_t value;
	bool bug;
};

static void update_thread(void *arg)
{
	struct counter_state *state = arg;
	for (uint32_t i = 0; i < 2; i++) {
		if (state->bug)
			WRITE_ONCE(state->value, READ_ONCE(state->value) + 1);
		else
			atomic_fetch_add_u32_relaxed(&state->value, 1);
	}
}

static bool lost_update(bool bug)
{
	struct counter_state state = {.bug = bug};
	struct crew crew = {0};
	crew_add(&crew, update_thread, &state);
	crew_add(&crew, update_thread, &state);
	crew_end(&crew);
	return state.value != 4 && !crew.failed;
}

// ---- torn pair: two words that belong together, read one after the other ---------------------------------------------------

struct pair_state {
	uint32_t sequence, a, b;
	uint32_t torn;
	bool bug;
};

static void pair_writer(void *arg)
{
	struct pair_state *state = arg;
	for (uint32_t i = 1; i <= 3; i++) {
		atomic_fetch_add_u32_acq_rel(&state->sequence, 1);
		atomic_store_u32_release(&state->a, i);
		atomic_store_u32_release(&state->b, i);
		atomic_fetch_add_u32_acq_rel(&state->sequence, 1);
	}
}

static void pair_reader(void *arg)
{
	struct pair_state *state = arg;
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t a, b, before, after;
		do {
			before = atomic_load_u32_acquire(&state->sequence);
			a = atomic_load_u32_acquire(&state->a);
			b = atomic_load_u32_acquire(&state->b);
			after = atomic_load_u32_acquire(&state->sequence);
			if (before != after || before % 2 != 0)
				thread_yield();
		} while (!state->bug && (before != after || before % 2 != 0));
		if (a != b)
			WRITE_ONCE(state->torn, 1);
	}
}

static bool torn_pair(bool bug)
{
	struct pair_state state = {.bug = bug};
	struct crew crew = {0};
	crew_add(&crew, pair_writer, &state);
	crew_add(&crew, pair_reader, &state);
	crew_end(&crew);
	return state.torn != 0;
}

// ---- a sequence lock whose reader forgets that an odd number means "being written" -----------------------------------------

static void odd_reader(void *arg)
{
	struct pair_state *state = arg;
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t a, b, before;
		bool again;
		do {
			before = atomic_load_u32_acquire(&state->sequence);
			a = atomic_load_u32_acquire(&state->a);
			b = atomic_load_u32_acquire(&state->b);
			again = before != atomic_load_u32_acquire(&state->sequence) || (!state->bug && before % 2 != 0);
			if (again)
				thread_yield();
		} while (again);
		if (a != b)
			WRITE_ONCE(state->torn, 1);
	}
}

static bool odd_sequence(bool bug)
{
	struct pair_state state = {.bug = bug};
	struct crew crew = {0};
	crew_add(&crew, pair_writer, &state);
	crew_add(&crew, odd_reader, &state);
	crew_end(&crew);
	return state.torn != 0;
}

// ---- ABA: a lock-free stack whose head carries no tag ------------------------------------------------------------------------

#define ABA_NODES 3u
#define ABA_NONE 0xffu

struct aba_state {
	uint32_t head;            // index; with a tag above bit 8 in the twin
	uint32_t next[ABA_NODES]; // index
	uint32_t owner[ABA_NODES];
	uint32_t wrong;
	bool bug;
};

static uint32_t aba_pop(struct aba_state *state)
{
	uint32_t head = atomic_load_u32_acquire(&state->head);
	for (;;) {
		uint32_t index = head & 0xff;
		if (index == ABA_NONE)
			return ABA_NONE;
		uint32_t next = READ_ONCE(state->next[index]);
		uint32_t tag = state->bug ? 0 : (head & ~0xffu) + 0x100;
		if (atomic_cmpxchg_u32_acq_rel(&state->head, &head, next | tag))
			return index;
	}
}

static void aba_push(struct aba_state *state, uint32_t index)
{
	uint32_t head = atomic_load_u32_acquire(&state->head);
	do {
		WRITE_ONCE(state->next[index], head & 0xff);
	} while (!atomic_cmpxchg_u32_acq_rel(&state->head, &head, index | (state->bug ? 0 : (head & ~0xffu) + 0x100)));
}

static void aba_own(struct aba_state *state, uint32_t index, bool own)
{
	if (index != ABA_NONE && atomic_xchg_u32_acq_rel(&state->owner[index], own) == own)
		WRITE_ONCE(state->wrong, 1);
}

static void aba_slow(void *arg)
{
	struct aba_state *state = arg;
	aba_own(state, aba_pop(state), true);
	aba_own(state, aba_pop(state), true);
}

static void aba_fast(void *arg)
{
	struct aba_state *state = arg;
	uint32_t first = aba_pop(state);
	aba_own(state, first, true);
	uint32_t second = aba_pop(state);
	aba_own(state, second, true);
	if (first != ABA_NONE) {
		aba_own(state, first, false);
		aba_push(state, first);
	}
}

static bool aba(bool bug)
{
	struct aba_state state = {.bug = bug, .next = {1, 2, ABA_NONE}};
	struct crew crew = {0};
	crew_add(&crew, aba_slow, &state);
	crew_add(&crew, aba_fast, &state);
	crew_end(&crew);
	return state.wrong != 0;
}

// ---- a ring whose producer publishes the slot before it is filled -------------------------------------------------------------

struct ring_state {
	uint32_t head, slots[4], wrong;
	bool bug;
};

static void ring_producer(void *arg)
{
	struct ring_state *state = arg;
	for (uint32_t i = 0; i < 4; i++) {
		if (state->bug) {
			atomic_store_u32_release(&state->head, i + 1);
			atomic_store_u32_release(&state->slots[i], i + 100);
		} else {
			atomic_store_u32_release(&state->slots[i], i + 100);
			atomic_store_u32_release(&state->head, i + 1);
		}
	}
}

static void ring_consumer(void *arg)
{
	struct ring_state *state = arg;
	for (uint32_t i = 0; i < 4; i++) {
		while (atomic_load_u32_acquire(&state->head) <= i)
			thread_yield();
		if (atomic_load_u32_acquire(&state->slots[i]) != i + 100)
			WRITE_ONCE(state->wrong, 1);
	}
}

static bool early_ring(bool bug)
{
	struct ring_state state = {.bug = bug};
	struct crew crew = {0};
	crew_add(&crew, ring_producer, &state);
	crew_add(&crew, ring_consumer, &state);
	crew_end(&crew);
	return state.wrong != 0;
}

const struct planted_program planted_data[] = {
	{"lost_update", "load, add, store instead of an atomic add", lost_update, 2},
	{"torn_pair", "two words that belong together, read without a sequence", torn_pair, 2},
	{"odd_sequence", "a sequence-lock reader that accepts an odd sequence", odd_sequence, 2},
	{"aba", "a lock-free stack whose head carries no tag", aba, 3},
	{"early_ring", "a ring's index published before the slot", early_ring, 2},
	{NULL, NULL, NULL, 0},
};
