// SPDX-License-Identifier: MIT
//
// Hosted runner of the test bodies. Each body gets an instance of its own in a process of its own, so that a panic, a
// crash or a hang is one failed test; under the sim engine the process repeats the body for every seed asked for. cmocka
// drives and prints TAP. A failure names the command that repeats it.
#include "test_entry.h"
#include "tbos/tbos.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CONSOLE_KEEP 16384
#define TESTS_MAX 4096

struct options {
	const char *program;
	enum tb_engine engine;
	uint32_t cpus;
	uint64_t mem_bytes;
	uint64_t first_seed;
	uint64_t seeds;
	uint64_t sequential; // most seeds for a body with nothing to interleave
	uint32_t timeout_s;
	const char *policy;
	const char *filter;
	bool slow;
	bool list;
	bool verbose;
};

static struct options options = {.cpus = CONFIG_TINY ? 1 : 4,
				 .mem_bytes = CONFIG_TINY ? 2u << 20 : 64u << 20,
				 .first_seed = 1,
				 .seeds = 1,
				 .sequential = UINT64_MAX,
				 .timeout_s = 60,
				 .policy = "random"};

// Shared with the child: what it found.
struct outcome {
	char reason[1024];
	char console[CONSOLE_KEEP];
	size_t console_size;
	uint64_t seed;
	uint64_t checks;
	uint64_t decisions;
	uint64_t seeds;
	bool concurrent;
	bool failed;
};

static struct outcome *outcome;

// Over all bodies.
static struct {
	uint64_t bodies, concurrent, seeds, decisions;
} totals;

static void console_keep(void *ctx, const char *bytes, size_t size)
{
	(void)ctx;
	size_t room = CONSOLE_KEEP - 1 - outcome->console_size;
	if (size > room) {
		size_t drop = size < CONSOLE_KEEP / 2 ? CONSOLE_KEEP / 2 : outcome->console_size;
		if (drop > outcome->console_size)
			drop = outcome->console_size;
		memmove(outcome->console, outcome->console + drop, outcome->console_size - drop);
		outcome->console_size -= drop;
		room = CONSOLE_KEEP - 1 - outcome->console_size;
	}
	if (size > room)
		size = room;
	memcpy(outcome->console + outcome->console_size, bytes, size);
	outcome->console_size += size;
	if (options.verbose)
		fwrite(bytes, 1, size, stderr);
}

__attribute__((__format__(__printf__, 1, 2))) static void outcome_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(outcome->reason, sizeof outcome->reason, format, args);
	va_end(args);
	outcome->failed = true;
}

static void config_make(struct tb_config *config, const struct tb_test_info *info, uint64_t seed)
{
	tb_config_init(config);
	config->engine = options.engine;
	config->flags = TB_CONFIG_QUIET;
	config->cpu_count = info->cpus > options.cpus ? info->cpus : options.cpus;
	config->mem_bytes = options.mem_bytes;
	config->seed = seed;
	config->policy = options.policy;
	config->write_fn = console_keep;
	config->input_fd = -1;
}

static void judge(const struct tb_test_info *info, const struct tb_test_call *call, tb_err err, const char *error)
{
	if (info->flags & TB_TEST_PANICS) {
		if (err == 0)
			outcome_fail("did not panic");
		else if (strstr(outcome->console, info->expect) == NULL)
			outcome_fail("panicked without '%s'", info->expect);
		return;
	}
	if (err != 0)
		outcome_fail("tb_call: error %d: %s", err, error);
	else if (call->failures != 0)
		outcome_fail("%u of %u checks failed; first: %s", call->failures, call->checks, call->message);
	else if (call->checks == 0)
		outcome_fail("no check was made");
}

