// SPDX-License-Identifier: MIT
//
// How many schedules does each policy need to show each planted bug? One call into an instance is one schedule (the policy
// begins a new episode with each call). A bug that neither random nor PCT shows within --limit schedules fails its test; a twin
// that misbehaves in any of --twins schedules fails too. The table goes to stdout as TAP comments and, with --json, to a file.
#include "planted_entry.h"
#include "tbos/tbos.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_PER_INSTANCE 200u
#define PROGRAMS_MAX 64u
#define POLICY_COUNT 3u

static const char *const policies[POLICY_COUNT] = {"rr", "random", "pct:3"};

struct options {
	uint32_t limit, twins, cpus, trials;
	uint64_t seed;
	uint32_t share, shares; // every shares-th program, from this one on
	const char *only;
	const char *json;
};

struct finding {
	uint32_t needed[POLICY_COUNT]; // median of the trials; 0: not found
	bool twin_clean;
	char trouble[200];
};

static void discard(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	(void)bytes;
	(void)size_bytes;
}

static tb_instance *instance_make(const struct options *options, const char *policy, uint64_t seed)
{
	struct tb_config config;
	tb_instance *instance;
	tb_config_init(&config);
	config.engine = TB_ENGINE_SIM;
	config.cpu_count = options->cpus;
	config.mem_bytes = 16u << 20;
	config.seed = seed;
	config.policy = policy;
	config.flags = TB_CONFIG_QUIET;
	config.write_fn = discard;
	config.input_fd = -1;
	if (tb_create(&config, &instance) != 0) {
		fprintf(stderr, "test_planted: %s\n", tb_error(NULL));
		exit(2);
	}
	if (tb_boot(instance) != 0) {
		fprintf(stderr, "test_planted: boot: %s\n", tb_error(instance));
		exit(2);
	}
	return instance;
}

