// SPDX-License-Identifier: MIT
//
// The crash explorer as a program: options, reports, where to go on. sweep.h.
#include "sweep.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: %s [options]\n"
	"Runs every sequence of operations on a small volume of PXFS and takes the power away at every write, in every "
	"way that the disk allows.\n"
	"  --length N        sequences of up to N operations, 1 to 3 (3)\n"
	"  --budget S        seconds (none: to the end)\n"
	"  --jobs N          processes (one a CPU)\n"
	"  --seed N          of all chance (1)\n"
	"  --sample N        of sequences longer than one operation, one in N (1)\n"
	"  --depth N         cuts of recoveries of cuts, 1 to 3 (3)\n"
	"  --nest N          one recovery in N is cut again; 0: none (16)\n"
	"  --damage N        one sequence in N also with lost and misdirected writes and flipped bits; 0: none (4)\n"
	"  --no-cuts         damage alone\n"
	"  --deep            the volume begins with a tree of two levels\n"
	"  --disk KIND       honest; no-flush, no-fua: a disk that lies, which must be found (honest)\n"
	"  --case CASE       one sequence, \"create,fsync\", or one place of it, \"create,fsync@12[16:0]\"\n"
	"  --state FILE      where the sweep has come to is kept there; --resume goes on there\n"
	"  --limit S         seconds for one sequence (300)\n"
	"  --json            the sums as JSON\n"
	"  --tap [POINT]     as a test: the sweep finds nothing, and disks that lie are found\n"
	"  --verbose         with --case: what the kernel says, on stderr\n"
	"  --ops             names of operations\n"
	"Exit status: 0 nothing was found, 1 something was, 2 it could not run.\n";

// ---- where it has come to ----------------------------------------------------------------------------------------------------------

static void state_text(const struct settings *settings, char *text, size_t size)
{
	snprintf(text, size,
		 "seed %" PRIu64 " sample %u%s disk %s operations %u depth %u nest %u damage %u figures %zu",
		 settings->seed, settings->sample, settings->deep ? " deep" : "", disk_names[settings->disk],
		 op_count(), settings->depth, settings->nest, settings->damage,
		 offsetof(struct totals, finding_count) / sizeof(uint64_t));
}

// The first sequence to run. false: said on stderr.
static bool state_load(const struct settings *settings, uint64_t *first, struct outcome *before)
{
	char wanted[160], line[200];
	bool same = false;
	FILE *file = fopen(settings->state, "r");

	if (file == NULL) // nothing to go on with
		return true;
	state_text(settings, wanted, sizeof wanted);
	if (fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		same = strcmp(line, wanted) == 0;
	}
	uint64_t *words = (uint64_t *)&before->totals;
	size_t count = offsetof(struct totals, finding_count) / sizeof *words;
	bool whole = same && fscanf(file, "%" SCNu64 " %lf %lf", first, &before->seconds, &before->cpu_seconds) == 3;
	for (size_t i = 0; whole && i < count; i++)
		whole = fscanf(file, "%" SCNu64, &words[i]) == 1;
	fclose(file);
	if (!whole)
		fprintf(stderr, "crash-sweep: %s is of another sweep (now: %s): leave out --resume to begin anew\n",
			settings->state, wanted);
	return whole;
}

static void state_save(const struct settings *settings, const struct outcome *all)
{
	char text[160];
	const uint64_t *words = (const uint64_t *)&all->totals;
	FILE *file = fopen(settings->state, "w");

	if (file == NULL) {
		fprintf(stderr, "crash-sweep: %s: %s\n", settings->state, strerror(errno));
		return;
	}
	state_text(settings, text, sizeof text);
	fprintf(file, "%s\n%" PRIu64 " %.1f %.1f\n", text, all->next, all->seconds, all->cpu_seconds);
	for (size_t i = 0; i < offsetof(struct totals, finding_count) / sizeof *words; i++)
		fprintf(file, "%" PRIu64 "\n", words[i]);
	fclose(file);
}

// ---- reports -------------------------------------------------------------------------------------------------------------------------

static uint64_t runs_of(const struct crash_sums *sums)
{
	uint64_t runs = sums->damage_runs;
	for (uint32_t d = 0; d < CRASH_DEPTH_MAX; d++)
		runs += sums->runs[d];
	return runs;
}

static double stands_for(const struct crash_sums *sums)
{
	double states = 0;
	for (uint32_t i = 0; i < CRASH_BITS; i++)
		states += (double)sums->stands_for[i] * pow(2, i);
	return states;
}

