// SPDX-License-Identifier: MIT
//
// Reading the log. It ends where a batch is not whole, or does not come behind the one before. A batch whose FLUSH nobody knows to have ended counts when all data that it
// points to are there; one that is known to have been acknowledged and is gone is a loss, and said.
#include "log_impl.h"

#define SCAN_BYTES MIB(1) // behind the end: what may be left of acknowledged batches

static uint64_t sequence_of(const uint8_t *batch)
{
	return le64_get(&((const struct pxfs_log_header *)batch)->sequence);
}

const struct pxfs_log_record *log_record_next(const uint8_t *batch, const struct pxfs_log_record *record)
{
	const struct pxfs_log_header *header = (const struct pxfs_log_header *)batch;
	const uint8_t *next = record == NULL ? batch + sizeof *header : (const uint8_t *)record + record_bytes(record);

	return next < batch + le32_get(&header->bytes) ? (const struct pxfs_log_record *)next : NULL;
}

// ---- one batch ------------------------------------------------------------------------------------------------------------------

// What can be said of a header alone.
static bool header_fits(const struct pxfs_volume *volume, const struct pxfs_log_header *header)
{
	uint64_t most = MIN((volume->log.sectors << SECTOR_SHIFT) / LOG_BATCH_PART, (uint64_t)LOG_BATCH_MAX);

	return le32_get(&header->magic) == PXFS_LOG_MAGIC && le32_get(&header->bytes) >= sizeof *header &&
	       le32_get(&header->bytes) <= most && le64_get(&header->volume) == volume->identity_word &&
	       le64_get(&header->generation) == volume->generation - 1;
}

static bool checksum_fits(uint8_t *batch)
{
	struct pxfs_log_header *header = (struct pxfs_log_header *)batch;
	struct le64 kept = header->checksum;

	le64_put(&header->checksum, 0);
	uint64_t sum = checksum_xxh3(batch, le32_get(&header->bytes), 0);
	header->checksum = kept;
	return sum == le64_get(&kept);
}

static bool records_fit(const uint8_t *batch)
{
	const struct pxfs_log_header *header = (const struct pxfs_log_header *)batch;
	uint32_t at = (uint32_t)sizeof *header, end = le32_get(&header->bytes);

	for (uint32_t i = 0; i < le32_get(&header->records); i++) {
		const struct pxfs_log_record *record = (const struct pxfs_log_record *)(batch + at);
		if (end - at < sizeof *record || end % 8 != 0)
			return false;
		uint32_t size = le32_get(&record->size);
		if ((size != UINT32_MAX && size > PXFS_ITEM_BYTES_MAX) || record_bytes(record) > end - at)
			return false;
		at += record_bytes(record);
	}
	return at == end;
}

// The batch that begins there; *batch NULL: none does. What cannot be read is none.
static err_t batch_load(struct pxfs_volume *volume, uint64_t at, uint8_t **batch)
{
	struct pxfs_log *log = &volume->log;
	uint32_t block = 1u << volume->block_shift;
	uint8_t *bytes = at > log->sectors - (block >> SECTOR_SHIFT) ? NULL : kmalloc(block, 0);

	*batch = NULL;
	if (at > log->sectors - (block >> SECTOR_SHIFT))
		return 0;
	if (bytes == NULL)
		return ERR(ENOMEM);
	err_t err = block_read(volume->device, log->address + at, bytes, block);
	const struct pxfs_log_header *header = (const struct pxfs_log_header *)bytes;
	uint32_t whole = err == 0 && header_fits(volume, header) ? ALIGN_UP(le32_get(&header->bytes), block) : 0;
	kfree(bytes);
	if (whole == 0 || whole >> SECTOR_SHIFT > log->sectors - at)
		return err == -ENOMEM ? err : 0;
	bytes = kmalloc(whole, 0);
	if (bytes == NULL)
		return ERR(ENOMEM);
	err = block_read(volume->device, log->address + at, bytes, whole);
	header = (const struct pxfs_log_header *)bytes;
	if (err == 0 && header_fits(volume, header) && ALIGN_UP(le32_get(&header->bytes), block) == whole &&
	    checksum_fits(bytes) && records_fit(bytes))
		*batch = bytes;
	else
		kfree(bytes);
	return err == -ENOMEM ? err : 0;
}

// ---- the chain ------------------------------------------------------------------------------------------------------------------

static err_t batch_keep(struct log_batches *batches, uint8_t *batch, const struct pxfs_log *before)
{
	if (batches->count == batches->room) {
		uint32_t room = batches->room * 2 + 64;
		struct log_batch *more = krealloc(batches->found, room * sizeof *more, 0);
		if (more == NULL) {
			kfree(batch);
			return ERR(ENOMEM);
		}
		batches->found = more;
		batches->room = room;
	}
	batches->found[batches->count++] = (struct log_batch){.bytes = batch, .before = *before};
	return 0;
}

void log_batches_free(struct log_batches *batches)
{
	while (batches->count > 0)
		kfree(batches->found[--batches->count].bytes);
	kfree(batches->found);
	batches->found = NULL;
}

static bool comes_next(const struct pxfs_log *log, const uint8_t *batch)
{
	const struct pxfs_log_header *header = (const struct pxfs_log_header *)batch;

	return batch != NULL && sequence_of(batch) == log->sequence && le64_get(&header->chain) == log->chain &&
	       le64_get(&header->acknowledged) < log->sequence;
}

