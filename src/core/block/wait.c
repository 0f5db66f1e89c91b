// SPDX-License-Identifier: MIT
//
// Transfers that are waited for.
#include "block_impl.h"

void block_batch_init(struct block_batch *batch)
{
	completion_init(&batch->all, "block: transfers");
	batch->left = 1;
	batch->error = 0;
}

static void batch_done(struct block_request *request)
{
	struct block_batch *batch = request->arg;
	uint32_t none = 0;

	if (request->error != 0)
		(void)atomic_cmpxchg_u32_relaxed(&batch->error, &none, (uint32_t)-request->error);
	if (atomic_fetch_sub_u32_acq_rel(&batch->left, 1) == 1)
		completion_done(&batch->all);
}

void block_batch_add(struct block_batch *batch, struct block_request *request)
{
	request->done = batch_done;
	request->arg = batch;
	(void)atomic_fetch_add_u32_relaxed(&batch->left, 1);
	block_submit(request);
}

err_t block_batch_wait(struct block_batch *batch)
{
	if (atomic_fetch_sub_u32_acq_rel(&batch->left, 1) != 1)
		completion_wait(&batch->all);
	return -(err_t)atomic_load_u32_relaxed(&batch->error);
}

static err_t request_run(struct block_request *request)
{
	struct block_batch batch;

	block_batch_init(&batch);
	block_batch_add(&batch, request);
	return block_batch_wait(&batch);
}

// Pieces that a segment can say, on a boundary of every block size.
#define PIECE_MAX (1u << 30)

static err_t transfer(struct block_device *device, uint32_t op, uint32_t flags, uint64_t sector, void *buffer,
		      size_t size_bytes)
{
	err_t err = 0;

	if (size_bytes == 0)
		return 0;
	for (size_t done = 0; done < size_bytes && err == 0;) {
		uint32_t size = (uint32_t)MIN(size_bytes - done, (size_t)PIECE_MAX);
		struct block_segment segment = {(uint8_t *)buffer + done, size};
		struct block_request request = {.device = device,
						.op = op,
						.flags = flags,
						.sector = sector + (done >> SECTOR_SHIFT),
						.sectors = DIV_ROUND_UP(size, SECTOR_SIZE),
						.segments = &segment,
						.segment_count = 1};
		err = request_run(&request);
		done += size;
	}
	return err;
}

err_t block_read(struct block_device *device, uint64_t sector, void *buffer, size_t size_bytes)
{
	return transfer(device, BLOCK_READ, 0, sector, buffer, size_bytes);
}

err_t block_write(struct block_device *device, uint64_t sector, const void *buffer, size_t size_bytes, uint32_t flags)
{
	return transfer(device, BLOCK_WRITE, flags, sector, (void *)(uintptr_t)buffer, size_bytes);
}

err_t block_flush(struct block_device *device)
{
	struct block_request request = {.device = device, .op = BLOCK_FLUSH};
	return request_run(&request);
}

err_t block_discard(struct block_device *device, uint64_t sector, uint64_t sectors)
{
	struct block_request request = {.device = device, .op = BLOCK_DISCARD, .sector = sector, .sectors = sectors};
	return sectors == 0 ? 0 : request_run(&request);
}

err_t block_zero(struct block_device *device, uint64_t sector, uint64_t sectors, uint32_t flags)
{
	struct block_request request = {
		.device = device, .op = BLOCK_ZERO, .flags = flags, .sector = sector, .sectors = sectors};
	return sectors == 0 ? 0 : request_run(&request);
}
