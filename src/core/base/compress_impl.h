// SPDX-License-Identifier: MIT
//
// What compress.c asks of each method. Arguments are checked already: sizes, levels, and a workspace that is there, aligned
// and large enough.
#ifndef COMPRESS_IMPL_H
#define COMPRESS_IMPL_H

#include "kern/compress.h"

struct compress_ops {
	int32_t level_max;
	size_t (*bound)(size_t size_bytes);
	size_t (*workspace_bytes)(int32_t level, size_t size_bytes);
	size_t (*unpack_workspace_bytes)(void);
	err_t (*pack)(const struct compress_job *job, size_t *result_bytes);
	err_t (*unpack)(const struct compress_job *job);
};

extern const struct compress_ops compress_lz4_ops;
extern const struct compress_ops compress_zstd_ops;

#endif
