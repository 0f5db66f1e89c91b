// SPDX-License-Identifier: MIT
//
// Named event counters, one word per CPU and counter, summed when somebody looks. Words are as wide as a pointer and wrap.
// Never a schedule point.
#ifndef KERN_COUNTER_H
#define KERN_COUNTER_H

#include "kern/atomic.h"
#include "kern/counter_table.h"
#include "kern/cpu.h"

enum counter_id {
#define X(id, name, help) id,
	COUNTER_TABLE(X)
#undef X
	COUNTER_COUNT
};

// Adds on the running CPU, or on the one it was a moment ago: exact in any context, at the price of an atomic add.
static inline void counter_add(enum counter_id id, uint32_t amount)
{
	struct cpu *cpu = this_cpu();
	if (likely(cpu != NULL && cpu->counters != NULL))
		(void)atomic_fetch_add_word_relaxed_nopoint(&cpu->counters[id], amount);
}

static inline void counter_inc(enum counter_id id)
{
	counter_add(id, 1);
}

// The cheap form: interrupts are masked, or preemption is off and no interrupt touches this counter.
static inline void counter_add_local(enum counter_id id, uint32_t amount)
{
	uintptr_t *counters = this_cpu()->counters;
	if (likely(counters != NULL))
		atomic_store_word_relaxed_nopoint(&counters[id],
						  atomic_load_word_relaxed_nopoint(&counters[id]) + amount);
}

// The sum over all CPUs, not a snapshot: CPUs go on counting. Any context.
uint64_t counter_read(enum counter_id id);
uint64_t counter_read_cpu(enum counter_id id, const struct cpu *cpu);

const char *counter_name(enum counter_id id); // "sched.switches"
const char *counter_help(enum counter_id id); // one line

#endif
