// SPDX-License-Identifier: MIT
//
// Worlds and the instances in them: making, joining, leaving.
#include "sim_engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tb_err policy_set(struct tb_sim *sim, const char *policy)
{
	if (policy == NULL)
		policy = "random";
	if (strlen(policy) >= sizeof(sim->policy_name) || !sim_policy_parse(&sim->policy, policy))
		return host_fail(NULL, -EINVAL, "policy \"%s\": not rr, random, pct:D or pct:D:K (D 1 … %u)", policy,
				 SIM_PCT_DEPTH_MAX);
	memcpy(sim->policy_name, policy, strlen(policy) + 1);
	sim_policy_init(&sim->policy, sim->seed);
	return 0;
}

static void world_init(struct tb_sim *sim, const struct sim_options *options)
{
	sim->seed = options->seed;
	sim->time_limit_ns = options->time_limit_ns;
	sim->limit_ns = options->time_limit_ns != 0 ? options->time_limit_ns : TB_FOREVER;
	sim->next_due_ns = 0;
	sim->log_due_ns = TB_FOREVER;
	sim->poll_due_ns = TB_FOREVER;
	sim->last = SIM_CPU_NONE;
	sim_stream_init(&sim->costs, sim->seed, "cost", 0);
	sim_stream_init(&sim->latencies, sim->seed, "latency", 0);
	sim_hash_init(&sim->hash);
	pthread_mutex_init(&sim->lock, NULL);
	pthread_cond_init(&sim->changed, NULL);
}

static void world_free(struct tb_sim *sim)
{
	pthread_cond_destroy(&sim->changed);
	pthread_mutex_destroy(&sim->lock);
	free(sim);
}

tb_err sim_world_create(const struct sim_options *options, struct tb_sim **out)
{
	struct tb_sim *sim = calloc(1, sizeof(*sim));
	if (sim == NULL)
		return host_fail(NULL, -ENOMEM, "no memory for a simulated world");
	world_init(sim, options);
	tb_err err = policy_set(sim, options->policy);
	if (err != 0)
		goto fail;
	if (options->replay_path != NULL)
		err = sim_replay_create(sim, options->replay_path);
	if (err != 0)
		goto fail;
	if (options->record_path != NULL)
		err = sim_record_create(sim, options->record_path);
	if (err != 0)
		goto fail;
	*out = sim;
	return 0;
fail:
	sim_world_abandon(sim);
	return err;
}

void sim_world_abandon(struct tb_sim *sim)
{
	char reason[HOST_ERROR_SIZE];
	sim_record_destroy(sim, reason, sizeof(reason));
	sim_replay_destroy(sim, reason, sizeof(reason));
	world_free(sim);
}

tb_err sim_world_destroy(struct tb_sim *sim)
{
	char reason[HOST_ERROR_SIZE];
	tb_err recorded = sim_record_destroy(sim, reason, sizeof(reason));
	tb_err replayed = sim_replay_destroy(sim, reason, sizeof(reason));
	tb_err err = replayed != 0 ? replayed : recorded;
	world_free(sim);
	return err == 0 ? 0 : host_fail(NULL, err, "%s", reason);
}

// The lowest run of free CPU numbers, SIM_CPU_NONE when there is none.
static uint32_t ids_find(const struct tb_sim *sim, uint32_t count)
{
	uint32_t run = 0;
	for (uint32_t id = 0; id < SIM_CPUS_MAX; ++id) {
		run = sim->cpus[id] == NULL ? run + 1 : 0;
		if (run == count)
			return id + 1 - count;
	}
	return SIM_CPU_NONE;
}

static void ids_take(struct tb_sim *sim, struct sim_instance *instance, uint32_t first)
{
	for (uint32_t i = 0; i < instance->cpu_count; ++i) {
		struct sim_cpu *cpu = &instance->cpus[i];
		cpu->id = first + i;
		cpu->index = i;
		cpu->state = SIM_CPU_OFF;
		cpu->instance = instance;
		for (uint32_t due = 0; due < SIM_DUE_COUNT; ++due)
			cpu->due_ns[due] = TB_FOREVER;
		sim->cpus[cpu->id] = cpu;
	}
	sim_policy_grow(&sim->policy, first + instance->cpu_count);
}

static void instance_describe(const struct sim_instance *instance, struct sim_log_instance *made)
{
	const struct tb_instance *host = instance->host;
	memset(made, 0, sizeof(*made));
	made->time_ns = instance->sim->now_ns;
	made->index = instance->sim->instance_count;
	made->cpu_count = instance->cpu_count;
	made->flags = host->config.flags & ~(uint32_t)TB_CONFIG_TRACE; // watching changes nothing
	made->mem_bytes = host->ram.size_bytes;
	snprintf(made->persona, sizeof(made->persona), "%s", host->config.persona);
	if (host->config.cmdline != NULL)
		snprintf(made->cmdline, sizeof(made->cmdline), "%s", host->config.cmdline);
}

static void instance_link(struct tb_sim *sim, struct sim_instance *instance)
{
	struct sim_instance **link = &sim->instances;
	while (*link != NULL)
		link = &(*link)->next;
	*link = instance;
	instance->index = sim->instance_count++;
	instance->born_ns = sim->now_ns;
	sim_stream_init(&instance->entropy, sim->seed, "entropy", instance->index);
}

tb_err sim_instance_attach(struct tb_sim *sim, struct sim_caller *caller)
{
	struct sim_instance *instance = caller->instance;
	struct sim_log_record record = {.tag = SIM_LOG_INSTANCE};
	uint32_t first = ids_find(sim, instance->cpu_count);
	if (first == SIM_CPU_NONE) {
		snprintf(caller->reason, sizeof(caller->reason), "a world has room for %u CPUs", SIM_CPUS_MAX);
		return -EAGAIN;
	}
	instance_describe(instance, &record.instance);
	if (sim->replay != NULL && !sim_replay_instance(sim, &record.instance, caller->reason, sizeof(caller->reason)))
		return -EPROTO;
	ids_take(sim, instance, first);
	instance_link(sim, instance);
	sim_hash_head(&sim->hash, SIM_HASH_INSTANCE, instance->index, instance->cpu_count);
	sim_hash_word(&sim->hash, record.instance.mem_bytes);
	sim_hash_word(&sim->hash, record.instance.flags);
	sim_hash_word(&sim->hash, sim->seed);
	sim_record_put(sim, &record);
	return 0;
}

void sim_instance_detach(struct sim_instance *instance)
{
	struct tb_sim *sim = instance->sim;
	struct sim_instance **link = &sim->instances;
	sim_instance_off(instance);
	while (*link != instance)
		link = &(*link)->next;
	*link = instance->next;
	for (uint32_t i = 0; i < instance->cpu_count; ++i)
		sim->cpus[instance->cpus[i].id] = NULL;
}
