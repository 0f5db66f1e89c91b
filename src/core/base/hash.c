// SPDX-License-Identifier: MIT
//
// FNV-1a over bytes and strings.
#include "kern/hash.h"

#define FNV32_BASIS 0x811c9dc5u
#define FNV32_PRIME 0x01000193u
#define FNV64_BASIS 0xcbf29ce484222325ull
#define FNV64_PRIME 0x00000100000001b3ull

uint32_t hash_bytes(const void *bytes, size_t size_bytes)
{
	const uint8_t *byte = bytes;
	uint32_t hash = FNV32_BASIS;
	for (size_t i = 0; i < size_bytes; i++)
		hash = (hash ^ byte[i]) * FNV32_PRIME;
	return hash_u32(hash);
}

uint32_t hash_str(const char *text)
{
	uint32_t hash = FNV32_BASIS;
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * FNV32_PRIME;
	return hash_u32(hash);
}

uint64_t hash_str_u64(const char *text)
{
	uint64_t hash = FNV64_BASIS;
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * FNV64_PRIME;
	return hash_u64(hash);
}