static uint32_t depth_of(const struct crash_sums *sums)
{
	uint32_t depth = 0;
	for (uint32_t d = 0; d < CRASH_DEPTH_MAX; d++)
		depth = sums->runs[d] != 0 ? d + 1 : depth;
	return depth;
}

static void report_text(FILE *to, const char *before, const struct outcome *all)
{
	const struct crash_sums *sums = &all->totals.sums;
	uint64_t runs = runs_of(sums), left = 1;

	fprintf(to, "%ssequences", before);
	for (uint32_t i = 0; i < SWEEP_LENGTH_MAX; i++) {
		left *= op_count();
		if (all->totals.done[i] != 0)
			fprintf(to, "%s %" PRIu64 " of %" PRIu64 " of length %u", i != 0 ? "," : "",
				all->totals.done[i], left, i + 1);
	}
	fprintf(to,
		"\n%s%" PRIu64 " places, %" PRIu64 " of them during a write, all of which were cut; %" PRIu64
		" with more states than are tried\n",
		before, sums->boundaries, sums->writes, sums->cut_short);
	fprintf(to,
		"%s%" PRIu64 " crash states judged, which stand for %.3g: %" PRIu64 " recoveries run (by depth %" PRIu64
		", %" PRIu64 ", %" PRIu64 "), %" PRIu64 " known, of which %" PRIu64 " were run all the same\n",
		before, runs - sums->damage_runs + sums->known, stands_for(sums), runs - sums->damage_runs,
		sums->runs[0], sums->runs[1], sums->runs[2], sums->known, sums->confirmed);
	if (sums->damage_runs != 0)
		fprintf(to,
			"%s%" PRIu64 " damaged disks, %" PRIu64 " known: %" PRIu64
			" answered with an error somewhere, %" PRIu64 " went back to an older tree, whole\n",
			before, sums->damage_runs + sums->damage_known, sums->damage_known, sums->damage_refused,
			sums->damage_back);
	fprintf(to,
		"%s%.1f s, %.1f of CPU: %.0f recoveries and %.0f crash states a second of CPU; %" PRIu64
		" sequences with violations\n",
		before, all->seconds, all->cpu_seconds, (double)runs / all->cpu_seconds,
		(double)(runs + sums->known) / all->cpu_seconds, all->totals.violations);
}

static void json_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned)(unsigned char)*text);
		else
			putchar(*text);
	putchar('"');
}

static void report_json(const struct outcome *all)
{
	const struct crash_sums *sums = &all->totals.sums;
	char text[CRASH_PLACE_SIZE + 200];

	printf("{\"sequences\": [%" PRIu64 ", %" PRIu64 ", %" PRIu64 "], \"next\": %" PRIu64 ", \"count\": %" PRIu64
	       ", \"places\": %" PRIu64 ", \"writes\": %" PRIu64 ", \"cut_short\": %" PRIu64,
	       all->totals.done[0], all->totals.done[1], all->totals.done[2], all->next, all->count, sums->boundaries,
	       sums->writes, sums->cut_short);
	printf(", \"recoveries\": [%" PRIu64 ", %" PRIu64 ", %" PRIu64 "], \"depth\": %u, \"known\": %" PRIu64
	       ", \"stands_for\": %.3g, \"damaged\": %" PRIu64 ", \"damaged_refused\": %" PRIu64
	       ", \"damaged_back\": %" PRIu64 ", \"seconds\": %.1f, \"cpu_seconds\": %.1f, \"violations\": %" PRIu64
	       ", \"findings\": [",
	       sums->runs[0], sums->runs[1], sums->runs[2], depth_of(sums), sums->known, stands_for(sums),
	       sums->damage_runs, sums->damage_refused, sums->damage_back, all->seconds, all->cpu_seconds,
	       all->totals.violations);
	for (uint32_t i = 0; i < all->totals.finding_count; i++) {
		const struct finding *finding = &all->totals.findings[i];
		case_print(&finding->call, text, sizeof text);
		printf("%s{\"case\": ", i != 0 ? ", " : "");
		json_text(text);
		printf(", \"what\": ");
		json_text(finding->ended[0] != '\0' ? finding->ended : finding->call.what);
		printf("}");
	}
	printf("]}\n");
}

// ---- runs ----------------------------------------------------------------------------------------------------------------------------

static void findings_shrink(const struct settings *settings, struct totals *totals)
{
	tb_instance *instance = NULL;

	if (totals->finding_count == 0 || !instance_begin(settings, &instance))
		return;
	for (uint32_t i = 0; i < totals->finding_count; i++)
		finding_shrink(settings, instance, &totals->findings[i]);
}

