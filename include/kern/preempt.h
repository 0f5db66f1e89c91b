// SPDX-License-Identifier: MIT
//
// Preemption control. Nests; the count is the thread's own, so no CPU needs to be known.
#ifndef KERN_PREEMPT_H
#define KERN_PREEMPT_H

#include "kern/thread.h"

// The way out of preempt_enable() when a reschedule is wanted or a simulator watches (core/sync/preempt.c).
void preempt_enable_slow(void);

static inline void preempt_disable(void)
{
	struct hal_thread *self = hal_self();
	*(volatile uint32_t *)&self->preempt_count = self->preempt_count + 1;
	barrier();
}

// Without a look at the scheduler: for callers that are about to switch or hold interrupts masked.
static inline void preempt_enable_quiet(void)
{
	struct hal_thread *self = hal_self();
	barrier();
	*(volatile uint32_t *)&self->preempt_count = self->preempt_count - 1;
}

static inline void preempt_enable(void)
{
	struct hal_thread *self = hal_self();
	barrier();
	uint32_t count = self->preempt_count - 1;
	*(volatile uint32_t *)&self->preempt_count = count;
	barrier();
	if (count == 0 && unlikely(*(volatile uint32_t *)&self->resched != 0))
		preempt_enable_slow();
}

static inline bool preemptible(void)
{
	return hal_self()->preempt_count == 0 && !hal_irq_masked();
}

#endif
