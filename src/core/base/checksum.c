// SPDX-License-Identifier: MIT
//
// The one file that knows xxHash.
#include "kern/checksum.h"

#include <xxhash.h>

uint64_t checksum_xxh64(const void *bytes, size_t size_bytes, uint64_t seed)
{
	return XXH64(bytes, size_bytes, seed);
}

uint64_t checksum_xxh3(const void *bytes, size_t size_bytes, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes, size_bytes, seed);
}
