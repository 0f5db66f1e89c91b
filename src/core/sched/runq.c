// SPDX-License-Identifier: MIT
//
// The run queue of a CPU: threads in and out, through their class; who goes first; whether the running one must go; when its
// slice ends. Everything here runs masked.
#include "runq.h"

// A thread's home may change until its lock is held.
struct runq *thread_lock(struct thread *thread, bool *was)
{
	for (;;) {
		struct cpu *home = atomic_load_ptr_acquire(&thread->home);
		*was = runq_lock(home->runq);
		if (likely(atomic_load_ptr_acquire_nopoint(&thread->home) == home))
			return home->runq;
		runq_unlock(home->runq, *was);
	}
}

// Adds to what a CPU is to look at; true when it has to be interrupted: a bit that is set already has its IPI on the way.
static bool runq_note(struct runq *rq, uint32_t request)
{
	return (atomic_fetch_or_u32_acq_rel(&rq->requests, request) & request) != request;
}

void runq_tell(struct runq *rq, uint32_t request)
{
	if (!runq_note(rq, request))
		return;
	trace_emit(TRACE_IRQ_IPI, rq->cpu->hal.index, 0);
	hal_ipi(&rq->cpu->hal);
}

// The interrupt is sent by runq_unlock(): its CPU would run into the lock.
static void runq_ask_locked(struct runq *rq, uint32_t request)
{
	if (rq->cpu != this_cpu())
		rq->ipi_due |= runq_note(rq, request);
	else if (request == REQUEST_RESCHED)
		resched_set_own();
}

void runq_unlock(struct runq *rq, bool was)
{
	bool due = rq->ipi_due;
	rq->ipi_due = false;
	biased_free(&rq->lock);
	if (due) {
		trace_emit(TRACE_IRQ_IPI, rq->cpu->hal.index, 0);
		hal_ipi(&rq->cpu->hal);
	}
	irq_restore(was);
}

// The slice's end has come closer: the CPU must know.
void runq_rearm_locked(struct runq *rq)
{
	if (rq->slice_end_ns == TB_FOREVER)
		return;
	if (rq->cpu == this_cpu())
		timer_at_latest(rq->cpu, rq->slice_end_ns);
	else
		runq_ask_locked(rq, REQUEST_PROGRAM);
}

// Has the newcomer a right to run at once?
static bool runq_preempts(struct runq *rq, const struct thread *thread)
{
	const struct thread *running = rq->cpu->running;
	if (!runq_beats(thread, running))
		return false;
	return class_of(thread)->order != ORDER_FAIR || class_of(running)->order != ORDER_FAIR ||
	       fair_is_eligible(&rq->fair, thread);
}

void runq_enqueue_locked(struct runq *rq, struct thread *thread, uint64_t now_ns)
{
	ASSERT3(thread->state, ==, THREAD_READY);
	ASSERT3(thread->home, ==, rq->cpu);
	runq_charge_locked(rq, now_ns);
	class_of(thread)->join(rq, thread);
	runq_put_locked(rq, thread, PUT_TAIL);
	bool preempts = runq_preempts(rq, thread);
	if (preempts)
		runq_ask_locked(rq, REQUEST_RESCHED);
	if (rq->slice_end_ns == TB_FOREVER) {
		runq_set_slice_locked(rq, now_ns);
		if (!preempts)
			runq_rearm_locked(rq);
	}
}

void runq_dequeue_locked(struct runq *rq, struct thread *thread)
{
	runq_take_locked(rq, thread);
	class_of(thread)->leave(rq, thread);
}

void runq_look_locked(struct runq *rq)
{
	const struct thread *first = runq_first_locked(rq);
	struct thread *running = rq->cpu->running;
	running->expelled = running != rq->cpu->idle && !balance_allows(running, rq->cpu->hal.index);
	if (running->expelled || (first != NULL && runq_beats(first, running)))
		runq_ask_locked(rq, REQUEST_RESCHED);
}

// The CPU's own timer has come.
void runq_tick(struct runq *rq, uint64_t now_ns)
{
	biased_own(&rq->lock);
	if (now_ns >= rq->slice_end_ns) {
		runq_charge_locked(rq, now_ns);
		runq_look_locked(rq);
		runq_set_slice_locked(rq, now_ns);
	}
	biased_drop(&rq->lock);
}
