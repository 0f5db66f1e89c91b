// SPDX-License-Identifier: MIT
//
// Replay: the log decides, and every decision is compared with it. The log was checked as a whole when it was opened, so
// what is left to go wrong is that this run is another one, which stops the world and is named exactly.
#include "sim_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CALLER_TIMEOUT_S 5
#define LOG_SIZE_MAX (4ll << 30)

struct sim_replay {
	uint8_t *bytes;
	struct sim_log_summary summary;
	struct sim_log_reader reader;
	struct sim_log_record record; // where the replay stands; tag 0: at the end of the file
	// Within a decisions record:
	uint32_t index;
	uint32_t moves_left;
	uint32_t move_at; // index of the next move
	uint32_t move_cpu;
	uint32_t cpu; // that runs
	const uint8_t *moves;
};

static void move_load(struct sim_replay *replay)
{
	uint32_t gap;
	if (replay->moves_left == 0) {
		replay->move_at = UINT32_MAX;
		return;
	}
	--replay->moves_left;
	sim_log_move_next(&replay->moves, &gap, &replay->move_cpu);
	replay->move_at += gap;
}

// To the next record. An input is due at its time from now on.
static void record_load(struct tb_sim *sim)
{
	struct sim_replay *replay = sim->replay;
	sim->log_due_ns = TB_FOREVER;
	if (sim_log_next(&replay->reader, &replay->record) != SIM_LOG_OK)
		replay->record.tag = 0;
	switch (replay->record.tag) {
	case SIM_LOG_DECISIONS:
		replay->index = 0;
		replay->move_at = 0;
		replay->moves_left = replay->record.decisions.move_count;
		replay->moves = replay->record.decisions.moves;
		move_load(replay);
		break;
	case SIM_LOG_INSTANCE:
		sim->log_due_ns = replay->record.instance.time_ns;
		break;
	case SIM_LOG_INPUT:
		sim->log_due_ns = replay->record.input.time_ns;
		break;
	case SIM_LOG_CALL:
		sim->log_due_ns = replay->record.call.time_ns;
		break;
	default:
		break;
	}
	sim->next_due_ns = 0;
}

// ---- decisions --------------------------------------------------------------------------------------------------------

uint32_t sim_replay_pick(struct tb_sim *sim, uint32_t kind)
{
	struct sim_replay *replay = sim->replay;
	if (replay->record.tag != SIM_LOG_DECISIONS) {
		bool over = replay->record.tag == 0 || replay->record.tag == SIM_LOG_END;
		sim_stop(sim, over ? SIM_STOP_LOG_END : SIM_STOP_LOG_OTHER, replay->record.tag, kind);
		return SIM_CPU_NONE;
	}
	uint32_t logged = replay->record.decisions.checks[replay->index] & 15;
	if (logged != kind) {
		sim_stop(sim, SIM_STOP_KIND, logged, kind);
		return SIM_CPU_NONE;
	}
	if (replay->index == replay->move_at) {
		replay->cpu = replay->move_cpu;
		move_load(replay);
	}
	if (!sim_set_has(&sim->ready, replay->cpu)) {
		sim_stop(sim, SIM_STOP_CPU, replay->cpu, kind);
		return SIM_CPU_NONE;
	}
	return replay->cpu;
}

bool sim_replay_check(struct tb_sim *sim)
{
	struct sim_replay *replay = sim->replay;
	const struct sim_log_decisions *decisions = &replay->record.decisions;
	uint8_t logged = decisions->checks[replay->index++];
	bool last = replay->index == decisions->count;
	if (logged >> 4 != (sim->hash.mix & 15) || (last && decisions->mix != sim->hash.mix)) {
		--sim->decisions;
		sim_stop(sim, SIM_STOP_TRACE, logged & 15, 0);
		return false;
	}
	if (last)
		record_load(sim);
	return true;
}

// ---- inputs -----------------------------------------------------------------------------------------------------------

static struct sim_instance *instance_at(const struct tb_sim *sim, uint32_t index)
{
	struct sim_instance *instance = sim->instances;
	while (instance != NULL && instance->index != index)
		instance = instance->next;
	return instance;
}

static enum sim_caller_kind caller_kind(const struct sim_log_record *record)
{
	static const enum sim_caller_kind kinds[SIM_LOG_CALL_COUNT] = {
		[SIM_LOG_CALL_BOOT] = SIM_CALLER_BOOT,
		[SIM_LOG_CALL_CALL] = SIM_CALLER_CALL,
		[SIM_LOG_CALL_STOP] = SIM_CALLER_STOP,
		[SIM_LOG_CALL_DESTROY] = SIM_CALLER_DESTROY,
	};
	return record->tag == SIM_LOG_INSTANCE ? SIM_CALLER_CREATE : kinds[record->call.kind];
}

// How well a request fits the record where the replay stands.
enum fit {
	FIT_NOT,
	FIT_OTHER, // the right thread makes the right call, with something else in it
	FIT_GOOD
};

