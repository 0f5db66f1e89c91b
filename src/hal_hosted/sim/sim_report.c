// SPDX-License-Identifier: MIT
//
// Words for people: why a world stopped, what a stuck one waits for, and the options that repeat it.
#include "sim_engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// Appends to a text of fixed size; what does not fit is cut.
struct text {
	char *next;
	size_t left;
};

static void text_add(struct text *text, const char *format, ...) __attribute__((__format__(__printf__, 2, 3)));
static void text_add(struct text *text, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int size = vsnprintf(text->next, text->left, format, args);
	va_end(args);
	size_t used = size < 0 ? 0 : (size_t)size;
	if (used >= text->left)
		used = text->left > 0 ? text->left - 1 : 0;
	text->next += used;
	text->left -= used;
}

// What repeats this world, as tbos-sim takes it; commands and inputs are the caller's to add.
static void options_add(const struct tb_sim *sim, struct text *text)
{
	const struct sim_instance *first = sim->instances;
	text_add(text, "; repeat with --engine sim --seed %llu --policy %s", (unsigned long long)sim->seed,
		 sim->policy_name);
	if (first != NULL)
		text_add(text, " --cpus %u --mem %llu --persona %s", first->cpu_count,
			 (unsigned long long)first->host->ram.size_bytes, first->host->config.persona);
}

static const char *const record_names[] = {
	[SIM_LOG_OPTIONS] = "options", [SIM_LOG_INSTANCE] = "a new instance", [SIM_LOG_DECISIONS] = "decisions",
	[SIM_LOG_INPUT] = "input",     [SIM_LOG_MODULE] = "a module",         [SIM_LOG_CALL] = "a host call",
	[SIM_LOG_END] = "the end",
};

static const char *const caller_names[] = {
	[SIM_CALLER_CREATE] = "tb_create", [SIM_CALLER_BOOT] = "tb_boot",    [SIM_CALLER_CALL] = "tb_call",
	[SIM_CALLER_WAIT] = "tb_wait",     [SIM_CALLER_STOP] = "tb_destroy", [SIM_CALLER_DESTROY] = "tb_destroy",
};

static void differs(const struct tb_sim *sim, struct text *text)
{
	const struct sim_stop *stop = &sim->stop;
	text_add(text, "replay differs at decision %llu: ", (unsigned long long)stop->decision);
	switch (stop->cause) {
	case SIM_STOP_KIND:
		text_add(text, "the log has a point of kind %s, the run of kind %s", sim_kind_names[stop->a],
			 sim_kind_names[stop->b]);
		break;
	case SIM_STOP_TRACE:
		text_add(text, "same kind (%s), but time or trace are not the same", sim_kind_names[stop->a]);
		break;
	case SIM_STOP_CPU:
		text_add(text, "the log runs CPU %llu, which is not ready", (unsigned long long)stop->a);
		break;
	case SIM_STOP_LOG_END:
		text_add(text, stop->a == SIM_LOG_END ? "the log has ended" : "the log was cut short here");
		break;
	case SIM_STOP_LOG_OTHER:
		text_add(text, "the log has %s, the run a point of kind %s",
			 stop->a != 0 ? record_names[stop->a] : "more decisions", sim_kind_names[stop->b]);
		break;
	case SIM_STOP_LOG_TIME:
		text_add(text, "%s entered at %llu ns, it is %llu ns now", record_names[stop->b],
			 (unsigned long long)stop->a, (unsigned long long)sim->now_ns);
		break;
	case SIM_STOP_LOG_INPUT:
		text_add(text, "%s is given something else than in the log", caller_names[stop->a]);
		break;
	case SIM_STOP_LOG_CALL:
		text_add(text, "the log has a %s, which no host thread makes", caller_names[stop->a]);
		break;
	default:
		text_add(text, "a module is another one, or has other content");
		break;
	}
}

tb_err sim_report_stop(const struct tb_sim *sim, char *buffer, size_t size_bytes)
{
	struct text text = {buffer, size_bytes};
	if (sim->stop.cause != SIM_STOP_LIMIT) {
		differs(sim, &text);
		return -EPROTO;
	}
	text_add(&text, "time limit of %llu ns passed after %llu decisions", (unsigned long long)sim->stop.a,
		 (unsigned long long)sim->decisions);
	options_add(sim, &text);
	return -ETIME;
}

static void cpu_describe(const struct sim_cpu *cpu, struct text *text)
{
	const struct tb_instance *host = cpu->instance->host;
	if (cpu->state == SIM_CPU_READY)
		text_add(text, " cpu%u polls,", cpu->id);
	if (cpu->state == SIM_CPU_SPIN)
		text_add(text, " cpu%u %s for a lock at RAM+0x%llx,", cpu->id,
			 cpu->irq_off != 0 ? "masked, spins" : "spins",
			 (unsigned long long)((const char *)cpu->spin_word - host->ram.base));
}

// Who waits actively, then how many are idle: they tell nothing.
static void cpus_describe(const struct sim_instance *instance, struct text *text)
{
	uint32_t idle = 0;
	for (uint32_t i = 0; i < instance->cpu_count; ++i) {
		cpu_describe(&instance->cpus[i], text);
		idle += instance->cpus[i].state == SIM_CPU_IDLE;
	}
	text_add(text, " %u of %u CPUs idle,", idle, instance->cpu_count);
}

static void calls_describe(const struct sim_instance *instance, struct text *text)
{
	uint32_t waiting = 0, asleep = 0, taken = 0;
	for (const struct sim_call *call = instance->calls; call != NULL; call = call->next) {
		waiting += !call->taken;
		asleep += call->taken && call->sleeping;
		taken += call->taken;
	}
	text_add(text, " %u call(s) under way (%u known to sleep), %u not taken", taken, asleep, waiting);
}

void sim_report_stuck(const struct tb_sim *sim, char *buffer, size_t size_bytes)
{
	struct text text = {buffer, size_bytes};
	text_add(&text, "deadlock at %llu ns, decision %llu:", (unsigned long long)sim->now_ns,
		 (unsigned long long)sim->decisions);
	for (const struct sim_instance *instance = sim->instances; instance != NULL; instance = instance->next) {
		cpus_describe(instance, &text);
		calls_describe(instance, &text);
	}
	options_add(sim, &text);
}
