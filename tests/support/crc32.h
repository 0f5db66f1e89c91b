// SPDX-License-Identifier: MIT
//
// CRC-32 (IEEE 802.3) bit by bit: a second reading of what the kernel does by table.
#ifndef TESTS_SUPPORT_CRC32_H
#define TESTS_SUPPORT_CRC32_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t crc32_bitwise(const uint8_t *bytes, size_t size_bytes)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size_bytes; i++) {
		crc ^= bytes[i];
		for (uint32_t bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
	}
	return ~crc;
}

#endif
