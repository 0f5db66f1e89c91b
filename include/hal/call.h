// SPDX-License-Identifier: MIT
//
// Core door: calls from the host. A host thread that wants something done inside borrows an idle CPU: it claims the
// CPU, raises HAL_IRQ_CALL there and drives that CPU itself, so that the kernel thread that serves the call runs with no
// hand-over. When that thread blocks or ends, the kernel lets the CPU fall idle as soon as it can and the host thread
// gives it back. With no idle CPU the call waits in the HAL's queue for HAL_IRQ_CALL on a busy one.
#ifndef HAL_CALL_H
#define HAL_CALL_H

#include "hal/inline.h"

struct hal_call {
	uint64_t token; // names the call; never 0
	int64_t (*fn)(void *);
	void *arg;
};

// Takes the next call that waits for this instance; false when none does. When more wait, HAL_IRQ_CALL is raised again on this
// CPU: a taker need only see to one call for each interrupt. irq-safe.
bool hal_call_take(struct hal_call *call);

// The call has ended: its host thread may return `result` now. Any context.
void hal_call_done(uint64_t token, int64_t result);

// Whether this CPU is driven by a borrowing host thread whose call has ended or sleeps, which wants to be let go: the
// scheduler then picks the idle thread once, even though others may be runnable; hal_cpu_idle() hands the CPU over. An idle
// loop that leaves runnable threads behind calls hal_ipi() on its own CPU first: that tells the HAL to have the CPU driven on. irq-safe.
bool hal_call_wants_cpu(void);

// Tells the HAL that the thread serving `token` is about to sleep (true) or runs again (false). Masked.
void hal_call_sleeping(uint64_t token, bool sleeping);

#endif
