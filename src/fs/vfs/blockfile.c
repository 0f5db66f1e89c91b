// SPDX-License-Identifier: MIT
//
// Block special files: a device's bytes, straight from and to the device. Nothing is kept here, so what a filesystem writes and what is read through any
// of the device's names are always the same. Writing is refused while somebody has the device exclusively, a mounted filesystem above all.
#include "vfs_impl.h"

#include "kern/block.h"
#include "kern/math.h"

#define PIECE_BYTES KIB(128)

static struct block_device *device_of(const struct file *file)
{
	return file->data;
}

static uint64_t device_bytes(const struct file *file)
{
	return block_sectors(device_of(file)) << SECTOR_SHIFT;
}

static err_t block_file_open(struct file *file)
{
	uint64_t rdev = file->inode->rdev;
	uint32_t major = (uint32_t)(rdev >> 8 & 0xfff) | (uint32_t)(rdev >> 32 & ~(uint64_t)0xfff);
	uint32_t minor = (uint32_t)(rdev & 0xff) | (uint32_t)(rdev >> 12 & ~(uint64_t)0xff);
	struct block_device *device = NULL;

	if (kernel_self()->block == NULL || block_open_number(major, minor, &device) != 0)
		return ERR(ENXIO);
	file->data = device;
	return 0;
}

static void block_file_release(struct file *file)
{
	block_close(device_of(file), false);
}

// Through memory of the kernel's, since the caller's may be anywhere.
static err_t pieces_read(struct file *file, uint64_t offset, struct io *io, size_t size_bytes, size_t *done_bytes)
{
	uint8_t *memory = kmalloc(MIN(size_bytes, (size_t)PIECE_BYTES), 0);
	err_t err = memory == NULL ? ERR(ENOMEM) : 0;

	while (err == 0 && size_bytes > 0) {
		size_t size = MIN(size_bytes, (size_t)PIECE_BYTES - (size_t)(offset % PIECE_BYTES));
		err = block_read_bytes(device_of(file), offset, memory, size);
		if (err == 0)
			err = io_put(io, memory, size);
		if (err != 0)
			break;
		offset += size;
		size_bytes -= size;
		*done_bytes += size;
	}
	kfree(memory);
	return err;
}

static err_t block_file_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes)
{
	uint64_t end = device_bytes(file);

	if (offset >= end)
		return 0;
	return pieces_read(file, offset, io, (size_t)MIN((uint64_t)io->left_bytes, end - offset), done_bytes);
}

static err_t pieces_write(struct file *file, uint64_t offset, struct io *io, size_t size_bytes, size_t *done_bytes)
{
	uint8_t *memory = kmalloc(MIN(size_bytes, (size_t)PIECE_BYTES), 0);
	bool durable = (atomic_load_u32_relaxed(&file->flags) & TB_O_DSYNC) != 0;
	err_t err = memory == NULL ? ERR(ENOMEM) : 0;

	while (err == 0 && size_bytes > 0) {
		size_t size = MIN(size_bytes, (size_t)PIECE_BYTES - (size_t)(offset % PIECE_BYTES));
		err = io_get(io, memory, size);
		if (err == 0)
			err = block_write_bytes(device_of(file), offset, memory, size, durable ? BLOCK_FUA : 0);
		if (err != 0)
			break;
		offset += size;
		size_bytes -= size;
		*done_bytes += size;
	}
	kfree(memory);
	return err;
}

// As Linux: a device that is read-only may be opened, and refuses; nothing is written behind the end.
static err_t block_file_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes)
{
	struct block_device *device = device_of(file);
	uint64_t end = device_bytes(file);

	if ((atomic_load_u32_relaxed(&file->flags) & TB_O_APPEND) != 0)
		*offset = end;
	if ((block_flags(device) & BLOCK_READ_ONLY) != 0)
		return ERR(EPERM);
	if (*offset >= end)
		return ERR(ENOSPC);
	err_t err = block_write_begin(device);
	if (err != 0)
		return err;
	err = pieces_write(file, *offset, io, (size_t)MIN((uint64_t)io->left_bytes, end - *offset), done_bytes);
	block_write_end(device);
	return err;
}

static err_t block_file_sync(struct file *file)
{
	return block_flush(device_of(file));
}

// ---- requests ------------------------------------------------------------------------------------------------------------

static err_t range_clear(struct file *file, const uint64_t range[2], bool discard)
{
	struct block_device *device = device_of(file);
	uint64_t end = device_bytes(file), unit = block_logical_bytes(device);

	if ((atomic_load_u32_relaxed(&file->flags) & TB_O_ACCMODE) == TB_O_RDONLY)
		return ERR(EBADF);
	if (range[0] % unit != 0 || range[1] % unit != 0 || range[0] > end || range[1] > end - range[0])
		return ERR(EINVAL);
	if ((block_flags(device) & BLOCK_READ_ONLY) != 0)
		return ERR(EPERM);
	if (range[1] == 0)
		return 0;
	err_t err = block_write_begin(device);
	if (err != 0)
		return err;
	if (discard)
		err = block_discard(device, range[0] >> SECTOR_SHIFT, range[1] >> SECTOR_SHIFT);
	else
		err = block_zero(device, range[0] >> SECTOR_SHIFT, range[1] >> SECTOR_SHIFT, 0);
	block_write_end(device);
	return err;
}

static err_t table_read(struct file *file)
{
	const char *problem = NULL;

	if (!process_is_root(vfs_monitor_process()))
		return ERR(EACCES);
	return block_partitions_read(device_of(file), &problem);
}

static err_t block_file_ioctl(struct file *file, uint32_t request, void *arg)
{
	struct block_device *device = device_of(file);

	switch (request) {
	case TB_BLKROGET:
		*(int32_t *)arg = (block_flags(device) & BLOCK_READ_ONLY) != 0;
		return 0;
	case TB_BLKSSZGET:
		*(int32_t *)arg = (int32_t)block_logical_bytes(device);
		return 0;
	case TB_BLKPBSZGET:
		*(uint32_t *)arg = block_physical_bytes(device);
		return 0;
	case TB_BLKGETSIZE:
		*(uint64_t *)arg = block_sectors(device);
		return 0;
	case (uint32_t)TB_BLKGETSIZE64:
		*(uint64_t *)arg = device_bytes(file);
		return 0;
	case TB_BLKFLSBUF:
		return block_flush(device);
	case TB_BLKRRPART:
		return table_read(file);
	case TB_BLKDISCARD:
	case TB_BLKZEROOUT:
		return range_clear(file, arg, request == TB_BLKDISCARD);
	default:
		return ERR(ENOTTY);
	}
}

const struct file_ops block_file_ops = {.open = block_file_open,
					.release = block_file_release,
					.read = block_file_read,
					.write = block_file_write,
					.sync = block_file_sync,
					.ioctl = block_file_ioctl,
					.size = device_bytes};
