// SPDX-License-Identifier: MIT
//
// Allocation failure at every call stack. One recording run lists the sites (call stacks, depth 4) that allocate in boot,
// workload and shutdown; then each site's first three allocations are made to fail, one at a time, in an instance of its own. What is asked:
// an error or a success, never a panic, a deadlock, or something left behind.
#include "faults_entry.h"
#include "tbos/tbos.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SITES_MAX 512
#define HITS_MAX 3u
#define CONSOLE_SIZE (1u << 20)

struct site {
	unsigned hash, hits;
};

struct console {
	char *text;
	size_t size;
};

struct outcome {
	tb_err boot, call, end;
	struct tb_faults_result result;
	const char *trouble;
};

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

static void run(const char *cmdline, struct console *console, struct outcome *outcome)
{
	struct tb_config config;
	tb_instance *instance;

	memset(outcome, 0, sizeof *outcome);
	console->size = 0;
	console->text[0] = '\0';
	tb_config_init(&config);
	config.engine = TB_ENGINE_SIM;
	config.cpu_count = 2;
	config.mem_bytes = 32u << 20;
	config.seed = 7;
	config.cmdline = cmdline;
	config.flags = TB_CONFIG_QUIET;
	config.write_fn = console_write;
	config.write_ctx = console;
	config.input_fd = -1;
	outcome->boot = tb_create(&config, &instance);
	if (outcome->boot != 0) {
		outcome->trouble = "tb_create failed";
		return;
	}
	outcome->boot = tb_boot(instance);
	if (outcome->boot == 0)
		outcome->call = tb_call(instance, tb_faults_workload, &outcome->result, NULL);
	outcome->end = tb_destroy(instance);
	outcome->trouble = find_trouble(outcome, console);
}

static size_t parse_sites(const char *text, struct site *sites)
{
	size_t count = 0;
	for (const char *at = text; count < SITES_MAX && (at = strstr(at, "fault-site ")) != NULL; at += 11)
		if (sscanf(at, "fault-site %x %u", &sites[count].hash, &sites[count].hits) == 2)
			count++;
	return count;
}

int main(void)
{
	static struct site sites[SITES_MAX];
	struct console console = {malloc(CONSOLE_SIZE), 0};
	struct outcome outcome;
	unsigned test = 0, failed = 0, refused = 0, boots = 0;

	if (console.text == NULL)
		return 2;
	run("fault_record=1", &console, &outcome);
	size_t count = parse_sites(console.text, sites);
	bool ok = outcome.trouble == NULL && count > 20 && count < SITES_MAX && outcome.result.errors == 0;
	printf("%sok %u - faults.recording\n", ok ? "" : "not ", ++test);
	if (!ok)
		printf("# %zu sites; %s\n# %s\n", count, outcome.trouble != NULL ? outcome.trouble : "workload refused",
		       console.text);
	failed += !ok;
	for (size_t i = 0; i < count; i++) {
		for (unsigned hit = 1; hit <= HITS_MAX && hit <= sites[i].hits; hit++) {
			char cmdline[64];
			snprintf(cmdline, sizeof cmdline, "fault_site=0x%08x fault_hit=%u", sites[i].hash, hit);
			run(cmdline, &console, &outcome);
			refused += outcome.result.errors != 0 || outcome.result.status != 0;
			boots += outcome.boot != 0;
			ok = outcome.trouble == NULL;
			printf("%sok %u - faults.%08x.%u\n", ok ? "" : "not ", ++test, sites[i].hash, hit);
			if (!ok)
				printf("# %s: boot %d, call %d, end %d\n# %s\n", outcome.trouble, outcome.boot,
				       outcome.call, outcome.end,
				       console.text + (console.size > 1500 ? console.size - 1500 : 0));
			failed += !ok;
		}
	}
	printf("1..%u\n# %zu call stacks, %u failures injected: %u boots and %u workloads were refused, %u "
	       "misbehaved\n",
	       test, count, test - 1, boots, refused, failed);
	free(console.text);
	return failed != 0;
}
