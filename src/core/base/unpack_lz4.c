// SPDX-License-Identifier: MIT
//
// LZ4 frames (LZ4 Frame Format 1.6.2), and the older format that `lz4 -l` writes: blocks of 8 MiB without a header, which end with
// the file, with another frame, or with a size of zero, which is padding. The blocks are the library's; the frame is read here.
#include "unpack_impl.h"

#include <lz4.h>
#include <xxhash.h>

#define MAGIC 0x184D2204u
#define LEGACY_MAGIC 0x184C2102u
#define LEGACY_BLOCK (8u << 20)
#define HISTORY (64u << 10)
#define STORED 0x80000000u
#define HEADER_MIN 7u // magic, FLG, BD, checksum

enum flg {
	FLG_DICTIONARY = 1u << 0,
	FLG_RESERVED = 1u << 1,
	FLG_CONTENT_CHECKSUM = 1u << 2,
	FLG_CONTENT_SIZE = 1u << 3,
	FLG_BLOCK_CHECKSUM = 1u << 4,
	FLG_INDEPENDENT = 1u << 5
};

struct lz4_state {
	uint8_t *buffer; // HISTORY bytes that may be referred to, then the block
	size_t buffer_bytes;
	size_t history_bytes;
	size_t given_bytes;   // the piece that the caller has
	uint32_t block_bytes; // the most that a block makes
	uint32_t flags;       // enum flg
	bool legacy;
	uint64_t content_bytes; // that the header tells
	uint64_t made_bytes;
	XXH32_state_t hash;
};

static bool lz4_is_magic(uint32_t magic)
{
	return magic == MAGIC || magic == LEGACY_MAGIC;
}

static void lz4_end(struct unpack *unpack)
{
	struct lz4_state *state = unpack->state;
	unpack_free(unpack, state->buffer);
	unpack_free(unpack, state);
	unpack->state = NULL;
}

static err_t lz4_begin(struct unpack *unpack)
{
	struct lz4_state *state = unpack_alloc(unpack, sizeof *state);
	if (state == NULL)
		return unpack_fail(unpack, ERR(ENOMEM), "no memory for LZ4");
	memset(state, 0, sizeof *state);
	unpack->state = state;
	return 0;
}

// ---- frames --------------------------------------------------------------------------------------------------------------

static err_t buffer_make(struct unpack *unpack, struct lz4_state *state)
{
	size_t size = HISTORY + (size_t)state->block_bytes;

	state->history_bytes = 0;
	state->given_bytes = 0;
	state->made_bytes = 0;
	if (size <= state->buffer_bytes)
		return 0;
	unpack_free(unpack, state->buffer);
	state->buffer_bytes = 0;
	state->buffer = unpack_alloc(unpack, size);
	if (state->buffer == NULL)
		return unpack_fail(unpack, ERR(ENOMEM), "lz4: no memory for a block");
	state->buffer_bytes = size;
	return 0;
}

static const char *header_problem(const uint8_t *bytes, uint32_t flags, size_t size)
{
	if (flags >> 6 != 1 || (flags & FLG_RESERVED))
		return "lz4: a frame of an unknown version";
	if ((bytes[5] & 0x8f) != 0 || bytes[5] >> 4 < 4)
		return "lz4: a block size that does not exist";
	if (((XXH32(bytes + 4, size - 5, 0) >> 8) & 0xff) != bytes[size - 1])
		return "lz4: the checksum of a frame's header is wrong";
	return NULL;
}

static err_t header_read(struct unpack *unpack, struct lz4_state *state)
{
	const uint8_t *bytes;

	err_t err = unpack_exactly(unpack, HEADER_MIN, &bytes);
	if (err != 0)
		return err;
	uint32_t flags = bytes[4];
	size_t size = HEADER_MIN + (flags & FLG_CONTENT_SIZE ? 8 : 0) + (flags & FLG_DICTIONARY ? 4 : 0);
	err = unpack_exactly(unpack, size, &bytes);
	if (err != 0)
		return err;
	const char *problem = header_problem(bytes, flags, size);
	if (problem != NULL)
		return unpack_fail(unpack, ERR(EBADMSG), problem);
	if (flags & FLG_DICTIONARY)
		return unpack_fail(unpack, ERR(EOPNOTSUPP), "lz4: a dictionary is needed");
	state->flags = flags;
	state->block_bytes = 1u << (8 + 2 * (bytes[5] >> 4));
	if (flags & FLG_CONTENT_SIZE)
		state->content_bytes = unpack_le32(bytes + 6) | (uint64_t)unpack_le32(bytes + 10) << 32;
	unpack_used(unpack, size);
	return 0;
}

static err_t lz4_frame_begin(struct unpack *unpack)
{
	struct lz4_state *state = unpack->state;
	const uint8_t *bytes;

	err_t err = unpack_exactly(unpack, 4, &bytes);
	if (err != 0)
		return err;
	state->legacy = unpack_le32(bytes) == LEGACY_MAGIC;
	if (state->legacy) {
		state->flags = FLG_INDEPENDENT;
		state->block_bytes = LEGACY_BLOCK;
		unpack_used(unpack, 4);
	} else {
		err = header_read(unpack, state);
	}
	if (err == 0)
		err = buffer_make(unpack, state);
	(void)XXH32_reset(&state->hash, 0);
	return err;
}

