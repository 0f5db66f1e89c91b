// SPDX-License-Identifier: MIT
//
// What a request to a disk of the host does: vectored reads and writes, fdatasync for FLUSH, holes for DISCARD and ZERO.
#include "host_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static tb_err io_error(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return -ENOSPC;
	case EROFS:
		return -EROFS;
	case EAGAIN:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

// The pieces of a request that are still to be moved.
struct pieces {
	struct iovec vectors[HAL_BLOCK_SEGMENTS];
	uint32_t first, count;
};

static void pieces_init(struct pieces *pieces, const struct hal_block_request *request)
{
	pieces->first = 0;
	pieces->count = request->segment_count;
	for (uint32_t i = 0; i < request->segment_count; i++)
		pieces->vectors[i] = (struct iovec){request->segments[i].at, request->segments[i].size_bytes};
}

static void pieces_pass(struct pieces *pieces, size_t size_bytes)
{
	while (size_bytes > 0) {
		struct iovec *vector = &pieces->vectors[pieces->first];
		size_t part = size_bytes < vector->iov_len ? size_bytes : vector->iov_len;
		vector->iov_base = (char *)vector->iov_base + part;
		vector->iov_len -= part;
		size_bytes -= part;
		pieces->first += vector->iov_len == 0;
	}
}

// `flags`: RWF_NOWAIT moves what can be moved at once. What was moved before an error stays so.
static tb_err transfer(struct host_disk *disk, const struct hal_block_request *request, int flags)
{
	struct pieces pieces;
	off_t at = (off_t)(disk->offset_bytes + request->offset_bytes);
	uint64_t left = request->size_bytes;
	bool write = request->op == HAL_BLOCK_WRITE;

	pieces_init(&pieces, request);
	if (write && (request->flags & HAL_BLOCK_FUA) != 0)
		flags |= RWF_DSYNC;
	while (left > 0) {
		const struct iovec *vectors = &pieces.vectors[pieces.first];
		int count = (int)(pieces.count - pieces.first);
		ssize_t moved = write ? pwritev2(disk->fd, vectors, count, at, flags)
				      : preadv2(disk->fd, vectors, count, at, flags);
		if (moved < 0 && errno == EINTR)
			continue;
		if (moved < 0)
			return io_error(errno);
		if (moved == 0) // the file has been cut behind our back
			return -EIO;
		pieces_pass(&pieces, (size_t)moved);
		left -= (uint64_t)moved;
		at += moved;
	}
	return 0;
}

// Some hosts forget what they could not write once they have said so, and the next fdatasync goes well: after a failure none does.
static tb_err flush(struct host_disk *disk)
{
	if (__atomic_load_n(&disk->failed, __ATOMIC_ACQUIRE) != 0)
		return -EIO;
	int got = 0;
	do
		got = fdatasync(disk->fd);
	while (got != 0 && errno == EINTR);
	if (got == 0)
		return 0;
	__atomic_store_n(&disk->failed, 1, __ATOMIC_RELEASE);
	return io_error(errno);
}

static tb_err zeroes_write(struct host_disk *disk, uint64_t at, uint64_t size_bytes)
{
	static const char zeroes[65536];
	while (size_bytes > 0) {
		size_t part = size_bytes < sizeof zeroes ? (size_t)size_bytes : sizeof zeroes;
		ssize_t done = pwrite(disk->fd, zeroes, part, (off_t)at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done == 0 ? -EIO : io_error(errno);
		at += (uint64_t)done;
		size_bytes -= (uint64_t)done;
	}
	return 0;
}

static tb_err clear(struct host_disk *disk, const struct hal_block_request *request)
{
	uint64_t range[2] = {disk->offset_bytes + request->offset_bytes, request->size_bytes};
	bool zero = request->op == HAL_BLOCK_ZERO;
	int got = 0;

	if (disk->device)
		got = ioctl(disk->fd, zero ? BLKZEROOUT : BLKDISCARD, range);
	else
		got = fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)range[0], (off_t)range[1]);
	tb_err err = got == 0 ? 0 : io_error(errno);
	if (got != 0 && (errno == EOPNOTSUPP || errno == ENOTTY)) // then old contents stay, which a discard may leave
		err = zero ? zeroes_write(disk, range[0], range[1]) : 0;
	if (err == 0 && zero && (request->flags & HAL_BLOCK_FUA) != 0)
		err = flush(disk);
	return err;
}

tb_err host_disk_run(struct host_disk *disk, const struct hal_block_request *request)
{
	switch ((enum hal_block_op)request->op) {
	case HAL_BLOCK_READ:
	case HAL_BLOCK_WRITE:
		return transfer(disk, request, 0);
	case HAL_BLOCK_FLUSH:
		return flush(disk);
	case HAL_BLOCK_DISCARD:
	case HAL_BLOCK_ZERO:
		return clear(disk, request);
	}
	return -EINVAL;
}

// What the host has in memory, of a file in memory all. A write that goes on when half of it has been done is done again whole: same bytes, same place.
tb_err host_disk_try(struct host_disk *disk, const struct hal_block_request *request)
{
	if (disk->memory && request->op <= HAL_BLOCK_FLUSH)
		return host_disk_run(disk, request);
	if (request->op != HAL_BLOCK_READ && request->op != HAL_BLOCK_WRITE)
		return -EAGAIN;
	if ((request->flags & HAL_BLOCK_FUA) != 0)
		return -EAGAIN;
	tb_err err = transfer(disk, request, RWF_NOWAIT);
	return err == -EIO ? -EAGAIN : err; // EOPNOTSUPP: this host never tells
}
