// SPDX-License-Identifier: MIT
//
// Input and output of a running command: formatted in pieces on the stack, '\n' becoming "\r\n" on a raw terminal.
#include "monitor_impl.h"

#include "hal/console.h"
#include "kern/console.h"
#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/string.h"

#define LINE_STACK 512

static void write_terminal(const char *bytes, size_t size)
{
	size_t from = 0;
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != '\n')
			continue;
		console_write(bytes + from, i - from);
		console_write("\r\n", 2);
		from = i + 1;
	}
	console_write(bytes + from, size - from);
}

static void write_console(struct monitor_session *session, const char *bytes, size_t size_bytes)
{
	if (session->terminal)
		write_terminal(bytes, size_bytes);
	else
		console_write(bytes, size_bytes);
}

void monitor_write(struct monitor_session *session, const char *bytes, size_t size_bytes)
{
	struct monitor_stream *output = session->output;

	if (output == NULL)
		write_console(session, bytes, size_bytes);
	else if (session->output_err == 0)
		session->output_err = output->ops->write(output, bytes, size_bytes);
}

typedef void write_fn(struct monitor_session *session, const char *bytes, size_t size_bytes);

// A text that does not fit the stack buffer is formatted again into memory; without memory it is cut.
static void print(struct monitor_session *session, write_fn *write, const char *format, va_list args)
{
	char line[LINE_STACK];
	va_list again;

	va_copy(again, args);
	size_t size = kvsnprintf(line, sizeof line, format, args);
	if (size < sizeof line) {
		write(session, line, size);
	} else {
		char *text = kmalloc(size + 1, 0);
		if (text != NULL)
			kvsnprintf(text, size + 1, format, again);
		write(session, text != NULL ? text : line, text != NULL ? size : sizeof line - 1);
		kfree(text);
	}
	va_end(again);
}

void monitor_printf(struct monitor_session *session, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	print(session, monitor_write, format, args);
	va_end(args);
}

void monitor_error(struct monitor_session *session, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	print(session, write_console, format, args);
	va_end(args);
}

bool monitor_has_input(const struct monitor_session *session)
{
	return session->input != NULL;
}

err_t monitor_read(struct monitor_session *session, void *buffer, size_t size_bytes, size_t *done_bytes)
{
	struct monitor_stream *input = session->input;
	return input != NULL ? input->ops->read(input, buffer, size_bytes, done_bytes) : ERR(EBADF);
}

void monitor_set_open(monitor_open_fn *open)
{
	kernel_self()->monitor_open = open;
}

bool monitor_interrupted(struct monitor_session *session)
{
	return session->output_err != 0 || (session->console && console_interrupted());
}

bool monitor_is_terminal(const struct monitor_session *session)
{
	return session->terminal && session->output == NULL;
}

uint32_t monitor_columns(const struct monitor_session *session)
{
	return monitor_is_terminal(session) ? hal_console_window().columns : 80;
}

uint32_t monitor_rows(const struct monitor_session *session)
{
	return monitor_is_terminal(session) ? hal_console_window().rows : 0;
}

struct monitor_duration monitor_duration(uint64_t duration_ns)
{
	static const struct {
		uint64_t unit_ns;
		const char *name;
	} units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}};
	struct monitor_duration duration;

	for (uint32_t i = 0; i < array_count(units); i++) {
		if (duration_ns < units[i].unit_ns)
			continue;
		ksnprintf(duration.text, sizeof duration.text, "%llu.%02llu%s",
			  (unsigned long long)(duration_ns / units[i].unit_ns),
			  (unsigned long long)(duration_ns % units[i].unit_ns / (units[i].unit_ns / 100)),
			  units[i].name);
		return duration;
	}
	ksnprintf(duration.text, sizeof duration.text, "%lluns", (unsigned long long)duration_ns);
	return duration;
}
