// SPDX-License-Identifier: MIT
//
// The log: which items have changed since the last close is noted as trees change; a close writes their contents as one batch, then one FLUSH makes it durable with
// all data that it points to. What came and went again in between is not written.
#include "log_impl.h"

struct note {
	struct rb_node node; // subvol->notes
	struct pxfs_where where;
	bool existed; // at the last close
};

// ---- notes --------------------------------------------------------------------------------------------------------------------

static bool note_before(const struct rb_node *a, const struct rb_node *b)
{
	return where_compare(&rb_entry(a, struct note, node)->where, &rb_entry(b, struct note, node)->where) < 0;
}

static int note_compare(const void *key, const struct rb_node *node)
{
	return where_compare(key, &rb_entry(node, struct note, node)->where);
}

void log_skip(struct pxfs_volume *volume)
{
	atomic_store_u32_release(&volume->log.structural, 1);
}

void log_note(struct pxfs_subvol *subvol, const struct pxfs_where *where, bool existed)
{
	struct pxfs_log *log = &subvol->volume->log;

	if (atomic_load_u32_relaxed(&log->overflow) != 0 || rb_find(&subvol->notes, where, note_compare) != NULL)
		return;
	struct note *note = NULL;
	if (atomic_load_u32_relaxed(&log->noted) < log->sectors * (SECTOR_SIZE / LOG_NOTE_BYTES) / LOG_BATCH_PART)
		note = kmalloc(sizeof *note, MEM_ZERO);
	if (note == NULL) {
		atomic_store_u32_release(&log->overflow, 1);
		return;
	}
	note->where = *where;
	note->existed = existed;
	rb_insert(&subvol->notes, &note->node, note_before);
	(void)atomic_fetch_add_u32_relaxed(&log->noted, 1);
}

void log_notes_drop(struct pxfs_subvol *subvol)
{
	struct rb_node *node = NULL;

	while ((node = rb_pop_first(&subvol->notes)) != NULL) {
		kfree(rb_entry(node, struct note, node));
		(void)atomic_fetch_sub_u32_relaxed(&subvol->volume->log.noted, 1);
	}
}

static void notes_drop(struct pxfs_volume *volume)
{
	struct pxfs_subvol *subvol = NULL;

	list_for_each (subvol, &volume->subvols, link) {
		rwlock_write_lock(&subvol->tree.lock);
		log_notes_drop(subvol);
		rwlock_write_unlock(&subvol->tree.lock);
	}
}

bool log_is_idle(struct pxfs_volume *volume)
{
	const struct pxfs_log *log = &volume->log;

	return atomic_load_u32_acquire(&log->noted) == 0 && atomic_load_u32_acquire(&log->overflow) == 0 &&
	       atomic_load_u32_acquire(&log->structural) == 0;
}

// ---- a batch --------------------------------------------------------------------------------------------------------------------

struct batch {
	uint8_t *bytes;
	uint32_t size, room, limit, records;
};

// Room for that many bytes more. -E2BIG: it is larger than one batch may be.
static err_t batch_need(struct batch *batch, uint32_t more)
{
	if (more > batch->limit - batch->size)
		return -E2BIG;
	if (batch->size + more <= batch->room)
		return 0;
	uint32_t room = MIN(MAX(batch->room * 2, batch->size + more), batch->limit);
	uint8_t *bytes = krealloc(batch->bytes, room, 0);
	if (bytes == NULL)
		return ERR(ENOMEM);
	batch->bytes = bytes;
	batch->room = room;
	return 0;
}

// What the item is now; what neither was nor is there says nothing.
static err_t record_add(struct batch *batch, struct pxfs_subvol *subvol, const struct note *note)
{
	const uint32_t head = (uint32_t)sizeof(struct pxfs_log_record);
	err_t err = batch_need(batch, head + PXFS_ITEM_BYTES_MAX);
	uint32_t size = PXFS_ITEM_BYTES_MAX;

	if (err != 0)
		return err;
	struct pxfs_log_record *record = (struct pxfs_log_record *)(batch->bytes + batch->size);
	uint8_t *data = batch->bytes + batch->size + head;
	err = tree_get(&subvol->tree, &note->where, data, &size);
	bool gone = err == -ENOENT;
	if (err != 0 && !gone)
		return err;
	if (gone && !note->existed)
		return 0;
	*record = (struct pxfs_log_record){.reserved = {0}};
	le64_put(&record->tree, subvol->id);
	key_put(&record->key, &note->where);
	le32_put(&record->size, gone ? UINT32_MAX : size);
	size = gone ? 0 : size;
	memset(data + size, 0, ALIGN_UP(size, 8u) - size);
	batch->size += head + ALIGN_UP(size, 8u);
	batch->records++;
	return 0;
}

