// SPDX-License-Identifier: MIT
//
// Static trace points: trace_emit(TRACE_SCHED_SWITCH, from, to). The events are the rows of kern/trace_table.h; each goes
// into the ring of the CPU that emits it, and to the HAL when the engine asks (the simulator hashes it, a sink writes it).
// Arguments are numbers that are the same in every run of one seed: ids, sizes, offsets, times; never addresses. A point
// that is off costs two loads and a branch. No lock, no memory, no schedule point; any context.
#ifndef KERN_TRACE_H
#define KERN_TRACE_H

#include "kern/image.h"
#include "kern/kernel.h"
#include "kern/ring.h"
#include "kern/trace_table.h"

enum trace_event {
#define X(id, name, label_a, kind_a, label_b, kind_b) id,
	TRACE_TABLE(X)
#undef X
	TRACE_EVENT_COUNT
};

#define TRACE_WORDS ((TRACE_EVENT_COUNT + 31) / 32)
#define TRACE_LINE_SIZE 320u // enough for trace_format() and trace_format_json()

struct trace_record {
	uint64_t ts_ns;
	uint32_t cpu;
	uint32_t event; // enum trace_event
	uint32_t thread;
	uint32_t reserved;
	uint64_t a, b;
};

// Kernel's: what is on. The ring of each CPU is struct cpu's trace.
struct trace_state {
	uint32_t enabled[TRACE_WORDS]; // atomic: wanted by anybody
	uint32_t ringed[TRACE_WORDS];  // atomic: wanted in the rings
	uint32_t sink;                 // immutable: the HAL wants every event
	struct trace_hash *hash;       // atomic: somebody hashes (kern/trace_hash.h)
};

struct trace_cpu {
	struct ring ring; // struct trace_record
};

void trace_write(enum trace_event event, uint64_t a, uint64_t b);

static inline bool trace_is_enabled(enum trace_event event)
{
	const struct trace_state *state = hal_kernel()->trace;
	return state != NULL &&
	       (atomic_load_u32_relaxed_nopoint(&state->enabled[event / 32u]) >> (event % 32u) & 1u) != 0;
}

static inline void trace_emit(enum trace_event event, uint64_t a, uint64_t b)
{
	if (unlikely(trace_is_enabled(event)))
		trace_write(event, a, b);
}

// A place in the source as an argument of kind TRACE_SITE.
static inline uint64_t trace_site(const char *file, uint32_t line)
{
	return (uint64_t)line << 32 | (uint32_t)image_offset(file);
}

// Switches events into or out of the rings: "all", a group ("sched") or one event ("sched.switch"). What the HAL wants is
// not affected. Default: all with HAL_BOOT_TRACE or HAL_BOOT_SIMULATED, or in builds with assertions; else none. Any
// context. Errors: -ENOENT (nothing by that name).
err_t trace_enable(const char *pattern, bool on) must_check;
bool trace_is_ringed(enum trace_event event);

// Walks the rings of all CPUs by time, then by CPU, over what they hold when the cursor is made. Any context.
struct trace_cursor {
	struct ring_cursor cpus[CONFIG_MAX_CPUS];
};
void trace_cursor_init(struct trace_cursor *cursor);
bool trace_cursor_next(struct trace_cursor *cursor, struct trace_record *record);

// Empties the rings. Any context.
void trace_clear(void);

// Events that found their slot still being written. Any context.
uint32_t trace_lost(void);

// One record as a line of text or one JSON object, without newline; returns the length, < size_bytes. Pure.
size_t trace_format(const struct trace_record *record, char *line, size_t size_bytes);
size_t trace_format_json(const struct trace_record *record, char *line, size_t size_bytes);

const char *trace_event_name(uint32_t event); // "sched.switch"; "?" beyond the table

#endif
