// SPDX-License-Identifier: MIT
//
// Decoder of TBAT allocation traces; include/kern/alloctrace.h is the contract, docs/ALLOC_TRACE.md the format.
// Three layers, each trusting only the one before it: the header alone, one record against the header, and the
// ledger, which follows the slots through the whole file.

#include "kern/alloctrace.h"

// Field offsets of the header and of a record, as docs/ALLOC_TRACE.md tables them.
enum {
	HEADER_MAGIC = 0,
	HEADER_VERSION = 4,
	HEADER_HEADER_SIZE = 6,
	HEADER_RECORD_SIZE = 8,
	HEADER_THREAD_COUNT = 10,
	HEADER_SLOT_COUNT = 12,
	HEADER_RECORD_COUNT = 16,
	HEADER_PEAK_BYTES = 24,
	HEADER_PEAK_BLOCKS = 32,
	HEADER_LIVE_AT_END = 36,
	HEADER_PAYLOAD_CRC = 40,
	HEADER_SOURCE = 44,
	HEADER_CRC = 60,

	RECORD_SLOT = 0,
	RECORD_SIZE = 4,
	RECORD_OP = 8,
	RECORD_ALIGN = 9,
	RECORD_THREAD = 10,
};

static const uint32_t magic_tbat = 0x54414254u;

_Static_assert(sizeof(struct alloctrace_record) == ALLOCTRACE_RECORD_SIZE, "records decode in place");
_Static_assert(HEADER_SOURCE + ALLOCTRACE_SOURCE_SIZE == HEADER_CRC, "the source name ends at the checksum");
_Static_assert(HEADER_CRC + 4 == ALLOCTRACE_HEADER_SIZE, "the checksum ends the header");

// An array of arrays, not of pointers: nothing to relocate.
static const char fault_texts[ALLOCTRACE_FAULT_COUNT_][56] = {
	[ALLOCTRACE_OK] = "no fault",
	[ALLOCTRACE_FAULT_SHORT] = "the file ends inside the header",
	[ALLOCTRACE_FAULT_MAGIC] = "not a TBAT file",
	[ALLOCTRACE_FAULT_VERSION] = "unknown version of the format",
	[ALLOCTRACE_FAULT_LAYOUT] = "header or record size is not this version's",
	[ALLOCTRACE_FAULT_HEADER_CRC] = "header checksum is wrong",
	[ALLOCTRACE_FAULT_LENGTH] = "file length does not match the record count",
	[ALLOCTRACE_FAULT_COUNTS] = "counts contradict each other",
	[ALLOCTRACE_FAULT_SOURCE] = "source name is not printable",
	[ALLOCTRACE_FAULT_OP] = "unknown operation",
	[ALLOCTRACE_FAULT_SLOT] = "slot out of range",
	[ALLOCTRACE_FAULT_THREAD] = "thread out of range",
	[ALLOCTRACE_FAULT_SIZE] = "size missing or out of place",
	[ALLOCTRACE_FAULT_ALIGN] = "alignment out of range or out of place",
	[ALLOCTRACE_FAULT_SLOT_FULL] = "allocates into a full slot",
	[ALLOCTRACE_FAULT_SLOT_EMPTY] = "frees or resizes an empty slot",
	[ALLOCTRACE_FAULT_TOO_MANY] = "more records than counted",
	[ALLOCTRACE_FAULT_TOO_FEW] = "fewer records than counted",
	[ALLOCTRACE_FAULT_PAYLOAD_CRC] = "record checksum is wrong",
	[ALLOCTRACE_FAULT_TOTALS] = "peaks or live count are not what the records give",
};

const char *alloctrace_fault_text(enum alloctrace_fault fault)
{
	return (unsigned)fault < ALLOCTRACE_FAULT_COUNT_ ? fault_texts[fault] : "unknown fault";
}

static uint32_t get_u16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

static uint32_t get_u32(const uint8_t *bytes)
{
	return get_u16(bytes) | get_u16(bytes + 2) << 16;
}

static uint64_t get_u64(const uint8_t *bytes)
{
	return (uint64_t)get_u32(bytes) | (uint64_t)get_u32(bytes + 4) << 32;
}

