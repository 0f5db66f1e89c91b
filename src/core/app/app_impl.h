// SPDX-License-Identifier: MIT
//
// Applications of small machines, and the shell that reaches them.
//
// Purpose. calc_4k is a calculator on a serial line, with a lamp and two lines of display. mobile_64k has a calculator,
// notes and a clock, each a thread with its own state, used over the serial line and by keys and menus on the display. Both
// carry a few commands that let a test look inside.
//
// Files
//   session.c      output of commands: kern/monitor.h's calls
//   shell.c        a line into words, words into a command; what is no command is an expression
//   reader.c       lines from the console in 64 bytes of state (calc_4k)
//   reader_edit.c  the same by the monitor's line editor (mobile_64k)
//   calc.c         the calculator: last results, history          expression.c, decimal.c   its arithmetic
//   cmd_machine.c  help, mem, ps, uptime, exit, reboot             cmd_proof.c    spin, timer, fault
//   front_calc.c   calc_4k as a whole: state, thread, lamp, display
//   front_mobile.c mobile_64k as a whole; app.c   threads that serve requests   notes.c, clock.c   two of them
//   panel.c        keys and menus                                  text.c, font.c   letters on the display
//   cmd_replay.c   an allocation trace against the heap
//
// 1 One thread reads the console and runs commands; it owns the calculator of calc_4k. On mobile_64k an application's state belongs to its
//   thread: whoever wants something (shell, panel) hands it a request and waits for the answer, so that no state is shared.
//
// 2 Input is hostile: lines are cut off at their size and refused, bytes that are no text are refused with their value, numbers and
//   depths have limits. A refusal names the place and the reason and changes nothing.
//
// States. Commands exist from the front component's init on and as long as the machine runs.
// Locks: an app's `turn` (one request at a time), then nothing. May sleep: commands, requests, readers.
#ifndef APP_IMPL_H
#define APP_IMPL_H

#include "expression.h"

#include "kern/monitor.h"
#include "kern/sched.h"

#define APP_LINE_SIZE (FRAME_SIZE_IS_SMALL ? 40u : 96u)
#define APP_WORDS_MAX 3u // the last takes the rest of the line
#define FRAME_SIZE_IS_SMALL (CONFIG_FRAME_SHIFT < 10)

// Also opaque in kern/monitor.h.
struct monitor_session {
	bool console;
	bool terminal;
	uint8_t status; // of the line before: what `exit` ends with
};

#define HISTORY_COUNT (FRAME_SIZE_IS_SMALL ? 4u : 8u)

// The calculator. Entry n of the history lies at n % HISTORY_COUNT.
struct calc {
	int64_t answers[HISTORY_COUNT];
	char texts[HISTORY_COUNT][APP_LINE_SIZE];
	uint32_t count; // calculated so far
	uint32_t refused;
	struct expression work;
};

// Calculates, prints the result or what is wrong, keeps it. Exit status 0 or 1.
int32_t calc_line(struct calc *calc, struct monitor_session *session, const char *text, size_t size_bytes);
// A result of one's own goes into the history too.
void calc_keep(struct calc *calc, const char *text, size_t size_bytes, int64_t value);
void calc_history(const struct calc *calc, struct monitor_session *session);

// What ps prints, collected first: printing has no place on a small stack beneath thread_each(), nor time with preemption off.
#define PS_MAX (FRAME_SIZE_IS_SMALL ? 4u : 16u)

struct ps_row {
	char name[THREAD_NAME_SIZE];
	uint32_t run_us;
	uint16_t stack;
	uint8_t id, state, prio;
};

struct ps {
	struct ps_row rows[PS_MAX];
	uint32_t count;
};

// What a front brings; hangs in struct kernel.
struct monitor_state {
	const struct monitor_command *const *commands; // ends with NULL
	// A line that is no command. Exit status.
	int32_t (*line)(struct monitor_session *session, const char *text, size_t size_bytes);
	struct mutex turn; // one command at a time
	struct reader *reader;
	struct ps ps; // under turn
};

static inline struct monitor_state *app_state(void)
{
	return kernel_self()->monitor;
}

// Reads lines and runs them until the console ends. Thread context.
void shell_loop(void);

// reader.c or reader_edit.c. A line without its end, in the reader's memory, free to be changed; NULL when the console has ended. *bad: the
// line is to be refused, for the reason that has been printed.
struct reader *reader_make(struct kernel *kernel); // boot arena; NULL: no memory
char *reader_line(struct reader *reader, const char *prompt, bool *bad);

extern const struct monitor_command command_help, command_mem, command_ps, command_uptime, command_exit, command_reboot,
	command_onfault, command_spin, command_timer, command_fault, command_history;

#endif
