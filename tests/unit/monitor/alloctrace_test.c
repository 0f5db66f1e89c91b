// SPDX-License-Identifier: MIT
//
// The TBAT decoder: one small good trace, and every way in which a file can be wrong, with the byte that is named.

#include "kern/alloctrace.h"
#include "kern/test.h"

enum {
	RECORDS = 5,
	FILE_SIZE = ALLOCTRACE_HEADER_SIZE + RECORDS * ALLOCTRACE_RECORD_SIZE,
	SLOTS = 2
};

struct file {
	uint8_t bytes[FILE_SIZE];
};

static void put_le(uint8_t *bytes, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

static uint8_t *record_at(struct file *file, unsigned index)
{
	return file->bytes + ALLOCTRACE_HEADER_SIZE + index * ALLOCTRACE_RECORD_SIZE;
}

static void put_record(struct file *file, unsigned index, uint32_t slot, uint32_t size, uint8_t op, uint8_t align)
{
	uint8_t *at = record_at(file, index);

	put_le(at, slot, 4);
	put_le(at + 4, size, 4);
	at[8] = op;
	at[9] = align;
	put_le(at + 10, 0, 2);
}

static void file_seal(struct file *file)
{
	put_le(file->bytes + 40, alloctrace_crc(0, file->bytes + 64, FILE_SIZE - 64), 4);
	put_le(file->bytes + 60, alloctrace_crc(0, file->bytes, 60), 4);
}

// alloc 0, aligned 1, realloc 0, free 1, and slot 0 stays.
static void file_make(struct file *file)
{
	static const uint8_t head[] = {'T', 'B', 'A', 'T', 1, 0, 64, 0, 12, 0, 1, 0, SLOTS};

	*file = (struct file){{0}};
	for (unsigned i = 0; i < sizeof(head); i++)
		file->bytes[i] = head[i];
	put_le(file->bytes + 16, RECORDS, 8);
	put_le(file->bytes + 24, 400, 8);
	put_le(file->bytes + 32, 2, 4);
	put_le(file->bytes + 36, 1, 4);
	file->bytes[44] = 'x';
	put_record(file, 0, 0, 100, ALLOCTRACE_ALLOC, 0);
	put_record(file, 1, 1, 100, ALLOCTRACE_ALIGNED, 6);
	put_record(file, 2, 0, 300, ALLOCTRACE_REALLOC, 0);
	put_record(file, 3, 1, 0, ALLOCTRACE_FREE, 0);
	put_record(file, 4, 0, 50, ALLOCTRACE_REALLOC, 0);
	file_seal(file);
}

static struct alloctrace_error file_judge(const struct file *file, size_t size)
{
	struct alloctrace_error error = {.fault = ALLOCTRACE_OK};
	struct alloctrace_ledger ledger;
	struct alloctrace_header header;
	uint32_t sizes[SLOTS + 2];

	if (!alloctrace_header_decode(&header, file->bytes, size, size, &error))
		return error;
	alloctrace_ledger_init(&ledger, &header, sizes);
	if (alloctrace_ledger_feed(&ledger, file->bytes + ALLOCTRACE_HEADER_SIZE, RECORDS, &error))
		(void)alloctrace_ledger_finish(&ledger, &error);
	return error;
}

TEST(alloctrace, crc_is_the_standard_one)
{
	CHECK_EQ(alloctrace_crc(0, (const uint8_t *)"123456789", 9), 0xcbf43926u);
	CHECK_EQ(alloctrace_crc(alloctrace_crc(0, (const uint8_t *)"1234", 4), (const uint8_t *)"56789", 5),
		 0xcbf43926u);
}

TEST(alloctrace, good_file_is_accepted)
{
	struct alloctrace_record record;
	struct alloctrace_header header;
	struct alloctrace_error error;
	struct file file;

	file_make(&file);
	CHECK_EQ(file_judge(&file, FILE_SIZE).fault, ALLOCTRACE_OK);
	REQUIRE(alloctrace_header_decode(&header, file.bytes, FILE_SIZE, FILE_SIZE, &error));
	CHECK_EQ(header.record_count, RECORDS);
	CHECK_EQ(header.peak_bytes, 400);
	CHECK(header.source[0] == 'x' && header.source[1] == '\0');
	REQUIRE(alloctrace_record_decode(&record, &header, record_at(&file, 1), 1, &error));
	CHECK_EQ(record.op, ALLOCTRACE_ALIGNED);
	CHECK_EQ(record.align_log2, 6);
	CHECK_EQ(record.slot, 1);
	CHECK_EQ(record.size_bytes, 100);
	CHECK(!alloctrace_record_decode(&record, &header, record_at(&file, 1), RECORDS, &error));
	CHECK_EQ(error.fault, ALLOCTRACE_FAULT_TOO_MANY);
}

// One byte or field changed, checksums made right again: what is said, and where.
struct damage {
	uint16_t at;
	uint8_t size;
	uint64_t value;
	enum alloctrace_fault fault;
	uint16_t offset;
};

static const struct damage damages[] = {
	{0, 4, 0x54414255, ALLOCTRACE_FAULT_MAGIC, 0},
	{4, 2, 2, ALLOCTRACE_FAULT_VERSION, 4},
	{6, 2, 72, ALLOCTRACE_FAULT_LAYOUT, 6},
	{8, 2, 16, ALLOCTRACE_FAULT_LAYOUT, 8},
	{10, 2, 0, ALLOCTRACE_FAULT_COUNTS, 10},
	{12, 4, 6, ALLOCTRACE_FAULT_COUNTS, 12},
	{12, 4, 1, ALLOCTRACE_FAULT_COUNTS, 32},
	{16, 8, 6, ALLOCTRACE_FAULT_LENGTH, 16},
	{16, 8, 0x1555555555555560u, ALLOCTRACE_FAULT_LENGTH, 16},
	{24, 8, 401, ALLOCTRACE_FAULT_TOTALS, 24},
	{32, 4, 1, ALLOCTRACE_FAULT_TOTALS, 32},
	{36, 4, 2, ALLOCTRACE_FAULT_TOTALS, 36},
	{36, 4, 3, ALLOCTRACE_FAULT_COUNTS, 36},
	{45, 1, 7, ALLOCTRACE_FAULT_SOURCE, 45},
	{46, 1, 'y', ALLOCTRACE_FAULT_SOURCE, 46},
	{64, 4, 2, ALLOCTRACE_FAULT_SLOT, 64},
	{64, 4, 0xffffffff, ALLOCTRACE_FAULT_SLOT, 64},
	{68, 4, 0, ALLOCTRACE_FAULT_SIZE, 68},
	{72, 1, 0, ALLOCTRACE_FAULT_OP, 72},
	{72, 1, 6, ALLOCTRACE_FAULT_OP, 72},
	{72, 1, ALLOCTRACE_REALLOC, ALLOCTRACE_FAULT_SLOT_EMPTY, 64},
	{73, 1, 4, ALLOCTRACE_FAULT_ALIGN, 73},
	{74, 2, 1, ALLOCTRACE_FAULT_THREAD, 74},
	{76, 4, 0, ALLOCTRACE_FAULT_SLOT_FULL, 76},
	{85, 1, 31, ALLOCTRACE_FAULT_ALIGN, 85},
	{104, 4, 1, ALLOCTRACE_FAULT_SIZE, 104},
	{112, 4, 1, ALLOCTRACE_FAULT_SLOT_EMPTY, 112},
};

TEST(alloctrace, each_damage_is_named_with_its_place)
{
	for (unsigned i = 0; i < array_count(damages); i++) {
		const struct damage *damage = &damages[i];
		struct alloctrace_error error;
		struct file file;

		file_make(&file);
		put_le(file.bytes + damage->at, damage->value, damage->size);
		file_seal(&file);
		error = file_judge(&file, FILE_SIZE);
		CHECK_EQ(error.fault, damage->fault);
		CHECK_EQ(error.offset, damage->offset);
		CHECK(alloctrace_fault_text(error.fault)[0] != '\0');
	}
}

TEST(alloctrace, checksums_catch_every_changed_bit)
{
	struct file file;

	file_make(&file);
	for (unsigned bit = 0; bit < FILE_SIZE * 8; bit++) {
		file.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(file_judge(&file, FILE_SIZE).fault != ALLOCTRACE_OK);
		file.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CHECK_EQ(file_judge(&file, FILE_SIZE).fault, ALLOCTRACE_OK);
}

TEST(alloctrace, cut_files_are_refused)
{
	struct alloctrace_ledger ledger;
	struct alloctrace_header header;
	struct alloctrace_error error;
	uint32_t sizes[SLOTS];
	struct file file;

	file_make(&file);
	for (size_t size = 0; size < FILE_SIZE; size++) {
		error = file_judge(&file, size);
		CHECK_EQ(error.fault, size < ALLOCTRACE_HEADER_SIZE ? ALLOCTRACE_FAULT_SHORT : ALLOCTRACE_FAULT_LENGTH);
	}
	// The header promises more than the caller then feeds.
	REQUIRE(alloctrace_header_decode(&header, file.bytes, ALLOCTRACE_HEADER_SIZE, FILE_SIZE, &error));
	alloctrace_ledger_init(&ledger, &header, sizes);
	REQUIRE(alloctrace_ledger_feed(&ledger, record_at(&file, 0), RECORDS - 1, &error));
	CHECK(!alloctrace_ledger_finish(&ledger, &error));
	CHECK_EQ(error.fault, ALLOCTRACE_FAULT_TOO_FEW);
	CHECK_EQ(error.offset, FILE_SIZE - ALLOCTRACE_RECORD_SIZE);
}
