// SPDX-License-Identifier: MIT
//
// The slow way out of preempt_enable(): taken when the scheduler wants this CPU, and always under the simulator, which keeps
// HAL_RESCHED_POINT set so that leaving a per-CPU section is a schedule point.
#include "sync_impl.h"

static void quiescent_unmasked(void)
{
	bool was = hal_irq_save();
	rcu_quiescent();
	hal_irq_restore(was);
}

void preempt_enable_slow(void)
{
	uint32_t why = atomic_load_u32_relaxed_nopoint(&hal_self()->resched);

	if ((why & HAL_RESCHED_WANTED) != 0 && !hal_irq_masked()) {
		quiescent_unmasked();
		kernel_self()->hooks->resched();
	}
	if ((why & HAL_RESCHED_POINT) != 0)
		hal_point(HAL_POINT_PERCPU);
}
