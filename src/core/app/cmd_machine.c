// SPDX-License-Identifier: MIT
//
// Commands about the machine: help, mem, ps, uptime, exit, reboot, onfault.
#include "app_impl.h"

#include "hal/halt.h"
#include "kern/component.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/string.h"

#define NS_PER_S 1000000000u

static int32_t help_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	const struct monitor_command *const *commands = app_state()->commands;
	(void)argc;
	(void)argv;
	for (; *commands != NULL; commands++)
		monitor_printf(session, "%-8s %s\n", (*commands)->name, (*commands)->summary);
	monitor_printf(session, "else     an expression: + - * / ( ) ans #n\n");
	return 0;
}

static int32_t mem_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct frame_info info;
	(void)argc;
	(void)argv;
	frame_get_info(&info);
	monitor_printf(session, "%u of %u bytes free", info.free * FRAME_SIZE, (uint32_t)kernel_self()->ram_size_bytes);
	monitor_printf(session, ", least %u, refused %u\n", (info.total - info.peak_used) * FRAME_SIZE, info.failures);
	return components_check() == 0 ? 0 : 1;
}

static void ps_take(const struct thread_info *info, void *arg)
{
	struct ps *ps = arg;
	if (ps->count == PS_MAX)
		return;
	struct ps_row *row = &ps->rows[ps->count++];
	memcpy(row->name, info->name, sizeof row->name);
	row->run_us = (uint32_t)(info->stats.run_ns / 1000);
	row->stack = (uint16_t)info->stack_used_bytes;
	row->id = (uint8_t)info->id;
	row->state = (uint8_t)info->state;
	row->prio = (uint8_t)info->prio;
}

static int32_t ps_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	static const char *const states[] = {"new", "ready", "running", "parked", "dead", "reaped"};
	struct ps *ps = &app_state()->ps;

	(void)argc;
	(void)argv;
	ps->count = 0;
	thread_each(ps_take, ps);
	for (uint32_t i = 0; i < ps->count; i++) {
		const struct ps_row *row = &ps->rows[i];
		monitor_printf(session, "%2u %-8s %-7s %3u ", row->id, row->name, states[row->state], row->prio);
		monitor_printf(session, "%6u us, stack %u\n", row->run_us, row->stack);
	}
	return 0;
}

static int32_t uptime_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	uint64_t now_ns = clock_now_ns();
	(void)argc;
	(void)argv;
	monitor_printf(session, "up %u.%03u s\n", (uint32_t)(now_ns / NS_PER_S),
		       (uint32_t)(now_ns % NS_PER_S / 1000000));
	return 0;
}

static int32_t exit_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	uint32_t status = session->status;
	if (argc > 2 || (argc == 2 && (str_to_u32(argv[1], 10, &status) != 0 || status > 255)))
		return 2;
	shutdown_request((int32_t)status);
	return 0;
}

static int32_t reboot_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	(void)session;
	(void)argv;
	if (argc != 1)
		return 2;
	hal_reboot();
}

static int32_t onfault_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	(void)session;
	if (argc != 2 || (!str_equal(argv[1], "halt") && !str_equal(argv[1], "reboot")))
		return 2;
	hal_reboot_on_panic(str_equal(argv[1], "reboot"));
	return 0;
}

#define COMMAND(name_, usage_, summary_)                                                                               \
	const struct monitor_command command_##name_ = {                                                               \
		.name = #name_, .usage = (usage_), .summary = (summary_), .run = name_##_run}

COMMAND(help, "", "this list");
COMMAND(mem, "", "memory, after a check of it");
COMMAND(ps, "", "threads");
COMMAND(uptime, "", "time since boot");
COMMAND(exit, "[0-255]", "end, with a status, else the last line's");
COMMAND(reboot, "", "begin again");
COMMAND(onfault, "halt|reboot", "what a fault ends in");
