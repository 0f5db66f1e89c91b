// SPDX-License-Identifier: MIT
//
// Reading and writing of files that are pages in memory.
#include "vfs_impl.h"

#include "kern/string.h"

#define SIZE_MAX_BYTES ((uint64_t)INT64_MAX)

err_t page_file_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes)
{
	struct inode *inode = file->inode;
	err_t err = 0;

	while (io->left_bytes > 0 && err == 0) {
		uint64_t size = inode_size(inode);
		if (offset >= size)
			break;
		size_t within = (size_t)(offset % FRAME_SIZE);
		size_t piece = FRAME_SIZE - within;
		if (piece > io->left_bytes)
			piece = io->left_bytes;
		if (piece > size - offset)
			piece = (size_t)(size - offset);
		struct page *page = mapping_find(&inode->mapping, offset / FRAME_SIZE);
		if (page != NULL) {
			err = io_put(io, (const uint8_t *)page->frame + within, piece);
			page_put(page);
		} else {
			err = io_zero(io, piece);
		}
		if (err == 0) {
			offset += piece;
			*done_bytes += piece;
		}
	}
	return err;
}

static err_t write_piece(struct inode *inode, uint64_t offset, struct io *io, size_t piece, page_add_fn *add)
{
	struct page *page;
	err_t err = add(inode, offset / FRAME_SIZE, &page);
	if (err != 0)
		return err;
	err = io_get(io, (uint8_t *)page->frame + offset % FRAME_SIZE, piece);
	page_put(page);
	return err;
}

err_t page_file_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes, page_add_fn *add)
{
	struct inode *inode = file->inode;
	err_t err = 0;

	mutex_lock(&inode->lock);
	if (atomic_load_u32_relaxed(&file->flags) & TB_O_APPEND)
		*offset = inode_size(inode);
	if (*offset >= SIZE_MAX_BYTES)
		err = ERR(EFBIG);
	else if (io->left_bytes > SIZE_MAX_BYTES - *offset)
		io->left_bytes = (size_t)(SIZE_MAX_BYTES - *offset);
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