static void run_once(uint32_t index, const struct tb_test_info *info, uint64_t seed)
{
	struct tb_config config;
	struct tb_test_call call = {.index = index};
	struct tb_sim_stats stats;
	tb_instance *instance;

	outcome->seed = seed;
	outcome->console_size = 0;
	memset(outcome->console, 0, sizeof outcome->console);
	config_make(&config, info, seed);
	tb_err err = tb_create(&config, &instance);
	if (err != 0) {
		outcome_fail("tb_create: error %d: %s", err, tb_error(NULL));
		return;
	}
	err = tb_boot(instance);
	if (err != 0)
		outcome_fail("tb_boot: error %d: %s", err, tb_error(instance));
	else
		judge(info, &call, tb_call(instance, tb_test_body, &call, NULL), tb_error(instance));
	outcome->checks += call.checks;
	outcome->concurrent |= call.concurrent != 0;
	if (options.engine == TB_ENGINE_SIM && tb_sim_stats(instance, &stats) == 0)
		outcome->decisions += stats.decisions;
	err = tb_destroy(instance);
	if (err != 0 && !outcome->failed && !(info->flags & TB_TEST_PANICS))
		outcome_fail("tb_destroy: error %d", err);
}

static void run_child(uint32_t index, const struct tb_test_info *info)
{
	uint64_t seeds = options.engine == TB_ENGINE_SIM ? options.seeds : 1;
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		signal(signals[i], SIG_DFL);
	for (uint64_t i = 0; i < seeds && !outcome->failed; i++) {
		run_once(index, info, options.first_seed + i);
		outcome->seeds++;
		if (!outcome->concurrent && outcome->seeds >= options.sequential)
			break;
	}
	fflush(NULL);
	_exit(outcome->failed ? 1 : 0);
}

static bool wait_child(pid_t child, int *status)
{
	struct timespec pause = {.tv_nsec = 1000000};
	uint64_t waited_ms = 0;

	while (waitpid(child, status, WNOHANG) == 0) {
		if (waited_ms++ > (uint64_t)options.timeout_s * 1000) {
			kill(child, SIGKILL);
			waitpid(child, status, 0);
			return false;
		}
		nanosleep(&pause, NULL);
	}
	return true;
}

