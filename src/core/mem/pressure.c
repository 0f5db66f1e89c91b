// SPDX-License-Identifier: MIT
//
// Those who can give frames back when they run short: callbacks in order, run one after the other by whoever needs frames,
// until enough has come back. The lock that keeps the list also keeps callbacks from being called twice at once.
#include "mem_impl.h"

#include "kern/counter.h"
#include "kern/sync.h"
#include "kern/trace.h"

struct pressure_state {
	struct mutex lock;
	struct list callbacks; // by order, then by registration
};

err_t pressure_init(struct kernel *kernel)
{
	struct pressure_state *state = boot_alloc(kernel, sizeof *state, CACHE_LINE_SIZE);
	if (state == NULL)
		return ERR(ENOMEM);
	kernel->frames->pressure = state;
	mutex_init(&state->lock, LOCK_RANK_PRESSURE, "mem: pressure");
	list_init(&state->callbacks);
	return 0;
}

void pressure_register(struct pressure_callback *callback)
{
	struct pressure_state *state = frame_state()->pressure;
	struct pressure_callback *at;
	mutex_lock(&state->lock);
	list_for_each (at, &state->callbacks, link)
		if (at->order > callback->order)
			break;
	list_insert_before(&at->link, &callback->link);
	mutex_unlock(&state->lock);
}

void pressure_unregister(struct pressure_callback *callback)
{
	struct pressure_state *state = frame_state()->pressure;
	mutex_lock(&state->lock);
	list_remove(&callback->link);
	mutex_unlock(&state->lock);
}

uint32_t pressure_run(uint32_t wanted_frames)
{
	struct pressure_state *state = frame_state()->pressure;
	struct pressure_callback *callback;
	uint32_t freed = 0;
	// A callback that allocates must not wait for itself.
	if (mutex_held(&state->lock))
		return 0;
	mutex_lock(&state->lock);
	list_for_each (callback, &state->callbacks, link) {
		freed += callback->shrink(callback, wanted_frames - freed);
		if (freed >= wanted_frames)
			break;
	}
	mutex_unlock(&state->lock);
	counter_inc(COUNTER_MEM_PRESSURE);
	trace_emit(TRACE_MEM_PRESSURE, wanted_frames, freed);
	return freed;
}
