// SPDX-License-Identifier: MIT
//
// See terminal.h. The saved mode lives in static storage, because signal handlers and atexit() must reach it.
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static struct termios raw;
static int terminal_fd = -1;
static volatile sig_atomic_t active;

static const int last_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

void terminal_restore(void)
{
	int error = errno;
	if (active) {
		active = 0;
		tcsetattr(terminal_fd, TCSADRAIN, &saved);
	}
	errno = error;
}

static void signal_default(int number, int flags, void (*handler)(int))
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	action.sa_flags = flags;
	sigaction(number, &action, NULL);
}

// The process is about to end by this signal: give the terminal back, then die as if we had never been here.
static void on_last_signal(int number)
{
	terminal_restore();
	signal_default(number, 0, SIG_DFL);
	raise(number);
}

static void on_stop(int number)
{
	bool was = active != 0;
	int error = errno;
	sigset_t stop;

	terminal_restore();
	signal_default(SIGTSTP, 0, SIG_DFL);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &stop, NULL); // stops here, goes on at SIGCONT
	signal_default(SIGTSTP, SA_RESTART | SA_ONSTACK, on_stop);
	if (was && tcsetattr(terminal_fd, TCSADRAIN, &raw) == 0)
		active = 1;
	errno = error;
}

bool terminal_raw(int fd)
{
	if (terminal_fd < 0) {
		if (tcgetattr(fd, &saved) != 0)
			return false;
		raw = saved;
		cfmakeraw(&raw);
		raw.c_oflag |= OPOST | ONLCR; // what the host's own libraries print stays readable
		terminal_fd = fd;
		atexit(terminal_restore);
		for (size_t i = 0; i < sizeof last_signals / sizeof last_signals[0]; i++)
			signal_default(last_signals[i], SA_RESETHAND | SA_NODEFER | SA_ONSTACK, on_last_signal);
		signal_default(SIGTSTP, SA_RESTART | SA_ONSTACK, on_stop);
	}
	if (tcsetattr(terminal_fd, TCSADRAIN, &raw) != 0)
		return false;
	active = 1;
	return true;
}
