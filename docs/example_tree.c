// SPDX-License-Identifier: MIT
//
// Boots an instance whose tree comes from a cpio archive (newc; plain, LZ4 or Zstandard), and writes each regular file to standard
// output: a line "PATH SIZE", then its bytes; paths in order of their bytes, a directory's own files among its folders'.
//
//   cc example_tree.c $(pkg-config --cflags --libs tbos) -o example_tree
//   ./example_tree tree.cpio.zst threads 2 > contents
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tbos/file.h>

#define ENTRIES 64

struct names {
	char **list;
	size_t count, room;
};

static int names_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

// Takes over `name`.
static tb_err names_add(struct names *names, char *name)
{
	if (name != NULL && names->count == names->room) {
		size_t room = names->room * 2 + 16;
		char **list = realloc(names->list, room * sizeof *list);
		if (list != NULL) {
			names->list = list;
			names->room = room;
		}
	}
	if (name == NULL || names->count == names->room) {
		free(name);
		return -12;
	}
	names->list[names->count++] = name;
	return 0;
}

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
}

// The names in a directory but "." and "..", in order of their bytes.
static tb_err names_read(tb_context *files, const char *path, struct names *names)
{
	static struct tb_dirent entries[ENTRIES];
	uint32_t count = 1;
	int32_t fd;

	tb_err err = tb_open(files, TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	if (err != 0)
		return err;
	while (err == 0 && count > 0) {
		err = tb_readdir(files, fd, entries, ENTRIES, &count);
		for (uint32_t i = 0; err == 0 && i < count; i++)
			if (strcmp(entries[i].name, ".") != 0 && strcmp(entries[i].name, "..") != 0)
				err = names_add(names, strdup(entries[i].name));
	}
	tb_err closed = tb_close(files, fd);
	if (names->count > 0)
		qsort(names->list, names->count, sizeof names->list[0], names_compare);
	return err != 0 ? err : closed;
}

static tb_err file_write(tb_context *files, const char *path, uint64_t size_bytes)
{
	static char buffer[1 << 20];
	size_t done = 1;
	int32_t fd;

	tb_err err = tb_open(files, TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd);
	if (err != 0)
		return err;
	printf("%s %" PRIu64 "\n", path, size_bytes);
	while (err == 0 && done > 0) {
		err = tb_read(files, fd, buffer, sizeof buffer, &done);
		if (err == 0)
			fwrite(buffer, 1, done, stdout);
	}
	tb_err closed = tb_close(files, fd);
	return err != 0 ? err : closed;
}

static tb_err walk(tb_context *files, const char *path)
{
	struct names names = {0};
	struct tb_stat stat;

	tb_err err = tb_stat(files, TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat);
	if (err == 0 && (stat.mode & TB_S_IFMT) == TB_S_IFREG)
		return file_write(files, path, stat.size_bytes);
	if (err != 0 || (stat.mode & TB_S_IFMT) != TB_S_IFDIR)
		return err;
	err = names_read(files, path, &names);
	for (size_t i = 0; err == 0 && i < names.count; i++) {
		size_t size = strlen(path) + strlen(names.list[i]) + 2;
		char *below = malloc(size);
		if (below == NULL)
			err = -12;
		else
			snprintf(below, size, "%s/%s", strcmp(path, "/") == 0 ? "" : path, names.list[i]);
		if (err == 0)
			err = walk(files, below);
		free(below);
	}
	names_free(&names);
	return err;
}

int main(int argc, char **argv)
{
	struct tb_config config;
	tb_instance *instance = NULL;
	tb_context *files = NULL;

	if (argc != 4) {
		fprintf(stderr, "usage: example_tree ARCHIVE threads|sim CPUS\n");
		return 2;
	}
	tb_config_init(&config);
	config.initramfs_path = argv[1];
	config.engine = strcmp(argv[2], "sim") == 0 ? TB_ENGINE_SIM : TB_ENGINE_THREADS;
	config.cpu_count = (uint32_t)strtoul(argv[3], NULL, 10);
	config.flags = TB_CONFIG_QUIET;
	tb_err err = tb_create(&config, &instance);
	if (err == 0)
		err = tb_boot(instance);
	if (err == 0)
		err = tb_context_create(instance, &files);
	if (err == 0)
		err = walk(files, "/");
	if (err != 0)
		fprintf(stderr, "example_tree: error %d: %s\n", err, tb_error(instance));
	if (files != NULL && tb_context_destroy(files) != 0)
		err = 1;
	if (instance != NULL && tb_destroy(instance) != 0)
		err = 1;
	return err != 0;
}
