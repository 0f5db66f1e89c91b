// SPDX-License-Identifier: MIT
//
// The kernel's log: levels of RFC 5424, a ring per instance that dmesg reads, the important part on the console as well.
// A line is one record of at most LOG_TEXT_SIZE-1 bytes, without newline, beginning with the subsystem: "slab: …".
// Writing takes no lock and no memory and works in any context, interrupts and panics included, on every CPU at once;
// before base_init() lines go straight to the console. Nothing is lost but the oldest lines (and, counted, a line whose
// slot is still being written a whole ring later).
#ifndef KERN_LOG_H
#define KERN_LOG_H

#include <stdarg.h>

#include "kern/ring.h"

enum log_level {
	LOG_EMERG,
	LOG_ALERT,
	LOG_CRIT,
	LOG_ERR,
	LOG_WARN,
	LOG_NOTICE,
	LOG_INFO,
	LOG_DEBUG,
	LOG_LEVEL_COUNT
};

// A record and its line are built on the stack, which is small on tiny machines.
#define LOG_TEXT_SIZE (CONFIG_TINY ? 72u : 232u)
#define LOG_LINE_SIZE (LOG_TEXT_SIZE + 32u) // enough for log_format()

struct log_record {
	uint64_t ts_ns; // monotonic clock
	uint32_t thread;
	uint16_t cpu;
	uint8_t level; // enum log_level
	uint8_t length;
	char text[LOG_TEXT_SIZE]; // terminated
};

// Conversions are kern/fmt.h's. Any context.
void log_write(enum log_level level, const char *format, ...) printf_like(2, 3);
void log_write_args(enum log_level level, const char *format, va_list arguments) printf_like(2, 0);

#define log_emerg(...) log_write(LOG_EMERG, __VA_ARGS__)
#define log_alert(...) log_write(LOG_ALERT, __VA_ARGS__)
#define log_crit(...) log_write(LOG_CRIT, __VA_ARGS__)
#define log_err(...) log_write(LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

// The same for places that may fire endlessly: at most LOG_LIMIT_BURST lines in each window of 2^32 ns (4.3 s) per call
// site; the first line of a later window says how many were held back.
#define LOG_LIMIT_BURST 8u
#define log_limited(level, ...) log_write_limited(level, __FILE__, __LINE__, __VA_ARGS__)
#define log_err_limited(...) log_limited(LOG_ERR, __VA_ARGS__)
#define log_warn_limited(...) log_limited(LOG_WARN, __VA_ARGS__)
#define log_info_limited(...) log_limited(LOG_INFO, __VA_ARGS__)
void log_write_limited(enum log_level level, const char *file, uint32_t line, const char *format, ...)
	printf_like(4, 5);

// Lines above (less urgent than) the level stay off the console, or out of the ring. Defaults: console NOTICE, or ERR with
// HAL_BOOT_QUIET; ring DEBUG in builds with assertions, else INFO. Any context.
void log_set_console_level(enum log_level level);
enum log_level log_console_level(void);
void log_set_ring_level(enum log_level level);
enum log_level log_ring_level(void);

// Walks the ring, oldest first, over what is there when the cursor is made; lines overwritten meanwhile are skipped. Any context.
void log_cursor_init(struct ring_cursor *cursor);
bool log_cursor_next(struct ring_cursor *cursor, struct log_record *record);

// Forgets what is in the ring. Any context.
void log_clear(void);

// Lines that could not be kept, see above.
uint32_t log_lost(void);

// "[   12.345678] text" into `line`; returns its length without terminator, < size_bytes. Pure.
size_t log_format(const struct log_record *record, char *line, size_t size_bytes);

const char *log_level_name(enum log_level level); // "emerg" … "debug"

#endif
