// SPDX-License-Identifier: MIT
//
// Lines into commands. The words are cut in place; what begins with no command's name goes to the front.
#include "app_impl.h"

#include "hal/hal.h"
#include "kern/component.h"
#include "kern/string.h"

static const struct monitor_command *command_find(const char *text, size_t length)
{
	const struct monitor_command *const *commands = app_state()->commands;
	for (; *commands != NULL; commands++)
		if (strlen((*commands)->name) == length && memcmp((*commands)->name, text, length) == 0)
			return *commands;
	return NULL;
}

static size_t word_length(const char *text, size_t size)
{
	size_t length = 0;
	while (length < size && text[length] != ' ')
		length++;
	return length;
}

// The last word takes the rest of the line, blanks included: it may be a text.
static uint32_t words_cut(char *line, char **words)
{
	uint32_t count = 0;
	while (*line != '\0') {
		while (*line == ' ')
			*line++ = '\0';
		if (*line == '\0')
			break;
		words[count++] = line;
		if (count == APP_WORDS_MAX)
			break;
		while (*line != '\0' && *line != ' ')
			line++;
	}
	return count;
}

static int32_t command_run(struct monitor_session *session, const struct monitor_command *command, char *line)
{
	char *words[APP_WORDS_MAX];
	int32_t status = command->run(session, words_cut(line, words), words);
	if (status == 2)
		monitor_printf(session, "usage: %s %s\n", command->name, command->usage);
	return status;
}

// `line` ends with a zero and is used up.
static int32_t line_run(struct monitor_session *session, char *line)
{
	while (*line == ' ')
		line++;
	size_t size = strlen(line);
	while (size > 0 && line[size - 1] == ' ')
		line[--size] = '\0';
	if (size == 0)
		return 0;
	const struct monitor_command *command = command_find(line, word_length(line, size));
	if (command != NULL)
		return command_run(session, command, line);
	return app_state()->line(session, line, size);
}

int32_t monitor_run_line(const char *line, size_t size_bytes)
{
	struct monitor_session session = {0};
	struct monitor_state *state = app_state();
	int32_t status = 0;

	mutex_lock(&state->turn);
	while (size_bytes > 0) {
		char copy[APP_LINE_SIZE];
		size_t length = 0;
		while (length < size_bytes && line[length] != ';')
			length++;
		if (length < sizeof copy) {
			memcpy(copy, line, length);
			copy[length] = '\0';
			status = line_run(&session, copy);
			session.status = (uint8_t)status;
		} else {
			monitor_printf(&session, "error: longer than %u characters\n", APP_LINE_SIZE - 1);
			status = 2;
		}
		length += length < size_bytes;
		line += length;
		size_bytes -= length;
	}
	mutex_unlock(&state->turn);
	return status;
}

void shell_loop(void)
{
	struct monitor_state *state = app_state();
	struct monitor_session session = {.console = true,
					  .terminal = (kernel_self()->flags & HAL_BOOT_INTERACTIVE) != 0};
	char *line;
	bool bad;

	while ((line = reader_line(state->reader, "> ", &bad)) != NULL) {
		if (bad)
			continue;
		mutex_lock(&state->turn);
		session.status = (uint8_t)line_run(&session, line);
		mutex_unlock(&state->turn);
	}
	shutdown_request(0);
}
