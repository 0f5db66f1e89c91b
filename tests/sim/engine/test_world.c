// SPDX-License-Identifier: MIT
//
// Worlds: several instances in one, many at once, many in a row; and how fast it all is.
#include "engine.h"

#include <pthread.h>
#include <string.h>

#define MEMBERS 4u

static tb_sim *world_create(uint64_t seed, const char *record_path, const char *replay_path)
{
	struct tb_config config;
	tb_sim *sim = NULL;
	engine_config(&config);
	config.seed = seed;
	config.record_path = record_path;
	config.replay_path = replay_path;
	CHECK_ERR(tb_sim_create(&config, &sim), 0);
	return sim;
}

static void members_create(tb_sim *sim, tb_instance *members[MEMBERS])
{
	for (unsigned i = 0; i < MEMBERS; ++i) {
		struct tb_config config;
		engine_config(&config);
		config.sim = sim;
		config.cpu_count = 1 + i;
		CHECK_ERR(tb_create(&config, &members[i]), 0);
		CHECK_ERR(tb_boot(members[i]), 0);
	}
}

struct member_party {
	tb_instance *instance;
	const char *command;
};

static void *member_main(void *arg)
{
	const struct member_party *party = arg;
	for (unsigned i = 0; i < 5; ++i)
		CHECK_ERR(tb_command(party->instance, party->command, NULL), 0);
	return NULL;
}

static void world_run(const char *record_path, const char *replay_path, bool threads, struct tb_sim_stats *stats)
{
	tb_sim *sim = world_create(3, record_path, replay_path);
	tb_instance *members[MEMBERS];
	struct member_party parties[MEMBERS];
	pthread_t ids[MEMBERS];
	members_create(sim, members);
	for (unsigned i = 0; i < MEMBERS; ++i) {
		parties[i] = (struct member_party){members[i], i % 2 == 0 ? "count 3 40" : "sleep 3 60000"};
		if (threads)
			CHECK(pthread_create(&ids[i], NULL, member_main, &parties[i]) == 0);
		else
			member_main(&parties[i]);
	}
	for (unsigned i = 0; threads && i < MEMBERS; ++i)
		pthread_join(ids[i], NULL);
	CHECK_ERR(tb_sim_stats(members[0], stats), 0);
	CHECK_ERR(tb_sim_destroy(sim), -16);
	for (unsigned i = 0; i < MEMBERS; ++i)
		CHECK_ERR(tb_destroy(members[(i + 2) % MEMBERS]), 0);
	CHECK_ERR(tb_sim_destroy(sim), 0);
}

static void members_share_a_clock(void)
{
	struct tb_sim_stats first, again;
	world_run(NULL, NULL, false, &first);
	world_run(NULL, NULL, false, &again);
	CHECK(memcmp(&first, &again, sizeof(first)) == 0);
	CHECK(first.decisions > 1000);
}

static void members_replay(void)
{
	struct tb_sim_stats first, again;
	char path[128];
	engine_path(path, sizeof(path), "world");
	world_run(path, NULL, true, &first);
	world_run(NULL, path, true, &again);
	CHECK(memcmp(&first, &again, sizeof(first)) == 0);
}

// One member's end is not the others'.
static void members_end_alone(void)
{
	tb_sim *sim = world_create(4, NULL, NULL);
	tb_instance *members[MEMBERS];
	members_create(sim, members);
	CHECK_ERR(tb_command(members[0], "panic", NULL), -5);
	CHECK_ERR(tb_command(members[1], "halt 3", NULL), -108);
	CHECK_ERR(tb_command(members[2], "count 3 20", NULL), 0);
	CHECK_ERR(tb_destroy(members[0]), -5);
	CHECK_ERR(tb_command(members[3], "count 3 20", NULL), 0);
	CHECK_ERR(tb_destroy(members[1]), 0);
	CHECK_ERR(tb_command(members[2], "sleep 2 20000", NULL), 0);
	CHECK_ERR(tb_destroy(members[3]), 0);
	CHECK_ERR(tb_destroy(members[2]), 0);
	CHECK_ERR(tb_sim_destroy(sim), 0);
}

// A world takes in new members for ever.
static void members_come_and_go(void)
{
	tb_sim *sim = world_create(5, NULL, NULL);
	tb_instance *stays;
	struct tb_config config;
	engine_config(&config);
	config.sim = sim;
	CHECK_ERR(tb_create(&config, &stays), 0);
	CHECK_ERR(tb_boot(stays), 0);
	for (unsigned i = 0; i < 300; ++i) {
		tb_instance *goes;
		config.cpu_count = 1 + i % 64;
		CHECK_ERR(tb_create(&config, &goes), 0);
		if (i % 3 != 0)
			CHECK_ERR(tb_boot(goes), 0);
		CHECK_ERR(tb_destroy(goes), 0);
	}
	CHECK_ERR(tb_command(stays, "count 3 20", NULL), 0);
	CHECK_ERR(tb_destroy(stays), 0);
	CHECK_ERR(tb_sim_destroy(sim), 0);
}

