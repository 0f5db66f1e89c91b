// SPDX-License-Identifier: MIT
//
// Parking. The permit is set before the state is looked at, and looked at under the run queue's lock before the state is
// set: whichever of park and unpark takes the lock first, the other sees it.
#include "sched_impl.h"

struct park_timeout {
	struct timer timer;
	struct thread *thread;
};

static bool permit_take(struct thread *self)
{
	if (atomic_load_u32_relaxed(&self->permit) == 0)
		return false;
	// Reads what the last of several unparks has written.
	return atomic_xchg_u32_acquire(&self->permit, 0) != 0;
}

// Whether a parked thread has what it waits for. Not so when it took the permit before whoever set it came here, and
// has parked again.
static bool park_is_over(const struct thread *thread)
{
	return atomic_load_u32_relaxed_nopoint(&thread->permit) != 0 ||
	       atomic_load_u32_relaxed_nopoint(&thread->park_timed_out) != 0;
}

// Makes a parked thread ready, where it may best run.
void thread_wake(struct thread *thread)
{
	for (bool settled = false;; settled = true) {
		bool was;
		struct runq *rq = thread_lock(thread, &was);
		if (thread->state != THREAD_PARKED || !park_is_over(thread)) {
			runq_unlock(rq, was);
			return;
		}
		struct cpu *target = balance_place_locked(rq, thread, settled);
		if (likely(target == rq->cpu)) {
			uint64_t now_ns = sched_now_ns();
			thread->stats.park_ns += sched_passed_ns(thread->since_ns, now_ns);
			thread->stats.wakeups++;
			thread->since_ns = now_ns;
			thread_state_set(thread, THREAD_READY);
			trace_emit(TRACE_SCHED_WAKE, thread->id, target->hal.index);
			runq_enqueue_locked(rq, thread, now_ns);
		} else if (target != NULL) {
			balance_rehome_locked(rq, thread, target);
		}
		runq_unlock(rq, was);
		if (target == rq->cpu)
			return;
		if (target == NULL)
			hal_cpu_relax();
	}
}

void thread_unpark(struct thread *thread)
{
	if (atomic_xchg_u32_acq_rel(&thread->permit, 1) != 0)
		return;
	thread_wake(thread);
}

static void park_expired(struct timer *timer)
{
	struct thread *thread = container_of(timer, struct park_timeout, timer)->thread;
	atomic_store_u32_relaxed(&thread->park_timed_out, 1);
	thread_wake(thread);
}

static void park_now(struct thread *self, uint64_t deadline_ns)
{
	bool was = hal_irq_save();
	VERIFY(!was);
	VERIFY3(self->hal.preempt_count, ==, 0);
	trace_emit(TRACE_SCHED_PARK, self->id, deadline_ns);
	sched_switch(SWITCH_PARK);
	hal_irq_restore(was);
}

static err_t park_until(struct thread *self, uint64_t deadline_ns)
{
	struct park_timeout timeout = {.thread = self};

	if (clock_now_ns() >= deadline_ns)
		return -ETIMEDOUT;
	timer_setup(&timeout.timer, park_expired);
	timer_arm(&timeout.timer, deadline_ns);
	park_now(self, deadline_ns);
	(void)timer_cancel_sync(&timeout.timer);
	atomic_store_u32_relaxed(&self->park_timed_out, 0);
	return permit_take(self) ? 0 : -ETIMEDOUT;
}

err_t thread_park(uint64_t deadline_ns)
{
	struct thread *self = current;

	if (permit_take(self))
		return 0;
	if (deadline_ns != TB_FOREVER)
		return park_until(self, deadline_ns);
	park_now(self, deadline_ns);
	bool taken = permit_take(self);
	VERIFY(taken);
	return 0;
}
