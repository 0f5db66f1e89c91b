// SPDX-License-Identifier: MIT
//
// Archive bytes in order, whatever they were packed with. A plain archive is the file itself, so what lies behind its end may be
// compressed: the rest of the piece goes back, and unpack_begin() looks again.
#include "initramfs_impl.h"

#include "kern/fmt.h"
#include "kern/math.h"
#include "kern/string.h"

err_t archive_fail(struct archive *archive, err_t err, const char *format, ...)
{
	struct trouble *trouble = archive->trouble;
	va_list args;

	if (trouble->reason[0] == '\0') {
		va_start(args, format);
		(void)kvsnprintf(trouble->reason, sizeof trouble->reason, format, args);
		va_end(args);
		trouble->stream_at = archive->at - archive->back;
		trouble->file_at = archive->unpack.offset;
		if (archive->method == UNPACK_PLAIN)
			trouble->file_at -= archive->left + archive->back;
	}
	return err;
}

static err_t unpack_failed(struct archive *archive, err_t err)
{
	if (archive->trouble->reason[0] == '\0') {
		(void)!archive_fail(archive, err, "%s", archive->unpack.problem);
		archive->trouble->file_at = archive->unpack.problem_at;
	}
	return err;
}

err_t archive_init(struct archive *archive, struct unpack_source *source, uint64_t made_max, struct trouble *trouble)
{
	memset(archive, 0, sizeof *archive);
	archive->trouble = trouble;
	archive->made_max = made_max;
	err_t err = unpack_init(&archive->unpack, source);
	return err != 0 ? archive_fail(archive, err, "no memory for a buffer") : 0;
}

void archive_fini(struct archive *archive)
{
	unpack_fini(&archive->unpack);
}

// *ended: the method has no more; nothing is at hand then.
static err_t piece_fill(struct archive *archive, bool *ended)
{
	*ended = false;
	if (archive->left > 0)
		return 0;
	err_t err = unpack_next(&archive->unpack, &archive->piece, &archive->left);
	if (err != 0)
		return unpack_failed(archive, err);
	*ended = archive->left == 0;
	if (archive->unpack.made_bytes > archive->made_max)
		return archive_fail(archive, ERR(EFBIG), "it unpacks to more than this machine has memory");
	return 0;
}

static void piece_used(struct archive *archive, size_t size_bytes)
{
	archive->piece += size_bytes;
	archive->left -= size_bytes;
	archive->at += size_bytes;
}

err_t archive_piece(struct archive *archive, uint64_t size_bytes, const uint8_t **bytes, size_t *piece_bytes)
{
	bool ended;
	err_t err = piece_fill(archive, &ended);

	if (err == 0 && ended)
		err = archive_fail(archive, ERR(EBADMSG), "the archive ends here, %llu bytes too early",
				   (unsigned long long)size_bytes);
	if (err != 0)
		return err;
	*bytes = archive->piece;
	*piece_bytes = (size_t)MIN(size_bytes, archive->left);
	piece_used(archive, *piece_bytes);
	return 0;
}

err_t archive_read(struct archive *archive, void *to, size_t size_bytes)
{
	uint8_t *at = to;
	err_t err = 0;

	while (err == 0 && size_bytes > 0) {
		const uint8_t *bytes;
		size_t piece = 0;
		err = archive_piece(archive, size_bytes, &bytes, &piece);
		if (err == 0)
			memcpy(at, bytes, piece);
		at += piece;
		size_bytes -= piece;
	}
	return err;
}

err_t archive_skip(struct archive *archive, uint64_t size_bytes)
{
	err_t err = 0;

	while (err == 0 && size_bytes > 0) {
		const uint8_t *bytes;
		size_t piece = 0;
		err = archive_piece(archive, size_bytes, &bytes, &piece);
		size_bytes -= piece;
	}
	return err;
}

// Over zeros; *ended as piece_fill(). Padding is counted over all methods.
static err_t padding_skip(struct archive *archive, uint32_t *padding, bool *ended)
{
	for (;;) {
		err_t err = piece_fill(archive, ended);
		if (err != 0 || *ended)
			return err;
		size_t zeros = 0;
		while (zeros < archive->left && archive->piece[zeros] == 0)
			zeros++;
		bool all = zeros == archive->left;
		piece_used(archive, zeros);
		*padding += (uint32_t)MIN(zeros, PADDING_MAX);
		if (*padding > PADDING_MAX)
			return archive_fail(archive, ERR(EFBIG), "more than %u zeros between archives", PADDING_MAX);
		if (!all)
			return 0;
	}
}

err_t archive_next(struct archive *archive, bool *found)
{
	uint32_t padding = 0;
	uint32_t judged = UINT32_MAX; // how much padding had been seen when unpack_begin() looked

	for (;;) {
		bool ended = true;
		err_t err = archive->begun ? padding_skip(archive, &padding, &ended) : 0;
		if (err != 0)
			return err;
		if (!ended && (archive->method != UNPACK_PLAIN || padding == judged)) {
			*found = true;
			return 0;
		}
		if (!ended)
			unpack_return(&archive->unpack, archive->left);
		archive->left = 0;
		err = unpack_begin(&archive->unpack, &archive->method);
		*found = false;
		if (err != 0)
			return err == -ENODATA ? 0 : unpack_failed(archive, err);
		archive->begun = true;
		judged = padding;
	}
}
