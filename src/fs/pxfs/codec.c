// SPDX-License-Identifier: MIT
//
// Clusters: encoding, reading, checking, decoding, with buffers and workspaces that whoever does it takes for the time.
#include "fs_impl.h"

#include "kern/compress.h"

#define PLAIN_BYTES (1u << PXFS_CLUSTER_SHIFT_MAX)

struct pxfs_codec {
	uint8_t *plain, *stored; // stored: as much, and a sector
	void *workspace;
	size_t workspace_bytes;
};

void codec_give(struct pxfs_codec *codec)
{
	kfree(codec->workspace);
	range_free(codec->stored);
	range_free(codec->plain);
	kfree(codec);
}

err_t codec_take(struct pxfs_codec **out)
{
	struct pxfs_codec *codec = kmalloc(sizeof *codec, MEM_ZERO);

	if (codec == NULL)
		return ERR(ENOMEM);
	codec->plain = range_alloc(PLAIN_BYTES, 0, NULL);
	codec->stored = codec->plain == NULL ? NULL : range_alloc(PLAIN_BYTES + SECTOR_SIZE, 0, NULL);
	if (codec->stored == NULL) {
		if (codec->plain != NULL)
			range_free(codec->plain);
		kfree(codec);
		return ERR(ENOMEM);
	}
	*out = codec;
	return 0;
}

uint8_t *codec_plain(struct pxfs_codec *codec)
{
	return codec->plain;
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
	int32_t own_level = level == 0 ? (*method == PXFS_METHOD_ZSTD ? 3 : 1) : level;
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
	uint64_t address = le64_get(&extent->address);
	bool plain = extent->method == PXFS_METHOD_NONE;
	uint8_t *to = plain ? codec->plain : codec->stored;
	uint32_t before = (uint32_t)((address << SECTOR_SHIFT) % logical);

	if (plain && (before != 0 || stored % logical != 0)) // through the other buffer, in whole blocks
		to = codec->stored;
	uint32_t whole = ALIGN_UP(before + stored, logical);
	if (whole > PLAIN_BYTES + (to == codec->stored ? SECTOR_SIZE : 0))
		return read_failed(volume, extent, "too large");
	err_t err = block_read(volume->device, address - (before >> SECTOR_SHIFT), to, whole);
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
