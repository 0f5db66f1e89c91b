// SPDX-License-Identifier: MIT
//
// The real-time classes FIFO and RR (POSIX.1-2017, System Interfaces 2.8.4): one list per priority, a bitmap of the lists that
// are not empty, so that every operation takes constant time. Both share the lists. A thread that was preempted goes back
// to the head of its list; one that yields, or whose RR slice has ended, to the tail.
#include "rt.h"

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

static struct thread *rt_next(const struct runq *rq, const struct thread *thread)
{
	uint32_t level = (uint32_t)thread->prio;
	const struct list_node *node = list_next(&rq->rt.levels[level], &thread->runq_link);
	if (node != NULL)
		return container_of((struct list_node *)(uintptr_t)node, struct thread, runq_link);
	return level + 1 == RT_LEVELS ? NULL : rt_head(&rq->rt, rt_lowest_level(&rq->rt, level + 1));
}

const struct sched_class class_fifo = {
	.name = "fifo",
	.order = ORDER_RT,
	.join = rt_join,
	.leave = rt_leave,
	.first = rt_first,
	.next = rt_next,
	.charge = rt_charge,
	.beats = rt_beats,
	.slice = rt_slice,
};

const struct sched_class class_rr = {
	.name = "rr",
	.order = ORDER_RT,
	.join = rt_join,
	.leave = rt_leave,
	.first = rt_first,
	.next = rt_next,
	.charge = rt_charge,
	.beats = rt_beats,
	.slice = rt_slice,
};