static err_t frame_end(struct unpack *unpack, struct lz4_state *state)
{
	const uint8_t *bytes;
	err_t err = 0;

	unpack->inside = false;
	if ((state->flags & FLG_CONTENT_SIZE) && state->made_bytes != state->content_bytes)
		return unpack_fail(unpack, ERR(EBADMSG), "lz4: a frame holds another size than its header tells");
	if ((state->flags & FLG_CONTENT_CHECKSUM) == 0)
		return 0;
	err = unpack_exactly(unpack, 4, &bytes);
	if (err == 0 && unpack_le32(bytes) != XXH32_digest(&state->hash))
		err = unpack_fail(unpack, ERR(EBADMSG), "lz4: the checksum of the content is wrong");
	if (err == 0)
		unpack_used(unpack, 4);
	return err;
}

// ---- blocks --------------------------------------------------------------------------------------------------------------

// What the next block may refer to moves before the place where it will be made.
static void history_keep(struct lz4_state *state, size_t made_bytes)
{
	size_t all = state->history_bytes + made_bytes;
	size_t keep = MIN(all, HISTORY);

	if (state->flags & FLG_INDEPENDENT)
		return;
	memmove(state->buffer + HISTORY - keep, state->buffer + HISTORY + made_bytes - keep, keep);
	state->history_bytes = keep;
}

static int block_unpack(struct lz4_state *state, const uint8_t *bytes, uint32_t size_bytes, bool stored)
{
	uint8_t *to = state->buffer + HISTORY;

	if (!stored)
		return LZ4_decompress_safe_usingDict((const char *)bytes, (char *)to, (int)size_bytes,
						     (int)state->block_bytes, (const char *)to - state->history_bytes,
						     (int)state->history_bytes);
	memcpy(to, bytes, size_bytes);
	return (int)size_bytes;
}

// The size that stands before a block, or that this was the last one.
static err_t block_size(struct unpack *unpack, struct lz4_state *state, uint32_t *size_bytes, bool *stored, bool *last)
{
	const uint8_t *bytes;
	size_t have;

	err_t err = unpack_need(unpack, 4, &bytes, &have);
	if (err != 0)
		return err;
	*last = state->legacy && have == 0;
	if (*last)
		return 0;
	if (have < 4)
		return unpack_fail(unpack, ERR(EBADMSG), "the file ends within a frame");
	uint32_t word = unpack_le32(bytes);
	*last = word == 0 || (state->legacy && (lz4_is_magic(word) || (word & SKIPPABLE_MASK) == SKIPPABLE_MAGIC));
	if (*last) {
		unpack_used(unpack, state->legacy ? 0 : 4);
		return 0;
	}
	*stored = !state->legacy && (word & STORED);
	*size_bytes = *stored ? word & ~STORED : word;
	if (*size_bytes > (state->legacy ? (uint32_t)LZ4_COMPRESSBOUND(LEGACY_BLOCK) : state->block_bytes))
		return unpack_fail(unpack, ERR(EBADMSG), "lz4: a block larger than its frame allows");
	return 0;
}

// The piece given last has been used by now: only then may its end be moved away as history.
static err_t lz4_frame_next(struct unpack *unpack, const uint8_t **out, size_t *size_bytes)
{
	struct lz4_state *state = unpack->state;
	size_t check = state->flags & FLG_BLOCK_CHECKSUM ? 4 : 0;
	const uint8_t *bytes;
	uint32_t size = 0;
	bool stored = false;
	bool last = false;

	history_keep(state, state->given_bytes);
	state->given_bytes = 0;
	err_t err = block_size(unpack, state, &size, &stored, &last);
	if (err != 0 || last)
		return err != 0 ? err : frame_end(unpack, state);
	err = unpack_exactly(unpack, 4 + size + check, &bytes);
	if (err != 0)
		return err;
	bytes += 4;
	if (check != 0 && unpack_le32(bytes + size) != XXH32(bytes, size, 0))
		return unpack_fail(unpack, ERR(EBADMSG), "lz4: the checksum of a block is wrong");
	int made = block_unpack(state, bytes, size, stored);
	if (made < 0)
		return unpack_fail(unpack, ERR(EBADMSG), "lz4: a block is damaged");
	if (state->flags & FLG_CONTENT_CHECKSUM)
		(void)XXH32_update(&state->hash, state->buffer + HISTORY, (size_t)made);
	unpack_used(unpack, 4 + size + check);
	state->made_bytes += (size_t)made;
	*out = state->buffer + HISTORY;
	*size_bytes = (size_t)made;
	state->given_bytes = (size_t)made;
	return 0;
}

const struct unpack_ops unpack_lz4_ops = {.name = "lz4",
					  .is_magic = lz4_is_magic,
					  .begin = lz4_begin,
					  .frame_begin = lz4_frame_begin,
					  .frame_next = lz4_frame_next,
					  .end = lz4_end};
