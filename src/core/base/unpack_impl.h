// SPDX-License-Identifier: MIT
//
// Streams out of compressed ones: what unpack.c and the methods share. unpack.c owns the input buffer, looks at magics and hands
// bytes over; unpack_lz4.c and unpack_zstd.c each read one frame through unpack_need() and give pieces of a buffer of their
// own. No method trusts a length: what it asks for is bounded by its format, and checked before memory is.
#ifndef UNPACK_IMPL_H
#define UNPACK_IMPL_H

#include "kern/unpack.h"

#include "kern/assert.h"
#include "kern/math.h"
#include "kern/string.h"

#define SKIPPABLE_MAGIC 0x184D2A50u // … 5F: frames that hold nothing of the stream
#define SKIPPABLE_MASK 0xFFFFFFF0u

struct unpack_ops {
	const char *name;
	bool (*is_magic)(uint32_t magic); // also: a frame that may follow in the same stream
	err_t (*begin)(struct unpack *unpack);
	err_t (*frame_begin)(struct unpack *unpack);
	// A step within the frame, or its end: then it clears unpack->inside. *size_bytes, 0 before, may stay so.
	err_t (*frame_next)(struct unpack *unpack, const uint8_t **bytes, size_t *size_bytes);
	void (*end)(struct unpack *unpack);
};

extern const struct unpack_ops unpack_lz4_ops, unpack_zstd_ops;

// Makes `size_bytes` of input lie side by side at *bytes, or all that is left; *have_bytes says how many. They stay until the next
// call. Errors: those of read, -ENOMEM.
err_t unpack_need(struct unpack *unpack, size_t size_bytes, const uint8_t **bytes, size_t *have_bytes) must_check;

// The same, where fewer are damage: -EBADMSG.
err_t unpack_exactly(struct unpack *unpack, size_t size_bytes, const uint8_t **bytes) must_check;
void unpack_used(struct unpack *unpack, size_t size_bytes); // forward, within what lies in the buffer
err_t unpack_skip(struct unpack *unpack, uint64_t size_bytes) must_check;
err_t unpack_fail(struct unpack *unpack, err_t err, const char *problem) must_check; // notes the place; returns err
void *unpack_alloc(struct unpack *unpack, size_t size_bytes) must_check;

static inline void unpack_free(struct unpack *unpack, void *memory)
{
	if (memory != NULL)
		unpack->source->free(unpack->source, memory);
}

static inline uint32_t unpack_le32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

#endif
