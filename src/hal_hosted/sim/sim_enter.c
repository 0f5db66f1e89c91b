// SPDX-License-Identifier: MIT
//
// What enters a world from outside: host calls, new instances, console bytes. Each entry happens at a known decision and time,
// goes into the trace hash and the decision log, and from then on is part of the run. A replay decides by the log who may enter.
#include "sim_engine.h"

#include <errno.h>
#include <string.h>

static bool halted(const struct sim_instance *instance)
{
	return __atomic_load_n(&instance->host->state, __ATOMIC_ACQUIRE) == HOST_HALTED;
}

static const enum sim_log_call_kind log_kinds[] = {
	[SIM_CALLER_BOOT] = SIM_LOG_CALL_BOOT,
	[SIM_CALLER_CALL] = SIM_LOG_CALL_CALL,
	[SIM_CALLER_STOP] = SIM_LOG_CALL_STOP,
	[SIM_CALLER_DESTROY] = SIM_LOG_CALL_DESTROY,
};

// A command line is hashed; the function and argument of any other call are addresses.
static void call_hash(struct sim_hash *hash, const struct sim_caller *caller)
{
	const struct sim_instance *instance = caller->instance;
	const struct hal_command *command = caller->call.arg;
	sim_hash_head(hash, SIM_HASH_CALL, instance->index, log_kinds[caller->kind]);
	sim_hash_word(hash, instance->sim->now_ns);
	if (caller->kind != SIM_CALLER_CALL || caller->call.fn != instance->host->upcalls->command)
		return;
	sim_hash_head(hash, SIM_HASH_OUTPUT, instance->index, command->size_bytes);
	sim_hash_bytes(hash, command->line, command->size_bytes);
}

uint64_t sim_caller_mix(const struct sim_caller *caller)
{
	struct sim_hash hash = caller->instance->sim->hash;
	call_hash(&hash, caller);
	return hash.mix;
}

uint32_t sim_host_find(const struct tb_sim *sim, uint32_t host)
{
	uint32_t number = 0;
	while (number < sim->host_count && sim->hosts[number] != host)
		++number;
	return number;
}

// The number of the host thread that calls, a new one at its first call; threads past the table share the last number.
static uint32_t host_number(struct tb_sim *sim, uint32_t host)
{
	uint32_t number = sim_host_find(sim, host);
	if (number == SIM_HOSTS_MAX)
		return SIM_HOSTS_MAX - 1;
	if (number == sim->host_count)
		sim->hosts[sim->host_count++] = host;
	return number;
}

static void call_log(const struct sim_caller *caller)
{
	struct sim_instance *instance = caller->instance;
	struct tb_sim *sim = instance->sim;
	struct sim_log_record record = {.tag = SIM_LOG_CALL};
	uint32_t thread = host_number(sim, caller->host);
	call_hash(&sim->hash, caller);
	record.call =
		(struct sim_log_call){sim->now_ns, instance->index, log_kinds[caller->kind], thread, sim->hash.mix};
	sim_record_put(sim, &record);
}

// An idle CPU takes the call, a drawn one when none is idle.
static struct sim_cpu *call_cpu(struct sim_instance *instance)
{
	struct sim_cpu *started[CONFIG_MAX_CPUS] = {NULL};
	uint32_t count = 0;
	for (uint32_t i = 0; i < instance->cpu_count; ++i) {
		if (instance->cpus[i].state == SIM_CPU_IDLE)
			return &instance->cpus[i];
		if (instance->cpus[i].state != SIM_CPU_OFF)
			started[count++] = &instance->cpus[i];
	}
	return started[sim_draw_below(&instance->sim->latencies, count)];
}

static void call_enter(struct sim_caller *caller)
{
	struct sim_instance *instance = caller->instance;
	struct tb_sim *sim = instance->sim;
	struct sim_call **link = &instance->calls;
	while (*link != NULL)
		link = &(*link)->next;
	*link = &caller->call;
	caller->call.token = ++instance->next_token;
	uint64_t latency_ns = sim_latency(sim, SIM_LATENCY_CALL);
	sim_due_set(call_cpu(instance), SIM_DUE_CALL, sim->now_ns + latency_ns);
	sim_policy_episode(&sim->policy);
	call_log(caller);
}

static void call_leave(struct sim_caller *caller)
{
	struct sim_call **link = &caller->instance->calls;
	while (*link != NULL && *link != &caller->call)
		link = &(*link)->next;
	if (*link != NULL)
		*link = caller->call.next;
}

static void boot_enter(struct sim_caller *caller)
{
	struct sim_instance *instance = caller->instance;
	struct sim_stream kernel;
	sim_stream_init(&kernel, instance->sim->seed, "kernel", instance->index);
	instance->host->boot_info.seed = sim_draw(&kernel);
	instance->cpus[0].thread = instance->host->cpus[0].idle;
	sim_cpu_state_set(&instance->cpus[0], SIM_CPU_READY);
	sim_policy_episode(&instance->sim->policy);
	call_log(caller);
}

static void stop_enter(struct sim_caller *caller)
{
	struct sim_instance *instance = caller->instance;
	struct tb_sim *sim = instance->sim;
	uint64_t latency_ns = sim_latency(sim, SIM_LATENCY_CALL);
	sim_due_set(&instance->cpus[0], SIM_DUE_STOP, sim->now_ns + latency_ns);
	call_log(caller);
}

static void wait_enter(struct sim_instance *instance, int32_t step)
{
	if (instance->console == NULL)
		return;
	instance->console->waiters += step;
	instance->sim->wait_count += step;
	sim_console_poll_arm(instance->sim);
}

