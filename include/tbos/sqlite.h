// SPDX-License-Identifier: MIT
//
// SQLite on files of an instance: a VFS (sqlite3_vfs) over tbos/file.h for an SQLite that knows nothing of it. Library tbos-sqlite, `pkg-config
// tbos-sqlite`; it is there where SQLite's own library was when TBOS was built.
//
//   tb_sqlite_register(instance, files, "tbos", 0);
//   sqlite3_open_v2("/m/data.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "tbos");
//
// Paths are the context's. Locks are record locks of the open file, so connections of one context and of several see each other, as does whoever else takes
// locks inside. The memory that connections share in WAL mode is this process's: in that mode all of them go through VFSs of this library.
// What is told of a file's promises (xDeviceCharacteristics) is what its filesystem keeps. On PXFS that is: bytes that are not written are not harmed; what is
// appended is there before the size is; what was written first is there first, so that a rollback journal needs no sync of its own. On
// others it is nothing. With PRAGMA synchronous=NORMAL or more the end of a journal is durable when COMMIT returns, for which SQLite alone wants EXTRA.
// Time, sleep and randomness are the instance's: under TB_ENGINE_SIM a database is a function of the seed, if sqlite3_randomness(0, NULL) comes
// before its first use and the VFS is the default one, for SQLite keeps chance of its own.
#ifndef TBOS_SQLITE_H
#define TBOS_SQLITE_H

#include "tbos/file.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tb_sqlite_flags {
	TB_SQLITE_DEFAULT = 1u << 0 // for connections that name none
};

// Registers the VFS `name`, 1 … 63 bytes, which is copied. `files` is of `instance`; both must outlive the VFS. Temporary files are made in /tmp,
// or in / where there is no /tmp. Any thread. Errors: -EINVAL (name or flags), -EEXIST (a VFS of that name), -ENOMEM.
tb_err tb_sqlite_register(tb_instance *instance, tb_context *files, const char *name, uint32_t flags) TB_MUST_USE;

// Takes it away. Not while another thread opens a database by it. Errors: -ENOENT (no VFS of this library has the name), -EBUSY (files are open).
tb_err tb_sqlite_unregister(const char *name) TB_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
