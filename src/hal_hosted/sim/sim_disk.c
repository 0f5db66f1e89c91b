// SPDX-License-Identifier: MIT
//
// Simulated disks: requests, faults, the power cut. sim_disk.h.
#include "sim_disk.h"

#include "sim_engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sim_disks *disks_of(const struct tb_instance *instance)
{
	return sim_instance(instance)->disks;
}

// ---- life -----------------------------------------------------------------------------------------------------------------

tb_err sim_disks_open(struct sim_instance *instance)
{
	struct tb_instance *host = instance->host;
	if (host->disk_count == 0)
		return 0;
	struct sim_disks *disks = calloc(1, sizeof *disks + host->disk_count * sizeof disks->disks[0]);
	if (disks == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	disks->count = host->disk_count;
	instance->disks = disks;
	for (uint32_t i = 0; i < disks->count; i++) {
		struct sim_disk *disk = &disks->disks[i];
		disk->host = &host->disks[i];
		disk->block_bytes = disk->host->info.physical_bytes;
		tb_err err = sim_faults_parse(disk->host->path, host->config.disks[i].faults, &disk->faults);
		if (err != 0)
			return err;
	}
	return 0;
}

tb_err sim_disks_publish(struct sim_instance *instance)
{
	struct sim_disks *disks = instance->disks;
	tb_err err = 0;
	for (uint32_t i = 0; disks != NULL && i < disks->count && err == 0; i++) {
		bool publish = (instance->host->config.disks[i].flags & TB_DISK_PUBLISH) != 0;
		if (publish && sim_overlay_publish(&disks->disks[i]) != 0)
			err = host_fail(NULL, -EIO, "disk %s: cannot write what it holds", disks->disks[i].host->path);
	}
	return err;
}

void sim_disks_free(struct sim_instance *instance)
{
	struct sim_disks *disks = instance->disks;
	for (uint32_t i = 0; disks != NULL && i < disks->count; i++)
		sim_overlay_free(&disks->disks[i]);
	free(disks);
	instance->disks = NULL;
}

static bool is_zero(const uint8_t *bytes, size_t size_bytes)
{
	return size_bytes == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size_bytes - 1) == 0);
}

#define HASH_PIECE 65536u

