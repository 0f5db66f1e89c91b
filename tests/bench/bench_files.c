// SPDX-License-Identifier: MIT
//
// Files in an instance beside the host's tmpfs, in one run and in turns: what 20,000 files cost to make, look at, list, rename and remove,
// warm reads beside memcpy, look-ups of six components, two CPUs in two folders, an archive beside its bytes alone. The best of the rounds.
//   bench_files [--rounds N] [--archive FILE] [--json]
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench_files.h"
#include "tbos/tbos.h"

#define NAME_SIZE 80
#define MEM_BYTES (1536ull << 20)

static char host_folder[] = "/dev/shm/tbos-bench-XXXXXX";
static uint64_t ours[BENCH_OP_COUNT], hosts[BENCH_OP_COUNT], bytes[BENCH_OP_COUNT];

static uint64_t now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void die(const char *what, int error, const char *more)
{
	fprintf(stderr, "bench_files: %s: error %d %s\n", what, error, more);
	exit(1);
}

static void keep(uint64_t *best, uint64_t took_ns)
{
	if (*best == 0 || took_ns < *best)
		*best = took_ns;
}

// ---- the host ------------------------------------------------------------------------------------------------------------

static void host_name(char name[NAME_SIZE], char letter, unsigned number)
{
	snprintf(name, NAME_SIZE, "%s/b/%c%05u", host_folder, letter, number);
}

static bool host_create(void)
{
	char name[NAME_SIZE];
	for (unsigned i = 0; i < BENCH_FILES; i++) {
		host_name(name, 'f', i);
		int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd < 0 || close(fd) != 0)
			return false;
	}
	return true;
}

static bool host_stat(void)
{
	char name[NAME_SIZE];
	struct stat status;
	for (unsigned i = 0; i < BENCH_FILES; i++) {
		host_name(name, 'f', i);
		if (stat(name, &status) != 0)
			return false;
	}
	return true;
}

static bool host_readdir(void)
{
	char name[NAME_SIZE];
	unsigned seen = 0;
	snprintf(name, sizeof name, "%s/b", host_folder);
	DIR *dir = opendir(name);
	while (dir != NULL && readdir(dir) != NULL)
		seen++;
	return dir != NULL && closedir(dir) == 0 && seen == BENCH_FILES + 2;
}

static bool host_rename(void)
{
	char from[NAME_SIZE], to[NAME_SIZE];
	for (unsigned i = 0; i < BENCH_FILES; i++) {
		host_name(from, 'f', i);
		host_name(to, 'g', i);
		if (rename(from, to) != 0)
			return false;
	}
	return true;
}

static bool host_unlink(void)
{
	char name[NAME_SIZE];
	for (unsigned i = 0; i < BENCH_FILES; i++) {
		host_name(name, 'g', i);
		if (unlink(name) != 0)
			return false;
	}
	return true;
}

static bool host_lookup(void)
{
	char name[NAME_SIZE];
	struct stat status;
	snprintf(name, sizeof name, "%s/a/b/c/d", host_folder); // six with /dev/shm/…, less one: to the host's favour
	for (unsigned i = 0; i < BENCH_LOOKUPS; i++)
		if (stat(name, &status) != 0)
			return false;
	return true;
}

static bool host_read(void)
{
	static char buffer[BENCH_MIB];
	char name[NAME_SIZE];
	snprintf(name, sizeof name, "%s/read", host_folder);
	int fd = open(name, O_RDWR | O_CREAT, 0600);
	bool good = fd >= 0 && pwrite(fd, buffer, sizeof buffer, 0) == (ssize_t)sizeof buffer;
	uint64_t start = now_ns();
	for (unsigned i = 0; good && i < BENCH_READS; i++)
		good = pread(fd, buffer, sizeof buffer, 0) == (ssize_t)sizeof buffer;
	keep(&hosts[BENCH_READ], now_ns() - start);
	close(fd);
	return good;
}

static bool host_write(void)
{
	static char buffer[BENCH_MIB];
	char name[NAME_SIZE];
	snprintf(name, sizeof name, "%s/write", host_folder);
	uint64_t start = now_ns();
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	bool good = fd >= 0;
	for (unsigned i = 0; good && i < BENCH_WRITE_MIB; i++)
		good = write(fd, buffer, sizeof buffer) == (ssize_t)sizeof buffer;
	keep(&hosts[BENCH_WRITE], now_ns() - start);
	close(fd);
	return unlink(name) == 0 && good;
}

static void host_folders(void)
{
	static const char *const folders[] = {"/b", "/a", "/a/b", "/a/b/c", "/a/b/c/d"};
	char name[NAME_SIZE];
	if (mkdtemp(host_folder) == NULL)
		die(host_folder, errno, "");
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		snprintf(name, sizeof name, "%s%s", host_folder, folders[i]);
		if (mkdir(name, 0755) != 0)
			die(name, errno, "");
	}
}

static void host_end(void)
{
	char command[100];
	snprintf(command, sizeof command, "rm -rf %s", host_folder);
	if (system(command) != 0)
		die(host_folder, 0, "stays");
}

static void host_round(void)
{
	static bool (*const timed[])(
		void) = {[BENCH_CREATE] = host_create, [BENCH_STAT] = host_stat,     [BENCH_READDIR] = host_readdir,
			 [BENCH_RENAME] = host_rename, [BENCH_UNLINK] = host_unlink, [BENCH_LOOKUP] = host_lookup};
	for (size_t i = 0; i < sizeof timed / sizeof timed[0]; i++) {
		uint64_t start = now_ns();
		if (!timed[i]())
			die("the host's files", errno, "");
		keep(&hosts[i], now_ns() - start);
	}
	if (!host_read() || !host_write())
		die("the host's files", errno, "");
}

