// SPDX-License-Identifier: MIT
//
// The VFS for SQLite over tbos/file.h (tbos/sqlite.h).
//
// Purpose. What SQLite asks of an operating system becomes calls into an instance. It is a user of the public interface like any other: nothing of the kernel or
// of the library beneath is known here.
//
// Files: vfs.c registering, opening, time · path.c names · file.c one open file · lock.c its five levels as record locks · shm.c what connections in WAL mode share
//
// Objects. A VFS belongs to one context. A file has one descriptor; record locks of the open file (OFD) are its own, so nothing must be shared between the files
// that lead to one inode, and closing one takes no lock of another away. The shared memory of a database is found by instance, device and inode.
//
// Locks: SQLite lets one thread at a time into a file. A VFS's counters are atomic. shm.c has one mutex for all.
#ifndef SQLITE_IMPL_H
#define SQLITE_IMPL_H

#include "tbos/sqlite.h"

#include <sqlite3.h>

#define VFS_NAME_MAX 63u

struct sqlite_vfs {
	sqlite3_vfs base; // first
	struct sqlite_vfs *next;
	tb_instance *instance;
	tb_context *files;
	uint32_t open_count; // atomic
	uint32_t synced;     // atomic: a file was, and no directory since: its user wants things durable
	int32_t last_error;  // atomic: errno
	char name[VFS_NAME_MAX + 1];
};

struct shm_user;

struct sqlite_file {
	sqlite3_file base; // first
	struct sqlite_vfs *vfs;
	const char *path; // SQLite's, until the file is closed; NULL: it has no name
	int32_t fd;
	int32_t level; // SQLITE_LOCK_NONE …
	int32_t last_error;
	int32_t characteristics, sector_bytes;
	bool may_be_new; // its name is not known to be durable
	bool keep_wal;
	struct shm_user *shm; // NULL: not in WAL mode
};

static inline struct sqlite_vfs *vfs_of(sqlite3_vfs *base)
{
	return (struct sqlite_vfs *)base;
}

static inline struct sqlite_file *file_of(sqlite3_file *base)
{
	return (struct sqlite_file *)base;
}

// vfs.c. Notes the error for xGetLastError() and returns `code`.
int vfs_fail(struct sqlite_vfs *vfs, tb_err err, int code);

// path.c
int path_full(sqlite3_vfs *base, const char *name, int room_bytes, char *out);

// Makes what happened to names in the path's directory durable. Errors: those of tb_open() and tb_fsync().
tb_err directory_sync(struct sqlite_vfs *vfs, const char *path) TB_MUST_USE;

// file.c
extern const sqlite3_io_methods file_methods;
int file_fail(struct sqlite_file *file, tb_err err, int code);
void file_characterise(struct sqlite_file *file);

// lock.c
int file_lock(sqlite3_file *base, int level);
int file_unlock(sqlite3_file *base, int level);
int file_check_reserved(sqlite3_file *base, int *held);

// shm.c
int shm_map(sqlite3_file *base, int region, int size_bytes, int extend, void volatile **out);
int shm_lock(sqlite3_file *base, int first, int count, int flags);
void shm_barrier(sqlite3_file *base);
int shm_unmap(sqlite3_file *base, int take_away);

#endif
