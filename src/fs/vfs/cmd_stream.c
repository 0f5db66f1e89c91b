// SPDX-License-Identifier: MIT
//
// What the monitor's lines read from and write to: files of its process, for '<', '>', '>>' and `source`. Writes are gathered, because
// commands print in small pieces.
#include "cmd_impl.h"

#include "kern/string.h"

#define GATHER_BYTES 16384u

struct file_stream {
	struct monitor_stream stream;
	int32_t fd;
	uint32_t used;
	uint8_t bytes[]; // GATHER_BYTES, of one that is written
};

static err_t stream_read(struct monitor_stream *stream, void *buffer, size_t size_bytes, size_t *done_bytes)
{
	struct file_stream *file = container_of(stream, struct file_stream, stream);
	return vfs_read(vfs_monitor_process(), file->fd, buffer, size_bytes, done_bytes);
}

static err_t write_all(const struct file_stream *file, const uint8_t *bytes, size_t size_bytes)
{
	err_t err = 0;

	while (err == 0 && size_bytes > 0) {
		size_t done = 0;
		err = vfs_write(vfs_monitor_process(), file->fd, bytes, size_bytes, &done);
		bytes += done;
		size_bytes -= done;
	}
	return err;
}

static err_t stream_flush(struct file_stream *file)
{
	uint32_t used = file->used;
	file->used = 0;
	return write_all(file, file->bytes, used);
}

static err_t stream_write(struct monitor_stream *stream, const void *bytes, size_t size_bytes)
{
	struct file_stream *file = container_of(stream, struct file_stream, stream);
	err_t err = 0;

	if (size_bytes > GATHER_BYTES - file->used)
		err = stream_flush(file);
	if (err == 0 && size_bytes > GATHER_BYTES)
		return write_all(file, bytes, size_bytes);
	if (err == 0) {
		memcpy(file->bytes + file->used, bytes, size_bytes);
		file->used += (uint32_t)size_bytes;
	}
	return err;
}

static err_t stream_close(struct monitor_stream *stream)
{
	struct file_stream *file = container_of(stream, struct file_stream, stream);
	err_t err = stream_flush(file);
	err_t closed = vfs_close(vfs_monitor_process(), file->fd);
	kfree(file);
	return err != 0 ? err : closed;
}

static const struct monitor_stream_ops ops = {.read = stream_read, .write = stream_write, .close = stream_close};

err_t cmd_stream_open(const char *path, uint32_t how, struct monitor_stream **out)
{
	static const uint32_t flags[] = {
		[MONITOR_READ] = TB_O_RDONLY,
		[MONITOR_WRITE] = TB_O_WRONLY | TB_O_CREAT | TB_O_TRUNC,
		[MONITOR_APPEND] = TB_O_WRONLY | TB_O_CREAT | TB_O_APPEND,
	};
	struct file_stream *file = kmalloc(sizeof *file + (how == MONITOR_READ ? 0 : GATHER_BYTES), 0);

	if (file == NULL)
		return ERR(ENOMEM);
	file->stream.ops = &ops;
	file->used = 0;
	err_t err = vfs_open(vfs_monitor_process(), TB_AT_FDCWD, path, flags[how], 0666, &file->fd);
	if (err != 0)
		kfree(file);
	else
		*out = &file->stream;
	return err;
}
