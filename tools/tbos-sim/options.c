// SPDX-License-Identifier: MIT
//
// The command line of tbos-sim.
#include "sim_impl.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: tbos-sim [options] [-c 'COMMAND; COMMAND…']\n"
	"Runs TBOS as a process. Without -c the monitor talks on this terminal; 'help' lists its commands.\n"
	"\n"
	"  --engine threads|sim   host threads, or the replayable simulator (threads)\n"
	"  --persona P            what kind of machine (desktop_512m); 'list' names them\n"
	"  --cpus N               processors, 1 to 64 (the persona's)\n"
	"  --mem SIZE             memory, 2M to 3G (the persona's)\n"
	"  --initramfs FILE       fill the tree from a cpio archive: plain, LZ4 or Zstandard\n"
	"  --disk FILE[,OPTION…]  a disk: an image or block device of the host, up to 16 times. ro; size=N makes it;\n"
	"                         offset=N; logical=N; physical=N; sim: publish writes the image at the end, and "
	"faults:\n"
	"                         eio, full, lost, torn, misdirected, stale, flip, lying, slow =N (one in N), cut=N "
	"(power)\n"
	"  -c, --command LINE     run monitor commands, then power off; exit with the last one's status\n"
	"  --seed N               seed of everything that chance decides (1)\n"
	"  --clock real|stepped   sim: stepped is one CPU, and time that moves only when it is idle (real)\n"
	"  --policy P             sim: who runs next: rr, random, pct:DEPTH (random)\n"
	"  --record LOG           sim: write every decision and input to LOG\n"
	"  --replay LOG           sim: take decisions and input from LOG\n"
	"  --verify               sim: run twice with different junk in fresh memory and compare\n"
	"  --trace FILE           write all trace events to FILE (JSON, for Perfetto)\n"
	"  --time-limit T         stop after T: 10s, 500ms, 2m; virtual time under sim\n"
	"  --slot N               address slot, 0 to 84 (any)\n"
	"  --json                 report the run as JSON on standard output when it ends\n"
	"  --quiet                no banner, only errors from the log\n"
	"  --help, --version\n"
	"\n"
	"Exit status: the last command's; 1 error, 2 usage, 3 --verify differs, 124 time limit, 125 panic, 130 "
	"Ctrl-C.\n";

enum {
	OPT_ENGINE = 256,
	OPT_PERSONA,
	OPT_CPUS,
	OPT_MEM,
	OPT_SEED,
	OPT_INITRAMFS,
	OPT_DISK,
	OPT_CLOCK,
	OPT_POLICY,
	OPT_RECORD,
	OPT_REPLAY,
	OPT_VERIFY,
	OPT_TRACE,
	OPT_TIME_LIMIT,
	OPT_SLOT,
	OPT_JSON,
	OPT_QUIET,
	OPT_HELP,
	OPT_VERSION
};

static const struct option longs[] = {{"engine", 1, NULL, OPT_ENGINE},
				      {"persona", 1, NULL, OPT_PERSONA},
				      {"cpus", 1, NULL, OPT_CPUS},
				      {"mem", 1, NULL, OPT_MEM},
				      {"command", 1, NULL, 'c'},
				      {"initramfs", 1, NULL, OPT_INITRAMFS},
				      {"seed", 1, NULL, OPT_SEED},
				      {"clock", 1, NULL, OPT_CLOCK},
				      {"policy", 1, NULL, OPT_POLICY},
				      {"record", 1, NULL, OPT_RECORD},
				      {"replay", 1, NULL, OPT_REPLAY},
				      {"verify", 0, NULL, OPT_VERIFY},
				      {"trace", 1, NULL, OPT_TRACE},
				      {"time-limit", 1, NULL, OPT_TIME_LIMIT},
				      {"slot", 1, NULL, OPT_SLOT},
				      {"json", 0, NULL, OPT_JSON},
				      {"quiet", 0, NULL, OPT_QUIET},
				      {"help", 0, NULL, OPT_HELP},
				      {"version", 0, NULL, OPT_VERSION},
				      {"disk", 1, NULL, OPT_DISK},
				      {NULL, 0, NULL, 0}};

struct suffix {
	const char *name;
	uint64_t factor;
};

static const struct suffix sizes[] = {{"", 1},         {"K", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30},
				      {"k", 1u << 10}, {"m", 1u << 20}, {"g", 1u << 30}, {NULL, 0}};
static const struct suffix times[] = {{"s", 1000000000}, {"", 1000000000},   {"ms", 1000000}, {"us", 1000},
				      {"ns", 1},         {"m", 60000000000}, {NULL, 0}};
static const struct suffix plain[] = {{"", 1}, {NULL, 0}};

static bool parse_number(const char *option, const char *text, const struct suffix *suffixes, uint64_t min,
			 uint64_t max, uint64_t *out)
{
	char *end;
	errno = 0;
	uint64_t number = strtoull(text, &end, 0);
	bool ok = errno == 0 && end != text && text[0] >= '0' && text[0] <= '9';
	const struct suffix *suffix = suffixes;

	while (suffix->name != NULL && strcmp(end, suffix->name) != 0)
		suffix++;
	ok = ok && suffix->name != NULL && !__builtin_mul_overflow(number, suffix->factor, &number);
	if (!ok) {
		fprintf(stderr, "tbos-sim: --%s: '%s' is not a number this option takes\n", option, text);
		return false;
	}
	if (number < min || number > max) {
		fprintf(stderr, "tbos-sim: --%s: %s is outside %llu to %llu\n", option, text, (unsigned long long)min,
			(unsigned long long)max);
		return false;
	}
	*out = number;
	return true;
}

