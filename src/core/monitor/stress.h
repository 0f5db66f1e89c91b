// SPDX-License-Identifier: MIT
//
// What `stress` and `bench` share: a program (a recorded or made-up run of allocations) and a crew of threads that replay
// it over the kernel's allocators.
#ifndef STRESS_H
#define STRESS_H

#include "monitor_impl.h"

#include "kern/alloctrace.h"

#define STRESS_WORKERS_MAX 256u
#define STRESS_ROUNDS_MAX 1000000u

struct program {
	struct alloctrace_header header;
	struct alloctrace_record *records; // of this machine's byte order, judged
};

// Reads a TBAT trace through the HAL's module door. The caller owns the program until program_free(). What is wrong with the
// file is printed with its offset. Thread context. Errors: the module door's, -ENOMEM, -EINVAL (not a valid trace), -EINTR.
err_t program_load(struct monitor_session *session, const char *name, struct program *program) must_check;

// Makes up a program of `events` ≥ 1 events from a seed. Thread context. Errors: -ENOMEM.
err_t program_synthesise(struct program *program, uint64_t events, uint64_t seed) must_check;

void program_free(struct program *program);

struct crew_params {
	uint32_t workers; // 1 … STRESS_WORKERS_MAX
	uint32_t rounds;  // ≥ 1
	bool check;       // fill and check every block's contents
	bool warm;        // replay it all once before what counts: the memory that it needs is the host's by then
};

// Sums over the workers (kern/allocreplay.h).
struct crew_figures {
	uint64_t elapsed_ns; // from the common start to the last end
	uint64_t events;
	uint64_t refused;
	uint64_t wrong;
	uint64_t first_wrong; // event that found the first wrong block
	uint64_t handed;
	uint64_t digest;
	uint64_t asked_bytes; // sum of the workers' peaks of what they asked for
	uint64_t peak_bytes;  // most memory in use by the kernel's account over what it was before
	uint32_t cpus;        // that the workers could use at once
	bool interrupted;
};

// Replays the program in `workers` threads at once. Thread context; stops early when the session is interrupted or a block
// is wrong. Errors: -ENOMEM, -EAGAIN (no thread).
err_t crew_run(struct monitor_session *session, const struct program *program, const struct crew_params *params,
	       struct crew_figures *figures) must_check;

// Picoseconds of one CPU per event: no floating point here.
uint64_t crew_event_ps(const struct crew_figures *figures);

#endif
