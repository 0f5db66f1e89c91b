// SPDX-License-Identifier: MIT
//
// Compression wrappers: round trips over texts of several kinds and sizes, exact borders, damaged input, workspaces.
#include "kern/compress.h"

#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/string.h"
#include "kern/test.h"

#define PLAIN_MAX 20000u

struct bench {
	uint8_t *plain;
	uint8_t *packed;
	uint8_t *again;
	void *workspace;
	size_t workspace_bytes;
	size_t packed_max;
};

static bool bench_init(struct bench *bench)
{
	size_t lz4 = compress_workspace_bytes(COMPRESS_LZ4, 1, PLAIN_MAX);
	size_t zstd =
		MAX(compress_workspace_bytes(COMPRESS_ZSTD, 3, PLAIN_MAX), decompress_workspace_bytes(COMPRESS_ZSTD));
	bench->workspace_bytes = MAX(lz4, zstd);
	bench->packed_max = MAX(compress_bound(COMPRESS_LZ4, PLAIN_MAX), compress_bound(COMPRESS_ZSTD, PLAIN_MAX));
	bench->plain = kmalloc(PLAIN_MAX, MEM_ZERO);
	bench->packed = kmalloc(bench->packed_max, MEM_ZERO);
	bench->again = kmalloc(PLAIN_MAX + 1, MEM_ZERO);
	bench->workspace = kmalloc(bench->workspace_bytes, 0);
	return bench->plain != NULL && bench->packed != NULL && bench->again != NULL && bench->workspace != NULL;
}

static void bench_fini(struct bench *bench)
{
	kfree(bench->plain);
	kfree(bench->packed);
	kfree(bench->again);
	kfree(bench->workspace);
}

// Kind 0: one byte repeated; 1: words out of a few; 2: noise.
static void plain_fill(struct bench *bench, uint32_t kind, size_t size_bytes)
{
	static const char words[] = "frame slab lock timer ";
	struct rand_stream chance;

	rand_init(&chance, kind + size_bytes);
	if (kind == 2)
		rand_fill(&chance, bench->plain, size_bytes);
	for (size_t i = 0; i < size_bytes && kind != 2; i++)
		bench->plain[i] = kind == 0 ? 'z' : (uint8_t)words[(i + rand_below(&chance, 2)) % (sizeof words - 1)];
}

static struct compress_job pack_job(const struct bench *bench, enum compress_method method, size_t size_bytes)
{
	return (struct compress_job){.method = method,
				     .level = method == COMPRESS_ZSTD ? 3 : 1,
				     .workspace = bench->workspace,
				     .workspace_bytes = bench->workspace_bytes,
				     .from = bench->plain,
				     .from_bytes = size_bytes,
				     .to = bench->packed,
				     .to_bytes = bench->packed_max};
}

static struct compress_job unpack_job(const struct bench *bench, enum compress_method method, size_t packed_bytes,
				      size_t size_bytes)
{
	struct compress_job job = pack_job(bench, method, packed_bytes);
	job.from = bench->packed;
	job.to = bench->again;
	job.to_bytes = size_bytes;
	return job;
}

static void round_trip(TEST_RUN, struct bench *bench, enum compress_method method, uint32_t kind, size_t size_bytes)
{
	size_t packed_bytes = 0;

	plain_fill(bench, kind, size_bytes);
	struct compress_job job = pack_job(bench, method, size_bytes);
	REQUIRE(compress(&job, &packed_bytes) == 0);
	CHECK(packed_bytes <= compress_bound(method, size_bytes));
	if (kind != 2 && size_bytes >= 1000)
		CHECK(packed_bytes < size_bytes);

	memset(bench->again, 0x55, PLAIN_MAX + 1);
	job = unpack_job(bench, method, packed_bytes, size_bytes);
	CHECK_EQ(decompress(&job), 0);
	CHECK_EQ(memcmp(bench->again, bench->plain, size_bytes), 0);
	CHECK_EQ(bench->again[size_bytes], 0x55);

	job.to_bytes = size_bytes + 1;
	CHECK_EQ(decompress(&job), -EBADMSG);
	if (size_bytes > 0) {
		job.to_bytes = size_bytes - 1;
		CHECK_EQ(decompress(&job), -EBADMSG);
	}
	job.to_bytes = size_bytes;
	job.from_bytes = packed_bytes - 1;
	CHECK_EQ(decompress(&job), -EBADMSG);

	job = pack_job(bench, method, size_bytes);
	job.to_bytes = packed_bytes - 1;
	CHECK_EQ(compress(&job, &packed_bytes), -ENOSPC);
}

TEST(compress, round_trips)
{
	static const size_t sizes[] = {0, 1, 5, 63, 64, 1000, 4096, PLAIN_MAX - 1};
	struct bench bench;

	if (bench_init(&bench)) {
		for (uint32_t i = 0; i < array_count(sizes); i++) {
			for (uint32_t kind = 0; kind < 3; kind++) {
				round_trip(test_run_, &bench, COMPRESS_LZ4, kind, sizes[i]);
				round_trip(test_run_, &bench, COMPRESS_ZSTD, kind, sizes[i]);
			}
		}
	} else {
		CHECK(!"out of memory");
	}
	bench_fini(&bench);
}