static void stats_take(const struct tb_sim *sim, struct tb_sim_stats *stats)
{
	stats->decisions = sim->decisions;
	stats->switches = sim->switches;
	stats->interrupts = sim->interrupts;
	stats->time_ns = sim->now_ns;
	sim_hash_digest(&sim->hash, stats->trace_hash);
}

void sim_caller_enter(struct tb_sim *sim, struct sim_caller *caller)
{
	caller->entered = true;
	switch (caller->kind) {
	case SIM_CALLER_CREATE:
		caller->err = sim_instance_attach(sim, caller);
		break;
	case SIM_CALLER_BOOT:
		boot_enter(caller);
		break;
	case SIM_CALLER_CALL:
		call_enter(caller);
		break;
	case SIM_CALLER_WAIT:
		wait_enter(caller->instance, 1);
		break;
	case SIM_CALLER_STOP:
		stop_enter(caller);
		break;
	case SIM_CALLER_STATS:
		stats_take(sim, caller->stats);
		break;
	case SIM_CALLER_DESTROY:
		call_log(caller);
		sim_instance_detach(caller->instance);
		break;
	}
}

// A replay lets in what the log names, when it does; waiting changes nothing in the world, so it needs no leave. Nor does
// the end of an instance, once the world has stopped.
static bool may_enter(const struct tb_sim *sim, const struct sim_caller *caller)
{
	if (caller->entered || caller->finished)
		return false;
	if (sim->stop.cause != SIM_STOP_NOT)
		return caller->kind == SIM_CALLER_DESTROY || caller->kind == SIM_CALLER_STATS;
	if (caller->kind == SIM_CALLER_STATS)
		return true;
	if (caller->kind != SIM_CALLER_CREATE && caller->kind != SIM_CALLER_DESTROY && halted(caller->instance))
		return false;
	return sim->replay == NULL || caller->kind == SIM_CALLER_WAIT;
}

void sim_callers_enter(struct tb_sim *sim)
{
	pthread_mutex_lock(&sim->lock);
	for (struct sim_caller *caller = sim->callers; caller != NULL; caller = caller->next)
		if (may_enter(sim, caller))
			sim_caller_enter(sim, caller);
	pthread_mutex_unlock(&sim->lock);
}

// Whether the request is over, and how.
static bool caller_over(const struct tb_sim *sim, struct sim_caller *caller)
{
	bool created = caller->kind == SIM_CALLER_CREATE;
	bool gone = created || caller->kind == SIM_CALLER_DESTROY || caller->kind == SIM_CALLER_STATS;
	if (caller->entered && (gone || (caller->kind == SIM_CALLER_BOOT && caller->instance->host->booted != 0)))
		return true;
	if (caller->call.done)
		return true;
	if (sim->stop.cause != SIM_STOP_NOT && (created || !gone)) {
		caller->err = sim_report_stop(sim, caller->reason, sizeof(caller->reason));
		return true;
	}
	if (gone || !halted(caller->instance))
		return false;
	if (caller->kind == SIM_CALLER_CALL)
		caller->err = caller->instance->host->panicked != 0 ? -EIO : -ESHUTDOWN;
	return true;
}

static void caller_finish_locked(struct tb_sim *sim, struct sim_caller *caller)
{
	caller->finished = true;
	if (caller->kind == SIM_CALLER_CALL)
		call_leave(caller);
	if (caller->kind == SIM_CALLER_WAIT && caller->entered)
		wait_enter(caller->instance, -1);
	pthread_cond_broadcast(&sim->changed);
}

void sim_callers_settle(struct tb_sim *sim)
{
	pthread_mutex_lock(&sim->lock);
	for (struct sim_caller *caller = sim->callers; caller != NULL; caller = caller->next)
		if (!caller->finished && caller_over(sim, caller))
			caller_finish_locked(sim, caller);
	pthread_mutex_unlock(&sim->lock);
}

bool sim_callers_entered(struct tb_sim *sim)
{
	bool entered = false;
	pthread_mutex_lock(&sim->lock);
	for (struct sim_caller *caller = sim->callers; caller != NULL; caller = caller->next)
		entered = entered || (caller->entered && !caller->finished);
	pthread_mutex_unlock(&sim->lock);
	return entered;
}

// Those that entered: whoever has not may still stir the world.
void sim_callers_fail(struct tb_sim *sim, tb_err err)
{
	pthread_mutex_lock(&sim->lock);
	for (struct sim_caller *caller = sim->callers; caller != NULL; caller = caller->next) {
		if (!caller->entered || caller->finished)
			continue;
		caller->err = err;
		sim_report_stuck(sim, caller->reason, sizeof(caller->reason));
		caller_finish_locked(sim, caller);
	}
	pthread_mutex_unlock(&sim->lock);
}

void sim_input_enter(struct sim_instance *instance, const void *bytes, size_t size_bytes, bool end)
{
	struct tb_sim *sim = instance->sim;
	struct sim_log_record record = {.tag = SIM_LOG_INPUT};
	record.input = (struct sim_log_input){sim->now_ns, instance->index, end, bytes, size_bytes};
	sim_hash_head(&sim->hash, SIM_HASH_INPUT, instance->index, size_bytes);
	sim_hash_word(&sim->hash, sim->now_ns << 1 | end);
	sim_hash_bytes(&sim->hash, bytes, size_bytes);
	sim_record_put(sim, &record);
	sim_console_add(instance, bytes, size_bytes, end);
	uint64_t latency_ns = sim_latency(sim, SIM_LATENCY_CONSOLE);
	sim_due_set(&instance->cpus[0], SIM_DUE_CONSOLE, sim->now_ns + latency_ns);
}
