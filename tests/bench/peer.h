// SPDX-License-Identifier: MIT
//
// What all host peers share: command line, pinning, calibrated repetition, and one JSON line per case on standard output.
// A peer is the host's own way of doing what TBOS does; bench.py runs both in turn and prints the ratio.
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PEER_RUNS_DEFAULT = 7,
	PEER_RUNS_MAX = 101
};

// Filled by peer_options(); program-wide, read-only afterwards.
struct peer {
	const char *name;       // "alloc", "switch", …: the program's name without "peer_"
	const char *only;       // --only CASE: NULL for all cases
	const char *label;      // --label TEXT: names the variant under test, e.g. the preloaded allocator
	const char *trace_path; // --trace FILE
	const char *until;      // --until TEXT
	unsigned runs;          // --runs N
	unsigned threads;       // --threads N
	bool pinned;            // --pinned
	bool fill;              // --fill
	char **rest;            // what follows "--", NULL-terminated
};

// Parses argv; exits with a message and status 2 on anything it does not know. Pins the caller to CPU 0 under --pinned.
struct peer peer_options(int argc, char **argv, const char *name);

uint64_t peer_now_ns(void);

// Pins the calling thread to the index-th CPU that the process may use (modulo their number). No-op unless pinned.
void peer_pin(const struct peer *peer, unsigned index);

// CPUs the process may use.
unsigned peer_cpu_count(void);

// One measurement: does `iterations` units of work and returns the nanoseconds they took; set-up is its own affair.
typedef uint64_t peer_fn(uint64_t iterations, void *arg);

// Runs a case unless --only names another: doubles iterations until a run lasts 20 ms, repeats it peer->runs times and prints
// median, minimum and maximum of nanoseconds per iteration.
void peer_case(const struct peer *peer, const char *name, peer_fn *fn, void *arg);

// True unless --only names another case.
bool peer_wants(const struct peer *peer, const char *name);

// Prints one JSON line from samples taken by the caller. `extra` is NULL or more members, e.g. "\"peak\":1".
void peer_report(const struct peer *peer, const char *name, const double *samples_ns, unsigned count,
		 uint64_t iterations, const char *extra);

// The next word of a caller-owned xorshift generator (Marsaglia 2003); the state must not be 0.
static inline uint64_t peer_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

// The program's last words: prints the message with errno's text and exits with status 1.
void peer_die(const char *what) __attribute__((__noreturn__));

#endif
