// SPDX-License-Identifier: MIT
//
// One filesystem's figures: PXFS in an instance on an image of the host, or one of the host's on a block device. bench_fs.py runs it for each and compares. A line
// of JSON for each piece of work.
//   bench_fs pxfs IMAGE [--size BYTES] [--cpus N] [--keep] [--copy FILE] WORK...
//   bench_fs TYPE DEVICE --at FOLDER [--options TEXT] [--keep] [--copy FILE --image FILE] WORK...
// The volume of a host's type is there already; PXFS is made unless --keep says so. --copy: behind the last piece of work the image is copied as it is, mounted: what
// a crash leaves.
#include "bench_fs.h"

#include "tbos/tbos.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MEM_BYTES (2560ull << 20)

static const char *const names[FS_WORK_COUNT] = {"create",     "stat_cold",   "stat_warm",    "rename",     "unlink",
						 "write_text", "write_noise", "read_text",    "read_noise", "overwrite",
						 "append",     "crowd_make",  "crowd_lookup", "mount"};

static struct {
	const char *type, *source, *folder, *options, *copy, *image;
	uint64_t size_bytes;
	uint32_t cpus;
	bool keep, mounted;
} args = {.options = "", .cpus = 2};

static void die(const char *what, int error)
{
	fprintf(stderr, "bench_fs: %s: %s: error %d%s%s\n", args.type, what, error, error < 0 ? " " : "",
		error < 0 ? strerror(-error) : "");
	exit(1);
}

// ---- the host's ----------------------------------------------------------------------------------------------------------

static int result_of(int result)
{
	return result < 0 ? -errno : result;
}

static int host_open(const char *path, int how)
{
	int flags = (how & FS_OPEN_WRITE ? O_RDWR : O_RDONLY) | (how & FS_OPEN_CREATE ? O_CREAT : 0);
	return result_of(open(path, flags, 0644));
}

static int host_close(int fd)
{
	return result_of(close(fd));
}

static int host_pread(int fd, void *bytes, size_t size, uint64_t at)
{
	ssize_t got = pread(fd, bytes, size, (off_t)at);
	return got == (ssize_t)size ? 0 : got < 0 ? -errno : -EIO;
}

static int host_pwrite(int fd, const void *bytes, size_t size, uint64_t at)
{
	ssize_t got = pwrite(fd, bytes, size, (off_t)at);
	return got == (ssize_t)size ? 0 : got < 0 ? -errno : -ENOSPC;
}

static int host_fsync(int fd)
{
	return result_of(fsync(fd));
}

static int host_stat(const char *path)
{
	struct stat status;
	return result_of(stat(path, &status));
}

static int host_rename(const char *from, const char *to)
{
	return result_of(rename(from, to));
}

static int host_unlink(const char *path)
{
	return result_of(unlink(path));
}

static int host_mkdir(const char *path)
{
	return result_of(mkdir(path, 0755));
}

static int host_sync(void)
{
	int fd = open(args.folder, O_RDONLY | O_DIRECTORY);
	int err = fd < 0 || syncfs(fd) != 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return err;
}

static int host_mount(void)
{
	int err = result_of(mount(args.source, args.folder, args.type, 0, args.options));
	args.mounted = err == 0;
	return err;
}

static int host_unmount(void)
{
	int err = args.mounted ? result_of(umount2(args.folder, 0)) : 0;
	args.mounted = args.mounted && err != 0;
	return err;
}

static uint64_t host_memory_kib(void)
{
	return 0;
}

static uint64_t host_now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct fs_calls host_calls = {.open = host_open,
				     .close = host_close,
				     .pread = host_pread,
				     .pwrite = host_pwrite,
				     .fsync = host_fsync,
				     .stat = host_stat,
				     .rename = host_rename,
				     .unlink = host_unlink,
				     .mkdir = host_mkdir,
				     .sync = host_sync,
				     .mount = host_mount,
				     .unmount = host_unmount,
				     .memory_kib = host_memory_kib,
				     .now_ns = host_now_ns};

static int host_work(enum fs_work work, struct fs_result *result)
{
	static struct fs_bench bench;

	if (bench.calls == NULL) {
		bench = (struct fs_bench){.calls = &host_calls,
					  .text = malloc(FS_DATA),
					  .noise = malloc(FS_DATA),
					  .times = malloc(FS_LOOKUPS * sizeof(uint64_t))};
		if (bench.text == NULL || bench.noise == NULL || bench.times == NULL)
			die("memory", -ENOMEM);
	}
	fs_data_fill(&bench);
	return fs_measure(&bench, work, result);
}

// ---- ours ----------------------------------------------------------------------------------------------------------------