// Four bits at a time: a 64-byte table instead of a kilobyte.
uint32_t alloctrace_crc(uint32_t crc, const uint8_t *bytes, size_t size)
{
	static const uint32_t table[16] = {
		0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
		0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu, 0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
	};

	crc = ~crc;
	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static bool fault_at(struct alloctrace_error *error, enum alloctrace_fault fault, uint64_t offset)
{
	error->fault = fault;
	error->offset = offset;
	return false;
}

static bool header_envelope_check(const uint8_t *bytes, size_t size, struct alloctrace_error *error)
{
	if (size < ALLOCTRACE_HEADER_SIZE)
		return fault_at(error, ALLOCTRACE_FAULT_SHORT, size);
	if (get_u32(bytes + HEADER_MAGIC) != magic_tbat)
		return fault_at(error, ALLOCTRACE_FAULT_MAGIC, HEADER_MAGIC);
	if (get_u16(bytes + HEADER_VERSION) != ALLOCTRACE_VERSION)
		return fault_at(error, ALLOCTRACE_FAULT_VERSION, HEADER_VERSION);
	if (get_u16(bytes + HEADER_HEADER_SIZE) != ALLOCTRACE_HEADER_SIZE)
		return fault_at(error, ALLOCTRACE_FAULT_LAYOUT, HEADER_HEADER_SIZE);
	if (get_u16(bytes + HEADER_RECORD_SIZE) != ALLOCTRACE_RECORD_SIZE)
		return fault_at(error, ALLOCTRACE_FAULT_LAYOUT, HEADER_RECORD_SIZE);
	if (get_u32(bytes + HEADER_CRC) != alloctrace_crc(0, bytes, HEADER_CRC))
		return fault_at(error, ALLOCTRACE_FAULT_HEADER_CRC, HEADER_CRC);
	return true;
}

// A slot is born and reaches its peak by records, so no count can exceed the count of records.
static bool header_counts_check(const struct alloctrace_header *header, struct alloctrace_error *error)
{
	if (header->slot_count > header->record_count)
		return fault_at(error, ALLOCTRACE_FAULT_COUNTS, HEADER_SLOT_COUNT);
	if (header->peak_blocks > header->slot_count)
		return fault_at(error, ALLOCTRACE_FAULT_COUNTS, HEADER_PEAK_BLOCKS);
	if (header->live_at_end > header->peak_blocks)
		return fault_at(error, ALLOCTRACE_FAULT_COUNTS, HEADER_LIVE_AT_END);
	if (header->thread_count == 0)
		return fault_at(error, ALLOCTRACE_FAULT_COUNTS, HEADER_THREAD_COUNT);
	return true;
}

static bool source_decode(struct alloctrace_header *out, const uint8_t *bytes, struct alloctrace_error *error)
{
	bool ended = false;

	for (unsigned i = 0; i < ALLOCTRACE_SOURCE_SIZE; i++) {
		uint8_t c = bytes[HEADER_SOURCE + i];
		bool printable = c >= 0x20 && c <= 0x7e;

		if ((ended && c != 0) || (c != 0 && !printable))
			return fault_at(error, ALLOCTRACE_FAULT_SOURCE, HEADER_SOURCE + i);
		ended = ended || c == 0;
		out->source[i] = (char)c;
	}
	out->source[ALLOCTRACE_SOURCE_SIZE] = '\0';
	return true;
}

bool alloctrace_header_decode(struct alloctrace_header *out, const uint8_t *bytes, size_t size,
			      uint64_t file_size_bytes, struct alloctrace_error *error)
{
	uint64_t payload;

	*error = (struct alloctrace_error){.fault = ALLOCTRACE_OK};
	if (!header_envelope_check(bytes, size, error))
		return false;
	if (file_size_bytes < ALLOCTRACE_HEADER_SIZE)
		return fault_at(error, ALLOCTRACE_FAULT_SHORT, file_size_bytes);
	out->record_count = get_u64(bytes + HEADER_RECORD_COUNT);
	out->peak_bytes = get_u64(bytes + HEADER_PEAK_BYTES);
	out->slot_count = get_u32(bytes + HEADER_SLOT_COUNT);
	out->peak_blocks = get_u32(bytes + HEADER_PEAK_BLOCKS);
	out->live_at_end = get_u32(bytes + HEADER_LIVE_AT_END);
	out->payload_crc = get_u32(bytes + HEADER_PAYLOAD_CRC);
	out->thread_count = (uint16_t)get_u16(bytes + HEADER_THREAD_COUNT);
	payload = file_size_bytes - ALLOCTRACE_HEADER_SIZE;
	if (payload % ALLOCTRACE_RECORD_SIZE != 0 || payload / ALLOCTRACE_RECORD_SIZE != out->record_count)
		return fault_at(error, ALLOCTRACE_FAULT_LENGTH, HEADER_RECORD_COUNT);
	return header_counts_check(out, error) && source_decode(out, bytes, error);
}

static bool op_allocates(unsigned op)
{
	return op == ALLOCTRACE_ALLOC || op == ALLOCTRACE_ZALLOC || op == ALLOCTRACE_ALIGNED;
}

static enum alloctrace_fault shape_fault(const struct alloctrace_record *record)
{
	if (record->op < ALLOCTRACE_ALLOC || record->op > ALLOCTRACE_FREE)
		return ALLOCTRACE_FAULT_OP;
	if ((record->size_bytes == 0) != (record->op == ALLOCTRACE_FREE))
		return ALLOCTRACE_FAULT_SIZE;
	if (record->align_log2 > ALLOCTRACE_ALIGN_LOG2_MAX)
		return ALLOCTRACE_FAULT_ALIGN;
	if (record->align_log2 != 0 && record->op != ALLOCTRACE_ALIGNED)
		return ALLOCTRACE_FAULT_ALIGN;
	return ALLOCTRACE_OK;
}

static uint64_t record_offset(uint64_t index)
{
	return ALLOCTRACE_HEADER_SIZE + index * ALLOCTRACE_RECORD_SIZE;
}

static uint64_t shape_offset(enum alloctrace_fault fault, uint64_t index)
{
	unsigned field = fault == ALLOCTRACE_FAULT_OP     ? RECORD_OP
			 : fault == ALLOCTRACE_FAULT_SIZE ? RECORD_SIZE
							  : RECORD_ALIGN;

	return record_offset(index) + field;
}

bool alloctrace_record_decode(struct alloctrace_record *out, const struct alloctrace_header *header,
			      const uint8_t *bytes, uint64_t index, struct alloctrace_error *error)
{
	struct alloctrace_record record = {
		.slot = get_u32(bytes + RECORD_SLOT),
		.size_bytes = get_u32(bytes + RECORD_SIZE),
		.op = bytes[RECORD_OP],
		.align_log2 = bytes[RECORD_ALIGN],
		.thread = (uint16_t)get_u16(bytes + RECORD_THREAD),
	};
	enum alloctrace_fault fault = shape_fault(&record);

	if (index >= header->record_count)
		return fault_at(error, ALLOCTRACE_FAULT_TOO_MANY, record_offset(header->record_count));
	if (fault != ALLOCTRACE_OK)
		return fault_at(error, fault, shape_offset(fault, index));
	if (record.slot >= header->slot_count)
		return fault_at(error, ALLOCTRACE_FAULT_SLOT, record_offset(index) + RECORD_SLOT);
	if (record.thread >= header->thread_count)
		return fault_at(error, ALLOCTRACE_FAULT_THREAD, record_offset(index) + RECORD_THREAD);
	*out = record;
	return true;
}

void alloctrace_ledger_init(struct alloctrace_ledger *ledger, const struct alloctrace_header *header,
			    uint32_t *slot_sizes)
{
	*ledger = (struct alloctrace_ledger){.header = header, .slot_sizes = slot_sizes};
	for (uint32_t slot = 0; slot < header->slot_count; slot++)
		slot_sizes[slot] = 0;
}

static bool ledger_apply(struct alloctrace_ledger *ledger, const struct alloctrace_record *record,
			 struct alloctrace_error *error)
{
	uint32_t *size = &ledger->slot_sizes[record->slot];
	uint64_t offset = record_offset(ledger->record_index) + RECORD_SLOT;

	if (op_allocates(record->op) && *size != 0)
		return fault_at(error, ALLOCTRACE_FAULT_SLOT_FULL, offset);
	if (!op_allocates(record->op) && *size == 0)
		return fault_at(error, ALLOCTRACE_FAULT_SLOT_EMPTY, offset);
	if (op_allocates(record->op))
		ledger->live_blocks++;
	if (record->op == ALLOCTRACE_FREE)
		ledger->live_blocks--;
	ledger->live_bytes = ledger->live_bytes - *size + record->size_bytes;
	*size = record->size_bytes;
	if (ledger->live_blocks > ledger->peak_blocks)
		ledger->peak_blocks = ledger->live_blocks;
	if (ledger->live_bytes > ledger->peak_bytes)
		ledger->peak_bytes = ledger->live_bytes;
	return true;
}

bool alloctrace_ledger_feed(struct alloctrace_ledger *ledger, const uint8_t *bytes, size_t record_count,
			    struct alloctrace_error *error)
{
	for (size_t i = 0; i < record_count; i++) {
		const uint8_t *at = bytes + i * ALLOCTRACE_RECORD_SIZE;
		struct alloctrace_record record;

		if (!alloctrace_record_decode(&record, ledger->header, at, ledger->record_index, error))
			return false;
		ledger->crc = alloctrace_crc(ledger->crc, at, ALLOCTRACE_RECORD_SIZE);
		if (!ledger_apply(ledger, &record, error))
			return false;
		ledger->record_index++;
	}
	return true;
}

bool alloctrace_ledger_finish(const struct alloctrace_ledger *ledger, struct alloctrace_error *error)
{
	const struct alloctrace_header *header = ledger->header;

	if (ledger->record_index != header->record_count)
		return fault_at(error, ALLOCTRACE_FAULT_TOO_FEW, record_offset(ledger->record_index));
	if (ledger->crc != header->payload_crc)
		return fault_at(error, ALLOCTRACE_FAULT_PAYLOAD_CRC, HEADER_PAYLOAD_CRC);
	if (ledger->peak_bytes != header->peak_bytes)
		return fault_at(error, ALLOCTRACE_FAULT_TOTALS, HEADER_PEAK_BYTES);
	if (ledger->peak_blocks != header->peak_blocks)
		return fault_at(error, ALLOCTRACE_FAULT_TOTALS, HEADER_PEAK_BLOCKS);
	if (ledger->live_blocks != header->live_at_end)
		return fault_at(error, ALLOCTRACE_FAULT_TOTALS, HEADER_LIVE_AT_END);
	return true;
}
