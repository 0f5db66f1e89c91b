// SPDX-License-Identifier: MIT
//
// Between the command `bench` and the files that hold its cases. A case does `iterations` units of its work and says how
// long they took; the command calibrates, repeats and prints. tests/bench/peer*.c do the same in the same loops on the host.
#ifndef BENCH_H
#define BENCH_H

#include "monitor_impl.h"

#include "kern/sched.h"

// One run of a case, in a thread of its own on CPU 0.
struct bench_run {
	void *state;         // what setup() made
	uint64_t iterations; // even
	uint64_t elapsed_ns; // out
	err_t err;           // out: the run means nothing
};

struct bench_case {
	const char *name;
	const char *summary;
	uint32_t cpus;                // that it needs
	enum thread_class klass;      // of its thread
	err_t (*setup)(void **state); // NULL: no state. Thread context, as the others
	void (*run)(struct bench_run *run);
	void (*teardown)(void *state);
};

// bench_alloc.c, bench_pair.c, bench_sched.c; each ends with a row without a name.
extern const struct bench_case bench_alloc_cases[];
extern const struct bench_case bench_pair_cases[];
extern const struct bench_case bench_sched_cases[];

// What allocation cases draw beforehand, so that drawing costs nothing while the clock runs.
enum {
	BENCH_TABLE_SIZE = 4096,
	BENCH_SLOTS = 1024,
	BENCH_PAIR_SIZE = 64
};

struct bench_choice {
	uint16_t slot;
	uint16_t size_bytes;
};

// Fills a table of BENCH_TABLE_SIZE.
void bench_choices_draw(struct bench_choice *choices);

// The loops of "pair" and "churn", for cases that run them on two CPUs; nanoseconds. churn's `slots` has BENCH_SLOTS entries, all NULL
// before and after; UINT64_MAX when memory ran out.
uint64_t bench_pair_loop(uint64_t iterations);
uint64_t bench_churn_loop(const struct bench_choice *choices, void **slots, uint64_t iterations);

// Starts a thread of the class that runs on `cpu` alone. Errors: thread_start()'s.
err_t bench_thread_start(const char *name, enum thread_class klass, uint32_t cpu, void (*entry)(void *), void *arg,
			 struct thread **out) must_check;

// Waits for its end; that cannot fail.
void bench_thread_join(struct thread *thread);

#endif
