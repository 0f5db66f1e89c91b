// SPDX-License-Identifier: MIT
//
// Preemption control. Nests; the count is the thread's own, so no CPU needs to be known. An interrupt that wants a switch
// while the count is above 0 sets HAL_RESCHED_WANTED in the thread it interrupted, and preempt_enable() obeys.
#ifndef KERN_PREEMPT_H
#define KERN_PREEMPT_H

#include "kern/thread.h"

// The way out of preempt_enable() when a reschedule is wanted or a simulator watches: notes an RCU quiescent state, calls
// the scheduler's resched hook, and is a schedule point (HAL_POINT_PERCPU). Does nothing but the point while masked.
void preempt_enable_slow(void);

// Any context.
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

// May switch threads when the count falls to 0 while interrupts are unmasked. Any context.
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

// hal_irq_restore() for thread code that masks without a lock and may have made a thread ready meanwhile: unmasks, then
// looks at the scheduler as preempt_enable() does. Any context.
static inline void irq_restore(bool was)
{
	hal_irq_restore(was);
	struct hal_thread *self = hal_self();
	if (!was && self->preempt_count == 0 && unlikely(*(volatile uint32_t *)&self->resched != 0))
		preempt_enable_slow();
}

#endif
