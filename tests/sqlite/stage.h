// SPDX-License-Identifier: MIT
//
// An instance with a PXFS volume on an image of the host, mounted at /m, and SQLite's VFS "tbos" upon it, for the tests of SQLite.
#ifndef SQLITE_STAGE_H
#define SQLITE_STAGE_H

#include "tbos/sqlite.h"

#include <sqlite3.h>

#define STAGE_DATABASE "/m/data.db"

struct stage {
	const char *image;
	uint32_t engine, disk_flags;
	uint64_t seed;
	uint64_t image_bytes; // 0: as large as the file is
	const char *faults;   // of struct tb_disk
	const char *options;  // of the mount; NULL: none
	bool read_only;       // the mount
	// From here on the stage's own.
	tb_instance *instance;
	tb_context *files;
	int32_t status; // of the end
	char said[8192];
	size_t said_bytes;
};

// A new, empty file for an image, in the host's memory where it has a folder for that; its name by `name`. Returns a descriptor, or -1.
int stage_image(char *name, size_t room_bytes);

// Boots. Errors: those of tb_create(), tb_boot(), tb_context_create().
tb_err stage_start(struct stage *stage) TB_MUST_USE;

// Mounts and registers. Errors: those of tb_mount(), tb_sqlite_register().
tb_err stage_mount(struct stage *stage) TB_MUST_USE;

// The exit status of a monitor command, whose words are in `said`; -1: there is no instance any more.
int32_t stage_command(struct stage *stage, const char *line);

// Whatever state it is in: unmounts where it can, ends, and gives back. What the way down said first, but not after a power cut.
tb_err stage_end(struct stage *stage);

// A connection by the VFS, or NULL. journal: "delete", "wal" …; NULL: as it is.
sqlite3 *stage_open(const char *path, const char *journal);

#endif
