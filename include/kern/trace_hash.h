// SPDX-License-Identifier: MIT
//
// The event hash: what happened and in which order, without where and at what time. Kind, thread and arguments of every event
// as one number (FNV-1a), so that one workload on one CPU under a stepped clock has the same hash on every machine of a persona and
// in the simulator. Threads are numbered by their first appearance, points in time count from the beginning, texts go in as text;
// addresses, sizes, what grows from boot on, and what allocators fetch from below are left out. It is compared, not defended.
#ifndef KERN_TRACE_HASH_H
#define KERN_TRACE_HASH_H

#include "kern/trace.h"

#define TRACE_HASH_THREADS 32u

struct trace_hash {
	uint64_t hash;
	uint64_t start_ns;
	uint32_t events;
	uint32_t print; // each event as a line on the console, too
	uint32_t thread_count;
	uint32_t threads[TRACE_HASH_THREADS]; // ids; those beyond share one number
};

// From now on every event goes into *hash, which must stay until trace_hash_end(). `print` writes to the console from wherever
// events come, so it is for looking only. Thread context. Errors: -EINVAL (more than one CPU: events have no order), -ENOENT (the
// persona has no trace), -EBUSY (another hash is taken).
err_t trace_hash_begin(struct trace_hash *hash, bool print) must_check;
void trace_hash_end(struct trace_hash *hash);

#endif