static enum fit caller_fit(const struct tb_sim *sim, const struct sim_caller *caller)
{
	const struct sim_log_record *record = &sim->replay->record;
	if (caller->entered || caller->finished || caller->kind != caller_kind(record))
		return FIT_NOT;
	if (caller->kind == SIM_CALLER_CREATE)
		return FIT_GOOD;
	const struct sim_log_call *call = &record->call;
	uint32_t thread = call->thread < sim->host_count ? call->thread : sim->host_count;
	if (caller->instance->index != call->instance || sim_host_find(sim, caller->host) != thread)
		return FIT_NOT;
	if (sim_caller_mix(caller) == call->mix)
		return FIT_GOOD;
	return thread < sim->host_count ? FIT_OTHER : FIT_NOT;
}

static struct sim_caller *caller_find_locked(struct tb_sim *sim, enum fit *fit)
{
	struct sim_caller *caller = sim->callers;
	*fit = FIT_NOT;
	while (caller != NULL && (*fit = caller_fit(sim, caller)) == FIT_NOT)
		caller = caller->next;
	return caller;
}

// The host thread that makes the call the log has here may still be on its way.
static struct sim_caller *caller_await(struct tb_sim *sim, enum fit *fit)
{
	struct timespec until;
	struct sim_caller *caller;
	int timeout = 0;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += CALLER_TIMEOUT_S;
	pthread_mutex_lock(&sim->lock);
	while ((caller = caller_find_locked(sim, fit)) == NULL && timeout == 0)
		timeout = pthread_cond_timedwait(&sim->changed, &sim->lock, &until);
	pthread_mutex_unlock(&sim->lock);
	return caller;
}

// Whether the record has been used up.
static bool caller_replay(struct tb_sim *sim)
{
	enum fit fit;
	struct sim_caller *caller = caller_await(sim, &fit);
	if (fit != FIT_GOOD) {
		enum sim_stop_cause cause = fit == FIT_OTHER ? SIM_STOP_LOG_INPUT : SIM_STOP_LOG_CALL;
		sim_stop(sim, cause, caller_kind(&sim->replay->record), 0);
		return false;
	}
	sim_caller_enter(sim, caller);
	return caller->err == 0;
}

static bool input_replay(struct tb_sim *sim)
{
	const struct sim_log_input *input = &sim->replay->record.input;
	struct sim_instance *instance = instance_at(sim, input->instance);
	if (instance != NULL)
		sim_input_enter(instance, input->bytes, input->size_bytes, input->end);
	return true;
}

// One at a time: the host thread whose request it was goes first. An input that should have entered earlier belongs to
// another run.
void sim_replay_input(struct tb_sim *sim)
{
	const struct sim_log_record *record = &sim->replay->record;
	if (sim->log_due_ns < sim->now_ns)
		sim_stop(sim, SIM_STOP_LOG_TIME, sim->log_due_ns, record->tag);
	else if (record->tag == SIM_LOG_INPUT ? input_replay(sim) : caller_replay(sim))
		record_load(sim);
}

bool sim_replay_instance(struct tb_sim *sim, const struct sim_log_instance *made, char *reason, size_t size_bytes)
{
	const struct sim_log_instance *logged = &sim->replay->record.instance;
	if (logged->cpu_count != made->cpu_count)
		snprintf(reason, size_bytes, "the log was made with %u CPUs, not %u", logged->cpu_count,
			 made->cpu_count);
	else if (logged->mem_bytes != made->mem_bytes)
		snprintf(reason, size_bytes, "the log was made with %llu bytes of memory, not %llu",
			 (unsigned long long)logged->mem_bytes, (unsigned long long)made->mem_bytes);
	else if (strcmp(logged->persona, made->persona) != 0)
		snprintf(reason, size_bytes, "the log was made with persona %s, not %s", logged->persona,
			 made->persona);
	else if (strcmp(logged->cmdline, made->cmdline) != 0)
		snprintf(reason, size_bytes, "the log was made with command line \"%.60s\"", logged->cmdline);
	else if (logged->flags != made->flags)
		snprintf(reason, size_bytes, "the log was made with flags 0x%x, not 0x%x", logged->flags, made->flags);
	else
		return true;
	return false;
}

bool sim_replay_module(struct tb_sim *sim, const struct sim_log_module *module)
{
	const struct sim_log_record *record = &sim->replay->record;
	const struct sim_log_module *logged = &record->module;
	bool same = record->tag == SIM_LOG_MODULE && logged->instance == module->instance &&
		    logged->size_bytes == module->size_bytes && memcmp(logged->hash, module->hash, 32) == 0 &&
		    logged->name_size_bytes == module->name_size_bytes &&
		    memcmp(logged->name, module->name, module->name_size_bytes) == 0;
	if (same)
		record_load(sim);
	else
		sim_stop(sim, SIM_STOP_LOG_MODULE, 0, 0);
	return same;
}

// ---- opening and closing ----------------------------------------------------------------------------------------------

