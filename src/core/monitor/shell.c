// SPDX-License-Identifier: MIT
//
// One line of the monitor: words, quotes ('…' and "…"), backslash, ';' between commands, '#' to the end of the line. The exit
// status is the last command's.
#include "monitor_impl.h"

#include "kern/console.h"
#include "kern/counter.h"
#include "kern/image.h"
#include "kern/mem.h"
#include "kern/string.h"
#include "kern/trace.h"

struct splitter {
	char *at;
	uint32_t argc;
	char *argv[MONITOR_ARGS_MAX + 1];
	bool ended; // the last word was followed by ';'
	const char *error;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Reads one word in place; leaves `at` behind it.
static void split_word(struct splitter *split)
{
	char *to = split->at;
	char *from = split->at;
	char quote = '\0';

	split->argv[split->argc++] = to;
	for (; *from != '\0'; from++) {
		if (quote == '\0' && (is_space(*from) || *from == ';'))
			break;
		if (*from == quote) {
			quote = '\0';
		} else if (quote == '\0' && (*from == '\'' || *from == '"')) {
			quote = *from;
		} else {
			if (*from == '\\' && quote != '\'' && from[1] != '\0')
				from++;
			*to++ = *from;
		}
	}
	if (quote != '\0')
		split->error = "a quote is not closed";
	split->ended = *from == ';';
	split->at = from + (*from != '\0' ? 1 : 0);
	*to = '\0';
}

// Gathers the words of the next command; false at the end of the line.
static bool split_command(struct splitter *split)
{
	split->argc = 0;
	split->ended = false;
	while (!split->ended) {
		while (is_space(*split->at))
			split->at++;
		if (*split->at == '\0' || *split->at == '#') {
			split->at += strlen(split->at);
			break;
		}
		if (*split->at == ';') {
			split->at++;
			if (split->argc > 0)
				break;
			continue;
		}
		if (split->argc == MONITOR_ARGS_MAX) {
			split->error = "too many words";
			return true;
		}
		split_word(split);
	}
	split->argv[split->argc] = NULL;
	return split->argc > 0;
}

int32_t monitor_run_words(struct monitor_session *session, uint32_t argc, char **argv)
{
	const struct monitor_command *command = monitor_find(argv[0]);
	if (command == NULL) {
		monitor_printf(session, "%s: no such command; 'help' lists them\n", argv[0]);
		return STATUS_UNKNOWN;
	}
	preempt_disable();
	counter_inc(COUNTER_MONITOR_COMMANDS);
	preempt_enable();
	int32_t status = command->run(session, argc, argv) & 0xff;
	trace_emit(TRACE_MONITOR_COMMAND, image_offset(command->name), (uint64_t)status);
	return status;
}

int32_t monitor_run(struct monitor_session *session, char *line)
{
	struct splitter split = {.at = line};
	int32_t status = 0;

	if (session->console)
		console_watch_interrupt(true);
	while (split.error == NULL && split_command(&split)) {
		if (split.error != NULL) {
			monitor_printf(session, "monitor: %s\n", split.error);
			status = STATUS_USAGE;
		} else {
			status = monitor_run_words(session, split.argc, split.argv);
		}
		if (monitor_interrupted(session)) {
			status = STATUS_INTERRUPTED;
			break;
		}
	}
	if (session->console)
		console_watch_interrupt(false);
	return status;
}

int32_t monitor_usage(struct monitor_session *session, const char *name)
{
	const struct monitor_command *command = monitor_find(name);
	monitor_printf(session, "usage: %s %s\n", name, command->usage);
	return STATUS_USAGE;
}

int32_t monitor_run_line(const char *line, size_t size_bytes)
{
	struct monitor_session session = {0};
	if (size_bytes > MONITOR_LINE_MAX)
		return STATUS_USAGE;
	char *copy = kmalloc(size_bytes + 1, 0);
	if (copy == NULL)
		return STATUS_USAGE;
	memcpy(copy, line, size_bytes);
	copy[size_bytes] = '\0';
	int32_t status = monitor_run(&session, copy);
	kfree(copy);
	return status;
}