// Whatever the damage, nothing outside `to` is written and the answer is the error or some content of the right size.
static void damage(TEST_RUN, struct bench *bench, enum compress_method method)
{
	struct rand_stream chance;
	size_t packed_bytes = 0;
	uint32_t refused = 0;

	plain_fill(bench, 1, 3000);
	struct compress_job job = pack_job(bench, method, 3000);
	REQUIRE(compress(&job, &packed_bytes) == 0);
	rand_init(&chance, method);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t at = rand_below(&chance, (uint32_t)packed_bytes);
		uint8_t was = bench->packed[at];
		bench->packed[at] ^= (uint8_t)(1u << rand_below(&chance, 8));
		memset(bench->again + 3000, 0x55, 16);
		job = unpack_job(bench, method, packed_bytes, 3000);
		err_t err = decompress(&job);
		CHECK(err == 0 || err == -EBADMSG);
		CHECK_EQ(bench->again[3000], 0x55);
		refused += err != 0;
		bench->packed[at] = was;
	}
	CHECK(refused > 20);
	CHECK_EQ(decompress(&job), 0);
}

TEST(compress, damaged_input_is_refused)
{
	struct bench bench;

	if (bench_init(&bench)) {
		damage(test_run_, &bench, COMPRESS_LZ4);
		damage(test_run_, &bench, COMPRESS_ZSTD);
	} else {
		CHECK(!"out of memory");
	}
	bench_fini(&bench);
}

static void bad_arguments(TEST_RUN, struct bench *bench, enum compress_method method)
{
	size_t result_bytes = 77;
	struct compress_job job = pack_job(bench, method, 100);

	job.level = 0;
	CHECK_EQ(compress(&job, &result_bytes), -EINVAL);
	job.level = 70000;
	CHECK_EQ(compress(&job, &result_bytes), -EINVAL);
	job = pack_job(bench, method, 100);
	job.workspace_bytes = compress_workspace_bytes(method, job.level, 100) - 1;
	CHECK_EQ(compress(&job, &result_bytes), -EINVAL);
	job = pack_job(bench, method, 100);
	job.workspace = (uint8_t *)job.workspace + 1;
	job.workspace_bytes--;
	CHECK_EQ(compress(&job, &result_bytes), -EINVAL);
	job = pack_job(bench, method, COMPRESS_SIZE_MAX + 1);
	CHECK_EQ(compress(&job, &result_bytes), -EFBIG);
	job = unpack_job(bench, method, 100, COMPRESS_SIZE_MAX + 1);
	CHECK_EQ(decompress(&job), -EFBIG);
	job = pack_job(bench, (enum compress_method)7, 100);
	CHECK_EQ(compress(&job, &result_bytes), -EINVAL);
	CHECK_EQ(decompress(&job), -EINVAL);
	CHECK_EQ(result_bytes, 77);
}

TEST(compress, bad_arguments_are_refused)
{
	struct bench bench;

	CHECK_EQ(decompress_workspace_bytes(COMPRESS_LZ4), 0);

	if (bench_init(&bench)) {
		bad_arguments(test_run_, &bench, COMPRESS_LZ4);
		bad_arguments(test_run_, &bench, COMPRESS_ZSTD);
		struct compress_job job = unpack_job(&bench, COMPRESS_ZSTD, 100, 100);
		job.workspace_bytes = decompress_workspace_bytes(COMPRESS_ZSTD) - 1;
		CHECK_EQ(decompress(&job), -EINVAL);
	} else {
		CHECK(!"out of memory");
	}
	bench_fini(&bench);
}

// The promised workspace suffices for every level and size, and not a byte more is handed over.
TEST(compress, promised_workspaces_suffice)
{
	static const size_t sizes[] = {1, 4096, 16384, 20000};
	struct bench bench;

	if (bench_init(&bench)) {
		plain_fill(&bench, 1, PLAIN_MAX);
		for (int32_t level = 1; level <= 19; level += 3) {
			for (uint32_t i = 0; i < array_count(sizes); i++) {
				struct compress_job job = pack_job(&bench, COMPRESS_ZSTD, sizes[i]);
				size_t packed_bytes = 0;
				job.level = level;
				job.workspace_bytes = compress_workspace_bytes(COMPRESS_ZSTD, level, sizes[i]);
				job.workspace = kmalloc(job.workspace_bytes, 0);
				CHECK(job.workspace != NULL);
				CHECK(job.workspace == NULL || compress(&job, &packed_bytes) == 0);
				kfree(job.workspace);
			}
		}
	} else {
		CHECK(!"out of memory");
	}
	bench_fini(&bench);
}
