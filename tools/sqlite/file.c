// SPDX-License-Identifier: MIT
//
// One open file: reading, writing, syncing, and what its filesystem promises.
#include "sqlite_impl.h"

#include <errno.h>
#include <string.h>

int file_fail(struct sqlite_file *file, tb_err err, int code)
{
	file->last_error = -err;
	return vfs_fail(file->vfs, err, code);
}

static int file_close(sqlite3_file *base)
{
	struct sqlite_file *file = file_of(base);
	(void)shm_unmap(base, 0);
	tb_err err = tb_close(file->vfs->files, file->fd);
	__atomic_fetch_sub(&file->vfs->open_count, 1, __ATOMIC_RELEASE);
	return err == 0 ? SQLITE_OK : file_fail(file, err, SQLITE_IOERR_CLOSE);
}

static int file_read(sqlite3_file *base, void *buffer, int size_bytes, sqlite3_int64 offset)
{
	struct sqlite_file *file = file_of(base);
	uint8_t *to = buffer;
	size_t left_bytes = (size_t)size_bytes, done_bytes = 0;
	while (left_bytes > 0) {
		tb_err err = tb_pread(file->vfs->files, file->fd, to, left_bytes, (uint64_t)offset, &done_bytes);
		if (err == -EINTR)
			continue;
		if (err != 0)
			return file_fail(file, err,
					 err == -EBADMSG || err == -EUCLEAN ? SQLITE_IOERR_CORRUPTFS
									    : SQLITE_IOERR_READ);
		if (done_bytes == 0)
			break;
		to += done_bytes;
		offset += (sqlite3_int64)done_bytes;
		left_bytes -= done_bytes;
	}
	memset(to, 0, left_bytes); // SQLite counts on it
	return left_bytes == 0 ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *buffer, int size_bytes, sqlite3_int64 offset)
{
	struct sqlite_file *file = file_of(base);
	const uint8_t *from = buffer;
	size_t left_bytes = (size_t)size_bytes, done_bytes = 0;
	while (left_bytes > 0) {
		tb_err err = tb_pwrite(file->vfs->files, file->fd, from, left_bytes, (uint64_t)offset, &done_bytes);
		if (err == -EINTR)
			continue;
		if (err != 0)
			return file_fail(file, err,
					 err == -ENOSPC || err == -EDQUOT ? SQLITE_FULL : SQLITE_IOERR_WRITE);
		if (done_bytes == 0)
			return file_fail(file, -ENOSPC, SQLITE_FULL);
		from += done_bytes;
		offset += (sqlite3_int64)done_bytes;
		left_bytes -= done_bytes;
	}
	return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size_bytes)
{
	struct sqlite_file *file = file_of(base);
	tb_err err = tb_ftruncate(file->vfs->files, file->fd, size_bytes);
	return err == 0 ? SQLITE_OK : file_fail(file, err, SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *base, int flags)
{
	struct sqlite_file *file = file_of(base);
	(void)flags;
	tb_err err = tb_fsync(file->vfs->files, file->fd);
	if (err != 0)
		return file_fail(file, err, SQLITE_IOERR_FSYNC);
	__atomic_store_n(&file->vfs->synced, 1, __ATOMIC_RELEASE);
	if (file->may_be_new) {
		err = directory_sync(file->vfs, file->path);
		if (err != 0)
			return file_fail(file, err, SQLITE_IOERR_DIR_FSYNC);
		file->may_be_new = false;
	}
	return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size_bytes)
{
	struct sqlite_file *file = file_of(base);
	struct tb_stat stat;
	tb_err err = tb_fstat(file->vfs->files, file->fd, &stat);
	if (err != 0)
		return file_fail(file, err, SQLITE_IOERR_FSTAT);
	*size_bytes = (sqlite3_int64)stat.size_bytes;
	return SQLITE_OK;
}

// Whether the name leads elsewhere by now.
static int has_moved(struct sqlite_file *file)
{
	struct tb_stat here, there;
	if (file->path == NULL || tb_fstat(file->vfs->files, file->fd, &here) != 0)
		return 0;
	return tb_stat(file->vfs->files, TB_AT_FDCWD, file->path, 0, &there) != 0 || here.dev != there.dev ||
	       here.ino != there.ino;
}

static int file_control(sqlite3_file *base, int request, void *arg)
{
	struct sqlite_file *file = file_of(base);
	switch (request) {
	case SQLITE_FCNTL_LOCKSTATE:
		*(int *)arg = file->level;
		return SQLITE_OK;
	case SQLITE_FCNTL_LAST_ERRNO:
		*(int *)arg = file->last_error;
		return SQLITE_OK;
	case SQLITE_FCNTL_PERSIST_WAL:
		if (*(int *)arg >= 0)
			file->keep_wal = *(int *)arg != 0;
		*(int *)arg = file->keep_wal;
		return SQLITE_OK;
	case SQLITE_FCNTL_VFSNAME:
		*(char **)arg = sqlite3_mprintf("%s", file->vfs->name);
		return *(char **)arg != NULL ? SQLITE_OK : SQLITE_NOMEM;
	case SQLITE_FCNTL_HAS_MOVED:
		*(int *)arg = has_moved(file);
		return SQLITE_OK;
	default:
		return SQLITE_NOTFOUND;
	}
}

// PXFS recovers to the state behind some operation, and a write of up to 1 MiB is one with all that it changes.
#define PXFS_PROMISES                                                                                                  \
	(SQLITE_IOCAP_ATOMIC512 | SQLITE_IOCAP_ATOMIC1K | SQLITE_IOCAP_ATOMIC2K | SQLITE_IOCAP_ATOMIC4K |              \
	 SQLITE_IOCAP_ATOMIC8K | SQLITE_IOCAP_ATOMIC16K | SQLITE_IOCAP_ATOMIC32K | SQLITE_IOCAP_ATOMIC64K |            \
	 SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_POWERSAFE_OVERWRITE)
#define SECTOR_BYTES 4096

void file_characterise(struct sqlite_file *file)
{
	struct tb_statfs statfs;
	file->sector_bytes = SECTOR_BYTES;
	if (file->path == NULL || tb_statfs(file->vfs->files, TB_AT_FDCWD, file->path, &statfs) != 0)
		return;
	if (strcmp(statfs.type, "pxfs") == 0)
		file->characteristics = PXFS_PROMISES;
	if (statfs.block_size_bytes > SECTOR_BYTES && statfs.block_size_bytes <= 65536)
		file->sector_bytes = (int)statfs.block_size_bytes;
}

static int sector_size(sqlite3_file *base)
{
	return file_of(base)->sector_bytes;
}

static int characteristics(sqlite3_file *base)
{
	return file_of(base)->characteristics;
}

const sqlite3_io_methods file_methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_reserved,
	.xFileControl = file_control,
	.xSectorSize = sector_size,
	.xDeviceCharacteristics = characteristics,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};
