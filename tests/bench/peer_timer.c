// SPDX-License-Identifier: MIT
//
// Peers of arming and cancelling one timer while 10,000 others sleep: timerfd, POSIX timers, and libuv's heap (no system
// call). Expiries are scattered over a thousand seconds that never pass here. One iteration is one arm and one cancel.

#include "peer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum {
	SLEEPERS = 10000,
	EXPIRY_S_MIN = 1000,
	EXPIRY_S_SPAN = 1000
};

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static struct itimerspec expiry_draw(void)
{
	return (struct itimerspec){
		.it_value = {
			.tv_sec = (time_t)(EXPIRY_S_MIN + peer_random(&random_state) % EXPIRY_S_SPAN),
			.tv_nsec = (long)(peer_random(&random_state) % 1000000000u),
		}};
}

static const struct itimerspec disarmed;

static void timerfd_arm(int fd, const struct itimerspec *when)
{
	if (timerfd_settime(fd, 0, when, NULL) != 0)
		peer_die("timerfd_settime");
}

static uint64_t timerfd_run(uint64_t iterations, void *arg)
{
	int fd = *(int *)arg;
	uint64_t start = peer_now_ns();

	for (uint64_t i = 0; i < iterations; i++) {
		struct itimerspec when = expiry_draw();

		timerfd_arm(fd, &when);
		timerfd_arm(fd, &disarmed);
	}
	return peer_now_ns() - start;
}

static int timerfd_new(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd < 0)
		peer_die("timerfd_create");
	return fd;
}

static void timerfd_case(const struct peer *peer)
{
	struct rlimit limit = {.rlim_cur = SLEEPERS + 64, .rlim_max = SLEEPERS + 64};
	static int sleepers[SLEEPERS];
	int fd;

	if (!peer_wants(peer, "timerfd"))
		return;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
		fprintf(stderr, "timerfd: %d descriptors are not allowed here: case left out\n", SLEEPERS);
		return;
	}
	for (int i = 0; i < SLEEPERS; i++) {
		struct itimerspec when = expiry_draw();

		sleepers[i] = timerfd_new();
		timerfd_arm(sleepers[i], &when);
	}
	fd = timerfd_new();
	peer_case(peer, "timerfd", timerfd_run, &fd);
	close(fd);
	for (int i = 0; i < SLEEPERS; i++)
		close(sleepers[i]);
}

static void posix_arm(timer_t timer, const struct itimerspec *when)
{
	if (timer_settime(timer, 0, when, NULL) != 0)
		peer_die("timer_settime");
}

static uint64_t posix_run(uint64_t iterations, void *arg)
{
	timer_t timer = *(timer_t *)arg;
	uint64_t start = peer_now_ns();

	for (uint64_t i = 0; i < iterations; i++) {
		struct itimerspec when = expiry_draw();

		posix_arm(timer, &when);
		posix_arm(timer, &disarmed);
	}
	return peer_now_ns() - start;
}

static void posix_case(const struct peer *peer)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	static timer_t timers[SLEEPERS + 1];
	int made = 0;

	if (!peer_wants(peer, "posix"))
		return;
	for (; made <= SLEEPERS; made++) {
		struct itimerspec when = expiry_draw();

		if (timer_create(CLOCK_MONOTONIC, &event, &timers[made]) != 0)
			break;
		posix_arm(timers[made], &when);
	}
	if (made > SLEEPERS)
		peer_case(peer, "posix", posix_run, &timers[SLEEPERS]);
	else
		fprintf(stderr, "posix: %d timers are not allowed here: case left out\n", SLEEPERS);
	while (made > 0)
		timer_delete(timers[--made]);
}

static void never_called(uv_timer_t *timer)
{
	(void)timer;
	abort();
}

static uint64_t expiry_ms_draw(void)
{
	return (EXPIRY_S_MIN + peer_random(&random_state) % EXPIRY_S_SPAN) * 1000u;
}

static uint64_t uv_run_pairs(uint64_t iterations, void *arg)
{
	uv_timer_t *timer = arg;
	uint64_t start = peer_now_ns();

	for (uint64_t i = 0; i < iterations; i++) {
		uv_timer_start(timer, never_called, expiry_ms_draw(), 0);
		uv_timer_stop(timer);
	}
	return peer_now_ns() - start;
}

static void uv_case(const struct peer *peer)
{
	static uv_timer_t timers[SLEEPERS + 1];
	uv_loop_t loop;

	if (uv_loop_init(&loop) != 0)
		peer_die("uv_loop_init");
	for (int i = 0; i <= SLEEPERS; i++) {
		uv_timer_init(&loop, &timers[i]);
		if (i < SLEEPERS)
			uv_timer_start(&timers[i], never_called, expiry_ms_draw(), 0);
	}
	peer_case(peer, "libuv", uv_run_pairs, &timers[SLEEPERS]);
	for (int i = 0; i <= SLEEPERS; i++)
		uv_close((uv_handle_t *)&timers[i], NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
}

int main(int argc, char **argv)
{
	struct peer peer = peer_options(argc, argv, "timer");

	timerfd_case(&peer);
	posix_case(&peer);
	uv_case(&peer);
	return 0;
}
