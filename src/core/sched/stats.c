// SPDX-License-Identifier: MIT
//
// Figures of threads and CPUs, brought up to the moment of asking.
#include "sched_impl.h"

static void thread_info_fill(struct thread *thread, struct thread_info *info)
{
	bool was;
	struct runq *rq = thread_lock(thread, &was);
	uint64_t now_ns = clock_now_ns();
	uint64_t passed_ns = sched_passed_ns(thread->since_ns, now_ns);
	*info = (struct thread_info){
		.id = thread->id,
		.state = thread->state,
		.klass = thread->klass,
		.cpu = rq->cpu->hal.index,
		.prio = thread->prio,
		.prio_base = thread->prio_base,
		.stats = thread->stats,
		.stack_used_bytes = stack_used_bytes(thread),
		.waiting_on = atomic_load_ptr_relaxed(&thread->waiting_on),
	};
	memcpy(info->name, thread->name, sizeof info->name);
	if (thread->state == THREAD_RUNNING)
		info->stats.run_ns += passed_ns;
	else if (thread->state == THREAD_READY && thread->klass != CLASS_IDLE)
		info->stats.wait_ns += passed_ns;
	else if (thread->state == THREAD_PARKED)
		info->stats.park_ns += passed_ns;
	runq_unlock(rq, was);
}

void thread_each(void (*fn)(const struct thread_info *, void *), void *arg)
{
	struct sched_state *state = sched_state();
	struct thread *thread;

	spin_lock(&state->threads_lock);
	list_for_each (thread, &state->threads, all_link) {
		struct thread_info info;
		// Still being made.
		if (atomic_load_ptr_acquire(&thread->home) == NULL)
			continue;
		thread_info_fill(thread, &info);
		fn(&info, arg);
	}
	spin_unlock(&state->threads_lock);
}

err_t sched_cpu_info(uint32_t index, struct cpu_info *info)
{
	struct kernel *kernel = kernel_self();
	if (index >= kernel->cpu_count)
		return ERR(EINVAL);
	const struct cpu *cpu = kernel->cpus[index];
	struct runq *rq = cpu->runq;
	*info = (struct cpu_info){.index = index, .node = cpu->node};
	if (atomic_load_u32_acquire(&cpu->online) == 0)
		return 0;
	bool was = runq_lock(rq);
	uint64_t now_ns = clock_now_ns();
	info->online = 1;
	info->isolated = balance_is_isolated(index);
	info->ready_count = rq->ready_count;
	info->switches = rq->switches;
	info->steals = rq->steals;
	info->interrupts = atomic_load_u32_relaxed(&rq->interrupts);
	info->ipis = atomic_load_u32_relaxed(&rq->ipis);
	info->latency_max_ns = rq->latency_max_ns;
	info->idle_ns = cpu->idle->stats.run_ns;
	if (cpu->running == cpu->idle)
		info->idle_ns += sched_passed_ns(cpu->idle->since_ns, now_ns);
	info->busy_ns = sched_passed_ns(rq->online_since_ns + info->idle_ns, now_ns);
	memcpy(info->current_name, cpu->running->name, sizeof info->current_name);
	runq_unlock(rq, was);
	return 0;
}
