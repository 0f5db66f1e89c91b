// SPDX-License-Identifier: MIT
//
// Fuzz target: sequences of file calls through the library, with the host's tmpfs as the model. The input is a program of calls over few
// names; it runs in an instance, and in a helper process that has made an empty folder of /dev/shm its root. Every result must be the same:
// error numbers, attributes, contents, names, links' texts. Paths have dots, links, slashes at the end.
#include "tbos/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_SIZE 60000u
#define PROGRAM_MAX 600u
#define FDS 4u
#define PATH_SIZE 1200u
#define CHECK_EVERY 200u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

// One side's run: what it reads of the program, what it has open, what came out.
struct run {
	tb_context *ours; // NULL: the host's
	const uint8_t *at, *end;
	int32_t fds[FDS];
	uint32_t uid;
	char log[LOG_SIZE];
	size_t used;
};

static void note(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct run *run, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int size = vsnprintf(run->log + run->used, LOG_SIZE - run->used, format, args);
	va_end(args);
	run->used += (size_t)size < LOG_SIZE - run->used ? (size_t)size : LOG_SIZE - run->used - 1;
}

static uint32_t take(struct run *run)
{
	return run->at < run->end ? *run->at++ : 0;
}

static const char *path_take(struct run *run, char path[PATH_SIZE])
{
	static char longest[256];
	static const char *const parts[] = {"a", "b", "c", "d", "a", "b", ".",     "..",
					    "e", "a", "b", "c", "d", "f", longest, "g"};
	uint32_t shape = take(run);
	size_t used = 0;

	memset(longest, 'l', 255);
	if (shape & 0x80)
		path[used++] = '/';
	for (uint32_t i = 0; i <= (shape & 3); i++)
		used += (size_t)snprintf(path + used, PATH_SIZE - used, "%s%s", i > 0 ? "/" : "",
					 parts[take(run) % 16]);
	if ((shape & 0x70) == 0x70)
		path[used++] = '/';
	path[used] = '\0';
	return (shape & 0x7f) == 0x6f ? "" : path;
}

static int32_t code(long result)
{
	return result < 0 ? -errno : 0;
}

// ---- calls ---------------------------------------------------------------------------------------------------------------

