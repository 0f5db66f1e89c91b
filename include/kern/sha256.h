// SPDX-License-Identifier: MIT
//
// SHA-256 (FIPS 180-4), all at once or piece by piece. Portable C, no allocation, about 200 bytes of stack. Pure; any context.
#ifndef KERN_SHA256_H
#define KERN_SHA256_H

#include "kern/compiler.h"

#define SHA256_SIZE 32u
#define SHA256_BLOCK_SIZE 64u

struct sha256 {
	uint32_t state[8];
	uint64_t length_bytes;
	uint8_t block[SHA256_BLOCK_SIZE]; // the part of a block that waits for the rest
};

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *bytes, size_t size_bytes);

// Writes the digest; the state is used up and wiped.
void sha256_final(struct sha256 *hash, uint8_t digest[SHA256_SIZE]);

void sha256_digest(const void *bytes, size_t size_bytes, uint8_t digest[SHA256_SIZE]);

#endif
