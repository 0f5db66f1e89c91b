// SPDX-License-Identifier: MIT
//
// What decides who runs and where: priority and class, what waiters lend, affinity, isolation, the slice.
#include "runq.h"

// The thread is neither ready nor running, or its queue has let go of it.
void thread_prio_apply(struct thread *thread, enum thread_class klass, int32_t prio)
{
	thread->klass = klass;
	atomic_store_u32_relaxed_nopoint((uint32_t *)&thread->prio, (uint32_t)prio);
	if (klass == CLASS_FAIR)
		fair_set_nice(thread, prio - PRIO_FAIR_DEFAULT);
}

// A lent real-time priority runs as FIFO: the owner of a mutex is to get on with it.
static enum thread_class prio_class(const struct thread *thread, int32_t prio)
{
	if (prio == thread->prio_base)
		return thread->klass_base;
	return prio <= PRIO_RT_MIN ? CLASS_FIFO : CLASS_FAIR;
}

// Brings class and effective priority up to what is asked for and what is lent.
static void prio_update_locked(struct runq *rq, struct thread *thread)
{
	int32_t prio = MIN(thread->prio_base, thread->prio_lent);
	enum thread_class klass = prio_class(thread, prio);
	bool queued = thread->on_runq != 0;
	bool running = thread->state == THREAD_RUNNING;
	uint64_t now_ns = clock_now_ns();

	if (prio == thread->prio && klass == thread->klass)
		return;
	trace_emit(TRACE_SCHED_PRIO, thread->id, (uint64_t)(int64_t)prio);
	if (queued)
		runq_take_locked(rq, thread);
	if (running)
		runq_charge_locked(rq, now_ns);
	if (queued || running)
		class_of(thread)->leave(rq, thread);
	thread_prio_apply(thread, klass, prio);
	if (queued) {
		runq_enqueue_locked(rq, thread, now_ns);
	} else if (running) {
		class_of(thread)->join(rq, thread);
		atomic_store_u32_relaxed_nopoint((uint32_t *)&rq->running_prio, (uint32_t)prio);
		runq_look_locked(rq);
		runq_set_slice_locked(rq, now_ns);
		runq_rearm_locked(rq);
	}
}

err_t thread_set_prio(struct thread *thread, enum thread_class klass, int32_t rt_prio, int32_t nice)
{
	struct thread_params params = {.klass = klass, .rt_prio = rt_prio, .nice = nice};
	err_t err = thread_params_check(&params);
	if (err != 0)
		return err;
	bool was;
	struct runq *rq = thread_lock(thread, &was);
	thread->klass_base = klass;
	int32_t prio = klass == CLASS_FAIR ? PRIO_FAIR_DEFAULT + nice : rt_prio;
	atomic_store_u32_relaxed_nopoint((uint32_t *)&thread->prio_base, (uint32_t)prio);
	prio_update_locked(rq, thread);
	runq_unlock(rq, was);
	mutex_prio_changed(thread); // where it waits, and whom it lends to
	return 0;
}

void sched_inherit(struct thread *thread, int32_t prio)
{
	bool was;
	struct runq *rq = thread_lock(thread, &was);
	thread->prio_lent = prio;
	prio_update_locked(rq, thread);
	runq_unlock(rq, was);
}

// Whether the thread runs where it may not, and its CPU has been told; or is on the way from there, by code that nobody preempts.
static bool thread_is_misplaced(struct thread *thread)
{
	bool was;
	struct runq *rq = thread_lock(thread, &was);
	bool runs = thread->state == THREAD_RUNNING;
	bool misplaced = (runs || (thread->state == THREAD_READY && thread->on_runq == 0)) &&
			 !balance_allows(thread, rq->cpu->hal.index);
	if (misplaced && runs)
		runq_look_locked(rq);
	runq_unlock(rq, was);
	return misplaced;
}

static void thread_wait_placed(struct thread *thread)
{
	while (thread_is_misplaced(thread))
		hal_cpu_relax();
}

// The new mask and what follows from it at once: true when the thread has been taken out of its queue, to be sent elsewhere; a
// running one is told, and nobody puts it back. Who is on the way to a queue has its mask looked at under that queue's lock.
static bool thread_mask_store(struct thread *thread, const struct cpu_mask *mask)
{
	bool was;
	struct runq *rq = thread_lock(thread, &was);
	for (uint32_t i = 0; i < CPU_MASK_WORDS; i++)
		atomic_store_u32_relaxed_nopoint(&thread->affinity.words[i], mask->words[i]);
	thread->expelled = 0;
	bool move = thread->on_runq != 0 && !balance_allows(thread, rq->cpu->hal.index);
	if (move)
		runq_dequeue_locked(rq, thread);
	else if (thread->state == THREAD_RUNNING)
		runq_look_locked(rq);
	runq_unlock(rq, was);
	return move;
}

err_t thread_set_affinity(struct thread *thread, const struct cpu_mask *mask)
{
	struct sched_state *state = sched_state();
	bool move = false;
	preempt_disable();               // others may wait for the end of the thread's way
	spin_lock(&state->threads_lock); // against isolation
	err_t err = balance_has_cpu(mask, NO_CPU) ? 0 : ERR(EINVAL);
	if (err == 0)
		move = thread_mask_store(thread, mask);
	spin_unlock(&state->threads_lock);
	if (move)
		balance_send(thread);
	preempt_enable();
	if (err == 0)
		thread_wait_placed(thread);
	return err;
}

