// SPDX-License-Identifier: MIT
//
// Partition tables: the MBR with its chain of extended tables, and who looks for a GPT first. Everything read is hostile: a partition that leaves
// the disk, overlaps nothing it should, or hangs in a ring of tables is left out and said. Source: the MBR as in the UEFI specification, 5.2;
// extended tables as they are found on disks: the first entry is the partition, from its own table on; the second leads to the next table,
// from the extended partition's beginning on.
#include "block_impl.h"

#define MBR_ENTRIES 446u
#define MBR_ENTRY_SIZE 16u
#define MBR_MAGIC 510u

enum mbr_type {
	MBR_EMPTY = 0x00,
	MBR_EXTENDED_CHS = 0x05,
	MBR_EXTENDED_LBA = 0x0f,
	MBR_EXTENDED_LINUX = 0x85,
	MBR_GPT = 0xee
};

struct mbr_entry {
	uint8_t status, type;
	uint32_t start, sectors;
};

static uint32_t get_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static struct mbr_entry mbr_entry(const uint8_t *sector, uint32_t n)
{
	const uint8_t *bytes = sector + MBR_ENTRIES + (size_t)n * MBR_ENTRY_SIZE;
	return (struct mbr_entry){
		.status = bytes[0], .type = bytes[4], .start = get_u32(bytes + 8), .sectors = get_u32(bytes + 12)};
}

static bool is_table(const uint8_t *sector)
{
	return sector[MBR_MAGIC] == 0x55 && sector[MBR_MAGIC + 1] == 0xaa;
}

static bool is_extended(uint8_t type)
{
	return type == MBR_EXTENDED_CHS || type == MBR_EXTENDED_LBA || type == MBR_EXTENDED_LINUX;
}

// Boot sectors of filesystems end in the same magic, and have code where entries would be.
static bool is_plausible(const uint8_t *sector)
{
	for (uint32_t i = 0; i < 4; i++)
		if ((mbr_entry(sector, i).status & 0x7f) != 0)
			return false;
	return true;
}

void partition_add(struct partition_table *table, uint32_t number, uint64_t start, uint64_t sectors,
		   uint64_t disk_sectors)
{
	if (start == 0 || sectors == 0 || start >= disk_sectors || sectors > disk_sectors - start) {
		table->problem = "a partition reaches beyond the disk";
		return;
	}
	for (uint32_t i = 0; i < table->count; i++) {
		const struct partition *other = &table->partitions[i];
		if (start < other->start + other->sectors && other->start < start + sectors) {
			table->problem = "partitions overlap";
			return;
		}
	}
	if (table->count == PARTITIONS_MAX) {
		table->problem = "more partitions than are looked at";
		return;
	}
	table->partitions[table->count++] = (struct partition){start, sectors, number};
}

// Tables follow each other within the extended partition, each behind the one before.
static err_t extended_scan(const struct partition_source *source, struct partition_table *table, uint64_t begin,
			   uint64_t sectors)
{
	uint8_t sector[SECTOR_SIZE];
	uint64_t at = begin, end = begin + sectors;
	uint32_t unit = source->logical_bytes >> SECTOR_SHIFT;

	for (uint32_t number = 5; number < 5 + PARTITIONS_MAX; number++) {
		err_t err = source->read(source, at, sector, sizeof sector);
		if (err != 0)
			return err;
		if (!is_table(sector)) {
			table->problem = "an extended partition table is missing";
			return 0;
		}
		struct mbr_entry own = mbr_entry(sector, 0), next = mbr_entry(sector, 1);
		if (own.type != MBR_EMPTY && own.sectors != 0)
			partition_add(table, number, at + (uint64_t)own.start * unit, (uint64_t)own.sectors * unit,
				      MIN(end, source->sectors));
		if (!is_extended(next.type) || next.sectors == 0)
			return 0;
		uint64_t to = begin + (uint64_t)next.start * unit;
		if (to <= at || to >= end || to >= source->sectors) {
			table->problem = "extended partition tables lead back, or out of their partition";
			return 0;
		}
		at = to;
	}
	table->problem = "more partitions than are looked at";
	return 0;
}

static err_t mbr_scan(const struct partition_source *source, const uint8_t *sector, struct partition_table *table)
{
	uint32_t unit = source->logical_bytes >> SECTOR_SHIFT;
	err_t err = 0;

	table->kind = "mbr";
	for (uint32_t i = 0; i < 4 && err == 0; i++) {
		struct mbr_entry entry = mbr_entry(sector, i);
		uint64_t start = (uint64_t)entry.start * unit, sectors = (uint64_t)entry.sectors * unit;
		if (entry.type == MBR_EMPTY || entry.sectors == 0)
			continue;
		if (!is_extended(entry.type))
			partition_add(table, i + 1, start, sectors, source->sectors);
		else if (start == 0 || start >= source->sectors)
			table->problem = "a partition reaches beyond the disk";
		else
			err = extended_scan(source, table, start, sectors);
	}
	return err;
}

static bool is_protective(const uint8_t *sector)
{
	for (uint32_t i = 0; i < 4; i++)
		if (mbr_entry(sector, i).type == MBR_GPT)
			return true;
	return false;
}

err_t partitions_scan(const struct partition_source *source, struct partition_table *table)
{
	uint8_t sector[SECTOR_SIZE];

	*table = (struct partition_table){.count = 0};
	if (source->sectors < 8)
		return 0;
	err_t err = source->read(source, 0, sector, sizeof sector);
	if (err != 0 || !is_table(sector) || !is_plausible(sector))
		return err;
	return is_protective(sector) ? gpt_scan(source, table) : mbr_scan(source, sector, table);
}
