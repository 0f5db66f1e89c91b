// SPDX-License-Identifier: MIT
//
// A pipe between two commands: a ring of bytes with one writer and one reader, each of whom waits for the other. The last of the two
// ends that is closed frees it.
#include "monitor_impl.h"

#include "kern/math.h"
#include "kern/mem.h"
#include "kern/refcount.h"
#include "kern/ring.h"
#include "kern/waitq.h"

#define PIPE_BYTES 65536u

struct pipe {
	struct monitor_stream reader, writer;
	struct refcount ends;
	uint32_t reader_gone, writer_gone; // atomic
	struct waitq readers, writers;
	struct byte_ring ring;
	uint8_t bytes[PIPE_BYTES];
};

static err_t pipe_read(struct monitor_stream *stream, void *buffer, size_t size_bytes, size_t *done_bytes)
{
	struct pipe *pipe = container_of(stream, struct pipe, reader);
	uint32_t wanted = (uint32_t)MIN(size_bytes, PIPE_BYTES);

	for (;;) {
		bool ended = atomic_load_u32_acquire(&pipe->writer_gone) != 0; // before looking for its last bytes
		*done_bytes = byte_ring_read(&pipe->ring, buffer, wanted);
		if (*done_bytes > 0)
			waitq_wake_all(&pipe->writers);
		if (*done_bytes > 0 || ended)
			return 0;
		err_t err = waitq_wait_until(&pipe->readers,
					     byte_ring_used(&pipe->ring) != 0 ||
						     atomic_load_u32_acquire(&pipe->writer_gone) != 0,
					     TB_FOREVER);
		if (err != 0)
			return err;
	}
}

static err_t pipe_write(struct monitor_stream *stream, const void *bytes, size_t size_bytes)
{
	struct pipe *pipe = container_of(stream, struct pipe, writer);
	const uint8_t *at = bytes;

	while (size_bytes > 0) {
		if (atomic_load_u32_acquire(&pipe->reader_gone) != 0)
			return -EPIPE;
		uint32_t done = byte_ring_write(&pipe->ring, at, (uint32_t)MIN(size_bytes, PIPE_BYTES));
		if (done > 0)
			waitq_wake_all(&pipe->readers);
		at += done;
		size_bytes -= done;
		if (size_bytes == 0)
			break;
		err_t err = waitq_wait_until(&pipe->writers,
					     byte_ring_used(&pipe->ring) != PIPE_BYTES ||
						     atomic_load_u32_acquire(&pipe->reader_gone) != 0,
					     TB_FOREVER);
		if (err != 0)
			return err;
	}
	return 0;
}

static void end_put(struct pipe *pipe)
{
	if (refcount_put(&pipe->ends))
		kfree(pipe);
}

static err_t reader_close(struct monitor_stream *stream)
{
	struct pipe *pipe = container_of(stream, struct pipe, reader);
	atomic_store_u32_release(&pipe->reader_gone, 1);
	waitq_wake_all(&pipe->writers);
	end_put(pipe);
	return 0;
}

static err_t writer_close(struct monitor_stream *stream)
{
	struct pipe *pipe = container_of(stream, struct pipe, writer);
	atomic_store_u32_release(&pipe->writer_gone, 1);
	waitq_wake_all(&pipe->readers);
	end_put(pipe);
	return 0;
}

static const struct monitor_stream_ops reader_ops = {.read = pipe_read, .close = reader_close};
static const struct monitor_stream_ops writer_ops = {.write = pipe_write, .close = writer_close};

err_t pipe_make(struct monitor_stream **read_end, struct monitor_stream **write_end)
{
	struct pipe *pipe = kmalloc(sizeof *pipe, 0);

	if (pipe == NULL)
		return ERR(ENOMEM);
	pipe->reader.ops = &reader_ops;
	pipe->writer.ops = &writer_ops;
	pipe->reader_gone = pipe->writer_gone = 0;
	refcount_init(&pipe->ends, 2);
	waitq_init(&pipe->readers, "pipe: readers");
	waitq_init(&pipe->writers, "pipe: writers");
	byte_ring_init(&pipe->ring, pipe->bytes, PIPE_BYTES);
	*read_end = &pipe->reader;
	*write_end = &pipe->writer;
	return 0;
}
