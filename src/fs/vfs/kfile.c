// SPDX-License-Identifier: MIT
//
// Open files that parts of the kernel keep, without a descriptor.
#include "vfs_impl.h"

err_t vfs_file_open(struct process *process, const char *path, uint32_t flags, struct file **out)
{
	int32_t fd = -1;
	err_t err = vfs_open(process, TB_AT_FDCWD, path, flags & ~(uint32_t)(TB_O_CREAT | TB_O_APPEND), 0, &fd);

	if (err != 0)
		return err;
	err = file_get(process, fd, 0, out);
	err_t closed = vfs_close(process, fd);
	if (err == 0 && closed != 0)
		file_put(*out);
	return err != 0 ? err : closed;
}

void vfs_file_close(struct file *file)
{
	file_put(file);
}

uint64_t vfs_file_size(const struct file *file)
{
	return file->ops->size != NULL ? file->ops->size(file) : inode_size(file->inode);
}

err_t vfs_file_read(struct file *file, uint64_t offset, void *buffer, size_t size_bytes)
{
	struct io io = {.at = buffer, .left_bytes = size_bytes};
	err_t err = file->ops->read == NULL ? ERR(EINVAL) : 0;

	while (err == 0 && io.left_bytes > 0) {
		size_t done = 0;
		err = file->ops->read(file, offset, &io, &done);
		if (err == 0 && done == 0)
			err = ERR(EIO);
		offset += done;
	}
	return err;
}

err_t vfs_file_write(struct file *file, uint64_t offset, const void *buffer, size_t size_bytes)
{
	struct io io = {.at = (uint8_t *)(uintptr_t)buffer, .left_bytes = size_bytes};
	err_t err = file->ops->write == NULL ? ERR(EINVAL) : 0;

	while (err == 0 && io.left_bytes > 0) {
		size_t done = 0;
		uint64_t at = offset;
		err = file->ops->write(file, &at, &io, &done);
		if (err == 0 && done == 0)
			err = ERR(EIO);
		offset += done;
	}
	return err;
}

err_t vfs_file_sync(struct file *file)
{
	return file_sync(file);
}

err_t vfs_file_allocate(struct file *file, uint32_t mode, uint64_t offset, uint64_t size_bytes)
{
	return file_allocate(file, mode, offset, size_bytes);
}

err_t vfs_file_path(struct process *process, const struct file *file, char *buffer, size_t size_bytes)
{
	struct path root;
	size_t done = 0;

	spin_lock(&process->lock);
	root = process->root;
	path_get(&root);
	spin_unlock(&process->lock);
	err_t err = path_show(&root, &file->path, buffer, size_bytes, &done);
	path_put(&root);
	return err;
}
