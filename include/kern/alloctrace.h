// SPDX-License-Identifier: MIT
//
// Decoder of TBAT allocation traces (docs/ALLOC_TRACE.md): what a real program asked of its allocator, event by event.
//
// Pure: no allocation, no state but the caller's, no I/O, bounded work per call; nothing here sleeps or takes a lock,
// so every function may be called in any context. The same file serves the monitor's `stress`, the host's peers and
// the fuzzer. A trace comes from outside and is not trusted: every byte is judged before it is used, and a refusal
// says where the file is wrong and why.

#ifndef KERN_ALLOCTRACE_H
#define KERN_ALLOCTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ALLOCTRACE_HEADER_SIZE = 64,
	ALLOCTRACE_RECORD_SIZE = 12,
	ALLOCTRACE_VERSION = 1,
	ALLOCTRACE_ALIGN_LOG2_MAX = 30,
	ALLOCTRACE_SOURCE_SIZE = 16,
};

// What the program did. Sizes are what it asked for, at least 1.
enum alloctrace_op {
	ALLOCTRACE_ALLOC = 1,   // the slot was empty; contents undefined
	ALLOCTRACE_ZALLOC = 2,  // the slot was empty; contents zero (calloc)
	ALLOCTRACE_ALIGNED = 3, // the slot was empty; aligned to 1 << align_log2
	ALLOCTRACE_REALLOC = 4, // the slot was full; the common part of the contents survives
	ALLOCTRACE_FREE = 5,    // the slot was full; size is 0
};

struct alloctrace_header {
	uint64_t record_count;
	uint64_t peak_bytes;                     // greatest sum of live sizes
	uint32_t slot_count;                     // records name slots 0 .. slot_count - 1
	uint32_t peak_blocks;                    // greatest number of full slots
	uint32_t live_at_end;                    // slots full after the last record: the replayer frees them
	uint32_t payload_crc;                    // CRC-32 of all records
	uint16_t thread_count;                   // records name threads 0 .. thread_count - 1
	char source[ALLOCTRACE_SOURCE_SIZE + 1]; // the traced program, printable ASCII, terminated
};

// The layout equals the file's on a little-endian machine, so records can be decoded in place.
struct alloctrace_record {
	uint32_t slot;
	uint32_t size_bytes;
	uint8_t op; // enum alloctrace_op
	uint8_t align_log2;
	uint16_t thread;
};

enum alloctrace_fault {
	ALLOCTRACE_OK = 0,
	ALLOCTRACE_FAULT_SHORT,       // the file ends inside the header
	ALLOCTRACE_FAULT_MAGIC,       // not a TBAT file
	ALLOCTRACE_FAULT_VERSION,     // another version of the format
	ALLOCTRACE_FAULT_LAYOUT,      // header or record size is not this version's
	ALLOCTRACE_FAULT_HEADER_CRC,  // the header is damaged
	ALLOCTRACE_FAULT_LENGTH,      // the file's length does not match record_count
	ALLOCTRACE_FAULT_COUNTS,      // counts contradict each other
	ALLOCTRACE_FAULT_SOURCE,      // the source name is not printable
	ALLOCTRACE_FAULT_OP,          // unknown op
	ALLOCTRACE_FAULT_SLOT,        // slot out of range
	ALLOCTRACE_FAULT_THREAD,      // thread out of range
	ALLOCTRACE_FAULT_SIZE,        // no size where one is due, or one where none is
	ALLOCTRACE_FAULT_ALIGN,       // alignment out of range or out of place
	ALLOCTRACE_FAULT_SLOT_FULL,   // allocates into a full slot
	ALLOCTRACE_FAULT_SLOT_EMPTY,  // frees or resizes an empty slot
	ALLOCTRACE_FAULT_TOO_MANY,    // more records than the header counts
	ALLOCTRACE_FAULT_TOO_FEW,     // fewer records than the header counts
	ALLOCTRACE_FAULT_PAYLOAD_CRC, // the records are damaged
	ALLOCTRACE_FAULT_TOTALS,      // peaks or the live count are not what the records give
	ALLOCTRACE_FAULT_COUNT_,
};

struct alloctrace_error {
	enum alloctrace_fault fault;
	uint64_t offset; // of the first wrong byte's field, from the start of the file
};

// The fault in words, for people; never NULL, static.
const char *alloctrace_fault_text(enum alloctrace_fault fault);

// Decodes and judges the first bytes of a file of file_size_bytes; `size` bytes are at hand at `bytes`, and
// ALLOCTRACE_HEADER_SIZE suffice. On false *error says why and *out is unspecified.
bool alloctrace_header_decode(struct alloctrace_header *out, const uint8_t *bytes, size_t size,
			      uint64_t file_size_bytes, struct alloctrace_error *error);

// Decodes and judges record `index` from the ALLOCTRACE_RECORD_SIZE bytes at `bytes`, which may overlap *out. Judges the
// record alone, against the header's ranges: the ledger judges it against its predecessors.
bool alloctrace_record_decode(struct alloctrace_record *out, const struct alloctrace_header *header,
			      const uint8_t *bytes, uint64_t index, struct alloctrace_error *error);

// Follows a whole trace: every record legal where it stands, and the header's sums true.
struct alloctrace_ledger {
	const struct alloctrace_header *header;
	uint32_t *slot_sizes; // caller's array of slot_count; 0 is empty
	uint64_t record_index;
	uint64_t live_bytes;
	uint64_t peak_bytes;
	uint32_t live_blocks;
	uint32_t peak_blocks;
	uint32_t crc;
};

// Begins at the first record. Borrows *header and slot_sizes[0 .. slot_count - 1], which it clears, until the caller is done.
void alloctrace_ledger_init(struct alloctrace_ledger *ledger, const struct alloctrace_header *header,
			    uint32_t *slot_sizes);

// Takes the next record_count records at `bytes`. False at the first wrong one; the ledger is then finished with.
bool alloctrace_ledger_feed(struct alloctrace_ledger *ledger, const uint8_t *bytes, size_t record_count,
			    struct alloctrace_error *error);

// To be called after the last record: judges counts, checksum and peaks.
bool alloctrace_ledger_finish(const struct alloctrace_ledger *ledger, struct alloctrace_error *error);

// CRC-32 as in ISO 3309 and zlib's crc32(): continue from `crc`, 0 at the start.
uint32_t alloctrace_crc(uint32_t crc, const uint8_t *bytes, size_t size);

#endif
