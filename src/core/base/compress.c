// SPDX-License-Identifier: MIT
//
// Compression: the checks that all methods share, then the method.
#include "compress_impl.h"

#include "kern/assert.h"

static const struct compress_ops *const methods[COMPRESS_METHOD_COUNT] = {
	[COMPRESS_LZ4] = &compress_lz4_ops,
	[COMPRESS_ZSTD] = &compress_zstd_ops,
};

static const struct compress_ops *method_ops(enum compress_method method)
{
	return (uint32_t)method < COMPRESS_METHOD_COUNT ? methods[method] : NULL;
}

size_t compress_bound(enum compress_method method, size_t size_bytes)
{
	ASSERT3(size_bytes, <=, COMPRESS_SIZE_MAX);
	return methods[method]->bound(size_bytes);
}

size_t compress_workspace_bytes(enum compress_method method, int32_t level, size_t size_bytes)
{
	ASSERT3(size_bytes, <=, COMPRESS_SIZE_MAX);
	return methods[method]->workspace_bytes(level, size_bytes);
}

size_t decompress_workspace_bytes(enum compress_method method)
{
	return methods[method]->unpack_workspace_bytes();
}

static bool workspace_fits(const struct compress_job *job, size_t needed_bytes)
{
	return job->workspace_bytes >= needed_bytes && IS_ALIGNED((uintptr_t)job->workspace, COMPRESS_WORKSPACE_ALIGN);
}

err_t compress(const struct compress_job *job, size_t *result_bytes)
{
	const struct compress_ops *ops = method_ops(job->method);

	if (ops == NULL || job->level < 1 || job->level > ops->level_max)
		return ERR(EINVAL);
	if (job->from_bytes > COMPRESS_SIZE_MAX)
		return ERR(EFBIG);
	if (!workspace_fits(job, ops->workspace_bytes(job->level, job->from_bytes)))
		return ERR(EINVAL);
	return ops->pack(job, result_bytes);
}

err_t decompress(const struct compress_job *job)
{
	const struct compress_ops *ops = method_ops(job->method);

	if (ops == NULL || !workspace_fits(job, ops->unpack_workspace_bytes()))
		return ERR(EINVAL);
	if (job->to_bytes > COMPRESS_SIZE_MAX || job->from_bytes > ops->bound(COMPRESS_SIZE_MAX))
		return ERR(EFBIG);
	return ops->unpack(job);
}