void thread_service_free(struct thread *thread)
{
	struct cpu_mask all;

	memset(&all, 0xff, sizeof all);
	err_t err = thread_set_affinity(thread, &all);
	VERIFY3(err, ==, 0);
}

// The mask is that CPU on the way only, so that whoever is idle may take the thread over when somebody more urgent comes there later.
void thread_service_move(uint32_t cpu)
{
	struct cpu_mask mask = {0};
	const struct runq *rq = kernel_self()->cpus[cpu]->runq;
	int32_t prio = (int32_t)atomic_load_u32_relaxed_nopoint((const uint32_t *)&rq->running_prio);

	if (prio <= PRIO_RT_MIN || balance_is_isolated(cpu))
		return;
	cpu_mask_set(&mask, cpu);
	if (thread_set_affinity(current, &mask) == 0)
		thread_service_free(current);
}

static struct thread *runq_take_misplaced(struct runq *rq)
{
	static const enum thread_class firsts[] = {CLASS_FIFO, CLASS_FAIR};
	struct thread *found = NULL;
	bool was = runq_lock(rq);
	for (uint32_t i = 0; i < array_count(firsts) && found == NULL; i++) {
		const struct sched_class *klass = sched_classes[firsts[i]];
		found = (rq->ready_mask >> klass->order & 1u) != 0 ? klass->first(rq) : NULL;
		while (found != NULL && balance_allows(found, rq->cpu->hal.index))
			found = klass->next(rq, found);
	}
	if (found != NULL)
		runq_dequeue_locked(rq, found);
	else
		runq_look_locked(rq);
	runq_unlock(rq, was);
	return found;
}

// Whether somebody who may not be on the CPU runs there, or is on the way to it or from it.
static bool cpu_has_misplaced(struct sched_state *state, const struct cpu *cpu)
{
	struct thread *thread;
	bool found = false;
	spin_lock(&state->threads_lock);
	list_for_each (thread, &state->threads, all_link) {
		found = (thread->flags & THREAD_FLAG_IDLE) == 0 && atomic_load_ptr_acquire(&thread->home) == cpu &&
			thread_is_misplaced(thread);
		if (found)
			break;
	}
	spin_unlock(&state->threads_lock);
	return found;
}

// Every thread still has a CPU. Under the list's lock.
static bool isolation_is_possible(struct sched_state *state, uint32_t cpu)
{
	struct thread *thread;
	list_for_each (thread, &state->threads, all_link) {
		if ((thread->flags & THREAD_FLAG_IDLE) == 0 && !balance_has_cpu(&thread->affinity, cpu))
			return false;
	}
	return true;
}

// Whoever looked at masks and isolation under a queue's lock is through when this returns.
static void runqs_pass_all(void)
{
	struct kernel *kernel = kernel_self();
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		struct runq *rq = kernel->cpus[i]->runq;
		bool was = runq_lock(rq);
		runq_unlock(rq, was);
	}
}

// Under the list's lock. Afterwards nobody who may not run on the CPU waits there or is sent there, and who runs is on the way
// out.
static err_t isolation_begin_locked(struct sched_state *state, uint32_t cpu)
{
	struct runq *rq = kernel_self()->cpus[cpu]->runq;
	if (!isolation_is_possible(state, cpu))
		return ERR(EBUSY);
	(void)atomic_fetch_or_u32_acq_rel(&state->isolated[cpu / 32], 1u << (cpu % 32));
	runqs_pass_all();
	for (struct thread *thread = runq_take_misplaced(rq); thread != NULL; thread = runq_take_misplaced(rq))
		balance_send(thread);
	return 0;
}

// On the CPU that is not isolated any more: its idle loop looks for work after any interrupt.
static void cpu_look(void *arg)
{
	(void)arg;
}

err_t sched_isolate(uint32_t cpu, bool isolated)
{
	struct sched_state *state = sched_state();
	if (cpu == 0 || cpu >= kernel_self()->cpu_count)
		return ERR(EINVAL);
	err_t err = 0;
	spin_lock(&state->threads_lock);
	if (isolated)
		err = isolation_begin_locked(state, cpu);
	else
		(void)atomic_fetch_and_u32_acq_rel(&state->isolated[cpu / 32], ~(1u << (cpu % 32)));
	spin_unlock(&state->threads_lock);
	if (!isolated)
		return cpu_call(cpu, cpu_look, NULL);
	while (err == 0 && cpu_has_misplaced(state, kernel_self()->cpus[cpu]))
		hal_cpu_relax();
	return err;
}

err_t sched_set_slice_ns(uint64_t slice_ns)
{
	if (slice_ns < SLICE_MIN_NS || slice_ns > SLICE_MAX_NS)
		return ERR(EINVAL);
	atomic_store_u32_relaxed(&sched_state()->slice_us, (uint32_t)(slice_ns / NS_PER_US));
	return 0;
}

uint64_t sched_slice_ns(void)
{
	return atomic_load_u32_relaxed_nopoint(&sched_state()->slice_us) * NS_PER_US;
}
