// SPDX-License-Identifier: MIT
//
// SQLite's levels of locking as record locks on the bytes that it uses everywhere (file format, "the lock-byte page"), so that whoever locks a database by
// these bytes, in the instance, agrees with us.
#include "sqlite_impl.h"

#include <errno.h>

#define PENDING_BYTE 0x40000000
#define RESERVED_BYTE (PENDING_BYTE + 1)
#define SHARED_FIRST (PENDING_BYTE + 2)
#define SHARED_SIZE 510

static tb_err range_set(struct sqlite_file *file, int16_t type, int64_t start, int64_t size_bytes)
{
	struct tb_lock lock = {.type = type, .whence = TB_SEEK_SET, .start = start, .size_bytes = size_bytes};
	return tb_lock(file->vfs->files, file->fd, TB_F_OFD_SETLK, &lock);
}

static int told(struct sqlite_file *file, tb_err err, int code)
{
	if (err == 0)
		return SQLITE_OK;
	if (err == -EAGAIN || err == -EACCES)
		return SQLITE_BUSY;
	return file_fail(file, err, code);
}

// Who writes holds PENDING before it waits for readers to go: new ones do not get past it.
static tb_err lock_shared(struct sqlite_file *file)
{
	tb_err err = range_set(file, TB_F_RDLCK, PENDING_BYTE, 1);
	if (err != 0)
		return err;
	err = range_set(file, TB_F_RDLCK, SHARED_FIRST, SHARED_SIZE);
	tb_err undone = range_set(file, TB_F_UNLCK, PENDING_BYTE, 1);
	if (err == 0 && undone != 0) {
		(void)!range_set(file, TB_F_UNLCK, SHARED_FIRST, SHARED_SIZE);
		err = undone;
	}
	if (err == 0)
		file->level = SQLITE_LOCK_SHARED;
	return err;
}

static tb_err lock_exclusive(struct sqlite_file *file)
{
	tb_err err = 0;
	if (file->level < SQLITE_LOCK_PENDING) {
		err = range_set(file, TB_F_WRLCK, PENDING_BYTE, 1);
		if (err != 0)
			return err;
		file->level = SQLITE_LOCK_PENDING;
	}
	err = range_set(file, TB_F_WRLCK, SHARED_FIRST, SHARED_SIZE);
	if (err == 0)
		file->level = SQLITE_LOCK_EXCLUSIVE;
	return err;
}

int file_lock(sqlite3_file *base, int level)
{
	struct sqlite_file *file = file_of(base);
	tb_err err = 0;
	if (file->level >= level)
		return SQLITE_OK;
	if (level == SQLITE_LOCK_SHARED) {
		err = lock_shared(file);
	} else if (level == SQLITE_LOCK_RESERVED) {
		err = range_set(file, TB_F_WRLCK, RESERVED_BYTE, 1);
		if (err == 0)
			file->level = SQLITE_LOCK_RESERVED;
	} else {
		err = lock_exclusive(file);
	}
	return told(file, err, SQLITE_IOERR_LOCK);
}

int file_unlock(sqlite3_file *base, int level)
{
	struct sqlite_file *file = file_of(base);
	if (file->level <= level)
		return SQLITE_OK;
	if (level == SQLITE_LOCK_SHARED) {
		tb_err err = 0;
		if (file->level == SQLITE_LOCK_EXCLUSIVE)
			err = range_set(file, TB_F_RDLCK, SHARED_FIRST, SHARED_SIZE);
		if (err == 0)
			err = range_set(file, TB_F_UNLCK, PENDING_BYTE, 2);
		if (err != 0)
			return file_fail(file, err, SQLITE_IOERR_UNLOCK);
	} else {
		tb_err err = range_set(file, TB_F_UNLCK, PENDING_BYTE, 2 + SHARED_SIZE);
		if (err != 0)
			return file_fail(file, err, SQLITE_IOERR_UNLOCK);
	}
	file->level = level;
	return SQLITE_OK;
}

int file_check_reserved(sqlite3_file *base, int *held)
{
	struct sqlite_file *file = file_of(base);
	struct tb_lock lock = {.type = TB_F_WRLCK, .whence = TB_SEEK_SET, .start = RESERVED_BYTE, .size_bytes = 1};
	*held = file->level >= SQLITE_LOCK_RESERVED;
	if (*held)
		return SQLITE_OK;
	tb_err err = tb_lock(file->vfs->files, file->fd, TB_F_OFD_GETLK, &lock);
	if (err != 0)
		return file_fail(file, err, SQLITE_IOERR_CHECKRESERVEDLOCK);
	*held = lock.type != TB_F_UNLCK;
	return SQLITE_OK;
}
