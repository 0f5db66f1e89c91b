// SPDX-License-Identifier: MIT
//
// The host refuses. Everything that the hosted HAL asks of libc, libuv and Linux between tb_create() and tb_destroy() is counted (the
// linker's --wrap sends those calls here), and one call after the other is made to fail, each in a process of its own. What is asked: an
// error that has a reason, or a success; no descriptor and no mapping of a slot left; and that the next instance works as ever.
#include "tbos/tbos.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define CALLS_MAX 400u
#define SECONDS_MAX 60u

// Shared with the child that makes the run.
static struct shared {
	unsigned calls;   // that could have failed
	unsigned fail_at; // 0: none
	bool armed;
	char failed[32]; // which did
	char trouble[200];
	tb_err err;
} * shared;

static bool refuses(const char *name)
{
	if (shared == NULL || !__atomic_load_n(&shared->armed, __ATOMIC_ACQUIRE))
		return false;
	if (__atomic_add_fetch(&shared->calls, 1, __ATOMIC_ACQ_REL) != shared->fail_at)
		return false;
	snprintf(shared->failed, sizeof shared->failed, "%s", name);
	return true;
}

// ---- what the linker puts in the place of the host's functions --------------------------------------------------------------

// A refused call returns `refusal`, with errno set. Files of 64-bit sizes have names of their own.
#define WRAP(type, name, params, args, refusal, error)                                                                 \
	type __real_##name params;                                                                                     \
	type __wrap_##name params;                                                                                     \
	type __wrap_##name params                                                                                      \
	{                                                                                                              \
		if (!refuses(#name))                                                                                   \
			return __real_##name args;                                                                     \
		errno = (error);                                                                                       \
		return (refusal);                                                                                      \
	}

WRAP(void *, malloc, (size_t size), (size), NULL, ENOMEM)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL, ENOMEM)
WRAP(void *, aligned_alloc, (size_t align, size_t size), (align, size), NULL, ENOMEM)
WRAP(char *, strdup, (const char *text), (text), NULL, ENOMEM)
WRAP(void *, mmap64, (void *at, size_t size, int prot, int flags, int fd, off_t offset),
     (at, size, prot, flags, fd, offset), MAP_FAILED, ENOMEM)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1, EMFILE)
WRAP(int, ftruncate64, (int fd, off_t size), (fd, size), -1, ENOSPC)
WRAP(int, sigaltstack, (const stack_t *now, stack_t *old), (now, old), -1, ENOMEM)
WRAP(int, pthread_create, (pthread_t * thread, const pthread_attr_t *attr, void *(*entry)(void *), void *arg),
     (thread, attr, entry, arg), EAGAIN, EAGAIN)
WRAP(int, uv_loop_init, (uv_loop_t * loop), (loop), UV_EMFILE, EMFILE)
WRAP(int, uv_async_init, (uv_loop_t * loop, uv_async_t *async, uv_async_cb fn), (loop, async, fn), UV_EMFILE, EMFILE)
WRAP(int, uv_poll_init, (uv_loop_t * loop, uv_poll_t *poll, int fd), (loop, poll, fd), UV_EPERM, EPERM)
WRAP(int, uv_thread_create, (uv_thread_t * thread, uv_thread_cb entry, void *arg), (thread, entry, arg), UV_EAGAIN,
     EAGAIN)

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (!refuses("open"))
		return __real_open64(path, flags, mode);
	errno = EMFILE;
	return -1;
}

// ---- one run ---------------------------------------------------------------------------------------------------------------

struct scenario {
	const char *name;
	uint32_t engine;
	const char *typed;
	bool record;
	unsigned calls_min;
	bool no_timers; // Linux itself refuses timer_create()
	bool elsewhere; // destroyed by a host thread that the library has not seen before
};

static const struct scenario scenarios[] = {
	{.name = "threads", .engine = TB_ENGINE_THREADS, .calls_min = 15},
	{.name = "threads-console", .engine = TB_ENGINE_THREADS, .typed = "ps\n", .calls_min = 18},
	{.name = "sim", .engine = TB_ENGINE_SIM, .calls_min = 8},
	{.name = "sim-console-record", .engine = TB_ENGINE_SIM, .typed = "ps\n", .record = true, .calls_min = 10},
	{.name = "threads-elsewhere", .engine = TB_ENGINE_THREADS, .calls_min = 15, .elsewhere = true},
	{.name = "sim-elsewhere", .engine = TB_ENGINE_SIM, .calls_min = 8, .elsewhere = true},
	{.name = "no-timers", .engine = TB_ENGINE_THREADS, .no_timers = true},
};

static void discard(void *ctx, const char *bytes, size_t size)
{
	(void)ctx;
	(void)bytes;
	(void)size;
}

static unsigned descriptors_count(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir != NULL)
		closedir(dir);
	return count;
}

// Mappings in the address range of the slots.
static unsigned slots_count(void)
{
	unsigned count = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
		count += strstr(line, "memfd:tbos-") != NULL;
	if (maps != NULL)
		fclose(maps);
	return count;
}

static int typed_open(const char *typed)
{
	int fds[2];
	if (typed == NULL || pipe(fds) != 0)
		return -1;
	if (write(fds[1], typed, strlen(typed)) < 0)
		_exit(2);
	close(fds[1]);
	return fds[0];
}

static tb_err use(tb_instance *instance, const struct scenario *scenario)
{
	int32_t status = 0;
	tb_err err = tb_boot(instance);
	if (err == 0 && scenario->typed != NULL)
		return tb_wait(instance, &status);
	if (err == 0)
		err = tb_command(instance, "ps; stress --workers 3 --events 50; stress --trace /dev/null", &status);
	return err;
}

