// SPDX-License-Identifier: MIT
//
// The command `stress`: many threads use the allocators at once, as a recorded program did or as a seeded one would; every
// block's contents are checked. Its digest is the same on every HAL and engine for the same program and workers.
#include "commands.h"
#include "stress.h"

#include "hal/hal.h"
#include "kern/atomic.h"
#include "kern/fmt.h"
#include "kern/string.h"

#define EVENTS_DEFAULT 200000u
#define EVENTS_MAX 1000000000u

struct stress_options {
	struct crew_params params;
	const char *trace;
	uint64_t events;
	uint64_t seed;
	bool json;
};

// Takes argv[index] and its value; how many words were used, 0: not understood.
static uint32_t option_take(struct stress_options *options, uint32_t left, char **argv)
{
	const char *name = argv[0];
	const char *value = left > 1 ? argv[1] : NULL;

	if (value != NULL && str_equal(name, "--trace")) {
		options->trace = value;
		return 2;
	}
	if (str_equal(name, "-j"))
		options->json = true;
	else if (str_equal(name, "--plain"))
		options->params.check = false;
	else if (str_equal(name, "--warm"))
		options->params.warm = true;
	else if (value == NULL)
		return 0;
	else if (str_equal(name, "--workers"))
		return str_to_u32(value, 10, &options->params.workers) == 0 ? 2 : 0;
	else if (str_equal(name, "--rounds"))
		return str_to_u32(value, 10, &options->params.rounds) == 0 ? 2 : 0;
	else if (str_equal(name, "--events"))
		return str_to_u64(value, 10, &options->events) == 0 ? 2 : 0;
	else if (str_equal(name, "--seed"))
		return str_to_u64(value, 10, &options->seed) == 0 ? 2 : 0;
	else
		return 0;
	return 1;
}

static bool options_parse(struct stress_options *options, uint32_t argc, char **argv)
{
	const struct crew_params *params = &options->params;

	for (uint32_t i = 1, used; i < argc; i += used) {
		used = option_take(options, argc - i, argv + i);
		if (used == 0)
			return false;
	}
	return params->workers >= 1 && params->workers <= STRESS_WORKERS_MAX && params->rounds >= 1 &&
	       params->rounds <= STRESS_ROUNDS_MAX && options->events >= 1 && options->events <= EVENTS_MAX;
}

// Under the sim engine time is what the cost model charges.
static bool simulated(void)
{
	return (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
}

static void print_json(struct monitor_session *session, const struct stress_options *options,
		       const struct program *program, const struct crew_figures *figures)
{
	uint64_t ps = crew_event_ps(figures);
	char source[ALLOCTRACE_SOURCE_SIZE * 2 + 3];
	struct fmt_buffer quoted;

	fmt_init(&quoted, source, sizeof source);
	fmt_append_json(&quoted, program->header.source);
	monitor_printf(session,
		       "{\"case\": \"%s\", \"virtual\": %s, \"trace\": %s, \"threads\": %u, \"rounds\": %u, \"cpus\": "
		       "%u, \"unit\": \"ns\", "
		       "\"median\": %llu.%03llu, \"elapsed_ns\": %llu, \"events\": %llu, ",
		       options->params.check ? "trace-fill" : "trace", simulated() ? "true" : "false", source,
		       options->params.workers, options->params.rounds, figures->cpus, (unsigned long long)ps / 1000,
		       (unsigned long long)ps % 1000, (unsigned long long)figures->elapsed_ns,
		       (unsigned long long)figures->events);
	monitor_printf(session,
		       "\"peak_kib\": %llu, \"asked_kib\": %llu, \"handed\": %llu, \"refused\": %llu, \"wrong\": %llu, "
		       "\"digest\": \"%016llx\"}\n",
		       (unsigned long long)figures->peak_bytes >> 10, (unsigned long long)figures->asked_bytes >> 10,
		       (unsigned long long)figures->handed, (unsigned long long)figures->refused,
		       (unsigned long long)figures->wrong, (unsigned long long)figures->digest);
}

static void print_text(struct monitor_session *session, const struct stress_options *options,
		       const struct program *program, const struct crew_figures *figures)
{
	uint64_t ps = crew_event_ps(figures);

	monitor_printf(session,
		       "%s: %llu events in %u workers on %u CPUs: %llu.%01llu %sns per event and CPU, %s in all\n",
		       program->header.source, (unsigned long long)figures->events, options->params.workers,
		       figures->cpus, (unsigned long long)ps / 1000, (unsigned long long)ps % 1000 / 100,
		       simulated() ? "virtual " : "", monitor_duration(figures->elapsed_ns).text);
	monitor_printf(session, "peak %llu KiB for %llu KiB asked, %llu blocks freed by another worker, %llu refused\n",
		       (unsigned long long)figures->peak_bytes >> 10, (unsigned long long)figures->asked_bytes >> 10,
		       (unsigned long long)figures->handed, (unsigned long long)figures->refused);
	if (figures->wrong != 0)
		monitor_printf(session,
			       "WRONG: %llu blocks had other contents than were written; the first at event %llu\n",
			       (unsigned long long)figures->wrong, (unsigned long long)figures->first_wrong);
	else if (options->params.check)
		monitor_printf(session, "contents right; digest %016llx\n", (unsigned long long)figures->digest);
}

static int32_t stress_run(struct monitor_session *session, const struct stress_options *options,
			  const struct program *program)
{
	struct crew_figures figures;
	err_t err = crew_run(session, program, &options->params, &figures);

	if (err != 0) {
		monitor_error(session, "stress: %s\n", err_text(err));
		return 1;
	}
	if (figures.interrupted)
		return STATUS_INTERRUPTED;
	if (options->json)
		print_json(session, options, program, &figures);
	else
		print_text(session, options, program, &figures);
	return figures.wrong != 0;
}

static int32_t run_stress(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct stress_options options = {
		.params = {.workers = atomic_load_u32_relaxed(&kernel_self()->cpus_online), .rounds = 1, .check = true},
		.events = EVENTS_DEFAULT,
		.seed = 1,
	};
	struct program program;
	int32_t status;
	err_t err;

	if (!options_parse(&options, argc, argv))
		return monitor_usage(session, argv[0]);
	err = options.trace != NULL ? program_load(session, options.trace, &program)
				    : program_synthesise(&program, options.events, options.seed);
	if (err != 0) {
		monitor_error(session, "stress: %s: %s\n", options.trace != NULL ? options.trace : "synthetic load",
			      err_text(err));
		return err == -EINTR ? STATUS_INTERRUPTED : 1;
	}
	status = stress_run(session, &options, &program);
	program_free(&program);
	return status;
}

const struct monitor_command monitor_cmd_stress = {
	"stress", "[--workers N] [--trace FILE | --events N --seed S] [--rounds R] [--plain] [--warm] [-j]",
	"replay allocations in N threads, every block's contents checked; --plain only touches them, --warm counts the "
	"second time",
	run_stress, NULL};
