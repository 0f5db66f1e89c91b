// SPDX-License-Identifier: MIT
//
// Output of commands: formatted in a small buffer on the stack, "\r\n" on terminals. What does not fit is cut.
#include "app_impl.h"

#include "hal/console.h"
#include "kern/console.h"
#include "kern/fmt.h"
#include "kern/math.h"

#define LINE_STACK (FRAME_SIZE_IS_SMALL ? 48u : 120u)

void monitor_write(struct monitor_session *session, const char *bytes, size_t size_bytes)
{
	size_t from = 0;
	for (size_t i = 0; session->terminal && i < size_bytes; i++) {
		if (bytes[i] != '\n')
			continue;
		console_write(bytes + from, i - from);
		console_write("\r\n", 2);
		from = i + 1;
	}
	console_write(bytes + from, size_bytes - from);
}

void monitor_printf(struct monitor_session *session, const char *format, ...)
{
	char line[LINE_STACK];
	va_list args;

	va_start(args, format);
	size_t size = kvsnprintf(line, sizeof line, format, args);
	va_end(args);
	monitor_write(session, line, MIN(size, sizeof line - 1));
}

bool monitor_interrupted(struct monitor_session *session)
{
	return session->console && console_interrupted();
}

bool monitor_is_terminal(const struct monitor_session *session)
{
	return session->terminal;
}

uint32_t monitor_columns(const struct monitor_session *session)
{
	return session->terminal ? hal_console_window().columns : 80;
}
