// SPDX-License-Identifier: MIT
//
// The sim engine's table, and the operations that come from host calls: each is a caller that enters the world.
#include "sim_disk.h"
#include "sim_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if CONFIG_SCHEDPOINTS_FULL
#define POINT_MASK ((1u << HAL_POINT_COUNT) - 1)
#else
#define POINT_MASK (((1u << HAL_POINT_COUNT) - 1) & ~(1u << HAL_POINT_PERCPU | 1u << HAL_POINT_ATOMIC))
#endif

static tb_err request(struct tb_instance *instance, struct sim_caller *caller)
{
	caller->instance = sim_instance(instance);
	tb_err err = sim_run(caller->instance->sim, caller);
	return err != 0 && caller->reason[0] != '\0' ? host_fail(instance, err, "%s", caller->reason) : err;
}

// ---- life -------------------------------------------------------------------------------------------------------------

static tb_err world_get(const struct tb_config *config, struct tb_sim **sim)
{
	struct sim_options options = {
		.seed = config->seed,
		.policy = config->policy,
		.record_path = config->record_path,
		.replay_path = config->replay_path,
		.time_limit_ns = config->time_limit_ns,
	};
	*sim = config->sim;
	return config->sim != NULL ? 0 : sim_world_create(&options, sim);
}

static void instance_free(struct sim_instance *instance)
{
	sim_disks_free(instance);
	sim_console_destroy(instance);
	free(instance);
}

