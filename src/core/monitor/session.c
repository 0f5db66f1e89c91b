// SPDX-License-Identifier: MIT
//
// Input and output of a running command: formatted in pieces on the stack.
#include "monitor_impl.h"

#include "hal/console.h"
#include "kern/console.h"
#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/string.h"
#include "kern/tty.h"
#include "kern/assert.h"

#define LINE_STACK 512

// All of it, unless the terminal is gone or its user has had enough.
void monitor_tty_write(struct tty *tty, const char *bytes, size_t size_bytes)
{
	size_t done = 0;

	while (size_bytes > 0) {
		err_t err = tty_write(tty, bytes, size_bytes, true, &done);
		if (done == 0 && (err != 0 || atomic_load_u32_acquire(&tty->ended) != 0))
			break;
		bytes += done;
		size_bytes -= done;
	}
}

static void write_console(struct monitor_session *session, const char *bytes, size_t size_bytes)
{
	if (session->tty != NULL)
		monitor_tty_write(session->tty, bytes, size_bytes);
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
	return session->input != NULL || session->tty != NULL;
}

err_t monitor_read(struct monitor_session *session, void *buffer, size_t size_bytes, size_t *done_bytes)
{
	struct monitor_stream *input = session->input;

	if (input != NULL)
		return input->ops->read(input, buffer, size_bytes, done_bytes);
	if (session->tty == NULL)
		return ERR(EBADF);
	err_t err;
	do {
		err = tty_read(session->tty, buffer, size_bytes, true, done_bytes);
	} while (err == -EINTR && !monitor_interrupted(session));
	return err == -EINTR ? 0 : err; // who asks sees why
}

void monitor_modes_raw(struct tty *tty, struct tb_termios *before)
{
	err_t err = tty_ioctl(tty, TB_TCGETS, before);
	struct tb_termios raw = *before;

	raw.iflag = raw.oflag = raw.lflag = 0;
	raw.cc[TB_VMIN] = 1;
	raw.cc[TB_VTIME] = 0;
	if (err == 0)
		err = tty_ioctl(tty, TB_TCSETS, &raw);
	VERIFY(err == 0);
}

void monitor_modes_set(struct tty *tty, struct tb_termios *modes)
{
	err_t err = tty_ioctl(tty, TB_TCSETS, modes);
	VERIFY(err == 0);
}

bool monitor_read_key(struct monitor_session *session, uint8_t *key)
{
	struct tb_termios modes;
	size_t done = 0;

	if (session->tty == NULL)
		return false;
	monitor_modes_raw(session->tty, &modes);
	err_t err;
	do {
		err = tty_read(session->tty, key, 1, true, &done);
	} while (err == -EINTR && !monitor_interrupted(session));
	monitor_modes_set(session->tty, &modes);
	return err == 0 && done == 1;
}

void monitor_set_open(monitor_open_fn *open)
{
	kernel_self()->monitor_open = open;
}

bool monitor_interrupted(struct monitor_session *session)
{
	bool pressed = session->interrupted != NULL && atomic_load_u32_acquire(session->interrupted) != 0;
	return session->output_err != 0 || pressed || (session->console && console_interrupted());
}

bool monitor_is_terminal(const struct monitor_session *session)
{
	return session->tty != NULL && session->output == NULL;
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
