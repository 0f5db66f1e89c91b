// SPDX-License-Identifier: MIT
//
// The host side of a world: which host thread drives it, what is done on its stack between two stretches of kernel code, and
// when its request is finished.
#include "sim_engine.h"

#include <errno.h>
#include <stdio.h>

// Callers of a world that can do nothing more are told so; it stays as it is, and another call may still stir it.
static void stuck(struct tb_sim *sim)
{
	if (sim->replay != NULL && !sim_callers_entered(sim)) {
		sim_stop(sim, SIM_STOP_LOG_OTHER, 0, SIM_KIND_IDLE);
		return;
	}
	sim_callers_fail(sim, -EDEADLK);
}

static void instances_halt(struct tb_sim *sim)
{
	char reason[HOST_ERROR_SIZE];
	tb_err err = sim_report_stop(sim, reason, sizeof(reason));
	for (struct sim_instance *instance = sim->instances; instance != NULL; instance = instance->next) {
		sim_instance_off(instance);
		host_instance_halt(instance->host, err);
	}
}

// Who is finished leaves before anything else enters: in a replay that next thing may be what this very host thread does
// next. What is not served now is asked for again.
bool sim_attention_serve(struct tb_sim *sim)
{
	const struct sim_caller *caller = sim->driving;
	uint32_t what = __atomic_exchange_n(&sim->attention, 0, __ATOMIC_ACQUIRE);
	if ((what & SIM_ATTEND_RECORD) != 0)
		sim_record_flush(sim);
	if ((what & SIM_ATTEND_POLL) != 0)
		sim_console_poll(sim);
	if ((what & SIM_ATTEND_CALLERS) != 0)
		sim_callers_enter(sim);
	sim_callers_settle(sim);
	if (caller->finished)
		return true;
	if (sim->log_due_ns <= sim->now_ns)
		sim_replay_input(sim);
	else if (what == SIM_ATTEND_IDLE)
		sim_console_idle(sim);
	else if (what == SIM_ATTEND_STUCK)
		stuck(sim);
	if (sim->stop.cause != SIM_STOP_NOT)
		instances_halt(sim);
	sim_callers_settle(sim);
	return caller->finished;
}

static void driver_set(struct tb_sim *sim, struct host_thread *driver)
{
	sim->driver = driver;
	for (struct sim_instance *instance = sim->instances; instance != NULL; instance = instance->next)
		for (uint32_t i = 0; i < instance->cpu_count; ++i)
			__atomic_store_n(&instance->host->cpus[i].driver, driver, __ATOMIC_RELEASE);
}

// Nobody runs yet, or who did has halted. Like any point it costs once, however often the host is asked in between.
static bool first_choose(struct tb_sim *sim)
{
	if (!sim->choosing)
		sim_spend(sim, sim_cost_draw(&sim->costs, SIM_KIND_HOST));
	sim->running = sim_choose(sim, SIM_KIND_HOST);
	sim->choosing = sim->running == NULL;
	return !sim->choosing;
}

// Goes on where the world was left, or with a first choice. Comes back when the driver leaves, or what ran has halted.
static void kernel_enter(struct tb_sim *sim, struct host_thread *self)
{
	if (sim->running == NULL && !first_choose(sim))
		return;
	driver_set(sim, self);
	self->instance = sim->running->instance->host;
	self->cpu = sim->running->index;
	host_context_enter(self, sim->running->thread);
	self->instance = NULL;
	driver_set(sim, NULL);
}

static void drive(struct tb_sim *sim, struct host_thread *self, const struct sim_caller *caller)
{
	sim->driving = caller;
	while (!sim_attention_serve(sim))
		kernel_enter(sim, self);
	sim->driving = NULL;
}

static void caller_append_locked(struct tb_sim *sim, struct sim_caller *caller)
{
	struct sim_caller **link = &sim->callers;
	while (*link != NULL)
		link = &(*link)->next;
	caller->next = NULL;
	*link = caller;
}

static void caller_remove_locked(struct tb_sim *sim, struct sim_caller *caller)
{
	struct sim_caller **link = &sim->callers;
	while (*link != caller)
		link = &(*link)->next;
	*link = caller->next;
}

tb_err sim_run(struct tb_sim *sim, struct sim_caller *caller)
{
	struct host_thread *self = host_thread_self();
	if (self == NULL) {
		snprintf(caller->reason, sizeof(caller->reason), "no host memory for this thread");
		return -ENOMEM;
	}
	caller->host = (uint32_t)self->tid;
	pthread_mutex_lock(&sim->lock);
	caller_append_locked(sim, caller);
	sim_attend(sim, SIM_ATTEND_CALLERS);
	pthread_cond_broadcast(&sim->changed);
	while (!caller->finished) {
		if (sim->driven) {
			pthread_cond_wait(&sim->changed, &sim->lock);
			continue;
		}
		sim->driven = true;
		pthread_mutex_unlock(&sim->lock);
		drive(sim, self, caller);
		pthread_mutex_lock(&sim->lock);
		sim->driven = false;
		pthread_cond_broadcast(&sim->changed);
	}
	caller_remove_locked(sim, caller);
	pthread_mutex_unlock(&sim->lock);
	return caller->err;
}
