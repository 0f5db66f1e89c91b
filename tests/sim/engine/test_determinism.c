// SPDX-License-Identifier: MIT
//
// What must not change a run (slot, address space layout, environment, load, a watcher) and what must (seed, policy, any input).
#include "engine.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

static void same_seed_same_run(void)
{
	static const char *const policies[] = {"rr", "random", "pct:1", "pct:3", "pct:3:500"};
	for (unsigned i = 0; i < sizeof(policies) / sizeof(policies[0]); ++i) {
		struct tb_config config;
		struct engine_run first, second;
		engine_config(&config);
		config.policy = policies[i];
		engine_run(&config, engine_workload, &first);
		engine_run(&config, engine_workload, &second);
		CHECK_ERR(first.boot, 0);
		CHECK(first.stats.decisions > 500);
		engine_check(engine_same(&first, &second), __FILE__, __LINE__, "%s: two runs differ", policies[i]);
	}
}

static void other_slot_same_run(void)
{
	struct tb_config config;
	struct engine_run first, second;
	engine_config(&config);
	engine_run(&config, engine_workload, &first);
	config.slot = 60;
	engine_run(&config, engine_workload, &second);
	CHECK(engine_same(&first, &second));
}

// The tests above would pass if nothing were hashed.
static void address_would_show(void)
{
	static const char *const commands[] = {"address", NULL};
	struct tb_config config;
	struct engine_run first, second;
	engine_config(&config);
	engine_run(&config, commands, &first);
	config.slot = 60;
	engine_run(&config, commands, &second);
	CHECK(first.errs[0] == 0 && second.errs[0] == 0);
	CHECK(!engine_same(&first, &second));
}

// ---- other processes --------------------------------------------------------------------------------------------------

enum circumstance {
	PLAIN,
	NO_RANDOM_LAYOUT,
	EMPTY_ENVIRONMENT,
	LARGE_ENVIRONMENT,
	OTHER_SLOT
};

static void child(enum circumstance how, int out)
{
	static char large[100000] = "LARGE=";
	char *empty[] = {NULL}, *full[] = {large, NULL};
	char *arguments[] = {"sim-engine", "hash", how == OTHER_SLOT ? "17" : NULL, NULL};
	memset(large + 6, 'x', sizeof(large) - 7);
	dup2(out, STDOUT_FILENO);
	if (how == NO_RANDOM_LAYOUT)
		personality(ADDR_NO_RANDOMIZE);
	if (how == EMPTY_ENVIRONMENT)
		execve("/proc/self/exe", arguments, empty);
	else if (how == LARGE_ENVIRONMENT)
		execve("/proc/self/exe", arguments, full);
	else
		execv("/proc/self/exe", arguments);
	_exit(127);
}

