// SPDX-License-Identifier: MIT
//
// Threads of a planted program, and the entries that the host calls.
#include "planted.h"
#include "planted_entry.h"

static const struct planted_program *const tables[] = {planted_wake, planted_data, planted_life, planted_order};

static void crew_start(struct crew *crew, const struct thread_params *params, void (*fn)(void *), void *arg)
{
	VERIFY(crew->count < PLANTED_CREW_MAX);
	if (thread_start(params, fn, arg, &crew->threads[crew->count]) == 0)
		crew->count++;
	else
		crew->failed = true;
}

void crew_add(struct crew *crew, void (*fn)(void *), void *arg)
{
	struct cpu_mask mask = {0};
	struct thread_params params = {.name = "planted", .klass = CLASS_FAIR, .affinity = &mask};
	cpu_mask_set(&mask, crew->count % kernel_self()->cpu_count);
	crew_start(crew, &params, fn, arg);
}

void crew_add_prio(struct crew *crew, void (*fn)(void *), void *arg, int32_t rt_prio, uint32_t cpu)
{
	struct cpu_mask mask = {0};
	struct thread_params params = {.name = "planted", .klass = CLASS_FIFO, .rt_prio = rt_prio, .affinity = &mask};
	cpu_mask_set(&mask, cpu);
	crew_start(crew, &params, fn, arg);
}

void crew_end(struct crew *crew)
{
	for (uint32_t i = 0; i < crew->count; i++) {
		err_t err = thread_join(crew->threads[i], NULL);
		VERIFY(err == 0);
	}
	crew->count = 0;
}

static const struct planted_program *program_at(uint32_t index)
{
	for (uint32_t i = 0; i < array_count(tables); i++)
		for (const struct planted_program *program = tables[i]; program->name != NULL; program++)
			if (index-- == 0)
				return program;
	return NULL;
}

bool tb_planted_describe(uint32_t index, struct tb_planted_info *info)
{
	const struct planted_program *program = program_at(index);
	if (program == NULL)
		return false;
	*info = (struct tb_planted_info){program->name, program->mistake, program->depth};
	return true;
}

int64_t tb_planted_run(void *arg)
{
	const struct tb_planted_call *call = arg;
	return program_at(call->index)->run(call->bug);
}
