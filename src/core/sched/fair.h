// SPDX-License-Identifier: MIT
//
// The fair class's share of every switch, inline; the story is in class_fair.c.
#ifndef SCHED_FAIR_H
#define SCHED_FAIR_H

#include "sched_impl.h"

#define FAIR_UNIT_SHIFT 8 // virtual units per ns at nice 0
#define FAIR_WEIGHT_SHIFT 12

// Below 2^32 ns, so that the product fits. Who ran longer alone competed with nobody.
static inline uint64_t fair_virtual(const struct thread *thread, uint64_t ns)
{
	return (MIN(ns, (uint64_t)UINT32_MAX) * thread->weight_inverse) >> (32 - FAIR_WEIGHT_SHIFT - FAIR_UNIT_SHIFT);
}

// A request is one slice, as long as it is now.
static inline uint64_t fair_request(struct thread *thread)
{
	thread->request_v = fair_virtual(thread, sched_slice_ns());
	return thread->request_v;
}

static inline bool fair_before(const struct rb_node *a, const struct rb_node *b)
{
	const struct thread *ta = rb_entry((struct rb_node *)(uintptr_t)a, struct thread, runq_node);
	const struct thread *tb = rb_entry((struct rb_node *)(uintptr_t)b, struct thread, runq_node);
	return (int64_t)(ta->deadline_v - tb->deadline_v) < 0;
}

// Brings the queue's virtual time up to the weighted mean.
static inline uint64_t fair_virtual_now(struct fair_queue *queue)
{
	if (queue->lead > 0) {
		int64_t weight = (int64_t)queue->weight;
		int64_t advance = queue->lead / weight;
		queue->virtual_now += (uint64_t)advance;
		queue->lead -= advance * weight;
	}
	return queue->virtual_now;
}

// A new turn is a new request from here on: behind everybody who has asked before, and never further away than that.
static inline void fair_put(struct runq *rq, struct thread *thread, enum put_how how)
{
	if (how == PUT_NEW_TURN)
		thread->deadline_v = thread->vruntime + thread->request_v;
	rb_insert(&rq->fair.tree, &thread->runq_node, fair_before);
	rq->fair.count++;
	rq->ready_mask |= 1u << ORDER_FAIR;
}

static inline void fair_take(struct runq *rq, struct thread *thread)
{
	// Two threads that take turns meet an empty or a one-node tree each time.
	if (--rq->fair.count != 0) {
		rb_remove(&rq->fair.tree, &thread->runq_node);
		return;
	}
	rb_init(&rq->fair.tree);
	thread->runq_node = (struct rb_node){0};
	rq->ready_mask &= ~(1u << ORDER_FAIR);
}

static inline struct thread *fair_first(const struct runq *rq)
{
	return rb_first_entry(&rq->fair.tree, struct thread, runq_node);
}

static inline void fair_charge(struct runq *rq, struct thread *thread, uint64_t ran_ns)
{
	uint64_t advance = fair_virtual(thread, ran_ns);
	thread->vruntime += advance;
	rq->fair.lead += (int64_t)(advance * thread->weight);
	if ((int64_t)(thread->vruntime - thread->deadline_v) >= 0) {
		thread->deadline_v = thread->vruntime + fair_request(thread);
		(void)fair_virtual_now(&rq->fair); // keeps `lead` small
	}
}

static inline bool fair_beats(const struct thread *a, const struct thread *running)
{
	return (int64_t)(a->deadline_v - running->deadline_v) < 0;
}

static inline uint64_t fair_slice(const struct runq *rq, const struct thread *running)
{
	if (rq->fair.count == 0)
		return TB_FOREVER;
	uint64_t left = running->deadline_v - running->vruntime;
	return ((left * running->weight) >> (FAIR_WEIGHT_SHIFT + FAIR_UNIT_SHIFT)) + 1;
}

#endif