static int sweep(const struct settings *settings)
{
	static struct outcome before, outcome;
	uint64_t first = 0;

	if (settings->resume && settings->state != NULL && !state_load(settings, &first, &before))
		return 2;
	sweep_run(settings, first, &outcome);
	if (outcome.failed)
		return 2;
	bool found = outcome.totals.violations != 0;
	sums_add(&outcome.totals.sums, &before.totals.sums);
	outcome.totals.violations += before.totals.violations;
	outcome.seconds += before.seconds;
	outcome.cpu_seconds += before.cpu_seconds;
	for (uint32_t i = 0; i < SWEEP_LENGTH_MAX; i++)
		outcome.totals.done[i] += before.totals.done[i];
	if (settings->state != NULL)
		state_save(settings, &outcome);
	findings_shrink(settings, &outcome.totals);
	if (settings->json) {
		report_json(&outcome);
	} else {
		report_text(stdout, "", &outcome);
		for (uint32_t i = 0; i < outcome.totals.finding_count; i++)
			finding_print(stdout, "FAILED ", settings, &outcome.totals.findings[i]);
	}
	return found ? 1 : 0;
}

static int one_case(const struct settings *settings, const char *text)
{
	struct crash_call *call = call_map();
	tb_instance *instance = NULL;
	char ended[80];

	if (call == NULL) {
		perror("crash-sweep");
		return 2;
	}
	call_make(settings, call);
	if (!case_parse(text, call) || !instance_begin(settings, &instance))
		return 2;
	sequence_run(instance, call, settings->limit_s, ended, sizeof ended);
	if (strcmp(ended, no_place) == 0) {
		fprintf(stderr, "crash-sweep: \"%s\": %s\n", text, ended);
		return 2;
	}
	if (ended[0] != '\0' || call->violations != 0) {
		printf("FAILED %s\n", ended[0] != '\0' ? ended : call->what);
		if (call->only[0] == '\0' && call->place[0] != '\0')
			printf("    at %s\n", call->place);
		return 1;
	}
	printf("nothing found: %" PRIu64 " recoveries, %" PRIu64 " known\n", runs_of(&call->sums), call->sums.known);
	return 0;
}

struct point {
	const char *name;
	uint32_t disk;
	bool deep;
};

// Whether it is as it must be: nothing is found, unless the disk lies.
static bool point_run(const struct settings *given, const struct point *point, struct outcome *outcome)
{
	struct settings settings = *given;

	settings.disk = point->disk;
	settings.deep = point->deep;
	if (point->disk != CRASH_DISK_HONEST)
		settings.nest = settings.damage = 0;
	if (point->deep) {
		settings.depth = 1;
		settings.damage *= 8;
		settings.sample *= 8;
	}
	sweep_run(&settings, 0, outcome);
	bool lies = point->disk != CRASH_DISK_HONEST,
	     ok = !outcome->failed && (outcome->totals.violations != 0) == lies;
	if (ok || lies)
		return ok;
	findings_shrink(&settings, &outcome->totals);
	for (uint32_t i = 0; i < outcome->totals.finding_count; i++)
		finding_print(stdout, "# ", &settings, &outcome->totals.findings[i]);
	return false;
}

static int test(const struct settings *given, const char *filter)
{
	static const struct point points[] = {{"crash.every_sequence", CRASH_DISK_HONEST, false},
					      {"crash.every_sequence_on_two_levels", CRASH_DISK_HONEST, true},
					      {"crash.a_flush_that_lies", CRASH_DISK_NO_FLUSH, false},
					      {"crash.a_fua_that_lies", CRASH_DISK_NO_FUA, false}};
	static struct outcome outcome;
	uint32_t failed = 0, count = sizeof points / sizeof points[0];

	printf("1..%u\n", count);
	for (uint32_t i = 0; i < count; i++) {
		bool skip = filter != NULL && strncmp(points[i].name, filter, strlen(filter)) != 0;
		bool ok = skip || point_run(given, &points[i], &outcome);
		printf("%sok %u - %s%s\n", ok ? "" : "not ", i + 1, points[i].name, skip ? " # SKIP" : "");
		if (!skip)
			report_text(stdout, "# ", &outcome);
		failed += !ok;
		fflush(stdout);
	}
	return failed != 0;
}

// ---- options -------------------------------------------------------------------------------------------------------------------------

