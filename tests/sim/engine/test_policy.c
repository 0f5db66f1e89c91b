// SPDX-License-Identifier: MIT
//
// What policies find and what they guarantee, with the mini kernel's threads.
#include "engine.h"

#include <string.h>

#define SCHEDULES 20000u

// Schedules until "order" shows its bug, 0 when it does not within `limit`.
static uint32_t order_search(const char *policy, uint64_t seed, uint32_t limit)
{
	struct tb_config config;
	tb_instance *instance;
	uint32_t found = 0;
	engine_config(&config);
	config.cpu_count = 2;
	config.policy = policy;
	config.seed = seed;
	CHECK_ERR(tb_create(&config, &instance), 0);
	CHECK_ERR(tb_boot(instance), 0);
	for (uint32_t i = 1; i <= limit && found == 0; ++i) {
		int32_t status = 0;
		CHECK_ERR(tb_command(instance, "order 2 400", &status), 0);
		found = status > 0 ? i : 0;
	}
	CHECK_ERR(tb_destroy(instance), 0);
	return found;
}

static void pct_finds_order(void)
{
	for (uint64_t seed = 1; seed <= 5; ++seed) {
		uint32_t found = order_search("pct:2:600", seed, SCHEDULES);
		engine_note("pct:2:600, seed %llu: schedule %u", (unsigned long long)seed, found);
		CHECK(found != 0);
	}
	uint32_t drawn = order_search("pct:2", 1, SCHEDULES);
	engine_note("pct:2 with drawn lengths: schedule %u", drawn);
	CHECK(drawn != 0);
}

static void rr_does_not(void)
{
	for (uint64_t seed = 1; seed <= 5; ++seed)
		CHECK(order_search("rr", seed, 2000) == 0);
}

// Unguarded counters lose something under every policy that interleaves, and guarded ones nothing (status -1 would say so).
static void races_show(void)
{
	static const char *const policies[] = {"rr", "random", "pct:3"};
	static const char *const commands[] = {"count 4 200", NULL};
	for (unsigned p = 0; p < 3; ++p) {
		unsigned lost = 0;
		for (uint64_t seed = 1; seed <= 50; ++seed) {
			struct tb_config config;
			struct engine_run run;
			engine_config(&config);
			config.policy = policies[p];
			config.seed = seed;
			engine_run(&config, commands, &run);
			CHECK_ERR(run.errs[0], 0);
			CHECK(run.statuses[0] >= 0);
			lost += run.statuses[0] > 0;
		}
		engine_note("%s: the race showed in %u of 50 runs", policies[p], lost);
		CHECK(lost >= 5);
	}
}

// Three pollers and a worker of n points: the run takes a bounded multiple of n.
static void polling_is_fair(void)
{
	static const char *const policies[] = {"rr", "random", "pct:1", "pct:5"};
	static const char *const commands[] = {"relax 4 5000", NULL};
	for (unsigned p = 0; p < 4; ++p) {
		uint64_t most = 0;
		for (uint64_t seed = 1; seed <= 20; ++seed) {
			struct tb_config config;
			struct engine_run run;
			engine_config(&config);
			config.cpu_count = 4;
			config.policy = policies[p];
			config.seed = seed;
			engine_run(&config, commands, &run);
			CHECK_ERR(run.errs[0], 0);
			most = run.stats.decisions > most ? run.stats.decisions : most;
		}
		engine_note("%s: at most %llu decisions for 5000 points of work", policies[p],
			    (unsigned long long)most);
		CHECK(most < 5000 * 40);
	}
}

static void bad_policy_refused(void)
{
	struct tb_config config;
	struct engine_run run;
	static const char *const none[] = {NULL};
	engine_config(&config);
	config.policy = "fifo";
	engine_run(&config, none, &run);
	CHECK_ERR(run.create, -22);
	CHECK_HAS(run.error, "policy \"fifo\"");
}

const struct engine_test engine_policy_tests[] = {
	{"pct finds an order bug of depth 2", pct_finds_order},
	{"rr does not find it", rr_does_not},
	{"races show, locks hold", races_show},
	{"pollers let workers work", polling_is_fair},
	{"an unknown policy is refused", bad_policy_refused},
	{NULL, NULL},
};
