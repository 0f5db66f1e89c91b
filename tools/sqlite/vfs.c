// SPDX-License-Identifier: MIT
//
// The VFS: registering, opening, taking away, and the instance's time and chance.
#include "sqlite_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sqlite_vfs *registered; // mutex

int vfs_fail(struct sqlite_vfs *vfs, tb_err err, int code)
{
	__atomic_store_n(&vfs->last_error, -err, __ATOMIC_RELAXED);
	return code;
}

// ---- opening --------------------------------------------------------------------------------------------------------------

#define JOURNALS (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)

static uint32_t flags_of(int flags)
{
	uint32_t found = (flags & SQLITE_OPEN_READWRITE) != 0 ? TB_O_RDWR : TB_O_RDONLY;
	if ((flags & SQLITE_OPEN_CREATE) != 0)
		found |= TB_O_CREAT;
	if ((flags & SQLITE_OPEN_EXCLUSIVE) != 0)
		found |= TB_O_EXCL | TB_O_NOFOLLOW;
	return found;
}

static tb_err open_temporary(struct sqlite_file *file)
{
	tb_context *files = file->vfs->files;
	uint32_t flags = TB_O_RDWR | TB_O_TMPFILE | TB_O_EXCL;
	tb_err err = tb_open(files, TB_AT_FDCWD, "/tmp", flags, 0600, &file->fd);
	return err == -ENOENT || err == -ENOTDIR ? tb_open(files, TB_AT_FDCWD, "/", flags, 0600, &file->fd) : err;
}

// A journal belongs to whom the database does: who recovers it later may be somebody else than who wrote it.
static tb_err open_journal(struct sqlite_file *file, uint32_t flags)
{
	tb_context *files = file->vfs->files;
	struct tb_stat database, own;
	tb_err err = tb_stat(files, TB_AT_FDCWD, sqlite3_filename_database(file->path), 0, &database);
	if (err != 0)
		return err;
	err = tb_open(files, TB_AT_FDCWD, file->path, flags, database.mode & 0666, &file->fd);
	if (err != 0 || (flags & TB_O_CREAT) == 0 || tb_fstat(files, file->fd, &own) != 0)
		return err;
	if (own.uid != database.uid || own.gid != database.gid)
		(void)!tb_chown(files, file->fd, "", database.uid, database.gid, TB_AT_EMPTY_PATH); // where it may
	return 0;
}

