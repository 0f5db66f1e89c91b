// SPDX-License-Identifier: MIT
//
// The real-time classes FIFO and RR (POSIX.1-2017, System Interfaces 2.8.4): one list per priority, a bitmap of the lists that
// are not empty, so that every operation takes constant time. Both share the lists. A thread that was preempted goes back
// to the head of its list; one that yields, or whose RR slice has ended, to the tail.
#include "sched_impl.h"

void rt_queue_init(struct rt_queue *queue)
{
	for (uint32_t i = 0; i < RT_LEVELS; i++)
		list_init(&queue->levels[i]);
}

static void rt_join(struct runq *rq, struct thread *thread)
{
	(void)rq;
	thread->slice_left_ns = sched_slice_ns();
}

static void rt_leave(struct runq *rq, struct thread *thread)
{
	(void)rq;
	(void)thread;
}

static void rt_put(struct runq *rq, struct thread *thread, enum put_how how)
{
	uint32_t level = (uint32_t)thread->prio;
	ASSERT3(level, <, RT_LEVELS);
	// A preempted RR thread whose slice has ended has had its turn.
	if (how == PUT_NEW_TURN || (how == PUT_HEAD && thread->klass == CLASS_RR && thread->slice_left_ns == 0)) {
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

static uint32_t rt_lowest_level(const struct rt_queue *queue, uint32_t from)
{
	uint32_t keep = UINT32_MAX << (from % 32);
	for (uint32_t i = from / 32; i < RT_WORDS; i++) {
		if ((queue->bitmap[i] & keep) != 0)
			return i * 32 + bit_lowest_u32(queue->bitmap[i] & keep);
		keep = UINT32_MAX;
	}
	return RT_LEVELS;
}

static void rt_take(struct runq *rq, struct thread *thread)
{
	uint32_t level = (uint32_t)thread->prio;
	list_remove(&thread->runq_link);
	if (!list_is_empty(&rq->rt.levels[level]))
		return;
	rq->rt.bitmap[level / 32] &= ~(1u << (level % 32));
	if (rt_lowest_level(&rq->rt, 0) == RT_LEVELS)
		rq->ready_mask &= ~(1u << ORDER_RT);
}

static struct thread *rt_head(const struct rt_queue *queue, uint32_t level)
{
	return level == RT_LEVELS ? NULL : list_first_entry(&queue->levels[level], struct thread, runq_link);
}

static struct thread *rt_first(const struct runq *rq)
{
	return rt_head(&rq->rt, rt_lowest_level(&rq->rt, 0));
}

static struct thread *rt_next(const struct runq *rq, const struct thread *thread)
{
	uint32_t level = (uint32_t)thread->prio;
	const struct list_node *node = list_next(&rq->rt.levels[level], &thread->runq_link);
	if (node != NULL)
		return container_of((struct list_node *)(uintptr_t)node, struct thread, runq_link);
	return level + 1 == RT_LEVELS ? NULL : rt_head(&rq->rt, rt_lowest_level(&rq->rt, level + 1));
}

static void fifo_charge(struct runq *rq, struct thread *thread, uint64_t ran_ns)
{
	(void)rq;
	(void)thread;
	(void)ran_ns;
}

static void rr_charge(struct runq *rq, struct thread *thread, uint64_t ran_ns)
{
	(void)rq;
	thread->slice_left_ns -= MIN(thread->slice_left_ns, ran_ns);
}

static bool rt_beats(const struct thread *a, const struct thread *running)
{
	if (a->prio != running->prio)
		return a->prio < running->prio;
	return running->klass == CLASS_RR && running->slice_left_ns == 0;
}

static uint64_t fifo_slice(const struct runq *rq, const struct thread *running)
{
	(void)rq;
	(void)running;
	return TB_FOREVER;
}

static uint64_t rr_slice(const struct runq *rq, const struct thread *running)
{
	return list_is_empty(&rq->rt.levels[running->prio]) ? TB_FOREVER : running->slice_left_ns;
}

const struct sched_class class_fifo = {
	.name = "fifo",
	.order = ORDER_RT,
	.join = rt_join,
	.leave = rt_leave,
	.put = rt_put,
	.take = rt_take,
	.first = rt_first,
	.next = rt_next,
	.charge = fifo_charge,
	.beats = rt_beats,
	.slice = fifo_slice,
};

const struct sched_class class_rr = {
	.name = "rr",
	.order = ORDER_RT,
	.join = rt_join,
	.leave = rt_leave,
	.put = rt_put,
	.take = rt_take,
	.first = rt_first,
	.next = rt_next,
	.charge = rr_charge,
	.beats = rt_beats,
	.slice = rr_slice,
};
