// SPDX-License-Identifier: MIT
//
// The overlay of a simulated disk: physical blocks and their versions. sim_disk.h.
#include "sim_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t bucket_of(const struct sim_disk *disk, uint64_t index)
{
	return sim_mix64(index) & (disk->bucket_count - 1);
}

static struct sim_block *block_find(const struct sim_disk *disk, uint64_t index)
{
	if (disk->bucket_count == 0)
		return NULL;
	struct sim_block *block = disk->buckets[bucket_of(disk, index)];
	while (block != NULL && block->index != index)
		block = block->next;
	return block;
}

static bool buckets_grow(struct sim_disk *disk)
{
	uint64_t old_count = disk->bucket_count, count = old_count == 0 ? 1024 : old_count * 2;
	struct sim_block **old = disk->buckets, **buckets = calloc(count, sizeof *buckets);
	if (buckets == NULL)
		return false;
	disk->buckets = buckets;
	disk->bucket_count = count;
	for (uint64_t i = 0; i < old_count; i++)
		for (struct sim_block *block = old[i], *next = NULL; block != NULL; block = next) {
			next = block->next;
			struct sim_block **bucket = &buckets[bucket_of(disk, block->index)];
			block->next = *bucket;
			*bucket = block;
		}
	free(old);
	return true;
}

static struct sim_block *block_get(struct sim_disk *disk, uint64_t index)
{
	struct sim_block *block = block_find(disk, index);
	if (block != NULL)
		return block;
	if (disk->block_count >= disk->bucket_count && !buckets_grow(disk))
		return NULL;
	block = calloc(1, sizeof *block);
	if (block == NULL)
		return NULL;
	struct sim_block **bucket = &disk->buckets[bucket_of(disk, index)];
	block->index = index;
	block->next = *bucket;
	*bucket = block;
	disk->block_count++;
	return block;
}

// ---- reading ------------------------------------------------------------------------------------------------------------