static void execute_test(void **state)
{
	uint32_t index = (uint32_t)(uintptr_t)*state;
	struct tb_test_info info;
	int status = 0;

	tb_test_describe(index, &info);
	memset(outcome, 0, sizeof *outcome);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		run_child(index, &info);
	bool in_time = child > 0 && wait_child(child, &status);
	if (!in_time)
		outcome_fail("no end within %u s", options.timeout_s);
	else if (WIFSIGNALED(status))
		outcome_fail("killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0 && !outcome->failed)
		outcome_fail("exit status %d", WEXITSTATUS(status));
	totals.bodies++;
	totals.concurrent += outcome->concurrent;
	totals.seeds += outcome->seeds;
	totals.decisions += outcome->decisions;
	if (!outcome->failed)
		return;
	print_error("# %s.%s: %s\n# console:\n%s\n# again: %s --engine %s --cpus %u --mem %llu --seed %llu --policy %s "
		    "%s.%s\n",
		    info.suite, info.name, outcome->reason, outcome->console, options.program,
		    options.engine == TB_ENGINE_SIM ? "sim" : "threads", options.cpus,
		    (unsigned long long)(options.mem_bytes >> 20), (unsigned long long)outcome->seed, options.policy,
		    info.suite, info.name);
	fail_msg("%s.%s: %s", info.suite, info.name, outcome->reason);
}

static bool wanted(const struct tb_test_info *info)
{
	char full[256];
	bool sim = options.engine == TB_ENGINE_SIM;
	if (info->cpus > CONFIG_MAX_CPUS) // a small machine's kernel has one
		return false;
	if ((info->flags & TB_TEST_SLOW) && !options.slow)
		return false;
	if ((info->flags & TB_TEST_THREADS_ONLY) && sim)
		return false;
	if ((info->flags & TB_TEST_SIM_ONLY) && !sim)
		return false;
	snprintf(full, sizeof full, "%s.%s", info->suite, info->name);
	return options.filter == NULL || strncmp(full, options.filter, strlen(options.filter)) == 0;
}

static int run_all(void)
{
	static struct CMUnitTest tests[TESTS_MAX];
	static char names[TESTS_MAX][128];
	size_t count = 0;

	for (uint32_t i = 0; i < tb_test_count() && count < TESTS_MAX; i++) {
		struct tb_test_info info;
		tb_test_describe(i, &info);
		if (!wanted(&info))
			continue;
		snprintf(names[count], sizeof names[count], "%s.%s", info.suite, info.name);
		if (options.list)
			puts(names[count]);
		tests[count] = (struct CMUnitTest){
			.name = names[count], .test_func = execute_test, .initial_state = (void *)(uintptr_t)i};
		count++;
	}
	if (options.list)
		return 0;
	if (count == 0) {
		fprintf(stderr, "%s: no test is named %s\n", options.program, options.filter);
		return 2;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	int failed = _cmocka_run_group_tests("tbos", tests, count, NULL, NULL);
	if (options.engine == TB_ENGINE_SIM && CONFIG_TINY)
		printf("# %llu instances, %llu decisions\n", (unsigned long long)totals.seeds,
		       (unsigned long long)totals.decisions);
	else if (options.engine == TB_ENGINE_SIM)
		printf("# %llu bodies, %llu of them with threads or timers; %llu instances, %llu decisions\n",
		       (unsigned long long)totals.bodies, (unsigned long long)totals.concurrent,
		       (unsigned long long)totals.seeds, (unsigned long long)totals.decisions);
	return failed != 0;
}

static const char usage[] =
	"usage: %s [options] [SUITE[.NAME]]\n"
	"  --engine threads|sim   engine (threads)\n"
	"  --cpus N               CPUs of each instance, at least what the body wants (4; small machines: 1)\n"
	"  --mem MIB              memory of each instance (64; small machines: 2)\n"
	"  --seed N --seeds COUNT sim: first seed (1) and how many (1)\n"
	"  --sequential COUNT     most seeds for a body that starts no thread and arms no timer\n"
	"  --policy P             sim: rr, random, pct:D (random)\n"
	"  --timeout S            limit for each body (60)\n"
	"  --slow                 slow bodies too\n"
	"  --list                 names only\n"
	"  --verbose              console to stderr\n";

static bool parse(int argc, char **argv)
{
	static const struct option longs[] = {{"engine", 1, NULL, 'e'},  {"cpus", 1, NULL, 'c'},
					      {"mem", 1, NULL, 'm'},     {"seed", 1, NULL, 's'},
					      {"seeds", 1, NULL, 'n'},   {"policy", 1, NULL, 'p'},
					      {"timeout", 1, NULL, 't'}, {"slow", 0, NULL, 'S'},
					      {"list", 0, NULL, 'l'},    {"sequential", 1, NULL, 'q'},
					      {"verbose", 0, NULL, 'v'}, {"help", 0, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int c;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'e':
			if (strcmp(optarg, "sim") != 0 && strcmp(optarg, "threads") != 0)
				return false;
			options.engine = strcmp(optarg, "sim") == 0 ? TB_ENGINE_SIM : TB_ENGINE_THREADS;
			break;
		case 'c':
			options.cpus = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			options.mem_bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case 's':
			options.first_seed = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			options.seeds = strtoull(optarg, NULL, 10);
			break;
		case 'q':
			options.sequential = strtoull(optarg, NULL, 10);
			break;
		case 'p':
			options.policy = optarg;
			break;
		case 't':
			options.timeout_s = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'S':
			options.slow = true;
			break;
		case 'l':
			options.list = true;
			break;
		case 'v':
			options.verbose = true;
			break;
		default:
			return false;
		}
	}
	if (optind < argc)
		options.filter = argv[optind];
	return true;
}

int main(int argc, char **argv)
{
	options.program = argv[0];
	if (!parse(argc, argv)) {
		fprintf(stderr, usage, argv[0]);
		return 2;
	}
	outcome = mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcome == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	return run_all();
}
