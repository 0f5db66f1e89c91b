// SPDX-License-Identifier: MIT
//
// ChaCha20 (RFC 8439, 2.3) with fast key erasure: the first half of each request's first block becomes the next key before
// anything is handed out. An addition goes through the same one-way function: next key = first half of block(key ^ chunk). The
// nonce tells the two uses apart, and in additions the size of the chunk, so that "ab" + "" and "a" + "b" differ.
#include "entropy_pool.h"

#include "pure.h"

#include <string.h>

enum {
	KEY_SIZE = 32,
	BLOCK_SIZE = 64,
	BLOCKS_PER_KEY = 256, // of one request before the key changes
	USE_ADD = 1,
	USE_GET = 2
};

static uint32_t rotate(uint32_t value, unsigned bits)
{
	return value << bits | value >> (32 - bits);
}

static void quarter_round(uint32_t state[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	state[a] += state[b];
	state[d] = rotate(state[d] ^ state[a], 16);
	state[c] += state[d];
	state[b] = rotate(state[b] ^ state[c], 12);
	state[a] += state[b];
	state[d] = rotate(state[d] ^ state[a], 8);
	state[c] += state[d];
	state[b] = rotate(state[b] ^ state[c], 7);
}

// Wipes what held keys, also where a compiler sees no later use.
static void wipe(void *memory, size_t size_bytes)
{
	memset(memory, 0, size_bytes);
	__asm__ volatile("" : : "r"(memory) : "memory");
}

void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3], uint8_t out[64])
{
	uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	uint32_t state[16];

	memcpy(start + 4, key, KEY_SIZE);
	start[12] = counter;
	memcpy(start + 13, nonce, 12);
	memcpy(state, start, sizeof state);
	for (unsigned i = 0; i < 10; i++) {
		for (unsigned column = 0; column < 4; column++)
			quarter_round(state, column, 4 + column, 8 + column, 12 + column);
		for (unsigned column = 0; column < 4; column++)
			quarter_round(state, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4);
	}
	for (unsigned i = 0; i < 16; i++) {
		uint32_t word = state[i] + start[i];
		for (unsigned byte = 0; byte < 4; byte++)
			out[4 * i + byte] = (uint8_t)(word >> 8 * byte);
	}
	wipe(start, sizeof start);
	wipe(state, sizeof state);
}

static void key_load(struct entropy_pool *pool, const uint8_t bytes[KEY_SIZE])
{
	for (unsigned i = 0; i < 8; i++)
		pool->key[i] = le32(bytes + 4 * i);
}

void entropy_pool_init(struct entropy_pool *pool)
{
	memset(pool, 0, sizeof *pool);
}

static void chunk_add(struct entropy_pool *pool, const uint8_t *bytes, uint32_t size)
{
	uint8_t chunk[KEY_SIZE] = {0}, block[BLOCK_SIZE];
	uint32_t key[8];
	const uint32_t nonce[3] = {USE_ADD, size, 0};

	memcpy(chunk, bytes, size);
	for (unsigned i = 0; i < 8; i++)
		key[i] = pool->key[i] ^ le32(chunk + 4 * i);
	chacha20_block(key, 0, nonce, block);
	key_load(pool, block);
	wipe(chunk, sizeof chunk);
	wipe(block, sizeof block);
	wipe(key, sizeof key);
}

void entropy_pool_add(struct entropy_pool *pool, const void *bytes, size_t size_bytes)
{
	const uint8_t *at = (const uint8_t *)bytes;

	if (__builtin_add_overflow(pool->added_bytes, size_bytes, &pool->added_bytes))
		pool->added_bytes = UINT64_MAX;
	while (size_bytes > 0) {
		uint32_t size = size_bytes < KEY_SIZE ? (uint32_t)size_bytes : KEY_SIZE;
		chunk_add(pool, at, size);
		at += size;
		size_bytes -= size;
	}
}

// Up to 32 + 64 * BLOCKS_PER_KEY bytes under one key, which is replaced first. Returns how many.
static size_t stretch_get(struct entropy_pool *pool, uint8_t *out, size_t size_bytes)
{
	static const uint32_t nonce[3] = {USE_GET, 0, 0};
	uint8_t block[BLOCK_SIZE];
	uint32_t key[8];
	size_t done = size_bytes < BLOCK_SIZE - KEY_SIZE ? size_bytes : BLOCK_SIZE - KEY_SIZE;

	memcpy(key, pool->key, sizeof key);
	chacha20_block(key, 0, nonce, block);
	key_load(pool, block);
	memcpy(out, block + KEY_SIZE, done);
	for (uint32_t counter = 1; counter <= BLOCKS_PER_KEY && done < size_bytes; counter++) {
		size_t size = size_bytes - done < BLOCK_SIZE ? size_bytes - done : BLOCK_SIZE;
		chacha20_block(key, counter, nonce, block);
		memcpy(out + done, block, size);
		done += size;
	}
	wipe(block, sizeof block);
	wipe(key, sizeof key);
	return done;
}

void entropy_pool_get(struct entropy_pool *pool, void *bytes, size_t size_bytes)
{
	uint8_t *out = (uint8_t *)bytes;
	while (size_bytes > 0) {
		size_t size = stretch_get(pool, out, size_bytes);
		out += size;
		size_bytes -= size;
	}
}
