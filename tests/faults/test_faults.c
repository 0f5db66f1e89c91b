// SPDX-License-Identifier: MIT
//
// Allocation failure at every call stack. Each scenario is run once to list its sites (call stacks, depth 4) that allocate in boot,
// workload and shutdown; then the first three allocations of each site that no scenario before it had are made to fail, one at a time, in
// an instance of its own. What is asked: an error or a success, never a panic, a deadlock, or something left behind.
#include "faults_entry.h"
#include "tbos/tbos.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SITES_MAX 2048
#define HITS_MAX 3u
#define CONSOLE_SIZE (1u << 20)
#define CALLERS 5

struct site {
	unsigned hash, hits;
};

struct scenario {
	const char *name;
	const char *persona;
	unsigned cpus, mem_mib, sites_min;
	bool parts;
	bool again; // sites of earlier scenarios too
	unsigned callers;
	unsigned flags;
	const char *typed;
	const char *commands; // %s: a trace file, %A: an archive
	bool initramfs;       // boots with the archive
};

static const struct scenario scenarios[] = {
	{.name = "core", .cpus = 2, .mem_mib = 32, .sites_min = 30, .parts = true, .commands = "check"},
	{.name = "commands",
	 .cpus = 2,
	 .mem_mib = 16,
	 .sites_min = 15,
	 .commands =
		 "help; help ps; ps; ps -j; top -d 1 -n 2; mem; mem -j; slab; slab -j; slab -s; slab -r; locks; "
		 "timers; trace; "
		 "trace -j; trace list; trace on sched.*; trace off *; trace clear; dmesg; dmesg -n 3; cpus; cpus -j; "
		 "counters; counters -j; sleep 1; uptime; echo; check; nothing; bench --list; dmesg -c"},
	{.name = "stress",
	 .cpus = 2,
	 .mem_mib = 16,
	 .sites_min = 15,
	 .commands = "stress --workers 3 --events 300 --rounds 2; stress --workers 2 --trace %s; stress --plain "
		     "--events 100 -j; "
		     "stress --trace /dev/null; stress --trace nowhere"},
	{.name = "bench",
	 .cpus = 2,
	 .mem_mib = 16,
	 .sites_min = 20,
	 .commands = "bench --runs 1; bench --runs 1 -j pair"},
	{.name = "files",
	 .cpus = 2,
	 .mem_mib = 16,
	 .sites_min = 60,
	 .parts = true,
	 .commands = "mkdir -p /a/b/c; echo one > /a/f; echo two >> /a/f; cat /a/f; cp /a/f /a/b/g; cp -r /a /z; mv "
		     "/a/f /a/h; ln "
		     "/a/h /a/i; ln -s h /a/j; touch /a/k; chmod 600 /a/h; chown 1:2 /a/h; stat /a/h; ls -l /a; tree "
		     "/a; find /; grep "
		     "-rn o /a; sha256 -r /a; hexdump /a/h; cat /a/h /a/i | grep o | sha256; cat < /a/h | more; echo "
		     "'echo deep; cat "
		     "/a/h' > /s; source /s; cd /a; pwd; cd; rm -r /z; df; mount; check"},
	{.name = "mounts",
	 .cpus = 2,
	 .mem_mib = 16,
	 .sites_min = 60,
	 .commands = "mkdir /d /p /t /u; mount -t devfs d /d; mount -t proc p /p; mount -t tmpfs -o size=1M t /t; "
		     "mount -o bind /t /u; "
		     "touch /t/f; ls /u /d /p /p/1 /p/sys; cat /p/meminfo /p/stat /p/slabinfo /p/mounts /p/locks "
		     "/p/1/status; cat "
		     "/d/null; echo x > /d/full; sysctl; sysctl sched.slice_us=900; echo 800 > /p/sys/sched/slice_us; "
		     "mount; df; umount "
		     "/u; umount -l /t; umount /d; umount /p; check"},
	{.name = "blocks",
	 .cpus = 2,
	 .mem_mib = 16,
	 .sites_min = 30,
	 .commands =
		 "mkdir /d; mount -t devfs d /d; ramdisk 64K; echo text > /d/ram0; cp /d/ram0 /f; losetup -o 4K /f; ls "
		 "/d; echo more > /d/loop0; sha256 /d/loop0 /f; losetup; losetup -d loop0; ramdisk -r ram0; ls /d; "
		 "umount "
		 "/d; check"},
	{.name = "unpack",
	 .cpus = 2,
	 .mem_mib = 16,
	 .sites_min = 40,
	 .commands = "mkdir /x; unpack %A /x; find /x; unpack nowhere"},
	{.name = "initramfs", .cpus = 2, .mem_mib = 16, .sites_min = 40, .commands = "find /", .initramfs = true},
	{.name = "poweroff", .cpus = 2, .mem_mib = 16, .sites_min = 10, .commands = "ps; poweroff 3; ps"},
	{.name = "callers", .cpus = 2, .mem_mib = 16, .sites_min = 10, .callers = CALLERS},
	{.name = "terminal",
	 .cpus = 2,
	 .mem_mib = 16,
	 .sites_min = 10,
	 .flags = TB_CONFIG_MONITOR | TB_CONFIG_INTERACTIVE,
	 .typed = "he\t \tt\t\t\necho one\necho two\n\x1b[A\x1b[A\n\x12one\nbench s\t\x03top -n 2 -d 1\nps\ntr\t on "
		  "s\t\t\nslab -s\n\x04"},
	{.name = "pipe",
	 .cpus = 1,
	 .mem_mib = 16,
	 .sites_min = 10,
	 .flags = TB_CONFIG_MONITOR,
	 .typed = "ps\nmem; slab\n\necho end"},
	{.name = "server",
	 .persona = "super_1g",
	 .cpus = 6,
	 .mem_mib = 64,
	 .sites_min = 30,
	 .parts = true,
	 .again = true,
	 .commands = "ps; mem; slab; cpus"},
};

