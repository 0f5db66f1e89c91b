// SPDX-License-Identifier: MIT
//
// The one file that knows LZ4. Sizes are ints there; compress.c has bounded them.
#include "compress_impl.h"

#include <lz4.h>

static_assert(COMPRESS_SIZE_MAX <= LZ4_MAX_INPUT_SIZE, "LZ4 counts in ints");

static size_t lz4_bound(size_t size_bytes)
{
	return (size_t)LZ4_compressBound((int)size_bytes);
}

static size_t lz4_workspace_bytes(int32_t level, size_t size_bytes)
{
	(void)level;
	(void)size_bytes;
	return (size_t)LZ4_sizeofState();
}

static size_t lz4_unpack_workspace_bytes(void)
{
	return 0;
}

static err_t lz4_pack(const struct compress_job *job, size_t *result_bytes)
{
	int capacity = (int)MIN(job->to_bytes, COMPRESS_SIZE_MAX * 2ull);
	int result = LZ4_compress_fast_extState(job->workspace, job->from, job->to, (int)job->from_bytes, capacity,
						job->level);
	if (result <= 0)
		return ERR(ENOSPC);
	*result_bytes = (size_t)result;
	return 0;
}

static err_t lz4_unpack(const struct compress_job *job)
{
	int result = LZ4_decompress_safe(job->from, job->to, (int)job->from_bytes, (int)job->to_bytes);
	return result >= 0 && (size_t)result == job->to_bytes ? 0 : ERR(EBADMSG);
}

const struct compress_ops compress_lz4_ops = {
	.level_max = 65537,
	.bound = lz4_bound,
	.workspace_bytes = lz4_workspace_bytes,
	.unpack_workspace_bytes = lz4_unpack_workspace_bytes,
	.pack = lz4_pack,
	.unpack = lz4_unpack,
};
