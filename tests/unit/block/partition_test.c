// SPDX-License-Identifier: MIT
//
// Partition tables that are written here, byte by byte, and partitions as devices.
#include "../sync/sync_test.h"

#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/string.h"

#include "../../support/crc32.h"

#define SECTORS 8192u

struct table {
	struct block_device *disk;
	uint8_t sector[512];
	uint8_t array[128 * 128];
};

static void put_u32(uint8_t *at, uint32_t value)
{
	for (uint32_t i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void put_u64(uint8_t *at, uint64_t value)
{
	put_u32(at, (uint32_t)value);
	put_u32(at + 4, (uint32_t)(value >> 32));
}

static void mbr_begin(struct table *table)
{
	memset(table->sector, 0, sizeof table->sector);
	table->sector[510] = 0x55;
	table->sector[511] = 0xaa;
}

static void mbr_entry(struct table *table, uint32_t n, uint8_t type, uint32_t start, uint32_t sectors)
{
	uint8_t *entry = table->sector + 446 + n * 16u;
	entry[4] = type;
	put_u32(entry + 8, start);
	put_u32(entry + 12, sectors);
}

static void sector_write(TEST_RUN, struct table *table, uint64_t at)
{
	CHECK_EQ(block_write(table->disk, at, table->sector, 512, 0), 0);
}

static bool table_init(struct table **out)
{
	struct table *table = kmalloc(sizeof *table, MEM_ZERO);
	*out = table;
	return table != NULL && ramdisk_create(SECTORS * 512, 0, 0, &table->disk) == 0;
}

static void table_end(TEST_RUN, struct table *table)
{
	CHECK_EQ(block_remove(table->disk), 0);
	kfree(table);
}

static const char *scan(TEST_RUN, struct table *table)
{
	const char *problem = NULL;
	CHECK_EQ(block_partitions_read(table->disk, &problem), 0);
	return problem;
}

static uint32_t partitions_of(struct table *table)
{
	struct block_info info;
	uint32_t count = 0;
	size_t size = strlen(block_name(table->disk));
	for (uint32_t n = 0; block_info_at(n, &info); n++)
		count += info.is_partition && memcmp(info.name, block_name(table->disk), size) == 0;
	return count;
}

// Whether "<disk>pN" begins and ends there.
static bool is_at(struct table *table, uint32_t number, uint64_t start, uint64_t sectors)
{
	struct block_info info;
	size_t size = strlen(block_name(table->disk));
	for (uint32_t n = 0; block_info_at(n, &info); n++)
		if (info.is_partition && memcmp(info.name, block_name(table->disk), size) == 0 &&
		    info.name[size] == 'p' && (uint32_t)(info.name[size + 1] - '0') == number &&
		    info.name[size + 2] == '\0')
			return info.start == start && info.sectors == sectors;
	return false;
}

TEST(block_partition, mbr_with_extended_ones)
{
	struct table *table = NULL;
	REQUIRE(table_init(&table));
	mbr_begin(table);
	mbr_entry(table, 0, 0x83, 64, 1000);
	mbr_entry(table, 2, 0x05, 2000, 4000);
	sector_write(test_run_, table, 0);
	mbr_begin(table);
	mbr_entry(table, 0, 0x83, 8, 500);
	mbr_entry(table, 1, 0x05, 1000, 1000);
	sector_write(test_run_, table, 2000);
	mbr_begin(table);
	mbr_entry(table, 0, 0x82, 16, 900);
	sector_write(test_run_, table, 3000);
	CHECK(scan(test_run_, table) == NULL);
	CHECK_EQ(partitions_of(table), 3);
	CHECK(is_at(table, 1, 64, 1000));
	CHECK(is_at(table, 5, 2008, 500));
	CHECK(is_at(table, 6, 3016, 900));
	table_end(test_run_, table);
}

TEST(block_partition, mbr_that_lies)
{
	struct table *table = NULL;
	REQUIRE(table_init(&table));
	CHECK(scan(test_run_, table) == NULL); // none at all
	CHECK_EQ(partitions_of(table), 0);
	mbr_begin(table);
	mbr_entry(table, 0, 0x83, 64, SECTORS);
	mbr_entry(table, 1, 0x83, 100, 100);
	mbr_entry(table, 2, 0x83, 150, 100);
	sector_write(test_run_, table, 0);
	CHECK(scan(test_run_, table) != NULL);
	CHECK_EQ(partitions_of(table), 1);
	mbr_begin(table); // a ring of tables
	mbr_entry(table, 0, 0x0f, 2000, 4000);
	sector_write(test_run_, table, 0);
	mbr_begin(table);
	mbr_entry(table, 0, 0x83, 8, 100);
	mbr_entry(table, 1, 0x05, 1000, 100);
	sector_write(test_run_, table, 2000);
	mbr_entry(table, 1, 0x05, 0, 100);
	sector_write(test_run_, table, 3000);
	const char *problem = scan(test_run_, table);
	CHECK(problem != NULL &&
	      strcmp(problem, "extended partition tables lead back, or out of their partition") == 0);
	CHECK_EQ(partitions_of(table), 2);
	memset(table->sector + 446, 0xcc, 64); // a boot sector with code there
	sector_write(test_run_, table, 0);
	CHECK(scan(test_run_, table) == NULL);
	CHECK_EQ(partitions_of(table), 0);
	table_end(test_run_, table);
}

// ---- GPT --------------------------------------------------------------------------------------------------------------------

static void gpt_entry(struct table *table, uint32_t n, uint64_t first, uint64_t last)
{
	uint8_t *entry = table->array + n * 128u;
	memset(entry, 0x11, 32);
	put_u64(entry + 32, first);
	put_u64(entry + 40, last);
}

static void gpt_write(TEST_RUN, struct table *table, uint64_t header_lba, uint64_t array_lba)
{
	uint8_t *header = table->sector;
	CHECK_EQ(block_write(table->disk, array_lba, table->array, sizeof table->array, 0), 0);
	memset(header, 0, 512);
	memcpy(header, "EFI PART", 8);
	put_u32(header + 8, 0x10000);
	put_u32(header + 12, 92);
	put_u64(header + 24, header_lba);
	put_u64(header + 32, SECTORS - header_lba);
	put_u64(header + 40, 34);
	put_u64(header + 48, SECTORS - 34);
	put_u64(header + 72, array_lba);
	put_u32(header + 80, 128);
	put_u32(header + 84, 128);
	put_u32(header + 88, crc32_bitwise(table->array, sizeof table->array));
	put_u32(header + 16, crc32_bitwise(header, 92));
	sector_write(test_run_, table, header_lba);
}

static bool gpt_init(TEST_RUN, struct table **out)
{
	if (!table_init(out))
		return false;
	mbr_begin(*out);
	mbr_entry(*out, 0, 0xee, 1, SECTORS - 1);
	sector_write(test_run_, *out, 0);
	gpt_entry(*out, 0, 2048, 4095);
	gpt_entry(*out, 3, 5000, 5000);
	gpt_write(test_run_, *out, 1, 2);
	gpt_write(test_run_, *out, SECTORS - 1, SECTORS - 33);
	return true;
}

TEST(block_partition, gpt_and_its_copy)
{
	struct table *table = NULL;
	REQUIRE(gpt_init(test_run_, &table));
	CHECK(scan(test_run_, table) == NULL);
	CHECK_EQ(partitions_of(table), 2);
	CHECK(is_at(table, 1, 2048, 2048));
	CHECK(is_at(table, 4, 5000, 1));
	memset(table->sector, 0, 512);
	sector_write(test_run_, table, 1);
	CHECK(scan(test_run_, table) != NULL); // from the copy, and it is said
	CHECK_EQ(partitions_of(table), 2);
	table->array[40]++; // the copy's array does not have its checksum
	CHECK_EQ(block_write(table->disk, SECTORS - 33, table->array, sizeof table->array, 0), 0);
	CHECK(scan(test_run_, table) != NULL);
	CHECK_EQ(partitions_of(table), 0);
	table_end(test_run_, table);
}

TEST(block_partition, is_a_device)
{
	struct table *table = NULL;
	struct block_device *part = NULL, *disk = NULL;
	char name[BLOCK_NAME_SIZE];
	uint8_t *memory = NULL;
	const char *problem = NULL;
	REQUIRE(gpt_init(test_run_, &table));
	memory = kmalloc(1024, MEM_ZERO);
	REQUIRE(memory != NULL && scan(test_run_, table) == NULL);
	ksnprintf(name, sizeof name, "%sp1", block_name(table->disk));
	REQUIRE(block_open(name, true, "a test", &part) == 0);
	CHECK_EQ(block_open(block_name(table->disk), true, "another", &disk), -EBUSY);
	CHECK_EQ(block_partitions_read(table->disk, &problem), -EBUSY);
	CHECK_EQ(block_sectors(part), 2048);
	memset(memory, 0x77, 1024);
	CHECK_EQ(block_write(part, 2046, memory, 1024, 0), 0);
	CHECK_EQ(block_write(part, 2047, memory, 1024, 0), -EIO); // into the next one
	memset(memory, 0, 1024);
	CHECK_EQ(block_read(table->disk, 4095, memory, 512), 0);
	CHECK_EQ(memory[0], 0x77);
	CHECK_EQ(block_read(table->disk, 4096, memory, 512), 0);
	CHECK_EQ(memory[0], 0);
	CHECK_EQ(block_flush(part), 0);
	block_close(part, true);
	CHECK_EQ(block_open(block_name(table->disk), true, "another", &disk), 0);
	CHECK_EQ(block_open(name, true, "a test", &part), -EBUSY);
	block_close(disk, true);
	kfree(memory);
	table_end(test_run_, table);
}
