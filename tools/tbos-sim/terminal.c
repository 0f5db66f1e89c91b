// SPDX-License-Identifier: MIT
//
// See terminal.h. The modes live in static storage, because signal handlers and atexit() must reach them.
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static struct termios raw;
static int terminal_fd = -1;
static volatile sig_atomic_t active;

static const int last_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static const int stop_signals[] = {SIGTSTP, SIGTTIN, SIGTTOU};

#define array_count(array) (sizeof(array) / sizeof((array)[0]))

// A terminal that is not the session's own has no foreground to respect.
static bool is_foreground(void)
{
	pid_t group = tcgetpgrp(terminal_fd);
	return group < 0 || group == getpgrp();
}

static bool modes_equal(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof a->c_cc) == 0;
}

// What a shell has made of the terminal while another group had it is none of our business.
void terminal_restore(void)
{
	int error = errno;
	if (active) {
		active = 0;
		if (is_foreground())
			tcsetattr(terminal_fd, TCSADRAIN, &saved);
	}
	errno = error;
}

// In the foreground. What it is restored to is what it was last, unless that is our own.
static bool take(void)
{
	struct termios now;
	if (tcgetattr(terminal_fd, &now) != 0)
		return false;
	if (!modes_equal(&now, &raw))
		saved = now;
	raw = saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST | ONLCR; // what the host's own libraries print stays readable
	raw.c_lflag |= ISIG;
	raw.c_cc[VINTR] = _POSIX_VDISABLE;
	if (tcsetattr(terminal_fd, TCSADRAIN, &raw) != 0)
		return false;
	active = 1;
	return true;
}

static void signal_set(int number, int flags, void (*handler)(int))
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
	signal_set(number, 0, SIG_DFL);
	raise(number);
}

static void on_stop(int number)
{
	int error = errno;
	sigset_t stop;

	terminal_restore();
	signal_set(number, 0, SIG_DFL);
	sigemptyset(&stop);
	sigaddset(&stop, number);
	raise(number);
	pthread_sigmask(SIG_UNBLOCK, &stop, NULL); // stops here, goes on at SIGCONT
	signal_set(number, SA_RESTART | SA_ONSTACK, on_stop);
	errno = error;
}

// After any stop. Continued in the background there is nothing to take: that comes with the next SIGCONT.
static void on_continue(int number)
{
	int error = errno;
	(void)number;
	if (is_foreground()) {
		take();
		terminal_redraw();
	}
	errno = error;
}

static void on_resize(int number)
{
	(void)number;
	terminal_redraw();
}

static void handlers_set(void)
{
	for (size_t i = 0; i < array_count(last_signals); i++)
		signal_set(last_signals[i], SA_RESETHAND | SA_NODEFER | SA_ONSTACK, on_last_signal);
	for (size_t i = 0; i < array_count(stop_signals); i++)
		signal_set(stop_signals[i], SA_RESTART | SA_ONSTACK, on_stop);
	signal_set(SIGCONT, SA_RESTART | SA_ONSTACK, on_continue);
	signal_set(SIGWINCH, SA_RESTART | SA_ONSTACK, on_resize);
}

// The keeper's life: it waits for our end, and where that has left our modes behind, it puts back what was there. It ignores
// what the terminal sends to the group, and holds no descriptor that anybody may wait for.
static void keep(int life_fd)
{
	struct termios now;
	char byte;
	prctl(PR_SET_NAME, "tbos-terminal");
	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP)
			signal_set(number, 0, SIG_IGN);
	for (int fd = 0; fd < 256; fd++)
		if (fd != terminal_fd && fd != life_fd)
			close(fd);
	while (read(life_fd, &byte, 1) < 0 && errno == EINTR) {
	}
	if (tcgetattr(terminal_fd, &now) == 0 && modes_equal(&now, &raw))
		tcsetattr(terminal_fd, TCSADRAIN, &saved);
	_exit(0);
}

// The pipe's other end is open for as long as we live, and is never closed. Without a keeper only SIGKILL is not covered.
static void keeper_start(void)
{
	int life[2];
	if (pipe(life) != 0)
		return;
	pid_t child = fork();
	if (child == 0) {
		close(life[1]);
		keep(life[0]);
	}
	close(life[0]);
	if (child < 0)
		close(life[1]);
}

// Until the terminal is ours: stops as a read would. In a group that nobody can continue that is in vain.
static bool foreground_wait(void)
{
	for (int tries = 0; !is_foreground(); tries++) {
		if (tries == 8) {
			errno = EIO;
			return false;
		}
		kill(0, SIGTTIN);
	}
	return true;
}

bool terminal_raw(int fd)
{
	if (terminal_fd >= 0)
		return active != 0;
	terminal_fd = fd;
	if (!foreground_wait() || !take()) {
		terminal_fd = -1;
		return false;
	}
	atexit(terminal_restore);
	handlers_set();
	keeper_start();
	return true;
}
