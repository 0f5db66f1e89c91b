// SPDX-License-Identifier: MIT
//
// A thread that carries bytes from the terminal to a pipe, and puts the request to redraw between them. So the terminal's own
// descriptor, which the shell shares, never becomes non-blocking, and a read in the background stops us as it should.
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int keyboard_fd = -1;
static int wake_fds[2] = {-1, -1};
static int out_fd = -1;

void terminal_redraw(void)
{
	int error = errno;
	// Full: enough requests wait there.
	if (wake_fds[1] >= 0 && write(wake_fds[1], "", 1) < 0)
		errno = error;
	errno = error;
}

static bool put(const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t done = write(out_fd, bytes, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		size -= (size_t)done;
	}
	return true;
}

// False at the end of input: the terminal has gone, or nobody may ever read it again.
static bool carry(void)
{
	char bytes[256];
	ssize_t size = read(keyboard_fd, bytes, sizeof bytes);
	if (size < 0)
		return errno == EINTR || errno == EAGAIN;
	return size > 0 && put(bytes, (size_t)size);
}

static void *pump(void *arg)
{
	bool open = true;
	(void)arg;
	while (open) {
		struct pollfd fds[2] = {{.fd = keyboard_fd, .events = POLLIN}, {.fd = wake_fds[0], .events = POLLIN}};
		char requests[64];
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents != 0 && read(wake_fds[0], requests, sizeof requests) > 0)
			open = put(TERMINAL_REDRAW, strlen(TERMINAL_REDRAW));
		if (fds[0].revents != 0)
			open = carry() && open;
	}
	close(out_fd);
	return NULL;
}

// Signals are for the other threads, but those that stop us when we read in the background.
static int pump_start(void)
{
	sigset_t all, before;
	pthread_t thread;
	sigfillset(&all);
	sigdelset(&all, SIGTTIN);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&thread, NULL, pump, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err == 0)
		pthread_detach(thread);
	return err;
}

int terminal_pump(int fd)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	if (pipe2(wake_fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	keyboard_fd = fd;
	out_fd = fds[1];
	errno = pump_start();
	return errno == 0 ? fds[0] : -1;
}
