// SPDX-License-Identifier: MIT
//
// The four memory functions every compiler may call, for HALs that have no C library to take them from. Word at a time where
// both ends are aligned alike; a bare HAL with something better for its CPU links that instead.
#include <stdint.h>
#include <string.h>

#undef memcpy
#undef memmove
#undef memset
#undef memcmp

typedef uintptr_t __attribute__((__may_alias__)) word_t;

#define WORD_MASK (sizeof(word_t) - 1)

void *memcpy(void *restrict to, const void *restrict from, size_t size_bytes)
{
	uint8_t *out = to;
	const uint8_t *in = from;

	if ((((uintptr_t)out ^ (uintptr_t)in) & WORD_MASK) == 0) {
		for (; size_bytes != 0 && ((uintptr_t)out & WORD_MASK) != 0; size_bytes--)
			*out++ = *in++;
		for (; size_bytes >= sizeof(word_t); size_bytes -= sizeof(word_t)) {
			*(word_t *)(void *)out = *(const word_t *)(const void *)in;
			out += sizeof(word_t);
			in += sizeof(word_t);
		}
	}
	while (size_bytes-- != 0)
		*out++ = *in++;
	return to;
}

void *memmove(void *to, const void *from, size_t size_bytes)
{
	uint8_t *out = to;
	const uint8_t *in = from;

	if ((uintptr_t)out - (uintptr_t)in >= size_bytes)
		return memcpy(to, from, size_bytes);
	while (size_bytes-- != 0)
		out[size_bytes] = in[size_bytes];
	return to;
}

void *memset(void *to, int byte, size_t size_bytes)
{
	uint8_t *out = to;
	word_t pattern = (word_t)(uint8_t)byte * (UINTPTR_MAX / UINT8_MAX);

	for (; size_bytes != 0 && ((uintptr_t)out & WORD_MASK) != 0; size_bytes--)
		*out++ = (uint8_t)byte;
	for (; size_bytes >= sizeof(word_t); size_bytes -= sizeof(word_t)) {
		*(word_t *)(void *)out = pattern;
		out += sizeof(word_t);
	}
	while (size_bytes-- != 0)
		*out++ = (uint8_t)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t size_bytes)
{
	const uint8_t *x = a;
	const uint8_t *y = b;

	for (; size_bytes != 0; size_bytes--, x++, y++) {
		if (*x != *y)
			return *x < *y ? -1 : 1;
	}
	return 0;
}