// Reads on until `size` bytes are there; returns how many are.
static size_t bytes_read(int fd, uint8_t *bytes, size_t done, size_t size)
{
	while (done < size) {
		ssize_t got = read(fd, bytes + done, size - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

// A file that does not begin as a log is not read any further, however large it is.
static tb_err fd_read(int fd, uint8_t **out, size_t *size_bytes)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
	if (status.st_size > LOG_SIZE_MAX)
		return -EFBIG;
	size_t size = (size_t)status.st_size;
	uint8_t *bytes = malloc(size + 1);
	if (bytes == NULL)
		return -ENOMEM;
	size_t head = size < SIM_LOG_HEADER_SIZE ? size : SIM_LOG_HEADER_SIZE;
	*size_bytes = bytes_read(fd, bytes, 0, head);
	if (*size_bytes == SIM_LOG_HEADER_SIZE && memcmp(bytes, SIM_LOG_MAGIC, 8) == 0)
		*size_bytes = bytes_read(fd, bytes, *size_bytes, size);
	*out = bytes;
	return 0;
}

static tb_err file_read(const char *path, uint8_t **out, size_t *size_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	tb_err err = fd_read(fd, out, size_bytes);
	close(fd);
	return err;
}

tb_err sim_log_load(const char *path, uint8_t **bytes, size_t *size_bytes, struct sim_log_summary *summary)
{
	struct sim_log_reader reader;
	*bytes = NULL;
	tb_err err = file_read(path, bytes, size_bytes);
	if (err != 0)
		return host_fail(NULL, err, "%s: %s", path, strerror(-err));
	if (sim_log_check(&reader, *bytes, *size_bytes, summary) != SIM_LOG_BAD)
		return 0;
	free(*bytes);
	*bytes = NULL;
	return host_fail(NULL, -EBADMSG, "%s: offset %zu: %s", path, reader.offset, reader.reason);
}

static tb_err options_compare(const struct tb_sim *sim, const struct sim_log_options *logged, const char *path)
{
	struct sim_log_options own;
	sim_options_describe(sim, &own);
	if (strcmp(logged->build_id, own.build_id) != 0)
		return host_fail(NULL, -EPROTO, "%s: made by build %s, this is %s", path, logged->build_id,
				 own.build_id);
	if (logged->seed != own.seed)
		return host_fail(NULL, -EPROTO, "%s: made with seed %llu, not %llu", path,
				 (unsigned long long)logged->seed, (unsigned long long)own.seed);
	if (strcmp(logged->policy, own.policy) != 0)
		return host_fail(NULL, -EPROTO, "%s: made with policy %s, not %s", path, logged->policy, own.policy);
	if (logged->time_limit_ns != own.time_limit_ns)
		return host_fail(NULL, -EPROTO, "%s: made with a time limit of %llu ns, not %llu", path,
				 (unsigned long long)logged->time_limit_ns, (unsigned long long)own.time_limit_ns);
	return 0;
}

tb_err sim_replay_create(struct tb_sim *sim, const char *path)
{
	struct sim_replay *replay = calloc(1, sizeof(*replay));
	size_t size;
	if (replay == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	tb_err err = sim_log_load(path, &replay->bytes, &size, &replay->summary);
	if (err == 0)
		err = options_compare(sim, &replay->summary.options, path);
	if (err != 0) {
		free(replay->bytes);
		free(replay);
		return err;
	}
	sim->replay = replay;
	sim_log_open(&replay->reader, replay->bytes, size);
	record_load(sim); // the options
	record_load(sim);
	return 0;
}

static bool end_differs(const struct tb_sim *sim, char *reason, size_t size_bytes)
{
	const struct sim_log_end *end = &sim->replay->summary.end;
	uint8_t hash[32];
	sim_hash_digest(&sim->hash, hash);
	if (sim->replay->record.tag != SIM_LOG_END)
		snprintf(reason, size_bytes, "replay ended after %llu of %llu decisions",
			 (unsigned long long)sim->decisions, (unsigned long long)end->decisions);
	else if (memcmp(hash, end->hash, sizeof(hash)) != 0 || sim->now_ns != end->time_ns)
		snprintf(reason, size_bytes, "replay differs after its last decision, %llu",
			 (unsigned long long)sim->decisions);
	else
		return false;
	return true;
}

tb_err sim_replay_destroy(struct tb_sim *sim, char *reason, size_t size_bytes)
{
	struct sim_replay *replay = sim->replay;
	tb_err err = 0;
	if (replay == NULL)
		return 0;
	if (sim->stop.cause == SIM_STOP_NOT || sim->stop.cause == SIM_STOP_LIMIT) {
		if (replay->summary.complete && end_differs(sim, reason, size_bytes))
			err = -EPROTO;
	} else {
		err = sim_report_stop(sim, reason, size_bytes);
	}
	free(replay->bytes);
	free(replay);
	sim->replay = NULL;
	return err;
}
