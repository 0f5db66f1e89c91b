// SPDX-License-Identifier: MIT
//
// Formatted text, by the rules of C17 7.21.6.1 without floating point. Conversions: %d %i %u %o %x %X %c %s %p %%, flags
// "-+ #0", width and precision as numbers or *, lengths hh h l ll j z t. Two differ from C:
//   %p   never prints an address, because console bytes must not depend on where memory lies: "ram+0x1f40" for a pointer
//        into the instance's RAM, "image+0x12" for code or constants, "(nil)", "(foreign)" for anything else;
//   %pe  prints an error's name: pass ERR_PTR(err).
// An unknown conversion is copied as it stands and takes no argument. Nothing here allocates, locks or fails; any context.
#ifndef KERN_FMT_H
#define KERN_FMT_H

#include <stdarg.h>

#include "kern/compiler.h"

// Writes at most size_bytes bytes, the last of them a terminator (nothing when size_bytes is 0). Returns the length that the
// whole text has, without terminator: the text was cut when that is ≥ size_bytes.
size_t ksnprintf(char *buffer, size_t size_bytes, const char *format, ...) printf_like(3, 4);
size_t kvsnprintf(char *buffer, size_t size_bytes, const char *format, va_list arguments) printf_like(3, 0);

// A text that grows by pieces in the caller's memory, always terminated.
struct fmt_buffer {
	char *bytes;
	size_t size_bytes; // ≥ 1
	size_t length;     // of the whole text; what is kept is shorter when was cut
};

void fmt_init(struct fmt_buffer *out, char *bytes, size_t size_bytes);
void fmt_append(struct fmt_buffer *out, const char *format, ...) printf_like(2, 3);
void fmt_append_args(struct fmt_buffer *out, const char *format, va_list arguments) printf_like(2, 0);
void fmt_append_bytes(struct fmt_buffer *out, const char *bytes, size_t size_bytes);

// The bytes as a JSON string (RFC 8259, section 7) with its quotes; bytes that are not ASCII are escaped as \u00XX.
void fmt_append_json(struct fmt_buffer *out, const char *text);

static inline bool fmt_was_cut(const struct fmt_buffer *out)
{
	return out->length >= out->size_bytes;
}

#endif
