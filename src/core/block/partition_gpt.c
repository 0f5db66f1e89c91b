// SPDX-License-Identifier: MIT
//
// GUID partition tables (UEFI specification, 5.3): a header in the second logical block, its copy in the last one, each with a checksum and
// an array of entries with another. The copy is used where the first is damaged.
#include "block_impl.h"

#define HEADER_SIZE_MIN 92u
#define ENTRY_SIZE_MIN 128u
#define ARRAY_SIZE_MAX (256u << 10)

struct gpt_header {
	uint64_t own_lba, first_lba, last_lba, array_lba;
	uint32_t size_bytes, crc, entries, entry_size_bytes, array_crc;
};

static uint32_t get_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t get_u64(const uint8_t *bytes)
{
	return get_u32(bytes) | (uint64_t)get_u32(bytes + 4) << 32;
}

// CRC-32 as in ISO 3309, four bits at a time.
static uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t size_bytes)
{
	static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
					   0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
					   0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
	crc = ~crc;
	for (size_t i = 0; i < size_bytes; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static uint64_t disk_lbas(const struct partition_source *source)
{
	return (source->sectors << SECTOR_SHIFT) / source->logical_bytes;
}

static err_t lba_read(const struct partition_source *source, uint64_t lba, void *buffer, size_t size_bytes)
{
	return source->read(source, lba * (source->logical_bytes >> SECTOR_SHIFT), buffer, size_bytes);
}

// Whether the block holds a header that may be believed.
static bool header_parse(const struct partition_source *source, uint64_t lba, uint8_t *block, struct gpt_header *header)
{
	uint64_t lbas = disk_lbas(source);

	if (memcmp(block, "EFI PART", 8) != 0)
		return false;
	*header = (struct gpt_header){.size_bytes = get_u32(block + 12),
				      .crc = get_u32(block + 16),
				      .own_lba = get_u64(block + 24),
				      .first_lba = get_u64(block + 40),
				      .last_lba = get_u64(block + 48),
				      .array_lba = get_u64(block + 72),
				      .entries = get_u32(block + 80),
				      .entry_size_bytes = get_u32(block + 84),
				      .array_crc = get_u32(block + 88)};
	if (header->size_bytes < HEADER_SIZE_MIN || header->size_bytes > SECTOR_SIZE || header->own_lba != lba)
		return false;
	memset(block + 16, 0, 4);
	if (crc32(0, block, header->size_bytes) != header->crc)
		return false;
	if (header->entry_size_bytes < ENTRY_SIZE_MIN || header->entry_size_bytes % 8 != 0 || header->entries == 0 ||
	    (uint64_t)header->entries * header->entry_size_bytes > ARRAY_SIZE_MAX)
		return false;
	uint64_t blocks =
		DIV_ROUND_UP((uint64_t)header->entries * header->entry_size_bytes, (uint64_t)source->logical_bytes);
	return header->first_lba <= header->last_lba && header->last_lba < lbas && header->array_lba < lbas &&
	       blocks <= lbas - header->array_lba;
}

static void entries_take(const struct partition_source *source, const struct gpt_header *header, const uint8_t *array,
			 struct partition_table *table)
{
	static const uint8_t nobody[16] = {0};
	uint32_t unit = source->logical_bytes >> SECTOR_SHIFT;

	for (uint32_t i = 0; i < header->entries; i++) {
		const uint8_t *entry = array + (size_t)i * header->entry_size_bytes;
		uint64_t first = get_u64(entry + 32), last = get_u64(entry + 40);
		if (memcmp(entry, nobody, sizeof nobody) == 0)
			continue;
		if (first < header->first_lba || last > header->last_lba || first > last)
			table->problem = "a partition lies outside what the table has for them";
		else
			partition_add(table, i + 1, first * unit, (last - first + 1) * unit, source->sectors);
	}
}

// *found: the table is sound. Errors: those of read, -ENOMEM.
static err_t table_try(const struct partition_source *source, uint64_t lba, struct partition_table *table, bool *found)
{
	uint8_t block[SECTOR_SIZE];
	struct gpt_header header;
	err_t err = lba_read(source, lba, block, sizeof block);

	*found = false;
	if (err != 0 || !header_parse(source, lba, block, &header))
		return err;
	size_t used = (size_t)header.entries * header.entry_size_bytes;
	uint8_t *array = kmalloc(ALIGN_UP(used, (size_t)SECTOR_SIZE), 0);
	if (array == NULL)
		return ERR(ENOMEM);
	err = lba_read(source, header.array_lba, array, ALIGN_UP(used, (size_t)SECTOR_SIZE));
	if (err == 0 && crc32(0, array, used) == header.array_crc) {
		*found = true;
		entries_take(source, &header, array, table);
	}
	kfree(array);
	return err;
}

err_t gpt_scan(const struct partition_source *source, struct partition_table *table)
{
	bool found = false;
	err_t err = table_try(source, 1, table, &found);

	table->kind = "gpt";
	if (found || err == -ENOMEM)
		return err;
	err = table_try(source, disk_lbas(source) - 1, table, &found);
	if (err == 0)
		table->problem = found ? "the first table is damaged; its copy was taken" : "both tables are damaged";
	return err;
}
