// SPDX-License-Identifier: MIT
//
// The drill: one workload that uses what the scheduler and the locks offer, and whose every step follows from a seed. With one CPU
// and a stepped clock its events are the same on every machine of a persona; their hash says so. Threads of all classes
// lock, wait, signal, sleep, yield and change priorities. The monitor's command runs it, and the test images of machines
// whose monitor has no room for it.
#ifndef DRILL_H
#define DRILL_H

#include "kern/trace_hash.h"

#define DRILL_THREADS 6u
#define DRILL_ROUNDS_MAX 10000u

struct drill_options {
	uint64_t seed;
	uint32_t rounds; // of each thread, 1 … DRILL_ROUNDS_MAX
	bool print;      // every event, too
};

// Runs it to its end, or until interrupted(arg) is true (NULL: never); *hash is that of its events, of none where
// trace_hash_begin() refuses. Thread context, sleeps. Errors: -ENOMEM, those of thread_start().
err_t drill_run(const struct drill_options *options, bool (*interrupted)(void *), void *arg,
		struct trace_hash *hash) must_check;

#endif
