// SPDX-License-Identifier: MIT
//
// Trace hash: the block-wise side of sim_hash.h.
#include "sim_hash.h"

#include <string.h>

void sim_hash_init(struct sim_hash *hash)
{
	hash->mix = 0;
	hash->count = 0;
	sim_sha256_init(&hash->sha);
}

void sim_hash_flush(struct sim_hash *hash)
{
	sim_sha256_update(&hash->sha, hash->words, hash->count * sizeof(hash->words[0]));
	hash->count = 0;
}

void sim_hash_digest(const struct sim_hash *hash, uint8_t digest[32])
{
	struct sim_sha256 sha = hash->sha;
	sim_sha256_update(&sha, hash->words, hash->count * sizeof(hash->words[0]));
	sim_sha256_final(&sha, digest);
}

void sim_hash_bytes(struct sim_hash *hash, const void *bytes, size_t size_bytes)
{
	const uint8_t *next = bytes;
	for (; size_bytes >= sizeof(uint64_t); size_bytes -= sizeof(uint64_t), next += sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, next, sizeof(word));
		sim_hash_word(hash, word);
	}
	if (size_bytes > 0) {
		uint64_t word = 0;
		memcpy(&word, next, size_bytes);
		sim_hash_word(hash, word);
	}
}
