// SPDX-License-Identifier: MIT
//
// Base: what everything else reports, counts, orders and asserts with.
//
// Purpose. The lowest layer of the kernel. It knows the HAL, struct kernel and struct cpu, and nobody above it; it takes no
// locks, never sleeps and allocates only while booting. Two kinds of things live here: pure code (containers, text,
// hashes, chance) and the instance's recorders (log, trace, counters), which anybody may use from anywhere.
//
// Files
//   base.c                           makes the recorders out of the boot arena
//   err.c panic.c                    names of errors and their origin; assertions and the end
//   log.c log_limit.c                lines, console, ring; rate limits per call site
//   trace.c trace_show.c             trace points into rings and to the HAL; records as text and JSON
//   trace_hash.c                     what happened, as one number
//   counter.c                        named counters
//   ring.c byte_ring.c               overwriting record ring, byte FIFO
//   list.c rbtree.c bitmap.c         the checkers and slow halves of containers
//   fmt.c fmt_text.c string.c number.c   text out, text in
//   hash.c rand.c sha256.c compress*.c   numbers, chance, digests, LZ4 / zstd / xxHash
//   image.c                          addresses of constants as run-independent offsets
//
// States. Before base_init() the recorders' pointers in struct kernel and struct cpu are NULL: log lines go straight to
// the console, trace points and counters do nothing. Afterwards they are immutable and live as long as the instance.
//
// Invariants. A record in a ring is whole or not readable (ring.c). Trace arguments and log texts hold no addresses. No
// recorder is a schedule point of the simulator and none masks interrupts: watching does not change what is watched.
//
// Lock order. None is taken, so every rank may be held around a call. May sleep: nothing.
#ifndef BASE_IMPL_H
#define BASE_IMPL_H

#include "kern/log.h"
#include "kern/trace.h"
#include "kern/trace_hash.h"

// fmt_text.c: "ram+0x40", "image-0x12", "(nil)", "(foreign)"; returns the length.
#define FMT_POINTER_SIZE 32u
size_t fmt_pointer(char text[FMT_POINTER_SIZE], const void *pointer);

// log_limit.c: one call site's budget.
#define LOG_SITES 64u
struct log_site {
	uint32_t key;   // atomic; 0: free
	uint32_t spent; // atomic: window in the high half, lines asked for in it in the low half
};

struct log_state {
	struct ring ring;       // struct log_record
	uint32_t console_level; // atomic
	uint32_t ring_level;    // atomic
	struct log_site sites[LOG_SITES];
};

// Whether the site may write at now_ns; *held_back is the number of lines of an earlier window that it was refused.
bool log_limit_admit(struct log_site *sites, uint32_t key, uint64_t now_ns, uint32_t *held_back);

// log.c: the line goes into the ring alone; for panics, whose message the HAL prints.
void log_write_ring(enum log_level level, const char *text);

// Makes the recorders; `slot_count`s are powers of two. Errors: -ENOMEM.
err_t log_init(struct kernel *kernel, uint32_t slot_count) must_check;
err_t trace_init(struct kernel *kernel, uint32_t slot_count) must_check;
// One event into the hash; any context.
void trace_hash_event(struct trace_hash *hash, const struct trace_record *record);
err_t counter_init(struct kernel *kernel) must_check;

#endif