static void stat_note(struct run *run, const char *path, bool follow)
{
	int32_t err;

	if (run->ours != NULL) {
		struct tb_stat stat;
		err = tb_stat(run->ours, TB_AT_FDCWD, path, follow ? 0 : TB_AT_SYMLINK_NOFOLLOW, &stat);
		note(run, "stat %d", err);
		if (err == 0)
			note(run, " %o %u %u %u %llu", stat.mode, stat.nlink, stat.uid, stat.gid,
			     (stat.mode & S_IFMT) == S_IFDIR ? 0 : (unsigned long long)stat.size_bytes);
	} else {
		struct stat stat;
		err = code(fstatat(AT_FDCWD, path, &stat, follow ? 0 : AT_SYMLINK_NOFOLLOW));
		note(run, "stat %d", err);
		if (err == 0)
			note(run, " %o %u %u %u %llu", stat.st_mode, (unsigned)stat.st_nlink, stat.st_uid, stat.st_gid,
			     S_ISDIR(stat.st_mode) ? 0 : (unsigned long long)stat.st_size);
	}
	note(run, "\n");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void names_note(struct run *run, const char *path)
{
	static char names[64][300];
	uint32_t count = 0;
	int32_t err, fd = -1;

	if (run->ours != NULL) {
		struct tb_dirent entry;
		uint32_t got = 1;
		err = tb_open(run->ours, TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
		while (err == 0 && count < 64 && tb_readdir(run->ours, fd, &entry, 1, &got) == 0 && got == 1)
			snprintf(names[count++], 300, "%s %o", entry.name, entry.type);
		if (err == 0 && tb_close(run->ours, fd) != 0)
			abort();
	} else {
		fd = open(path, O_RDONLY | O_DIRECTORY);
		err = code(fd);
		DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
		struct dirent *entry;
		while (dir != NULL && count < 64 && (entry = readdir(dir)) != NULL)
			snprintf(names[count++], 300, "%s %o", entry->d_name, DTTOIF(entry->d_type));
		if (dir != NULL)
			closedir(dir);
	}
	note(run, "readdir %d", err);
	qsort(names, count, sizeof names[0], by_name);
	for (uint32_t i = 0; i < count; i++)
		note(run, " %s", names[i]);
	note(run, "\n");
}

static void open_note(struct run *run, const char *path, uint32_t flags, uint32_t mode, uint32_t slot)
{
	static const uint32_t extras[] = {0,        O_CREAT,    O_CREAT | O_EXCL, O_TRUNC, O_CREAT | O_TRUNC,
					  O_APPEND, O_NOFOLLOW, O_DIRECTORY};
	uint32_t all = (flags & 3) % 3 | extras[flags >> 2 & 7];
	int32_t err, fd = -1;

	if (run->ours != NULL) {
		err = tb_open(run->ours, TB_AT_FDCWD, path, all, mode & 0777, &fd);
	} else {
		fd = open(path, (int)all, mode & 0777);
		err = code(fd);
	}
	note(run, "open %o %.40s: %d\n", all, path, err);
	if (err != 0)
		return;
	if (run->fds[slot] >= 0 &&
	    (run->ours != NULL ? tb_close(run->ours, run->fds[slot]) : close(run->fds[slot])) != 0)
		abort();
	run->fds[slot] = fd;
}

static void data_note(struct run *run, uint32_t what, int32_t fd, uint32_t offset, uint32_t size)
{
	uint8_t bytes[300];
	size_t done = 0;
	int32_t err;

	if (what == 0) {
		memset(bytes, (int)(offset + size), sizeof bytes);
		if (run->ours != NULL) {
			err = tb_pwrite(run->ours, fd, bytes, size, offset * 37, &done);
		} else {
			ssize_t n = pwrite(fd, bytes, size, offset * 37);
			err = code(n);
			done = n > 0 ? (size_t)n : 0;
		}
	} else if (run->ours != NULL) {
		err = tb_pread(run->ours, fd, bytes, size, offset * 37, &done);
	} else {
		ssize_t n = pread(fd, bytes, size, offset * 37);
		err = code(n);
		done = n > 0 ? (size_t)n : 0;
	}
	uint32_t sum = 0;
	for (size_t i = 0; err == 0 && i < done; i++)
		sum = sum * 31 + bytes[i];
	note(run, "data %d %zu %u\n", err, err == 0 ? done : 0, sum);
}

static void link_text_note(struct run *run, const char *path)
{
	char text[PATH_SIZE];
	size_t done = 0;
	int32_t err;

	if (run->ours != NULL) {
		err = tb_readlink(run->ours, TB_AT_FDCWD, path, text, sizeof text, &done);
	} else {
		ssize_t n = readlink(path, text, sizeof text);
		err = code(n);
		done = n > 0 ? (size_t)n : 0;
	}
	note(run, "readlink %d %.*s\n", err, err == 0 ? (int)done : 0, text);
}

static void user_set(struct run *run, uint32_t uid)
{
	run->uid = uid;
	if (run->ours != NULL) {
		if (tb_set_user(run->ours, uid, uid, NULL, 0) != 0)
			abort();
		return;
	}
	if (seteuid(0) != 0 || setegid(uid) != 0 || seteuid(uid) != 0)
		abort();
}

#define BOTH(our_call, host_call) (run->ours != NULL ? (our_call) : code(host_call))

static void names_change(struct run *run, uint32_t what)
{
	char path[PATH_SIZE], other[PATH_SIZE] = "";
	const char *a = path_take(run, path);
	int32_t err = 0;

	switch (what) {
	case 0:
		err = BOTH(tb_mkdir(run->ours, TB_AT_FDCWD, a, 0755), mkdir(a, 0755));
		break;
	case 1:
		err = BOTH(tb_unlink(run->ours, TB_AT_FDCWD, a, 0), unlink(a));
		break;
	case 2:
		err = BOTH(tb_unlink(run->ours, TB_AT_FDCWD, a, TB_AT_REMOVEDIR), rmdir(a));
		break;
	case 3: {
		uint32_t flags = take(run) % 4;
		const char *b = path_take(run, other);
		err = BOTH(tb_rename(run->ours, TB_AT_FDCWD, a, TB_AT_FDCWD, b, flags),
			   syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags));
		break;
	}
	case 4: {
		const char *b = path_take(run, other);
		if (run->uid != 0)
			break; // fs.protected_hardlinks may be set, which we do not have
		err = BOTH(tb_link(run->ours, TB_AT_FDCWD, a, TB_AT_FDCWD, b, 0), linkat(AT_FDCWD, a, AT_FDCWD, b, 0));
		break;
	}
	default: {
		const char *b = path_take(run, other);
		err = BOTH(tb_symlink(run->ours, a, TB_AT_FDCWD, b), symlink(a, b));
	}
	}
	note(run, "names %u %.40s %.40s: %d\n", what, a, what >= 3 ? other : "", err);
}

static void attributes_change(struct run *run, uint32_t what)
{
	char path[PATH_SIZE];
	const char *a = path_take(run, path);
	uint32_t value = take(run) | take(run) << 8;
	int32_t err = 0;

	switch (what) {
	case 0: // without the sticky bit: fs.protected_symlinks and its kin look at it
		err = BOTH(tb_chmod(run->ours, TB_AT_FDCWD, a, value & 06777, 0), chmod(a, value & 06777));
		break;
	case 1:
		err = BOTH(tb_chown(run->ours, TB_AT_FDCWD, a, value % 3 * 1000, value / 3 % 3 * 1000, 0),
			   chown(a, value % 3 * 1000, value / 3 % 3 * 1000));
		break;
	case 2:
		err = BOTH(tb_truncate(run->ours, TB_AT_FDCWD, a, value), truncate(a, value));
		break;
	default:
		err = BOTH(tb_access(run->ours, TB_AT_FDCWD, a, value & 7, 0),
			   faccessat(AT_FDCWD, a, value & 7, AT_EACCESS));
	}
	note(run, "attributes %u %.40s %o: %d\n", what, a, value, err);
}

static void step(struct run *run)
{
	char path[PATH_SIZE];
	uint32_t what = take(run);
	uint32_t slot = take(run) % FDS;

	switch (what % 20) {
	case 0 ... 5:
		names_change(run, what % 20);
		break;
	case 6 ... 9:
		attributes_change(run, what % 20 - 6);
		break;
	case 10:
	case 11: {
		uint32_t flags = take(run), mode = take(run) << 1;
		open_note(run, path_take(run, path), flags, mode, slot);
		break;
	}
	case 12:
	case 13: {
		uint32_t offset = take(run), size = take(run);
		data_note(run, what % 20 - 12, run->fds[slot], offset, size);
		break;
	}
	case 14:
		note(run, "chdir %d\n", BOTH(tb_chdir(run->ours, path_take(run, path)), chdir(path_take(run, path))));
		break;
	case 15:
		names_note(run, path_take(run, path));
		break;
	case 16:
		link_text_note(run, path_take(run, path));
		break;
	case 17:
		user_set(run, slot % 3 * 1000);
		break;
	default:
		stat_note(run, path_take(run, path), (what & 1) != 0);
	}
}

static void program_run(struct run *run, const uint8_t *bytes, size_t size)
{
	run->at = bytes;
	run->end = bytes + size;
	run->used = 0;
	run->log[0] = '\0';
	for (uint32_t i = 0; i < FDS; i++)
		run->fds[i] = -1;
	while (run->at < run->end)
		step(run);
	user_set(run, 0);
	for (uint32_t i = 0; i < FDS; i++)
		if (run->fds[i] >= 0 &&
		    (run->ours != NULL ? tb_close(run->ours, run->fds[i]) : close(run->fds[i])) != 0)
			abort();
}

// ---- the host's side, in a process of its own ----------------------------------------------------------------------------

static void remove_below(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) == 0)
			continue;
		int below = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (below >= 0)
			remove_below(below);
		unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

