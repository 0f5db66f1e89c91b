// SPDX-License-Identifier: MIT
//
// A generator of random bytes: ChaCha20 (RFC 8439, 2.3) under a key that every request and every addition replaces, so that a
// captured state tells nothing about earlier output. Additions are hashed in by the same block function. It makes no claim
// about how much chance was added: that is its caller's. Not locked: the caller serialises. Pure.
#ifndef BARE_ENTROPY_POOL_H
#define BARE_ENTROPY_POOL_H

#include "tbos/types.h"

struct entropy_pool {
	uint32_t key[8];
	uint64_t added_bytes; // of all additions, saturating
};

void entropy_pool_init(struct entropy_pool *pool);
// Mixes bytes in; the order and the borders of additions matter.
void entropy_pool_add(struct entropy_pool *pool, const void *bytes, size_t size_bytes);
// Any size.
void entropy_pool_get(struct entropy_pool *pool, void *bytes, size_t size_bytes);

// The block function, for test vectors: 64 bytes of key stream.
void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3], uint8_t out[64]);

#endif
