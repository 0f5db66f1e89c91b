// SPDX-License-Identifier: MIT
//
// Clusters: encoding, reading, checking, decoding, with buffers and workspaces that whoever does it takes for the time.
#include "fs_impl.h"

#include "kern/compress.h"

#define FLUSH_CODECS 2u // so that pages can be written back when there is no memory
#define READ_CODECS 2u
#define PROBE_LEVEL 3         // of Zstandard, from which on it is tried first whether anything helps
#define PROBE_FAST 8          // LZ4's acceleration for that
#define LARGE_KEPT (2u << 20) // bytes of a workspace that is kept from one cluster to the next

struct pxfs_codec {
	struct list_node link; // pool.free
	bool flushes;
	uint32_t room; // of plain; stored has as much, and two sectors
	uint8_t *plain, *stored, *packed;
	uint32_t packed_pages;
	void *scratch;           // of those that flush
	void *workspace, *large; // workspace: from the beginning; large: for what needs more
	size_t workspace_bytes, large_bytes;
};

struct pxfs_codecs {
	struct spinlock lock;
	struct list free[2]; // by whether they flush
	struct waitq freed;
};

static size_t packed_bytes(uint32_t pages)
{
	return (size_t)(pages + 1) * FRAME_SIZE + 65536;
}

static void codec_free(struct pxfs_codec *codec)
{
	kfree(codec->large);
	kfree(codec->workspace);
	kfree(codec->scratch);
	if (codec->packed != NULL)
		range_free(codec->packed);
	if (codec->stored != NULL)
		range_free(codec->stored);
	if (codec->plain != NULL)
		range_free(codec->plain);
	kfree(codec);
}

// Buffers for clusters of that many bytes.
static err_t room_need(struct pxfs_codec *codec, uint32_t bytes)
{
	if (bytes <= codec->room)
		return 0;
	uint8_t *plain = range_alloc(bytes, 0, NULL), *stored = range_alloc(bytes + 2 * SECTOR_SIZE, 0, NULL);
	if (plain == NULL || stored == NULL) {
		if (plain != NULL)
			range_free(plain);
		if (stored != NULL)
			range_free(stored);
		return ERR(ENOMEM);
	}
	if (codec->plain != NULL)
		range_free(codec->plain);
	if (codec->stored != NULL)
		range_free(codec->stored);
	codec->plain = plain;
	codec->stored = stored;
	codec->room = bytes;
	return 0;
}

static void large_free(struct pxfs_codec *codec)
{
	kfree(codec->large);
	codec->large = NULL;
	codec->large_bytes = 0;
}

static err_t workspace_need(struct pxfs_codec *codec, size_t bytes, struct compress_job *job)
{
	if (bytes > codec->workspace_bytes && bytes > codec->large_bytes) {
		large_free(codec);
		codec->large = kmalloc(bytes, 0);
		codec->large_bytes = codec->large == NULL ? 0 : bytes;
	}
	bool own = bytes <= codec->workspace_bytes;
	job->workspace = own ? codec->workspace : codec->large;
	job->workspace_bytes = own ? codec->workspace_bytes : codec->large_bytes;
	return bytes <= job->workspace_bytes ? 0 : ERR(ENOMEM);
}

static enum compress_method method_of(uint8_t method)
{
	return method == PXFS_METHOD_ZSTD ? COMPRESS_ZSTD : COMPRESS_LZ4;
}

static int32_t level_of(uint8_t method, uint8_t level)
{
	if (level != 0)
		return level;
	return method == PXFS_METHOD_ZSTD ? 3 : 1;
}

// One that can decode the volume's own clusters, or encode small ones by LZ4, whatever memory there is later.
static err_t codec_make(const struct pxfs_super *super, bool flushes, struct pxfs_codec **out)
{
	struct pxfs_codec *codec = kmalloc(sizeof *codec, MEM_ZERO);
	uint32_t shift = CLAMP(super->cluster_shift, (uint8_t)PXFS_CLUSTER_SHIFT_MIN, (uint8_t)PXFS_CLUSTER_SHIFT_MAX);
	uint32_t cluster = 1u << (flushes ? MIN(shift, 16u) : shift);
	size_t bytes = flushes ? compress_workspace_bytes(COMPRESS_LZ4, 1, cluster)
			       : decompress_workspace_bytes(COMPRESS_ZSTD);

	if (codec == NULL)
		return ERR(ENOMEM);
	codec->flushes = flushes;
	codec->workspace = kmalloc(bytes, 0);
	codec->workspace_bytes = bytes;
	err_t err = codec->workspace == NULL ? ERR(ENOMEM) : room_need(codec, cluster);
	if (err == 0 && flushes) {
		codec->packed = range_alloc(packed_bytes(CODEC_PACKED_PAGES), 0, NULL);
		codec->packed_pages = CODEC_PACKED_PAGES;
		codec->scratch = kmalloc(CODEC_SCRATCH_BYTES, 0);
		err = codec->packed == NULL || codec->scratch == NULL ? ERR(ENOMEM) : 0;
	}
	if (err != 0)
		codec_free(codec);
	else
		*out = codec;
	return err;
}

