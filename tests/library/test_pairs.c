// SPDX-License-Identifier: MIT
//
// Pairs of runs: the same seed twice, in another slot, with other junk in fresh memory and other host memory around, must give the
// same trace hash, to the bit; another seed, and one changed byte of input, must not. Each pair has its own number of CPUs, policy
// and work.
#include "tbos/tbos.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned test_number, failures;

struct run {
	uint64_t seed;
	uint32_t slot, poison;
	const char *command;
	const char *input; // for the monitor; NULL: none
};

static void discard(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	(void)bytes;
	(void)size_bytes;
}

static void contend(void *arg)
{
	uint32_t *shared = arg;
	for (int i = 0; i < 5; i++) {
		void *memory = tb_k_alloc(100 + 300 * (__atomic_fetch_add(shared, 1, __ATOMIC_SEQ_CST) % 7));
		tb_k_yield();
		tb_k_free(memory);
		tb_k_sleep_ns(1000);
	}
}

static int64_t work(void *arg)
{
	uint32_t ids[3], shared = 0, count = 0;
	(void)arg;
	for (; count < 3; count++)
		if (tb_k_thread_start("pair", contend, &shared, &ids[count]) != 0)
			break;
	for (uint32_t i = 0; i < count; i++)
		if (tb_k_thread_join(ids[i]) != 0)
			return -1;
	return shared;
}

static tb_err execute(const struct run *run, struct tb_sim_stats *stats)
{
	static const char *const policies[] = {"random", "pct:3", "rr", "random"};
	struct tb_config config;
	tb_instance *instance;
	int pipe_fds[2] = {-1, -1};

	tb_config_init(&config);
	config.engine = TB_ENGINE_SIM;
	config.cpu_count = 1 + run->seed % 4;
	config.mem_bytes = 16u << 20;
	config.seed = run->seed;
	config.slot = run->slot;
	config.poison = run->poison;
	config.policy = policies[run->seed / 4 % 4];
	config.flags = TB_CONFIG_QUIET;
	config.write_fn = discard;
	config.input_fd = -1;
	if (run->input != NULL && pipe(pipe_fds) == 0) {
		if (write(pipe_fds[1], run->input, strlen(run->input)) < 0)
			return -EIO;
		close(pipe_fds[1]);
		config.input_fd = pipe_fds[0];
		config.flags |= TB_CONFIG_MONITOR;
	}
	tb_err err = tb_create(&config, &instance);
	if (err != 0)
		return err;
	err = tb_boot(instance);
	if (err == 0 && run->input != NULL) {
		err = tb_wait(instance, NULL);
	} else if (err == 0) {
		err = tb_call(instance, work, NULL, NULL);
		if (err == 0)
			err = tb_command(instance, run->command, NULL);
		if (err == 0)
			err = tb_shutdown(instance, NULL);
	}
	if (err == 0)
		err = tb_sim_stats(instance, stats);
	tb_err end = tb_destroy(instance);
	if (pipe_fds[0] >= 0)
		close(pipe_fds[0]);
	return err != 0 ? err : end;
}

static bool same(const struct tb_sim_stats *a, const struct tb_sim_stats *b)
{
	return memcmp(a->trace_hash, b->trace_hash, sizeof a->trace_hash) == 0 && a->decisions == b->decisions &&
	       a->time_ns == b->time_ns;
}

static void report(bool ok, const char *name)
{
	printf("%sok %u - pairs.%s\n", ok ? "" : "not ", ++test_number, name);
	failures += !ok;
	fflush(stdout);
}

static void check_pairs(uint64_t first, uint64_t count)
{
	struct tb_sim_stats a, b, last = {0};
	uint64_t different = 0, repeated = 0, decisions = 0;
	for (uint64_t seed = first; seed < first + count; seed++) {
		struct run run = {.seed = seed, .slot = 3, .poison = 0xa5, .command = "ps; cpus; mem; slab"};
		tb_err err = execute(&run, &a);
		void *shift = malloc(64 + seed % 4096); // the host's heap need not look the same
		run.slot = 11;
		run.poison = 0x3c;
		if (err == 0)
			err = execute(&run, &b);
		free(shift);
		if (err != 0 || !same(&a, &b)) {
			printf("# seed %llu: error %d, %llu and %llu decisions\n", (unsigned long long)seed, err,
			       (unsigned long long)a.decisions, (unsigned long long)b.decisions);
			different++;
		}
		repeated += same(&a, &last);
		last = a;
		decisions += a.decisions + b.decisions;
	}
	report(different == 0, "equal_seeds_are_equal");
	report(repeated == 0, "other_seeds_differ");
	printf("# %llu pairs, %llu diverged, %llu decisions\n", (unsigned long long)count,
	       (unsigned long long)different, (unsigned long long)decisions);
}

static void check_input(void)
{
	struct run run = {.seed = 5, .input = "echo one\ncpus\n"};
	struct tb_sim_stats a, b, c;
	bool ran = execute(&run, &a) == 0 && execute(&run, &b) == 0;
	run.input = "echo onf\ncpus\n";
	ran = ran && execute(&run, &c) == 0;
	report(ran && same(&a, &b), "equal_input_is_equal");
	report(ran && !same(&a, &c), "one_changed_byte_of_input_differs");
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 300;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	check_pairs(first, count);
	check_input();
	printf("1..%u\n", test_number);
	return failures != 0;
}
