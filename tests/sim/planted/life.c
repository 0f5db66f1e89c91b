// SPDX-License-Identifier: MIT
//
// Planted mistakes in the lives of objects. Memory is never really misused: an object says itself whether it is alive, so
// that the mistake is seen in every build and not only where memory is poisoned.
#include "planted.h"

#define ALIVE 0x600dull
#define DEAD 0xdeadu

// ---- publish before init ----------------------------------------------------------------------------------------------------

struct published {
	uint32_t magic;
};

struct publish_state {
	struct published object;
	struct published *pointer;
	uint32_t wrong;
	bool bug;
};

static void publish_writer(void *arg)
{
	struct publish_state *state = arg;
	if (state->bug)
		rcu_assign(state->pointer, &state->object);
	WRITE_ONCE(state->object.magic, (uint32_t)ALIVE);
	if (!state->bug)
		rcu_assign(state->pointer, &state->object);
}

static void publish_reader(void *arg)
{
	struct publish_state *state = arg;
	for (uint32_t i = 0; i < 8; i++) {
		struct published *object = rcu_dereference(state->pointer);
		if (object != NULL && READ_ONCE(object->magic) != ALIVE)
			WRITE_ONCE(state->wrong, 1);
	}
}

static bool publish_early(bool bug)
{
	struct publish_state state = {.bug = bug};
	struct crew crew = {0};
	crew_add(&crew, publish_writer, &state);
	crew_add(&crew, publish_reader, &state);
	crew_end(&crew);
	return state.wrong != 0;
}

// ---- double free: two owners let go at once, and both see the last reference ---------------------------------------------------

struct release_state {
	uint32_t references;
	uint32_t frees;
	bool bug;
};

static void release_thread(void *arg)
{
	struct release_state *state = arg;
	bool last;
	if (state->bug) {
		atomic_fetch_sub_u32_acq_rel(&state->references, 1);
		last = atomic_load_u32_acquire(&state->references) == 0;
	} else {
		last = atomic_fetch_sub_u32_acq_rel(&state->references, 1) == 1;
	}
	if (last)
		atomic_fetch_add_u32_relaxed(&state->frees, 1);
}

static bool double_free(bool bug)
{
	struct release_state state = {.bug = bug, .references = 2};
	struct crew crew = {0};
	crew_add(&crew, release_thread, &state);
	crew_add(&crew, release_thread, &state);
	crew_end(&crew);
	return state.frees != 1 && !crew.failed;
}

// ---- resurrection: a reference taken from an object whose last one has just gone --------------------------------------------------

struct revive_state {
	uint32_t references;
	uint32_t magic;
	uint32_t wrong;
	bool bug;
};

static bool revive_get(struct revive_state *state)
{
	uint32_t references = atomic_load_u32_acquire(&state->references);
	if (state->bug) {
		if (references == 0)
			return false;
		atomic_fetch_add_u32_acq_rel(&state->references, 1);
		return true;
	}
	while (references != 0)
		if (atomic_cmpxchg_u32_acq_rel(&state->references, &references, references + 1))
			return true;
	return false;
}

static void revive_put(struct revive_state *state)
{
	if (atomic_fetch_sub_u32_acq_rel(&state->references, 1) == 1)
		WRITE_ONCE(state->magic, DEAD);
}

static void revive_owner(void *arg)
{
	revive_put(arg);
}

static void revive_finder(void *arg)
{
	struct revive_state *state = arg;
	if (!revive_get(state))
		return;
	if (READ_ONCE(state->magic) != ALIVE)
		WRITE_ONCE(state->wrong, 1);
	revive_put(state);
}

static bool resurrection(bool bug)
{
	struct revive_state state = {.bug = bug, .references = 1, .magic = (uint32_t)ALIVE};
	struct crew crew = {0};
	crew_add(&crew, revive_finder, &state);
	crew_add(&crew, revive_owner, &state);
	crew_end(&crew);
	return state.wrong != 0;
}

// ---- use after unregister: the callback may still be running ----------------------------------------------------------------------

struct notify_state {
	uint32_t registered, running;
	uint32_t magic, wrong;
	bool bug;
};

