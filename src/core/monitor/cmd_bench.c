// SPDX-License-Identifier: MIT
//
// The command `bench`: calibrates each case to a measurable length, repeats it and prints the median. Under the sim engine
// time is virtual, so the figures say what the cost model charges, not what the machine does; they are labelled so.
#include "bench.h"
#include "commands.h"

#include "hal/hal.h"
#include "kern/atomic.h"
#include "kern/fmt.h"
#include "kern/string.h"

enum {
	RUNS_DEFAULT = 7,
	RUNS_MAX = 99,
	CALIBRATED_NS = 20 * 1000 * 1000,
	ITERATIONS_MIN = 1024,
	ITERATIONS_SIM = 1024
};

struct bench_options {
	uint32_t runs;
	bool json;
	bool list;
	uint32_t name_count;
	char **names; // of argv
};

struct bench_result {
	uint64_t iterations;
	uint64_t run_ps[RUNS_MAX]; // picoseconds per iteration, sorted
	uint32_t runs;
};

struct bench_job {
	const struct bench_case *row;
	struct bench_run run;
};

static const struct bench_case *const tables[] = {bench_sched_cases, bench_alloc_cases, bench_pair_cases};

err_t bench_thread_start(const char *name, enum thread_class klass, uint32_t cpu, void (*entry)(void *), void *arg,
			 struct thread **out)
{
	struct cpu_mask mask = {{0}};
	struct thread_params params = {.name = name, .klass = klass, .rt_prio = 50, .affinity = &mask};

	cpu_mask_set(&mask, cpu);
	return thread_start(&params, entry, arg, out);
}

void bench_thread_join(struct thread *thread)
{
	err_t err = thread_join(thread, NULL);

	VERIFY3(err, ==, 0);
}

