// SPDX-License-Identifier: MIT
//
// The two sides. A pseudo-terminal of Linux handles what is written to its master in a work queue; poll(2) on the other end waits for that.
#include "ldisc_side.h"
#include "script.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

// ---- the kernel's ----------------------------------------------------------------------------------------------------------

static bool k_open(void)
{
	tb_side_open();
	return true;
}

static void k_close(void)
{
}

static void k_type(const uint8_t *bytes, size_t size_bytes)
{
	if (tb_side_type(bytes, size_bytes) != size_bytes)
		abort(); // scripts leave room
}

const struct side side_kernel = {
	.open = k_open,
	.close = k_close,
	.get = tb_side_get,
	.set = tb_side_set,
	.type = k_type,
	.output = tb_side_output,
	.shown = tb_side_shown,
	.read = tb_side_read,
	.waiting = tb_side_waiting,
	.flow = tb_side_flow,
	.flush = tb_side_flush,
};

// ---- the host's ------------------------------------------------------------------------------------------------------------

static int master = -1, slave = -1;
static uint32_t patience_us;

void side_host_patience(uint32_t sleep_us)
{
	patience_us = sleep_us;
}

static void must(bool good)
{
	if (!good)
		abort();
}

static bool h_open(void)
{
	char name[64];

	master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (master < 0)
		return false;
	must(grantpt(master) == 0 && unlockpt(master) == 0 && ptsname_r(master, name, sizeof name) == 0);
	slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	must(slave >= 0);
	return true;
}

static void h_close(void)
{
	close(slave);
	close(master);
}

// One that has something to read is not waited for; then a little time helps.
static void settle(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	if (poll(&poll_fd, 1, 0) == 1 && fd == slave)
		for (uint32_t i = 0; i < 20; i++)
			sched_yield();
}

static void h_get(struct tb_termios *termios)
{
	must(ioctl(slave, TB_TCGETS, termios) == 0);
}

static void h_set(const struct tb_termios *termios)
{
	must(ioctl(slave, TB_TCSETS, termios) == 0);
}

static void h_type(const uint8_t *bytes, size_t size_bytes)
{
	while (size_bytes > 0) {
		ssize_t done = write(master, bytes, size_bytes);
		must(done > 0 || errno == EAGAIN);
		if (done > 0) {
			bytes += done;
			size_bytes -= (size_t)done;
		}
		settle(slave);
	}
	if (patience_us > 0)
		usleep(patience_us);
}

static bool h_output(const char *bytes, size_t size_bytes)
{
	size_t done = 0;

	for (uint32_t tries = 0; done < size_bytes && tries < 100; tries++) {
		ssize_t part = write(slave, bytes + done, size_bytes - done);
		must(part >= 0 || errno == EAGAIN);
		if (part < 0 && done == 0)
			return false;
		done += part > 0 ? (size_t)part : 0;
	}
	must(done == size_bytes);
	return true;
}

static size_t h_shown(char *buffer, size_t size_bytes)
{
	size_t size = 0;

	for (;;) {
		settle(master);
		ssize_t done = read(master, buffer + size, size_bytes - size);
		if (done <= 0)
			return size;
		size += (size_t)done;
	}
}

static long h_read(uint8_t *buffer, size_t size_bytes)
{
	settle(slave);
	ssize_t done = read(slave, buffer, size_bytes);
	must(done >= 0 || errno == EAGAIN);
	return done;
}

static uint32_t h_waiting(void)
{
	int waiting = 0;
	settle(slave);
	must(ioctl(slave, TB_FIONREAD, &waiting) == 0);
	return (uint32_t)waiting;
}

static void h_flow(uint32_t action)
{
	must(ioctl(slave, TB_TCXONC, (unsigned long)action) == 0);
}

static void h_flush(uint32_t queue)
{
	settle(slave);
	must(ioctl(slave, TB_TCFLSH, (unsigned long)queue) == 0);
}

const struct side side_host = {
	.open = h_open,
	.close = h_close,
	.get = h_get,
	.set = h_set,
	.type = h_type,
	.output = h_output,
	.shown = h_shown,
	.read = h_read,
	.waiting = h_waiting,
	.flow = h_flow,
	.flush = h_flush,
};
