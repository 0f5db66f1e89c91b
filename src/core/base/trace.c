// SPDX-License-Identifier: MIT
//
// Trace points: which are on, and where an event goes. The CPU is the one that the thread was on a moment ago; should it
// move between the look and the write, the ring of that CPU takes the record all the same, because rings take any writer.
#include "base_impl.h"

#include "hal/clock.h"
#include "hal/hal.h"
#include "hal/halt.h"
#include "kern/cpu.h"
#include "kern/string.h"
#include "kern/thread.h"

static_assert(sizeof(struct trace_record) % sizeof(uintptr_t) == 0, "a ring copies whole words");

static const char *const event_names[TRACE_EVENT_COUNT] = {
#define X(id, name, label_a, kind_a, label_b, kind_b) [id] = name,
	TRACE_TABLE(X)
#undef X
};

const char *trace_event_name(uint32_t event)
{
	return event < TRACE_EVENT_COUNT ? event_names[event] : "?";
}

static void trace_switch(struct trace_state *state, uint32_t event, bool on)
{
	uint32_t bit = 1u << (event % 32);

	if (on) {
		(void)atomic_fetch_or_u32_relaxed_nopoint(&state->ringed[event / 32], bit);
		(void)atomic_fetch_or_u32_relaxed_nopoint(&state->enabled[event / 32], bit);
		return;
	}
	(void)atomic_fetch_and_u32_relaxed_nopoint(&state->ringed[event / 32], ~bit);
	if (!state->sink && atomic_load_ptr_relaxed_nopoint(&state->hash) == NULL)
		(void)atomic_fetch_and_u32_relaxed_nopoint(&state->enabled[event / 32], ~bit);
}

err_t trace_init(struct kernel *kernel, uint32_t slot_count)
{
	struct trace_state *state = boot_alloc(kernel, sizeof *state, CACHE_LINE_SIZE);
	size_t size_bytes = ring_size_bytes(slot_count, sizeof(struct trace_record));

	if (state == NULL)
		return ERR(ENOMEM);
	state->sink = (kernel->flags & (HAL_BOOT_SIMULATED | HAL_BOOT_TRACE)) != 0;
	for (uint32_t event = 0; event < TRACE_EVENT_COUNT; event++)
		trace_switch(state, event, state->sink || CONFIG_ASSERTS);
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		struct trace_cpu *trace = boot_alloc(kernel, sizeof *trace, CACHE_LINE_SIZE);
		void *memory = boot_alloc(kernel, size_bytes, CACHE_LINE_SIZE);
		if (trace == NULL || memory == NULL)
			return ERR(ENOMEM);
		ring_init(&trace->ring, memory, slot_count, sizeof(struct trace_record));
		kernel->cpus[i]->trace = trace;
	}
	kernel->trace = state;
	return 0;
}

void trace_write(enum trace_event event, uint64_t a, uint64_t b)
{
	const struct trace_state *state = hal_kernel()->trace;
	struct cpu *cpu = this_cpu();
	struct trace_record record = {
		.ts_ns = hal_clock_mono_ns(),
		.cpu = cpu->hal.index,
		.event = event,
		.thread = current->id,
		.a = a,
		.b = b,
	};

	if (trace_is_ringed(event))
		(void)ring_write(&cpu->trace->ring, &record); // a record given up is counted there
	struct trace_hash *hash = atomic_load_ptr_relaxed_nopoint(&state->hash);
	if (unlikely(hash != NULL))
		trace_hash_event(hash, &record);
	if (state->sink) {
		struct hal_trace_event out = {
			.ts_ns = record.ts_ns,
			.cpu = record.cpu,
			.event = event,
			.thread = record.thread,
			.a = a,
			.b = b,
		};
		hal_trace_event(&out);
	}
}

bool trace_is_ringed(enum trace_event event)
{
	const struct trace_state *state = hal_kernel()->trace;
	if (state == NULL || (uint32_t)event >= TRACE_EVENT_COUNT)
		return false;
	return (atomic_load_u32_relaxed_nopoint(&state->ringed[event / 32u]) >> (event % 32u) & 1u) != 0;
}

// "all", the whole name, or the part of it before the dot.
static bool name_matches(const char *name, const char *pattern)
{
	size_t length = strlen(pattern);
	if (str_equal(pattern, "all"))
		return true;
	return strncmp(name, pattern, length) == 0 && (name[length] == '\0' || name[length] == '.');
}

err_t trace_enable(const char *pattern, bool on)
{
	struct trace_state *state = hal_kernel()->trace;
	bool found = false;

	for (uint32_t event = 0; state != NULL && event < TRACE_EVENT_COUNT; event++) {
		if (!name_matches(event_names[event], pattern))
			continue;
		trace_switch(state, event, on);
		found = true;
	}
	return found ? 0 : ERR(ENOENT);
}

void trace_cursor_init(struct trace_cursor *cursor)
{
	const struct kernel *kernel = hal_kernel();

	memset(cursor, 0, sizeof *cursor);
	for (uint32_t i = 0; kernel->trace != NULL && i < kernel->cpu_count; i++)
		ring_cursor_init(&kernel->cpus[i]->trace->ring, &cursor->cpus[i]);
}

// The record that `cursor` stands on, skipping those that are gone; false at the end.
static bool cursor_peek(const struct ring *ring, struct ring_cursor *cursor, struct trace_record *record)
{
	for (; cursor->next != cursor->end; cursor->next++)
		if (ring_read(ring, cursor->next, record))
			return true;
	return false;
}

bool trace_cursor_next(struct trace_cursor *cursor, struct trace_record *record)
{
	const struct kernel *kernel = hal_kernel();
	struct trace_record seen;
	struct ring_cursor *earliest = NULL;

	for (uint32_t i = 0; kernel->trace != NULL && i < kernel->cpu_count; i++) {
		if (!cursor_peek(&kernel->cpus[i]->trace->ring, &cursor->cpus[i], &seen))
			continue;
		if (earliest != NULL && seen.ts_ns >= record->ts_ns)
			continue;
		*record = seen;
		earliest = &cursor->cpus[i];
	}
	if (earliest == NULL)
		return false;
	earliest->next++;
	return true;
}

void trace_clear(void)
{
	const struct kernel *kernel = hal_kernel();
	for (uint32_t i = 0; kernel->trace != NULL && i < kernel->cpu_count; i++)
		ring_clear(&kernel->cpus[i]->trace->ring);
}

uint32_t trace_lost(void)
{
	const struct kernel *kernel = hal_kernel();
	uint32_t lost = 0;
	for (uint32_t i = 0; kernel->trace != NULL && i < kernel->cpu_count; i++)
		lost += atomic_load_u32_relaxed_nopoint(&kernel->cpus[i]->trace->ring.lost);
	return lost;
}
