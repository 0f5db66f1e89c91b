// SPDX-License-Identifier: MIT
//
// SQLite in a TBOS instance: a database on a PXFS volume on a disk in memory, by an SQLite that knows nothing of TBOS.
//
//   cc example_sqlite.c $(pkg-config --cflags --libs tbos-sqlite) -o example_sqlite
#include <stdio.h>

#include <sqlite3.h>
#include <tbos/sqlite.h>

static int row_print(void *ctx, int count, char **values, char **names)
{
	(void)ctx;
	for (int i = 0; i < count; i++)
		printf("%s = %s\n", names[i], values[i] != NULL ? values[i] : "NULL");
	return 0;
}

static int use(void)
{
	sqlite3 *db = NULL;
	char *message = NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	int result = sqlite3_open_v2("/m/notes.db", &db, flags, "tbos");

	if (result == SQLITE_OK)
		result = sqlite3_exec(db,
				      "PRAGMA journal_mode=WAL; CREATE TABLE note(text);"
				      "INSERT INTO note VALUES('kept'), ('and found'); SELECT count(*) AS notes FROM note;"
				      "PRAGMA integrity_check",
				      row_print, NULL, &message);
	if (result != SQLITE_OK)
		fprintf(stderr, "example: %s\n", message != NULL ? message : sqlite3_errmsg(db));
	sqlite3_free(message);
	sqlite3_close(db);
	return result;
}

static tb_err volume_begin(tb_instance *instance, tb_context *files)
{
	int32_t status = 0;
	tb_err err = tb_command(instance, "ramdisk 64M; mkfs ram0", &status);

	if (err == 0)
		err = tb_mkdir(files, TB_AT_FDCWD, "/m", 0755);
	if (err == 0)
		err = tb_mount(files, "ram0", "/m", "pxfs", 0, NULL);
	return err == 0 ? tb_sqlite_register(instance, files, "tbos", 0) : err;
}

int main(void)
{
	struct tb_config config;
	tb_instance *instance = NULL;
	tb_context *files = NULL;
	int result = SQLITE_ERROR;

	tb_config_init(&config);
	config.flags = TB_CONFIG_QUIET;
	if (tb_create(&config, &instance) != 0) {
		fprintf(stderr, "example: %s\n", tb_error(NULL));
		return 1;
	}
	tb_err err = tb_boot(instance);
	if (err == 0)
		err = tb_context_create(instance, &files);
	if (err == 0)
		err = volume_begin(instance, files);
	if (err == 0) {
		result = use();
		err = tb_sqlite_unregister("tbos");
	}
	if (files != NULL && tb_context_destroy(files) != 0)
		fprintf(stderr, "example: the context has ended badly\n");
	if (err != 0)
		fprintf(stderr, "example: error %d: %s\n", err, tb_error(instance));
	return tb_destroy(instance) == 0 && err == 0 && result == SQLITE_OK ? 0 : 1;
}
