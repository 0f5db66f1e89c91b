// SPDX-License-Identifier: MIT
//
// The doors of include/hal as the simulator sees them. All run on the kernel stack of the running CPU.
#include "sim_engine.h"

#include <errno.h>
#include <string.h>

#define EPOCH_NS 1700000000000000000ull // the wall clock when a world begins: 2023-11-14 22:13:20 UTC

static struct tb_sim *sim_of(const struct tb_instance *instance)
{
	return sim_instance(instance)->sim;
}

void sim_booted(struct tb_instance *instance)
{
	sim_attend(sim_of(instance), SIM_ATTEND_CALLERS);
}

// Every unmask of this CPU asks us from now on.
void sim_cpu_bound(struct tb_instance *instance, struct host_cpu *cpu)
{
	(void)instance;
	__atomic_fetch_or(&cpu->hal->irq_pending, HAL_IRQ_POINT, __ATOMIC_RELAXED);
}

tb_err sim_cpu_start(struct tb_instance *instance, struct host_cpu *cpu)
{
	sim_cpu_bound(instance, cpu);
	struct sim_cpu *started = &sim_instance(instance)->cpus[cpu->index];
	started->thread = cpu->idle;
	sim_cpu_state_set(started, SIM_CPU_READY);
	return 0;
}

void sim_cpu_idle(struct tb_instance *instance)
{
	struct tb_sim *sim = sim_of(instance);
	if (sim->running->pending == 0)
		sim_cpu_state_set(sim->running, SIM_CPU_IDLE);
	sim_point(sim, SIM_KIND_IDLE);
}

void sim_ipi(struct tb_instance *instance, struct host_cpu *cpu)
{
	struct tb_sim *sim = sim_of(instance);
	uint64_t latency_ns = sim_latency(sim, SIM_LATENCY_IPI);
	sim_due_set(&sim_instance(instance)->cpus[cpu->index], SIM_DUE_IPI, sim->now_ns + latency_ns);
}

void sim_cpu_relax(struct tb_instance *instance)
{
	sim_at_point(instance, HAL_POINT_RELAX);
}

void sim_spin_wait(struct tb_instance *instance, const uint32_t *word, uint32_t seen)
{
	struct tb_sim *sim = sim_of(instance);
	struct sim_cpu *cpu = sim->running;
	cpu->spin_word = word;
	cpu->spin_seen = seen;
	sim_cpu_state_set(cpu, SIM_CPU_SPIN);
	sim_point(sim, SIM_KIND_SPIN);
	sim_interrupts_take(sim);
}

// All that wait for the word look again, as they would on real CPUs; the policy says who comes first.
void sim_spin_wake(struct tb_instance *instance, const uint32_t *word)
{
	struct tb_sim *sim = sim_of(instance);
	uint32_t id = sim_set_from(&sim->spinning, 0);
	for (; id != SIM_CPU_NONE; id = sim_set_from(&sim->spinning, id + 1))
		if (sim->cpus[id]->spin_word == word)
			sim_cpu_state_set(sim->cpus[id], SIM_CPU_READY);
}

void sim_irq_deliver(struct tb_instance *instance)
{
	sim_at_point(instance, HAL_POINT_IRQ_ENABLE);
}

void sim_at_point(struct tb_instance *instance, enum hal_point_kind kind)
{
	struct tb_sim *sim = sim_of(instance);
	sim_point(sim, kind);
	sim_interrupts_take(sim);
}

uint64_t sim_clock_mono_ns(struct tb_instance *instance)
{
	struct sim_instance *own = sim_instance(instance);
	sim_spend(own->sim, SIM_COST_CLOCK_NS);
	return own->sim->now_ns - own->born_ns;
}

uint64_t sim_clock_wall_ns(struct tb_instance *instance)
{
	struct tb_sim *sim = sim_of(instance);
	sim_spend(sim, SIM_COST_CLOCK_NS);
	return EPOCH_NS + sim->now_ns;
}

void sim_timer_arm(struct tb_instance *instance, uint64_t deadline_ns)
{
	struct sim_instance *own = sim_instance(instance);
	struct tb_sim *sim = own->sim;
	struct sim_cpu *cpu = sim->running;
	uint64_t latency_ns = sim_latency(sim, SIM_LATENCY_TIMER);
	uint64_t due_ns = deadline_ns + own->born_ns;
	cpu->due_ns[SIM_DUE_TIMER] = TB_FOREVER;
	if (deadline_ns > TB_FOREVER / 2) // three centuries
		return;
	if (due_ns < sim->now_ns)
		due_ns = sim->now_ns;
	sim_due_set(cpu, SIM_DUE_TIMER, due_ns + latency_ns);
}

