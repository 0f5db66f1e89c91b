// SPDX-License-Identifier: MIT
//
// The one file that knows Zstandard, through its static-workspace interface.
#include "compress_impl.h"

#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL_MAX 19

static size_t zstd_bound(size_t size_bytes)
{
	return ZSTD_compressBound(size_bytes);
}

static size_t workspace_for(int32_t level, size_t size_bytes)
{
	return ZSTD_estimateCCtxSize_usingCParams(ZSTD_getCParams(level, size_bytes, 0));
}

// Parameters come in tiers by input size, and neither a lower level nor a smaller tier always needs less.
static size_t zstd_workspace_bytes(int32_t level, size_t size_bytes)
{
	static const size_t tiers[] = {16u << 10, 128u << 10, 256u << 10, COMPRESS_SIZE_MAX};
	size_t largest = 0;

	for (int32_t at = 1; at <= level && at <= LEVEL_MAX; at++) {
		for (uint32_t i = 0; i < array_count(tiers) && (i == 0 || tiers[i - 1] < size_bytes); i++)
			largest = MAX(largest, workspace_for(at, MIN(MAX(size_bytes, 1), tiers[i])));
	}
	return largest;
}

static size_t zstd_unpack_workspace_bytes(void)
{
	return ZSTD_estimateDCtxSize();
}

static err_t zstd_pack(const struct compress_job *job, size_t *result_bytes)
{
	ZSTD_CCtx *context = ZSTD_initStaticCCtx(job->workspace, job->workspace_bytes);
	if (context == NULL)
		return ERR(EINVAL);
	size_t result = ZSTD_compressCCtx(context, job->to, job->to_bytes, job->from, job->from_bytes, job->level);
	if (ZSTD_getErrorCode(result) == ZSTD_error_dstSize_tooSmall)
		return ERR(ENOSPC);
	if (ZSTD_isError(result))
		return ERR(EINVAL);
	*result_bytes = result;
	return 0;
}

static err_t zstd_unpack(const struct compress_job *job)
{
	ZSTD_DCtx *context = ZSTD_initStaticDCtx(job->workspace, job->workspace_bytes);
	if (context == NULL)
		return ERR(EINVAL);
	size_t result = ZSTD_decompressDCtx(context, job->to, job->to_bytes, job->from, job->from_bytes);
	return !ZSTD_isError(result) && result == job->to_bytes ? 0 : ERR(EBADMSG);
}

const struct compress_ops compress_zstd_ops = {
	.level_max = LEVEL_MAX,
	.bound = zstd_bound,
	.workspace_bytes = zstd_workspace_bytes,
	.unpack_workspace_bytes = zstd_unpack_workspace_bytes,
	.pack = zstd_pack,
	.unpack = zstd_unpack,
};
