// SPDX-License-Identifier: MIT
//
// Console output: to the configured callback, or to standard output. What cannot be written is dropped and counted; a
// descriptor that is full for a second counts as broken for that write. CPUs write one after the other; one that panics waits for another that
// does not come to an end no longer than that.
#include "host_console.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FULL_TIMEOUT_MS 1000
#define COLUMNS_DEFAULT 80u
#define ROWS_DEFAULT 24u

static bool output_wait(void)
{
	struct pollfd poll_fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
	return poll(&poll_fd, 1, FULL_TIMEOUT_MS) == 1;
}

// Returns how much could not be written.
static size_t output_write(const char *bytes, size_t size_bytes)
{
	while (size_bytes > 0) {
		ssize_t done = write(STDOUT_FILENO, bytes, size_bytes);
		if (done >= 0) {
			bytes += done;
			size_bytes -= (size_t)done;
		} else if (errno == EAGAIN) {
			if (!output_wait())
				break;
		} else if (errno != EINTR) {
			break;
		}
	}
	return size_bytes;
}

static bool writing_lock(struct tb_instance *instance)
{
	struct timespec limit;

	if (pthread_mutex_trylock(&instance->console.writing) == 0)
		return true;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 2 * FULL_TIMEOUT_MS / 1000;
	return pthread_mutex_timedlock(&instance->console.writing, &limit) == 0;
}

void host_console_emit(struct tb_instance *instance, const char *bytes, size_t size_bytes)
{
	const struct tb_config *config = &instance->config;
	bool locked = writing_lock(instance);
	size_t lost = 0;

	if (instance->engine->console_wrote != NULL)
		instance->engine->console_wrote(instance, bytes, size_bytes);
	if (config->write_fn != NULL)
		config->write_fn(config->write_ctx, bytes, size_bytes);
	else
		lost = output_write(bytes, size_bytes);
	if (locked)
		pthread_mutex_unlock(&instance->console.writing);
	if (lost > 0)
		__atomic_fetch_add(&instance->console.dropped_bytes, lost, __ATOMIC_RELAXED);
}

size_t host_console_take(struct tb_instance *instance, char *bytes, size_t size_bytes, bool *end)
{
	*end = true;
	if (instance->console.input == NULL)
		return 0;
	return host_input_take(instance->console.input, bytes, size_bytes, end);
}

struct hal_window host_console_window(struct tb_instance *instance)
{
	struct winsize size;
	bool terminal = instance->config.write_fn == NULL || (instance->config.flags & TB_CONFIG_INTERACTIVE) != 0;
	struct hal_window window = {.columns = COLUMNS_DEFAULT, .rows = ROWS_DEFAULT};
	if (!terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return window;
	window.columns = size.ws_col;
	if (size.ws_row != 0)
		window.rows = size.ws_row;
	return window;
}
