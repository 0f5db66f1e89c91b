// SPDX-License-Identifier: MIT
//
// Reading and writing of files that are pages in memory.
#include "vfs_impl.h"

#include "kern/string.h"

#define SIZE_MAX_BYTES ((uint64_t)INT64_MAX)

// Bytes [within, …) of the pages that lie side by side, as far as the caller wants and the file goes.
static err_t pages_give(struct page **pages, uint32_t count, size_t within, size_t size_bytes, struct io *io,
			size_t *done_bytes)
{
	err_t err = 0;

	for (uint32_t i = 0; i < count; i++) {
		size_t piece = FRAME_SIZE - within < size_bytes ? FRAME_SIZE - within : size_bytes;
		if (err == 0 && pages[i] != NULL)
			err = io_put(io, (const uint8_t *)pages[i]->frame + within, piece);
		else if (err == 0)
			err = io_zero(io, piece);
		if (err == 0)
			*done_bytes += piece;
		size_bytes -= piece;
		within = 0;
	}
	return err;
}

// All at once, behind all copies: an atomic operation waits for the stores before it.
static void pages_put(struct page **pages, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (pages[i] != NULL)
			page_put(pages[i]);
}

err_t page_file_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes)
{
	struct page *pages[MAPPING_RANGE_MAX];
	struct inode *inode = file->inode;
	err_t err = 0;

	while (io->left_bytes > 0 && err == 0) {
		uint64_t size = inode_size(inode);
		if (offset >= size)
			break;
		size_t within = (size_t)(offset % FRAME_SIZE);
		size_t most = MAPPING_RANGE_MAX * (size_t)FRAME_SIZE - within;
		size_t piece = io->left_bytes < most ? io->left_bytes : most;
		if (piece > size - offset)
			piece = (size_t)(size - offset);
		uint32_t count = (uint32_t)((within + piece + FRAME_SIZE - 1) / FRAME_SIZE);
		mapping_find_range(&inode->mapping, offset / FRAME_SIZE, pages, count);
		err = pages_give(pages, count, within, piece, io, done_bytes);
		pages_put(pages, count);
		offset += piece;
	}
	return err;
}

// Pages from `index` on, counted: found, or made. Returns how many there are; fewer than wanted with an error.
static uint32_t pages_gather(struct inode *inode, uint64_t index, struct page **pages, uint32_t count, page_add_fn *add,
			     err_t *err)
{
	uint64_t size = inode_size(inode);
	uint32_t got = 0;

	*err = 0;
	for (; got < count; got++) {
		bool hidden = (index + got) * FRAME_SIZE >= size;
		*err = add(inode, index + got, hidden ? 0 : MEM_ZERO, &pages[got]);
		if (*err != 0)
			break;
	}
	return got;
}

// Fills bytes [within, within + piece) of a page. What nobody could see before the file grows over it is zeroed here, in place of its making.
static err_t page_fill(struct page *page, size_t within, size_t piece, bool hidden, struct io *io)
{
	uint8_t *frame = page->frame;
	err_t err = piece > 0 ? io_get(io, frame + within, piece) : 0;

	if (hidden) {
		size_t end = err == 0 && piece > 0 ? within + piece : 0;
		memset(frame, 0, end > 0 ? within : 0);
		memset(frame + end, 0, FRAME_SIZE - end);
	}
	return err;
}

// Up to MAPPING_RANGE_MAX pages: made, filled, given back, each for all of them, so that atomic operations and copies do not alternate.
static err_t write_range(struct inode *inode, uint64_t offset, size_t size_bytes, struct io *io, page_add_fn *add,
			 size_t *done_bytes)
{
	struct page *pages[MAPPING_RANGE_MAX];
	size_t within = (size_t)(offset % FRAME_SIZE);
	uint64_t index = offset / FRAME_SIZE, size = inode_size(inode);
	uint32_t count = (uint32_t)((within + size_bytes + FRAME_SIZE - 1) / FRAME_SIZE);
	err_t short_of, err = 0;
	uint32_t got = pages_gather(inode, index, pages, count, add, &short_of);

	for (uint32_t i = 0; i < got; i++) {
		size_t piece = MIN(FRAME_SIZE - within, size_bytes);
		size_t take = err == 0 ? piece : 0;
		err_t filled = page_fill(pages[i], within, take, (index + i) * FRAME_SIZE >= size, io);
		err = err != 0 ? err : filled;
		*done_bytes += err == 0 ? piece : 0;
		size_bytes -= piece;
		within = 0;
	}
	pages_put(pages, got);
	return err != 0 ? err : short_of;
}

err_t file_write_place(const struct file *file, uint64_t *offset, struct io *io)
{
	if (atomic_load_u32_relaxed(&file->flags) & TB_O_APPEND)
		*offset = inode_size(file->inode);
	if (*offset >= SIZE_MAX_BYTES)
		return ERR(EFBIG);
	if (io->left_bytes > SIZE_MAX_BYTES - *offset)
		io->left_bytes = (size_t)(SIZE_MAX_BYTES - *offset);
	return 0;
}

err_t page_file_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes, page_add_fn *add)
{
	struct inode *inode = file->inode;
	err_t err = 0;

	mutex_lock(&inode->lock);
	err = file_write_place(file, offset, io);
	uint64_t at = *offset;
	while (err == 0 && io->left_bytes > 0) {
		size_t piece = MIN(MAPPING_RANGE_MAX * (size_t)FRAME_SIZE - (size_t)(at % FRAME_SIZE), io->left_bytes);
		size_t done = 0;
		err = write_range(inode, at, piece, io, add, &done);
		at += done;
		*done_bytes += done;
		if (at > inode_size(inode))
			inode_set_size(inode, at);
	}
	if (*done_bytes > 0)
		inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
	mutex_unlock(&inode->lock);
	return err;
}
