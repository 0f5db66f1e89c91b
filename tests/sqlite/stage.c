// SPDX-License-Identifier: MIT
//
// The stage of the tests of SQLite: stage.h.
#include "stage.h"

#include "work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void listen(void *ctx, const char *bytes, size_t size_bytes)
{
	struct stage *stage = ctx;
	size_t room = sizeof stage->said - 1 - stage->said_bytes, size = size_bytes < room ? size_bytes : room;
	memcpy(stage->said + stage->said_bytes, bytes, size);
	stage->said_bytes += size;
	stage->said[stage->said_bytes] = '\0';
}

int stage_image(char *name, size_t room_bytes)
{
	static const char *const folders[] = {"/dev/shm", "/tmp"};
	int fd = -1;
	for (size_t i = 0; i < 2 && fd < 0; i++) {
		snprintf(name, room_bytes, "%s/tbos-sqlite-XXXXXX", folders[i]);
		fd = mkstemp(name);
	}
	return fd;
}

tb_err stage_start(struct stage *stage)
{
	struct tb_disk disk = {.path = stage->image,
			       .flags = stage->disk_flags,
			       .size_bytes = stage->image_bytes,
			       .faults = stage->faults};
	struct tb_config config;
	tb_config_init(&config);
	config.engine = stage->engine;
	config.flags = TB_CONFIG_QUIET;
	config.mem_bytes = 64u << 20;
	config.seed = stage->seed;
	config.write_fn = listen;
	config.write_ctx = stage;
	config.disks = &disk;
	config.disk_count = 1;
	stage->said_bytes = 0;
	stage->status = 0;
	stage->files = NULL;
	tb_err err = tb_create(&config, &stage->instance);
	if (err != 0) {
		printf("# %s\n", tb_error(NULL));
		stage->instance = NULL;
		return err;
	}
	err = tb_boot(stage->instance);
	return err == 0 ? tb_context_create(stage->instance, &stage->files) : err;
}

tb_err stage_mount(struct stage *stage)
{
	tb_err err = tb_mkdir(stage->files, TB_AT_FDCWD, "/m", 0755);
	if (err == 0)
		err = tb_mount(stage->files, "disk0", "/m", "pxfs", stage->read_only ? TB_MS_RDONLY : 0,
			       stage->options);
	if (err == 0)
		err = tb_sqlite_register(stage->instance, stage->files, "tbos", TB_SQLITE_DEFAULT);
	if (err == 0)
		sqlite3_randomness(0, NULL);
	return err;
}

int32_t stage_command(struct stage *stage, const char *line)
{
	int32_t status = -1;
	stage->said_bytes = 0;
	stage->said[0] = '\0';
	return tb_command(stage->instance, line, &status) == 0 ? status : -1;
}

tb_err stage_end(struct stage *stage)
{
	if (stage->instance == NULL)
		return 0;
	tb_err err = tb_sqlite_unregister("tbos");
	err = err == -ENOENT ? 0 : err;
	if (stage->files != NULL)
		(void)!tb_umount(stage->files, "/m", 0);
	if (stage->files != NULL)
		(void)!tb_context_destroy(stage->files);
	tb_err down = tb_shutdown(stage->instance, &stage->status);
	tb_err gone = tb_destroy(stage->instance);
	stage->instance = NULL;
	err = err == 0 ? down : err;
	return err == 0 ? gone : err;
}

sqlite3 *stage_open(const char *path, const char *journal)
{
	sqlite3 *db = NULL;
	char sql[100];
	int result = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "tbos");
	snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", journal == NULL ? "" : journal);
	if (result == SQLITE_OK && (journal == NULL || work_says(db, sql, journal)))
		return db;
	printf("# %s: %s\n", path, sqlite3_errmsg(db));
	sqlite3_close(db);
	return NULL;
}
