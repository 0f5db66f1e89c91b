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
		*was = spin_lock_irqsave(&home->runq->lock);
		if (likely(atomic_load_ptr_relaxed_nopoint(&thread->home) == home))
			return home->runq;
		spin_unlock_irqrestore(&home->runq->lock, *was);
	}
}

// Tells a CPU to look; its own, the running thread.
void runq_request(struct runq *rq, uint32_t request)
{
	struct cpu *cpu = rq->cpu;
	if (cpu == this_cpu()) {
		if ((request & REQUEST_RESCHED) != 0)
			resched_set_own();
		return;
	}
	// A bit that is set already has its IPI on the way.
	if ((atomic_fetch_or_u32_acq_rel(&rq->requests, request) & request) == request)
		return;
	trace_emit(TRACE_IRQ_IPI, cpu->hal.index, 0);
	hal_ipi(&cpu->hal);
}

// The slice's end has come closer: the CPU must know.
void runq_rearm_locked(struct runq *rq)
{
	if (rq->slice_end_ns == TB_FOREVER)
		return;
	if (rq->cpu == this_cpu())
		timer_at_latest(rq->cpu, rq->slice_end_ns);
	else
		runq_request(rq, REQUEST_PROGRAM);
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
		runq_request(rq, REQUEST_RESCHED);
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
		runq_request(rq, REQUEST_RESCHED);
}

// The CPU's own timer has come.
void runq_tick(struct runq *rq, uint64_t now_ns)
{
	spin_lock(&rq->lock);
	if (now_ns >= rq->slice_end_ns) {
		runq_charge_locked(rq, now_ns);
		runq_look_locked(rq);
		runq_set_slice_locked(rq, now_ns);
	}
	spin_unlock(&rq->lock);
}