// Runs up to `limit` schedules; returns the number of the first that misbehaved, 0 if none did. A call that fails (panic,
// deadlock) is misbehaviour too, and *error says which.
static uint32_t search(const struct options *options, struct tb_planted_call *call, const char *policy, uint64_t seed,
		       uint32_t limit, tb_err *error)
{
	uint32_t done = 0;
	*error = 0;
	while (done < limit) {
		tb_instance *instance = instance_make(options, policy, seed + done);
		uint32_t found = 0;
		for (uint32_t i = 0; i < CALLS_PER_INSTANCE && done < limit && found == 0; i++) {
			int64_t wrong = 0;
			*error = tb_call(instance, tb_planted_run, call, &wrong);
			done++;
			if (*error != 0 || wrong != 0)
				found = done;
		}
		tb_err end = tb_destroy(instance);
		if (found == 0 && end != 0) {
			*error = end;
			found = done;
		}
		if (found != 0)
			return found;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static uint32_t median_needed(const struct options *options, uint32_t index, const char *policy)
{
	struct tb_planted_call call = {.index = index, .bug = true};
	uint32_t needed[16];
	tb_err error;
	for (uint32_t i = 0; i < options->trials; i++) {
		needed[i] =
			search(options, &call, policy, options->seed + (uint64_t)i * 1000003, options->limit, &error);
		if (needed[i] == 0)
			needed[i] = UINT32_MAX;
	}
	qsort(needed, options->trials, sizeof needed[0], compare);
	uint32_t median = needed[options->trials / 2];
	return median == UINT32_MAX ? 0 : median;
}

static void examine(const struct options *options, uint32_t index, struct finding *finding)
{
	struct tb_planted_call twin = {.index = index, .bug = false};
	finding->twin_clean = true;
	for (uint32_t p = 0; p < POLICY_COUNT; p++) {
		tb_err error;
		finding->needed[p] = median_needed(options, index, policies[p]);
		if (p == 0)
			continue;
		uint32_t wrong = search(options, &twin, policies[p], options->seed, options->twins, &error);
		if (wrong != 0) {
			finding->twin_clean = false;
			snprintf(finding->trouble, sizeof finding->trouble,
				 "twin misbehaved under %s in schedule %u (error %d)", policies[p], wrong, error);
		}
	}
	if (finding->needed[1] == 0 && finding->needed[2] == 0)
		snprintf(finding->trouble, sizeof finding->trouble,
			 "neither random nor pct:3 shows it within %u schedules", options->limit);
}

static const char *number(uint32_t needed, char text[16])
{
	snprintf(text, 16, needed != 0 ? "%u" : "-", needed);
	return text;
}

static void write_json(const struct options *options, const struct tb_planted_info *infos,
		       const struct finding *findings, uint32_t count)
{
	FILE *out = fopen(options->json, "w");
	if (out == NULL) {
		fprintf(stderr, "test_planted: %s: %s\n", options->json, strerror(errno));
		exit(2);
	}
	fprintf(out, "{\"limit\": %u, \"twins\": %u, \"trials\": %u, \"programs\": [\n", options->limit, options->twins,
		options->trials);
	for (uint32_t i = 0; i < count; i++)
		fprintf(out, "  {\"name\": \"%s\", \"rr\": %u, \"random\": %u, \"pct\": %u, \"twin_clean\": %s}%s\n",
			infos[i].name, findings[i].needed[0], findings[i].needed[1], findings[i].needed[2],
			findings[i].twin_clean ? "true" : "false", i + 1 < count ? "," : "");
	fprintf(out, "]}\n");
	fclose(out);
}

static int run(const struct options *options)
{
	static struct finding findings[PROGRAMS_MAX];
	static struct tb_planted_info infos[PROGRAMS_MAX];
	uint32_t count = 0, failed = 0;
	char a[16], b[16], c[16];

	for (uint32_t i = 0; i < PROGRAMS_MAX && tb_planted_describe(i, &infos[count]); i++) {
		struct finding *finding = &findings[count];
		if (options->only != NULL && strcmp(options->only, infos[count].name) != 0)
			continue;
		if (i % options->shares != options->share)
			continue;
		examine(options, i, finding);
		bool ok = finding->trouble[0] == '\0';
		failed += !ok;
		printf("%sok %u - planted.%s\n", ok ? "" : "not ", count + 1, infos[count].name);
		if (!ok)
			printf("# %s\n", finding->trouble);
		fflush(stdout);
		count++;
	}
	printf("1..%u\n# schedules needed (median of %u trials; - none in %u); twins ran %u schedules per policy\n",
	       count, options->trials, options->limit, options->twins);
	printf("# %-22s %8s %8s %8s  %s\n", "program", "rr", "random", "pct:3", "mistake");
	for (uint32_t i = 0; i < count; i++)
		printf("# %-22s %8s %8s %8s  %s\n", infos[i].name, number(findings[i].needed[0], a),
		       number(findings[i].needed[1], b), number(findings[i].needed[2], c), infos[i].mistake);
	if (options->json != NULL)
		write_json(options, infos, findings, count);
	return failed != 0 || count == 0;
}

int main(int argc, char **argv)
{
	struct options options = {.limit = 10000, .twins = 2000, .cpus = 4, .trials = 3, .seed = 1, .shares = 1};
	static const struct option longs[] = {{"limit", 1, NULL, 'l'},  {"twins", 1, NULL, 't'}, {"cpus", 1, NULL, 'c'},
					      {"trials", 1, NULL, 'n'}, {"seed", 1, NULL, 's'},  {"only", 1, NULL, 'o'},
					      {"json", 1, NULL, 'j'},   {"share", 1, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int option;
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (option) {
		case 'l':
			options.limit = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 't':
			options.twins = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'c':
			options.cpus = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			options.trials = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 's':
			options.seed = strtoull(optarg, NULL, 10);
			break;
		case 'o':
			options.only = optarg;
			break;
		case 'j':
			options.json = optarg;
			break;
		case 'h':
			if (sscanf(optarg, "%u/%u", &options.share, &options.shares) != 2)
				options.shares = 0;
			break;
		default:
			fprintf(stderr,
				"usage: %s [--limit N] [--twins N] [--cpus N] [--trials 1..15] [--seed N] [--only "
				"NAME] [--share K/N] [--json FILE]\n",
				argv[0]);
			return 2;
		}
	}
	if (options.shares == 0 || options.share >= options.shares)
		return 2;
	if (options.trials == 0 || options.trials > 15 || options.limit == 0)
		return 2;
	return run(&options);
}