void codecs_fini(struct pxfs_volume *volume)
{
	struct pxfs_codec *codec = NULL;

	if (volume->codecs == NULL)
		return;
	for (uint32_t i = 0; i < 2; i++)
		while ((codec = list_pop_front_entry(&volume->codecs->free[i], struct pxfs_codec, link)) != NULL)
			codec_free(codec);
	kfree(volume->codecs);
	volume->codecs = NULL;
}

err_t codecs_init(struct pxfs_volume *volume)
{
	struct pxfs_codecs *codecs = kmalloc(sizeof *codecs, MEM_ZERO);
	struct pxfs_codec *codec = NULL;
	err_t err = 0;

	if (codecs == NULL)
		return ERR(ENOMEM);
	volume->codecs = codecs;
	spin_init(&codecs->lock, LOCK_RANK_FS, "pxfs: codecs");
	list_init(&codecs->free[0]);
	list_init(&codecs->free[1]);
	waitq_init(&codecs->freed, "pxfs: codec");
	for (uint32_t i = 0; i < FLUSH_CODECS + READ_CODECS && err == 0; i++) {
		err = codec_make(&volume->super, i < FLUSH_CODECS, &codec);
		if (err == 0)
			list_push_back(&codecs->free[codec->flushes], &codec->link);
	}
	if (err != 0)
		codecs_fini(volume);
	return err;
}

static struct pxfs_codec *codec_try(struct pxfs_codecs *codecs, bool flushes)
{
	spin_lock(&codecs->lock);
	struct pxfs_codec *codec = list_pop_front_entry(&codecs->free[flushes], struct pxfs_codec, link);
	spin_unlock(&codecs->lock);
	return codec;
}

struct pxfs_codec *codec_take(struct pxfs_volume *volume, bool flushes)
{
	struct pxfs_codecs *codecs = volume->codecs;
	struct pxfs_codec *codec = NULL;

	(void)waitq_wait_until(&codecs->freed, (codec = codec_try(codecs, flushes)) != NULL, TB_FOREVER);
	return codec;
}

void codec_give(struct pxfs_volume *volume, struct pxfs_codec *codec)
{
	struct pxfs_codecs *codecs = volume->codecs;

	if (codec->large_bytes > LARGE_KEPT)
		large_free(codec);
	spin_lock(&codecs->lock);
	memset(&codec->link, 0, sizeof codec->link);
	list_push_front(&codecs->free[codec->flushes], &codec->link);
	spin_unlock(&codecs->lock);
	(void)waitq_wake_all(&codecs->freed);
}

uint8_t *codec_packed(struct pxfs_codec *codec)
{
	return codec->packed;
}

void *codec_scratch(struct pxfs_codec *codec)
{
	return codec->scratch;
}

err_t codec_prepare(struct pxfs_codec *codec, uint32_t bytes)
{
	return room_need(codec, bytes);
}

uint32_t codec_packed_need(struct pxfs_codec *codec, uint32_t pages)
{
	uint8_t *more = pages <= codec->packed_pages ? NULL : range_alloc(packed_bytes(pages), 0, NULL);

	if (more != NULL) {
		range_free(codec->packed);
		codec->packed = more;
		codec->packed_pages = pages;
	}
	return codec->packed_pages;
}

uint32_t codec_room(const struct pxfs_codec *codec)
{
	return codec->room;
}

uint8_t *codec_plain(struct pxfs_codec *codec)
{
	return codec->plain;
}

