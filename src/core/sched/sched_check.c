// SPDX-License-Identifier: MIT
//
// Every invariant of every run queue and thread, one queue at a time under its lock, so that it may run while everything
// else does. What is broken is logged and counted; trees and lists that cannot be walked are a panic of their own.
#include "fair.h"

#include "kern/log.h"

struct check {
	const struct runq *rq;
	uint32_t bad;
	uint32_t queued; // seen on this queue
	uint64_t weight;
	int64_t lead;
};

#define CHECK_THAT(check, thread, condition)                                                                           \
	do {                                                                                                           \
		if (unlikely(!(condition)))                                                                            \
			check_failed((check), (thread), #condition);                                                   \
	} while (0)

static void check_failed(struct check *check, const struct thread *thread, const char *what)
{
	check->bad++;
	log_err("sched: cpu %u: thread %u: not true: %s", check->rq->cpu->hal.index, thread != NULL ? thread->id : 0,
		what);
}

static void check_queued(struct check *check, const struct thread *thread)
{
	const struct cpu *cpu = check->rq->cpu;
	check->queued++;
	CHECK_THAT(check, thread, thread->magic == THREAD_MAGIC);
	CHECK_THAT(check, thread, thread->stack_canary == THREAD_CANARY);
	CHECK_THAT(check, thread, thread->state == THREAD_READY);
	CHECK_THAT(check, thread, thread->on_runq == 1);
	CHECK_THAT(check, thread, thread->home == cpu);
	CHECK_THAT(check, thread, thread != cpu->running);
	CHECK_THAT(check, thread, balance_allows(thread, cpu->hal.index));
	CHECK_THAT(check, thread, thread->prio == MIN(thread->prio_base, thread->prio_lent));
}

static void check_rt(struct check *check)
{
	const struct rt_queue *queue = &check->rq->rt;
	bool any = false;
	for (uint32_t level = 0; level < RT_LEVELS; level++) {
		const struct thread *thread;
		bool bit = (queue->bitmap[level / 32] >> (level % 32) & 1u) != 0;
		any |= bit;
		(void)list_check(&queue->levels[level]);
		CHECK_THAT(check, NULL, bit == !list_is_empty(&queue->levels[level]));
		list_for_each (thread, &queue->levels[level], runq_link) {
			check_queued(check, thread);
			CHECK_THAT(check, thread, thread->prio == (int32_t)level);
			CHECK_THAT(check, thread, thread->klass <= CLASS_RR);
		}
	}
	CHECK_THAT(check, NULL, any == ((check->rq->ready_mask >> ORDER_RT & 1u) != 0));
}

static void check_fair_sums(struct check *check, const struct thread *thread)
{
	CHECK_THAT(check, thread, thread->fair_joined == 1);
	CHECK_THAT(check, thread, thread->klass == CLASS_FAIR);
	CHECK_THAT(check, thread, (int64_t)(thread->deadline_v - thread->vruntime) >= 0);
	check->weight += thread->weight;
	check->lead += (int64_t)(thread->vruntime - check->rq->fair.virtual_now) * (int64_t)thread->weight;
}

static void check_fair(struct check *check)
{
	const struct runq *rq = check->rq;
	uint32_t count = (uint32_t)rb_check(&rq->fair.tree, fair_before);
	bool running = rq->cpu->running->klass == CLASS_FAIR;

	CHECK_THAT(check, NULL, count == rq->fair.count);
	CHECK_THAT(check, NULL, (count != 0) == ((rq->ready_mask >> ORDER_FAIR & 1u) != 0));
	CHECK_THAT(check, NULL, rq->fair.joined == count + running);
	for (struct thread *t = class_fair.first(rq); t != NULL; t = class_fair.next(rq, t)) {
		check_queued(check, t);
		check_fair_sums(check, t);
	}
	if (running)
		check_fair_sums(check, rq->cpu->running);
	CHECK_THAT(check, NULL, check->weight == rq->fair.weight);
	CHECK_THAT(check, NULL, check->lead == rq->fair.lead);
}

static void check_running(struct check *check)
{
	const struct runq *rq = check->rq;
	const struct thread *running = rq->cpu->running;
	CHECK_THAT(check, running, running->magic == THREAD_MAGIC);
	CHECK_THAT(check, running, running->stack_canary == THREAD_CANARY);
	CHECK_THAT(check, running, running->state == THREAD_RUNNING);
	CHECK_THAT(check, running, running->on_runq == 0);
	CHECK_THAT(check, running, running->on_cpu == 1);
	CHECK_THAT(check, running, running->home == rq->cpu);
	CHECK_THAT(check, running, running->hal.cpu == &rq->cpu->hal);
	CHECK_THAT(check, running, running->prio == rq->running_prio);
	CHECK_THAT(check, running, (running == rq->cpu->idle) == (running->klass == CLASS_IDLE));
	CHECK_THAT(check, running,
		   running == rq->cpu->idle || running->expelled != 0 || balance_allows(running, rq->cpu->hal.index));
	CHECK_THAT(check, running,
		   rq->slice_end_ns != TB_FOREVER || running->klass != CLASS_FAIR || rq->fair.count == 0);
}

static uint32_t check_cpu(const struct cpu *cpu)
{
	struct runq *rq = cpu->runq;
	struct check check = {.rq = rq};
	bool was = runq_lock(rq);
	check_rt(&check);
	check_fair(&check);
	CHECK_THAT(&check, NULL, check.queued == rq->ready_count);
	check_running(&check);
	runq_unlock(rq, was);
	if (timer_check(cpu) != 0)
		check_failed(&check, NULL, "timers counted");
	return check.bad;
}

// What holds for a thread wherever it is, seen from the list of all.
static uint32_t check_thread(struct thread *thread)
{
	bool was;
	struct runq *rq = thread_lock(thread, &was);
	struct check check = {.rq = rq};
	bool running = thread->state == THREAD_RUNNING;
	CHECK_THAT(&check, thread, running == (rq->cpu->running == thread));
	CHECK_THAT(&check, thread, thread->on_runq == 0 || thread->state == THREAD_READY);
	CHECK_THAT(&check, thread, thread->state != THREAD_NEW);
	CHECK_THAT(&check, thread, thread->state != THREAD_REAPED);
	bool joined = thread->klass == CLASS_FAIR && (running || thread->on_runq != 0);
	CHECK_THAT(&check, thread, thread->fair_joined == joined);
	runq_unlock(rq, was);
	return check.bad;
}

err_t sched_check(void)
{
	struct kernel *kernel = kernel_self();
	struct sched_state *state = kernel->sched;
	struct thread *thread;
	uint32_t bad = 0;
	uint32_t count = 0;

	spin_lock(&state->threads_lock);
	for (uint32_t i = 0; i < kernel->cpu_count; i++)
		if (atomic_load_u32_acquire(&kernel->cpus[i]->online) != 0)
			bad += check_cpu(kernel->cpus[i]);
	list_for_each (thread, &state->threads, all_link) {
		count++;
		if (atomic_load_ptr_acquire(&thread->home) != NULL)
			bad += check_thread(thread);
	}
	bool counted = count == state->thread_count;
	spin_unlock(&state->threads_lock);
	if (!counted)
		log_err("sched: %u threads on the list, %u counted", count, state->thread_count);
	return bad == 0 && counted ? 0 : ERR(EUCLEAN);
}