static void hash_elsewhere(enum circumstance how, char hex[65])
{
	int ends[2], status;
	memset(hex, 0, 65);
	CHECK(pipe(ends) == 0);
	pid_t pid = fork();
	if (pid == 0)
		child(how, ends[1]);
	close(ends[1]);
	size_t size = 0;
	for (ssize_t got; size < 64 && (got = read(ends[0], hex + size, 64 - size)) > 0;)
		size += (size_t)got;
	close(ends[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(status == 0);
	CHECK(size == 64);
}

static void circumstances_change_nothing(void)
{
	char plain[65], other[65];
	hash_elsewhere(PLAIN, plain);
	for (enum circumstance how = PLAIN; how <= OTHER_SLOT; ++how) {
		hash_elsewhere(how, other);
		engine_check(strcmp(plain, other) == 0, __FILE__, __LINE__, "circumstance %d: %s, not %s", how, other,
			     plain);
	}
}

static void load_changes_nothing(void)
{
	char plain[65], loaded[65];
	pid_t hogs[4];
	hash_elsewhere(PLAIN, plain);
	for (unsigned i = 0; i < 4; ++i) {
		hogs[i] = fork();
		for (volatile unsigned n = 0; hogs[i] == 0; ++n)
			;
	}
	for (unsigned i = 0; i < 5; ++i) {
		hash_elsewhere(PLAIN, loaded);
		CHECK(strcmp(plain, loaded) == 0);
	}
	for (unsigned i = 0; i < 4; ++i) {
		kill(hogs[i], SIGKILL);
		waitpid(hogs[i], NULL, 0);
	}
}

// ---- watching -----------------------------------------------------------------------------------------------------------

static void trace_count(void *ctx, const struct tb_trace_record *record)
{
	unsigned *counts = ctx;
	++counts[record->event < 16 ? record->event : 0];
}

static void watching_changes_nothing(void)
{
	struct tb_config config;
	struct engine_run first, second;
	unsigned counts[16] = {0};
	engine_config(&config);
	engine_run(&config, engine_workload, &first);
	config.flags |= TB_CONFIG_TRACE;
	config.trace_fn = trace_count;
	config.trace_ctx = counts;
	engine_run(&config, engine_workload, &second);
	CHECK(counts[2] > 10);
	CHECK(engine_same(&first, &second));
}

// ---- what must change it ------------------------------------------------------------------------------------------------

static void differs(const struct tb_config *a, const char *const *a_commands, const struct tb_config *b,
		    const char *const *b_commands, int line)
{
	struct engine_run first, second;
	engine_run(a, a_commands, &first);
	engine_run(b, b_commands, &second);
	engine_check(first.create == 0 && second.create == 0, __FILE__, line, "no run");
	engine_check(memcmp(first.stats.trace_hash, second.stats.trace_hash, 32) != 0, __FILE__, line, "the same hash");
}

static void options_change_it(void)
{
	struct tb_config base, other;
	engine_config(&base);
	other = base;
	other.seed = 2;
	differs(&base, engine_workload, &other, engine_workload, __LINE__);
	other = base;
	other.policy = "rr";
	differs(&base, engine_workload, &other, engine_workload, __LINE__);
	other = base;
	other.cpu_count = 4;
	differs(&base, engine_workload, &other, engine_workload, __LINE__);
	other = base;
	other.mem_bytes = 32u << 20;
	differs(&base, engine_workload, &other, engine_workload, __LINE__);
}

static void command_byte_changes_it(void)
{
	static const char *const a[] = {"entropy", "nonsense a", NULL}, *const b[] = {"entropy", "nonsense b", NULL};
	struct tb_config config;
	engine_config(&config);
	differs(&config, a, &config, b, __LINE__);
}

static void module_byte_changes_it(void)
{
	char path[128], command[160];
	const char *const commands[] = {command, NULL};
	uint8_t content[1000] = {0};
	struct tb_config config;
	struct engine_run first, again, other;
	engine_config(&config);
	engine_path(path, sizeof(path), "module");
	snprintf(command, sizeof(command), "module %s", path);
	content[777] = 1;
	engine_file_write(path, content, sizeof(content));
	engine_run(&config, commands, &first);
	engine_run(&config, commands, &again);
	// Another place, so that the sum which the kernel sees is the same.
	content[777] = 0;
	content[778] = 1;
	engine_file_write(path, content, sizeof(content));
	engine_run(&config, commands, &other);
	CHECK(first.errs[0] == 0 && first.statuses[0] == 1 && other.statuses[0] == 1);
	CHECK(engine_same(&first, &again));
	CHECK(memcmp(first.stats.trace_hash, other.stats.trace_hash, 32) != 0);
}

// Runs the monitor on what a pipe gives, written in pieces of `piece` bytes by another thread.
struct feeder {
	int fd;
	const char *text;
	size_t piece;
};

static void *feed(void *arg)
{
	const struct feeder *feeder = arg;
	size_t left = strlen(feeder->text);
	for (const char *next = feeder->text; left > 0;) {
		size_t part = feeder->piece < left ? feeder->piece : left;
		CHECK(write(feeder->fd, next, part) == (ssize_t)part);
		next += part;
		left -= part;
		usleep(200);
	}
	close(feeder->fd);
	return NULL;
}

static int32_t console_run(const char *text, size_t piece, struct tb_sim_stats *stats)
{
	struct tb_config config;
	tb_instance *instance;
	pthread_t thread;
	int ends[2];
	int32_t status = -1;
	CHECK(pipe(ends) == 0);
	struct feeder feeder = {ends[1], text, piece};
	engine_config(&config);
	config.flags |= TB_CONFIG_MONITOR;
	config.input_fd = ends[0];
	CHECK(pthread_create(&thread, NULL, feed, &feeder) == 0);
	CHECK_ERR(tb_create(&config, &instance), 0);
	CHECK_ERR(tb_boot(instance), 0);
	CHECK_ERR(tb_wait(instance, &status), 0);
	CHECK_ERR(tb_sim_stats(instance, stats), 0);
	CHECK_ERR(tb_destroy(instance), 0);
	pthread_join(thread, NULL);
	close(ends[0]);
	return status;
}

static void console_bytes(void)
{
	static const char text[] = "count 2 30\nsleep 2 100000\nnonsense a\nentropy\nhalt 7\n";
	static const char other[] = "count 2 30\nsleep 2 100000\nnonsense b\nentropy\nhalt 7\n";
	struct tb_sim_stats first, again, changed;
	CHECK(console_run(text, 100, &first) == 7);
	CHECK(console_run(text, 1, &again) == 7);
	CHECK(console_run(other, 5, &changed) == 7);
	CHECK(memcmp(&first, &again, sizeof(first)) == 0);
	CHECK(memcmp(first.trace_hash, changed.trace_hash, 32) != 0);
}

static void console_end(void)
{
	struct tb_sim_stats stats;
	CHECK(console_run("", 1, &stats) == 0);
	CHECK(console_run("nonsense", 1, &stats) == (-2 & 0xff));
}

const struct engine_test engine_determinism_tests[] = {
	{"the same seed gives the same run", same_seed_same_run},
	{"another slot gives the same run", other_slot_same_run},
	{"an address in the trace would show", address_would_show},
	{"layout and environment change nothing", circumstances_change_nothing},
	{"load changes nothing", load_changes_nothing},
	{"watching changes nothing", watching_changes_nothing},
	{"every option changes the run", options_change_it},
	{"a byte of a command changes the run", command_byte_changes_it},
	{"a byte of a module changes the run", module_byte_changes_it},
	{"console input is the same however it comes, and a byte of it changes the run", console_bytes},
	{"the end of console input arrives", console_end},
	{NULL, NULL},
};
