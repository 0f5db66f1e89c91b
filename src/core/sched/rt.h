// SPDX-License-Identifier: MIT
//
// The real-time classes' share of every switch, inline; the story is in class_rt.c.
#ifndef SCHED_RT_H
#define SCHED_RT_H

#include "sched_impl.h"

static inline void rt_put(struct runq *rq, struct thread *thread, enum put_how how)
{
	uint32_t level = (uint32_t)thread->prio;
	ASSERT3(level, <, RT_LEVELS);
	// A preempted RR thread whose slice has ended has had its turn.
	if (thread->klass == CLASS_RR && (how == PUT_NEW_TURN || (how == PUT_HEAD && thread->slice_left_ns == 0))) {
		thread->slice_left_ns = sched_slice_ns();
		how = PUT_TAIL;
	}
	if (how == PUT_HEAD)
		list_push_front(&rq->rt.levels[level], &thread->runq_link);
	else
		list_push_back(&rq->rt.levels[level], &thread->runq_link);
	rq->rt.bitmap[level / 32] |= 1u << (level % 32);
	rq->ready_mask |= 1u << ORDER_RT;
}

static inline void rt_take(struct runq *rq, struct thread *thread)
{
	uint32_t level = (uint32_t)thread->prio;
	uint32_t any = 0;
	list_remove(&thread->runq_link);
	if (!list_is_empty(&rq->rt.levels[level]))
		return;
	rq->rt.bitmap[level / 32] &= ~(1u << (level % 32));
	for (uint32_t i = 0; i < RT_WORDS; i++)
		any |= rq->rt.bitmap[i];
	if (any == 0)
		rq->ready_mask &= ~(1u << ORDER_RT);
}

// The first level from `from` on that is not empty; RT_LEVELS: none.
static inline uint32_t rt_lowest_level(const struct rt_queue *queue, uint32_t from)
{
	uint32_t keep = UINT32_MAX << (from % 32);
	for (uint32_t i = from / 32; i < RT_WORDS; i++) {
		if ((queue->bitmap[i] & keep) != 0)
			return i * 32 + bit_lowest_u32(queue->bitmap[i] & keep);
		keep = UINT32_MAX;
	}
	return RT_LEVELS;
}

static inline struct thread *rt_head(const struct rt_queue *queue, uint32_t level)
{
	return level == RT_LEVELS ? NULL : list_first_entry(&queue->levels[level], struct thread, runq_link);
}

static inline struct thread *rt_first(const struct runq *rq)
{
	return rt_head(&rq->rt, rt_lowest_level(&rq->rt, 0));
}

static inline void rt_charge(struct runq *rq, struct thread *thread, uint64_t ran_ns)
{
	(void)rq;
	if (thread->klass == CLASS_RR)
		thread->slice_left_ns -= MIN(thread->slice_left_ns, ran_ns);
}

static inline bool rt_beats(const struct thread *a, const struct thread *running)
{
	if (a->prio != running->prio)
		return a->prio < running->prio;
	return running->klass == CLASS_RR && running->slice_left_ns == 0;
}

// Among equals only: whoever is more urgent has taken over already. A slice that is over, where no switch was possible yet, is looked at
// again after a while and not at once.
static inline uint64_t rt_slice(const struct runq *rq, const struct thread *running)
{
	if (running->klass == CLASS_FIFO || list_is_empty(&rq->rt.levels[running->prio]))
		return TB_FOREVER;
	return running->slice_left_ns != 0 ? running->slice_left_ns : TIMER_BREATH_NS;
}

#endif
