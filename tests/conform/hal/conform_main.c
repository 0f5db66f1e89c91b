// SPDX-License-Identifier: MIT
//
// Runner of the HAL's conformance tests: every body in an instance and a process of its own, then the host tests; TAP on
// standard output. Options: --engine threads|sim, --seed N, --seeds N, --policy P, --filter TEXT, --timeout S, --list.
#include "conform.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct conform_options conform_options = {.seed = 1, .timeout_s = 60};
struct console_text console_text;

static const char *filter;
static uint32_t seeds = 1;
static bool list_only;
static uint32_t number, failed;

// ---- helpers of the tests -----------------------------------------------------------------------------------------------------

static void console_keep(void *ctx, const char *bytes, size_t size)
{
	static uint32_t lock;
	(void)ctx;
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE) != 0)
		;
	for (size_t i = 0; i < size && console_text.size + 1 < sizeof console_text.text; i++)
		console_text.text[console_text.size++] = bytes[i];
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

struct tb_config config_of(uint32_t cpus)
{
	struct tb_config config;
	tb_config_init(&config);
	config.engine = conform_options.engine;
	config.cpu_count = cpus;
	config.persona = "mini";
	config.seed = conform_options.seed;
	config.policy = conform_options.engine == TB_ENGINE_SIM ? conform_options.policy : NULL;
	config.write_fn = console_keep;
	return config;
}

tb_instance *instance_boot(const struct tb_config *config)
{
	tb_instance *instance;
	tb_err err = tb_create(config, &instance);
	if (err != 0)
		FAIL("tb_create: %d: %s", err, tb_error(NULL));
	err = tb_boot(instance);
	if (err != 0)
		FAIL("tb_boot: %d: %s", err, tb_error(instance));
	return instance;
}

tb_instance *instance_of(uint32_t cpus)
{
	struct tb_config config = config_of(cpus);
	return instance_boot(&config);
}

void instance_end(tb_instance *instance, tb_err expected)
{
	tb_err err = tb_destroy(instance);
	if (err != expected)
		FAIL("tb_destroy: %d, expected %d; the console says:\n%s", err, expected, console_text.text);
}

uint64_t host_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t host_rounds(uint32_t full)
{
	if (conform_options.engine == TB_ENGINE_SIM)
		return full / 50 + 1;
	return CONFIG_TSAN ? full / 20 + 1 : CONFIG_ASAN ? full / 4 + 1 : full;
}

// ---- running ----------------------------------------------------------------------------------------------------------------------

static void body_run(const struct conform_body *body)
{
	struct tb_config config = config_of(body->cpus);
	struct conform_job job = {.body = body, .result = {.input = conform_options.module_path}};
	if (body->flags & CONFORM_TWO_NODES)
		config.persona = "mini2";
	tb_instance *instance = instance_boot(&config);
	tb_err err = tb_call(instance, conform_run, &job, NULL);
	if (err != 0)
		FAIL("tb_call: %d: %s\n%.*s", err, tb_error(instance), (int)console_text.size, console_text.text);
	if (job.result.failures != 0)
		FAIL("%u of %u checks failed; first: %s", job.result.failures, job.result.checks, job.result.message);
	if (job.result.checks == 0)
		FAIL("no check was made");
	instance_end(instance, 0);
}

static int child_wait(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	if (WIFSIGNALED(status))
		printf("# killed by %s\n", strsignal(WTERMSIG(status)));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void one_run(const char *name, const struct conform_body *body, void (*fn)(void))
{
	if (filter != NULL && strstr(name, filter) == NULL)
		return;
	number++;
	if (list_only) {
		printf("%s\n", name);
		return;
	}
	fflush(stdout);
	uint64_t start_ns = host_now_ns();
	pid_t child = fork();
	if (child == 0) {
		alarm(conform_options.timeout_s);
		if (body != NULL)
			body_run(body);
		else
			fn();
		exit(0); // not _exit(): sanitizers speak at exit
	}
	bool ok = child > 0 && child_wait(child) == 0;
	failed += !ok;
	printf("%sok %u - %s # %llu ms, seed %llu\n", ok ? "" : "not ", number, name,
	       (unsigned long long)(host_now_ns() - start_ns) / 1000000, (unsigned long long)conform_options.seed);
}

static void host_tests_run(const struct host_test *tests)
{
	for (; tests->name != NULL; tests++)
		if (!tests->threads_only || conform_options.engine == TB_ENGINE_THREADS)
			one_run(tests->name, NULL, tests->fn);
}

static void all_run(void)
{
	for (uint32_t i = 0; i < conform_body_count; i++)
		if (!(conform_bodies[i].flags & CONFORM_REAL_TIME) || conform_options.engine == TB_ENGINE_THREADS)
			one_run(conform_bodies[i].name, &conform_bodies[i], NULL);
	host_tests_run(host_tests_life);
	host_tests_run(host_tests_call);
	host_tests_run(host_tests_end);
}

static bool options_parse(int argc, char **argv)
{
	static const struct option longs[] = {{"engine", 1, NULL, 'e'},  {"seed", 1, NULL, 's'},
					      {"seeds", 1, NULL, 'n'},   {"policy", 1, NULL, 'p'},
					      {"filter", 1, NULL, 'f'},  {"list", 0, NULL, 'l'},
					      {"timeout", 1, NULL, 't'}, {NULL, 0, NULL, 0}};
	int c;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'e':
			conform_options.engine = strcmp(optarg, "sim") == 0 ? TB_ENGINE_SIM : TB_ENGINE_THREADS;
			break;
		case 's':
			conform_options.seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			seeds = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case 'p':
			conform_options.policy = optarg;
			break;
		case 'f':
			filter = optarg;
			break;
		case 'l':
			list_only = true;
			break;
		case 't':
			conform_options.timeout_s = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

static char module_path[] = "/tmp/tbos-conform-XXXXXX";

static bool module_write(void)
{
	int fd = mkstemp(module_path);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (file == NULL)
		return false;
	for (uint32_t i = 0; i < 10000; i++)
		fputc((int)(i % 251), file);
	conform_options.module_path = module_path;
	return fclose(file) == 0;
}

int main(int argc, char **argv)
{
	if (!options_parse(argc, argv) || !module_write()) {
		fprintf(stderr,
			"usage: %s [--engine threads|sim] [--seed N] [--seeds N] [--policy P] [--filter TEXT] "
			"[--timeout S] [--list]\n",
			argv[0]);
		return 2;
	}
	for (uint32_t i = 0; i < seeds; i++, conform_options.seed++)
		all_run();
	unlink(module_path);
	if (!list_only)
		printf("1..%u\n", number);
	return failed != 0;
}
