// SPDX-License-Identifier: MIT
//
// mobile_64k as a whole: three applications as threads, the serial line's thread that sends them commands, the panel's that
// sends them keys.
#include "mobile.h"

#include "hal/hal.h"
#include "kern/component.h"
#include "kern/console.h"
#include "kern/string.h"

static int32_t ask_line(struct app *app, struct monitor_session *session, uint32_t argc, char **argv)
{
	struct request request = {.kind = REQUEST_LINE, .session = session, .argc = argc, .argv = argv};
	return app_ask(app, &request);
}

// What is no command is an expression.
static int32_t front_line(struct monitor_session *session, const char *text, size_t size)
{
	char copy[APP_LINE_SIZE];
	char *argv[] = {copy};

	size = MIN(size, sizeof copy - 1);
	memcpy(copy, text, size);
	copy[size] = '\0';
	return ask_line(&mobile()->calculator.app, session, 1, argv);
}

static int32_t history_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	return argc == 1 ? ask_line(&mobile()->calculator.app, session, 0, argv) : 2;
}

static int32_t note_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	return ask_line(&mobile()->notes.app, session, argc, argv);
}

static int32_t clock_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	return ask_line(&mobile()->clock.app, session, argc, argv);
}

const struct monitor_command command_history = {
	.name = "history", .usage = "", .summary = "the last results", .run = history_run};
static const struct monitor_command command_note = {
	.name = "note", .usage = "[list | add TEXT | delete N]", .summary = "notes", .run = note_run};
static const struct monitor_command command_clock = {.name = "clock",
						     .usage = "[set HH:MM[:SS] | alarm SECONDS]",
						     .summary = "the time of day, and an alarm",
						     .run = clock_run};

static const struct monitor_command *const commands[] = {
	&command_help,  &command_history, &command_note,   &command_clock,   &command_mem,
	&command_ps,    &command_uptime,  &command_replay, &command_spin,    &command_timer,
	&command_fault, &command_exit,    &command_reboot, &command_onfault, NULL,
};

static void shell_main(void *arg)
{
	static const char hello[] = "mobile_64k: calculator, notes, clock; help tells more\r\n";
	(void)arg;
	console_write(hello, sizeof hello - 1);
	shell_loop();
}

static err_t front_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	struct mobile *self = boot_alloc(kernel, sizeof *self, 8);

	(void)info;
	if (self == NULL)
		return ERR(ENOMEM);
	self->state.commands = commands;
	self->state.line = front_line;
	self->state.reader = reader_make(kernel);
	mutex_init(&self->state.turn, LOCK_RANK_MONITOR, "shell: turn");
	mutex_init(&self->screen, LOCK_RANK_SCREEN, "panel: screen");
	kernel->monitor = &self->state;
	return self->state.reader != NULL ? 0 : ERR(ENOMEM);
}

static err_t front_start(struct kernel *kernel, const struct hal_boot_info *info)
{
	const struct thread_params params = {.name = "shell", .klass = CLASS_FAIR, .flags = THREAD_FLAG_DETACHED};
	struct mobile *self = mobile();

	(void)info;
	notes_setup(&self->notes);
	calculator_setup(&self->calculator);
	clock_setup(&self->clock);
	err_t err = app_start(&self->notes.app);
	if (err == 0)
		err = app_start(&self->calculator.app);
	if (err == 0)
		err = app_start(&self->clock.app);
	if (err == 0)
		err = panel_start();
	if (err == 0 && (kernel->flags & HAL_BOOT_MONITOR) != 0)
		err = thread_start(&params, shell_main, NULL, NULL);
	return err;
}

const struct component component_mobile = {.name = "mobile", .stage = STAGE_MEMORY, .init = front_init};
const struct component component_shell = {.name = "shell", .stage = STAGE_FRONT, .init = front_start};