static tb_instance *instance;

static int our_job(enum fs_job job, enum fs_work work, struct fs_result *result)
{
	struct fs_call call = {.job = job, .work = work};
	tb_err err = tb_call(instance, tb_bench_fs, &call, NULL);

	if (result != NULL)
		*result = call.result;
	return err != 0 ? err : call.err;
}

static void instance_make(void)
{
	struct tb_disk disk = {.path = args.source, .size_bytes = args.size_bytes};
	struct tb_config config;

	tb_config_init(&config);
	config.cpu_count = args.cpus;
	config.mem_bytes = MEM_BYTES;
	config.flags = TB_CONFIG_QUIET;
	config.disks = &disk;
	config.disk_count = 1;
	if (tb_create(&config, &instance) != 0 || tb_boot(instance) != 0) {
		fprintf(stderr, "bench_fs: %s\n", tb_error(NULL));
		exit(1);
	}
}

// ---- both ----------------------------------------------------------------------------------------------------------------

static bool ours(void)
{
	return strcmp(args.type, "pxfs") == 0;
}

static void begin(void)
{
	int err = 0;

	if (ours()) {
		instance_make();
		err = our_job(FS_JOB_WARM, FS_CREATE, NULL);
	}
	if (err != 0)
		die("memory", err);
	if (args.keep) // mounting may be what is measured
		return;
	if (ours())
		err = our_job(FS_JOB_FORMAT, FS_CREATE, NULL);
	if (err != 0)
		die("formatting", err);
	err = ours() ? our_job(FS_JOB_MOUNT, FS_CREATE, NULL) : host_mount();
	if (err != 0)
		die("mounting", err);
}

static void copy(void)
{
	char command[600];
	const char *image = ours() ? args.source : args.image;

	snprintf(command, sizeof command, "cp --sparse=always '%s' '%s'", image, args.copy);
	if (system(command) != 0)
		die("copying the image", 1);
}

static void work_do(const char *name)
{
	struct fs_result result = {.count = 0};
	uint32_t work = 0;

	while (work < FS_WORK_COUNT && strcmp(names[work], name) != 0)
		work++;
	if (work == FS_WORK_COUNT)
		die(name, 2);
	int err = ours() ? our_job(FS_JOB_WORK, (enum fs_work)work, &result) : host_work((enum fs_work)work, &result);
	if (err != 0) {
		if (!ours())
			(void)host_unmount();
		die(name, err);
	}
	printf("{\"work\": \"%s\", \"ns\": %.1f, \"kib\": %llu}\n", name, (double)result.took_ns / (double)result.count,
	       (unsigned long long)result.kib);
	fflush(stdout);
}

static int end(void)
{
	int err = ours() ? our_job(FS_JOB_UNMOUNT, FS_CREATE, NULL) : host_unmount();

	if (err != 0)
		die("unmounting", err);
	return ours() && tb_destroy(instance) != 0;
}

static int option_take(int at, int argc, char **argv)
{
	const char *value = at + 1 < argc ? argv[at + 1] : NULL;

	if (strcmp(argv[at], "--keep") == 0) {
		args.keep = true;
		return at + 1;
	}
	if (value == NULL)
		die(argv[at], 2);
	if (strcmp(argv[at], "--at") == 0)
		args.folder = value;
	else if (strcmp(argv[at], "--options") == 0)
		args.options = value;
	else if (strcmp(argv[at], "--copy") == 0)
		args.copy = value;
	else if (strcmp(argv[at], "--image") == 0)
		args.image = value;
	else if (strcmp(argv[at], "--size") == 0)
		args.size_bytes = strtoull(value, NULL, 10);
	else if (strcmp(argv[at], "--cpus") == 0)
		args.cpus = (uint32_t)strtoul(value, NULL, 10);
	else
		die(argv[at], 2);
	return at + 2;
}

int main(int argc, char **argv)
{
	int at = 3;

	if (argc < 4) {
		fprintf(stderr, "usage: bench_fs pxfs IMAGE | TYPE DEVICE --at FOLDER [--options TEXT] [--size BYTES] "
				"[--cpus N] "
				"[--keep] [--copy FILE [--image FILE]] WORK...\n");
		return 2;
	}
	args.type = argv[1];
	args.source = argv[2];
	while (at < argc && strncmp(argv[at], "--", 2) == 0)
		at = option_take(at, argc, argv);
	if (!ours() && (args.folder == NULL || (args.copy != NULL && args.image == NULL)))
		die("--at or --image is missing", 2);
	host_calls.top = args.folder;
	begin();
	for (; at < argc; at++)
		work_do(argv[at]);
	if (args.copy != NULL)
		copy();
	return end();
}
