// SPDX-License-Identifier: MIT
//
// Open files: reading, writing, seeking, and what else goes by descriptor alone.
#include "vfs_impl.h"

#include "kern/string.h"

#define OFFSET_MAX ((uint64_t)INT64_MAX)

err_t io_put(struct io *io, const void *from, size_t size_bytes)
{
	memcpy(io->at, from, size_bytes);
	io->at += size_bytes;
	io->left_bytes -= size_bytes;
	return 0;
}

err_t io_get(struct io *io, void *to, size_t size_bytes)
{
	memcpy(to, io->at, size_bytes);
	io->at += size_bytes;
	io->left_bytes -= size_bytes;
	return 0;
}

err_t io_zero(struct io *io, size_t size_bytes)
{
	memset(io->at, 0, size_bytes);
	io->at += size_bytes;
	io->left_bytes -= size_bytes;
	return 0;
}

static void file_release(struct object *object)
{
	struct file *file = container_of(object, struct file, object);

	file_locks_released(file);
	if (!(file->flags & TB_O_PATH) && file->ops->release != NULL)
		file->ops->release(file);
	mutex_fini(&file->pos_lock);
	inode_put(file->inode);
	path_put(&file->path);
	slab_free(vfs_state()->files, file);
}

static void file_closed(struct object *object, struct process *process)
{
	file_locks_closed(container_of(object, struct file, object), process);
}

const struct object_ops file_object_ops = {.name = "file", .closed = file_closed, .release = file_release};

err_t file_get(struct process *process, int32_t fd, uint32_t rights, struct file **out)
{
	struct object *object;
	err_t err = descriptor_get(process, fd, &file_object_ops, rights, &object, NULL);
	if (err == 0)
		*out = container_of(object, struct file, object);
	return err;
}

err_t vfs_close(struct process *process, int32_t fd)
{
	return descriptor_close(process, fd);
}

const struct file_ops no_file_ops = {.open = NULL};

// Linux moves no more than this in one call (read(2), Notes).
static size_t clamp(size_t size_bytes)
{
	return size_bytes < 0x7ffff000u ? size_bytes : 0x7ffff000u;
}

static void read_touch(struct file *file)
{
	if (!(atomic_load_u32_relaxed(&file->flags) & TB_O_NOATIME) && !mount_is_read_only(file->path.mount))
		inode_touch(file->inode, ATTR_ATIME);
}

err_t file_read_at(struct file *file, uint64_t offset, void *buffer, size_t size_bytes, size_t *done_bytes)
{
	struct io io = {.at = buffer, .left_bytes = clamp(size_bytes)};

	*done_bytes = 0;
	if (inode_is(file->inode, TB_S_IFDIR))
		return ERR(EISDIR);
	if (file->ops->read == NULL)
		return ERR(EINVAL);
	if (io.left_bytes == 0)
		return 0;
	err_t err = file->ops->read(file, offset, &io, done_bytes);
	if (*done_bytes > 0) {
		read_touch(file);
		err = 0;
	}
	return err;
}

void file_drop_set_ids(struct process *process, struct inode *inode)
{
	struct attr_change change = {0};

	change_drop_set_ids(process, inode, &change);
	if (change.mask == 0)
		return;
	mutex_lock(&inode->lock);
	err_t err = inode_change(inode, &change);
	ASSERT(err == 0); // only sizes can fail
	(void)err;
	mutex_unlock(&inode->lock);
}

err_t file_write_at(struct process *process, struct file *file, uint64_t *offset, const void *buffer, size_t size_bytes,
		    size_t *done_bytes)
{
	struct io io = {.at = (uint8_t *)(uintptr_t)buffer, .left_bytes = clamp(size_bytes)};

	*done_bytes = 0;
	if (file->ops->write == NULL)
		return ERR(EINVAL);
	if (io.left_bytes == 0)
		return 0;
	err_t err = file->ops->write(file, offset, &io, done_bytes);
	if (*done_bytes == 0)
		return err;
	file_drop_set_ids(process, file->inode);
	return 0;
}