struct console {
	char *text;
	size_t size;
};

struct outcome {
	tb_err boot, call, end;
	struct tb_faults_call work;
	int32_t status;
	const char *trouble;
};

static char commands[4096];
static const char *archive;

static void console_write(void *ctx, const char *bytes, size_t size_bytes)
{
	struct console *console = ctx;
	if (size_bytes > CONSOLE_SIZE - 1 - console->size)
		size_bytes = CONSOLE_SIZE - 1 - console->size;
	memcpy(console->text + console->size, bytes, size_bytes);
	console->size += size_bytes;
	console->text[console->size] = '\0';
}

// What the shutdown says about what was left.
static const char *find_trouble(const struct outcome *outcome, const struct console *console)
{
	static const char *const complaints[] = {"were not given back", "were not freed", "is still there"};
	for (size_t i = 0; i < sizeof complaints / sizeof complaints[0]; i++)
		if (strstr(console->text, complaints[i]) != NULL)
			return complaints[i];
	if (outcome->boot == -EIO || outcome->call == -EIO || outcome->end == -EIO)
		return "panic";
	if (outcome->boot == -EDEADLK || outcome->call == -EDEADLK)
		return "deadlock";
	if (outcome->boot == 0 && (outcome->call != 0 || outcome->end != 0))
		return "the call or the shutdown failed";
	return NULL;
}

// ---- the part of a run between boot and end ---------------------------------------------------------------------------------

struct caller {
	pthread_t thread;
	tb_instance *instance;
	uint32_t *errors;
	tb_err err;
};

static void *caller_main(void *arg)
{
	struct caller *caller = arg;
	caller->err = tb_call(caller->instance, tb_faults_meet, caller->errors, NULL);
	return NULL;
}

// Several host threads are inside at once, so that the pool of call threads has to grow.
static tb_err callers_run(tb_instance *instance, unsigned count, uint32_t *errors)
{
	struct caller callers[CALLERS];
	tb_err err = 0;
	for (unsigned i = 0; i < count; i++) {
		callers[i] = (struct caller){.instance = instance, .errors = errors};
		if (pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]) != 0)
			exit(2);
	}
	for (unsigned i = 0; i < count; i++) {
		pthread_join(callers[i].thread, NULL);
		err = err != 0 ? err : callers[i].err;
	}
	return err;
}

static tb_err middle(const struct scenario *scenario, tb_instance *instance, struct outcome *outcome)
{
	if (scenario->typed != NULL)
		return tb_wait(instance, &outcome->status);
	if (scenario->callers != 0)
		return callers_run(instance, scenario->callers, &outcome->work.errors);
	outcome->work.parts = scenario->parts;
	outcome->work.commands = commands;
	tb_err err = tb_call(instance, tb_faults_workload, &outcome->work, NULL);
	// A line that switches the instance off may end it before its own call is back.
	return err == -ESHUTDOWN && strstr(commands, "poweroff") != NULL ? 0 : err;
}

static int typed_open(const char *typed)
{
	int fds[2];
	if (typed == NULL)
		return -1;
	if (pipe(fds) != 0 || write(fds[1], typed, strlen(typed)) != (ssize_t)strlen(typed))
		exit(2);
	close(fds[1]);
	return fds[0];
}

static void run(const struct scenario *scenario, const char *cmdline, struct console *console, struct outcome *outcome)
{
	struct tb_config config;
	tb_instance *instance;

	memset(outcome, 0, sizeof *outcome);
	console->size = 0;
	console->text[0] = '\0';
	tb_config_init(&config);
	config.engine = scenario->callers != 0 ? TB_ENGINE_THREADS : TB_ENGINE_SIM;
	config.cpu_count = scenario->cpus;
	config.mem_bytes = (uint64_t)scenario->mem_mib << 20;
	config.seed = 7;
	config.persona = scenario->persona;
	config.cmdline = cmdline;
	config.flags = TB_CONFIG_QUIET | scenario->flags;
	config.write_fn = console_write;
	config.write_ctx = console;
	config.input_fd = typed_open(scenario->typed);
	config.initramfs_path = scenario->initramfs ? archive : NULL;
	outcome->boot = tb_create(&config, &instance);
	if (outcome->boot != 0) {
		outcome->trouble = "tb_create failed";
	} else {
		outcome->boot = tb_boot(instance);
		if (outcome->boot == 0)
			outcome->call = middle(scenario, instance, outcome);
		outcome->end = tb_destroy(instance);
		outcome->trouble = find_trouble(outcome, console);
	}
	if (config.input_fd >= 0)
		close(config.input_fd);
}

