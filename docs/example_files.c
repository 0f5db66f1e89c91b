// SPDX-License-Identifier: MIT
//
// Files of a TBOS instance from a C program: makes a small tree, reads it back, and says what the kernel thinks of mistakes.
//
//   cc example_files.c $(pkg-config --cflags --libs tbos) -o example_files
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tbos/file.h>

static tb_err note_write(tb_context *files, const char *path, const char *text)
{
	size_t done;
	int32_t fd;

	tb_err err = tb_open(files, TB_AT_FDCWD, path, TB_O_WRONLY | TB_O_CREAT | TB_O_EXCL, 0644, &fd);
	if (err != 0)
		return err;
	err = tb_write(files, fd, text, strlen(text), &done);
	tb_err closed = tb_close(files, fd);
	return err != 0 ? err : closed;
}

static tb_err list(tb_context *files, const char *path)
{
	struct tb_dirent entries[8];
	uint32_t count = 0;
	int32_t fd;

	tb_err err = tb_open(files, TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	if (err != 0)
		return err;
	while ((err = tb_readdir(files, fd, entries, 8, &count)) == 0 && count > 0)
		for (uint32_t i = 0; i < count; i++)
			printf("%" PRIu64 " %s\n", entries[i].ino, entries[i].name);
	tb_err closed = tb_close(files, fd);
	return err != 0 ? err : closed;
}

static tb_err use(tb_context *files)
{
	tb_err err = tb_mkdir(files, TB_AT_FDCWD, "/notes", 0755);
	if (err == 0)
		err = note_write(files, "/notes/first", "Files of an instance, from outside.\n");
	if (err == 0)
		err = tb_rename(files, TB_AT_FDCWD, "/notes/first", TB_AT_FDCWD, "/notes/renamed", TB_RENAME_NOREPLACE);
	if (err == 0)
		err = list(files, "/notes");
	if (err == 0)
		printf("the same name again: %d\n", note_write(files, "/notes/renamed", "no"));
	return err;
}

int main(void)
{
	struct tb_config config;
	tb_instance *instance = NULL;
	tb_context *files = NULL;

	tb_config_init(&config);
	config.flags = TB_CONFIG_QUIET;
	if (tb_create(&config, &instance) != 0) {
		fprintf(stderr, "example: %s\n", tb_error(NULL));
		return 1;
	}
	tb_err err = tb_boot(instance);
	if (err == 0)
		err = tb_context_create(instance, &files);
	if (err == 0) {
		err = use(files);
		tb_err ended = tb_context_destroy(files);
		err = err != 0 ? err : ended;
	}
	if (err != 0)
		fprintf(stderr, "example: error %d: %s\n", err, tb_error(instance));
	return tb_destroy(instance) == 0 && err == 0 ? 0 : 1;
}