static err_t subvol_add(struct batch *batch, struct pxfs_subvol *subvol)
{
	err_t err = 0;

	rwlock_read_lock(&subvol->tree.lock);
	for (struct rb_node *node = rb_first(&subvol->notes); node != NULL && err == 0; node = rb_next(node))
		err = record_add(batch, subvol, rb_entry(node, struct note, node));
	rwlock_read_unlock(&subvol->tree.lock);
	return err;
}

static void header_fill(const struct pxfs_volume *volume, struct batch *batch)
{
	const struct pxfs_log *log = &volume->log;
	struct pxfs_log_header *header = (struct pxfs_log_header *)batch->bytes;

	*header = (struct pxfs_log_header){.reserved = {0}};
	le32_put(&header->magic, PXFS_LOG_MAGIC);
	le32_put(&header->bytes, batch->size);
	le64_put(&header->volume, volume->identity_word);
	le64_put(&header->sequence, log->sequence);
	le64_put(&header->generation, volume->generation - 1);
	le64_put(&header->acknowledged, log->acknowledged);
	le64_put(&header->chain, log->chain);
	le32_put(&header->records, batch->records);
	le64_put(&header->checksum, checksum_xxh3(batch->bytes, batch->size, 0));
}

// Where it comes to lie: side by side, from the ring's beginning when its end is too near. False: the log is as full as it may be.
static bool place_find(struct pxfs_log *log, uint64_t sectors)
{
	uint64_t tail = log->sectors - log->at;
	bool wraps = tail < sectors;

	if (log->used_sectors + (wraps ? tail : 0) + sectors > log->sectors / 2)
		return false;
	log->used_sectors += wraps ? tail : 0;
	log->at = wraps ? 0 : log->at;
	return true;
}

static err_t batch_write(struct pxfs_volume *volume, struct batch *batch, bool *done)
{
	struct pxfs_log *log = &volume->log;
	uint32_t block = 1u << volume->block_shift, whole = ALIGN_UP(batch->size, block);

	if (!place_find(log, whole >> SECTOR_SHIFT))
		return 0;
	header_fill(volume, batch);
	memset(batch->bytes + batch->size, 0, whole - batch->size);
	err_t err = block_write(volume->device, log->address + log->at, batch->bytes, whole, 0);
	if (err == 0)
		err = block_flush(volume->device);
	if (err != 0)
		return volume_fail(volume, err);
	log->chain = le64_get(&((struct pxfs_log_header *)batch->bytes)->checksum);
	log->acknowledged = log->sequence++;
	log->at += whole >> SECTOR_SHIFT;
	log->used_sectors += whole >> SECTOR_SHIFT;
	*done = true;
	return 0;
}

static bool batch_will_do(const struct pxfs_volume *volume)
{
	const struct pxfs_log *log = &volume->log;
	uint32_t dirty = __atomic_load_n(&volume->cache.dirty, __ATOMIC_RELAXED);

	return atomic_load_u32_acquire(&log->overflow) == 0 && atomic_load_u32_acquire(&log->structural) == 0 &&
	       log->sectors >= LOG_SECTORS_MIN && dirty <= volume->cache.limit / 2;
}

err_t log_commit(struct pxfs_volume *volume, bool *done)
{
	uint32_t block = 1u << volume->block_shift;
	uint64_t limit = MIN((volume->log.sectors << SECTOR_SHIFT) / LOG_BATCH_PART, (uint64_t)LOG_BATCH_MAX);
	struct batch batch = {.size = (uint32_t)sizeof(struct pxfs_log_header)};
	struct pxfs_subvol *subvol = NULL;
	err_t err = 0;

	*done = false;
	if (!batch_will_do(volume))
		return 0;
	batch.limit = (uint32_t)limit - block;
	list_for_each (subvol, &volume->subvols, link)
		if (err == 0)
			err = subvol_add(&batch, subvol);
	if (err == 0)
		err = batch_need(&batch, block);
	if (err == 0 && batch.records == 0) // what has changed is as it was
		*done = true;
	else if (err == 0)
		err = batch_write(volume, &batch, done);
	if (err == 0 && *done)
		notes_drop(volume);
	kfree(batch.bytes);
	return err == -E2BIG ? 0 : err;
}

void log_begin(struct pxfs_volume *volume)
{
	const struct pxfs_log_place *place = &volume->super.log;
	struct pxfs_log *log = &volume->log;

	log->address = le64_get(&place->address);
	log->sectors = le64_get(&place->sectors);
	log->sequence = le64_get(&place->sequence);
	log->at = le64_get(&place->at);
	log->acknowledged = log->sequence - 1;
}

void log_reset(struct pxfs_volume *volume)
{
	struct pxfs_log *log = &volume->log;

	notes_drop(volume);
	atomic_store_u32_release(&log->overflow, 0);
	atomic_store_u32_release(&log->structural, 0);
	log->chain = 0;
	log->used_sectors = 0;
	log->acknowledged = log->sequence - 1;
}