static void notify_caller(void *arg)
{
	struct notify_state *state = arg;
	for (uint32_t i = 0; i < 3; i++) {
		atomic_fetch_add_u32_seq_cst(&state->running, 1);
		if (atomic_load_u32_seq_cst(&state->registered) != 0 && READ_ONCE(state->magic) != ALIVE)
			WRITE_ONCE(state->wrong, 1);
		atomic_fetch_sub_u32_seq_cst(&state->running, 1);
	}
}

static void notify_owner(void *arg)
{
	struct notify_state *state = arg;
	atomic_store_u32_seq_cst(&state->registered, 0);
	while (!state->bug && atomic_load_u32_seq_cst(&state->running) != 0)
		thread_yield();
	WRITE_ONCE(state->magic, DEAD);
}

static bool use_after_unregister(bool bug)
{
	struct notify_state state = {.bug = bug, .registered = 1, .magic = (uint32_t)ALIVE};
	struct crew crew = {0};
	crew_add(&crew, notify_caller, &state);
	crew_add(&crew, notify_owner, &state);
	crew_end(&crew);
	return state.wrong != 0;
}

// ---- an RCU reader that keeps its pointer past the end of the section --------------------------------------------------------------

struct past_state {
	struct published *pointer;
	struct published old, fresh;
	uint32_t wrong;
	bool bug;
};

static void past_reader(void *arg)
{
	struct past_state *state = arg;
	for (uint32_t i = 0; i < 2; i++) {
		rcu_read_lock();
		struct published *object = rcu_dereference(state->pointer);
		if (state->bug) {
			rcu_read_unlock();
			sleep_ns(1500);
		}
		for (uint32_t look = 0; look < 4; look++)
			if (READ_ONCE(object->magic) != ALIVE)
				WRITE_ONCE(state->wrong, 1);
		if (!state->bug) {
			rcu_read_unlock();
			sleep_ns(1500);
		}
	}
}

static void past_updater(void *arg)
{
	struct past_state *state = arg;
	rcu_assign(state->pointer, &state->fresh);
	rcu_synchronize();
	WRITE_ONCE(state->old.magic, DEAD);
}

static bool rcu_past_section(bool bug)
{
	struct past_state state = {.bug = bug, .old = {(uint32_t)ALIVE}, .fresh = {(uint32_t)ALIVE}};
	struct crew crew = {0};
	state.pointer = &state.old;
	crew_add(&crew, past_updater, &state);
	crew_add(&crew, past_reader, &state);
	crew_add(&crew, past_reader, &state);
	crew_end(&crew);
	return state.wrong != 0;
}

// ---- an RCU updater that does not wait for the grace period -------------------------------------------------------------------------

static void hasty_reader(void *arg)
{
	struct past_state *state = arg;
	rcu_read_lock();
	struct published *object = rcu_dereference(state->pointer);
	if (READ_ONCE(object->magic) != ALIVE)
		WRITE_ONCE(state->wrong, 1);
	rcu_read_unlock();
}

static void hasty_updater(void *arg)
{
	struct past_state *state = arg;
	rcu_assign(state->pointer, &state->fresh);
	if (!state->bug)
		rcu_synchronize();
	WRITE_ONCE(state->old.magic, DEAD);
}

static bool rcu_no_grace(bool bug)
{
	struct past_state state = {.bug = bug, .old = {(uint32_t)ALIVE}, .fresh = {(uint32_t)ALIVE}};
	struct crew crew = {0};
	state.pointer = &state.old;
	crew_add(&crew, hasty_reader, &state);
	crew_add(&crew, hasty_updater, &state);
	crew_end(&crew);
	return state.wrong != 0;
}

const struct planted_program planted_life[] = {
	{"publish_early", "a pointer published before its object is filled in", publish_early, 2},
	{"double_free", "decrement and test as two steps", double_free, 2},
	{"resurrection", "a reference taken after the last one has gone", resurrection, 2},
	{"use_after_unregister", "a callback's owner gone while it runs", use_after_unregister, 2},
	{"rcu_past_section", "an RCU reader uses its pointer past the section", rcu_past_section, 2},
	{"rcu_no_grace", "an RCU updater that does not wait for readers", rcu_no_grace, 2},
	{NULL, NULL, NULL, 0},
};
