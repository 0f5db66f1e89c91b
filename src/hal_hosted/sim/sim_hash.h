// SPDX-License-Identifier: MIT
//
// The trace hash: what makes two runs the same run. SHA-256 over a stream of little-endian 64-bit words, every bit of which is
// hashed; nothing in it is an address, a slot, or a host time. The words, in the order in which things happen:
//
//   decision   kind (4 bits) · tag 0 (4) · CPU that reached the point (12) · CPU chosen (12) · time since the last decision (32);
//              no CPU: 4095; a time ≥ 2^32-1 ns is written as 2^32-1 and followed by a word with the time since the start
//   others     one word: tag (low byte) · a (28 bits from bit 8) · b (28 bits from bit 36), then the words listed
//     event      a instance, b CPU      kernel trace event: ts, event | thread << 32, a, b
//     output     a instance, b size     console bytes written, packed eight to a word, zero padded
//     input      a instance, b size     console bytes that came in, likewise, after one word: time << 1 | end
//     interrupt  a CPU of the world     causes delivered
//     call       a instance, b kind     a host call entered: time; a command line follows as `output` does
//     module     a instance             size, four words of SHA-256, name packed
//     instance   a instance, b CPUs     created: memory, flags, the world's seed
//     disk       a instance, b disk     a request was submitted: operation | flags << 8 | slot << 32, offset, size, then what a write writes
//     halt       a instance, b panicked halted: status; console output after a panic is not hashed (it shows addresses)
//
// The 64-bit rolling mix beside it is for cheap comparison while running (decision log, replay): every word enters it too.
#ifndef SIM_HASH_H
#define SIM_HASH_H

#include "sim_sha256.h"

#define SIM_HASH_WORDS 512u

enum sim_hash_tag {
	SIM_HASH_DECISION = 0,
	SIM_HASH_EVENT = 1 << 4,
	SIM_HASH_OUTPUT = 2 << 4,
	SIM_HASH_INPUT = 3 << 4,
	SIM_HASH_IRQ = 4 << 4,
	SIM_HASH_CALL = 5 << 4,
	SIM_HASH_MODULE = 6 << 4,
	SIM_HASH_INSTANCE = 7 << 4,
	SIM_HASH_HALT = 8 << 4,
	SIM_HASH_DISK = 9 << 4
};

struct sim_hash {
	uint64_t mix;
	uint32_t count;
	uint64_t words[SIM_HASH_WORDS];
	struct sim_sha256 sha;
};

void sim_hash_init(struct sim_hash *hash);
void sim_hash_flush(struct sim_hash *hash);

// The digest so far; the hash goes on.
void sim_hash_digest(const struct sim_hash *hash, uint8_t digest[32]);

// Bytes packed eight to a word.
void sim_hash_bytes(struct sim_hash *hash, const void *bytes, size_t size_bytes);

static inline void sim_hash_word(struct sim_hash *hash, uint64_t word)
{
	uint64_t mix = (hash->mix ^ word) * 0x9e3779b97f4a7c15ull;
	hash->mix = mix ^ mix >> 32;
	hash->words[hash->count] = word;
	if (++hash->count == SIM_HASH_WORDS)
		sim_hash_flush(hash);
}

static inline void sim_hash_head(struct sim_hash *hash, enum sim_hash_tag tag, uint64_t a, uint64_t b)
{
	sim_hash_word(hash, (uint64_t)tag | (a & 0xfffffff) << 8 | b << 36);
}

#endif
