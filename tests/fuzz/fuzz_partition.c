// SPDX-License-Identifier: MIT
//
// Fuzz target: partition tables. The input is scattered over a disk: first two bytes of a size and a block, then runs of where, how long, and bytes. With the top bit of
// the first byte a GPT gets the checksums that it lacks, so that what lies behind them is reached. Whatever a table says, partitions lie within the disk
// and apart.
#include "../../src/core/block/block_impl.h"

#include "../support/crc32.h"

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

int64_t tb_fuzz_mem(void *arg);

struct memory_disk {
	struct partition_source source;
	uint8_t *bytes;
};

static err_t memory_read(const struct partition_source *source, uint64_t sector, void *buffer, size_t size_bytes)
{
	const struct memory_disk *disk = container_of(source, const struct memory_disk, source);

	if (sector > source->sectors || size_bytes >> SECTOR_SHIFT > source->sectors - sector)
		return ERR(EIO);
	memcpy(buffer, disk->bytes + (sector << SECTOR_SHIFT), size_bytes);
	return 0;
}

static void bytes_scatter(struct memory_disk *disk, const uint8_t *bytes, size_t size)
{
	size_t end = (size_t)disk->source.sectors << SECTOR_SHIFT;

	while (size >= 4) {
		size_t at = ((size_t)bytes[0] << 8 | (size_t)bytes[1] << 16 | bytes[2]) % end;
		size_t run = MIN(MIN((size_t)bytes[3] + 1, size - 4), end - at);
		memcpy(disk->bytes + at, bytes + 4, run);
		bytes += 4 + run;
		size -= 4 + run;
	}
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_u32(uint8_t *at, uint32_t value)
{
	for (uint32_t i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

// The header of one place, made to be believed: magic, own place, checksums.
static void header_sign(struct memory_disk *disk, uint64_t lba)
{
	uint32_t unit = disk->source.logical_bytes;
	size_t end = (size_t)disk->source.sectors << SECTOR_SHIFT;
	uint8_t *header = disk->bytes + lba * unit;
	uint64_t array = (uint64_t)get_u32(header + 72) * unit;
	uint64_t used = (uint64_t)get_u32(header + 80) * get_u32(header + 84);

	memcpy(header, "EFI PART", 8);
	put_u32(header + 24, (uint32_t)lba);
	put_u32(header + 28, 0);
	if (array < end && used <= end - array)
		put_u32(header + 88, crc32_bitwise(disk->bytes + array, (size_t)used));
	put_u32(header + 16, 0);
	put_u32(header + 16, crc32_bitwise(header, MIN(get_u32(header + 12), SECTOR_SIZE)));
}

static void table_check(const struct memory_disk *disk, const struct partition_table *table)
{
	VERIFY3(table->count, <=, PARTITIONS_MAX);
	VERIFY(table->count == 0 || table->kind != NULL);
	for (uint32_t i = 0; i < table->count; i++) {
		const struct partition *one = &table->partitions[i];
		VERIFY(one->start != 0 && one->sectors != 0 && one->number != 0);
		VERIFY(one->start < disk->source.sectors && one->sectors <= disk->source.sectors - one->start);
		for (uint32_t j = 0; j < i; j++) {
			const struct partition *other = &table->partitions[j];
			VERIFY(one->start >= other->start + other->sectors ||
			       other->start >= one->start + one->sectors);
		}
	}
}

int64_t tb_fuzz_mem(void *arg)
{
	const struct fuzz_input *input = arg;
	struct memory_disk disk = {.source = {.read = memory_read}};
	struct partition_table *table = kmalloc(sizeof *table, 0);

	if (input->size < 2) {
		kfree(table);
		return 0;
	}
	disk.source.logical_bytes = (input->bytes[0] & 1) != 0 ? 4096 : 512;
	disk.source.sectors = ((uint64_t)input->bytes[1] + 1) * 8;
	disk.bytes = kmalloc((size_t)disk.source.sectors << SECTOR_SHIFT, MEM_ZERO);
	VERIFY(table != NULL && disk.bytes != NULL);
	bytes_scatter(&disk, input->bytes + 2, input->size - 2);
	disk.bytes[510] = 0x55;
	disk.bytes[511] = 0xaa;
	uint64_t lbas = (disk.source.sectors << SECTOR_SHIFT) / disk.source.logical_bytes;
	if ((input->bytes[0] & 0x80) != 0 && lbas > 3) {
		disk.bytes[450] = 0xee;
		header_sign(&disk, 1);
		header_sign(&disk, lbas - 1);
	}
	err_t err = partitions_scan(&disk.source, table);
	VERIFY(err == 0 || err == -EIO || err == -ENOMEM);
	if (err == 0)
		table_check(&disk, table);
	kfree(disk.bytes);
	kfree(table);
	return 0;
}
