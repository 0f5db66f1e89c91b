// SPDX-License-Identifier: MIT
//
// The idle class: one thread per CPU, which is on no queue and runs when no other class has anybody. The table of all
// classes is here because this one comes last.
#include "sched_impl.h"

const struct sched_class *const sched_classes[CLASS_IDLE + 1] = {
	[CLASS_FIFO] = &class_fifo,
	[CLASS_RR] = &class_rr,
	[CLASS_FAIR] = &class_fair,
	[CLASS_IDLE] = &class_idle,
};

static void idle_nothing(struct runq *rq, struct thread *thread)
{
	(void)rq;
	(void)thread;
}

static struct thread *idle_first(const struct runq *rq)
{
	return rq->cpu->idle;
}

static struct thread *idle_next(const struct runq *rq, const struct thread *thread)
{
	(void)rq;
	(void)thread;
	return NULL;
}

static void idle_charge(struct runq *rq, struct thread *thread, uint64_t ran_ns)
{
	(void)rq;
	(void)thread;
	(void)ran_ns;
}

static bool idle_beats(const struct thread *a, const struct thread *running)
{
	(void)a;
	(void)running;
	return false;
}

static uint64_t idle_slice(const struct runq *rq, const struct thread *running)
{
	(void)rq;
	(void)running;
	return TB_FOREVER;
}

const struct sched_class class_idle = {
	.name = "idle",
	.order = ORDER_IDLE,
	.join = idle_nothing,
	.leave = idle_nothing,
	.first = idle_first,
	.next = idle_next,
	.charge = idle_charge,
	.beats = idle_beats,
	.slice = idle_slice,
};