// At `at`, or where the writer goes when the ring's end is too near. log->at is where it lies.
static err_t next_load(struct pxfs_volume *volume, uint8_t **batch)
{
	struct pxfs_log *log = &volume->log;
	err_t err = batch_load(volume, log->at, batch);

	if (err != 0 || comes_next(log, *batch))
		return err;
	kfree(*batch);
	*batch = NULL;
	if (log->at == 0)
		return 0;
	err = batch_load(volume, 0, batch);
	if (err == 0 && comes_next(log, *batch)) {
		log->used_sectors += log->sectors - log->at;
		log->at = 0;
		return 0;
	}
	kfree(*batch);
	*batch = NULL;
	return err;
}

static void log_step(struct pxfs_volume *volume, const uint8_t *batch)
{
	const struct pxfs_log_header *header = (const struct pxfs_log_header *)batch;
	struct pxfs_log *log = &volume->log;
	uint64_t sectors = ALIGN_UP(le32_get(&header->bytes), 1u << volume->block_shift) >> SECTOR_SHIFT;

	log->acknowledged = MAX(log->acknowledged, le64_get(&header->acknowledged));
	log->chain = le64_get(&header->checksum);
	log->sequence++;
	log->at += sectors;
	log->used_sectors += sectors;
}

// ---- what a batch points to -------------------------------------------------------------------------------------------------------

static err_t data_are_there(struct pxfs_volume *volume, const struct pxfs_extent *extent, bool *there)
{
	uint32_t logical = block_logical_bytes(volume->device), stored = le32_get(&extent->stored);
	uint64_t address = le64_get(&extent->address);
	uint32_t before = (uint32_t)((address << SECTOR_SHIFT) % logical), whole = ALIGN_UP(before + stored, logical);

	*there = false;
	if (stored == 0 || stored > 1u << PXFS_CLUSTER_SHIFT_MAX || address >= volume->sectors ||
	    whole >> SECTOR_SHIFT > volume->sectors - address)
		return 0;
	uint8_t *bytes = kmalloc(whole, 0);
	if (bytes == NULL)
		return ERR(ENOMEM);
	err_t err = block_read(volume->device, address - (before >> SECTOR_SHIFT), bytes, whole);
	*there = err == 0 && checksum_xxh3(bytes + before, stored, 0) == le64_get(&extent->checksum);
	kfree(bytes);
	return err == -ENOMEM ? err : 0;
}

// All data that were written for it. Those of batches before are older.
static err_t batch_is_whole(struct pxfs_volume *volume, const uint8_t *batch, bool *whole)
{
	const struct pxfs_log_record *record = NULL;
	err_t err = 0;

	*whole = true;
	while (err == 0 && *whole && (record = log_record_next(batch, record)) != NULL) {
		const struct pxfs_extent *extent = (const struct pxfs_extent *)(record + 1);
		if (record->key.type != PXFS_EXTENT || le32_get(&record->size) != sizeof *extent ||
		    le64_get(&extent->address) == 0 || le64_get(&extent->physical_birth) != volume->generation)
			continue;
		err = data_are_there(volume, extent, whole);
	}
	return err;
}

// ---- what is missing ----------------------------------------------------------------------------------------------------------------

// An acknowledged batch behind the end, or one that says that there was one: the first of them that is not there.
static err_t loss_find(struct pxfs_volume *volume, struct log_batches *batches)
{
	struct pxfs_log *log = &volume->log;
	uint64_t block = block_sectors_of(volume), from = log->at, last = log->acknowledged;
	err_t err = 0;

	for (uint64_t i = 0; i < MIN(SCAN_BYTES >> SECTOR_SHIFT, log->sectors) && err == 0; i += block) {
		uint8_t *batch = NULL;
		err = batch_load(volume, (from + i) % log->sectors / block * block, &batch);
		if (batch != NULL && sequence_of(batch) >= log->sequence)
			last = MAX(last, le64_get(&((struct pxfs_log_header *)batch)->acknowledged));
		kfree(batch);
	}
	if (err == 0 && last >= log->sequence)
		batches->lost = log->sequence;
	return err;
}

static err_t chain_read(struct pxfs_volume *volume, struct log_batches *batches)
{
	struct pxfs_log before = volume->log;
	uint8_t *batch = NULL;
	err_t err = next_load(volume, &batch);

	while (err == 0 && batch != NULL) {
		log_step(volume, batch);
		err = batch_keep(batches, batch, &before);
		before = volume->log;
		if (err == 0)
			err = next_load(volume, &batch);
	}
	return err;
}

// Of those that nobody is known to have waited for, the first whose data are not all there ends the log.
static err_t tail_judge(struct pxfs_volume *volume, struct log_batches *batches)
{
	uint64_t acknowledged = volume->log.acknowledged;
	bool whole = true;
	err_t err = 0;

	for (uint32_t i = 0; i < batches->count && err == 0 && whole; i++) {
		if (sequence_of(batches->found[i].bytes) <= acknowledged)
			continue;
		err = batch_is_whole(volume, batches->found[i].bytes, &whole);
		if (err != 0 || whole)
			continue;
		volume->log = batches->found[i].before;
		volume->log.acknowledged = acknowledged;
		while (batches->count > i)
			kfree(batches->found[--batches->count].bytes);
	}
	return err;
}

err_t log_read(struct pxfs_volume *volume, struct log_batches *batches, const char **problem)
{
	const struct pxfs_log *log = &volume->log;

	*batches = (struct log_batches){.count = 0};
	if (log->sectors < LOG_SECTORS_MIN)
		return 0;
	if (log->at > log->sectors || log->at % block_sectors_of(volume) != 0 || log->sequence == 0) {
		*problem = "pxfs: the log's place is impossible";
		return ERR(EUCLEAN);
	}
	err_t err = chain_read(volume, batches);
	if (err == 0)
		err = tail_judge(volume, batches);
	if (err == 0)
		err = loss_find(volume, batches);
	if (err != 0)
		log_batches_free(batches);
	return err;
}
