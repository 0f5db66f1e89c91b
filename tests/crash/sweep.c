// SPDX-License-Identifier: MIT
//
// Processes that run sequences, and what they add up to. sweep.h.
#include "sweep.h"

#include "hal_hosted/host_impl.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STRIDE 1000003u // consecutive numbers are unlike sequences, so that a part of all is a fair one
#define MEM_BYTES (128ull << 20)

const char no_place[] = "this sequence has no such place";
const char *const disk_names[CRASH_DISK_COUNT] = {"honest", "no-flush", "no-fua"};

struct shared {
	uint64_t next; // atomic
	uint32_t failed;
	struct worker {
		struct totals totals;
		struct crash_call call; // of the sequence under way
	} workers[SWEEP_JOBS_MAX];
};

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Of all processes that have ended.
static double used_s(void)
{
	struct rusage usage;
	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// ---- sequences by number -------------------------------------------------------------------------------------------------------

uint32_t op_count(void)
{
	uint32_t count = 0;
	while (tb_crash_op_name(count) != NULL)
		count++;
	return count;
}

static uint64_t sequences_of(uint32_t length)
{
	uint64_t count = 1;
	for (uint32_t i = 0; i < length; i++)
		count *= op_count();
	return count;
}

uint64_t sequence_count(uint32_t length)
{
	uint64_t count = 0;
	for (uint32_t i = 1; i <= length; i++)
		count += sequences_of(i);
	return count;
}

// Whether the sample has it. Pairs that end with a sync always are in it: they ask for what must be durable.
static bool is_wanted(const struct settings *settings, uint64_t number, const struct crash_call *call)
{
	if (call->op_count == 1 || settings->sample <= 1 || (number + settings->seed) % settings->sample == 0)
		return true;
	return call->op_count == 2 && strcmp(tb_crash_op_name(call->ops[1]), "sync") == 0;
}

// False: the sample leaves it out.
static bool sequence_at(const struct settings *settings, uint64_t number, struct crash_call *call)
{
	uint32_t length = 1;
	while (number >= sequences_of(length))
		number -= sequences_of(length++);
	uint64_t at = number * STRIDE % sequences_of(length);
	call->op_count = length;
	for (uint32_t i = 0; i < length; i++) {
		call->ops[length - 1 - i] = (uint8_t)(at % op_count());
		at /= op_count();
	}
	if (settings->damage == 0 || number % settings->damage != 0)
		call->parts &= ~(uint32_t)CRASH_DAMAGE;
	return is_wanted(settings, number, call);
}

// ---- one sequence ----------------------------------------------------------------------------------------------------------------

static void discard(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	(void)bytes;
	(void)size_bytes;
}

static void print_through(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	if (write(STDERR_FILENO, bytes, size_bytes) < 0)
		return;
}

bool instance_begin(const struct settings *settings, tb_instance **out)
{
	struct tb_config config;
	int64_t result = 0;
	bool deep = settings->deep;

	tb_config_init(&config);
	config.engine = TB_ENGINE_SIM;
	config.flags = TB_CONFIG_QUIET;
	config.cpu_count = 1;
	config.mem_bytes = MEM_BYTES;
	config.seed = settings->seed;
	config.policy = "rr";
	config.input_fd = -1;
	config.write_fn = settings->verbose ? print_through : discard;
	tb_err err = tb_create(&config, out);
	if (err != 0) {
		fprintf(stderr, "crash-sweep: no instance: %s\n", tb_error(NULL));
		return false;
	}
	err = tb_boot(*out);
	if (err == 0)
		err = tb_call(*out, tb_crash_prepare, &deep, &result);
	if (err != 0 || result != 0)
		fprintf(stderr, "crash-sweep: the volume is not made: %d, %lld: %s\n", err, (long long)result,
			tb_error(*out));
	return err == 0 && result == 0;
}

// RAM is shared memory: a forked process gets a copy of its own, page by page as it writes.
static bool memory_own(const struct tb_instance *instance)
{
	const struct host_ram *ram = &instance->ram;

	for (uint32_t i = 0; i < ram->node_count; i++) {
		void *want = ram->base + ram->nodes[i].offset;
		if (mmap(want, ram->nodes[i].size_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, ram->fds[i], 0) != want)
			return false;
	}
	return true;
}

__attribute__((noreturn)) static void sequence_child(tb_instance *instance, struct crash_call *call, uint32_t limit_s)
{
	int64_t result = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(limit_s);
	if (!memory_own(instance))
		_exit(3);
	tb_err err = tb_call(instance, tb_crash_run, call, &result);
	_exit(err != 0 ? 4 : result != 0 ? 5 : 0);
}

void sequence_run(tb_instance *instance, struct crash_call *call, uint32_t limit_s, char *ended, size_t ended_size)
{
	int status = 0;

	*ended = '\0';
	memset(&call->sums, 0, sizeof call->sums);
	call->violations = 0;
	call->what[0] = call->place[0] = '\0';
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		sequence_child(instance, call, limit_s);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child < 0)
		snprintf(ended, ended_size, "no process: %s", strerror(errno));
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(ended, ended_size, "no end within %u s", limit_s);
	else if (WIFSIGNALED(status))
		snprintf(ended, ended_size, "killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 4)
		snprintf(ended, ended_size, "the kernel panicked, or waits for ever");
	else if (WEXITSTATUS(status) == 5)
		snprintf(ended, ended_size, "%s", no_place);
	else if (WEXITSTATUS(status) != 0)
		snprintf(ended, ended_size, "exit status %d", WEXITSTATUS(status));
}

struct crash_call *call_map(void)
{
	void *call = mmap(NULL, sizeof(struct crash_call), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return call == MAP_FAILED ? NULL : call;
}

// ---- many ------------------------------------------------------------------------------------------------------------------------

void sums_add(struct crash_sums *to, const struct crash_sums *from)
{
	uint64_t *a = (uint64_t *)to;
	const uint64_t *b = (const uint64_t *)from;
	for (size_t i = 0; i < sizeof *to / sizeof *a; i++)
		a[i] += b[i];
}

static void totals_add(struct totals *totals, const struct crash_call *call, const char *ended)
{
	sums_add(&totals->sums, &call->sums);
	totals->done[call->op_count - 1]++;
	if (call->violations == 0 && *ended == '\0')
		return;
	totals->violations++;
	if (totals->finding_count == FINDINGS_MAX)
		return;
	struct finding *finding = &totals->findings[totals->finding_count++];
	finding->call = *call;
	snprintf(finding->ended, sizeof finding->ended, "%s", ended);
}

__attribute__((noreturn)) static void worker_main(const struct settings *settings, struct shared *shared,
						  struct worker *worker, uint64_t count, double until_s)
{
	tb_instance *instance = NULL;
	char ended[80];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!instance_begin(settings, &instance)) {
		__atomic_store_n(&shared->failed, 1, __ATOMIC_RELEASE);
		_exit(1);
	}
	while (now_s() < until_s) {
		uint64_t number = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
		if (number >= count)
			break;
		call_make(settings, &worker->call);
		if (!sequence_at(settings, number, &worker->call))
			continue;
		sequence_run(instance, &worker->call, settings->limit_s, ended, sizeof ended);
		totals_add(&worker->totals, &worker->call, ended);
	}
	_exit(0);
}

static uint64_t shared_runs(const struct shared *shared, uint32_t jobs, uint64_t *sequences, uint64_t *violations)
{
	uint64_t runs = 0;

	*sequences = *violations = 0;
	for (uint32_t i = 0; i < jobs; i++) {
		const struct totals *totals = &shared->workers[i].totals;
		for (uint32_t d = 0; d < CRASH_DEPTH_MAX; d++)
			runs += totals->sums.runs[d];
		runs += totals->sums.damage_runs;
		*sequences += totals->sums.sequences;
		*violations += totals->violations;
	}
	return runs;
}

static void progress_draw(const struct settings *settings, const struct shared *shared, uint64_t count, double passed_s)
{
	uint64_t sequences, violations, runs = shared_runs(shared, settings->jobs, &sequences, &violations);
	uint64_t next = __atomic_load_n(&shared->next, __ATOMIC_RELAXED);
	double share = (double)(next < count ? next : count) / (double)count;

	if (settings->budget_s != 0 && passed_s / (double)settings->budget_s > share)
		share = passed_s / (double)settings->budget_s;
	fprintf(stderr, "\r\033[Kcrash-sweep [%.*s%.*s] %llu sequences, %llu recoveries, %.0f/s, %llu with violations",
		(int)(share * 24), "########################", 24 - (int)(share * 24), "........................",
		(unsigned long long)sequences, (unsigned long long)runs, (double)runs / passed_s,
		(unsigned long long)violations);
}

static void workers_wait(const struct settings *settings, struct shared *shared, uint32_t started, uint64_t count,
			 double began_s)
{
	bool draw = isatty(STDERR_FILENO) && !settings->tap;

	while (started > 0) {
		pid_t ended = waitpid(-1, NULL, WNOHANG);
		if (ended > 0 || (ended < 0 && errno == ECHILD)) {
			started = ended > 0 ? started - 1 : 0;
			continue;
		}
		usleep(20000);
		if (draw)
			progress_draw(settings, shared, count, now_s() - began_s);
	}
	if (draw)
		fprintf(stderr, "\r\033[K");
}

void sweep_run(const struct settings *settings, uint64_t first, struct outcome *outcome)
{
	struct shared *shared =
		mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	double began_s = now_s(), until_s = settings->budget_s == 0 ? 1e18 : began_s + (double)settings->budget_s;
	double used_before_s = used_s();
	uint32_t started = 0;

	memset(outcome, 0, sizeof *outcome);
	outcome->count = sequence_count(settings->length);
	outcome->failed = shared == MAP_FAILED;
	if (outcome->failed) {
		perror("crash-sweep");
		return;
	}
	shared->next = first;
	fflush(NULL);
	for (uint32_t i = 0; i < settings->jobs; i++) {
		pid_t child = fork();
		if (child == 0)
			worker_main(settings, shared, &shared->workers[i], outcome->count, until_s);
		started += child > 0;
	}
	outcome->failed = started == 0;
	workers_wait(settings, shared, started, outcome->count, began_s);
	outcome->seconds = now_s() - began_s;
	outcome->cpu_seconds = used_s() - used_before_s;
	outcome->failed = outcome->failed || shared->failed != 0;
	outcome->next = shared->next < outcome->count ? shared->next : outcome->count;
	for (uint32_t i = 0; i < settings->jobs; i++) {
		const struct totals *from = &shared->workers[i].totals;
		struct totals *to = &outcome->totals;
		sums_add(&to->sums, &from->sums);
		to->violations += from->violations;
		for (uint32_t n = 0; n < SWEEP_LENGTH_MAX; n++)
			to->done[n] += from->done[n];
		for (uint32_t n = 0; n < from->finding_count && to->finding_count < FINDINGS_MAX; n++)
			to->findings[to->finding_count++] = from->findings[n];
	}
	munmap(shared, sizeof *shared);
}
