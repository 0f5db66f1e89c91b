// SPDX-License-Identifier: MIT
//
// Log lines: built on the caller's stack, copied into the instance's ring, and, if urgent enough, written to the console
// as one piece. The record is zeroed first, because the ring keeps it whole and nothing uninitialised may be kept.
#include "base_impl.h"

#include "hal/clock.h"
#include "hal/console.h"
#include "hal/hal.h"
#include "kern/counter.h"
#include "kern/fmt.h"
#include "kern/hash.h"
#include "kern/math.h"
#include "kern/string.h"

static_assert(sizeof(struct log_record) % sizeof(uintptr_t) == 0, "a ring copies whole words");

static const char *const level_names[LOG_LEVEL_COUNT] = {"emerg", "alert",  "crit", "err",
							 "warn",  "notice", "info", "debug"};

const char *log_level_name(enum log_level level)
{
	return (uint32_t)level < LOG_LEVEL_COUNT ? level_names[level] : "?";
}

static enum log_level console_default(const struct kernel *kernel)
{
	return (kernel->flags & HAL_BOOT_QUIET) != 0 ? LOG_ERR : LOG_NOTICE;
}

err_t log_init(struct kernel *kernel, uint32_t slot_count)
{
	struct log_state *log = boot_alloc(kernel, sizeof *log, CACHE_LINE_SIZE);
	void *memory = boot_alloc(kernel, ring_size_bytes(slot_count, sizeof(struct log_record)), CACHE_LINE_SIZE);

	if (log == NULL || memory == NULL)
		return ERR(ENOMEM);
	ring_init(&log->ring, memory, slot_count, sizeof(struct log_record));
	log->console_level = console_default(kernel);
	log->ring_level = CONFIG_ASSERTS ? LOG_DEBUG : LOG_INFO;
	kernel->log = log;
	return 0;
}

size_t log_format(const struct log_record *record, char *line, size_t size_bytes)
{
	uint64_t us = record->ts_ns / NS_PER_US;
	size_t length = ksnprintf(line, size_bytes, "[%5llu.%06u] %s", (unsigned long long)(us / 1000000),
				  (uint32_t)(us % 1000000), record->text);
	return MIN(length, size_bytes - 1);
}

static void record_begin(struct log_record *record, enum log_level level)
{
	const struct cpu *cpu = this_cpu();

	memset(record, 0, sizeof *record);
	record->ts_ns = hal_clock_mono_ns();
	record->thread = current->id;
	record->cpu = cpu != NULL ? (uint16_t)cpu->hal.index : 0;
	record->level = (uint8_t)level;
}

static void record_to_console(const struct log_record *record)
{
	char line[LOG_LINE_SIZE + 1];
	size_t length = log_format(record, line, LOG_LINE_SIZE);
	line[length++] = '\n';
	hal_console_write(line, length);
}

static void record_deliver(const struct log_record *record)
{
	struct kernel *kernel = hal_kernel();
	struct log_state *log = kernel->log;

	counter_inc(COUNTER_LOG_LINES);
	trace_emit(TRACE_LOG_LINE, record->level, record->length);
	if (log != NULL && record->level <= atomic_load_u32_relaxed_nopoint(&log->ring_level))
		(void)ring_write(&log->ring, record); // a line given up is counted there
	if (record->level <= (uint32_t)log_console_level())
		record_to_console(record);
}

void log_write_args(enum log_level level, const char *format, va_list arguments)
{
	struct log_record record;

	record_begin(&record, level);
	size_t length = kvsnprintf(record.text, sizeof record.text, format, arguments);
	record.length = (uint8_t)MIN(length, sizeof record.text - 1);
	record_deliver(&record);
}

void log_write(enum log_level level, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	log_write_args(level, format, arguments);
	va_end(arguments);
}

void log_write_limited(enum log_level level, const char *file, uint32_t line, const char *format, ...)
{
	struct log_state *log = hal_kernel()->log;
	struct log_record record;
	struct fmt_buffer text;
	uint32_t held_back = 0;
	va_list arguments;

	record_begin(&record, level);
	if (log != NULL) {
		uint32_t key = hash_combine((uint32_t)image_offset(file), line) | 1u;
		if (!log_limit_admit(log->sites, key, record.ts_ns, &held_back)) {
			counter_inc(COUNTER_LOG_LIMITED);
			return;
		}
	}
	fmt_init(&text, record.text, sizeof record.text);
	if (held_back != 0)
		fmt_append(&text, "(%u held back) ", held_back);
	va_start(arguments, format);
	fmt_append_args(&text, format, arguments);
	va_end(arguments);
	record.length = (uint8_t)MIN(text.length, sizeof record.text - 1);
	record_deliver(&record);
}

void log_write_ring(enum log_level level, const char *text)
{
	struct log_state *log = hal_kernel()->log;
	struct log_record record;

	if (log == NULL)
		return;
	record_begin(&record, level);
	record.length = (uint8_t)MIN(strlcpy(record.text, text, sizeof record.text), sizeof record.text - 1);
	(void)ring_write(&log->ring, &record);
}

void log_set_console_level(enum log_level level)
{
	if (hal_kernel()->log != NULL)
		atomic_store_u32_relaxed_nopoint(&hal_kernel()->log->console_level, level);
}

enum log_level log_console_level(void)
{
	const struct kernel *kernel = hal_kernel();
	if (kernel->log == NULL)
		return console_default(kernel);
	return (enum log_level)atomic_load_u32_relaxed_nopoint(&kernel->log->console_level);
}

void log_set_ring_level(enum log_level level)
{
	if (hal_kernel()->log != NULL)
		atomic_store_u32_relaxed_nopoint(&hal_kernel()->log->ring_level, level);
}

enum log_level log_ring_level(void)
{
	const struct log_state *log = hal_kernel()->log;
	return log == NULL ? LOG_EMERG : (enum log_level)atomic_load_u32_relaxed_nopoint(&log->ring_level);
}

void log_cursor_init(struct ring_cursor *cursor)
{
	const struct log_state *log = hal_kernel()->log;

	if (log == NULL)
		*cursor = (struct ring_cursor){0};
	else
		ring_cursor_init(&log->ring, cursor);
}

bool log_cursor_next(struct ring_cursor *cursor, struct log_record *record)
{
	const struct log_state *log = hal_kernel()->log;
	return log != NULL && ring_cursor_next(&log->ring, cursor, record);
}

void log_clear(void)
{
	if (hal_kernel()->log != NULL)
		ring_clear(&hal_kernel()->log->ring);
}

uint32_t log_lost(void)
{
	const struct log_state *log = hal_kernel()->log;
	return log == NULL ? 0 : atomic_load_u32_relaxed_nopoint(&log->ring.lost);
}