// ---- sites -----------------------------------------------------------------------------------------------------------------

static struct {
	unsigned hashes[4 * SITES_MAX];
	size_t count;
	unsigned test, failed, injected, boots, refused;
} totals;

static size_t parse_sites(const char *text, struct site *sites)
{
	size_t count = 0;
	for (const char *at = text; count < SITES_MAX && (at = strstr(at, "fault-site ")) != NULL; at += 11)
		if (sscanf(at, "fault-site %x %u", &sites[count].hash, &sites[count].hits) == 2)
			count++;
	return count;
}

// Whether no scenario had it before.
static bool is_new(unsigned hash)
{
	for (size_t i = 0; i < totals.count; i++)
		if (totals.hashes[i] == hash)
			return false;
	if (totals.count < sizeof totals.hashes / sizeof totals.hashes[0])
		totals.hashes[totals.count++] = hash;
	return true;
}

static void report(bool ok, const char *scenario, const char *what, const struct outcome *outcome,
		   const struct console *console)
{
	printf("%sok %u - faults.%s.%s\n", ok ? "" : "not ", ++totals.test, scenario, what);
	if (!ok)
		printf("# %s: boot %d, call %d, end %d, %u parts refused, status %d\n# %s\n",
		       outcome->trouble != NULL ? outcome->trouble : "unlike what was expected", outcome->boot,
		       outcome->call, outcome->end, outcome->work.errors, outcome->work.status,
		       console->text + (console->size > 1500 ? console->size - 1500 : 0));
	totals.failed += !ok;
	fflush(stdout);
}

static void site_examine(const struct scenario *scenario, const struct site *site, struct console *console)
{
	struct outcome outcome;
	for (unsigned hit = 1; hit <= HITS_MAX && hit <= site->hits; hit++) {
		char cmdline[64], what[32];
		snprintf(cmdline, sizeof cmdline, "fault_site=0x%08x fault_hit=%u", site->hash, hit);
		snprintf(what, sizeof what, "%08x.%u", site->hash, hit);
		run(scenario, cmdline, console, &outcome);
		totals.injected++;
		totals.refused += outcome.work.errors != 0 || outcome.work.status != 0;
		totals.boots += outcome.boot != 0;
		report(outcome.trouble == NULL, scenario->name, what, &outcome, console);
	}
}

static void commands_make(const char *text, const char *trace)
{
	size_t used = 0;

	for (; *text != '\0' && used + 1 < sizeof commands; text++) {
		const char *name = text[0] != '%' ? NULL : text[1] == 's' ? trace : text[1] == 'A' ? archive : NULL;
		if (name == NULL) {
			commands[used++] = *text;
			continue;
		}
		used += (size_t)snprintf(commands + used, sizeof commands - used, "%s", name);
		text++;
	}
	commands[used < sizeof commands ? used : sizeof commands - 1] = '\0';
}

static void scenario_examine(const struct scenario *scenario, const char *trace, struct console *console)
{
	static struct site sites[SITES_MAX];
	struct outcome outcome;
	size_t fresh = 0;

	commands_make(scenario->commands != NULL ? scenario->commands : "", trace);
	run(scenario, "fault_record=1", console, &outcome);
	size_t count = parse_sites(console->text, sites);
	report(outcome.trouble == NULL && count >= scenario->sites_min && count < SITES_MAX && outcome.work.errors == 0,
	       scenario->name, "recording", &outcome, console);
	for (size_t i = 0; i < count; i++) {
		bool first = is_new(sites[i].hash);
		fresh += first;
		if (first || scenario->again)
			site_examine(scenario, &sites[i], console);
	}
	printf("# %s: %zu call stacks, %zu of them new\n", scenario->name, count, fresh);
}

int main(int argc, char **argv)
{
	struct console console = {malloc(CONSOLE_SIZE), 0};

	if (console.text == NULL || argc < 3) {
		fprintf(stderr, "usage: %s TRACE ARCHIVE [SCENARIO]\n", argv[0]);
		return 2;
	}
	archive = argv[2];
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
		if (argc < 4 || strcmp(argv[3], scenarios[i].name) == 0)
			scenario_examine(&scenarios[i], argv[1], &console);
	printf("1..%u\n# %zu call stacks, %u failures injected: %u boots and %u workloads were refused, %u "
	       "misbehaved\n",
	       totals.test, totals.count, totals.injected, totals.boots, totals.refused, totals.failed);
	free(console.text);
	return totals.failed != 0 || totals.test == 0;
}
