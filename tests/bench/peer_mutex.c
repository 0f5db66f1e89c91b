// SPDX-License-Identifier: MIT
//
// Peer of an uncontended mutex: glibc's, default kind. A second thread exists and sleeps throughout, because glibc 2.34
// and later leave out the atomic instructions while a process has one thread. One iteration is a lock and an unlock.

#include "peer.h"

#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *sleeper_body(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static uint64_t pair_run(uint64_t iterations, void *arg)
{
	uint64_t start = peer_now_ns();

	(void)arg;
	for (uint64_t i = 0; i < iterations; i++) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
	return peer_now_ns() - start;
}

int main(int argc, char **argv)
{
	struct peer peer = peer_options(argc, argv, "mutex");
	pthread_t sleeper;

	if (pthread_create(&sleeper, NULL, sleeper_body, NULL) != 0)
		peer_die("pthread_create");
	peer_case(&peer, "uncontended", pair_run, NULL);
	return 0;
}
