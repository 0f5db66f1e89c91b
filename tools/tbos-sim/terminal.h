// SPDX-License-Identifier: MIT
//
// A terminal's raw mode, for programs that run an instance on one. The library itself never touches a terminal: a program
// asks for raw mode before it creates the instance and gets the terminal back on every way out: return, exit(), SIGINT, SIGTERM,
// SIGHUP, SIGQUIT, SIGABRT, a crash; SIGTSTP gives it back for as long as the process is stopped.
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>

// Puts the terminal behind fd into raw mode; once a process. False with errno where it is none or refuses.
bool terminal_raw(int fd);

// Gives it back; harmless when there is nothing to give back. Async-signal-safe.
void terminal_restore(void);

#endif
