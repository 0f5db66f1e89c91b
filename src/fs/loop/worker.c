// SPDX-License-Identifier: MIT
//
// Commands of a loop device, done with its file.
#include "loop_impl.h"

void loop_start(struct block_command *command)
{
	struct loop *loop = block_data(command->device);
	struct loop_command *own = command->driver;

	own->command = command;
	spin_lock(&loop->lock);
	list_push_back(&loop->commands, &own->link);
	spin_unlock(&loop->lock);
	(void)waitq_wake_all(&loop->wake);
}

// The file's filesystem may be the one that wants memory back: what is clean can be had.
static err_t piece_move(struct loop *loop, bool write, uint64_t offset, void *memory, size_t size_bytes)
{
	err_t err = write ? vfs_file_write(loop->file, offset, memory, size_bytes)
			  : vfs_file_read(loop->file, offset, memory, size_bytes);

	if (err != -ENOMEM)
		return err;
	err = vfs_file_sync(loop->file);
	if (err == 0)
		err = write ? vfs_file_write(loop->file, offset, memory, size_bytes)
			    : vfs_file_read(loop->file, offset, memory, size_bytes);
	return err;
}

static err_t segments_move(struct loop *loop, const struct block_command *command, uint64_t offset)
{
	err_t err = 0;

	for (uint32_t i = 0; i < command->segment_count && err == 0; i++) {
		const struct block_segment *segment = &command->segments[i];
		err = piece_move(loop, command->op == BLOCK_WRITE, offset, segment->at, segment->size_bytes);
		offset += segment->size_bytes;
	}
	return err;
}

static err_t zeroes_write(struct loop *loop, uint64_t offset, uint64_t size_bytes)
{
	err_t err = 0;

	while (size_bytes > 0 && err == 0) {
		size_t size = (size_t)MIN(size_bytes, LOOP_ZEROES_BYTES);
		err = piece_move(loop, true, offset, loop->zeroes, size);
		offset += size;
		size_bytes -= size;
	}
	return err;
}

static err_t range_clear(struct loop *loop, bool zero, uint64_t offset, uint64_t size_bytes)
{
	uint32_t mode = TB_FALLOC_KEEP_SIZE | (zero ? TB_FALLOC_ZERO_RANGE : TB_FALLOC_PUNCH_HOLE);
	err_t err = vfs_file_allocate(loop->file, mode, offset, size_bytes);

	return err == -EOPNOTSUPP && zero ? zeroes_write(loop, offset, size_bytes) : err;
}

static err_t command_run(struct loop *loop, const struct block_command *command)
{
	uint64_t offset = loop->info.offset_bytes + (command->sector << SECTOR_SHIFT);
	uint64_t size_bytes = command->sectors << SECTOR_SHIFT, end = vfs_file_size(loop->file);

	if (command->op == BLOCK_FLUSH)
		return loop->info.read_only ? 0 : vfs_file_sync(loop->file);
	if (offset > end || size_bytes > end - offset)
		return ERR(EIO); // it has been cut
	switch (command->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return segments_move(loop, command, offset);
	default:
		return range_clear(loop, command->op == BLOCK_ZERO, offset, size_bytes);
	}
}

static struct block_command *command_next(struct loop *loop)
{
	spin_lock(&loop->lock);
	struct loop_command *own = list_pop_front_entry(&loop->commands, struct loop_command, link);
	spin_unlock(&loop->lock);
	return own == NULL ? NULL : own->command;
}

static bool is_wanted(struct loop *loop)
{
	spin_lock(&loop->lock);
	bool wanted = !list_is_empty(&loop->commands);
	spin_unlock(&loop->lock);
	return wanted || atomic_load_u32_acquire(&loop->stop) != 0;
}

void loop_main(void *arg)
{
	struct loop *loop = arg;
	struct block_command *command = NULL;

	while (atomic_load_u32_acquire(&loop->stop) == 0) {
		(void)!waitq_wait_until(&loop->wake, is_wanted(loop), TB_FOREVER);
		while ((command = command_next(loop)) != NULL)
			block_command_done(command, command_run(loop, command));
	}
}
