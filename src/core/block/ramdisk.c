// SPDX-License-Identifier: MIT
//
// A disk in memory. Its contents lie in frames that are taken when something is first written there; a frame that is missing reads as
// zeroes. Everything is done in start(), by the thread that submits; what is discarded or zeroed is taken under the lock that readers and
// writers share, so no frame goes under a copy.
#include "block_impl.h"

#define RAMDISK_SIZE_MAX (1ull << 40)
#define TABLE_FRAMES 4096u // pointers to frames, in one table

struct ramdisk {
	struct rwlock lock; // readers: who copies; writers: who takes frames out
	uint64_t frames;
	uint64_t tables;
	uint32_t used; // atomic: frames
	void ***table; // atomic pointers: [frame / TABLE_FRAMES][frame % TABLE_FRAMES]
};

// The place of a frame's pointer; NULL where its table is missing, or cannot be had.
static void **frame_place(struct ramdisk *disk, uint64_t frame, bool make)
{
	void ***slot = &disk->table[frame / TABLE_FRAMES];
	void **table = __atomic_load_n(slot, __ATOMIC_ACQUIRE), **none = NULL;

	if (table == NULL && make) {
		table = range_alloc(TABLE_FRAMES * sizeof *table, MEM_ZERO, NULL);
		if (table != NULL &&
		    !__atomic_compare_exchange_n(slot, &none, table, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			range_free(table);
			table = none;
		}
	}
	return table == NULL ? NULL : &table[frame % TABLE_FRAMES];
}

static uint8_t *frame_get(struct ramdisk *disk, uint64_t frame, bool make)
{
	void **place = frame_place(disk, frame, make), *none = NULL;
	void *found = place == NULL ? NULL : __atomic_load_n(place, __ATOMIC_ACQUIRE);

	if (found != NULL || !make || place == NULL)
		return found;
	found = frame_alloc(0, MEM_ZERO, NULL);
	if (found == NULL)
		return NULL;
	if (!__atomic_compare_exchange_n(place, &none, found, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		frame_free(found, 0);
		return none;
	}
	(void)atomic_fetch_add_u32_relaxed(&disk->used, 1);
	return found;
}

static err_t piece_copy(struct ramdisk *disk, bool write, uint64_t at_bytes, uint8_t *memory, uint32_t size_bytes)
{
	while (size_bytes > 0) {
		uint32_t into = (uint32_t)(at_bytes % FRAME_SIZE);
		uint32_t size = MIN(FRAME_SIZE - into, size_bytes);
		uint8_t *frame = frame_get(disk, at_bytes / FRAME_SIZE, write);
		if (write && frame == NULL)
			return ERR(ENOSPC);
		if (write)
			memcpy(frame + into, memory, size);
		else if (frame != NULL)
			memcpy(memory, frame + into, size);
		else
			memset(memory, 0, size);
		at_bytes += size;
		memory += size;
		size_bytes -= size;
	}
	return 0;
}

static err_t command_copy(struct ramdisk *disk, const struct block_command *command)
{
	uint64_t at_bytes = command->sector << SECTOR_SHIFT;
	err_t err = 0;

	rwlock_read_lock(&disk->lock);
	for (uint32_t i = 0; i < command->segment_count && err == 0; i++) {
		const struct block_segment *segment = &command->segments[i];
		err = piece_copy(disk, command->op == BLOCK_WRITE, at_bytes, segment->at, segment->size_bytes);
		at_bytes += segment->size_bytes;
	}
	rwlock_read_unlock(&disk->lock);
	return err;
}

static void frame_drop(struct ramdisk *disk, uint64_t frame)
{
	void **place = frame_place(disk, frame, false);

	if (place == NULL || *place == NULL)
		return;
	frame_free(*place, 0);
	__atomic_store_n(place, NULL, __ATOMIC_RELEASE);
	(void)atomic_fetch_sub_u32_relaxed(&disk->used, 1);
}

// Whole frames go, the rest is zeroed. Tables that are missing are skipped at once, so that a vast disk is not walked.
static void range_clear(struct ramdisk *disk, uint64_t from_bytes, uint64_t to_bytes)
{
	while (from_bytes < to_bytes) {
		uint64_t frame = from_bytes / FRAME_SIZE;
		uint32_t into = (uint32_t)(from_bytes % FRAME_SIZE);
		uint64_t size = MIN((uint64_t)FRAME_SIZE - into, to_bytes - from_bytes);
		if (frame_place(disk, frame, false) == NULL) {
			from_bytes = (frame / TABLE_FRAMES + 1) * TABLE_FRAMES * FRAME_SIZE;
			continue;
		}
		uint8_t *memory = frame_get(disk, frame, false);
		if (size == FRAME_SIZE)
			frame_drop(disk, frame);
		else if (memory != NULL)
			memset(memory + into, 0, (size_t)size);
		from_bytes += size;
	}
}

static void ramdisk_start(struct block_command *command)
{
	struct ramdisk *disk = block_data(command->device);
	uint64_t from_bytes = command->sector << SECTOR_SHIFT;
	err_t err = 0;

	switch (command->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		err = command_copy(disk, command);
		break;
	case BLOCK_DISCARD:
	case BLOCK_ZERO:
		rwlock_write_lock(&disk->lock);
		range_clear(disk, from_bytes, from_bytes + (command->sectors << SECTOR_SHIFT));
		rwlock_write_unlock(&disk->lock);
		break;
	default: // FLUSH: there is no cache
		break;
	}
	block_command_done(command, err);
}

static void ramdisk_free(struct ramdisk *disk)
{
	range_clear(disk, 0, disk->frames * FRAME_SIZE);
	for (uint64_t i = 0; i < disk->tables; i++)
		if (disk->table[i] != NULL)
			range_free(disk->table[i]);
	rwlock_fini(&disk->lock);
	kfree(disk->table);
	kfree(disk);
}

static void ramdisk_remove(struct block_device *device)
{
	ramdisk_free(block_data(device));
}

static const struct block_driver ramdisk_driver = {
	.model = "RAM disk", .major = BLOCK_MAJOR_RAM, .start = ramdisk_start, .remove = ramdisk_remove};

err_t ramdisk_create(uint64_t size_bytes, uint32_t logical_bytes, uint32_t physical_bytes, struct block_device **out)
{
	struct block_limits limits = {.sectors = size_bytes >> SECTOR_SHIFT,
				      .logical_bytes = logical_bytes == 0 ? SECTOR_SIZE : logical_bytes,
				      .physical_bytes = physical_bytes == 0 ? 4096 : physical_bytes,
				      .flags = BLOCK_HAS_DISCARD | BLOCK_HAS_ZERO | BLOCK_HAS_FUA | BLOCK_REMOVABLE,
				      .depth = 16,
				      .transfer_sectors = MIB(4) >> SECTOR_SHIFT,
				      .segments = 256};

	if (size_bytes == 0 || size_bytes > RAMDISK_SIZE_MAX)
		return ERR(EINVAL);
	struct ramdisk *disk = kmalloc(sizeof *disk, MEM_ZERO);
	if (disk == NULL)
		return ERR(ENOMEM);
	rwlock_init(&disk->lock, LOCK_RANK_BLOCK_DRIVER, "RAM disk");
	disk->frames = DIV_ROUND_UP(size_bytes, (uint64_t)FRAME_SIZE);
	disk->tables = DIV_ROUND_UP(disk->frames, (uint64_t)TABLE_FRAMES);
	disk->table = kmalloc_array(disk->tables, sizeof *disk->table, MEM_ZERO);
	err_t err = disk->table == NULL ? ERR(ENOMEM) : block_add("ram%", &ramdisk_driver, &limits, disk, out);
	if (err != 0) {
		disk->frames = 0; // none was taken
		disk->tables = 0;
		ramdisk_free(disk);
	}
	return err;
}
