// SPDX-License-Identifier: MIT
//
// Recording and replay: the same run comes back, inputs included; another run is refused or named exactly; verify.
#include "engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void record(struct tb_config *config, const char *name, const char *const *commands, char path[128],
		   struct engine_run *run)
{
	engine_config(config);
	config->record_path = engine_path(path, 128, name);
	engine_run(config, commands, run);
	CHECK_ERR(run->create, 0);
	CHECK_ERR(run->destroy, 0);
	config->record_path = NULL;
	config->replay_path = path;
}

static void ignore(void *ctx, const struct tb_trace_record *record)
{
	(void)ctx;
	(void)record;
}

static void equals(void)
{
	static const char *const policies[] = {"rr", "random", "pct:4"};
	for (unsigned i = 0; i < 3; ++i) {
		struct tb_config config;
		struct engine_run first, plain, again;
		char path[128];
		engine_config(&config);
		config.policy = policies[i];
		engine_run(&config, engine_workload, &plain);
		config.record_path = engine_path(path, sizeof(path), "equals");
		engine_run(&config, engine_workload, &first);
		config.record_path = NULL;
		config.replay_path = path;
		engine_run(&config, engine_workload, &again);
		CHECK_ERR(again.destroy, 0);
		CHECK(engine_same(&first, &plain));
		CHECK(engine_same(&first, &again));
	}
}

static void information(void)
{
	struct tb_config config;
	struct engine_run run;
	struct tb_sim_log_info info;
	char path[128];
	record(&config, "information", engine_workload, path, &run);
	CHECK_ERR(tb_sim_log_info(path, &info), 0);
	CHECK(info.seed == 1 && info.cpu_count == 3 && info.complete);
	CHECK(strcmp(info.policy, "random") == 0);
	CHECK(strcmp(info.build_id, tb_build_id()) == 0);
	CHECK(info.decisions >= run.stats.decisions);
	CHECK(info.mem_bytes == 16u << 20);
	CHECK_ERR(tb_sim_log_info("/nonexistent", &info), -2);
	CHECK_HAS(tb_error(NULL), "/nonexistent");
}

// A kernel may measure how deep its stacks were used: the engine must use them alike in every mode.
static void stacks_alike(void)
{
	static const char *const commands[] = {"count 2 5", "depth 9000", NULL};
	struct tb_config config;
	struct engine_run plain, run, again;
	char path[128];
	engine_config(&config);
	engine_run(&config, commands, &plain);
	record(&config, "stacks", commands, path, &run);
	engine_run(&config, commands, &again);
	engine_note("a point takes %d bytes of stack", plain.statuses[1]);
	CHECK(plain.statuses[1] > 100);
	CHECK(engine_same(&plain, &run));
	CHECK(engine_same(&plain, &again));
	engine_config(&config);
	config.flags |= TB_CONFIG_TRACE;
	config.trace_fn = ignore;
	engine_run(&config, commands, &again);
	CHECK(engine_same(&plain, &again));
}

// ---- refusals -----------------------------------------------------------------------------------------------------------

static void refused(const struct tb_config *config, tb_err err, const char *reason, int line)
{
	tb_instance *instance;
	tb_err got = tb_create(config, &instance);
	engine_check(got == err, __FILE__, line, "tb_create is %d, not %d", got, err);
	engine_check(strstr(tb_error(NULL), reason) != NULL, __FILE__, line, "\"%s\" lacks \"%s\"", tb_error(NULL),
		     reason);
}

static void other_options_refused(void)
{
	struct tb_config config, other;
	struct engine_run run;
	char path[128];
	record(&config, "options", engine_workload, path, &run);
	other = config;
	other.seed = 2;
	refused(&other, -71, "seed 1, not 2", __LINE__);
	other = config;
	other.policy = "rr";
	refused(&other, -71, "policy random, not rr", __LINE__);
	other = config;
	other.cpu_count = 2;
	refused(&other, -71, "3 CPUs, not 2", __LINE__);
	other = config;
	other.mem_bytes = 32u << 20;
	refused(&other, -71, "memory", __LINE__);
	other = config;
	other.cmdline = "x=1";
	refused(&other, -71, "command line", __LINE__);
	other = config;
	other.time_limit_ns = 5;
	refused(&other, -71, "time limit", __LINE__);
	other = config;
	other.replay_path = "/nonexistent";
	refused(&other, -2, "/nonexistent", __LINE__);
}

