// SPDX-License-Identifier: MIT
//
// The string functions of C and BSD that kernel code uses. Byte loops: no kernel path is bound by them, and a loop reads
// nothing behind the terminator, which the address sanitizer would report.
#include "kern/string.h"

size_t strlen(const char *text)
{
	const char *end = text;
	while (*end != '\0')
		end++;
	return (size_t)(end - text);
}

size_t strnlen(const char *text, size_t limit_bytes)
{
	size_t length = 0;
	while (length < limit_bytes && text[length] != '\0')
		length++;
	return length;
}

int strcmp(const char *a, const char *b)
{
	for (; *a == *b && *a != '\0'; a++, b++)
		;
	return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t limit_bytes)
{
	for (; limit_bytes > 0; a++, b++, limit_bytes--)
		if (*a != *b || *a == '\0')
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}

// The terminator counts as part of the text, here and below (7.24.5.2).
char *strchr(const char *text, int byte)
{
	for (; *text != (char)byte; text++)
		if (*text == '\0')
			return NULL;
	return (char *)(uintptr_t)text;
}

char *strrchr(const char *text, int byte)
{
	const char *found = NULL;
	do {
		if (*text == (char)byte)
			found = text;
	} while (*text++ != '\0');
	return (char *)(uintptr_t)found;
}

char *strstr(const char *text, const char *part)
{
	size_t part_length = strlen(part);
	for (;; text++) {
		if (strncmp(text, part, part_length) == 0)
			return (char *)(uintptr_t)text;
		if (*text == '\0')
			return NULL;
	}
}

void *memchr(const void *bytes, int byte, size_t size_bytes)
{
	const unsigned char *at = bytes;
	for (; size_bytes > 0; at++, size_bytes--)
		if (*at == (unsigned char)byte)
			return (void *)(uintptr_t)at;
	return NULL;
}

size_t strlcpy(char *to, const char *from, size_t size_bytes)
{
	size_t length = strlen(from);
	if (size_bytes != 0) {
		size_t kept = MIN(length, size_bytes - 1);
		memcpy(to, from, kept);
		to[kept] = '\0';
	}
	return length;
}

size_t strlcat(char *to, const char *from, size_t size_bytes)
{
	size_t used = strnlen(to, size_bytes);
	return used + strlcpy(to + used, from, size_bytes - used);
}