bool options_number(const char *option, const char *text, uint64_t max, uint64_t *out)
{
	return parse_number(option, text, sizes, 0, max, out);
}

static bool parse_engine(const char *text, struct sim_options *options)
{
	if (strcmp(text, "threads") == 0)
		options->engine = TB_ENGINE_THREADS;
	else if (strcmp(text, "sim") == 0)
		options->engine = TB_ENGINE_SIM;
	else
		fprintf(stderr, "tbos-sim: --engine: '%s' is neither threads nor sim\n", text);
	return strcmp(text, "threads") == 0 || strcmp(text, "sim") == 0;
}

static bool parse_clock(const char *text, struct sim_options *options)
{
	options->stepped = strcmp(text, "stepped") == 0;
	if (!options->stepped && strcmp(text, "real") != 0) {
		fprintf(stderr, "tbos-sim: --clock: '%s' is neither real nor stepped\n", text);
		return false;
	}
	return true;
}

static void list_personas(void)
{
	struct tb_persona persona;
	for (uint32_t i = 0; tb_persona_get(i, &persona); i++)
		printf("%-16s %s\n", persona.name, persona.summary);
}

// Numbers and flags; strings are taken by options_parse().
static bool parse_value(int option, const char *text, struct sim_options *options)
{
	uint64_t number = 0;
	bool ok = true;
	switch (option) {
	case OPT_CPUS:
		ok = parse_number("cpus", text, plain, 1, 64, &number);
		options->cpus = (uint32_t)number;
		return ok;
	case OPT_SLOT:
		ok = parse_number("slot", text, plain, 0, 84, &number);
		options->slot = (uint32_t)number + 1;
		return ok;
	case OPT_MEM:
		return parse_number("mem", text, sizes, 2u << 20, 3ull << 30, &options->mem_bytes);
	case OPT_SEED:
		return parse_number("seed", text, plain, 0, UINT64_MAX, &options->seed);
	case OPT_TIME_LIMIT:
		return parse_number("time-limit", text, times, 1, UINT64_MAX / 2, &options->time_limit_ns);
	case OPT_DISK:
		return disk_parse(text, options);
	case OPT_ENGINE:
		return parse_engine(text, options);
	case OPT_CLOCK:
		return parse_clock(text, options);
	case OPT_VERIFY:
		options->verify = true;
		return true;
	case OPT_JSON:
		options->json = true;
		return true;
	case OPT_QUIET:
		options->quiet = true;
		return true;
	default:
		return false;
	}
}

static bool check(const struct sim_options *options)
{
	const char *sim_only = options->record_path != NULL   ? "--record"
			       : options->replay_path != NULL ? "--replay"
			       : options->verify              ? "--verify"
			       : options->policy != NULL      ? "--policy"
			       : options->stepped             ? "--clock stepped"
							      : NULL;
	if (options->engine != TB_ENGINE_SIM && sim_only != NULL) {
		fprintf(stderr, "tbos-sim: %s needs --engine sim\n", sim_only);
		return false;
	}
	if (options->stepped && options->cpus > 1) {
		fprintf(stderr, "tbos-sim: --clock stepped is for one CPU, not %u\n", options->cpus);
		return false;
	}
	if (options->verify && options->commands == NULL) {
		fprintf(stderr, "tbos-sim: --verify runs twice, so it needs -c and not a terminal\n");
		return false;
	}
	for (uint32_t i = 0; i < options->disk_count; i++)
		if (options->verify && (options->disks[i].flags & TB_DISK_PUBLISH) != 0) {
			fprintf(stderr, "tbos-sim: --verify runs twice, so no disk is published\n");
			return false;
		}
	if (options->record_path != NULL && options->replay_path != NULL) {
		fprintf(stderr, "tbos-sim: --record and --replay exclude each other\n");
		return false;
	}
	return true;
}

int options_parse(int argc, char **argv, struct sim_options *options, bool *done)
{
	int option;
	*done = false;
	while ((option = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->commands = optarg;
			break;
		case OPT_PERSONA:
			options->persona = optarg;
			break;
		case OPT_INITRAMFS:
			options->initramfs_path = optarg;
			break;
		case OPT_POLICY:
			options->policy = optarg;
			break;
		case OPT_RECORD:
			options->record_path = optarg;
			break;
		case OPT_REPLAY:
			options->replay_path = optarg;
			break;
		case OPT_TRACE:
			options->trace_path = optarg;
			break;
		case 'h':
		case OPT_HELP:
			fputs(usage, stdout);
			*done = true;
			return 0;
		case OPT_VERSION:
			printf("tbos-sim %s (build %s)\n", tb_version(), tb_build_id());
			*done = true;
			return 0;
		default:
			if (option == '?' || !parse_value(option, optarg, options)) {
				fprintf(stderr, "try 'tbos-sim --help'\n");
				return EXIT_USAGE;
			}
		}
	}
	if (options->persona != NULL && strcmp(options->persona, "list") == 0) {
		list_personas();
		*done = true;
		return 0;
	}
	if (optind < argc) {
		fprintf(stderr, "tbos-sim: '%s': commands go after -c; try 'tbos-sim --help'\n", argv[optind]);
		return EXIT_USAGE;
	}
	return check(options) ? 0 : EXIT_USAGE;
}
