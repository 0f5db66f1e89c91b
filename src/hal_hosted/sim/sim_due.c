// SPDX-License-Identifier: MIT
//
// Virtual time: what is under way to the CPUs and when it arrives. There is little of it, a few times per CPU, so it is scanned, not
// queued: sim.next_due_ns makes the scan rare, and equal times are served in the order of CPU numbers.
#include "sim_impl.h"

_Static_assert(1u << SIM_DUE_TIMER == HAL_IRQ_TIMER, "a due is its interrupt's bit");
_Static_assert(1u << SIM_DUE_IPI == HAL_IRQ_IPI, "a due is its interrupt's bit");
_Static_assert(1u << SIM_DUE_CONSOLE == HAL_IRQ_CONSOLE, "a due is its interrupt's bit");
_Static_assert(1u << SIM_DUE_CALL == HAL_IRQ_CALL, "a due is its interrupt's bit");
_Static_assert(1u << SIM_DUE_STOP == HAL_IRQ_STOP, "a due is its interrupt's bit");
_Static_assert(1u << SIM_DUE_BLOCK == HAL_IRQ_BLOCK, "a due is its interrupt's bit");

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void sim_due_set(struct sim_cpu *cpu, enum sim_due due, uint64_t time_ns)
{
	struct tb_sim *sim = cpu->instance->sim;
	cpu->due_ns[due] = earlier(cpu->due_ns[due], time_ns);
	sim->next_due_ns = earlier(sim->next_due_ns, time_ns);
}

static void arrive(struct sim_cpu *cpu, enum sim_due due)
{
	cpu->due_ns[due] = TB_FOREVER;
	cpu->pending |= 1u << due;
	if (cpu->state == SIM_CPU_IDLE)
		sim_cpu_state_set(cpu, SIM_CPU_READY);
}

static void instance_due_run(struct sim_instance *instance, uint64_t now_ns)
{
	for (uint32_t i = 0; i < instance->cpu_count; ++i) {
		struct sim_cpu *cpu = &instance->cpus[i];
		for (uint32_t due = 0; due < SIM_DUE_COUNT; ++due)
			if (cpu->due_ns[due] <= now_ns && cpu->state != SIM_CPU_OFF)
				arrive(cpu, due);
	}
}

uint64_t sim_due_next(const struct tb_sim *sim)
{
	uint64_t next_ns = sim->log_due_ns;
	for (const struct sim_instance *instance = sim->instances; instance != NULL; instance = instance->next) {
		for (uint32_t i = 0; i < instance->cpu_count; ++i)
			for (uint32_t due = 0; due < SIM_DUE_COUNT; ++due)
				if (instance->cpus[i].state != SIM_CPU_OFF)
					next_ns = earlier(next_ns, instance->cpus[i].due_ns[due]);
	}
	return next_ns;
}

bool sim_due_soon(const struct tb_sim *sim)
{
	for (const struct sim_instance *instance = sim->instances; instance != NULL; instance = instance->next) {
		for (uint32_t i = 0; i < instance->cpu_count; ++i)
			for (uint32_t due = 0; due < SIM_DUE_COUNT; ++due)
				if (due != SIM_DUE_TIMER && instance->cpus[i].state != SIM_CPU_OFF &&
				    instance->cpus[i].due_ns[due] != TB_FOREVER)
					return true;
	}
	return false;
}

void sim_due_run(struct tb_sim *sim)
{
	if (sim->now_ns >= sim->limit_ns) {
		sim_stop(sim, SIM_STOP_LIMIT, sim->limit_ns, 0);
		return;
	}
	for (struct sim_instance *instance = sim->instances; instance != NULL; instance = instance->next)
		instance_due_run(instance, sim->now_ns);
	if (sim->now_ns >= sim->log_due_ns)
		sim_attend(sim, SIM_ATTEND_REPLAY);
	if (sim->now_ns >= sim->poll_due_ns)
		sim_attend(sim, SIM_ATTEND_POLL);
	sim->next_due_ns = earlier(earlier(sim_due_next(sim), sim->poll_due_ns), sim->limit_ns);
}

// A world with a console that may still say something is never stuck.
void sim_due_advance(struct tb_sim *sim)
{
	uint64_t next_ns = sim_due_next(sim);
	if (sim->wait_count > 0 && sim->replay == NULL)
		sim_attend(sim, SIM_ATTEND_IDLE);
	else if (next_ns == TB_FOREVER)
		sim_attend(sim, SIM_ATTEND_STUCK);
	else
		sim_due_jump(sim, next_ns);
}

void sim_due_jump(struct tb_sim *sim, uint64_t time_ns)
{
	time_ns = earlier(time_ns, sim->limit_ns);
	if (sim->now_ns < time_ns)
		sim->now_ns = time_ns;
	sim->next_due_ns = 0;
}