static tb_err base_read(const struct sim_disk *disk, uint64_t offset_bytes, uint8_t *bytes, size_t size_bytes)
{
	uint64_t at = disk->host->offset_bytes + offset_bytes;
	while (size_bytes > 0) {
		ssize_t got = pread(disk->host->fd, bytes, size_bytes, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EIO;
		bytes += got;
		at += (uint64_t)got;
		size_bytes -= (size_t)got;
	}
	return 0;
}

// The disk's last block may be shorter than a physical one: what lies behind the end is zeroes.
static tb_err base_block(const struct sim_disk *disk, uint64_t index, uint8_t *bytes)
{
	uint64_t offset_bytes = index * disk->block_bytes, left_bytes = disk->host->info.size_bytes - offset_bytes;
	size_t size = left_bytes < disk->block_bytes ? (size_t)left_bytes : disk->block_bytes;
	memset(bytes + size, 0, disk->block_bytes - size);
	return base_read(disk, offset_bytes, bytes, size);
}

static const uint8_t *block_bytes(const struct sim_block *block, bool stale)
{
	return block->newest != NULL && !stale ? block->newest->bytes : block->durable;
}

tb_err sim_overlay_read(struct sim_disk *disk, uint64_t offset_bytes, void *bytes, size_t size_bytes, bool stale)
{
	uint8_t *to = bytes;
	tb_err err = 0;
	while (size_bytes > 0 && err == 0) {
		uint64_t index = offset_bytes / disk->block_bytes;
		size_t into = (size_t)(offset_bytes % disk->block_bytes);
		size_t size = disk->block_bytes - into < size_bytes ? disk->block_bytes - into : size_bytes;
		const struct sim_block *block = block_find(disk, index);
		const uint8_t *found = block == NULL ? NULL : block_bytes(block, stale);
		if (found != NULL)
			memcpy(to, found + into, size);
		else
			err = base_read(disk, offset_bytes, to, size);
		to += size;
		offset_bytes += size;
		size_bytes -= size;
	}
	return err;
}

// ---- writing ------------------------------------------------------------------------------------------------------------

static tb_err version_add(struct sim_disk *disk, struct sim_block *block, uint32_t slot, size_t into, const void *bytes,
			  size_t size_bytes)
{
	struct sim_version *version = malloc(sizeof *version + disk->block_bytes);
	const uint8_t *before = block_bytes(block, false);
	tb_err err = 0;
	if (version == NULL)
		return -ENOMEM;
	if (before != NULL)
		memcpy(version->bytes, before, disk->block_bytes);
	else if (size_bytes != disk->block_bytes)
		err = base_block(disk, block->index, version->bytes);
	if (err != 0) {
		free(version);
		return err;
	}
	if (bytes != NULL)
		memcpy(version->bytes + into, bytes, size_bytes);
	else
		memset(version->bytes + into, 0, size_bytes);
	version->ended = TB_FOREVER;
	version->slot = slot;
	version->older = block->newest;
	block->newest = version;
	if (!block->dirty) {
		block->dirty = true;
		block->next_dirty = disk->dirty;
		disk->dirty = block;
	}
	return 0;
}

tb_err sim_overlay_write(struct sim_disk *disk, uint32_t slot, uint64_t offset_bytes, const void *bytes,
			 size_t size_bytes)
{
	const uint8_t *from = bytes;
	tb_err err = 0;
	while (size_bytes > 0 && err == 0) {
		size_t into = (size_t)(offset_bytes % disk->block_bytes);
		size_t size = disk->block_bytes - into < size_bytes ? disk->block_bytes - into : size_bytes;
		struct sim_block *block = block_get(disk, offset_bytes / disk->block_bytes);
		err = block == NULL ? -ENOMEM : version_add(disk, block, slot, into, from, size);
		from = from == NULL ? NULL : from + size;
		offset_bytes += size;
		size_bytes -= size;
	}
	return err;
}

void sim_overlay_ended(struct sim_disk *disk, uint32_t slot, uint64_t offset_bytes, uint64_t size_bytes)
{
	uint64_t ended = ++disk->ended;
	uint64_t first = offset_bytes / disk->block_bytes, last = (offset_bytes + size_bytes - 1) / disk->block_bytes;
	for (uint64_t index = first; size_bytes != 0 && index <= last; index++) {
		struct sim_block *block = block_find(disk, index);
		struct sim_version *version = block == NULL ? NULL : block->newest;
		for (; version != NULL; version = version->older)
			if (version->ended == TB_FOREVER && version->slot == slot)
				version->ended = ended;
	}
}

// ---- durability ---------------------------------------------------------------------------------------------------------

static void versions_free(struct sim_version *version)
{
	while (version != NULL) {
		struct sim_version *older = version->older;
		free(version);
		version = older;
	}
}

// The block's durable contents are this version's; it and what is older go.
static bool block_settle(struct sim_disk *disk, struct sim_block *block, struct sim_version **link)
{
	struct sim_version *version = *link;
	if (block->durable == NULL)
		block->durable = malloc(disk->block_bytes);
	if (block->durable == NULL)
		return false; // it stays as it is: what is not yet durable may become so later
	memcpy(block->durable, version->bytes, disk->block_bytes);
	versions_free(version);
	*link = NULL;
	return true;
}

static void dirty_compact(struct sim_disk *disk)
{
	struct sim_block **link = &disk->dirty;
	while (*link != NULL) {
		struct sim_block *block = *link;
		if (block->newest != NULL) {
			link = &block->next_dirty;
			continue;
		}
		block->dirty = false;
		*link = block->next_dirty;
	}
}

void sim_overlay_flush(struct sim_disk *disk, uint64_t covers)
{
	for (struct sim_block *block = disk->dirty; block != NULL; block = block->next_dirty) {
		struct sim_version **link = &block->newest;
		while (*link != NULL && (*link)->ended > covers)
			link = &(*link)->older;
		if (*link != NULL)
			block_settle(disk, block, link);
	}
	dirty_compact(disk);
}

void sim_overlay_settle(struct sim_disk *disk, uint64_t offset_bytes, uint64_t size_bytes)
{
	uint64_t first = offset_bytes / disk->block_bytes, last = (offset_bytes + size_bytes - 1) / disk->block_bytes;
	for (uint64_t index = first; size_bytes != 0 && index <= last; index++) {
		struct sim_block *block = block_find(disk, index);
		struct sim_version **link = block == NULL ? NULL : &block->newest;
		while (link != NULL && *link != NULL && (*link)->ended != disk->ended)
			link = &(*link)->older;
		if (link != NULL && *link != NULL)
			block_settle(disk, block, link);
	}
	dirty_compact(disk);
}

// Order on the list is that of first writing, which the run decides; no address enters.
void sim_overlay_cut(struct sim_disk *disk)
{
	for (struct sim_block *block = disk->dirty; block != NULL; block = block->next_dirty) {
		uint32_t count = 0;
		for (const struct sim_version *version = block->newest; version != NULL; version = version->older)
			count++;
		uint32_t pick = sim_draw_below(&disk->chance, count + 1); // count: none of them
		struct sim_version *version = block->newest;
		for (uint32_t i = 0; i < pick && version != NULL; i++)
			version = version->older;
		bool destroyed = block->newest->ended == TB_FOREVER && sim_draw_below(&disk->chance, 4) == 0;
		struct sim_version *kept = destroyed ? block->newest : version;
		for (size_t i = 0; destroyed && i < disk->block_bytes; i++)
			kept->bytes[i] = (uint8_t)sim_draw(&disk->chance);
		if (kept != NULL) {
			if (block->durable == NULL)
				block->durable = malloc(disk->block_bytes);
			if (block->durable != NULL)
				memcpy(block->durable, kept->bytes, disk->block_bytes);
		}
		versions_free(block->newest);
		block->newest = NULL;
	}
	dirty_compact(disk);
}

static tb_err block_publish(const struct sim_disk *disk, const struct sim_block *block)
{
	const uint8_t *bytes = block_bytes(block, false);
	uint64_t offset_bytes = block->index * disk->block_bytes;
	uint64_t left_bytes = disk->host->info.size_bytes - offset_bytes;
	size_t size = left_bytes < disk->block_bytes ? (size_t)left_bytes : disk->block_bytes;
	while (size > 0 && bytes != NULL) {
		ssize_t done = pwrite(disk->host->fd, bytes, size, (off_t)(disk->host->offset_bytes + offset_bytes));
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -EIO;
		bytes += done;
		offset_bytes += (uint64_t)done;
		size -= (size_t)done;
	}
	return 0;
}

tb_err sim_overlay_publish(struct sim_disk *disk)
{
	tb_err err = 0;
	for (uint64_t i = 0; i < disk->bucket_count && err == 0; i++)
		for (struct sim_block *block = disk->buckets[i]; block != NULL && err == 0; block = block->next)
			err = block_publish(disk, block);
	if (err == 0 && fdatasync(disk->host->fd) != 0)
		err = -EIO;
	return err;
}

void sim_overlay_free(struct sim_disk *disk)
{
	for (uint64_t i = 0; i < disk->bucket_count; i++)
		for (struct sim_block *block = disk->buckets[i], *next = NULL; block != NULL; block = next) {
			next = block->next;
			versions_free(block->newest);
			free(block->durable);
			free(block);
		}
	free(disk->buckets);
}
