// SPDX-License-Identifier: MIT
//
// The command table and look-up in it.
#include "commands.h"

#include "kern/string.h"

const struct monitor_command *const monitor_commands[] = {
#define X(name) &monitor_cmd_##name,
	MONITOR_COMMANDS(X)
#undef X
};

const uint32_t monitor_command_count = array_count(monitor_commands);

const struct monitor_command *monitor_find(const char *name)
{
	for (uint32_t i = 0; i < monitor_command_count; i++)
		if (str_equal(monitor_commands[i]->name, name))
			return monitor_commands[i];
	return NULL;
}