static tb_err instance_create(struct tb_instance *host, struct sim_instance **out)
{
	struct sim_instance *instance = calloc(1, sizeof(*instance) + host->cpu_count * sizeof(instance->cpus[0]));
	if (instance == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	instance->host = host;
	instance->cpu_count = host->cpu_count;
	tb_err err = sim_console_create(instance);
	if (err == 0)
		err = sim_disks_open(instance);
	if (err != 0) {
		instance_free(instance);
		return err;
	}
	*out = instance;
	return 0;
}

tb_err sim_create(struct tb_instance *host)
{
	struct sim_caller caller = {.kind = SIM_CALLER_CREATE};
	struct sim_instance *instance = NULL;
	struct tb_sim *sim;
	tb_err err = instance_create(host, &instance);
	if (err != 0)
		return err;
	err = world_get(&host->config, &sim);
	if (err != 0)
		goto fail;
	instance->sim = sim;
	instance->private_world = host->config.sim == NULL;
	if (instance->private_world)
		sim->stepped = (host->config.flags & TB_CONFIG_STEPPED) != 0;
	caller.instance = instance;
	err = sim_run(sim, &caller);
	if (err != 0) {
		if (instance->private_world)
			sim_world_abandon(sim);
		err = host_fail(NULL, err, "%s", caller.reason);
		goto fail;
	}
	host->engine_data = instance;
	host->point_mask = POINT_MASK;
	host->resched = CONFIG_SCHEDPOINTS_FULL ? HAL_RESCHED_POINT : 0;
	return 0;
fail:
	instance_free(instance);
	return err;
}

// A world that the instance had for itself ends with it; tb_error(NULL) keeps what that reports.
tb_err sim_destroy(struct tb_instance *host)
{
	struct sim_instance *instance = sim_instance(host);
	struct sim_caller caller = {.kind = SIM_CALLER_DESTROY, .instance = instance};
	struct tb_sim *sim = instance->sim;
	tb_err err = sim_run(sim, &caller);
	tb_err published = sim_disks_publish(instance);
	if (instance->private_world)
		err = sim_world_destroy(sim);
	instance_free(instance);
	return err != 0 ? err : published;
}

// ---- requests ---------------------------------------------------------------------------------------------------------

static tb_err sim_boot(struct tb_instance *instance)
{
	struct sim_caller caller = {.kind = SIM_CALLER_BOOT};
	return request(instance, &caller);
}

static tb_err sim_call(struct tb_instance *instance, int64_t (*fn)(void *), void *arg, int64_t *result)
{
	struct sim_caller caller = {.kind = SIM_CALLER_CALL, .call = {.fn = fn, .arg = arg}};
	tb_err err = request(instance, &caller);
	*result = caller.call.result;
	return err;
}

static tb_err sim_wait(struct tb_instance *instance)
{
	struct sim_caller caller = {.kind = SIM_CALLER_WAIT};
	return request(instance, &caller);
}

static tb_err sim_stop_request(struct tb_instance *instance)
{
	struct sim_caller caller = {.kind = SIM_CALLER_STOP};
	return request(instance, &caller);
}

static tb_err sim_stats(const struct tb_instance *instance, struct tb_sim_stats *stats)
{
	struct sim_caller caller = {.kind = SIM_CALLER_STATS, .instance = sim_instance(instance), .stats = stats};
	return sim_run(caller.instance->sim, &caller);
}

// ---- modules and faults -----------------------------------------------------------------------------------------------

static tb_err content_hash(const struct host_module *module, uint8_t hash[32])
{
	struct sim_sha256 sha;
	uint8_t block[65536];
	uint64_t offset = 0;
	sim_sha256_init(&sha);
	while (offset < module->size_bytes) {
		ssize_t got = pread(module->fd, block, sizeof(block), (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EIO;
		sim_sha256_update(&sha, block, (size_t)got);
		offset += (uint64_t)got;
	}
	sim_sha256_final(&sha, hash);
	return 0;
}

static tb_err sim_module_opened(struct tb_instance *host, const char *name, struct host_module *module)
{
	struct sim_instance *instance = sim_instance(host);
	struct tb_sim *sim = instance->sim;
	struct sim_log_record record = {.tag = SIM_LOG_MODULE};
	record.module = (struct sim_log_module){.instance = instance->index, .size_bytes = module->size_bytes};
	record.module.name = name;
	record.module.name_size_bytes = strlen(name);
	tb_err err = content_hash(module, record.module.hash);
	if (err != 0)
		return err;
	if (sim->replay != NULL && !sim_replay_module(sim, &record.module))
		return -EPROTO;
	sim_hash_head(&sim->hash, SIM_HASH_MODULE, instance->index, 0);
	sim_hash_word(&sim->hash, module->size_bytes);
	sim_hash_bytes(&sim->hash, record.module.hash, sizeof(record.module.hash));
	sim_hash_bytes(&sim->hash, name, record.module.name_size_bytes);
	sim_record_put(sim, &record);
	return 0;
}

static void sim_faulted(struct tb_instance *instance, struct host_thread *thread)
{
	(void)thread;
	sim_instance_halted(sim_instance(instance));
}

const struct host_engine host_engine_sim = {
	.name = "sim",
	.create = sim_create,
	.destroy = sim_destroy,
	.boot = sim_boot,
	.call = sim_call,
	.wait = sim_wait,
	.stop = sim_stop_request,
	.sim_stats = sim_stats,
	.booted = sim_booted,
	.cpu_bound = sim_cpu_bound,
	.cpu_start = sim_cpu_start,
	.cpu_idle = sim_cpu_idle,
	.ipi = sim_ipi,
	.cpu_relax = sim_cpu_relax,
	.spin_wait = sim_spin_wait,
	.spin_wake = sim_spin_wake,
	.irq_deliver = sim_irq_deliver,
	.point = sim_at_point,
	.clock_mono_ns = sim_clock_mono_ns,
	.clock_look_ns = sim_clock_mono_ns,
	.clock_wall_ns = sim_clock_wall_ns,
	.timer_arm = sim_timer_arm,
	.call_take = sim_call_take,
	.call_done = sim_call_done,
	.call_wants_cpu = sim_call_wants_cpu,
	.call_sleeping = sim_call_sleeping,
	.entropy = sim_entropy,
	.trace_event = sim_trace_event,
	.halt = sim_halt,
	.console_wrote = sim_console_wrote,
	.console_read = sim_console_read,
	.console_wait = sim_console_wait,
	.console_window = sim_console_window,
	.module_opened = sim_module_opened,
	.disks_asked = sim_disks_asked,
	.block_submit = sim_block_submit,
	.block_take = sim_block_take,
	.faulted = sim_faulted,
};
