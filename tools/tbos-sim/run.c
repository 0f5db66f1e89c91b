// SPDX-License-Identifier: MIT
//
// One run of one instance, from configuration to figures. The terminal is taken only for an interactive run, and given
// back on every way out (terminal.h).
#include "sim_impl.h"

#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct run_console {
	uint64_t bytes;
	bool silent;
};

static uint64_t now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void run_write(void *ctx, const char *bytes, size_t size_bytes)
{
	struct run_console *console = ctx;
	console->bytes += size_bytes;
	while (!console->silent && size_bytes > 0) {
		ssize_t n = write(STDOUT_FILENO, bytes, size_bytes);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return;
		bytes += n;
		size_bytes -= (size_t)n;
	}
}

// What the monitor reads. A terminal is taken before there is an instance, so that our crash handlers are those that the
// library's chain to; one that refuses is read as a file is.
static int run_input(uint32_t *flags)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !terminal_raw(STDIN_FILENO))
		return STDIN_FILENO;
	int fd = terminal_pump(STDIN_FILENO);
	if (fd < 0) {
		terminal_restore();
		return STDIN_FILENO;
	}
	*flags |= TB_CONFIG_INTERACTIVE;
	return fd;
}

static void run_config(struct tb_config *config, const struct sim_options *options, uint32_t poison,
		       struct run_console *console, struct trace_file *trace)
{
	bool monitor = options->commands == NULL;
	tb_config_init(config);
	config->engine = options->engine;
	config->cpu_count = options->cpus;
	config->slot = options->slot;
	config->mem_bytes = options->mem_bytes;
	config->persona = options->persona;
	config->seed = options->seed;
	config->policy = options->policy;
	config->record_path = options->record_path;
	config->replay_path = options->replay_path;
	config->initramfs_path = options->initramfs_path;
	config->disks = options->disks;
	config->disk_count = options->disk_count;
	config->poison = poison;
	config->time_limit_ns = options->time_limit_ns;
	config->write_fn = run_write;
	config->write_ctx = console;
	config->input_fd = monitor ? run_input(&config->flags) : -1;
	config->flags |= (monitor ? TB_CONFIG_MONITOR : 0) | (options->quiet || !monitor ? TB_CONFIG_QUIET : 0);
	config->flags |= options->stepped ? TB_CONFIG_STEPPED : 0;
	if (trace != NULL) {
		config->flags |= TB_CONFIG_TRACE;
		config->trace_fn = trace_file_event;
		config->trace_ctx = trace;
	}
}

static void run_body(tb_instance *instance, const struct sim_options *options, struct sim_result *result)
{
	uint64_t start = now_ns();
	result->err = tb_boot(instance);
	uint64_t booted = now_ns();
	result->boot_ns = booted - start;
	if (result->err == 0 && options->commands != NULL)
		result->err = tb_command(instance, options->commands, &result->status);
	else if (result->err == 0)
		result->err = tb_wait(instance, &result->status);
	result->run_ns = now_ns() - booted;
	result->panicked = result->err == -EIO;
	if (result->err != 0)
		snprintf(result->error, sizeof result->error, "%s", tb_error(instance));
}

// The shutdown is part of the run, and of the hash. "poweroff" ends the instance in the middle of a command: that is an end,
// whose status is the instance's, and not an error.
static void run_settle(tb_instance *instance, const struct sim_options *options, struct sim_result *result)
{
	int32_t status = 0;
	tb_err err = tb_shutdown(instance, &status);

	if (result->err == -ESHUTDOWN) {
		result->err = 0;
		result->error[0] = '\0';
		result->status = status;
	}
	if (err != 0 && result->err == 0) {
		result->err = err;
		result->panicked = err == -EIO;
		snprintf(result->error, sizeof result->error, "shutdown: %s", tb_error(instance));
	}
	result->have_stats = options->engine == TB_ENGINE_SIM && tb_sim_stats(instance, &result->stats) == 0;
}

static void run_instance(tb_instance *instance, const struct sim_options *options, struct sim_result *result)
{
	run_body(instance, options, result);
	uint64_t start = now_ns();
	run_settle(instance, options, result);
	tb_err err = tb_destroy(instance);
	if (err != 0 && result->err == 0) {
		result->err = err;
		snprintf(result->error, sizeof result->error, "%s", tb_error(NULL));
	}
	result->end_ns = now_ns() - start;
}

static void run_trace_failed(const struct sim_options *options, struct sim_result *result)
{
	result->err = -errno;
	snprintf(result->error, sizeof result->error, "--trace %s: %s", options->trace_path, strerror(errno));
}

void run_once(const struct sim_options *options, uint32_t poison, bool silent, struct sim_result *result)
{
	struct run_console console = {.silent = silent};
	struct tb_config config;
	struct trace_file *trace = NULL;
	tb_instance *instance;

	memset(result, 0, sizeof *result);
	if (options->trace_path != NULL && (trace = trace_file_open(options->trace_path)) == NULL) {
		run_trace_failed(options, result);
		return;
	}
	run_config(&config, options, poison, &console, trace);
	result->err = tb_create(&config, &instance);
	if (result->err != 0) {
		snprintf(result->error, sizeof result->error, "%s", tb_error(NULL));
	} else {
		run_instance(instance, options, result);
	}
	terminal_restore();
	result->console_bytes = console.bytes;
	if (trace != NULL && !trace_file_close(trace) && result->err == 0)
		run_trace_failed(options, result);
}

int run_exit_status(const struct sim_result *result)
{
	switch (result->err) {
	case 0:
		return result->status & 0xff;
	case -ETIME:
		return EXIT_TIME;
	default:
		return result->panicked ? EXIT_PANIC : EXIT_ERROR;
	}
}