_Noreturn static void helper_main(int socket, const char *folder)
{
	static struct run run;
	static uint8_t program[PROGRAM_MAX];
	unsigned number = 0;
	ssize_t size;

	int top = open("/", O_RDONLY | O_DIRECTORY);
	umask(022);
	if (chdir(folder) != 0 || chroot(".") != 0)
		_exit(1);
	while ((size = read(socket, program, sizeof program)) > 0) {
		char name[16];
		int outside = open("/", O_RDONLY | O_DIRECTORY);
		snprintf(name, sizeof name, "/w%u", number++);
		if (mkdir(name, 0755) != 0 || chdir(name) != 0 || chroot(".") != 0)
			_exit(2);
		program_run(&run, program, (size_t)size);
		if (fchdir(outside) != 0 || chroot(".") != 0)
			_exit(3);
		remove_below(outside);
		if (write(socket, run.log, run.used + 1) != (ssize_t)(run.used + 1))
			_exit(4);
	}
	remove_below(open("/", O_RDONLY | O_DIRECTORY));
	_exit(fchdir(top) != 0 || chroot(".") != 0 || rmdir(folder) != 0);
}

static int helper_start(void)
{
	static char folder[] = "/dev/shm/tbos-fuzz-XXXXXX";
	int pair[2];

	if (mkdtemp(folder) == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		abort();
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		helper_main(pair[1], folder);
	}
	close(pair[1]);
	return pid > 0 ? pair[0] : -1;
}

