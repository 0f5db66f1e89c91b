// SPDX-License-Identifier: MIT
//
// A terminal's raw mode and job control, for programs that run an instance on one. The library itself never touches a
// terminal: a program asks for raw mode before it creates the instance, lets the instance read the pipe it is given
// (terminal_pump.c), and gets the terminal back on every way out: return, exit(), SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, a
// crash; and SIGKILL, through a small keeper process that outlives us.
//
// The keys ^Z and ^\ stay the terminal driver's, as in a shell; ^C is the instance's. SIGTSTP, SIGTTIN and SIGTTOU give the
// terminal back for as long as the process is stopped. On SIGCONT, also after SIGSTOP, raw mode is taken again if the
// terminal is ours then, and the instance is told to redraw; on SIGWINCH it is told so too. Nothing is done to a terminal
// whose foreground is another process group.
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>

// Puts the terminal behind fd into raw mode, once a process; in the background it stops first, as reading would. False with
// errno where it is none or refuses.
bool terminal_raw(int fd);

// Gives it back; harmless when there is nothing to give back. Async-signal-safe.
void terminal_restore(void);

// The descriptor that the instance reads: what is typed, and TERMINAL_REDRAW where it must draw again. -1 with errno.
int terminal_pump(int fd);

// The sequence of xterm's "focus in": editors that do not know it ignore it.
#define TERMINAL_REDRAW "\x1b[I"

// Has the pump send it. Async-signal-safe.
void terminal_redraw(void);

#endif
