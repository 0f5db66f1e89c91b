// SPDX-License-Identifier: MIT
//
// What the pure part of the bare HAL shares: files of this folder that touch no hardware, and therefore are also compiled hosted,
// for unit tests and fuzzers (pure_sources in meson.build). Error numbers are Linux's; byte-wise access to what firmware wrote.
#ifndef BARE_PURE_H
#define BARE_PURE_H

#include "tbos/types.h"

enum pure_error {
	PURE_ENOENT = 2,    // not there
	PURE_E2BIG = 7,     // larger or deeper than this reader takes
	PURE_ENOMEM = 12,   // no room in the caller's storage
	PURE_EFAULT = 14,   // the bytes could not be mapped
	PURE_EINVAL = 22,   // damaged
	PURE_ERANGE = 34,   // a number outside its range
	PURE_EPROTO = 71,   // of a version or kind that is not understood
	PURE_EOVERFLOW = 75 // does not fit 64 bits
};

#define PURE_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline bool text_equal(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static inline size_t text_size(const char *text)
{
	size_t size = 0;
	while (text[size] != '\0')
		size++;
	return size;
}

// Copies size_bytes of `from` and a NUL; what does not fit is cut, then false.
static inline bool text_copy(char *to, size_t to_size, const char *from, size_t size_bytes)
{
	size_t i = 0;
	while (i < size_bytes && i + 1 < to_size) {
		to[i] = from[i];
		i++;
	}
	to[i] = '\0';
	return i == size_bytes;
}

static inline uint16_t be16(const void *at)
{
	const uint8_t *bytes = (const uint8_t *)at;
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t be32(const void *at)
{
	const uint8_t *bytes = (const uint8_t *)at;
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline uint64_t be64(const void *at)
{
	const uint8_t *bytes = (const uint8_t *)at;
	return (uint64_t)be32(bytes) << 32 | be32(bytes + 4);
}

static inline uint16_t le16(const void *at)
{
	const uint8_t *bytes = (const uint8_t *)at;
	return (uint16_t)(bytes[1] << 8 | bytes[0]);
}

static inline uint32_t le32(const void *at)
{
	const uint8_t *bytes = (const uint8_t *)at;
	return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

static inline uint64_t le64(const void *at)
{
	const uint8_t *bytes = (const uint8_t *)at;
	return (uint64_t)le32(bytes + 4) << 32 | le32(bytes);
}

#endif
