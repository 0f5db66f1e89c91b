// SPDX-License-Identifier: MIT
//
// The log of machines whose stacks and RAM have no room for records: lines go to the console or nowhere, cut to what a small
// buffer holds. Same interface as log.c; the ring is always empty.
#include "base_impl.h"

#include "hal/console.h"
#include "kern/fmt.h"
#include "kern/math.h"
#include "kern/string.h"

#define TEXT_SIZE 56u

static const char *const level_names[LOG_LEVEL_COUNT] = {"emerg", "alert",  "crit", "err",
							 "warn",  "notice", "info", "debug"};

const char *log_level_name(enum log_level level)
{
	return (uint32_t)level < LOG_LEVEL_COUNT ? level_names[level] : "?";
}

err_t log_init(struct kernel *kernel, uint32_t slot_count)
{
	(void)kernel;
	(void)slot_count;
	return ERR(EINVAL); // the persona wants a ring
}

void log_write_args(enum log_level level, const char *format, va_list arguments)
{
	char text[TEXT_SIZE];

	if (level > log_console_level())
		return;
	size_t length = kvsnprintf(text, sizeof text, format, arguments);
	hal_console_write(text, MIN(length, sizeof text - 1));
	hal_console_write("\r\n", 2);
}

void log_write(enum log_level level, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	log_write_args(level, format, arguments);
	va_end(arguments);
}

// Without memory of what was said before, nothing is held back.
void log_write_limited(enum log_level level, const char *file, uint32_t line, const char *format, ...)
{
	va_list arguments;
	(void)file;
	(void)line;
	va_start(arguments, format);
	log_write_args(level, format, arguments);
	va_end(arguments);
}

void log_write_ring(enum log_level level, const char *text)
{
	(void)level;
	(void)text;
}

void log_set_console_level(enum log_level level)
{
	(void)level;
}

enum log_level log_console_level(void)
{
	return LOG_NOTICE;
}

void log_set_ring_level(enum log_level level)
{
	(void)level;
}

enum log_level log_ring_level(void)
{
	return LOG_EMERG;
}

void log_cursor_init(struct ring_cursor *cursor)
{
	*cursor = (struct ring_cursor){0};
}

bool log_cursor_next(struct ring_cursor *cursor, struct log_record *record)
{
	(void)cursor;
	(void)record;
	return false;
}

void log_clear(void)
{
}

uint32_t log_lost(void)
{
	return 0;
}

size_t log_format(const struct log_record *record, char *line, size_t size_bytes)
{
	return MIN(strlcpy(line, record->text, size_bytes), size_bytes - 1);
}
