// SPDX-License-Identifier: MIT
//
// Zstandard frame by frame, through the library's interface without buffers: each block goes from the input straight into a ring of
// our own, and from there to the caller, so that nothing is copied twice. The ring is as large as the frame's header says that
// it must be (window and one block).
#include "unpack_impl.h"

#include <zstd.h>
#include <zstd_errors.h>

#define MAGIC 0xFD2FB528u
#define HEADER_MAX 18u // ZSTD_FRAMEHEADERSIZE_MAX
#define ALIGN 16u

struct zstd_state {
	ZSTD_DCtx *context; // behind this
	uint8_t *ring;
	size_t ring_bytes; // that were allocated
	size_t used_bytes; // of them, by this frame
	size_t at;
	size_t block_bytes; // the most that one step makes
	bool whole;         // the frame's content fits: no way round
};

static bool zstd_is_magic(uint32_t magic)
{
	return magic == MAGIC;
}

static void zstd_end(struct unpack *unpack)
{
	struct zstd_state *state = unpack->state;
	unpack_free(unpack, state->ring);
	unpack_free(unpack, state);
	unpack->state = NULL;
}

static err_t zstd_begin(struct unpack *unpack)
{
	size_t context_bytes = ZSTD_estimateDCtxSize();
	size_t head = ALIGN_UP(sizeof(struct zstd_state), ALIGN);
	struct zstd_state *state = unpack_alloc(unpack, head + context_bytes);

	if (state == NULL)
		return unpack_fail(unpack, ERR(ENOMEM), "no memory for Zstandard's tables");
	memset(state, 0, sizeof *state);
	state->context = ZSTD_initStaticDCtx((uint8_t *)state + head, context_bytes);
	VERIFY(state->context != NULL);
	unpack->state = state;
	return 0;
}

static err_t ring_make(struct unpack *unpack, struct zstd_state *state, const ZSTD_frameHeader *header)
{
	size_t size = ZSTD_decodingBufferSize_min(header->windowSize, header->frameContentSize);

	if (header->windowSize > UNPACK_WINDOW_MAX || ZSTD_isError(size))
		return unpack_fail(unpack, ERR(EFBIG), "zstd: a window of more than 128 MiB");
	size = MAX(size, ALIGN); // a frame may hold nothing
	if (size > state->ring_bytes) {
		unpack_free(unpack, state->ring);
		state->ring_bytes = 0;
		state->ring = unpack_alloc(unpack, size);
		if (state->ring == NULL)
			return unpack_fail(unpack, ERR(ENOMEM), "zstd: no memory for a window of this size");
		state->ring_bytes = size;
	}
	state->used_bytes = size;
	state->block_bytes = header->blockSizeMax;
	state->whole = header->frameContentSize <= size;
	state->at = 0;
	return 0;
}

static err_t zstd_frame_begin(struct unpack *unpack)
{
	struct zstd_state *state = unpack->state;
	ZSTD_frameHeader header;
	const uint8_t *bytes;
	size_t have;

	err_t err = unpack_need(unpack, HEADER_MAX, &bytes, &have);
	if (err != 0)
		return err;
	size_t result = ZSTD_getFrameHeader(&header, bytes, have);
	if (ZSTD_isError(result))
		return unpack_fail(unpack, ERR(EBADMSG), "zstd: a frame's header makes no sense");
	if (result != 0)
		return unpack_fail(unpack, ERR(EBADMSG), "the file ends within a frame");
	if (header.dictID != 0)
		return unpack_fail(unpack, ERR(EOPNOTSUPP), "zstd: a dictionary is needed");
	err = ring_make(unpack, state, &header);
	if (err == 0 && ZSTD_isError(ZSTD_decompressBegin(state->context)))
		err = unpack_fail(unpack, ERR(EBADMSG), "zstd: a frame cannot be begun");
	return err;
}

static const char *problem_of(size_t result)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_checksum_wrong:
		return "zstd: the checksum of the content is wrong";
	case ZSTD_error_dstSize_tooSmall:
		return "zstd: a block makes more than its frame may hold";
	default:
		return "zstd: the data is damaged";
	}
}

// One step of the library: a header, a block, a checksum. *size_bytes 0 is no end.
static err_t zstd_frame_next(struct unpack *unpack, const uint8_t **out, size_t *size_bytes)
{
	struct zstd_state *state = unpack->state;
	size_t wanted = ZSTD_nextSrcSizeToDecompress(state->context);
	const uint8_t *bytes;

	if (wanted == 0) {
		unpack->inside = false;
		return 0;
	}
	err_t err = unpack_exactly(unpack, wanted, &bytes);
	if (err != 0)
		return err;
	if (!state->whole && state->at + state->block_bytes > state->used_bytes)
		state->at = 0;
	uint8_t *to = state->ring + state->at;
	size_t made = ZSTD_decompressContinue(state->context, to, state->used_bytes - state->at, bytes, wanted);
	if (ZSTD_isError(made))
		return unpack_fail(unpack, ERR(EBADMSG), problem_of(made));
	unpack_used(unpack, wanted);
	state->at += made;
	*out = to;
	*size_bytes = made;
	return 0;
}

const struct unpack_ops unpack_zstd_ops = {.name = "zstd",
					   .is_magic = zstd_is_magic,
					   .begin = zstd_begin,
					   .frame_begin = zstd_frame_begin,
					   .frame_next = zstd_frame_next,
					   .end = zstd_end};
