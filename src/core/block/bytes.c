// SPDX-License-Identifier: MIT
//
// Transfers that begin and end anywhere: whole blocks go straight, those at the edges through a block of memory.
#include "block_impl.h"

// One block of which a part is wanted. A write reads it first.
static err_t edge_move(struct block_device *device, bool write, uint64_t offset_bytes, uint8_t *memory,
		       size_t size_bytes, uint8_t *block, uint32_t flags)
{
	uint32_t unit = device->limits.logical_bytes, into = (uint32_t)(offset_bytes & (unit - 1));
	uint64_t sector = (offset_bytes - into) >> SECTOR_SHIFT;
	err_t err = block_read(device, sector, block, unit);

	if (err != 0)
		return err;
	if (!write) {
		memcpy(memory, block + into, size_bytes);
		return 0;
	}
	memcpy(block + into, memory, size_bytes);
	return block_write(device, sector, block, unit, flags);
}

static err_t bytes_move(struct block_device *device, bool write, uint64_t offset_bytes, uint8_t *memory,
			size_t size_bytes, uint8_t *block, uint32_t flags)
{
	uint32_t unit = device->limits.logical_bytes;
	err_t err = 0;

	while (size_bytes > 0 && err == 0) {
		uint32_t into = (uint32_t)(offset_bytes & (unit - 1));
		size_t size = into != 0 || size_bytes < unit ? MIN(size_bytes, (size_t)unit - into)
							     : size_bytes & ~((size_t)unit - 1);
		if (into != 0 || size < unit)
			err = edge_move(device, write, offset_bytes, memory, size, block, flags);
		else if (write)
			err = block_write(device, offset_bytes >> SECTOR_SHIFT, memory, size, flags);
		else
			err = block_read(device, offset_bytes >> SECTOR_SHIFT, memory, size);
		offset_bytes += size;
		memory += size;
		size_bytes -= size;
	}
	return err;
}

static err_t bytes_transfer(struct block_device *device, bool write, uint64_t offset_bytes, void *memory,
			    size_t size_bytes, uint32_t flags)
{
	bool whole = ((offset_bytes | size_bytes) & (device->limits.logical_bytes - 1)) == 0;
	uint64_t end_bytes = device->limits.sectors << SECTOR_SHIFT;
	struct rwlock *edge_lock = &disk_of(device)->edge_lock;
	uint8_t *block = NULL;

	if (offset_bytes > end_bytes || size_bytes > end_bytes - offset_bytes)
		return ERR(EIO);
	if (!whole) {
		block = kmalloc(device->limits.logical_bytes, 0);
		if (block == NULL)
			return ERR(ENOMEM);
	}
	if (write && whole)
		rwlock_read_lock(edge_lock);
	else if (write)
		rwlock_write_lock(edge_lock);
	err_t err = bytes_move(device, write, offset_bytes, memory, size_bytes, block, flags);
	if (write && whole)
		rwlock_read_unlock(edge_lock);
	else if (write)
		rwlock_write_unlock(edge_lock);
	kfree(block);
	return err;
}

err_t block_read_bytes(struct block_device *device, uint64_t offset_bytes, void *buffer, size_t size_bytes)
{
	return bytes_transfer(device, false, offset_bytes, buffer, size_bytes, 0);
}

err_t block_write_bytes(struct block_device *device, uint64_t offset_bytes, const void *buffer, size_t size_bytes,
			uint32_t flags)
{
	return bytes_transfer(device, true, offset_bytes, (void *)(uintptr_t)buffer, size_bytes, flags);
}