// The build id stands in the first record, whose checksum is put right again.
static void other_build_refused(void)
{
	static uint8_t bytes[1 << 20];
	struct tb_config config;
	struct engine_run run;
	char path[128];
	record(&config, "build", engine_workload, path, &run);
	size_t size = engine_file_read(path, bytes, sizeof(bytes));
	bytes[12 + 5 + 1] = bytes[12 + 5 + 1] == 'f' ? 'e' : 'f';
	engine_file_write(path, bytes, size);
	refused(&config, -74, "offset 12: a record whose checksum is wrong", __LINE__);
	uint32_t payload = (uint32_t)(bytes[13] | bytes[14] << 8), crc = ~0u;
	for (size_t i = 12; i < 12 + 5 + payload; ++i)
		for (crc ^= bytes[i], bytes[0] = 8; bytes[0] > 0; --bytes[0])
			crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
	bytes[0] = 'T';
	crc = ~crc;
	memcpy(bytes + 12 + 5 + payload, &crc, sizeof(crc));
	engine_file_write(path, bytes, size);
	refused(&config, -71, "made by build", __LINE__);
}

static void tampered_refused(void)
{
	static uint8_t bytes[1 << 20];
	struct tb_config config;
	struct engine_run run;
	char path[128];
	record(&config, "tampered", engine_workload, path, &run);
	size_t size = engine_file_read(path, bytes, sizeof(bytes));
	for (size_t at = 0; at < size; at += 1 + size / 200) {
		bytes[at] ^= 0x10;
		engine_file_write(path, bytes, size);
		refused(&config, -74, at < 8 ? "offset 0: this is no decision log" : "offset ", __LINE__);
		bytes[at] ^= 0x10;
	}
	engine_file_write(path, bytes, size - 1);
	refused(&config, -74, "the file ends inside a record", __LINE__);
}

// ---- divergence ---------------------------------------------------------------------------------------------------------

static void other_command_named(void)
{
	static const char *const other[] = {"count 5 60", "sleep 4 70001", NULL};
	struct tb_config config;
	struct engine_run run, again;
	char path[128];
	record(&config, "command", engine_workload, path, &run);
	engine_run(&config, other, &again);
	CHECK_ERR(again.errs[0], 0);
	CHECK_ERR(again.errs[1], -71);
	CHECK_HAS(again.error, "tb_call is given something else");
}

// The body looks at memory that nobody wrote: the first event that shows it is named to the decision.
static void junk_named(void)
{
	static const char *const commands[] = {"count 2 20", "fresh", NULL};
	struct tb_config config;
	struct engine_run run, again;
	char path[128], decision[64];
	record(&config, "junk", commands, path, &run);
	config.poison = 0x5a;
	engine_run(&config, commands, &again);
	CHECK_ERR(again.errs[0], 0);
	CHECK_ERR(again.errs[1], -71);
	snprintf(decision, sizeof(decision),
		 "replay differs at decision %llu:", (unsigned long long)again.stats.decisions);
	CHECK_HAS(again.error, decision);
	CHECK(again.stats.decisions < run.stats.decisions);
}

static void shorter_run_noticed(void)
{
	static const char *const less[] = {"count 5 60", NULL};
	struct tb_config config;
	struct engine_run run;
	char path[128];
	engine_config(&config);
	config.record_path = engine_path(path, sizeof(path), "shorter");
	engine_run(&config, less, &run);
	CHECK_ERR(run.destroy, 0);
	config.record_path = NULL;
	config.replay_path = path;
	tb_instance *instance;
	CHECK_ERR(tb_create(&config, &instance), 0);
	CHECK_ERR(tb_boot(instance), 0);
	CHECK_ERR(tb_destroy(instance), -71);
	CHECK_HAS(tb_error(NULL), "replay");
}

static void full_disk_reported(void)
{
	struct tb_config config;
	struct engine_run run;
	engine_config(&config);
	config.record_path = "/dev/full";
	engine_run(&config, engine_workload, &run);
	CHECK_ERR(run.errs[0], 0);
	CHECK_ERR(run.destroy, -5);
	CHECK_HAS(run.error, "/dev/full: No space left");
}

// ---- inputs from outside ------------------------------------------------------------------------------------------------

struct party {
	tb_instance *instance;
	unsigned calls;
	unsigned pause_us;
	const char *command;
};

static void *party_main(void *arg)
{
	const struct party *party = arg;
	for (unsigned i = 0; i < party->calls; ++i) {
		CHECK_ERR(tb_command(party->instance, party->command, NULL), 0);
		if (party->pause_us > 0)
			usleep(party->pause_us);
	}
	return NULL;
}

// Host threads that call as they like: where they enter is chance, which the log keeps.
static void parties_run(const struct tb_config *config, struct tb_sim_stats *stats)
{
	tb_instance *instance;
	pthread_t threads[3];
	CHECK_ERR(tb_create(config, &instance), 0);
	CHECK_ERR(tb_boot(instance), 0);
	struct party parties[3] = {{instance, 20, 0, "count 2 15"},
				   {instance, 15, 100, "count 3 10"},
				   {instance, 10, 300, "sleep 1 20000"}};
	for (unsigned i = 0; i < 3; ++i)
		CHECK(pthread_create(&threads[i], NULL, party_main, &parties[i]) == 0);
	for (unsigned i = 0; i < 3; ++i)
		pthread_join(threads[i], NULL);
	CHECK_ERR(tb_sim_stats(instance, stats), 0);
	CHECK_ERR(tb_destroy(instance), 0);
}

