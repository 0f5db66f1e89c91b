// SPDX-License-Identifier: MIT
//
// The monitor: commands over the console. A command is one row of a constant table; it runs in a kernel thread with the
// monitor's lock held and prints through its session, so that the same command serves the console, -c, and the library.
#ifndef KERN_MONITOR_H
#define KERN_MONITOR_H

#include "kern/kernel.h"

struct monitor_session;

// Output of the running command, to the console or where the line sends it. Thread context.
void monitor_printf(struct monitor_session *session, const char *format, ...) printf_like(2, 3);
void monitor_write(struct monitor_session *session, const char *bytes, size_t size_bytes);

// Complaints: always to the console.
void monitor_error(struct monitor_session *session, const char *format, ...) printf_like(2, 3);

// What '<', '|' or the terminal gives the command. *done_bytes 0: the end. Thread context, sleeps. Errors: -EBADF (it has no input), those of the file.
bool monitor_has_input(const struct monitor_session *session);
err_t monitor_read(struct monitor_session *session, void *buffer, size_t size_bytes, size_t *done_bytes) must_check;

// One key, as it is, from the terminal. Thread context, sleeps. false: there is none, or no key will come.
bool monitor_read_key(struct monitor_session *session, uint8_t *key) must_check;

// Whether to end: the user pressed Ctrl-C since the command began, or nobody takes its output any more. Long commands look often and
// end with 130.
bool monitor_interrupted(struct monitor_session *session);

// Whether output goes to a terminal (progress bars, colours), and its size; 80 columns and no rows where it does not.
bool monitor_is_terminal(const struct monitor_session *session);
uint32_t monitor_columns(const struct monitor_session *session);
uint32_t monitor_rows(const struct monitor_session *session);

// Where '<', '>', '>>' and `source` lead; the filesystems say how at boot (NULL: there are none). A stream is used by one thread at a time.
struct monitor_stream;
struct monitor_stream_ops {
	err_t (*read)(struct monitor_stream *stream, void *buffer, size_t size_bytes, size_t *done_bytes);
	err_t (*write)(struct monitor_stream *stream, const void *bytes, size_t size_bytes); // all of them
	err_t (*close)(struct monitor_stream *stream);
};
struct monitor_stream {
	const struct monitor_stream_ops *ops;
};
enum monitor_open {
	MONITOR_READ,
	MONITOR_WRITE, // made, or emptied
	MONITOR_APPEND
};
typedef err_t monitor_open_fn(const char *path, uint32_t how, struct monitor_stream **out); // how: enum monitor_open
void monitor_set_open(monitor_open_fn *open);

struct monitor_command {
	const char *name;
	const char *usage;   // "[-j] NAME"
	const char *summary; // one line for help
	// argv[0] is the name; argv lives until return. Exit status 0 … 255; 2 for wrong usage.
	int32_t (*run)(struct monitor_session *session, uint32_t argc, char **argv);
	// Candidates for completing argument `index` beginning with `prefix`; the n-th or NULL. May be NULL.
	const char *(*complete)(uint32_t index, const char *prefix, uint32_t n);
};

// Complains about a command's usage and returns the exit status for it, 2.
int32_t monitor_usage(struct monitor_session *session, const char *name);

// A command file exports one row (const struct monitor_command monitor_cmd_NAME) and is named in monitor/commands.c's table; a component outside
// the core names its rows in struct component.

// Component: the console's thread, when the HAL asked for a monitor. Errors: -ENOMEM, -EAGAIN.
err_t monitor_init(struct kernel *kernel) must_check;
void monitor_stop(void);

// One line ("cmd; cmd") in the current thread; the last command's exit status, 127 unknown command.
int32_t monitor_run_line(const char *line, size_t size_bytes);

#endif
