// SPDX-License-Identifier: MIT
//
// What can only be measured from outside an instance, through the library as any user would: booting, making and
// unmaking small instances, and how fast the simulator decides. One JSON line per case, as the peers print.
//   boot            create, boot and destroy desktop_512m, threads engine
//   instances       the same with 16 MiB and one CPU; instances-sim under the sim engine
//   decisions       one schedule decision: four CPUs allocate, free and yield

#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tbos/tbos.h"

enum {
	DECISION_THREADS = 4,
	DECISION_CPUS = 4,
	SMALL_MEM_BYTES = 16 << 20
};

static void die(const tb_instance *instance, const char *what, tb_err err)
{
	fprintf(stderr, "bench_host: %s: error %d: %s\n", what, (int)err, tb_error(instance));
	exit(1);
}

static void console_drop(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	(void)bytes;
	(void)size_bytes;
}

static struct tb_config config_make(enum tb_engine engine)
{
	struct tb_config config;

	tb_config_init(&config);
	config.engine = engine;
	config.flags = TB_CONFIG_QUIET;
	config.write_fn = console_drop;
	config.input_fd = -1;
	return config;
}

static tb_instance *instance_boot(const struct tb_config *config)
{
	tb_instance *instance;
	tb_err err = tb_create(config, &instance);

	if (err != 0)
		die(NULL, "create", err);
	err = tb_boot(instance);
	if (err != 0)
		die(instance, "boot", err);
	return instance;
}

static void instance_end(tb_instance *instance)
{
	tb_err err = tb_destroy(instance);

	if (err != 0)
		die(NULL, "destroy", err);
}

static uint64_t lives_run(uint64_t iterations, void *arg)
{
	uint64_t start = peer_now_ns();

	for (uint64_t i = 0; i < iterations; i++)
		instance_end(instance_boot(arg));
	return peer_now_ns() - start;
}

// ---- decisions -----------------------------------------------------------------------------------------------------

struct load {
	uint64_t rounds;
	int failures; // __atomic
};

static void load_body(void *arg)
{
	struct load *load = arg;

	for (uint64_t i = 0; i < load->rounds; i++) {
		void *block = tb_k_alloc(64);

		if (block == NULL)
			__atomic_fetch_add(&load->failures, 1, __ATOMIC_RELAXED);
		tb_k_free(block);
		tb_k_yield();
	}
}

static int64_t load_run(void *arg)
{
	struct load *load = arg;
	uint32_t ids[DECISION_THREADS];
	int started = 0;

	while (started < DECISION_THREADS && tb_k_thread_start("load", load_body, load, &ids[started]) == 0)
		started++;
	load->failures += DECISION_THREADS - started;
	while (started > 0)
		load->failures += tb_k_thread_join(ids[--started]) != 0;
	return load->failures;
}

static uint64_t decisions_of(tb_instance *instance)
{
	struct tb_sim_stats stats;
	tb_err err = tb_sim_stats(instance, &stats);

	if (err != 0)
		die(instance, "statistics", err);
	return stats.decisions;
}

// Nanoseconds per decision of one load; *decisions is how many there were.
static double load_measure(const struct tb_config *config, uint64_t rounds, uint64_t *decisions)
{
	tb_instance *instance = instance_boot(config);
	struct load load = {.rounds = rounds};
	uint64_t before = decisions_of(instance);
	uint64_t start = peer_now_ns();
	int64_t failures;
	tb_err err = tb_call(instance, load_run, &load, &failures);
	uint64_t elapsed = peer_now_ns() - start;

	if (err != 0 || failures != 0)
		die(instance, "load", err);
	*decisions = decisions_of(instance) - before;
	instance_end(instance);
	return (double)elapsed / (double)*decisions;
}

static void decisions_case(const struct peer *peer)
{
	struct tb_config config = config_make(TB_ENGINE_SIM);
	double samples[PEER_RUNS_MAX];
	uint64_t decisions = 0;

	if (!peer_wants(peer, "decisions"))
		return;
	config.cpu_count = DECISION_CPUS;
	for (unsigned run = 0; run < peer->runs; run++)
		samples[run] = load_measure(&config, 20000, &decisions);
	peer_report(peer, "decisions", samples, peer->runs, decisions, NULL);
}

int main(int argc, char **argv)
{
	struct peer peer = peer_options(argc, argv, "host");
	struct tb_config boot = config_make(TB_ENGINE_THREADS);
	struct tb_config small = config_make(TB_ENGINE_THREADS);
	struct tb_config small_sim = config_make(TB_ENGINE_SIM);

	boot.persona = "desktop_512m";
	small.mem_bytes = small_sim.mem_bytes = SMALL_MEM_BYTES;
	small.cpu_count = small_sim.cpu_count = 1;
	peer_case(&peer, "boot", lives_run, &boot);
	peer_case(&peer, "instances", lives_run, &small);
	peer_case(&peer, "instances-sim", lives_run, &small_sim);
	decisions_case(&peer);
	return 0;
}
