// SPDX-License-Identifier: MIT
//
// Peers of the slab: the host's malloc, whichever is linked or preloaded (glibc, tcmalloc, jemalloc, mimalloc), doing what
// the monitor's `bench` does in the same loops: small patterns on one and two threads, and the replay of a trace
// (kern/allocreplay.h). One iteration is one allocation and one free, or one event of a trace.

#include "peer.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer_alloc.h"
#include "kern/blockpattern.h"

enum {
	TABLE_SIZE = 4096,
	CHURN_SLOTS = 1024,
	CROSS_RING = 1024,
	CROSS_BATCH = 64,
	PAIR_SIZE = 64
};

// What is drawn beforehand, so that drawing costs nothing while the clock runs.
struct choice {
	uint16_t slot;
	uint16_t size_bytes;
};

static struct choice choices[TABLE_SIZE];

static void choices_draw(void)
{
	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		uint64_t random = pattern_mix(i + 1);

		choices[i].slot = (uint16_t)((random >> 8) % CHURN_SLOTS);
		choices[i].size_bytes = (uint16_t)pattern_size_draw(random);
	}
}

// An allocation that the compiler can neither foresee nor leave out.
static inline void *block_new(size_t size_bytes)
{
	void *block = malloc(size_bytes);

	if (block == NULL)
		peer_die("malloc");
	*(volatile char *)block = 1;
	return block;
}

static uint64_t pair_run(uint64_t iterations, void *arg)
{
	uint64_t start = peer_now_ns();

	(void)arg;
	for (uint64_t i = 0; i < iterations; i++)
		free(block_new(PAIR_SIZE));
	return peer_now_ns() - start;
}

static uint64_t mixed_run(uint64_t iterations, void *arg)
{
	uint64_t start = peer_now_ns();

	(void)arg;
	for (uint64_t i = 0; i < iterations; i++)
		free(block_new(choices[i % TABLE_SIZE].size_bytes));
	return peer_now_ns() - start;
}

static uint64_t churn_run(uint64_t iterations, void *arg)
{
	void *slots[CHURN_SLOTS];
	uint64_t start;

	(void)arg;
	for (unsigned i = 0; i < CHURN_SLOTS; i++)
		slots[i] = block_new(choices[i].size_bytes);
	start = peer_now_ns();
	for (uint64_t i = 0; i < iterations; i++) {
		const struct choice *choice = &choices[i % TABLE_SIZE];

		free(slots[choice->slot]);
		slots[choice->slot] = block_new(choice->size_bytes);
	}
	start = peer_now_ns() - start;
	for (unsigned i = 0; i < CHURN_SLOTS; i++)
		free(slots[i]);
	return start;
}

// --- two threads ----------------------------------------------------------------------------------------------------

struct pair {
	const struct peer *peer;
	peer_fn *fn; // what each does
	uint64_t iterations;
	pthread_barrier_t barrier;
	uint64_t elapsed_ns[2];
};

static void pair_half(struct pair *pair, unsigned index)
{
	peer_pin(pair->peer, index);
	pthread_barrier_wait(&pair->barrier);
	pair->elapsed_ns[index] = pair->fn(pair->iterations, NULL);
}

static void *pair_second(void *arg)
{
	pair_half(arg, 1);
	return NULL;
}

// The slower of the two: both did `iterations`.
static uint64_t pair_of_threads(uint64_t iterations, void *arg)
{
	struct pair *pair = arg;
	pthread_t second;

	pair->iterations = iterations;
	pthread_barrier_init(&pair->barrier, NULL, 2);
	if (pthread_create(&second, NULL, pair_second, pair) != 0)
		peer_die("pthread_create");
	pair_half(pair, 0);
	pthread_join(second, NULL);
	pthread_barrier_destroy(&pair->barrier);
	return pair->elapsed_ns[0] > pair->elapsed_ns[1] ? pair->elapsed_ns[0] : pair->elapsed_ns[1];
}

// Blocks go from the thread that allocates to the one that frees, 64 at a time, through a ring of 1,024.
struct cross {
	const struct peer *peer;
	uint64_t iterations;
	_Alignas(64) atomic_ulong put;
	_Alignas(64) atomic_ulong taken;
	_Alignas(64) void *ring[CROSS_RING];
};

// The other side may have no CPU of its own: after a while give it this one.
static unsigned long cross_await(const atomic_ulong *counter, unsigned long wanted)
{
	unsigned long seen;

	for (unsigned spins = 0; (seen = atomic_load_explicit(counter, memory_order_acquire)) < wanted; spins++)
		if (spins % 1024 == 1023)
			sched_yield();
	return seen;
}

static void *cross_free(void *arg)
{
	struct cross *cross = arg;

	peer_pin(cross->peer, 1);
	for (uint64_t done = 0; done < cross->iterations; done += CROSS_BATCH) {
		cross_await(&cross->put, done + CROSS_BATCH);
		for (unsigned i = 0; i < CROSS_BATCH; i++)
			free(cross->ring[(done + i) % CROSS_RING]);
		atomic_store_explicit(&cross->taken, done + CROSS_BATCH, memory_order_release);
	}
	return NULL;
}

static uint64_t cross_run(uint64_t iterations, void *arg)
{
	struct cross *cross = arg;
	pthread_t other;
	uint64_t start;

	cross->iterations = iterations;
	cross->put = cross->taken = 0;
	if (pthread_create(&other, NULL, cross_free, cross) != 0)
		peer_die("pthread_create");
	start = peer_now_ns();
	for (uint64_t done = 0; done < iterations; done += CROSS_BATCH) {
		if (done >= CROSS_RING)
			cross_await(&cross->taken, done + CROSS_BATCH - CROSS_RING);
		for (unsigned i = 0; i < CROSS_BATCH; i++)
			cross->ring[(done + i) % CROSS_RING] = block_new(PAIR_SIZE);
		atomic_store_explicit(&cross->put, done + CROSS_BATCH, memory_order_release);
	}
	pthread_join(other, NULL);
	return peer_now_ns() - start;
}

int main(int argc, char **argv)
{
	struct peer peer = peer_options(argc, argv, "alloc");
	struct pair pair2 = {.peer = &peer, .fn = pair_run};
	struct pair churn2 = {.peer = &peer, .fn = churn_run};
	static struct cross cross;

	cross.peer = &peer;
	choices_draw();
	if (peer.trace_path != NULL)
		return peer_trace(&peer);
	peer_case(&peer, "pair", pair_run, NULL);
	peer_case(&peer, "mixed", mixed_run, NULL);
	peer_case(&peer, "churn", churn_run, NULL);
	peer_case(&peer, "pair2", pair_of_threads, &pair2);
	peer_case(&peer, "churn2", pair_of_threads, &churn2);
	peer_case(&peer, "cross", cross_run, &cross);
	return 0;
}