// What the base holds, whatever of it the host stores as holes: places and bytes of pieces that are not zero.
static tb_err base_hash(const struct sim_disk *disk, uint8_t hash[32])
{
	const struct host_disk *host = disk->host;
	uint64_t begin = host->offset_bytes, end = begin + host->info.size_bytes, at = begin;
	uint8_t piece[HASH_PIECE];
	struct sim_sha256 sha;

	sim_sha256_init(&sha);
	while (at < end) {
		off_t data = lseek(host->fd, (off_t)at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		if (data > (off_t)at) // to the piece that it lies in
			at = begin + ((uint64_t)data - begin) / HASH_PIECE * HASH_PIECE;
		size_t size = end - at < HASH_PIECE ? (size_t)(end - at) : HASH_PIECE;
		ssize_t got = at >= end ? 0 : pread(host->fd, piece, size, (off_t)at);
		if (at < end && got != (ssize_t)size)
			return -EIO;
		if (at < end && !is_zero(piece, size)) {
			uint64_t place = at - begin;
			sim_sha256_update(&sha, &place, sizeof place);
			sim_sha256_update(&sha, piece, size);
		}
		at += size == 0 ? 1 : size;
	}
	sim_sha256_final(&sha, hash);
	return 0;
}

// What a replay must be given again; paths are not part of it.
static void describe(const struct sim_disk *disk, uint32_t number, const char *faults, char *name, size_t size_bytes)
{
	const struct hal_block_info *info = &disk->host->info;
	snprintf(name, size_bytes, "disk%u: %llu bytes, logical=%u, physical=%u, flags=0x%x, faults=%s", number,
		 (unsigned long long)info->size_bytes, info->logical_bytes, info->physical_bytes, info->flags,
		 faults == NULL ? "" : faults);
}

tb_err sim_disks_asked(struct tb_instance *host)
{
	struct sim_instance *instance = sim_instance(host);
	struct tb_sim *sim = instance->sim;
	struct sim_disks *disks = instance->disks;
	char name[SIM_LOG_NAME_SIZE];

	for (uint32_t i = 0; disks != NULL && i < disks->count; i++) {
		struct sim_disk *disk = &disks->disks[i];
		struct sim_log_record record = {.tag = SIM_LOG_MODULE};
		sim_stream_init(&disk->chance, sim->seed, "disk", (uint64_t)instance->index << 32 | i);
		describe(disk, i, host->config.disks[i].faults, name, sizeof name);
		record.module = (struct sim_log_module){.instance = instance->index,
							.size_bytes = disk->host->info.size_bytes,
							.name = name,
							.name_size_bytes = strlen(name)};
		if (base_hash(disk, record.module.hash) != 0)
			return host_fail(host, -EIO, "disk %s: cannot be read", disk->host->path);
		if (sim->replay != NULL && !sim_replay_module(sim, &record.module))
			return -EPROTO;
		sim_hash_head(&sim->hash, SIM_HASH_MODULE, instance->index, i);
		sim_hash_word(&sim->hash, record.module.size_bytes);
		sim_hash_bytes(&sim->hash, record.module.hash, sizeof record.module.hash);
		sim_hash_bytes(&sim->hash, name, record.module.name_size_bytes);
		sim_record_put(sim, &record);
	}
	return 0;
}

// ---- requests -------------------------------------------------------------------------------------------------------------

static bool draw(struct sim_disk *disk, enum sim_fault fault)
{
	uint32_t one_in = disk->faults.one_in[fault];
	return one_in != 0 && sim_draw_below(&disk->chance, one_in) == 0;
}

// A disk of about 2 GB/s: some microseconds, then what the bytes take; a FLUSH takes longer.
static uint64_t duration_ns(struct sim_disk *disk, const struct hal_block_request *request)
{
	uint64_t base_ns = request->op == HAL_BLOCK_FLUSH ? 40000 : 8000;
	uint64_t took_ns = base_ns + sim_draw_below(&disk->chance, (uint32_t)base_ns);
	if (request->op == HAL_BLOCK_READ || request->op == HAL_BLOCK_WRITE)
		took_ns += request->size_bytes / 2;
	if (sim_draw_below(&disk->chance, 32) == 0)
		took_ns *= 16;
	return draw(disk, SIM_FAULT_SLOW) ? took_ns * 1000 : took_ns;
}

static tb_err request_read(struct sim_disk *disk, const struct hal_block_request *request)
{
	uint64_t offset_bytes = request->offset_bytes;
	bool stale = draw(disk, SIM_FAULT_STALE);
	tb_err err = 0;
	for (uint32_t i = 0; i < request->segment_count && err == 0; i++) {
		const struct hal_block_segment *segment = &request->segments[i];
		err = sim_overlay_read(disk, offset_bytes, segment->at, segment->size_bytes, stale);
		offset_bytes += segment->size_bytes;
	}
	if (err == 0 && request->segment_count != 0 && draw(disk, SIM_FAULT_FLIP)) {
		const struct hal_block_segment *segment =
			&request->segments[sim_draw_below(&disk->chance, request->segment_count)];
		uint32_t bit = sim_draw_below(&disk->chance, segment->size_bytes * 8);
		((uint8_t *)segment->at)[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return err;
}

// Where a write really goes, and how much of it.
static void write_place(struct sim_disk *disk, const struct hal_block_request *request, struct sim_request *noted)
{
	uint32_t logical = disk->host->info.logical_bytes;
	noted->offset_bytes = request->offset_bytes;
	noted->size_bytes = request->size_bytes;
	if (draw(disk, SIM_FAULT_LOST))
		noted->size_bytes = 0;
	if (draw(disk, SIM_FAULT_TORN))
		noted->size_bytes = sim_draw(&disk->chance) % (request->size_bytes / logical) * logical;
	if (draw(disk, SIM_FAULT_MISDIRECTED)) {
		uint64_t places = (disk->host->info.size_bytes - request->size_bytes) / logical + 1;
		noted->offset_bytes = sim_draw(&disk->chance) % places * logical;
	}
}

static tb_err request_write(struct sim_disk *disk, const struct hal_block_request *request, struct sim_request *noted)
{
	uint64_t offset_bytes = 0, left_bytes = 0;
	tb_err err = 0;
	if (request->op == HAL_BLOCK_WRITE && draw(disk, SIM_FAULT_FULL))
		return -ENOSPC;
	write_place(disk, request, noted);
	offset_bytes = noted->offset_bytes;
	left_bytes = noted->size_bytes;
	if (request->op != HAL_BLOCK_WRITE)
		return sim_overlay_write(disk, request->slot, offset_bytes, NULL, left_bytes);
	for (uint32_t i = 0; i < request->segment_count && err == 0 && left_bytes > 0; i++) {
		const struct hal_block_segment *segment = &request->segments[i];
		uint64_t size = segment->size_bytes < left_bytes ? segment->size_bytes : left_bytes;
		err = sim_overlay_write(disk, request->slot, offset_bytes, segment->at, (size_t)size);
		offset_bytes += size;
		left_bytes -= size;
	}
	return err;
}

static void request_hash(struct tb_instance *instance, const struct hal_block_request *request)
{
	struct sim_hash *hash = &sim_instance(instance)->sim->hash;
	sim_hash_head(hash, SIM_HASH_DISK, sim_instance(instance)->index, request->disk);
	sim_hash_word(hash, request->op | (uint64_t)request->flags << 8 | (uint64_t)request->slot << 32);
	sim_hash_word(hash, request->offset_bytes);
	sim_hash_word(hash, request->size_bytes);
	for (uint32_t i = 0; request->op == HAL_BLOCK_WRITE && i < request->segment_count; i++)
		sim_hash_bytes(hash, request->segments[i].at, request->segments[i].size_bytes);
}

static void power_cut(struct tb_instance *instance)
{
	struct sim_disks *disks = disks_of(instance);
	disks->cut = true;
	for (uint32_t i = 0; i < disks->count; i++)
		sim_overlay_cut(&disks->disks[i]);
}

// HOST_POWER_CUT: the door ends the instance.
tb_err sim_block_submit(struct tb_instance *instance, const struct hal_block_request *request, bool *done)
{
	struct sim_instance *own = sim_instance(instance);
	struct sim_disk *disk = &own->disks->disks[request->disk];
	struct sim_request *noted = &disk->requests[request->slot];
	bool changes = request->op != HAL_BLOCK_READ && request->op != HAL_BLOCK_FLUSH;

	*done = false;
	request_hash(instance, request);
	*noted = (struct sim_request){.active = true,
				      .is_write = changes,
				      .is_flush = request->op == HAL_BLOCK_FLUSH && !draw(disk, SIM_FAULT_LYING),
				      .covers = disk->ended,
				      .order = disk->submitted++};
	noted->due_ns = own->sim->now_ns + duration_ns(disk, request);
	if (request->op != HAL_BLOCK_FLUSH && draw(disk, SIM_FAULT_EIO))
		noted->err = -EIO;
	else if (request->op == HAL_BLOCK_READ)
		noted->err = request_read(disk, request);
	else if (changes)
		noted->err = request_write(disk, request, noted);
	noted->is_fua = (request->flags & HAL_BLOCK_FUA) != 0 && !draw(disk, SIM_FAULT_LYING);
	if (changes && disk->faults.cut != 0 && ++disk->writes == disk->faults.cut) {
		power_cut(instance);
		return HOST_POWER_CUT;
	}
	sim_due_set(own->sim->running, SIM_DUE_BLOCK, noted->due_ns);
	return 0;
}

static void request_end(struct sim_disk *disk, uint32_t slot)
{
	struct sim_request *noted = &disk->requests[slot];
	noted->active = false;
	if (noted->is_write)
		sim_overlay_ended(disk, slot, noted->offset_bytes, noted->size_bytes);
	if (noted->is_fua && noted->err == 0)
		sim_overlay_settle(disk, noted->offset_bytes, noted->size_bytes);
	if (noted->is_flush && noted->err == 0)
		sim_overlay_flush(disk, noted->covers);
}

// The one that is due first, of all disks; equal ones in order of submission.
static struct sim_request *request_first(struct sim_disks *disks, uint32_t *disk, uint32_t *slot)
{
	struct sim_request *first = NULL;
	for (uint32_t i = 0; i < disks->count; i++)
		for (uint32_t j = 0; j < HAL_BLOCK_DEPTH; j++) {
			struct sim_request *noted = &disks->disks[i].requests[j];
			if (!noted->active ||
			    (first != NULL && (noted->due_ns > first->due_ns ||
					       (noted->due_ns == first->due_ns && noted->order > first->order))))
				continue;
			first = noted;
			*disk = i;
			*slot = j;
		}
	return first;
}

bool sim_block_take(struct tb_instance *instance, uint32_t *disk, uint32_t *slot, tb_err *err)
{
	struct sim_instance *own = sim_instance(instance);
	struct sim_request *first = own->disks == NULL ? NULL : request_first(own->disks, disk, slot);
	if (first == NULL)
		return false;
	if (first->due_ns > own->sim->now_ns) { // its interrupt may have been one with that of another
		sim_due_set(own->sim->running, SIM_DUE_BLOCK, first->due_ns);
		return false;
	}
	*err = first->err;
	request_end(&own->disks->disks[*disk], *slot);
	return true;
}
