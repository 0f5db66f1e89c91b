// SPDX-License-Identifier: MIT
//
// SHA-256 as FIPS 180-4 writes it, the message schedule kept in sixteen words and the rounds unrolled by eight, so that
// no variable is moved from name to name.
#include "kern/sha256.h"

#include "kern/string.h"

static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t rotate_right(uint32_t x, uint32_t bits)
{
	return x >> bits | x << (32 - bits);
}

static inline uint32_t load_be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline void store_be32(uint8_t *bytes, uint32_t x)
{
	for (uint32_t i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(x >> (24 - 8 * i));
}

// Word t of the schedule, kept at w[t mod 16] (4.1.2 and 6.2.2, step 1).
static inline uint32_t schedule_word(uint32_t w[16], uint32_t t)
{
	uint32_t w15 = w[(t + 1) % 16];
	uint32_t w2 = w[(t + 14) % 16];
	uint32_t sigma0 = rotate_right(w15, 7) ^ rotate_right(w15, 18) ^ w15 >> 3;
	uint32_t sigma1 = rotate_right(w2, 17) ^ rotate_right(w2, 19) ^ w2 >> 10;
	return w[t % 16] += sigma0 + w[(t + 9) % 16] + sigma1;
}

// Round i of eight; v[0…7] are a…h turned by i, so that h of this round is a of the next without moving anything.
static force_inline void round_step(uint32_t v[8], uint32_t i, uint32_t input)
{
	uint32_t a = v[(0 - i) % 8], b = v[(1 - i) % 8], c = v[(2 - i) % 8], e = v[(4 - i) % 8];
	uint32_t f = v[(5 - i) % 8], g = v[(6 - i) % 8];
	uint32_t *d = &v[(3 - i) % 8], *h = &v[(7 - i) % 8];
	uint32_t sum1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
	uint32_t sum0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
	uint32_t t1 = *h + sum1 + (g ^ (e & (f ^ g))) + input;

	*d += t1;
	*h = t1 + sum0 + ((a & b) | (c & (a | b)));
}

static void compress_block(uint32_t state[8], const uint8_t block[SHA256_BLOCK_SIZE])
{
	uint32_t w[16], v[8];

	memcpy(v, state, sizeof v);
	for (uint32_t i = 0; i < 16; i++)
		w[i] = load_be32(block + 4 * i);
#pragma GCC unroll 16
	for (uint32_t i = 0; i < 16; i++)
		round_step(v, i, round_constants[i] + w[i]);
	for (uint32_t t = 16; t < 64; t += 16)
#pragma GCC unroll 16
		for (uint32_t i = 0; i < 16; i++)
			round_step(v, i, round_constants[t + i] + schedule_word(w, i));
	for (uint32_t i = 0; i < 8; i++)
		state[i] += v[i];
}

void sha256_init(struct sha256 *hash)
{
	static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	memcpy(hash->state, initial, sizeof initial);
	hash->length_bytes = 0;
}

void sha256_update(struct sha256 *hash, const void *bytes, size_t size_bytes)
{
	const uint8_t *in = bytes;
	size_t held = hash->length_bytes % SHA256_BLOCK_SIZE;

	hash->length_bytes += size_bytes;
	if (held != 0) {
		size_t wanted = MIN(SHA256_BLOCK_SIZE - held, size_bytes);
		memcpy(hash->block + held, in, wanted);
		in += wanted;
		size_bytes -= wanted;
		if (held + wanted < SHA256_BLOCK_SIZE)
			return;
		compress_block(hash->state, hash->block);
	}
	for (; size_bytes >= SHA256_BLOCK_SIZE; in += SHA256_BLOCK_SIZE, size_bytes -= SHA256_BLOCK_SIZE)
		compress_block(hash->state, in);
	if (size_bytes != 0)
		memcpy(hash->block, in, size_bytes);
}

// A one bit, zeros, and the length in bits make the last block full (5.1.1).
void sha256_final(struct sha256 *hash, uint8_t digest[SHA256_SIZE])
{
	size_t held = hash->length_bytes % SHA256_BLOCK_SIZE;
	uint64_t length_bits = hash->length_bytes * 8;

	hash->block[held++] = 0x80;
	if (held > SHA256_BLOCK_SIZE - 8) {
		memset(hash->block + held, 0, SHA256_BLOCK_SIZE - held);
		compress_block(hash->state, hash->block);
		held = 0;
	}
	memset(hash->block + held, 0, SHA256_BLOCK_SIZE - 8 - held);
	store_be32(hash->block + SHA256_BLOCK_SIZE - 8, (uint32_t)(length_bits >> 32));
	store_be32(hash->block + SHA256_BLOCK_SIZE - 4, (uint32_t)length_bits);
	compress_block(hash->state, hash->block);
	for (uint32_t i = 0; i < 8; i++)
		store_be32(digest + 4 * i, hash->state[i]);
	memset(hash, 0, sizeof *hash);
}

void sha256_digest(const void *bytes, size_t size_bytes, uint8_t digest[SHA256_SIZE])
{
	struct sha256 hash;
	sha256_init(&hash);
	sha256_update(&hash, bytes, size_bytes);
	sha256_final(&hash, digest);
}