static tb_err open_named(struct sqlite_file *file, int *flags)
{
	bool may_read_only = (*flags & SQLITE_OPEN_READWRITE) != 0 && (*flags & SQLITE_OPEN_EXCLUSIVE) == 0;
	bool journal = (*flags & JOURNALS) != 0;
	tb_context *files = file->vfs->files;
	tb_err err = journal ? open_journal(file, flags_of(*flags))
			     : tb_open(files, TB_AT_FDCWD, file->path, flags_of(*flags), 0644, &file->fd);
	if ((err != -EACCES && err != -EROFS && err != -EPERM) || !may_read_only)
		return err;
	*flags = (*flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
	return tb_open(files, TB_AT_FDCWD, file->path, TB_O_RDONLY, 0, &file->fd);
}

static int vfs_open(sqlite3_vfs *base, sqlite3_filename path, sqlite3_file *out, int flags, int *out_flags)
{
	struct sqlite_file *file = file_of(out);
	*file = (struct sqlite_file){.vfs = vfs_of(base), .path = path};
	tb_err err = path == NULL ? open_temporary(file) : open_named(file, &flags);
	if (err == 0 && path != NULL && (flags & SQLITE_OPEN_DELETEONCLOSE) != 0)
		err = tb_unlink(file->vfs->files, TB_AT_FDCWD, path, 0);
	if (err == -EISDIR)
		return vfs_fail(file->vfs, err, SQLITE_CANTOPEN_ISDIR);
	if (err != 0)
		return vfs_fail(file->vfs, err, SQLITE_CANTOPEN);
	file_characterise(file);
	file->may_be_new =
		path != NULL && (flags & SQLITE_OPEN_CREATE) != 0 && (flags & SQLITE_OPEN_DELETEONCLOSE) == 0;
	__atomic_fetch_add(&file->vfs->open_count, 1, __ATOMIC_ACQUIRE);
	out->pMethods = &file_methods;
	if (out_flags != NULL)
		*out_flags = flags;
	return SQLITE_OK;
}

// ---- names ----------------------------------------------------------------------------------------------------------------

// Taking a journal away is what commits in DELETE mode. SQLite wants that durable for synchronous=EXTRA alone; here it is where anything was synced.
static int vfs_delete(sqlite3_vfs *base, const char *path, int sync_directory)
{
	struct sqlite_vfs *vfs = vfs_of(base);
	tb_err err = tb_unlink(vfs->files, TB_AT_FDCWD, path, 0);
	if (err == -ENOENT)
		return vfs_fail(vfs, err, SQLITE_IOERR_DELETE_NOENT);
	if (err != 0)
		return vfs_fail(vfs, err, SQLITE_IOERR_DELETE);
	uint32_t synced = __atomic_exchange_n(&vfs->synced, 0, __ATOMIC_ACQ_REL);
	if (sync_directory || synced != 0)
		err = directory_sync(vfs, path);
	return err == 0 ? SQLITE_OK : vfs_fail(vfs, err, SQLITE_IOERR_DIR_FSYNC);
}

// An empty file is no journal.
static int vfs_access(sqlite3_vfs *base, const char *path, int what, int *result)
{
	struct sqlite_vfs *vfs = vfs_of(base);
	struct tb_stat stat;
	tb_err err = 0;
	if (what == SQLITE_ACCESS_EXISTS) {
		err = tb_stat(vfs->files, TB_AT_FDCWD, path, 0, &stat);
		*result = err == 0 && ((stat.mode & TB_S_IFMT) != TB_S_IFREG || stat.size_bytes > 0);
	} else {
		err = tb_access(vfs->files, TB_AT_FDCWD, path,
				what == SQLITE_ACCESS_READWRITE ? TB_R_OK | TB_W_OK : TB_R_OK, 0);
		*result = err == 0;
	}
	if (err == 0 || err == -ENOENT || err == -ENOTDIR || err == -EACCES || err == -EROFS)
		return SQLITE_OK;
	return vfs_fail(vfs, err, SQLITE_IOERR_ACCESS);
}

// ---- time, chance, the rest -------------------------------------------------------------------------------------------------

struct bytes {
	void *at;
	size_t size_bytes;
};

static int64_t inside_random(void *arg)
{
	const struct bytes *bytes = arg;
	tb_k_random(bytes->at, bytes->size_bytes);
	return (int64_t)bytes->size_bytes;
}

static int64_t inside_sleep(void *arg)
{
	tb_k_sleep_ns(*(const uint64_t *)arg);
	return 0;
}

static int64_t inside_wall(void *arg)
{
	(void)arg;
	return (int64_t)tb_k_wall_ns();
}

static int vfs_randomness(sqlite3_vfs *base, int size_bytes, char *out)
{
	struct bytes bytes = {out, (size_t)size_bytes};
	int64_t done = 0;
	memset(out, 0, bytes.size_bytes);
	return tb_call(vfs_of(base)->instance, inside_random, &bytes, &done) == 0 ? (int)done : 0;
}

static int vfs_sleep(sqlite3_vfs *base, int duration_us)
{
	uint64_t duration_ns = (uint64_t)duration_us * 1000;
	(void)!tb_call(vfs_of(base)->instance, inside_sleep, &duration_ns, NULL);
	return duration_us;
}

#define JULIAN_1970_MS 210866760000000ll

static int vfs_time_ms(sqlite3_vfs *base, sqlite3_int64 *now_ms)
{
	struct sqlite_vfs *vfs = vfs_of(base);
	int64_t wall_ns = 0;
	tb_err err = tb_call(vfs->instance, inside_wall, NULL, &wall_ns);
	*now_ms = JULIAN_1970_MS + wall_ns / 1000000;
	return err == 0 ? SQLITE_OK : vfs_fail(vfs, err, SQLITE_ERROR);
}

static int vfs_time(sqlite3_vfs *base, double *now_days)
{
	sqlite3_int64 now_ms = 0;
	int result = vfs_time_ms(base, &now_ms);
	*now_days = (double)now_ms / 86400000.0;
	return result;
}

static int vfs_last_error(sqlite3_vfs *base, int room_bytes, char *out)
{
	(void)room_bytes;
	(void)out;
	return __atomic_load_n(&vfs_of(base)->last_error, __ATOMIC_RELAXED);
}

// Extensions are programs of the host; who wants them loads them by another VFS.
static void *vfs_dl_open(sqlite3_vfs *base, const char *path)
{
	(void)base;
	(void)path;
	return NULL;
}

static void vfs_dl_error(sqlite3_vfs *base, int room_bytes, char *out)
{
	(void)base;
	sqlite3_snprintf(room_bytes, out, "no extensions by this VFS");
}

static void (*vfs_dl_symbol(sqlite3_vfs *base, void *library, const char *name))(void)
{
	(void)base;
	(void)library;
	(void)name;
	return NULL;
}

static void vfs_dl_close(sqlite3_vfs *base, void *library)
{
	(void)base;
	(void)library;
}

// ---- registering --------------------------------------------------------------------------------------------------------------

static void vfs_fill(struct sqlite_vfs *vfs)
{
	vfs->base = (sqlite3_vfs){
		.iVersion = 2,
		.szOsFile = sizeof(struct sqlite_file),
		.mxPathname = TB_PATH_MAX,
		.zName = vfs->name,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = path_full,
		.xDlOpen = vfs_dl_open,
		.xDlError = vfs_dl_error,
		.xDlSym = vfs_dl_symbol,
		.xDlClose = vfs_dl_close,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_time,
		.xGetLastError = vfs_last_error,
		.xCurrentTimeInt64 = vfs_time_ms,
	};
}

static tb_err register_locked(struct sqlite_vfs *vfs, uint32_t flags)
{
	if (sqlite3_vfs_find(vfs->name) != NULL)
		return -EEXIST;
	if (sqlite3_vfs_register(&vfs->base, (flags & TB_SQLITE_DEFAULT) != 0) != SQLITE_OK)
		return -ENOMEM;
	vfs->next = registered;
	registered = vfs;
	return 0;
}

tb_err tb_sqlite_register(tb_instance *instance, tb_context *files, const char *name, uint32_t flags)
{
	size_t size_bytes = name == NULL ? 0 : strlen(name);
	if (instance == NULL || files == NULL || size_bytes == 0 || size_bytes > VFS_NAME_MAX ||
	    (flags & ~(uint32_t)TB_SQLITE_DEFAULT) != 0)
		return -EINVAL;
	if (sqlite3_initialize() != SQLITE_OK)
		return -ENOMEM;
	struct sqlite_vfs *vfs = calloc(1, sizeof *vfs);
	if (vfs == NULL)
		return -ENOMEM;
	vfs->instance = instance;
	vfs->files = files;
	memcpy(vfs->name, name, size_bytes + 1);
	vfs_fill(vfs);
	pthread_mutex_lock(&mutex);
	tb_err err = register_locked(vfs, flags);
	pthread_mutex_unlock(&mutex);
	if (err != 0)
		free(vfs);
	return err;
}

tb_err tb_sqlite_unregister(const char *name)
{
	tb_err err = -ENOENT;
	pthread_mutex_lock(&mutex);
	struct sqlite_vfs **at = &registered;
	while (*at != NULL && (name == NULL || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	struct sqlite_vfs *vfs = *at;
	if (vfs != NULL)
		err = __atomic_load_n(&vfs->open_count, __ATOMIC_ACQUIRE) != 0 ? -EBUSY : 0;
	if (err == 0) {
		*at = vfs->next;
		(void)sqlite3_vfs_unregister(&vfs->base);
		free(vfs);
	}
	pthread_mutex_unlock(&mutex);
	return err;
}
