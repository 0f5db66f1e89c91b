// SPDX-License-Identifier: MIT
//
// Recording a world into a decision log. Decisions collect in a chunk on the way; the host side writes chunks and inputs.
#include "sim_engine.h"

#include "hal/build_id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sim_recorder {
	int fd;
	int error; // errno of the first write that failed
	char *path;
	uint64_t mix; // after the last decision
	struct sim_log_chunk chunk;
	uint8_t bytes[SIM_LOG_INPUT_MAX + 1024];
};

static void bytes_write(struct sim_recorder *recorder, size_t size_bytes)
{
	const uint8_t *next = recorder->bytes;
	if (size_bytes == 0 && recorder->error == 0)
		recorder->error = EOVERFLOW;
	while (size_bytes > 0 && recorder->error == 0) {
		ssize_t done = write(recorder->fd, next, size_bytes);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			recorder->error = errno;
			break;
		}
		next += done;
		size_bytes -= (size_t)done;
	}
}

static void record_write(struct sim_recorder *recorder, const struct sim_log_record *record)
{
	bytes_write(recorder, sim_log_encode(record, recorder->bytes, sizeof(recorder->bytes)));
}

void sim_options_describe(const struct tb_sim *sim, struct sim_log_options *options)
{
	memset(options, 0, sizeof(*options));
	options->seed = sim->seed;
	options->time_limit_ns = sim->time_limit_ns;
	snprintf(options->build_id, sizeof(options->build_id), "%s", hal_build_id);
	snprintf(options->policy, sizeof(options->policy), "%s", sim->policy_name);
}

tb_err sim_record_create(struct tb_sim *sim, const char *path)
{
	struct sim_recorder *recorder = calloc(1, sizeof(*recorder));
	struct sim_log_record record = {.tag = SIM_LOG_OPTIONS};
	if (recorder == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	recorder->path = strdup(path);
	if (recorder->path != NULL)
		recorder->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (recorder->path == NULL || recorder->fd < 0) {
		tb_err err = recorder->path == NULL ? -ENOMEM : -errno;
		free(recorder->path);
		free(recorder);
		return host_fail(NULL, err, "record %s: %s", path, strerror(-err));
	}
	sim->recorder = recorder;
	bytes_write(recorder, sim_log_encode_header(recorder->bytes, sizeof(recorder->bytes)));
	sim_options_describe(sim, &record.options);
	record_write(recorder, &record);
	return 0;
}

void sim_record_decision(struct tb_sim *sim, uint32_t kind, bool moved, uint32_t cpu)
{
	struct sim_log_chunk *chunk = &sim->recorder->chunk;
	sim_log_chunk_add(chunk, kind, sim->hash.mix, moved, cpu);
	sim->recorder->mix = sim->hash.mix;
	if (chunk->count == SIM_LOG_CHUNK)
		sim_attend(sim, SIM_ATTEND_RECORD);
}

void sim_record_flush(struct tb_sim *sim)
{
	struct sim_recorder *recorder = sim->recorder;
	struct sim_log_record record;
	if (recorder == NULL || recorder->chunk.count == 0)
		return;
	sim_log_chunk_record(&recorder->chunk, recorder->mix, &record);
	record_write(recorder, &record);
	sim_log_chunk_reset(&recorder->chunk);
}

void sim_record_put(struct tb_sim *sim, const struct sim_log_record *record)
{
	if (sim->recorder == NULL)
		return;
	sim_record_flush(sim);
	record_write(sim->recorder, record);
}

tb_err sim_record_destroy(struct tb_sim *sim, char *reason, size_t size_bytes)
{
	struct sim_recorder *recorder = sim->recorder;
	struct sim_log_record record = {.tag = SIM_LOG_END};
	tb_err err = 0;
	if (recorder == NULL)
		return 0;
	record.end.decisions = sim->decisions;
	record.end.time_ns = sim->now_ns;
	sim_hash_digest(&sim->hash, record.end.hash);
	sim_record_put(sim, &record);
	if (close(recorder->fd) != 0 && recorder->error == 0)
		recorder->error = errno;
	if (recorder->error != 0) {
		snprintf(reason, size_bytes, "record %s: %s", recorder->path, strerror(recorder->error));
		err = -EIO;
	}
	free(recorder->path);
	free(recorder);
	sim->recorder = NULL;
	return err;
}
