// SPDX-License-Identifier: MIT
//
// Between the files of the log.
#ifndef PXFS_LOG_IMPL_H
#define PXFS_LOG_IMPL_H

#include "pxfs_impl.h"

#define LOG_BATCH_PART 4u                         // of the log: as much as one batch may take
#define LOG_BATCH_MAX MIB(4)                      // and bytes
#define LOG_NOTE_BYTES 128u                       // a record's, about
#define LOG_SECTORS_MIN (KIB(64) >> SECTOR_SHIFT) // no use in a smaller one

// Batches as they lie behind the superblock, in order (log_read.c).
struct log_batch {
	uint8_t *bytes; // begins with its header; owned
	struct pxfs_log before;
};

struct log_batches {
	uint32_t count, room;
	struct log_batch *found;
	uint64_t lost; // sequence of the first acknowledged one that is not there; 0: none
};

err_t log_read(struct pxfs_volume *volume, struct log_batches *batches, const char **problem) must_check;
void log_batches_free(struct log_batches *batches);

// The records of a batch: the first one, or the one behind; NULL: no more. The batch is sound, so each lies within it.
const struct pxfs_log_record *log_record_next(const uint8_t *batch, const struct pxfs_log_record *record);

static inline uint32_t record_bytes(const struct pxfs_log_record *record)
{
	uint32_t size = le32_get(&record->size);
	return (uint32_t)sizeof *record + (size == UINT32_MAX ? 0 : ALIGN_UP(size, 8u));
}

#endif
