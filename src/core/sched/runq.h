// SPDX-License-Identifier: MIT
//
// The run queue's share of every switch, inline. Operations go through the class table; those of the fair class, which nearly
// every thread is in, and of the real-time classes are called directly, so that the compiler sees through them.
#ifndef SCHED_RUNQ_H
#define SCHED_RUNQ_H

#include "fair.h"
#include "rt.h"

static inline bool runq_is_rt(const struct thread *thread)
{
	return thread->klass <= CLASS_RR;
}

// Brings the running thread's figures up to now_ns.
static inline void runq_charge_locked(struct runq *rq, uint64_t now_ns)
{
	struct thread *running = rq->cpu->running;
	// Charged meanwhile by somebody with a later look at the clock.
	if (unlikely(now_ns < running->since_ns))
		return;
	uint64_t ran_ns = now_ns - running->since_ns;
	running->since_ns = now_ns;
	running->stats.run_ns += ran_ns;
	if (likely(running->klass == CLASS_FAIR))
		fair_charge(rq, running, ran_ns);
	else if (runq_is_rt(running))
		rt_charge(rq, running, ran_ns);
	else
		class_of(running)->charge(rq, running, ran_ns);
}

// The best queued thread; NULL when the idle thread is all there is.
static inline struct thread *runq_first_locked(const struct runq *rq)
{
	if (rq->ready_mask == 0)
		return NULL;
	if ((rq->ready_mask & 1u << ORDER_RT) != 0)
		return rt_first(rq);
	return fair_first(rq);
}

static inline bool runq_beats(const struct thread *a, const struct thread *running)
{
	if (likely(a->klass == CLASS_FAIR && running->klass == CLASS_FAIR))
		return fair_beats(a, running);
	enum sched_order order = class_of(running)->order;
	if (class_of(a)->order != order)
		return class_of(a)->order < order;
	return class_of(running)->beats(a, running);
}

static inline void runq_count(struct runq *rq, uint32_t change)
{
	atomic_store_u32_relaxed_nopoint(&rq->ready_count, rq->ready_count + change);
}

static inline void runq_take_locked(struct runq *rq, struct thread *thread)
{
	ASSERT3(thread->on_runq, ==, 1);
	ASSERT3(thread->klass, <=, CLASS_FAIR); // the idle thread is on no queue
	if (likely(thread->klass == CLASS_FAIR))
		fair_take(rq, thread);
	else
		rt_take(rq, thread);
	thread->on_runq = 0;
	runq_count(rq, UINT32_MAX);
}

static inline void runq_put_locked(struct runq *rq, struct thread *thread, enum put_how how)
{
	ASSERT3(thread->on_runq, ==, 0);
	ASSERT3(thread->klass, <=, CLASS_FAIR);
	if (likely(thread->klass == CLASS_FAIR))
		fair_put(rq, thread, how);
	else
		rt_put(rq, thread, how);
	thread->on_runq = 1;
	runq_count(rq, 1);
}

// When the running thread's turn ends, now that the queue is as it is.
static inline void runq_set_slice_locked(struct runq *rq, uint64_t now_ns)
{
	const struct thread *running = rq->cpu->running;
	uint64_t left_ns;
	if (likely(running->klass == CLASS_FAIR))
		left_ns = fair_slice(rq, running);
	else if (runq_is_rt(running))
		left_ns = rt_slice(rq, running);
	else
		left_ns = class_of(running)->slice(rq, running);
	rq->slice_end_ns = left_ns == TB_FOREVER ? TB_FOREVER : now_ns + left_ns;
}

#endif
