// SPDX-License-Identifier: MIT
//
// From file to file: copy_file_range(2), FICLONE and FICLONERANGE (ioctl_ficlonerange(2)). Where the filesystem can share what is stored, nothing is copied.
#include "vfs_impl.h"

#include "kern/math.h"
#include "kern/vfs.h"

#define CHUNK_BYTES 65536u

struct range {
	struct process *process;
	struct file *from, *to;
	uint64_t from_offset, to_offset, size_bytes;
};

static bool is_regular(const struct file *file)
{
	return inode_is(file->inode, TB_S_IFREG);
}

static err_t kinds_check(const struct file *from, const struct file *to)
{
	if (inode_is(from->inode, TB_S_IFDIR) || inode_is(to->inode, TB_S_IFDIR))
		return ERR(EISDIR);
	if (!is_regular(from) || !is_regular(to))
		return ERR(EINVAL);
	if (atomic_load_u32_relaxed(&to->flags) & TB_O_APPEND)
		return ERR(EBADF);
	return from->inode->sb != to->inode->sb ? ERR(EXDEV) : 0;
}

static bool overlap(const struct range *range)
{
	return range->from->inode == range->to->inode && range->from_offset < range->to_offset + range->size_bytes &&
	       range->to_offset < range->from_offset + range->size_bytes;
}

// ---- sharing ------------------------------------------------------------------------------------------------------------

// Whole pages; a last one that is not whole only where both files end. inode->lock of both held.
static uint64_t shareable(const struct range *range)
{
	uint64_t size = MIN(range->size_bytes,
			    inode_size(range->from->inode) - MIN(range->from_offset, inode_size(range->from->inode)));
	bool at_end = range->from_offset + size == inode_size(range->from->inode) &&
		      range->to_offset + size >= inode_size(range->to->inode);

	if (range->from_offset % FRAME_SIZE != 0 || range->to_offset % FRAME_SIZE != 0)
		return 0;
	return at_end ? size : ALIGN_DOWN(size, (uint64_t)FRAME_SIZE);
}

// *shared_bytes of what is wanted; with `all` everything or nothing.
static err_t range_share(const struct range *range, bool all, uint64_t *shared_bytes)
{
	struct inode *from = range->from->inode, *to = range->to->inode;
	err_t err = 0;

	*shared_bytes = 0;
	if (to->ops->clone == NULL)
		return ERR(EOPNOTSUPP);
	inode_lock_two(from, to);
	uint64_t size = shareable(range);
	if (overlap(range) || (all && size < range->size_bytes))
		err = ERR(EINVAL);
	if (err == 0 && size != 0)
		err = to->ops->clone(from, range->from_offset, to, range->to_offset, size, shared_bytes);
	inode_unlock_two(from, to);
	if (*shared_bytes != 0)
		file_drop_set_ids(range->process, to);
	return err;
}

// ---- copying ------------------------------------------------------------------------------------------------------------

static err_t chunk_copy(const struct range *range, uint8_t *buffer, uint64_t done_bytes, size_t *moved)
{
	uint64_t to = range->to_offset + done_bytes;
	size_t size = (size_t)MIN(range->size_bytes - done_bytes, (uint64_t)CHUNK_BYTES), written = 0;
	err_t err = file_read_at(range->from, range->from_offset + done_bytes, buffer, size, moved);

	while (err == 0 && written < *moved) {
		size_t part = 0;
		err = file_write_at(range->process, range->to, &to, buffer + written, *moved - written, &part);
		written += part;
		to += part;
	}
	*moved = written;
	return written != 0 ? 0 : err;
}

static err_t range_copy(const struct range *range, uint64_t *done_bytes)
{
	uint8_t *buffer = kmalloc(CHUNK_BYTES, 0);
	size_t moved = 1;
	err_t err = buffer == NULL ? ERR(ENOMEM) : 0;

	while (err == 0 && moved != 0 && *done_bytes < range->size_bytes) {
		err = chunk_copy(range, buffer, *done_bytes, &moved);
		*done_bytes += err == 0 ? moved : 0;
	}
	kfree(buffer);
	return *done_bytes != 0 ? 0 : err;
}

