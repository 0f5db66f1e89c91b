// SPDX-License-Identifier: MIT
//
// Reading and writing of files that are pages in memory.
#include "vfs_impl.h"

#include "kern/string.h"

#define SIZE_MAX_BYTES ((uint64_t)INT64_MAX)

// Bytes [within, …) of the pages that lie side by side, as far as the caller wants and the file goes.
static err_t pages_put(struct page **pages, uint32_t count, size_t within, size_t size_bytes, struct io *io,
		       size_t *done_bytes)
{
	err_t err = 0;

	for (uint32_t i = 0; i < count; i++) {
		size_t piece = FRAME_SIZE - within < size_bytes ? FRAME_SIZE - within : size_bytes;
		if (err == 0 && pages[i] != NULL)
			err = io_put(io, (const uint8_t *)pages[i]->frame + within, piece);
		else if (err == 0)
			err = io_zero(io, piece);
		if (pages[i] != NULL)
			page_put(pages[i]);
		if (err == 0)
			*done_bytes += piece;
		size_bytes -= piece;
		within = 0;
	}
	return err;
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
		err = pages_put(pages, count, within, piece, io, done_bytes);
		offset += piece;
	}
	return err;
}

static err_t write_piece(struct inode *inode, uint64_t offset, struct io *io, size_t piece, page_add_fn *add)
{
	struct page *page;
	size_t within = (size_t)(offset % FRAME_SIZE);
	bool hidden = offset - within >= inode_size(inode); // nobody sees the page before the file has grown over it
	err_t err = add(inode, offset / FRAME_SIZE, hidden ? 0 : MEM_ZERO, &page);
	if (err != 0)
		return err;
	uint8_t *frame = page->frame;
	err = io_get(io, frame + within, piece);
	if (hidden) {
		size_t end = err == 0 ? within + piece : 0;
		memset(frame, 0, err == 0 ? within : 0);
		memset(frame + end, 0, FRAME_SIZE - end);
	}
	page_put(page);
	return err;
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
		size_t piece = FRAME_SIZE - (size_t)(at % FRAME_SIZE);
		if (piece > io->left_bytes)
			piece = io->left_bytes;
		err = write_piece(inode, at, io, piece, add);
		if (err != 0)
			break;
		at += piece;
		*done_bytes += piece;
		if (at > inode_size(inode))
			inode_set_size(inode, at);
	}
	if (*done_bytes > 0)
		inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
	mutex_unlock(&inode->lock);
	return err;
}
