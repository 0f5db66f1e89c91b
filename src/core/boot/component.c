// SPDX-License-Identifier: MIT
//
// Look-up of personas in the generated table, and the checks of everything that is up.
#include "boot_impl.h"

#include "kern/log.h"
#include "kern/string.h"
#include "kern/trace.h"
#include "tbos/tbos.h"

const struct persona *persona_find(const char *name)
{
	for (uint32_t i = 0; i < persona_count; i++)
		if (strcmp(personas[i]->name, name) == 0)
			return personas[i];
	return NULL;
}

err_t components_check(void)
{
	const struct persona *persona = kernel_self()->persona;
	for (uint32_t i = 0; i < kernel_self()->boot->started; i++) {
		const struct component *component = persona->components[i];
		err_t err = component->check != NULL ? component->check() : 0;
		if (err != 0) {
			log_err("check: component %s: %pe", component->name, ERR_PTR(err));
			return err;
		}
	}
	return 0;
}

bool tb_persona_get(uint32_t index, struct tb_persona *persona)
{
	if (index >= persona_count)
		return false;
	const struct persona *from = personas[index];
	*persona = (struct tb_persona){
		.name = from->name,
		.summary = from->summary,
		.mem_bytes = from->memory_bytes,
		.cpu_count = from->cpu_count,
		.node_count = from->node_count,
		.frame_size_bytes = from->frame_size_bytes,
	};
	return true;
}

const char *tb_trace_name(uint32_t event)
{
	return trace_event_name(event);
}
