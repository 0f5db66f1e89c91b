// SPDX-License-Identifier: MIT
//
// SHA-256: buffering, padding, the portable compression function, and the choice of the faster one.
#include "sim_sha256.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are swapped on the way in and out");

const uint32_t sim_sha256_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotate(uint32_t x, unsigned count)
{
	return x >> count | x << (32 - count);
}

// Word `round` of the message schedule; the last sixteen live in w.
static inline uint32_t schedule(uint32_t w[16], unsigned round)
{
	uint32_t w15 = w[(round + 1) & 15];
	uint32_t w2 = w[(round + 14) & 15];
	uint32_t s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ w15 >> 3;
	uint32_t s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ w2 >> 10;
	return w[round & 15] += s0 + w[(round + 9) & 15] + s1;
}

// One round with the eight variables passed in rotated order, so that none has to be moved.
static inline void step(uint32_t v[8], unsigned round, uint32_t word)
{
#define V(name) v[((name)-round) & 7]
	uint32_t a = V(0), e = V(4);
	uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
	uint32_t choice = (e & V(5)) ^ (~e & V(6));
	uint32_t t1 = V(7) + s1 + choice + sim_sha256_constants[round] + word;
	uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
	uint32_t majority = (a & V(1)) ^ (a & V(2)) ^ (V(1) & V(2));
	V(3) += t1;
	V(7) = t1 + s0 + majority;
#undef V
}

static void block_c(uint32_t state[8], const uint8_t *bytes)
{
	uint32_t w[16];
	uint32_t v[8];
	memcpy(w, bytes, sizeof(w));
	memcpy(v, state, sizeof(v));
#pragma GCC unroll 16
	for (unsigned round = 0; round < 16; ++round) {
		w[round] = __builtin_bswap32(w[round]);
		step(v, round, w[round]);
	}
#pragma GCC unroll 16
	for (unsigned round = 16; round < 64; ++round)
		step(v, round, schedule(w, round));
	for (unsigned i = 0; i < 8; ++i)
		state[i] += v[i];
}

void sim_sha256_blocks_c(uint32_t state[8], const uint8_t *blocks, size_t count)
{
	for (; count > 0; --count, blocks += SIM_SHA256_BLOCK)
		block_c(state, blocks);
}

void sim_sha256_init(struct sim_sha256 *sha)
{
	static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	memset(sha, 0, sizeof(*sha));
	memcpy(sha->state, initial, sizeof(initial));
	sha->blocks = sim_sha256_blocks_c;
#if defined(__x86_64__)
	if (sim_sha256_has_x86())
		sha->blocks = sim_sha256_blocks_x86;
#endif
}

void sim_sha256_update(struct sim_sha256 *sha, const void *bytes, size_t size_bytes)
{
	const uint8_t *next = bytes;
	size_t used = sha->size_bytes % SIM_SHA256_BLOCK;
	sha->size_bytes += size_bytes;
	if (used > 0) {
		size_t room = SIM_SHA256_BLOCK - used;
		size_t part = size_bytes < room ? size_bytes : room;
		memcpy(sha->block + used, next, part);
		next += part;
		size_bytes -= part;
		if (part < room)
			return;
		sha->blocks(sha->state, sha->block, 1);
	}
	sha->blocks(sha->state, next, size_bytes / SIM_SHA256_BLOCK);
	next += size_bytes / SIM_SHA256_BLOCK * SIM_SHA256_BLOCK;
	memcpy(sha->block, next, size_bytes % SIM_SHA256_BLOCK);
}

void sim_sha256_final(const struct sim_sha256 *sha, uint8_t digest[32])
{
	static const uint8_t padding[SIM_SHA256_BLOCK] = {0x80};
	struct sim_sha256 copy = *sha;
	uint64_t bits = __builtin_bswap64(sha->size_bytes * 8);
	size_t used = sha->size_bytes % SIM_SHA256_BLOCK;
	sim_sha256_update(&copy, padding, (used < 56 ? 56 : 120) - used);
	sim_sha256_update(&copy, &bits, sizeof(bits));
	for (unsigned i = 0; i < 8; ++i) {
		uint32_t word = __builtin_bswap32(copy.state[i]);
		memcpy(digest + i * 4, &word, 4);
	}
}
