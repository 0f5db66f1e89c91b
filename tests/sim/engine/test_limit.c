// SPDX-License-Identifier: MIT
//
// Ends of all kinds: deadlock, livelock, time limit, halt, panic, fault.
#include "engine.h"

#include <string.h>

static void one(const char *command, uint64_t time_limit_ns, struct engine_run *run)
{
	const char *const commands[] = {command, NULL};
	struct tb_config config;
	engine_config(&config);
	config.time_limit_ns = time_limit_ns;
	engine_run(&config, commands, run);
	CHECK_ERR(run->boot, 0);
}

static void deadlock(void)
{
	struct engine_run run;
	one("deadlock", 0, &run);
	CHECK_ERR(run.errs[0], -35);
	CHECK_HAS(run.error, "3 of 3 CPUs idle,");
	CHECK_HAS(run.error, "1 call(s) under way");
	CHECK_HAS(run.error, "--engine sim --seed 1 --policy random --cpus 3 --mem 16777216 --persona ");
}

static void spin_deadlock(void)
{
	struct engine_run run;
	one("spin", 0, &run);
	CHECK_ERR(run.errs[0], -35);
	CHECK_HAS(run.error, "masked, spins for a lock at RAM+0x");
}

static void poll_forever(void)
{
	struct engine_run run;
	one("poll", 0, &run);
	CHECK_ERR(run.errs[0], -35);
	CHECK_HAS(run.error, "polls");
}

// A world that is stuck takes other calls all the same.
static void stuck_goes_on(void)
{
	static const char *const commands[] = {"deadlock", "count 2 10", "deadlock", "entropy", NULL};
	struct tb_config config;
	struct engine_run run;
	engine_config(&config);
	engine_run(&config, commands, &run);
	CHECK_ERR(run.errs[0], -35);
	CHECK_ERR(run.errs[1], 0);
	CHECK_ERR(run.errs[2], -35);
	CHECK_ERR(run.errs[3], 0);
	CHECK_ERR(run.destroy, 0);
}

static void time_limit(void)
{
	struct engine_run run;
	one("forever", 50000000, &run);
	CHECK_ERR(run.errs[0], -62);
	CHECK(run.stats.time_ns >= 50000000 && run.stats.time_ns < 51000000);
	CHECK_HAS(run.error, "time limit of 50000000 ns");
	one("poll", 1000000, &run);
	CHECK_ERR(run.errs[0], -62);
	one("sleep 2 100000", 50000000, &run);
	CHECK_ERR(run.errs[0], 0);
}

static void halts(void)
{
	static const char *const commands[] = {"halt 5", "entropy", NULL};
	struct tb_config config;
	struct engine_run run;
	tb_instance *instance;
	int32_t status = -1;
	engine_config(&config);
	engine_run(&config, commands, &run);
	CHECK_ERR(run.errs[0], -108);
	CHECK_ERR(run.errs[1], -108);
	CHECK_ERR(tb_create(&config, &instance), 0);
	CHECK_ERR(tb_boot(instance), 0);
	CHECK_ERR(tb_boot(instance), -114);
	CHECK_ERR(tb_command(instance, "halt 5", NULL), -108);
	CHECK_ERR(tb_wait(instance, &status), 0);
	CHECK(status == 5);
	CHECK_ERR(tb_destroy(instance), 0);
}

static void collect(void *ctx, const char *bytes, size_t size_bytes)
{
	char *text = ctx;
	size_t used = strlen(text);
	size_t part = size_bytes < 4095 - used ? size_bytes : 4095 - used;
	memcpy(text + used, bytes, part);
}

static void broken(const char *command, const char *said)
{
	const char *const commands[] = {command, "entropy", NULL};
	char text[4096] = "";
	struct tb_config config;
	struct engine_run run, again;
	engine_config(&config);
	config.write_fn = collect;
	config.write_ctx = text;
	engine_run(&config, commands, &run);
	CHECK_ERR(run.errs[0], -5);
	CHECK_ERR(run.errs[1], -5);
	CHECK_ERR(run.destroy, -5);
	CHECK_HAS(text, said);
	config.slot = 40;
	engine_run(&config, commands, &again);
	CHECK(engine_same(&run, &again));
}

static void panics(void)
{
	broken("panic", "asked for");
}

#if CONFIG_ASAN || CONFIG_TSAN
static void faults(void)
{
	engine_note("faults are the sanitizer's here");
}
#else
static void faults(void)
{
	broken("fault", "SIGSEGV");
}
#endif

// Waiting for an instance that will never halt by itself.
static void wait_is_told(void)
{
	struct tb_config config;
	tb_instance *instance;
	int32_t status;
	engine_config(&config);
	CHECK_ERR(tb_create(&config, &instance), 0);
	CHECK_ERR(tb_boot(instance), 0);
	CHECK_ERR(tb_wait(instance, &status), -35);
	CHECK_HAS(tb_error(instance), "deadlock");
	CHECK_ERR(tb_destroy(instance), 0);
}

const struct engine_test engine_limit_tests[] = {
	{"a deadlock is reported", deadlock},
	{"a deadlock on a spinlock is reported", spin_deadlock},
	{"polling for ever is reported", poll_forever},
	{"a stuck world takes other calls", stuck_goes_on},
	{"the time limit ends a run", time_limit},
	{"halt gives its status", halts},
	{"a panic ends the instance, the same in every slot", panics},
	{"a fault ends the instance, the same in every slot", faults},
	{"waiting in vain is told", wait_is_told},
	{NULL, NULL},
};
