// SPDX-License-Identifier: MIT
//
// Commands about the instance as a whole: help, check, echo, sleep, uptime, poweroff.
#include "commands.h"

#include "hal/clock.h"
#include "kern/component.h"
#include "kern/sched.h"
#include "kern/string.h"

static int32_t run_help(struct monitor_session *session, uint32_t argc, char **argv)
{
	if (argc > 2)
		return monitor_usage(session, argv[0]);
	if (argc == 2) {
		const struct monitor_command *command = monitor_find(argv[1]);
		if (command == NULL) {
			monitor_error(session, "help: %s: no such command\n", argv[1]);
			return 1;
		}
		monitor_printf(session, "%s %s\n    %s\n", command->name, command->usage, command->summary);
		return 0;
	}
	const struct monitor_command *command;
	for (uint32_t i = 0; (command = monitor_command_at(i)) != NULL; i++)
		monitor_printf(session, "%-10s %s\n", command->name, command->summary);
	return 0;
}

static const char *complete_help(uint32_t index, const char *prefix, uint32_t n)
{
	const struct monitor_command *command;
	for (uint32_t i = 0; index == 1 && (command = monitor_command_at(i)) != NULL; i++)
		if (str_has_prefix(command->name, prefix) && n-- == 0)
			return command->name;
	return NULL;
}

const struct monitor_command monitor_cmd_help = {"help", "[COMMAND]", "list the commands, or tell about one", run_help,
						 complete_help};

static int32_t run_check(struct monitor_session *session, uint32_t argc, char **argv)
{
	if (argc != 1)
		return monitor_usage(session, argv[0]);
	err_t err = components_check();
	if (err != 0)
		monitor_error(session, "check: %s; see dmesg\n", err_text(err));
	else
		monitor_printf(session, "check: all invariants hold\n");
	return err != 0;
}

const struct monitor_command monitor_cmd_check = {"check", "", "verify the invariants of every component", run_check,
						  NULL};

static int32_t run_echo(struct monitor_session *session, uint32_t argc, char **argv)
{
	for (uint32_t i = 1; i < argc; i++)
		monitor_printf(session, "%s%s", i > 1 ? " " : "", argv[i]);
	monitor_printf(session, "\n");
	return 0;
}

const struct monitor_command monitor_cmd_echo = {"echo", "[WORD...]", "print its words", run_echo, NULL};

// Sleeps in pieces, so that Ctrl-C is heard.
static int32_t run_sleep(struct monitor_session *session, uint32_t argc, char **argv)
{
	uint64_t milliseconds = 0;
	if (argc != 2 || str_to_u64(argv[1], 10, &milliseconds) != 0 || milliseconds > 86400000)
		return monitor_usage(session, argv[0]);
	uint64_t deadline_ns = clock_now_ns() + milliseconds * 1000000;
	while (clock_now_ns() < deadline_ns) {
		uint64_t next_ns = clock_now_ns() + 100000000;
		if (monitor_interrupted(session) || shutdown_requested())
			return STATUS_INTERRUPTED;
		sleep_until_ns(next_ns < deadline_ns ? next_ns : deadline_ns);
	}
	return 0;
}

const struct monitor_command monitor_cmd_sleep = {"sleep", "MILLISECONDS", "wait", run_sleep, NULL};

static int32_t run_uptime(struct monitor_session *session, uint32_t argc, char **argv)
{
	if (argc != 1)
		return monitor_usage(session, argv[0]);
	uint64_t wall_s = hal_clock_wall_ns() / 1000000000;
	monitor_printf(session, "up %s, wall clock %llu s since 1970\n", monitor_duration(clock_now_ns()).text,
		       (unsigned long long)wall_s);
	return 0;
}

const struct monitor_command monitor_cmd_uptime = {"uptime", "", "time since boot", run_uptime, NULL};

static int32_t run_poweroff(struct monitor_session *session, uint32_t argc, char **argv)
{
	uint32_t status = 0;
	if (argc > 2 || (argc == 2 && (str_to_u32(argv[1], 10, &status) != 0 || status > 255)))
		return monitor_usage(session, argv[0]);
	shutdown_request((int32_t)status);
	return (int32_t)status;
}

const struct monitor_command monitor_cmd_poweroff = {
	"poweroff", "[STATUS]", "shut down in order; the exit status is STATUS (0)", run_poweroff, NULL};