static void host_threads(void)
{
	struct tb_config config;
	struct tb_sim_stats first, again;
	char path[128];
	engine_config(&config);
	config.record_path = engine_path(path, sizeof(path), "parties");
	parties_run(&config, &first);
	config.record_path = NULL;
	config.replay_path = path;
	for (unsigned i = 0; i < 3; ++i) {
		parties_run(&config, &again);
		CHECK(memcmp(&first, &again, sizeof(first)) == 0);
	}
}

// A terminal's bytes come when they come; the log has them, and the replay needs no terminal.
static void terminal_run(struct tb_config *config, int input_fd, struct tb_sim_stats *stats)
{
	tb_instance *instance;
	int32_t status = -1;
	config->flags |= TB_CONFIG_MONITOR | TB_CONFIG_INTERACTIVE;
	config->input_fd = input_fd;
	CHECK_ERR(tb_create(config, &instance), 0);
	CHECK_ERR(tb_boot(instance), 0);
	CHECK_ERR(tb_wait(instance, &status), 0);
	CHECK(status == 9);
	CHECK_ERR(tb_sim_stats(instance, stats), 0);
	CHECK_ERR(tb_destroy(instance), 0);
}

static void *typist(void *arg)
{
	static const char text[] = "count 2 20\nentropy\nhalt 9\n";
	int fd = *(int *)arg;
	for (const char *next = text; *next != '\0'; ++next) {
		CHECK(write(fd, next, 1) == 1);
		usleep(700);
	}
	return NULL;
}

static void terminal_input(void)
{
	struct tb_config config;
	struct tb_sim_stats first, again;
	pthread_t thread;
	char path[128];
	int ends[2], silent[2];
	CHECK(pipe(ends) == 0 && pipe(silent) == 0);
	engine_config(&config);
	config.record_path = engine_path(path, sizeof(path), "terminal");
	CHECK(pthread_create(&thread, NULL, typist, &ends[1]) == 0);
	terminal_run(&config, ends[0], &first);
	pthread_join(thread, NULL);
	config.record_path = NULL;
	config.replay_path = path;
	terminal_run(&config, silent[0], &again);
	CHECK(memcmp(&first, &again, sizeof(first)) == 0);
	for (unsigned i = 0; i < 2; ++i) {
		close(ends[i]);
		close(silent[i]);
	}
}

// ---- verify -------------------------------------------------------------------------------------------------------------

static tb_err body(tb_instance *instance, void *ctx)
{
	const char *const *commands = ctx;
	tb_err err = tb_boot(instance);
	for (; err == 0 && *commands != NULL; ++commands)
		err = tb_command(instance, *commands, NULL);
	return err;
}

static void verify(void)
{
	static const char *bad[] = {"count 2 20", "fresh", NULL};
	static const char *good[] = {"count 2 20", "relax 3 50", NULL};
	struct tb_config config;
	struct tb_sim_verdict verdict;
	engine_config(&config);
	CHECK_ERR(tb_sim_verify(&config, body, good, &verdict), 0);
	CHECK(verdict.equal && verdict.reason[0] == '\0');
	CHECK(memcmp(&verdict.first, &verdict.second, sizeof(verdict.first)) == 0);
	CHECK_ERR(tb_sim_verify(&config, body, bad, &verdict), 0);
	CHECK(!verdict.equal);
	CHECK(verdict.diverged_at > 100 && verdict.diverged_at < verdict.first.decisions);
	CHECK_HAS(verdict.reason, "time or trace");
	config.replay_path = "x";
	CHECK_ERR(tb_sim_verify(&config, body, good, &verdict), -22);
}

const struct engine_test engine_replay_tests[] = {
	{"a replay equals its recording, and recording changes nothing", equals},
	{"stacks are used alike with and without logs and watchers", stacks_alike},
	{"a log tells what it holds", information},
	{"other options are refused", other_options_refused},
	{"another build is refused", other_build_refused},
	{"a tampered log is refused", tampered_refused},
	{"another command is named", other_command_named},
	{"junk that is read is named to the decision", junk_named},
	{"a run that ends elsewhere is noticed", shorter_run_noticed},
	{"a recording that cannot be written is reported", full_disk_reported},
	{"calls of several host threads replay", host_threads},
	{"a terminal's input replays without the terminal", terminal_input},
	{"verify finds what reads fresh memory", verify},
	{NULL, NULL},
};
