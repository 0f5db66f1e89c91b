// SPDX-License-Identifier: MIT
//
// The simulation part of tbos/tbos.h.
#include "sim_engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define POISON_FIRST 0xa5u
#define POISON_SECOND 0x5au

tb_err tb_sim_create(const struct tb_config *config, tb_sim **out)
{
	struct sim_options options = {
		.seed = config->seed,
		.policy = config->policy,
		.record_path = config->record_path,
		.replay_path = config->replay_path,
		.time_limit_ns = config->time_limit_ns,
	};
	if (config->version != TB_API_VERSION || config->size_bytes != sizeof(*config))
		return host_fail(NULL, -EPERM, "configuration of API version %u", config->version);
	return sim_world_create(&options, out);
}

tb_err tb_sim_destroy(tb_sim *sim)
{
	if (sim->instances != NULL)
		return host_fail(NULL, -EBUSY, "the world still has instances");
	return sim_world_destroy(sim);
}

tb_err tb_sim_log_info(const char *path, struct tb_sim_log_info *info)
{
	struct sim_log_summary summary;
	uint8_t *bytes;
	size_t size;
	tb_err err = sim_log_load(path, &bytes, &size, &summary);
	if (err != 0)
		return err;
	free(bytes);
	memset(info, 0, sizeof(*info));
	info->seed = summary.options.seed;
	info->time_limit_ns = summary.options.time_limit_ns;
	info->decisions = summary.decisions;
	info->mem_bytes = summary.first.mem_bytes;
	info->cpu_count = summary.first.cpu_count;
	info->flags = summary.first.flags;
	memcpy(info->build_id, summary.options.build_id, sizeof(info->build_id));
	memcpy(info->policy, summary.options.policy, sizeof(info->policy));
	memcpy(info->persona, summary.first.persona, sizeof(info->persona));
	memcpy(info->cmdline, summary.first.cmdline, sizeof(info->cmdline));
	info->complete = summary.complete;
	memcpy(info->trace_hash, summary.end.hash, sizeof(info->trace_hash));
	return 0;
}

// ---- verify -----------------------------------------------------------------------------------------------------------

struct run {
	const struct tb_config *config;
	tb_err (*body)(tb_instance *, void *);
	void *ctx;
	struct tb_sim_stats stats;
	tb_err err; // of body
	tb_err end; // of tb_destroy()
	struct sim_stop stop;
	char reason[HOST_ERROR_SIZE];
};

static tb_err run_once(struct run *run, const char *record_path, const char *replay_path, uint32_t poison)
{
	struct tb_config config = *run->config;
	tb_instance *instance;
	config.record_path = record_path;
	config.replay_path = replay_path;
	config.poison = poison;
	tb_err err = tb_create(&config, &instance);
	if (err != 0)
		return err;
	run->err = run->body(instance, run->ctx);
	err = tb_sim_stats(instance, &run->stats);
	run->stop = sim_instance(instance)->sim->stop;
	if (run->stop.cause != SIM_STOP_NOT)
		sim_report_stop(sim_instance(instance)->sim, run->reason, sizeof(run->reason));
	host_fail(NULL, 0, "%s", "");
	run->end = tb_destroy(instance);
	return err;
}

static void judge(const struct run *first, const struct run *second, struct tb_sim_verdict *verdict)
{
	const char *reason = "";
	memset(verdict, 0, sizeof(*verdict));
	verdict->first = first->stats;
	verdict->second = second->stats;
	verdict->first_err = first->err;
	verdict->second_err = second->err;
	verdict->diverged_at = TB_FOREVER;
	if (second->stop.cause != SIM_STOP_NOT && second->stop.cause != SIM_STOP_LIMIT) {
		verdict->diverged_at = second->stop.decision;
		reason = second->reason;
	} else if (first->err != second->err || first->end != second->end) {
		reason = second->end == -EPROTO ? tb_error(NULL) : "the runs ended with different errors";
	} else if (memcmp(&first->stats, &second->stats, sizeof(first->stats)) != 0) {
		reason = "the trace hashes differ, though every decision was the same";
	}
	snprintf(verdict->reason, sizeof(verdict->reason), "%.*s", (int)sizeof(verdict->reason) - 1, reason);
	verdict->equal = reason[0] == '\0';
}

tb_err tb_sim_verify(const struct tb_config *config, tb_err (*body)(tb_instance *instance, void *ctx), void *ctx,
		     struct tb_sim_verdict *verdict)
{
	struct run first = {.config = config, .body = body, .ctx = ctx};
	struct run second = first;
	char path[32];
	if (config->engine != TB_ENGINE_SIM || config->sim != NULL || config->record_path != NULL ||
	    config->replay_path != NULL)
		return host_fail(NULL, -EINVAL, "verify: a sim configuration without world and logs");
	int log = memfd_create("tbos-verify", MFD_CLOEXEC);
	if (log < 0)
		return host_fail(NULL, -errno, "verify: %s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", log);
	tb_err err = run_once(&first, path, NULL, POISON_FIRST);
	if (err == 0)
		err = run_once(&second, NULL, path, POISON_SECOND);
	if (err == 0)
		judge(&first, &second, verdict);
	close(log);
	return err;
}
