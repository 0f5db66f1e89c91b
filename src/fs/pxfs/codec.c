// SPDX-License-Identifier: MIT
//
// Clusters: encoding, reading, checking, decoding, with buffers and workspaces that whoever does it takes for the time.
#include "fs_impl.h"

#include "kern/compress.h"

#define FLUSH_CODECS 2u // so that pages can be written back when there is no memory
#define READ_CODECS 2u

struct pxfs_codec {
	struct list_node link; // pool.free
	bool flushes;
	uint32_t room; // of plain; stored has as much, and two sectors
	uint8_t *plain, *stored, *packed;
	void *scratch; // of those that flush
	void *workspace;
	size_t workspace_bytes;
};

struct pxfs_codecs {
	struct spinlock lock;
	struct list free[2]; // by whether they flush
	struct waitq freed;
};

static void codec_free(struct pxfs_codec *codec)
{
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

static err_t workspace_need(struct pxfs_codec *codec, size_t bytes)
{
	if (bytes <= codec->workspace_bytes)
		return 0;
	kfree(codec->workspace);
	codec->workspace = kmalloc(bytes, 0);
	codec->workspace_bytes = codec->workspace == NULL ? 0 : bytes;
	return codec->workspace == NULL ? ERR(ENOMEM) : 0;
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

// One that can do all that the volume's own settings ask for.
static err_t codec_make(const struct pxfs_super *super, bool flushes, struct pxfs_codec **out)
{
	struct pxfs_codec *codec = kmalloc(sizeof *codec, MEM_ZERO);
	uint32_t cluster =
		1u << CLAMP(super->cluster_shift, (uint8_t)PXFS_CLUSTER_SHIFT_MIN, (uint8_t)PXFS_CLUSTER_SHIFT_MAX);

	if (codec == NULL)
		return ERR(ENOMEM);
	codec->flushes = flushes;
	err_t err = room_need(codec, cluster);
	if (err == 0 && super->method < PXFS_METHOD_NONE)
		err = workspace_need(codec, MAX(compress_workspace_bytes(method_of(super->method),
									 level_of(super->method, MIN(super->level, 19)),
									 cluster),
						decompress_workspace_bytes(method_of(super->method))));
	if (err == 0 && flushes) {
		codec->packed = range_alloc(CODEC_PACKED_BYTES, 0, NULL);
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

uint8_t *codec_plain(struct pxfs_codec *codec)
{
	return codec->plain;
}

// What does not become an eighth smaller stays as it is: decoding would cost more than it saves.
err_t codec_encode(struct pxfs_codec *codec, uint32_t bytes, uint8_t *method, uint8_t level, const uint8_t **stored,
		   uint32_t *stored_bytes)
{
	uint32_t room = bytes - bytes / 8;
	size_t done = 0;

	*stored = codec->plain;
	*stored_bytes = bytes;
	if (*method == PXFS_METHOD_NONE || bytes <= 2 * SECTOR_SIZE) {
		*method = PXFS_METHOD_NONE;
		return 0;
	}
	int32_t own_level = level_of(*method, level);
	err_t err = workspace_need(codec, compress_workspace_bytes(method_of(*method), own_level, bytes));
	if (err != 0)
		return err;
	struct compress_job job = {.method = method_of(*method),
				   .level = own_level,
				   .workspace = codec->workspace,
				   .workspace_bytes = codec->workspace_bytes,
				   .from = codec->plain,
				   .from_bytes = bytes,
				   .to = codec->stored,
				   .to_bytes = room};
	err = compress(&job, &done);
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
	err = workspace_need(codec, decompress_workspace_bytes(method_of(extent->method)));
	struct compress_job job = {.method = method_of(extent->method),
				   .workspace = codec->workspace,
				   .workspace_bytes = codec->workspace_bytes,
				   .from = to + before,
				   .from_bytes = stored,
				   .to = codec->plain,
				   .to_bytes = le32_get(&extent->cluster)};
	if (err == 0)
		err = decompress(&job);
	return err == -EBADMSG ? read_failed(volume, extent, "it cannot be decoded") : err;
}