static const struct option options[] = {
	{"length", 1, NULL, 'l'}, {"budget", 1, NULL, 'b'},  {"jobs", 1, NULL, 'j'},    {"seed", 1, NULL, 's'},
	{"sample", 1, NULL, 'm'}, {"depth", 1, NULL, 'd'},   {"nest", 1, NULL, 'n'},    {"damage", 1, NULL, 'D'},
	{"disk", 1, NULL, 'k'},   {"case", 1, NULL, 'c'},    {"state", 1, NULL, 'f'},   {"resume", 0, NULL, 'r'},
	{"limit", 1, NULL, 'L'},  {"json", 0, NULL, 'J'},    {"tap", 0, NULL, 'T'},     {"ops", 0, NULL, 'o'},
	{"help", 0, NULL, 'h'},   {"no-cuts", 0, NULL, 'N'}, {"verbose", 0, NULL, 'v'}, {"deep", 0, NULL, 'p'},
	{NULL, 0, NULL, 0},
};

static bool number_take(const char *text, uint64_t low, uint64_t high, uint64_t *number)
{
	char *end = NULL;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0' && *text != '-' && *number >= low && *number <= high)
		return true;
	fprintf(stderr, "crash-sweep: \"%s\": a number from %" PRIu64 " to %" PRIu64 " is needed\n", text, low, high);
	return false;
}

static bool small_take(const char *text, uint32_t low, uint32_t high, uint32_t *number)
{
	uint64_t value = 0;
	bool taken = number_take(text, low, high, &value);
	*number = (uint32_t)value;
	return taken;
}

static bool disk_take(const char *text, struct settings *settings)
{
	for (uint32_t i = 0; i < CRASH_DISK_COUNT; i++)
		if (strcmp(text, disk_names[i]) == 0) {
			settings->disk = i;
			return true;
		}
	fprintf(stderr, "crash-sweep: \"%s\" is no kind of disk: honest, no-flush or no-fua\n", text);
	return false;
}

static bool option_take(int c, struct settings *settings, const char **chosen)
{
	switch (c) {
	case 'l':
		return small_take(optarg, 1, SWEEP_LENGTH_MAX, &settings->length);
	case 'b':
		return number_take(optarg, 1, 1000000, &settings->budget_s);
	case 'j':
		return small_take(optarg, 1, SWEEP_JOBS_MAX, &settings->jobs);
	case 's':
		return number_take(optarg, 0, UINT64_MAX, &settings->seed);
	case 'm':
		return small_take(optarg, 1, 1000000, &settings->sample);
	case 'd':
		return small_take(optarg, 1, CRASH_DEPTH_MAX, &settings->depth);
	case 'n':
		return small_take(optarg, 0, 1000000, &settings->nest);
	case 'D':
		return small_take(optarg, 0, 1000000, &settings->damage);
	case 'L':
		return small_take(optarg, 1, 86400, &settings->limit_s);
	case 'k':
		return disk_take(optarg, settings);
	case 'c':
		*chosen = optarg;
		return true;
	case 'f':
		settings->state = optarg;
		return true;
	default:
		settings->resume = settings->resume || c == 'r';
		settings->json = settings->json || c == 'J';
		settings->tap = settings->tap || c == 'T';
		settings->cuts = settings->cuts && c != 'N';
		settings->verbose = settings->verbose || c == 'v';
		settings->deep = settings->deep || c == 'p';
		return c == 'p' || c == 'v' || c == 'r' || c == 'J' || c == 'T' || c == 'N';
	}
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct settings settings = {.program = argv[0],
				    .length = SWEEP_LENGTH_MAX,
				    .jobs = cpus < 1                ? 1
					    : cpus > SWEEP_JOBS_MAX ? SWEEP_JOBS_MAX
								    : (uint32_t)cpus,
				    .depth = CRASH_DEPTH_MAX,
				    .limit_s = 300,
				    .seed = 1,
				    .sample = 1,
				    .nest = 16,
				    .damage = 4,
				    .cuts = true};
	const char *chosen = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			printf(usage, argv[0]);
			return 0;
		}
		if (c == 'o') {
			for (uint32_t i = 0; tb_crash_op_name(i) != NULL; i++)
				printf("%-14s %s\n", tb_crash_op_name(i), tb_crash_op_text(i));
			return 0;
		}
		if (!option_take(c, &settings, &chosen)) {
			fprintf(stderr, "crash-sweep: --help tells what there is\n");
			return 2;
		}
	}
	if (optind < argc - settings.tap) {
		fprintf(stderr, "crash-sweep: \"%s\" is not expected: --help tells what there is\n", argv[optind]);
		return 2;
	}
	if (chosen != NULL)
		return one_case(&settings, chosen);
	return settings.tap ? test(&settings, argv[optind]) : sweep(&settings);
}