bool sim_call_take(struct tb_instance *instance, struct hal_call *call)
{
	struct sim_call *next = sim_instance(instance)->calls;
	while (next != NULL && next->taken)
		next = next->next;
	if (next == NULL)
		return false;
	next->taken = true;
	*call = (struct hal_call){.token = next->token, .fn = next->fn, .arg = next->arg};
	while (next != NULL && next->taken)
		next = next->next;
	if (next != NULL) // their interrupts may have been one with that of the call just taken
		sim_due_set(sim_of(instance)->running, SIM_DUE_CALL, sim_of(instance)->now_ns);
	return true;
}

// NULL for a call whose host thread has given up (deadlock).
static struct sim_call *call_find(struct tb_instance *instance, uint64_t token)
{
	struct sim_call *call = sim_instance(instance)->calls;
	while (call != NULL && call->token != token)
		call = call->next;
	return call;
}

void sim_call_done(struct tb_instance *instance, uint64_t token, int64_t result)
{
	struct sim_call *call = call_find(instance, token);
	if (call == NULL)
		return;
	call->result = result;
	call->done = true;
	sim_attend(sim_of(instance), SIM_ATTEND_CALLERS);
}

// No host thread waits for a CPU here: they all drive the same world.
bool sim_call_wants_cpu(struct tb_instance *instance)
{
	(void)instance;
	return false;
}

void sim_call_sleeping(struct tb_instance *instance, uint64_t token, bool sleeping)
{
	struct sim_call *call = call_find(instance, token);
	if (call != NULL)
		call->sleeping = sleeping;
}

void sim_entropy(struct tb_instance *instance, void *buffer, size_t size_bytes)
{
	struct sim_stream *stream = &sim_instance(instance)->entropy;
	uint8_t *next = buffer;
	while (size_bytes > 0) {
		uint64_t draw = sim_draw(stream);
		size_t part = size_bytes < sizeof(draw) ? size_bytes : sizeof(draw);
		memcpy(next, &draw, part);
		next += part;
		size_bytes -= part;
	}
}

struct trace {
	struct tb_instance *instance;
	const struct hal_trace_event *event;
};

static void trace_on_host(void *arg)
{
	const struct trace *trace = arg;
	const struct hal_trace_event *event = trace->event;
	const struct tb_config *config = &trace->instance->config;
	struct sim_instance *own = sim_instance(trace->instance);
	struct sim_hash *hash = &own->sim->hash;
	sim_hash_head(hash, SIM_HASH_EVENT, own->index, event->cpu);
	sim_hash_word(hash, event->ts_ns);
	sim_hash_word(hash, event->event | (uint64_t)event->thread << 32);
	sim_hash_word(hash, event->a);
	sim_hash_word(hash, event->b);
	if (config->trace_fn == NULL || (config->flags & TB_CONFIG_TRACE) == 0)
		return;
	struct tb_trace_record record = {event->ts_ns, event->cpu, event->event, event->thread, 0, event->a, event->b};
	config->trace_fn(config->trace_ctx, &record);
}

// On the host stack, so that a kernel stack is used alike with and without a watcher.
void sim_trace_event(struct tb_instance *instance, const struct hal_trace_event *event)
{
	struct trace trace = {instance, event};
	struct hal_thread *self = hal_self();
	uint32_t was = self->irq_off;
	self->irq_off = 1;
	host_stack_call(trace_on_host, &trace);
	self->irq_off = was;
}

void sim_console_wrote(struct tb_instance *instance, const char *bytes, size_t size_bytes)
{
	struct sim_instance *own = sim_instance(instance);
	if (instance->panicked != 0)
		return;
	sim_hash_head(&own->sim->hash, SIM_HASH_OUTPUT, own->index, size_bytes);
	sim_hash_bytes(&own->sim->hash, bytes, size_bytes);
}

struct hal_window sim_console_window(struct tb_instance *instance)
{
	(void)instance;
	return (struct hal_window){.columns = 80, .rows = 24}; // a terminal's real size would be an input
}

void sim_halt(struct tb_instance *instance)
{
	struct tb_sim *sim = sim_of(instance);
	sim_instance_halted(sim_instance(instance));
	host_context_abandon(sim->driver);
}

void sim_instance_off(struct sim_instance *instance)
{
	struct tb_sim *sim = instance->sim;
	for (uint32_t i = 0; i < instance->cpu_count; ++i)
		sim_cpu_state_set(&instance->cpus[i], SIM_CPU_OFF);
	if (sim->running != NULL && sim->running->instance == instance)
		sim->running = NULL;
	sim_attend(sim, SIM_ATTEND_CALLERS);
}

void sim_instance_halted(struct sim_instance *instance)
{
	struct sim_hash *hash = &instance->sim->hash;
	sim_hash_head(hash, SIM_HASH_HALT, instance->index, instance->host->panicked);
	sim_hash_word(hash, (uint32_t)instance->host->status);
	sim_instance_off(instance);
}