// ---- ours ----------------------------------------------------------------------------------------------------------------

// `single`: what is measured on one CPU alone.
static void our_round(tb_instance *instance, bool single, const char *archive)
{
	for (uint32_t op = 0; op < BENCH_OP_COUNT; op++) {
		struct bench_call call = {.op = op, .archive = archive};
		bool alone = op == BENCH_FOLDERS_1 || op == BENCH_UNPACK || op == BENCH_STREAM;
		if (alone != single || (archive == NULL && (op == BENCH_UNPACK || op == BENCH_STREAM)))
			continue;
		tb_err err = tb_call(instance, tb_bench_files, &call, NULL);
		if (err != 0 || call.err != 0)
			die("the instance's files", err != 0 ? err : call.err, tb_error(instance));
		keep(&ours[op], call.took_ns);
		bytes[op] = call.bytes;
	}
}

static tb_instance *instance_make(uint32_t cpus)
{
	struct tb_config config;
	tb_instance *instance;

	tb_config_init(&config);
	config.cpu_count = cpus;
	config.mem_bytes = MEM_BYTES;
	config.flags = TB_CONFIG_QUIET;
	if (tb_create(&config, &instance) != 0 || tb_boot(instance) != 0)
		die("an instance", 0, tb_error(NULL));
	return instance;
}

// ---- report --------------------------------------------------------------------------------------------------------------

static bool json;

static void row(const char *name, const char *unit, double value, double peer, const char *peer_name, double ratio,
		double aim)
{
	if (json)
		printf("{\"name\": \"%s\", \"unit\": \"%s\", \"tbos\": %.1f, \"%s\": %.1f, \"ratio\": %.2f, \"aim\": "
		       "%.2f, \"met\": %s}\n",
		       name, unit, value, peer_name, peer, ratio, aim, ratio >= aim ? "true" : "false");
	else
		printf("%-28s %10.1f %10.1f %-14s %6.2f   %4.2f %s\n", name, value, peer, peer_name, ratio, aim,
		       ratio >= aim ? "met" : "MISSED");
}

static void report(bool archive)
{
	static const char *const names[] = {"create, ns a file", "stat, ns a file", "readdir, ns a name",
					    "rename, ns a file", "unlink, ns a file"};
	double lookup = (double)ours[BENCH_LOOKUP] / BENCH_LOOKUPS;

	if (!json)
		printf("%-28s %10s %10s %-14s %6s   %4s\n", "", "tbos", "peer", "", "ratio", "aim");
	for (uint32_t op = BENCH_CREATE; op <= BENCH_UNLINK; op++)
		row(names[op], "ns", (double)ours[op] / BENCH_FILES, (double)hosts[op] / BENCH_FILES, "host tmpfs",
		    (double)hosts[op] / (double)ours[op], 3);
	row("look-up of 6, ns", "ns", lookup, 250, "250 ns", 250 / lookup, 1);
	row("the same beside the host", "ns", lookup, (double)hosts[BENCH_LOOKUP] / BENCH_LOOKUPS, "host tmpfs",
	    (double)hosts[BENCH_LOOKUP] / (double)ours[BENCH_LOOKUP], 1);
	row("warm read of 1 MiB, us", "us", (double)ours[BENCH_READ] / BENCH_READS / 1e3,
	    (double)ours[BENCH_MEMCPY] / BENCH_READS / 1e3, "memcpy",
	    (double)ours[BENCH_MEMCPY] / (double)ours[BENCH_READ], 0.9);
	row("the same beside the host", "us", (double)ours[BENCH_READ] / BENCH_READS / 1e3,
	    (double)hosts[BENCH_READ] / BENCH_READS / 1e3, "host tmpfs",
	    (double)hosts[BENCH_READ] / (double)ours[BENCH_READ], 1);
	row("write of 64 MiB, ms", "ms", (double)ours[BENCH_WRITE] / 1e6, (double)hosts[BENCH_WRITE] / 1e6,
	    "host tmpfs", (double)hosts[BENCH_WRITE] / (double)ours[BENCH_WRITE], 1);
	row("two CPUs, two folders, ms", "ms", (double)ours[BENCH_FOLDERS_2] / 2e6, (double)ours[BENCH_FOLDERS_1] / 1e6,
	    "one CPU", 2.0 * (double)ours[BENCH_FOLDERS_1] / (double)ours[BENCH_FOLDERS_2], 1.8);
	if (archive)
		row("unpacking an archive, ms", "ms", (double)ours[BENCH_UNPACK] / 1e6,
		    (double)ours[BENCH_STREAM] / 1e6, "its bytes",
		    (double)ours[BENCH_STREAM] / (double)ours[BENCH_UNPACK], 0.8);
	if (archive && !json)
		printf("the archive unpacks to %.1f MiB, %.1f MiB of them in files\n",
		       (double)bytes[BENCH_STREAM] / 1048576, (double)bytes[BENCH_UNPACK] / 1048576);
}

int main(int argc, char **argv)
{
	const char *archive = NULL;
	unsigned rounds = 3;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
			rounds = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--archive") == 0 && i + 1 < argc)
			archive = argv[++i];
		else
			rounds = 0;
	}
	if (rounds == 0) {
		fprintf(stderr, "usage: bench_files [--rounds N] [--archive FILE] [--json]\n");
		return 2;
	}
	tb_instance *instance = instance_make(2);
	tb_instance *single = instance_make(1);
	host_folders();
	for (unsigned i = 0; i < rounds; i++) {
		our_round(instance, false, archive);
		our_round(single, true, archive);
		host_round();
	}
	host_end();
	report(archive != NULL);
	return tb_destroy(instance) != 0 || tb_destroy(single) != 0;
}