static bool simulated(void)
{
	return (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
}

static void job_body(void *arg)
{
	struct bench_job *job = arg;

	job->row->run(&job->run);
}

static err_t job_run(struct bench_job *job)
{
	struct thread *thread;
	err_t err;

	job->run.err = 0;
	job->run.elapsed_ns = 0;
	err = bench_thread_start("bench", job->row->klass, 0, job_body, job, &thread);
	if (err != 0)
		return err;
	bench_thread_join(thread);
	return job->run.err;
}

static err_t job_calibrate(struct bench_job *job)
{
	err_t err;

	job->run.iterations = simulated() ? ITERATIONS_SIM : ITERATIONS_MIN;
	do {
		err = job_run(job);
		if (err != 0 || simulated() || job->run.elapsed_ns >= CALIBRATED_NS)
			break;
		job->run.iterations *= 2;
	} while (job->run.iterations < (uint64_t)1 << 40);
	return err;
}

static void sample_insert(struct bench_result *result, uint64_t ps)
{
	uint32_t at = result->runs++;

	for (; at > 0 && result->run_ps[at - 1] > ps; at--)
		result->run_ps[at] = result->run_ps[at - 1];
	result->run_ps[at] = ps;
}

static err_t case_measure(struct monitor_session *session, const struct bench_case *row, uint32_t runs,
			  struct bench_result *result)
{
	struct bench_job job = {.row = row};
	err_t err = row->setup != NULL ? row->setup(&job.run.state) : 0;

	if (err != 0)
		return err;
	err = job_calibrate(&job);
	while (err == 0 && result->runs < runs) {
		err = monitor_interrupted(session) ? ERR(EINTR) : job_run(&job);
		if (err == 0)
			sample_insert(result, job.run.elapsed_ns * 1000 / job.run.iterations);
	}
	result->iterations = job.run.iterations;
	if (row->teardown != NULL)
		row->teardown(job.run.state);
	return err;
}

struct decimal {
	char text[32];
};

static struct decimal nanoseconds(uint64_t ps)
{
	struct decimal decimal;

	ksnprintf(decimal.text, sizeof decimal.text, "%llu.%03llu", (unsigned long long)ps / 1000,
		  (unsigned long long)ps % 1000);
	return decimal;
}

static void print_result(struct monitor_session *session, const struct bench_options *options,
			 const struct bench_case *row, const struct bench_result *result)
{
	struct decimal median = nanoseconds(result->run_ps[result->runs / 2]);
	struct decimal min = nanoseconds(result->run_ps[0]);
	struct decimal max = nanoseconds(result->run_ps[result->runs - 1]);

	if (options->json)
		monitor_printf(session,
			       "{\"case\": \"%s\", \"virtual\": %s, \"cpus\": %u, \"unit\": \"ns\", \"median\": %s, "
			       "\"min\": %s, "
			       "\"max\": %s, \"runs\": %u, \"iterations\": %llu}\n",
			       row->name, simulated() ? "true" : "false", row->cpus, median.text, min.text, max.text,
			       result->runs, (unsigned long long)result->iterations);
	else
		monitor_printf(session, "%-12s %10s %10s %10s  %s\n", row->name, median.text, min.text, max.text,
			       row->summary);
}

static bool case_wanted(const struct bench_options *options, const struct bench_case *row)
{
	for (uint32_t i = 0; i < options->name_count; i++)
		if (str_equal(options->names[i], row->name))
			return true;
	return options->name_count == 0;
}

// The exit status: 0, or why to stop here.
static int32_t case_run(struct monitor_session *session, const struct bench_options *options,
			const struct bench_case *row)
{
	struct bench_result result = {.runs = 0};
	err_t err;

	if (row->cpus > atomic_load_u32_relaxed(&kernel_self()->cpus_online)) {
		// Asked for by name it is an error; in a run of everything, a case this machine has not.
		if (!options->json || options->name_count != 0)
			monitor_printf(session, "%-12s needs %u CPUs\n", row->name, row->cpus);
		return options->name_count != 0;
	}
	err = case_measure(session, row, options->runs, &result);
	if (err == -EINTR)
		return STATUS_INTERRUPTED;
	if (err != 0) {
		monitor_error(session, "bench: %s: %s\n", row->name, err_text(err));
		return 1;
	}
	print_result(session, options, row, &result);
	return 0;
}

static const struct bench_case *case_find(const char *name)
{
	for (uint32_t t = 0; t < array_count(tables); t++)
		for (const struct bench_case *row = tables[t]; row->name != NULL; row++)
			if (str_equal(row->name, name))
				return row;
	return NULL;
}

static bool options_parse(struct monitor_session *session, struct bench_options *options, uint32_t argc, char **argv)
{
	uint32_t i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (str_equal(argv[i], "-j") || str_equal(argv[i], "--json"))
			options->json = true;
		else if (str_equal(argv[i], "--list"))
			options->list = true;
		else if (!str_equal(argv[i], "--runs") || ++i == argc || str_to_u32(argv[i], 10, &options->runs) != 0)
			return false;
	}
	options->names = argv + i;
	options->name_count = argc - i;
	for (; i < argc; i++)
		if (case_find(argv[i]) == NULL) {
			monitor_error(session, "bench: %s: no such case\n", argv[i]);
			return false;
		}
	return options->runs >= 1 && options->runs <= RUNS_MAX;
}

static int32_t run_bench(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct bench_options options = {.runs = simulated() ? 1 : RUNS_DEFAULT};
	int32_t status = 0;

	if (!options_parse(session, &options, argc, argv))
		return monitor_usage(session, argv[0]);
	if (!options.json && !options.list)
		monitor_printf(session, "case          %s        min        max\n",
			       simulated() ? "virtual ns" : "  ns median");
	for (uint32_t t = 0; t < array_count(tables) && status == 0; t++)
		for (const struct bench_case *row = tables[t]; row->name != NULL && status == 0; row++)
			if (options.list)
				monitor_printf(session, "%-12s %s\n", row->name, row->summary);
			else if (case_wanted(&options, row))
				status = case_run(session, &options, row);
	return status;
}

static const char *complete_bench(uint32_t index, const char *prefix, uint32_t n)
{
	for (uint32_t t = 0; index >= 1 && t < array_count(tables); t++)
		for (const struct bench_case *row = tables[t]; row->name != NULL; row++)
			if (str_has_prefix(row->name, prefix) && n-- == 0)
				return row->name;
	return NULL;
}

const struct monitor_command monitor_cmd_bench = {"bench", "[--runs N] [-j | --list] [CASE...]",
						  "measure switches, locks, timers and the slab", run_bench,
						  complete_bench};
