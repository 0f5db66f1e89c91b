// SPDX-License-Identifier: MIT
//
// Console input of simulated instances. A host thread in tb_wait() says "run until it halts", so only then is input asked for.
//   file, pipe   by lines, when all CPUs are idle and the kernel has taken everything before: the same in every run, however fast
//                the other side writes. The read blocks: the world stands still meanwhile.
//   terminal     (TB_CONFIG_INTERACTIVE) when it comes: looked at every POLL_NS of virtual time, and while all CPUs are idle the
//                clock keeps to the host's, so that a prompt feels like one. Such a run repeats only from its log.
#include "sim_engine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POLL_NS 1000000u
#define WAIT_SLICE_NS 20000000u // how long to wait for a terminal before looking for other host threads

tb_err sim_console_create(struct sim_instance *instance)
{
	const struct tb_config *config = &instance->host->config;
	if (config->input_fd < 0)
		return 0;
	instance->console = calloc(1, sizeof(*instance->console));
	if (instance->console == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	instance->console->fd = config->input_fd;
	instance->console->interactive = (config->flags & TB_CONFIG_INTERACTIVE) != 0;
	return 0;
}

void sim_console_destroy(struct sim_instance *instance)
{
	free(instance->console);
}

// ---- the kernel's side ------------------------------------------------------------------------------------------------

size_t sim_console_read(struct tb_instance *host, char *bytes, size_t size_bytes, bool *end)
{
	struct sim_console *console = sim_instance(host)->console;
	*end = true;
	if (console == NULL)
		return 0;
	size_t left = console->size_bytes - console->taken_bytes;
	size_t part = left < size_bytes ? left : size_bytes;
	memcpy(bytes, console->bytes + console->taken_bytes, part);
	console->taken_bytes += part;
	*end = console->end && part == 0;
	return part;
}

void sim_console_wait(struct tb_instance *host, bool waits)
{
	struct sim_console *console = sim_instance(host)->console;
	if (console != NULL)
		console->wanted = waits;
}

// Room for what comes next; the kernel has taken the rest or will find it in front.
void sim_console_add(struct sim_instance *instance, const void *bytes, size_t size_bytes, bool end)
{
	struct sim_console *console = instance->console;
	if (console == NULL)
		return;
	memmove(console->bytes, console->bytes + console->taken_bytes, console->size_bytes - console->taken_bytes);
	console->size_bytes -= console->taken_bytes;
	console->taken_bytes = 0;
	size_t room = sizeof(console->bytes) - console->size_bytes;
	size_t part = size_bytes < room ? size_bytes : room;
	memcpy(console->bytes + console->size_bytes, bytes, part);
	console->size_bytes += part;
	console->end = end;
}

// ---- the host's side --------------------------------------------------------------------------------------------------

static size_t room(const struct sim_console *console)
{
	return sizeof(console->bytes) - (console->size_bytes - console->taken_bytes);
}

static bool may_read(const struct sim_console *console)
{
	return console != NULL && console->waiters > 0 && !console->end;
}

// Up to a line from a file or pipe; blocks. False: nothing more will come, and that is said.
static size_t line_read(struct sim_console *console, bool *end)
{
	size_t size = 0;
	*end = false;
	while (size < sizeof(console->line)) {
		ssize_t got = read(console->fd, console->line + size, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			*end = true;
			break;
		}
		if (console->line[size++] == '\n')
			break;
	}
	return size;
}

static bool file_input(struct sim_instance *instance)
{
	struct sim_console *console = instance->console;
	bool end;
	if (!console->wanted || console->taken_bytes < console->size_bytes)
		return false;
	size_t size = line_read(console, &end);
	sim_input_enter(instance, console->line, size, end);
	return true;
}

static bool terminal_input(struct sim_instance *instance)
{
	struct sim_console *console = instance->console;
	struct pollfd poll_fd = {.fd = console->fd, .events = POLLIN};
	if (room(console) < sizeof(console->line) || poll(&poll_fd, 1, 0) != 1)
		return false;
	ssize_t got = read(console->fd, console->line, sizeof(console->line));
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	sim_input_enter(instance, console->line, got > 0 ? (size_t)got : 0, got <= 0);
	return true;
}

static bool terminals_look(struct tb_sim *sim)
{
	bool entered = false;
	for (struct sim_instance *instance = sim->instances; instance != NULL; instance = instance->next)
		if (may_read(instance->console) && instance->console->interactive)
			entered = terminal_input(instance) || entered;
	return entered;
}

static bool files_look(struct tb_sim *sim)
{
	bool entered = false;
	for (struct sim_instance *instance = sim->instances; instance != NULL; instance = instance->next)
		if (may_read(instance->console) && !instance->console->interactive)
			entered = file_input(instance) || entered;
	return entered;
}

// One of the terminals that may still say something, NULL.
static struct sim_console *terminal_any(const struct tb_sim *sim)
{
	for (struct sim_instance *instance = sim->instances; instance != NULL; instance = instance->next)
		if (may_read(instance->console) && instance->console->interactive)
			return instance->console;
	return NULL;
}

void sim_console_poll_arm(struct tb_sim *sim)
{
	bool wanted = sim->replay == NULL && terminal_any(sim) != NULL;
	sim->poll_due_ns = wanted ? sim->now_ns + POLL_NS : TB_FOREVER;
	sim->next_due_ns = 0;
}

void sim_console_poll(struct tb_sim *sim)
{
	terminals_look(sim);
	sim_console_poll_arm(sim);
}

// Waits for the terminal as long as the host's clock has not come to the next event; what passed, passes in the world too.
static void terminal_wait(struct tb_sim *sim, const struct sim_console *console, uint64_t next_ns)
{
	uint64_t slice_ns = next_ns - sim->now_ns < WAIT_SLICE_NS ? next_ns - sim->now_ns : WAIT_SLICE_NS;
	struct timespec timeout = {.tv_nsec = (long)slice_ns};
	struct pollfd poll_fd = {.fd = console->fd, .events = POLLIN};
	uint64_t before_ns = host_clock_mono_ns();
	ppoll(&poll_fd, 1, &timeout, NULL);
	uint64_t passed_ns = host_clock_mono_ns() - before_ns;
	sim_due_jump(sim, passed_ns < next_ns - sim->now_ns ? sim->now_ns + passed_ns : next_ns);
}

// A pipe may block for long, so whoever has work on its way to it does that first.
void sim_console_idle(struct tb_sim *sim)
{
	uint64_t next_ns = sim_due_next(sim);
	if (sim_due_soon(sim)) {
		sim_due_jump(sim, next_ns);
		return;
	}
	if (files_look(sim) || terminals_look(sim))
		return;
	next_ns = sim_due_next(sim);
	const struct sim_console *console = terminal_any(sim);
	if (console != NULL)
		terminal_wait(sim, console, next_ns);
	else if (next_ns != TB_FOREVER)
		sim_due_jump(sim, next_ns);
	else
		sim_attend(sim, SIM_ATTEND_STUCK);
}
