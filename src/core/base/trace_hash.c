// SPDX-License-Identifier: MIT
//
// The event hash. Everything here may run in an interrupt that interrupted it: then an event is in front of another, or a thread
// has two numbers, and only the figure suffers. With a stepped clock nothing comes at such a time.
#include "base_impl.h"

#include "hal/clock.h"
#include "hal/console.h"
#include "kern/cpu.h"
#include "kern/fmt.h"
#include "kern/string.h"
#include "kern/thread.h"

#define FNV_BASIS 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull
#define LINE_SIZE 160u

static const uint8_t argument_kinds[TRACE_EVENT_COUNT][2] = {
#define X(id, name, label_a, kind_a, label_b, kind_b) [id] = {kind_a, kind_b},
	TRACE_TABLE(X)
#undef X
};

static uint64_t hash_bytes(uint64_t state, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		state = (state ^ (uint8_t)bytes[i]) * FNV_PRIME;
	return state;
}

// Least significant byte first, on every machine.
static uint64_t hash_word(uint64_t state, uint64_t word)
{
	for (uint32_t i = 0; i < 8; i++, word >>= 8)
		state = (state ^ (word & 0xff)) * FNV_PRIME;
	return state;
}

static uint32_t thread_number(struct trace_hash *hash, uint32_t id)
{
	uint32_t count = MIN(hash->thread_count, TRACE_HASH_THREADS);
	for (uint32_t i = 0; i < count; i++)
		if (hash->threads[i] == id)
			return i;
	if (count < TRACE_HASH_THREADS) {
		hash->threads[count] = id;
		hash->thread_count = count + 1;
	}
	return count;
}

static uint64_t text_hash(uint64_t offset)
{
	const char *text = image_pointer((intptr_t)offset);
	return image_contains(text) ? hash_bytes(FNV_BASIS, text, strlen(text)) : 0;
}

// What of an argument is the same on every machine.
static uint64_t argument_value(struct trace_hash *hash, enum trace_kind kind, uint64_t value)
{
	switch (kind) {
	case TRACE_THREAD:
		return value == 0 ? UINT32_MAX : thread_number(hash, (uint32_t)value);
	case TRACE_TIME:
		return value == TB_FOREVER ? value : value - hash->start_ns;
	case TRACE_TEXT:
		return text_hash(value);
	case TRACE_NONE:
	case TRACE_BYTES:
	case TRACE_COUNT:
	case TRACE_FRAME:
	case TRACE_PLACE:
	case TRACE_SERIAL:
	case TRACE_IMAGE:
	case TRACE_SITE:
		return 0;
	case TRACE_DEC:
	case TRACE_SIGNED:
	case TRACE_HEX:
	case TRACE_NS:
	case TRACE_ERROR:
	case TRACE_CPU:
	default:
		return value;
	}
}

static void event_print(const struct trace_hash *hash, uint32_t event, uint32_t thread, uint64_t a, uint64_t b)
{
	char line[LINE_SIZE];
	ksnprintf(line, sizeof line, "event %u: thread %u %s %llx %llx\n", hash->events, thread,
		  trace_event_name(event), (unsigned long long)a, (unsigned long long)b);
	hal_console_write(line, strlen(line));
}

// What an allocator takes from below depends on what it was left with.
static bool event_is_history(uint32_t event)
{
	return event == TRACE_FRAME_ALLOC || event == TRACE_FRAME_FREE || event == TRACE_SLAB_GROW ||
	       event == TRACE_SLAB_SHRINK;
}

void trace_hash_event(struct trace_hash *hash, const struct trace_record *record)
{
	if (event_is_history(record->event))
		return;
	const uint8_t *kinds = argument_kinds[record->event];
	uint32_t thread = thread_number(hash, record->thread);
	uint64_t a = argument_value(hash, kinds[0], record->a);
	uint64_t b = argument_value(hash, kinds[1], record->b);

	hash->hash = hash_word(hash_word(hash_word(hash_word(hash->hash, record->event), thread), a), b);
	if (hash->print)
		event_print(hash, record->event, thread, a, b);
	hash->events++;
}

err_t trace_hash_begin(struct trace_hash *hash, bool print)
{
	struct trace_state *state = kernel_self()->trace;
	struct trace_hash *none = NULL;

	if (kernel_self()->cpu_count != 1)
		return ERR(EINVAL);
	if (state == NULL)
		return ERR(ENOENT);
	*hash = (struct trace_hash){.hash = FNV_BASIS, .start_ns = hal_clock_mono_ns(), .print = print};
	if (!atomic_cmpxchg_ptr_acq_rel(&state->hash, &none, hash))
		return ERR(EBUSY);
	for (uint32_t i = 0; i < TRACE_WORDS; i++)
		atomic_store_u32_relaxed_nopoint(&state->enabled[i], UINT32_MAX);
	return 0;
}

void trace_hash_end(struct trace_hash *hash)
{
	struct trace_state *state = kernel_self()->trace;

	VERIFY3(atomic_load_ptr_relaxed(&state->hash), ==, hash);
	for (uint32_t i = 0; i < TRACE_WORDS && !state->sink; i++)
		atomic_store_u32_relaxed_nopoint(&state->enabled[i],
						 atomic_load_u32_relaxed_nopoint(&state->ringed[i]));
	atomic_store_ptr_release(&state->hash, NULL);
}
