// SPDX-License-Identifier: MIT
//
// The command table and look-up in it.
#include "commands.h"

#include "kern/component.h"
#include "kern/string.h"

static const struct monitor_command *const core_commands[] = {
#define X(name) &monitor_cmd_##name,
	MONITOR_COMMANDS(X)
#undef X
		NULL,
};

// Calls see() for every command, list by list, until it says true.
static bool commands_each(bool (*see)(const struct monitor_command *command, void *arg), void *arg)
{
	const struct persona *persona = kernel_self()->persona;
	for (uint32_t i = 0; i <= persona->component_count; i++) {
		const struct monitor_command *const *list =
			i == 0 ? core_commands : persona->components[i - 1]->commands;
		for (; list != NULL && *list != NULL; list++)
			if (see(*list, arg))
				return true;
	}
	return false;
}

struct search {
	const char *name;
	const struct monitor_command *found;
};

static bool see_name(const struct monitor_command *command, void *arg)
{
	struct search *search = arg;
	if (!str_equal(command->name, search->name))
		return false;
	search->found = command;
	return true;
}

const struct monitor_command *monitor_find(const char *name)
{
	struct search search = {.name = name};
	(void)commands_each(see_name, &search);
	return search.found;
}

// The least name behind search->name.
static bool see_next(const struct monitor_command *command, void *arg)
{
	struct search *search = arg;
	if (strcmp(command->name, search->name) > 0 &&
	    (search->found == NULL || strcmp(command->name, search->found->name) < 0))
		search->found = command;
	return false;
}

const struct monitor_command *monitor_command_at(uint32_t n)
{
	struct search search = {.name = ""};
	for (uint32_t i = 0; i <= n; i++) {
		search.found = NULL;
		(void)commands_each(see_next, &search);
		if (search.found == NULL)
			return NULL;
		search.name = search.found->name;
	}
	return search.found;
}
