// SPDX-License-Identifier: MIT
//
// Fast hashes for tables inside one instance; not against an adversary (a network table takes a keyed hash) and not for
// disks. The results are the same on every machine, because the order in a table may show in a trace. Pure; any context.
#ifndef KERN_HASH_H
#define KERN_HASH_H

#include "kern/compiler.h"

// A permutation of 32-bit numbers (Wellons' "triple32" search, lowbias32: bias 0.17).
static inline uint32_t hash_u32(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	x ^= x >> 16;
	return x;
}

// A permutation of 64-bit numbers (SplitMix64's finaliser; Steele, Lea, Flood 2014, variant 13 of Stafford).
static inline uint64_t hash_u64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint32_t hash_combine(uint32_t hash, uint32_t value)
{
	return hash_u32(hash ^ (value + 0x9e3779b9u + (hash << 6) + (hash >> 2)));
}

// FNV-1a (Fowler, Noll, Vo) over the bytes, finished by hash_u32(), which spreads its weak low bits.
uint32_t hash_bytes(const void *bytes, size_t size_bytes);
uint32_t hash_str(const char *text);
uint64_t hash_str_u64(const char *text); // 64-bit FNV-1a, finished by hash_u64()

#endif