// ---- many worlds ----------------------------------------------------------------------------------------------------------

struct worker {
	uint64_t first_seed;
	struct engine_run runs[8];
};

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	for (unsigned i = 0; i < 8; ++i) {
		struct tb_config config;
		engine_config(&config);
		config.seed = worker->first_seed + i;
		config.policy = i % 2 == 0 ? "random" : "pct:3";
		engine_run(&config, engine_workload, &worker->runs[i]);
	}
	return NULL;
}

static void worlds_at_once(void)
{
	static struct worker alone, together[4];
	pthread_t threads[4];
	alone.first_seed = 100;
	worker_main(&alone);
	for (unsigned i = 0; i < 4; ++i) {
		together[i].first_seed = 100;
		CHECK(pthread_create(&threads[i], NULL, worker_main, &together[i]) == 0);
	}
	for (unsigned i = 0; i < 4; ++i) {
		pthread_join(threads[i], NULL);
		for (unsigned k = 0; k < 8; ++k)
			CHECK(engine_same(&alone.runs[k], &together[i].runs[k]));
	}
}

static void pairs_of_seeds(void)
{
	static const char *const commands[] = {"count 3 30", "relax 3 40", "sleep 1 30000", NULL};
	static const char *const policies[] = {"random", "pct:2", "rr"};
	for (uint64_t seed = 0; seed < 300; ++seed) {
		struct tb_config config;
		struct engine_run first, second;
		engine_config(&config);
		config.seed = seed;
		config.policy = policies[seed % 3];
		config.cpu_count = (uint32_t)(1 + seed % 5);
		engine_run(&config, commands, &first);
		config.poison = 0xa5;
		engine_run(&config, commands, &second);
		engine_check(engine_same(&first, &second), __FILE__, __LINE__, "seed %llu", (unsigned long long)seed);
	}
}

// ---- figures --------------------------------------------------------------------------------------------------------------

static void decisions_figure(const char *policy, uint32_t cpus, const char *record_path)
{
	char command[64];
	const char *const commands[] = {command, NULL};
	struct tb_config config;
	struct engine_run run;
	snprintf(command, sizeof(command), "points %u %u", cpus, 1000000 / cpus);
	engine_config(&config);
	config.cpu_count = cpus;
	config.policy = policy;
	config.record_path = record_path;
	uint64_t begin_ns = engine_now_ns();
	engine_run(&config, commands, &run);
	uint64_t took_ns = engine_now_ns() - begin_ns;
	CHECK_ERR(run.errs[0], 0);
	engine_note("%s, %u CPUs%s: %.1f million decisions a second, %.0f%% switch", policy, cpus,
		    record_path != NULL ? ", recording" : "", (double)run.stats.decisions * 1e3 / (double)took_ns,
		    100.0 * (double)run.stats.switches / (double)run.stats.decisions);
}

static void decisions_per_second(void)
{
	char path[128];
	decisions_figure("rr", 4, NULL);
	decisions_figure("random", 4, NULL);
	decisions_figure("random", 64, NULL);
	decisions_figure("pct:3", 4, NULL);
	decisions_figure("pct:3", 64, NULL);
	decisions_figure("random", 4, engine_path(path, sizeof(path), "figure"));
}

static void lives_per_second(void)
{
	static const char *const none[] = {NULL};
	struct tb_config config;
	struct engine_run run;
	engine_config(&config);
	uint64_t begin_ns = engine_now_ns();
	for (unsigned i = 0; i < 200; ++i) {
		engine_run(&config, none, &run);
		CHECK_ERR(run.destroy, 0);
	}
	engine_note("create, boot, destroy: %.0f us", (double)(engine_now_ns() - begin_ns) / 200e3);
}

const struct engine_test engine_world_tests[] = {
	{"instances share a world", members_share_a_clock},
	{"a world of several host threads replays", members_replay},
	{"one member's end is not the others'", members_end_alone},
	{"members come and go", members_come_and_go},
	{"worlds in several host threads are the same as alone", worlds_at_once},
	{"pairs of seeds agree, with and without poison", pairs_of_seeds},
	{"decisions per second", decisions_per_second},
	{"lives per second", lives_per_second},
	{NULL, NULL},
};