err_t vfs_read(struct process *process, int32_t fd, void *buffer, size_t size_bytes, size_t *done_bytes)
{
	struct file *file;
	err_t err = file_get(process, fd, RIGHT_READ, &file);

	if (err != 0)
		return err;
	if (file->ops->stream) {
		err = file_read_at(file, 0, buffer, size_bytes, done_bytes);
	} else {
		mutex_lock(&file->pos_lock);
		err = file_read_at(file, file->pos, buffer, size_bytes, done_bytes);
		file->pos += *done_bytes;
		mutex_unlock(&file->pos_lock);
	}
	file_put(file);
	return err;
}

err_t vfs_write(struct process *process, int32_t fd, const void *buffer, size_t size_bytes, size_t *done_bytes)
{
	struct file *file;
	err_t err = file_get(process, fd, RIGHT_WRITE, &file);

	if (err != 0)
		return err;
	bool stream = file->ops->stream;
	if (!stream)
		mutex_lock(&file->pos_lock);
	uint64_t offset = stream ? 0 : file->pos;
	err = file_write_at(process, file, &offset, buffer, size_bytes, done_bytes);
	if (*done_bytes > 0 && !stream)
		file->pos = offset + *done_bytes;
	if (!stream)
		mutex_unlock(&file->pos_lock);
	file_put(file);
	return err;
}

err_t vfs_pread(struct process *process, int32_t fd, void *buffer, size_t size_bytes, uint64_t offset,
		size_t *done_bytes)
{
	struct file *file;

	if (offset > OFFSET_MAX)
		return ERR(EINVAL);
	err_t err = file_get(process, fd, RIGHT_READ, &file);
	if (err != 0)
		return err;
	err = file->ops->stream ? ERR(ESPIPE) : file_read_at(file, offset, buffer, size_bytes, done_bytes);
	file_put(file);
	return err;
}

err_t vfs_pwrite(struct process *process, int32_t fd, const void *buffer, size_t size_bytes, uint64_t offset,
		 size_t *done_bytes)
{
	struct file *file;

	if (offset > OFFSET_MAX)
		return ERR(EINVAL);
	err_t err = file_get(process, fd, RIGHT_WRITE, &file);
	if (err != 0)
		return err;
	err = file->ops->stream ? ERR(ESPIPE) : file_write_at(process, file, &offset, buffer, size_bytes, done_bytes);
	file_put(file);
	return err;
}

// What a request changes of a file's own is for its owner.
static err_t ioctl_check(const struct process *process, const struct file *file, uint32_t request)
{
	if (file->ops->ioctl == NULL)
		return ERR(ENOTTY);
	if (file->ops->ioctl_is_privileged != NULL && file->ops->ioctl_is_privileged(request) &&
	    !process_is_root(process))
		return ERR(EPERM);
	if (request != TB_FS_IOC_SETFLAGS)
		return 0;
	if (mount_is_read_only(file->path.mount))
		return ERR(EROFS);
	return inode_owned(process, file->inode) ? 0 : ERR(EPERM);
}

static err_t ioctl_clone(struct process *process, struct file *file, uint32_t request, const void *arg)
{
	struct tb_clone_range whole = {.from_fd = 0};

	if ((atomic_load_u32_relaxed(&file->flags) & TB_O_ACCMODE) == TB_O_RDONLY)
		return ERR(EBADF);
	if (request == TB_FICLONERANGE)
		return vfs_clone_range(process, file, arg);
	whole.from_fd = *(const int32_t *)arg;
	return vfs_clone_range(process, file, &whole);
}

err_t vfs_ioctl(struct process *process, int32_t fd, uint32_t request, void *arg)
{
	struct file *file;
	err_t err = file_get(process, fd, 0, &file);

	if (err != 0)
		return err;
	if (request == TB_FICLONE || request == TB_FICLONERANGE)
		err = ioctl_clone(process, file, request, arg);
	else
		err = ioctl_check(process, file, request);
	if (err == 0 && request != TB_FICLONE && request != TB_FICLONERANGE)
		err = file->ops->ioctl(file, request, arg);
	file_put(file);
	return err;
}

// ---- seeking -------------------------------------------------------------------------------------------------------------

