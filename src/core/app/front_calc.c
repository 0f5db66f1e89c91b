// SPDX-License-Identifier: MIT
//
// calc_4k as a whole: one thread with the calculator and the serial line; a lamp that beats once a second while all is well, and
// flickers for a moment after a refusal.
#include "app_impl.h"

#include "hal/hal.h"
#include "hal/panel.h"
#include "kern/component.h"
#include "kern/console.h"
#include "kern/mem.h"

#define BEAT_NS 500000000u
#define FLICKER_NS 60000000u
#define FLICKERS 8u

struct front {
	struct monitor_state state; // must be first
	struct calc calc;
	struct timer beat;
	uint8_t lamp_on;
	uint8_t flickers; // left
};

static struct front *front(void)
{
	return (struct front *)app_state();
}

static void lamp_beat(struct timer *timer)
{
	struct front *self = container_of(timer, struct front, beat);
	self->lamp_on ^= 1;
	hal_panel_lamp(0, self->lamp_on != 0);
	uint64_t pause_ns = self->flickers > 0 ? FLICKER_NS : BEAT_NS;
	self->flickers -= self->flickers > 0;
	timer_arm(timer, clock_now_ns() + pause_ns);
}

static int32_t front_line(struct monitor_session *session, const char *text, size_t size)
{
	struct front *self = front();
	int32_t status = calc_line(&self->calc, session, text, size);
	if (status != 0) {
		self->flickers = FLICKERS;
		timer_arm(&self->beat, clock_now_ns());
	}
	return status;
}

static int32_t history_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	calc_history(&front()->calc, session);
	return 0;
}

const struct monitor_command command_history = {
	.name = "history", .usage = "", .summary = "the last results", .run = history_run};

static const struct monitor_command *const commands[] = {
	&command_help,  &command_history, &command_mem,  &command_ps,     &command_uptime,  &command_spin,
	&command_timer, &command_fault,   &command_exit, &command_reboot, &command_onfault, NULL,
};

static void front_main(void *arg)
{
	static const char hello[] = "calc_4k: a calculator; help tells more\r\n";
	(void)arg;
	console_write(hello, sizeof hello - 1);
	shell_loop();
}

static err_t front_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	struct front *self = boot_alloc(kernel, sizeof *self, 8);

	(void)info;
	if (self == NULL)
		return ERR(ENOMEM);
	self->state.commands = commands;
	self->state.line = front_line;
	self->state.reader = reader_make(kernel);
	mutex_init(&self->state.turn, LOCK_RANK_MONITOR, "shell: turn");
	kernel->monitor = &self->state;
	return self->state.reader != NULL ? 0 : ERR(ENOMEM);
}

static err_t front_start(struct kernel *kernel, const struct hal_boot_info *info)
{
	const struct thread_params params = {.name = "calc", .klass = CLASS_FAIR, .flags = THREAD_FLAG_DETACHED};

	(void)info;
	timer_setup(&front()->beat, lamp_beat);
	timer_arm(&front()->beat, clock_now_ns() + BEAT_NS);
	return (kernel->flags & HAL_BOOT_MONITOR) != 0 ? thread_start(&params, front_main, NULL, NULL) : 0;
}

const struct component component_calc = {.name = "calc", .stage = STAGE_MEMORY, .init = front_init};
const struct component component_shell = {.name = "shell", .stage = STAGE_FRONT, .init = front_start};
