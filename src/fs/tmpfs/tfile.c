// SPDX-License-Identifier: MIT
//
// tmpfs: contents of files. Pages are charged before they are made. The caller of what changes sizes holds inode->lock.
#include "tmpfs_impl.h"

#include "kern/string.h"

#define BLOCKS_PER_PAGE (FRAME_SIZE / 512)

static void blocks_add(struct inode *inode, int64_t pages)
{
	spin_lock(&inode->attr_lock);
	inode->blocks = (uint64_t)((int64_t)inode->blocks + pages * (int64_t)BLOCKS_PER_PAGE);
	spin_unlock(&inode->attr_lock);
}

static err_t page_add(struct inode *inode, uint64_t index, uint32_t mem_flags, struct page **out)
{
	struct tmpfs *fs = tmpfs_of(inode);
	bool made = false;

	*out = mapping_find(&inode->mapping, index);
	if (*out != NULL)
		return 0;
	err_t err = tmpfs_pages_charge(fs, 1);
	if (err != 0)
		return err;
	err = mapping_add_unzeroed(&inode->mapping, index, mem_flags, out, &made);
	if (made)
		blocks_add(inode, 1);
	else
		tmpfs_pages_uncharge(fs, 1);
	return err;
}

static err_t file_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes)
{
	return page_file_write(file, offset, io, done_bytes, page_add);
}

const struct file_ops tmpfs_file_ops = {.read = page_file_read, .write = file_write};

static void pages_remove(struct inode *inode, uint64_t first, uint64_t last)
{
	uint64_t removed = mapping_remove(&inode->mapping, first, last);
	if (removed == 0)
		return;
	tmpfs_pages_uncharge(tmpfs_of(inode), removed);
	blocks_add(inode, -(int64_t)removed);
}

// Zeroes [from, to) of one page, if it is there.
static void page_zero(struct inode *inode, uint64_t from, uint64_t to)
{
	struct page *page = mapping_find(&inode->mapping, from / FRAME_SIZE);
	if (page == NULL)
		return;
	memset((uint8_t *)page->frame + from % FRAME_SIZE, 0, (size_t)(to - from));
	page_put(page);
}

// Makes [from, to) a hole.
static void range_clear(struct inode *inode, uint64_t from, uint64_t to)
{
	uint64_t first = (from + FRAME_SIZE - 1) / FRAME_SIZE; // whole pages
	uint64_t end = to / FRAME_SIZE;

	if (first > end || (first == end && from % FRAME_SIZE != 0 && from / FRAME_SIZE == to / FRAME_SIZE)) {
		page_zero(inode, from, to);
		return;
	}
	if (from % FRAME_SIZE != 0)
		page_zero(inode, from, first * FRAME_SIZE);
	if (to % FRAME_SIZE != 0)
		page_zero(inode, end * FRAME_SIZE, to);
	if (end > first)
		pages_remove(inode, first, end - 1);
}

err_t tmpfs_resize(struct inode *inode, uint64_t size_bytes)
{
	uint64_t old = inode_size(inode);

	if (size_bytes > (uint64_t)INT64_MAX)
		return ERR(EFBIG);
	inode_set_size(inode, size_bytes);
	if (size_bytes >= old && inode->blocks == 0)
		return 0;
	if (size_bytes % FRAME_SIZE != 0) // also what was allocated beyond the old end
		page_zero(inode, size_bytes < old ? size_bytes : old,
			  size_bytes < old ? (size_bytes / FRAME_SIZE + 1) * FRAME_SIZE : old);
	if (size_bytes < old)
		pages_remove(inode, (size_bytes + FRAME_SIZE - 1) / FRAME_SIZE, UINT64_MAX);
	return 0;
}

static err_t range_fill(struct inode *inode, uint64_t first, uint64_t last)
{
	uint64_t there = 0;
	uint64_t index = first;
	uint64_t found;

	while (index <= last && mapping_next(&inode->mapping, index, &found) && found <= last) {
		there++;
		index = found + 1;
	}
	if (!tmpfs_pages_fit(tmpfs_of(inode), last - first + 1 - there))
		return ERR(ENOSPC);
	for (index = first; index <= last; index++) {
		struct page *page;
		err_t err = page_add(inode, index, MEM_ZERO, &page);
		if (err != 0)
			return err == -ENOMEM ? ERR(ENOSPC) : err;
		page_put(page);
	}
	return 0;
}

err_t tmpfs_fallocate(struct inode *inode, uint32_t mode, uint64_t offset, uint64_t size_bytes)
{
	uint64_t end = offset + size_bytes;

	if (mode & (TB_FALLOC_PUNCH_HOLE | TB_FALLOC_ZERO_RANGE))
		range_clear(inode, offset, end);
	if (mode & TB_FALLOC_PUNCH_HOLE)
		return 0;
	err_t err = range_fill(inode, offset / FRAME_SIZE, (end - 1) / FRAME_SIZE);
	if (err == 0 && !(mode & TB_FALLOC_KEEP_SIZE) && end > inode_size(inode))
		inode_set_size(inode, end);
	return err;
}

void tmpfs_file_clear(struct inode *inode)
{
	pages_remove(inode, 0, UINT64_MAX);
}

err_t tmpfs_file_check(struct inode *inode)
{
	err_t err = mapping_check(&inode->mapping);
	return err == 0 && inode->blocks != inode->mapping.count * BLOCKS_PER_PAGE ? -EUCLEAN : err;
}
