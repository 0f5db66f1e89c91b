// SPDX-License-Identifier: MIT
//
// The monitor: a small shell over the console, and the same commands through hal_upcalls.command (tb_command(), -c).
//
// Files
//   monitor.c    the console's thread: prompt, reading lines, end of input
//   shell.c      one line: quotes, ';', look-up, running, exit status
//   session.c    output of a running command
//   line_edit.c  keys to edits (pure) · line_view.c the line on the screen, completion
//   commands.c   the table · cmd_*.c the commands, a few rows each
//   alloctrace.c, allocreplay.c  decoding and replaying allocation traces, for cmd_stress.c
//
// Objects. struct monitor_session: where output goes; one on the stack of whoever runs a line. struct monitor_state: the
// console's own session, thread and history.
//
// Invariants. Commands are a constant table sorted by name. A command's argv lives until it returns. Two lines may run at once
// (console and tb_command): commands keep no state of their own outside their stack.
//
// Locks: none; commands take what they need. May sleep: everything here but line_edit.c.
#ifndef MONITOR_IMPL_H
#define MONITOR_IMPL_H

#include "kern/monitor.h"
#include "kern/thread.h"

#include "kern/line_edit.h"

#define MONITOR_LINE_MAX 65536u
#define MONITOR_ARGS_MAX 64u
#define MONITOR_PROMPT "tbos> "

#define STATUS_USAGE 2
#define STATUS_UNKNOWN 127
#define STATUS_INTERRUPTED 130

struct monitor_session {
	bool terminal;
	bool console; // runs on the console: Ctrl-C is ours
};

struct monitor_state {
	struct thread *thread;
	struct line_edit edit;
	struct line_history history;
	struct monitor_session session;
	int32_t status; // of the last line
};

// commands.c: the core's, and those of the running persona's components. The n-th of all by name, NULL beyond the last.
const struct monitor_command *monitor_find(const char *name);
const struct monitor_command *monitor_command_at(uint32_t n);

// shell.c: runs "a; b" in this session; `line` is cut up in place.
int32_t monitor_run(struct monitor_session *session, char *line);

// The same for one command that is in words already.
int32_t monitor_run_words(struct monitor_session *session, uint32_t argc, char **argv);

// cmd_log.c: the line that shows what an event hash came to.
struct trace_hash;
void monitor_hash_show(struct monitor_session *session, const struct trace_hash *hash);

// session.c: a row of a table on a terminal or in a pipe is the same text; a duration in the unit that suits it.
struct monitor_duration {
	char text[16];
};
struct monitor_duration monitor_duration(uint64_t duration_ns);

#endif
