// SPDX-License-Identifier: MIT
//
// Strings and numbers in text. memcpy and its three kin come from the HAL's side through freestd's <string.h>; names that
// C or BSD defines mean what C17 7.24 and strlcpy(3) say. Everything is pure; any context.
#ifndef KERN_STRING_H
#define KERN_STRING_H

#include <string.h>

#include "kern/err.h"

size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit_bytes); // POSIX
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit_bytes);
char *strchr(const char *text, int byte);
char *strrchr(const char *text, int byte);
char *strstr(const char *text, const char *part);
void *memchr(const void *bytes, int byte, size_t size_bytes);

// Copy, or append, what fits in the whole buffer of size_bytes, always terminated (unless size_bytes is 0, or strlcat finds
// no terminator). Return the length of the text they tried to make: it was cut when that is ≥ size_bytes.
size_t strlcpy(char *to, const char *from, size_t size_bytes);
size_t strlcat(char *to, const char *from, size_t size_bytes);

static inline bool str_equal(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool str_has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

// The whole of `text` as a number in `base` 2 … 36; base 0 takes decimal, or hexadecimal after "0x". No blanks; a sign only
// in the signed form. *value is written on success alone. Errors: -EINVAL (no digits, a stray character), -ERANGE.
err_t str_to_u64(const char *text, uint32_t base, uint64_t *value) must_check;
err_t str_to_i64(const char *text, uint32_t base, int64_t *value) must_check;
err_t str_to_u32(const char *text, uint32_t base, uint32_t *value) must_check;

// A decimal or hexadecimal size with an optional K, M, G or T (×1024 each; either case). Errors as above.
err_t str_to_size(const char *text, uint64_t *size_bytes) must_check;

#endif
