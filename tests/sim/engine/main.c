// SPDX-License-Identifier: MIT
//
// Runner and helpers of the engine tests. `sim-engine GROUP…` runs groups; `sim-engine hash [SLOT]` prints the hash of the usual
// workload, for tests that start this program again under other circumstances.
#include "engine.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned failures; // under lock, of the running test
static char scratch[64];

void engine_check(bool ok, const char *file, int line, const char *format, ...)
{
	va_list args;
	if (ok)
		return;
	pthread_mutex_lock(&lock);
	if (failures++ < 10) {
		printf("# %s:%d: ", file, line);
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
		printf("\n");
	}
	pthread_mutex_unlock(&lock);
}

void engine_check_equal(int64_t got, int64_t wanted, const char *file, int line, const char *what)
{
	engine_check(got == wanted, file, line, "%s is %lld, not %lld", what, (long long)got, (long long)wanted);
}

void engine_check_has(const char *text, const char *part, const char *file, int line)
{
	engine_check(strstr(text, part) != NULL, file, line, "\"%s\" lacks \"%s\"", text, part);
}

void engine_note(const char *format, ...)
{
	va_list args;
	pthread_mutex_lock(&lock);
	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	pthread_mutex_unlock(&lock);
}

// ---- runs -------------------------------------------------------------------------------------------------------------

const char *const engine_workload[] = {"count 5 60", "sleep 4 70000", "relax 4 200", "entropy", NULL};

static void swallow(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	(void)bytes;
	(void)size_bytes;
}

void engine_config(struct tb_config *config)
{
	tb_config_init(config);
	config->engine = TB_ENGINE_SIM;
	config->cpu_count = 3;
	config->seed = 1;
	config->write_fn = swallow;
}

static void note_error(struct engine_run *run, const char *text)
{
	if (run->error[0] == '\0')
		snprintf(run->error, sizeof(run->error), "%s", text);
}

static void commands_run(tb_instance *instance, const char *const *commands, struct engine_run *run)
{
	for (unsigned i = 0; i < ENGINE_COMMANDS_MAX && commands[i] != NULL; ++i) {
		run->errs[i] = tb_command(instance, commands[i], &run->statuses[i]);
		if (run->errs[i] != 0)
			note_error(run, tb_error(instance));
	}
}

void engine_run(const struct tb_config *config, const char *const *commands, struct engine_run *run)
{
	tb_instance *instance;
	memset(run, 0, sizeof(*run));
	run->create = tb_create(config, &instance);
	if (run->create != 0) {
		note_error(run, tb_error(NULL));
		return;
	}
	run->boot = tb_boot(instance);
	if (run->boot == 0)
		commands_run(instance, commands, run);
	else
		note_error(run, tb_error(instance));
	CHECK_ERR(tb_sim_stats(instance, &run->stats), 0);
	run->destroy = tb_destroy(instance);
	if (run->destroy != 0)
		note_error(run, tb_error(NULL));
}

bool engine_same(const struct engine_run *a, const struct engine_run *b)
{
	return a->create == b->create && a->boot == b->boot && memcmp(a->errs, b->errs, sizeof(a->errs)) == 0 &&
	       memcmp(a->statuses, b->statuses, sizeof(a->statuses)) == 0 &&
	       memcmp(&a->stats, &b->stats, sizeof(a->stats)) == 0;
}

// ---- files and time -----------------------------------------------------------------------------------------------------

uint64_t engine_now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

char *engine_path(char *buffer, size_t size_bytes, const char *name)
{
	snprintf(buffer, size_bytes, "%s/%s", scratch, name);
	return buffer;
}

void engine_file_write(const char *path, const void *bytes, size_t size_bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	CHECK(fd >= 0);
	CHECK(write(fd, bytes, size_bytes) == (ssize_t)size_bytes);
	close(fd);
}

size_t engine_file_read(const char *path, void *bytes, size_t size_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = read(fd, bytes, size_bytes);
	CHECK(got > 0);
	close(fd);
	return got > 0 ? (size_t)got : 0;
}

static void scratch_remove(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
	if (system(command) != 0)
		perror("rm");
}

// ---- running tests ----------------------------------------------------------------------------------------------------

static const struct group {
	const char *name;
	const struct engine_test *tests;
} groups[] = {
	{"unit", engine_unit_tests},     {"log", engine_log_tests},       {"determinism", engine_determinism_tests},
	{"replay", engine_replay_tests}, {"policy", engine_policy_tests}, {"limit", engine_limit_tests},
	{"world", engine_world_tests},
};

static unsigned group_run(const struct group *group, unsigned *number)
{
	unsigned failed = 0;
	for (const struct engine_test *test = group->tests; test->name != NULL; ++test) {
		failures = 0;
		test->body();
		printf("%sok %u - %s: %s\n", failures == 0 ? "" : "not ", ++*number, group->name, test->name);
		fflush(stdout);
		failed += failures != 0;
	}
	return failed;
}

static int hash_print(const char *slot)
{
	struct tb_config config;
	struct engine_run run;
	engine_config(&config);
	config.slot = slot != NULL ? (uint32_t)atoi(slot) + 1 : 0;
	engine_run(&config, engine_workload, &run);
	for (unsigned i = 0; i < sizeof(run.stats.trace_hash); ++i)
		printf("%02x", run.stats.trace_hash[i]);
	printf("\n");
	return run.create != 0;
}

int main(int argc, char **argv)
{
	unsigned number = 0, failed = 0;
	if (argc > 1 && strcmp(argv[1], "hash") == 0)
		return hash_print(argc > 2 ? argv[2] : NULL);
	snprintf(scratch, sizeof(scratch), "/tmp/tbos-sim-engine-XXXXXX");
	if (mkdtemp(scratch) == NULL)
		return 1;
	for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); ++i) {
		bool wanted = argc == 1;
		for (int k = 1; k < argc; ++k)
			wanted = wanted || strcmp(argv[k], groups[i].name) == 0;
		if (wanted)
			failed += group_run(&groups[i], &number);
	}
	scratch_remove();
	printf("1..%u\n", number);
	return failed != 0 || number == 0;
}
