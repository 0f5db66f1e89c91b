// SPDX-License-Identifier: MIT
//
// The switch: the running thread gives up its CPU for a reason, the best one takes over, and what the reason asks for is done
// once the old stack is left. One look at the clock per switch.
#include "runq.h"

// A thread that serves a call of the host goes to sleep or ends: the HAL may want its CPU back.
static void switch_call_stops(struct runq *rq, struct thread *prev, enum switch_why why)
{
	if (prev->call_token != 0 && why == SWITCH_PARK) {
		hal_call_sleeping(prev->call_token, true);
		prev->call_asleep = 1;
	}
	rq->let_go |= hal_call_wants_cpu();
}

// Whether `first` is to run although the running thread would go on.
static bool switch_is_right(const struct thread *first, const struct thread *running, enum switch_why why)
{
	if (why != SWITCH_YIELD)
		return runq_beats(first, running);
	// Equals go first, too.
	if (class_of(first)->order != class_of(running)->order)
		return class_of(first)->order < class_of(running)->order;
	return class_of(first)->order != ORDER_RT || first->prio <= running->prio;
}

// Whom to run instead of `prev`, taken out of the queue; `prev` itself when nobody has a better right. Idle comes first when
// it is to hand the CPU to the HAL, whoever else is ready.
static struct thread *switch_pick(struct runq *rq, struct thread *prev, enum switch_why why)
{
	struct thread *first = runq_first_locked(rq);
	bool goes = why >= SWITCH_PARK || prev->expelled != 0;
	if (unlikely((prev->flags & THREAD_FLAG_API) != 0 && why >= SWITCH_PARK))
		switch_call_stops(rq, prev, why);
	if (unlikely(rq->let_go != 0))
		return rq->cpu->idle;
	if (first == NULL)
		return goes ? rq->cpu->idle : prev;
	if (!goes && !switch_is_right(first, prev, why))
		return prev;
	runq_take_locked(rq, first);
	return first;
}

// The thread that leaves: its new state, and what is left to do for it after the switch.
static enum switch_fate switch_out(struct runq *rq, struct thread *prev, enum switch_why why)
{
	if (why == SWITCH_PARK) {
		thread_state_set(prev, THREAD_PARKED);
		class_of(prev)->leave(rq, prev);
		return FATE_NONE;
	}
	if (why == SWITCH_EXIT) {
		thread_state_set(prev, THREAD_DEAD);
		class_of(prev)->leave(rq, prev);
		return FATE_DEAD;
	}
	thread_state_set(prev, THREAD_READY);
	if (prev->klass == CLASS_IDLE)
		return FATE_NONE;
	if (unlikely(prev->expelled)) {
		prev->expelled = 0;
		class_of(prev)->leave(rq, prev);
		return FATE_EXPELLED;
	}
	if (why == SWITCH_PREEMPT)
		prev->stats.preemptions++;
	runq_put_locked(rq, prev, why == SWITCH_PREEMPT ? PUT_HEAD : PUT_NEW_TURN);
	return FATE_WAITING;
}

static void switch_in(struct runq *rq, struct thread *next, uint64_t now_ns)
{
	uint64_t waited_ns = sched_passed_ns(next->since_ns, now_ns);
	next->since_ns = now_ns;
	if (next->klass != CLASS_IDLE) {
		next->stats.wait_ns += waited_ns;
		if (waited_ns > next->stats.wait_max_ns)
			next->stats.wait_max_ns = waited_ns;
		if (waited_ns > rq->latency_max_ns)
			rq->latency_max_ns = waited_ns;
	}
	next->stats.switches++;
	rq->switches++;
	thread_state_set(next, THREAD_RUNNING);
	atomic_store_u32_relaxed_nopoint(&next->on_cpu, 1);
	next->hal.cpu = &rq->cpu->hal;
	rq->cpu->running = next;
	atomic_store_u32_relaxed_nopoint((uint32_t *)&rq->running_prio, (uint32_t)next->prio);
}

// Whether the thread may not park after all.
static bool switch_is_off(const struct thread *prev, enum switch_why why)
{
	return why == SWITCH_PARK && (atomic_load_u32_relaxed_nopoint(&prev->permit) != 0 ||
				      atomic_load_u32_relaxed_nopoint(&prev->park_timed_out) != 0);
}

void sched_switch(enum switch_why why)
{
	struct thread *prev = current;
	struct cpu *cpu = this_cpu();
	struct runq *rq = cpu->runq;

	resched_clear_own();
	biased_own(&rq->lock);
	uint64_t now_ns = sched_now_ns();
	runq_charge_locked(rq, now_ns);
	struct thread *next = switch_is_off(prev, why) ? prev : switch_pick(rq, prev, why);
	if (next == prev) {
		runq_set_slice_locked(rq, now_ns);
		timer_at_latest(cpu, rq->slice_end_ns);
		biased_drop(&rq->lock);
		return;
	}
	cpu->switch_fate = switch_out(rq, prev, why);
	switch_in(rq, next, now_ns);
	runq_set_slice_locked(rq, now_ns);
	timer_at_latest(cpu, rq->slice_end_ns);
	rq->last = prev;
	biased_drop(&rq->lock);

	ASSERT3(prev->stack_canary, ==, THREAD_CANARY);
	stack_note_depth(prev);
	trace_emit(TRACE_SCHED_SWITCH, prev->id, next->id);
	rcu_quiescent();
	cpu->switched_from = prev;
	if (why == SWITCH_EXIT)
		hal_context_exit(&prev->hal, &next->hal);
	hal_context_switch(&prev->hal, &next->hal);
	sched_switch_finish();
}

static void switch_settle(struct runq *rq, struct thread *from, enum switch_fate fate)
{
	struct cpu *helper = NULL;
	if (fate == FATE_WAITING)
		helper = balance_find_helper(rq, from);
	atomic_store_u32_release_nopoint(&from->on_cpu, 0);
	if (helper != NULL)
		runq_tell(helper->runq, REQUEST_RESCHED);
	if (fate == FATE_EXPELLED)
		balance_send(from);
	else if (fate == FATE_DEAD)
		thread_bury(from);
}

// First act of whoever runs next, masked: from here on the thread that left may run elsewhere.
void sched_switch_finish(void)
{
	struct thread *self = current;
	struct cpu *cpu = this_cpu();
	struct thread *from = cpu->switched_from;

	cpu->switched_from = NULL;
	if (unlikely(self->call_asleep)) {
		self->call_asleep = 0;
		hal_call_sleeping(self->call_token, false);
	}
	if (cpu->switch_fate == FATE_NONE)
		atomic_store_u32_release_nopoint(&from->on_cpu, 0);
	else
		switch_settle(cpu->runq, from, cpu->switch_fate);
}

// Somebody has found HAL_RESCHED_WANTED with preemption on.
void sched_resched(void)
{
	bool was = hal_irq_save();
	struct thread *self = current;
	if (!was && self->hal.preempt_count == 0 && (self->hal.resched & HAL_RESCHED_WANTED) != 0)
		sched_switch(SWITCH_PREEMPT);
	hal_irq_restore(was);
}

void thread_yield(void)
{
	ASSERT3(current->hal.preempt_count, ==, 0);
	bool was = hal_irq_save();
	ASSERT(!was);
	sched_switch(SWITCH_YIELD);
	hal_irq_restore(was);
}
