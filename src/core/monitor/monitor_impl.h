// SPDX-License-Identifier: MIT
//
// The monitor: a small shell over the console, and the same commands through hal_upcalls.command (tb_command(), -c).
//
// Files
//   monitor.c    a console's thread: prompt, reading lines, end of input
//   parse.c      one line: quotes, ';', '|', '<', '>', '>>' · shell.c  pipelines, look-up, running, exit status
//   pipe.c       bytes from one command to the next · session.c  input and output of a running command
//   line_edit.c  keys to edits (pure) · line_view.c the line on the screen, completion
//   commands.c   the table · cmd_*.c the commands, a few rows each
//   alloctrace.c, allocreplay.c  decoding and replaying allocation traces, for cmd_stress.c
//
// Objects. struct monitor_session: where output goes and input comes from; one on the stack of whoever runs a line, a copy for each
// command of a pipe. struct monitor_console: a virtual console's own session, thread, process and history; on a terminal there is one for each,
// elsewhere one that reads plain lines. The commands of a pipe run at the same time,
// each in a thread of its own, the last one in that of the line; a pipe holds PIPE_BYTES, so memory is bounded whatever flows.
//
// Invariants. Commands are a constant table sorted by name. A command's argv lives until it returns. Two lines may run at once
// (console and tb_command): commands keep no state of their own outside their stack.
//
// Locks: none; commands take what they need. May sleep: everything here but line_edit.c.
#ifndef MONITOR_IMPL_H
#define MONITOR_IMPL_H

#include "kern/monitor.h"
#include "kern/thread.h"
#include "kern/vc.h"

#include "kern/line_edit.h"

#define MONITOR_LINE_MAX 65536u
#define MONITOR_ARGS_MAX 64u
#define MONITOR_PROMPT "tbos> "

#define STATUS_USAGE 2
#define STATUS_UNKNOWN 127
#define STATUS_INTERRUPTED 130

struct monitor_session {
	struct tty *tty;               // the console it runs on, when that is a terminal
	struct process *process;       // whom it acts as; NULL: the monitor's
	uint32_t *interrupted;         // atomic: Ctrl-C came on that terminal; NULL: there is none
	bool console;                  // runs on a console that is no terminal: Ctrl-C is ours
	uint32_t depth;                // of `source`
	struct monitor_stream *input;  // NULL: none
	struct monitor_stream *output; // NULL: the console
	err_t output_err;              // of the first write that failed; the rest is dropped
};

struct monitor_console {
	uint32_t number; // of the virtual console
	struct thread *thread;
	struct process *process; // NULL: the console is no terminal
	struct line_edit edit;
	struct line_history history;
	struct monitor_session session;
	uint32_t interrupted; // atomic
	int32_t status;       // of the last line
};

struct monitor_state {
	struct monitor_console *consoles[VC_COUNT];
};

// commands.c: the core's, and those of the running persona's components. The n-th of all by name, NULL beyond the last.
const struct monitor_command *monitor_find(const char *name);
const struct monitor_command *monitor_command_at(uint32_t n);

// parse.c: a line, pipeline by pipeline; it is cut up in place.
#define PIPELINE_MAX 8u

struct monitor_stage {
	uint32_t argc;
	char **argv; // NULL behind the last
	const char *input, *output;
	bool append;
};

struct monitor_parse {
	char *at;
	char pending;      // an operator that ended the word before it, and was overwritten
	const char *error; // NULL: none; the line ends here
	uint32_t stage_count;
	struct monitor_stage stages[PIPELINE_MAX];
	uint32_t word_count; // used of words, with the NULLs
	char *words[MONITOR_ARGS_MAX + PIPELINE_MAX + 1];
};

// The next pipeline; false at the end of the line. With an error, nothing is to be run.
bool monitor_parse(struct monitor_parse *parse);

// pipe.c: both ends; a read waits for bytes until the writing end is closed, a write for room, -EPIPE once the reading end is.
err_t pipe_make(struct monitor_stream **read_end, struct monitor_stream **write_end) must_check;

// shell.c: runs "a; b | c" in this session; `line` is cut up in place. _inner: within a line that runs.
int32_t monitor_run(struct monitor_session *session, char *line);
int32_t monitor_run_inner(struct monitor_session *session, char *line);

// The same for one command that is in words already.
int32_t monitor_run_words(struct monitor_session *session, uint32_t argc, char **argv);

// session.c: a terminal between keys and lines; `before` is for coming back.
struct tb_termios;
void monitor_tty_write(struct tty *tty, const char *bytes, size_t size_bytes);
void monitor_modes_raw(struct tty *tty, struct tb_termios *before);
void monitor_modes_set(struct tty *tty, struct tb_termios *modes);

// cmd_log.c: the line that shows what an event hash came to.
struct trace_hash;
void monitor_hash_show(struct monitor_session *session, const struct trace_hash *hash);

// session.c: a row of a table on a terminal or in a pipe is the same text; a duration in the unit that suits it.
struct monitor_duration {
	char text[16];
};
struct monitor_duration monitor_duration(uint64_t duration_ns);

#endif
