// SPDX-License-Identifier: MIT
//
// SHA-256 (FIPS 180-4) for the simulator's own use: the trace hash and the identity of modules. The kernel has its own
// inside its object; the HAL may not reach in there, and host tools' crypto libraries would be one dependency too many.
// On x86-64 machines with the SHA extensions the block function uses them (four times faster); the result is the same.
#ifndef SIM_SHA256_H
#define SIM_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_SHA256_BLOCK 64u

struct sim_sha256 {
	uint32_t state[8];
	uint64_t size_bytes;
	void (*blocks)(uint32_t state[8], const uint8_t *blocks, size_t count);
	uint8_t block[SIM_SHA256_BLOCK];
};

extern const uint32_t sim_sha256_constants[64];

void sim_sha256_init(struct sim_sha256 *sha);
void sim_sha256_update(struct sim_sha256 *sha, const void *bytes, size_t size_bytes);

// Leaves *sha untouched, so that a running hash can be shown.
void sim_sha256_final(const struct sim_sha256 *sha, uint8_t digest[32]);

// The compression function over `count` blocks: portable, and by the processor's instructions where it has them.
void sim_sha256_blocks_c(uint32_t state[8], const uint8_t *blocks, size_t count);
#if defined(__x86_64__)
bool sim_sha256_has_x86(void);
void sim_sha256_blocks_x86(uint32_t state[8], const uint8_t *blocks, size_t count);
#endif

#endif