// What does not become an eighth smaller is -ENOSPC: decoding would cost more than it saves.
static err_t encode_try(struct pxfs_codec *codec, uint32_t bytes, uint8_t method, int32_t level, size_t *done)
{
	struct compress_job job = {.method = method_of(method),
				   .level = level,
				   .from = codec->plain,
				   .from_bytes = bytes,
				   .to = codec->stored,
				   .to_bytes = bytes - bytes / 8};
	err_t err = workspace_need(codec, compress_workspace_bytes(job.method, level, bytes), &job);

	return err == 0 ? compress(&job, done) : err;
}

// A higher level takes long to find that nothing helps. What LZ4 makes smaller it will; else what level 1 does.
static err_t probe(struct pxfs_codec *codec, uint32_t bytes, int32_t level)
{
	size_t done = 0;

	if (level < PROBE_LEVEL)
		return 0;
	err_t err = encode_try(codec, bytes, PXFS_METHOD_LZ4, PROBE_FAST, &done);
	return err == -ENOSPC ? encode_try(codec, bytes, PXFS_METHOD_ZSTD, 1, &done) : err;
}

err_t codec_encode(struct pxfs_codec *codec, uint32_t bytes, uint8_t *method, uint8_t level, const uint8_t **stored,
		   uint32_t *stored_bytes)
{
	size_t done = 0;

	*stored = codec->plain;
	*stored_bytes = bytes;
	if (*method == PXFS_METHOD_NONE || bytes <= 2 * SECTOR_SIZE) {
		*method = PXFS_METHOD_NONE;
		return 0;
	}
	err_t err = *method == PXFS_METHOD_ZSTD ? probe(codec, bytes, level_of(*method, level)) : 0;
	if (err == 0)
		err = encode_try(codec, bytes, *method, level_of(*method, level), &done);
	if (err == -ENOMEM && *method == PXFS_METHOD_ZSTD) { // LZ4 has what it needs
		*method = PXFS_METHOD_LZ4;
		err = encode_try(codec, bytes, *method, 1, &done);
	}
	if (err == -ENOSPC) {
		*method = PXFS_METHOD_NONE;
		return 0;
	}
	if (err != 0)
		return err;
	*stored = codec->stored;
	*stored_bytes = (uint32_t)done;
	return 0;
}

static err_t read_failed(struct pxfs_volume *volume, const struct pxfs_extent *extent, const char *why)
{
	(void)__atomic_fetch_add(&volume->errors_read, 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&volume->errors_lost, 1, __ATOMIC_RELAXED);
	log_err_limited("pxfs: %s: data at sector %llu: %s", block_name(volume->device),
			(unsigned long long)le64_get(&extent->address), why);
	return ERR(EIO);
}

err_t codec_read(struct pxfs_codec *codec, struct pxfs_volume *volume, const struct pxfs_extent *extent)
{
	uint32_t stored = le32_get(&extent->stored), logical = block_logical_bytes(volume->device);
	err_t err = room_need(codec, MAX(le32_get(&extent->cluster), stored));

	if (err != 0)
		return err;
	uint64_t address = le64_get(&extent->address);
	bool plain = extent->method == PXFS_METHOD_NONE;
	uint8_t *to = plain ? codec->plain : codec->stored;
	uint32_t before = (uint32_t)((address << SECTOR_SHIFT) % logical);

	if (plain && (before != 0 || stored % logical != 0)) // through the other buffer, in whole blocks
		to = codec->stored;
	uint32_t whole = ALIGN_UP(before + stored, logical);
	if (whole > codec->room + (to == codec->stored ? 2 * SECTOR_SIZE : 0)) {
		err = room_need(codec, whole);
		to = plain && to == codec->plain ? codec->plain : codec->stored;
	}
	if (err == 0)
		err = block_read(volume->device, address - (before >> SECTOR_SHIFT), to, whole);
	if (err != 0)
		return err == -ENOMEM ? err : read_failed(volume, extent, "cannot be read");
	if (checksum_xxh3(to + before, stored, 0) != le64_get(&extent->checksum))
		return read_failed(volume, extent, "its checksum is wrong");
	if (plain) {
		if (to != codec->plain)
			memcpy(codec->plain, to + before, stored);
		return 0;
	}
	struct compress_job job = {.method = method_of(extent->method),
				   .from = to + before,
				   .from_bytes = stored,
				   .to = codec->plain,
				   .to_bytes = le32_get(&extent->cluster)};
	err = workspace_need(codec, decompress_workspace_bytes(job.method), &job);
	if (err == 0)
		err = decompress(&job);
	return err == -EBADMSG ? read_failed(volume, extent, "it cannot be decoded") : err;
}
