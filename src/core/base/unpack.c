// SPDX-License-Identifier: MIT
//
// Input of all methods: a buffer that moves what is left to its front, and grows when a method needs more in one piece.
#include "unpack_impl.h"

#define INPUT_BYTES (256u << 10)

static const struct unpack_ops *const methods[] = {[UNPACK_LZ4] = &unpack_lz4_ops, [UNPACK_ZSTD] = &unpack_zstd_ops};

void *unpack_alloc(struct unpack *unpack, size_t size_bytes)
{
	unpack->window_bytes = MAX(unpack->window_bytes, (uint32_t)MIN(size_bytes, UINT32_MAX));
	return unpack->source->alloc(unpack->source, size_bytes);
}

err_t unpack_init(struct unpack *unpack, struct unpack_source *source)
{
	memset(unpack, 0, sizeof *unpack);
	unpack->source = source;
	unpack->input = source->alloc(source, INPUT_BYTES);
	unpack->input_bytes = INPUT_BYTES;
	return unpack->input != NULL ? 0 : ERR(ENOMEM);
}

static void method_end(struct unpack *unpack)
{
	if (unpack->ops != NULL)
		unpack->ops->end(unpack);
	unpack->ops = NULL;
	unpack->inside = false;
}

void unpack_fini(struct unpack *unpack)
{
	method_end(unpack);
	unpack_free(unpack, unpack->input);
	unpack->input = NULL;
}

err_t unpack_fail(struct unpack *unpack, err_t err, const char *problem)
{
	unpack->problem = problem;
	unpack->problem_at = unpack->offset;
	return err;
}

void unpack_used(struct unpack *unpack, size_t size_bytes)
{
	ASSERT3(size_bytes, <=, unpack->filled - unpack->at);
	unpack->at += size_bytes;
	unpack->offset += size_bytes;
}

// Room for size_bytes behind `at`: by moving what is left to the front, in a larger buffer if that is too small.
static err_t input_make_room(struct unpack *unpack, size_t size_bytes)
{
	size_t left = unpack->filled - unpack->at;
	uint8_t *to = unpack->input;

	if (unpack->input_bytes - unpack->at >= size_bytes)
		return 0;
	if (size_bytes > unpack->input_bytes) {
		to = unpack_alloc(unpack, size_bytes);
		if (to == NULL)
			return ERR(ENOMEM);
		unpack->input_bytes = size_bytes;
	}
	memmove(to, unpack->input + unpack->at, left);
	if (to != unpack->input)
		unpack_free(unpack, unpack->input);
	unpack->input = to;
	unpack->at = 0;
	unpack->filled = left;
	return 0;
}

err_t unpack_need(struct unpack *unpack, size_t size_bytes, const uint8_t **bytes, size_t *have_bytes)
{
	err_t err = 0;

	if (unpack->filled - unpack->at < size_bytes)
		err = input_make_room(unpack, size_bytes);
	while (err == 0 && !unpack->ended && unpack->filled - unpack->at < size_bytes) {
		size_t done = 0;
		err = unpack->source->read(unpack->source, unpack->input + unpack->filled,
					   unpack->input_bytes - unpack->filled, &done);
		unpack->filled += done;
		unpack->ended = err == 0 && done == 0;
	}
	if (err != 0)
		return unpack_fail(unpack, err,
				   err == -ENOMEM ? "no memory for a block of this size" : "cannot be read");
	*bytes = unpack->input + unpack->at;
	*have_bytes = unpack->filled - unpack->at;
	return 0;
}

err_t unpack_exactly(struct unpack *unpack, size_t size_bytes, const uint8_t **bytes)
{
	size_t have = 0;
	err_t err = unpack_need(unpack, size_bytes, bytes, &have);
	return err == 0 && have < size_bytes ? unpack_fail(unpack, ERR(EBADMSG), "the file ends within a frame") : err;
}

err_t unpack_skip(struct unpack *unpack, uint64_t size_bytes)
{
	const uint8_t *bytes;
	err_t err = 0;

	while (err == 0 && size_bytes > 0) {
		err = unpack_exactly(unpack, 1, &bytes);
		if (err != 0)
			break;
		size_t piece = (size_t)MIN(size_bytes, unpack->filled - unpack->at);
		unpack_used(unpack, piece);
		size_bytes -= piece;
	}
	return err;
}

// Steps over skippable frames. *more: a frame of this method stands next. At the end of input, or before something else: false.
static err_t frame_follows(struct unpack *unpack, bool *more)
{
	const uint8_t *bytes;
	size_t have;

	for (;;) {
		*more = false;
		err_t err = unpack_need(unpack, 8, &bytes, &have);
		if (err != 0 || have < 4)
			return err;
		uint32_t magic = unpack_le32(bytes);
		if ((magic & SKIPPABLE_MASK) != SKIPPABLE_MAGIC) {
			*more = unpack->ops->is_magic(magic);
			return 0;
		}
		err = unpack_exactly(unpack, 8, &bytes);
		if (err != 0)
			return err;
		uint32_t size = unpack_le32(bytes + 4);
		unpack_used(unpack, 8);
		err = unpack_skip(unpack, size);
		if (err != 0)
			return err;
	}
}

static enum unpack_method method_of(const uint8_t *bytes, size_t have)
{
	uint32_t magic = have >= 4 ? unpack_le32(bytes) : 0;

	for (uint32_t i = 0; i < array_count(methods); i++)
		if (methods[i] != NULL && methods[i]->is_magic(magic))
			return (enum unpack_method)i;
	// Both formats have the same skippable frames; the tools that put them first are Zstandard's.
	return (magic & SKIPPABLE_MASK) == SKIPPABLE_MAGIC ? UNPACK_ZSTD : UNPACK_PLAIN;
}

err_t unpack_begin(struct unpack *unpack, enum unpack_method *method)
{
	const uint8_t *bytes;
	size_t have;

	method_end(unpack);
	err_t err = unpack_need(unpack, 4, &bytes, &have);
	if (err != 0)
		return err;
	if (have == 0)
		return ERR(ENODATA);
	*method = method_of(bytes, have);
	if (*method == UNPACK_PLAIN)
		return 0;
	unpack->ops = methods[*method];
	err = unpack->ops->begin(unpack);
	if (err != 0)
		unpack->ops = NULL;
	return err;
}

static err_t frames_next(struct unpack *unpack, const uint8_t **bytes, size_t *size_bytes)
{
	err_t err = 0;

	while (err == 0 && *size_bytes == 0) {
		bool more = unpack->inside;
		if (more) {
			err = unpack->ops->frame_next(unpack, bytes, size_bytes);
			continue;
		}
		err = frame_follows(unpack, &more);
		if (err != 0 || !more)
			break;
		err = unpack->ops->frame_begin(unpack);
		unpack->inside = err == 0;
	}
	return err;
}

err_t unpack_next(struct unpack *unpack, const uint8_t **bytes, size_t *size_bytes)
{
	err_t err;

	*size_bytes = 0;
	if (unpack->ops != NULL) {
		err = frames_next(unpack, bytes, size_bytes);
	} else {
		err = unpack_need(unpack, 1, bytes, size_bytes);
		if (err == 0)
			unpack_used(unpack, *size_bytes);
	}
	if (err == 0)
		unpack->made_bytes += *size_bytes;
	return err;
}

void unpack_return(struct unpack *unpack, size_t size_bytes)
{
	ASSERT(unpack->ops == NULL && size_bytes <= unpack->at);
	unpack->at -= size_bytes;
	unpack->offset -= size_bytes;
	unpack->made_bytes -= size_bytes;
}
