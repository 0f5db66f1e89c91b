// SPDX-License-Identifier: MIT
//
// The fair class: run time in proportion to weight. Each thread has a virtual run time, which advances by run time over weight, and
// asks for one slice at a time; the request's virtual deadline is where the virtual run time will be when it is served. The earliest
// deadline runs. Virtual time here is in 1/256 ns at nice 0 and wraps: compare differences.
//
// The queue's own virtual time is the weighted mean of its threads' (Stoica, Abdel-Wahab 1995), made monotonic, so that
// those who leave while ahead cannot send newcomers back in time. A thread that comes back is placed where it left off, but
// at most one request behind that mean (its claim for the past is bounded: sleepers starve nobody) or ahead of it.
#include "fair.h"

#define FAIR_NICE_MIN (-20)
#define FAIR_NICE_COUNT 40

// round(4096 / 1.25^nice): one step of nice is a quarter more or less.
static const uint32_t fair_weights[FAIR_NICE_COUNT] = {
	355271, 284217, 227374, 181899, 145519, 116415, 93132, 74506, 59605, 47684, 38147, 30518, 24414, 19531,
	15625,  12500,  10000,  8000,   6400,   5120,   4096,  3277,  2621,  2097,  1678,  1342,  1074,  859,
	687,    550,    440,    352,    281,    225,    180,   144,   115,   92,    74,    59,
};

void fair_set_nice(struct thread *thread, int32_t nice)
{
	ASSERT3(thread->fair_joined, ==, 0);
	thread->weight = fair_weights[nice - FAIR_NICE_MIN];
	// Rounded up, so that a slice computed from the weight has really ended when its timer comes.
	thread->weight_inverse = (uint32_t)((1ull << 32) / thread->weight) + 1;
}

bool fair_is_eligible(struct fair_queue *queue, const struct thread *thread)
{
	return (int64_t)(thread->vruntime - fair_virtual_now(queue)) <= 0;
}

static void fair_join(struct runq *rq, struct thread *thread)
{
	struct fair_queue *queue = &rq->fair;
	uint64_t now = fair_virtual_now(queue);
	int64_t request = (int64_t)fair_request(thread);
	int64_t lead = thread->fair_lag ? -(int64_t)thread->vruntime : (int64_t)(thread->vruntime - now);

	ASSERT3(thread->fair_joined, ==, 0);
	lead = CLAMP(lead, -request, request);
	thread->fair_lag = 0;
	thread->vruntime = now + (uint64_t)lead;
	thread->deadline_v = thread->vruntime + (uint64_t)request;
	thread->fair_joined = 1;
	queue->joined++;
	queue->weight += thread->weight;
	queue->lead += lead * (int64_t)thread->weight;
}

static void fair_leave(struct runq *rq, struct thread *thread)
{
	struct fair_queue *queue = &rq->fair;
	uint64_t now = fair_virtual_now(queue);

	ASSERT3(thread->fair_joined, ==, 1);
	thread->fair_joined = 0;
	queue->joined--;
	queue->weight -= thread->weight;
	queue->lead -= (int64_t)(thread->vruntime - now) * (int64_t)thread->weight;
}

// Virtual times of two queues have nothing in common: what a thread takes along is its distance.
void fair_detach(struct runq *rq, struct thread *thread)
{
	ASSERT3(thread->fair_joined, ==, 0);
	if (thread->fair_lag)
		return;
	thread->vruntime = fair_virtual_now(&rq->fair) - thread->vruntime;
	thread->fair_lag = 1;
}

static struct thread *fair_next(const struct runq *rq, const struct thread *thread)
{
	(void)rq;
	return rb_entry_or_null(rb_next(&thread->runq_node), struct thread, runq_node);
}

const struct sched_class class_fair = {
	.name = "fair",
	.order = ORDER_FAIR,
	.join = fair_join,
	.leave = fair_leave,
	.first = fair_first,
	.next = fair_next,
	.charge = fair_charge,
	.beats = fair_beats,
	.slice = fair_slice,
};
