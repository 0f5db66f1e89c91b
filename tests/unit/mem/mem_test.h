// SPDX-License-Identifier: MIT
//
// What the bodies of tests/unit/mem share: how much of a loop each engine can afford, crowds of threads, patterns in
// memory, and figures to compare before and after.
#ifndef MEM_TEST_H
#define MEM_TEST_H

#include "hal/hal.h"
#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/test.h"

#define CROWD_MAX 16u

// The simulator runs bodies for hundreds of seeds: `many` on real CPUs, `few` there.
static inline uint32_t loops(uint32_t many, uint32_t few)
{
	return (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0 ? few : many;
}

struct crowd_member {
	struct test_run *run;
	void *shared;
	uint32_t index;
	struct thread *thread;
};

// Runs fn in `count` ≤ CROWD_MAX threads at once, member i preferring CPU i, and waits for all of them.
void crowd_run(TEST_RUN, uint32_t count, void (*fn)(struct crowd_member *), void *shared);

// All frames that can come back do: the magazines of every CPU, depots, frame caches.
void mem_settle(TEST_RUN);

// Frames in use, and those that slabs use: all that is left is the scheduler's, which keeps some stacks.
uint32_t frames_used(void);
uint32_t slab_frames(void);

// Fills a block so that any byte tells where it belongs, and tells whether all still do.
void block_fill(void *block, size_t size_bytes, uint32_t key);
bool block_is_intact(const void *block, size_t size_bytes, uint32_t key);
bool block_is_all(const void *block, size_t size_bytes, uint8_t byte);

static inline bool is_aligned_to(const void *pointer, size_t align)
{
	return ((uintptr_t)pointer & (align - 1)) == 0;
}

#endif
