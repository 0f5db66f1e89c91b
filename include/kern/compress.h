// SPDX-License-Identifier: MIT
//
// Compression by LZ4 (block format) and Zstandard (RFC 8878 frames) in the caller's memory. Both are deterministic: the same
// bytes in give the same bytes out on every machine. Nothing is kept between calls; a workspace serves one call at a time
// and may hold anything before. Pure apart from the workspace; the time is that of the data, so call it where preemption
// is on. Stack: about 2 KiB.
#ifndef KERN_COMPRESS_H
#define KERN_COMPRESS_H

#include "kern/err.h"

enum compress_method {
	COMPRESS_LZ4,  // level 1 (best) … 65537 (fastest): the acceleration
	COMPRESS_ZSTD, // level 1 (fastest) … 19 (best)
	COMPRESS_METHOD_COUNT
};

#define COMPRESS_SIZE_MAX (64u << 20)
#define COMPRESS_WORKSPACE_ALIGN 8u

// Bytes that always suffice for the result of compressing size_bytes ≤ COMPRESS_SIZE_MAX.
size_t compress_bound(enum compress_method method, size_t size_bytes);

// Workspace for compressing up to size_bytes at any level up to `level`, and for decompressing; 0: none needed.
size_t compress_workspace_bytes(enum compress_method method, int32_t level, size_t size_bytes);
size_t decompress_workspace_bytes(enum compress_method method);

struct compress_job {
	enum compress_method method;
	int32_t level;   // not used to decompress
	void *workspace; // aligned to COMPRESS_WORKSPACE_ALIGN
	size_t workspace_bytes;
	const void *from;
	size_t from_bytes;
	void *to; // does not overlap the rest
	size_t to_bytes;
};

// Compresses `from` into at most to_bytes of `to` and sets *result_bytes. Errors: -ENOSPC (the result is larger than
// to_bytes: keep the data as it is), -EINVAL (level, method, workspace too small or misaligned), -EFBIG (from_bytes).
err_t compress(const struct compress_job *job, size_t *result_bytes) must_check;

// Decompresses `from`, which may hold anything at all, into exactly to_bytes of `to`. Errors: -EBADMSG (`from` is damaged, or
// holds more or less than to_bytes; `to` then holds anything), -EINVAL (method, workspace), -EFBIG (either size).
err_t decompress(const struct compress_job *job) must_check;

#endif