struct ending {
	tb_instance *instance;
	tb_err err;
};

static void *ending_main(void *arg)
{
	struct ending *ending = arg;
	ending->err = tb_destroy(ending->instance);
	return NULL;
}

// An instance that could not be destroyed for want of memory is still there.
static tb_err destroy(tb_instance *instance, const struct scenario *scenario)
{
	struct ending ending = {.instance = instance, .err = -EBUSY};
	pthread_t thread;
	if (scenario->elsewhere && pthread_create(&thread, NULL, ending_main, &ending) == 0)
		pthread_join(thread, NULL);
	return ending.err == -EBUSY ? tb_destroy(instance) : ending.err;
}

static tb_err one(const struct scenario *scenario, const char **trouble)
{
	struct tb_config config;
	tb_instance *instance = NULL;

	tb_config_init(&config);
	config.engine = scenario->engine;
	config.cpu_count = 3;
	config.mem_bytes = 16u << 20;
	config.flags = TB_CONFIG_QUIET | (scenario->typed != NULL ? TB_CONFIG_MONITOR : 0);
	config.persona = "super_1g";
	config.policy = scenario->engine == TB_ENGINE_SIM ? "pct:3" : NULL;
	config.record_path = scenario->record ? "/dev/null" : NULL;
	config.cmdline = "a=1";
	config.write_fn = discard;
	config.input_fd = typed_open(scenario->typed);
	__atomic_store_n(&shared->armed, true, __ATOMIC_RELEASE);
	tb_err err = tb_create(&config, &instance);
	tb_err end = 0;
	if (err != 0 && tb_error(NULL)[0] == '\0')
		*trouble = "tb_create() gave no reason";
	if (err == 0) {
		err = use(instance, scenario);
		if (err != 0 && tb_error(instance)[0] == '\0')
			*trouble = "no reason was given";
		end = destroy(instance, scenario);
	}
	__atomic_store_n(&shared->armed, false, __ATOMIC_RELEASE);
	if (config.input_fd >= 0)
		close(config.input_fd);
	if (err == -EIO || end == -EUCLEAN || end == -EBUSY)
		*trouble = "a panic, or something left inside";
	return err != 0 ? err : end;
}

static void child_main(const struct scenario *scenario)
{
	const char *trouble = NULL;
	struct rlimit none = {0, 0}, limit;
	uv_loop_t loop;

	alarm(SECONDS_MAX);
	if (uv_loop_init(&loop) != 0 || uv_loop_close(&loop) != 0) // libuv keeps two descriptors for good
		_exit(2);
	getrlimit(RLIMIT_SIGPENDING, &limit);
	unsigned before = descriptors_count();
	if (scenario->no_timers) {
		none.rlim_max = limit.rlim_max;
		setrlimit(RLIMIT_SIGPENDING, &none);
	}
	shared->err = one(scenario, &trouble);
	unsigned after = descriptors_count();
	if (trouble == NULL && slots_count() != 0)
		trouble = "a slot is still mapped";
	if (trouble == NULL && after != before)
		trouble = "descriptors are left";
	setrlimit(RLIMIT_SIGPENDING, &limit);
	shared->fail_at = 0;
	tb_err again = one(scenario, &trouble);
	if (trouble == NULL && again != 0)
		trouble = "the next instance does not work";
	if (trouble != NULL)
		snprintf(shared->trouble, sizeof shared->trouble, "%s: error %d, next %d, descriptors %u then %u",
			 trouble, shared->err, again, before, after);
	_exit(trouble != NULL);
}

// The number of calls that could have failed.
static unsigned run(const struct scenario *scenario, unsigned fail_at)
{
	int status = 0;

	memset(shared, 0, sizeof *shared);
	shared->fail_at = fail_at;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		child_main(scenario);
	if (child < 0 || waitpid(child, &status, 0) != child)
		exit(2);
	if (WIFSIGNALED(status))
		snprintf(shared->trouble, sizeof shared->trouble, "killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0 && shared->trouble[0] == '\0')
		snprintf(shared->trouble, sizeof shared->trouble, "exit status %d", WEXITSTATUS(status));
	return shared->calls;
}

static unsigned test, failures, injected, refused;

static void report(bool ok, const char *scenario, unsigned at)
{
	printf("%sok %u - host-faults.%s.%u %s\n", ok ? "" : "not ", ++test, scenario, at, shared->failed);
	if (!ok)
		printf("# %s; error %d, %u calls\n", shared->trouble, shared->err, shared->calls);
	failures += !ok;
}

static void examine(const struct scenario *scenario)
{
	run(scenario, 0);
	bool ok = shared->trouble[0] == '\0' && (shared->err == 0) == !scenario->no_timers &&
		  shared->calls >= scenario->calls_min;
	report(ok, scenario->name, 0);
	for (unsigned at = 1; ok && !scenario->no_timers && at < CALLS_MAX; at++) {
		run(scenario, at);
		if (shared->failed[0] == '\0' && shared->trouble[0] == '\0')
			break; // fewer calls than that
		injected++;
		refused += shared->err != 0;
		report(shared->trouble[0] == '\0', scenario->name, at);
	}
}

// Without a scenario: all of them.
int main(int argc, char **argv)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
		if (argc < 2 || strcmp(argv[1], scenarios[i].name) == 0)
			examine(&scenarios[i]);
	printf("1..%u\n# %u calls of the host refused, %u of them ended in an error, %u misbehaved\n", test, injected,
	       refused, failures);
	return failures != 0;
}