static err_t range_move(struct range *range, uint64_t *done_bytes)
{
	err_t err = kinds_check(range->from, range->to);
	uint64_t end = inode_size(range->from->inode); // now: within one file it may move while this goes on

	range->size_bytes = range->from_offset >= end ? 0 : MIN(range->size_bytes, end - range->from_offset);
	if (err == 0 && overlap(range))
		err = ERR(EINVAL);
	if (err != 0 || range->size_bytes == 0)
		return err;
	err = range_share(range, false, done_bytes);
	if (err != 0 && err != -EOPNOTSUPP)
		return err;
	return range_copy(range, done_bytes);
}

// ---- calls --------------------------------------------------------------------------------------------------------------

static uint64_t place_get(struct file *file, const uint64_t *offset)
{
	if (offset != NULL)
		return *offset;
	mutex_lock(&file->pos_lock);
	uint64_t place = file->pos;
	mutex_unlock(&file->pos_lock);
	return place;
}

static void place_add(struct file *file, uint64_t *offset, uint64_t bytes)
{
	if (offset != NULL) {
		*offset += bytes;
		return;
	}
	mutex_lock(&file->pos_lock);
	file->pos += bytes;
	mutex_unlock(&file->pos_lock);
}

err_t vfs_copy_range(struct process *process, int32_t from_fd, uint64_t *from_offset, int32_t to_fd,
		     uint64_t *to_offset, size_t size_bytes, uint32_t flags, size_t *done_bytes)
{
	struct range range = {.process = process};
	uint64_t done = 0;

	*done_bytes = 0;
	if (flags != 0)
		return ERR(EINVAL);
	err_t err = file_get(process, from_fd, RIGHT_READ, &range.from);
	if (err != 0)
		return err;
	err = file_get(process, to_fd, RIGHT_WRITE, &range.to);
	if (err != 0) {
		file_put(range.from);
		return err;
	}
	range.from_offset = place_get(range.from, from_offset);
	range.to_offset = place_get(range.to, to_offset);
	range.size_bytes = MIN(size_bytes, (size_t)0x7ffff000u);
	if (range.from_offset > INT64_MAX - range.size_bytes || range.to_offset > INT64_MAX - range.size_bytes)
		err = ERR(EOVERFLOW);
	if (err == 0)
		err = range_move(&range, &done);
	place_add(range.from, from_offset, done);
	place_add(range.to, to_offset, done);
	*done_bytes = (size_t)done;
	file_put(range.to);
	file_put(range.from);
	return err;
}

err_t vfs_clone_range(struct process *process, struct file *to, const struct tb_clone_range *clone)
{
	struct range range = {.process = process,
			      .to = to,
			      .from_offset = clone->from_offset,
			      .to_offset = clone->to_offset,
			      .size_bytes = clone->size_bytes};
	uint64_t done = 0;

	if (clone->from_fd < 0 || clone->from_fd > INT32_MAX)
		return ERR(EBADF);
	err_t err = file_get(process, (int32_t)clone->from_fd, RIGHT_READ, &range.from);
	if (err != 0)
		return err;
	err = kinds_check(range.from, to);
	uint64_t size = inode_size(range.from->inode);
	if (err == 0 && (range.from_offset > size || range.to_offset > INT64_MAX ||
			 range.size_bytes > size - range.from_offset || range.to_offset > INT64_MAX - size))
		err = ERR(EINVAL);
	if (range.size_bytes == 0 && err == 0)
		range.size_bytes = size - range.from_offset;
	if (err == 0 && range.size_bytes != 0)
		err = range_share(&range, true, &done);
	if (err == 0 && done < range.size_bytes)
		err = ERR(ENOSPC); // as far as it went
	file_put(range.from);
	return err;
}
