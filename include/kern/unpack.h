// SPDX-License-Identifier: MIT
//
// One stream of bytes out of a compressed one, piece by piece, in bounded memory: Zstandard (RFC 8878), LZ4 frames (LZ4 Frame Format
// 1.6.2) and LZ4's older format of 8 MiB blocks, or bytes that are not compressed at all; which one it is, the first bytes tell. What
// is read may hold anything. kern/compress.h is for blocks whose sizes are known.
#ifndef KERN_UNPACK_H
#define KERN_UNPACK_H

#include "kern/err.h"

#define UNPACK_WINDOW_MAX (128u << 20) // of Zstandard: what its own tool takes without being asked

enum unpack_method {
	UNPACK_PLAIN,
	UNPACK_LZ4,
	UNPACK_ZSTD
};

// Where bytes come from and where memory does; all that unpacking needs of anybody.
struct unpack_source {
	// Copies up to capacity bytes to buffer; *done_bytes 0: the end. Errors are passed on.
	err_t (*read)(struct unpack_source *source, void *buffer, size_t capacity, size_t *done_bytes);
	void *(*alloc)(struct unpack_source *source, size_t size_bytes); // aligned to 16; NULL: no memory
	void (*free)(struct unpack_source *source, void *memory);
};

struct unpack_ops;

struct unpack {
	struct unpack_source *source;
	const struct unpack_ops *ops; // NULL: none begun
	void *state;                  // the method's
	bool inside;                  // of a frame
	uint8_t *input;               // [at, filled) is still to be used
	size_t input_bytes, at, filled;
	bool ended;            // the source has
	uint64_t offset;       // of input + at in the source
	const char *problem;   // of the error that was returned: static, for people
	uint64_t problem_at;   // where in the source
	uint64_t made_bytes;   // so far, over all methods
	uint32_t window_bytes; // largest buffer that was asked for: figures
};

// Begins; nothing is read yet. Errors: -ENOMEM.
err_t unpack_init(struct unpack *unpack, struct unpack_source *source) must_check;
void unpack_fini(struct unpack *unpack); // ends what was begun; also after a failed unpack_init()

// Looks at the next bytes and begins the method that they tell. What begins like no method is plain. Errors: -ENODATA (the source is at
// its end), those of read, -ENOMEM.
err_t unpack_begin(struct unpack *unpack, enum unpack_method *method) must_check;

// The next piece; *size_bytes 0: this method's bytes are at an end, unpack_begin() looks at what follows. A piece stays until the next call.
// Frames that follow each other directly are one. Errors: -EBADMSG (damaged, or cut: `problem` says), -EFBIG (a window
// above UNPACK_WINDOW_MAX), -EOPNOTSUPP (it needs a dictionary), -ENOMEM, those of read.
err_t unpack_next(struct unpack *unpack, const uint8_t **bytes, size_t *size_bytes) must_check;

// Of UNPACK_PLAIN: the last size_bytes of the last piece count as not yet read.
void unpack_return(struct unpack *unpack, size_t size_bytes);

#endif