// ---- both ----------------------------------------------------------------------------------------------------------------

static tb_instance *instance;
static tb_context *admin;

static void console_drop(void *ctx, const char *bytes, size_t size)
{
	(void)ctx;
	(void)bytes;
	(void)size;
}

static void instance_make(void)
{
	struct tb_config config;

	tb_config_init(&config);
	config.cpu_count = 1;
	config.mem_bytes = 32u << 20;
	config.flags = TB_CONFIG_QUIET;
	config.write_fn = console_drop;
	if (tb_create(&config, &instance) != 0 || tb_boot(instance) != 0 || tb_context_create(instance, &admin) != 0 ||
	    tb_mkdir(admin, TB_AT_FDCWD, "/w", 0755) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct run run;
	static char host_log[LOG_SIZE];
	static int helper = -1;
	static unsigned inputs;

	if (size == 0 || size > PROGRAM_MAX)
		return 0;
	if (helper < 0) {
		helper = helper_start();
		instance_make();
	}
	if (write(helper, bytes, size) != (ssize_t)size)
		abort();
	if (tb_mount(admin, "w", "/w", "tmpfs", 0, "mode=755") != 0 || tb_context_create(instance, &run.ours) != 0 ||
	    tb_chroot(run.ours, "/w") != 0 || tb_chdir(run.ours, "/") != 0)
		abort();
	program_run(&run, bytes, size);
	if (tb_context_destroy(run.ours) != 0 || tb_umount(admin, "/w", 0) != 0)
		abort();
	ssize_t got;
	while ((got = read(helper, host_log, sizeof host_log)) < 0 && errno == EINTR) // the fuzzer's alarm
		;
	if (got <= 0)
		abort();
	if (strcmp(run.log, host_log) != 0) {
		fprintf(stderr, "fuzz_files: ours:\n%s\nthe host's:\n%s\n", run.log, host_log);
		abort();
	}
	int32_t status = 0;
	if (++inputs % CHECK_EVERY == 0 && (tb_command(instance, "check", &status) != 0 || status != 0))
		abort();
	return 0;
}
