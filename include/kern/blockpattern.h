// SPDX-License-Identifier: MIT
//
// A pattern that tells one block's contents from every other's: written when a block is handed out, checked when it comes
// back. A wrong byte means that two owners had the memory at once, or that it was written after its release.
// Pure and inline; shared by the monitor's `stress` and the host's peers, so that both do the same work.
#ifndef KERN_BLOCKPATTERN_H
#define KERN_BLOCKPATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A well-mixed 64-bit word from any 64-bit word (the finaliser of SplitMix64: Steele, Lea, Flood, OOPSLA 2014).
static inline uint64_t pattern_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

// The key of one life of a slot's block, for worker `worker`; `birth` tells apart the lives.
static inline uint64_t pattern_key(uint32_t worker, uint32_t slot, uint64_t birth)
{
	return pattern_mix(((uint64_t)worker << 32 | slot) ^ birth * 0x9e3779b97f4a7c15u);
}

// Word `index` of the pattern: neighbouring words differ, and a block moved by a few words does not match.
static inline uint64_t pattern_word(uint64_t key, size_t index)
{
	return key + index * 0x9e3779b97f4a7c15u;
}

// Bytes [from, size_bytes) of an 8-byte aligned block; `from` need not be aligned.
static inline void pattern_fill(void *block, size_t from, size_t size_bytes, uint64_t key)
{
	uint8_t *bytes = block;
	uint64_t *words = block;
	size_t at = from;

	for (; at < size_bytes && at % 8 != 0; at++)
		bytes[at] = (uint8_t)(pattern_word(key, at / 8) >> (at % 8 * 8));
	for (; at + 8 <= size_bytes; at += 8)
		words[at / 8] = pattern_word(key, at / 8);
	for (; at < size_bytes; at++)
		bytes[at] = (uint8_t)(pattern_word(key, at / 8) >> (at % 8 * 8));
}

// Whether bytes [0, size_bytes) hold the pattern.
static inline bool pattern_check(const void *block, size_t size_bytes, uint64_t key)
{
	const uint8_t *bytes = block;
	const uint64_t *words = block;
	uint64_t wrong = 0;
	size_t at = 0;

	for (; at + 8 <= size_bytes; at += 8)
		wrong |= words[at / 8] ^ pattern_word(key, at / 8);
	for (; at < size_bytes; at++)
		wrong |= (uint64_t)(bytes[at] ^ (uint8_t)(pattern_word(key, at / 8) >> (at % 8 * 8)));
	return wrong == 0;
}

// Whether bytes [0, size_bytes) are zero.
static inline bool pattern_zero_check(const void *block, size_t size_bytes)
{
	const uint8_t *bytes = block;
	uint8_t any = 0;

	for (size_t at = 0; at < size_bytes; at++)
		any |= bytes[at];
	return any == 0;
}

// A block size as small objects have them: 16 … 1,023 bytes, each doubling equally likely.
static inline uint32_t pattern_size_draw(uint64_t random)
{
	uint32_t shift = 4 + (uint32_t)(random % 6);

	return (1u << shift) + ((uint32_t)(random >> 32) & ((1u << shift) - 1));
}

#endif