// SEEK_DATA and SEEK_HOLE over the pages that a file has; the end is a hole.
static err_t seek_pages(const struct file *file, uint64_t from, bool data, uint64_t *found)
{
	struct inode *inode = file->inode;
	uint64_t size = vfs_file_size(file);
	uint64_t index = from / FRAME_SIZE;
	uint64_t next;

	if (from >= size)
		return ERR(ENXIO);
	if (file->ops->size != NULL) { // a device
		*found = data ? from : size;
		return 0;
	}
	if (inode->ops->seek != NULL) {
		err_t err = inode->ops->seek(inode, from, data, found);
		*found = MIN(*found, size);
		return err == 0 && data && *found == size ? ERR(ENXIO) : err;
	}
	if (inode->mapping.cache != NULL) { // what is not in the cache may be data: all of it counts
		*found = data ? from : size;
		return 0;
	}
	if (data) {
		if (!mapping_next(&inode->mapping, index, &next) || next * FRAME_SIZE >= size)
			return ERR(ENXIO);
		*found = next * FRAME_SIZE > from ? next * FRAME_SIZE : from;
		return 0;
	}
	while (index * FRAME_SIZE < size && mapping_next(&inode->mapping, index, &next) && next == index)
		index++;
	uint64_t hole = index * FRAME_SIZE > from ? index * FRAME_SIZE : from;
	*found = hole < size ? hole : size;
	return 0;
}

err_t file_place(const struct file *file, int32_t whence, int64_t offset, int64_t *position)
{
	int64_t base = 0;

	switch (whence) {
	case TB_SEEK_SET:
		break;
	case TB_SEEK_CUR:
		base = (int64_t)READ_ONCE(file->pos);
		break;
	case TB_SEEK_END:
		base = (int64_t)vfs_file_size(file);
		break;
	default:
		return ERR(EINVAL);
	}
	if (__builtin_add_overflow(base, offset, position))
		return ERR(EOVERFLOW);
	return *position >= 0 ? 0 : ERR(EINVAL);
}

err_t vfs_seek(struct process *process, int32_t fd, int64_t offset, enum tb_seek whence, uint64_t *position)
{
	struct file *file;
	int64_t target = 0;
	uint64_t found = 0;
	err_t err = file_get(process, fd, RIGHT_SEEK, &file);

	if (err != 0)
		return err;
	if (file->ops->stream) {
		file_put(file);
		return ERR(ESPIPE);
	}
	mutex_lock(&file->pos_lock);
	if (whence == TB_SEEK_DATA || whence == TB_SEEK_HOLE) {
		err = offset < 0 ? ERR(ENXIO) : seek_pages(file, (uint64_t)offset, whence == TB_SEEK_DATA, &found);
		target = (int64_t)found;
	} else {
		err = file_place(file, (int32_t)whence, offset, &target);
	}
	if (err == 0) {
		file->pos = (uint64_t)target;
		*position = (uint64_t)target;
	}
	mutex_unlock(&file->pos_lock);
	file_put(file);
	return err;
}

// ---- flags and durability ------------------------------------------------------------------------------------------------

err_t vfs_get_flags(struct process *process, int32_t fd, uint32_t *flags)
{
	struct file *file;
	err_t err = file_get(process, fd, 0, &file);
	if (err != 0)
		return err;
	*flags = atomic_load_u32_relaxed(&file->flags);
	file_put(file);
	return 0;
}

#define FLAGS_SETTABLE (TB_O_APPEND | TB_O_NONBLOCK | TB_O_NOATIME | TB_O_DIRECT)

err_t vfs_set_flags(struct process *process, int32_t fd, uint32_t flags)
{
	struct file *file;
	err_t err = file_get(process, fd, RIGHT_CHANGE, &file);
	if (err != 0)
		return err;
	if ((flags & TB_O_NOATIME) && !inode_owned(process, file->inode))
		err = ERR(EPERM);
	if (err == 0) {
		atomic_fetch_and_u32_relaxed(&file->flags, ~(uint32_t)FLAGS_SETTABLE);
		atomic_fetch_or_u32_relaxed(&file->flags, flags & FLAGS_SETTABLE);
	}
	file_put(file);
	return err;
}

err_t file_sync(struct file *file)
{
	if (file->ops->sync != NULL)
		return file->ops->sync(file);
	return inode_is(file->inode, TB_S_IFREG) || inode_is(file->inode, TB_S_IFDIR) ? 0 : ERR(EINVAL);
}

err_t vfs_fsync(struct process *process, int32_t fd)
{
	struct file *file;
	err_t err = file_get(process, fd, RIGHT_CHANGE, &file);
	if (err != 0)
		return err;
	err = file_sync(file);
	file_put(file);
	return err;
}
