// SPDX-License-Identifier: MIT
//
// CPUs: how the scheduler comes up on the first and on the others, what an idle one does, and calls from one to another.
#include "sched_impl.h"

#include "kern/component.h"

struct sched_cpu {
	struct runq runq;
	struct timer_cpu timers;
};

static uint32_t log2_frames(size_t size_bytes)
{
	return log2_ceil(DIV_ROUND_UP(size_bytes, FRAME_SIZE));
}

static const struct sched_hooks sched_hooks = {
	.park = thread_park,
	.unpark = thread_unpark,
	.inherit = sched_inherit,
	.resched = sched_resched,
	.service_start = thread_service_start,
	.service_move = thread_service_move,
	.service_free = thread_service_free,
	.service_join = thread_service_join,
	.cpu_call = cpu_call,
};

static void runq_init(struct runq *rq, struct cpu *cpu)
{
	biased_init(&rq->lock, cpu, cpu->kernel->sched->biased, LOCK_RANK_RUNQ, "run queue");
	rq->cpu = cpu;
	rq->running_prio = PRIO_IDLE;
	rq->slice_end_ns = TB_FOREVER;
	rt_queue_init(&rq->rt);
	rb_init(&rq->fair.tree);
}

static err_t sched_cpu_make(struct cpu *cpu)
{
	struct sched_cpu *made =
		frame_alloc_node(cpu->node, log2_frames(sizeof(struct sched_cpu)), MEM_ZERO, account_root());
	if (made == NULL)
		return ERR(ENOMEM);
	runq_init(&made->runq, cpu);
	cpu->runq = &made->runq;
	cpu->timers = &made->timers;
	return 0;
}

static void sched_cpu_online(struct cpu *cpu)
{
	cpu->runq->online_since_ns = clock_now_ns();
	cpu->idle->since_ns = cpu->runq->online_since_ns;
	(void)atomic_fetch_or_u32_seq_cst(&sched_state()->online[cpu->hal.index / 32], 1u << (cpu->hal.index % 32));
	atomic_store_u32_release(&cpu->online, 1);
	(void)atomic_fetch_add_u32_acq_rel(&kernel_self()->cpus_online, 1);
	hal_spin_wake(&kernel_self()->cpus_online);
}

err_t sched_init(struct kernel *kernel)
{
	struct sched_state *state = frame_alloc(log2_frames(sizeof *state), MEM_ZERO, account_root());
	if (state == NULL)
		return ERR(ENOMEM);
	spin_init(&state->threads_lock, LOCK_RANK_THREAD_LIST, "list of threads");
	list_init(&state->threads);
	state->next_id = 1;
	state->slice_us = (uint32_t)(kernel->persona->slice_ns / NS_PER_US);
	state->thread_limit = kernel->persona->thread_limit;
	state->biased = !CONFIG_LOCKCHECK && hal_cpu_barrier();
	kernel->sched = state;
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		err_t err = sched_cpu_make(kernel->cpus[i]);
		if (err != 0)
			return err;
	}
	err_t err = thread_list_add(current);
	if (err != 0)
		return err;
	sched_cpu_online(this_cpu());
	kernel->hooks = &sched_hooks;
	return 0;
}

err_t sched_start_cpus(struct kernel *kernel)
{
	for (uint32_t i = 1; i < kernel->cpu_count; i++) {
		struct cpu *cpu = kernel->cpus[i];
		err_t err = thread_make_idle(cpu);
		if (err == 0)
			err = hal_cpu_start(&cpu->hal, &cpu->idle->hal);
		if (err != 0)
			return err;
		while (atomic_load_u32_acquire(&kernel->cpus_online) != i + 1)
			hal_spin_wait(&kernel->cpus_online, i);
	}
	return 0;
}

void sched_cpu_entry(struct cpu *cpu)
{
	rcu_idle_exit();
	sched_cpu_online(cpu);
	sched_idle_loop();
}

// Nothing is ready. Interrupts that are pending already end the wait at once.
static void idle_wait(struct cpu *cpu)
{
	timer_program(cpu);
	trace_emit(TRACE_SCHED_IDLE, cpu->hal.index, 0);
	rcu_idle_enter();
	biased_away(&cpu->runq->lock);
	biased_away(&cpu->timers->lock);
	hal_cpu_idle();
	biased_back(&cpu->runq->lock);
	biased_back(&cpu->timers->lock);
	rcu_idle_exit();
}

// One round, masked: work of one's own, of others, or sleep.
static void idle_round(struct cpu *cpu)
{
	struct runq *rq = cpu->runq;
	if (unlikely(rq->let_go)) {
		rq->let_go = 0;
		if (atomic_load_u32_relaxed_nopoint(&rq->ready_count) != 0)
			hal_ipi(&cpu->hal); // drive on
		idle_wait(cpu);
		return;
	}
	if (atomic_load_u32_relaxed_nopoint(&rq->ready_count) == 0) {
		balance_idle_set(cpu, true);
		if (!balance_steal(cpu)) {
			idle_wait(cpu);
			balance_idle_set(cpu, false);
			return;
		}
	}
	balance_idle_set(cpu, false);
	sched_switch(SWITCH_PREEMPT);
}

void sched_idle_loop(void)
{
	ASSERT3(current->hal.preempt_count, ==, 1);
	for (;;) {
		(void)hal_irq_save();
		idle_round(this_cpu());
		hal_irq_restore(false);
	}
}

void cpu_call_run(struct runq *rq)
{
	struct cpu_call *call = atomic_xchg_ptr_acq_rel(&rq->calls, (struct cpu_call *)NULL);
	struct cpu_call *in_order = NULL;
	while (call != NULL) {
		struct cpu_call *next = call->next;
		call->next = in_order;
		in_order = call;
		call = next;
	}
	while (in_order != NULL) {
		struct cpu_call *next = in_order->next;
		in_order->fn(in_order->arg);
		atomic_store_u32_release(&in_order->done, 1); // it is gone from here on
		hal_spin_wake(&in_order->done);
		in_order = next;
	}
}

static void cpu_call_self(void (*fn)(void *), void *arg)
{
	struct cpu *cpu = this_cpu();
	preempt_disable();
	cpu->irq_depth++;
	fn(arg);
	cpu->irq_depth--;
	preempt_enable_quiet();
}

err_t cpu_call(uint32_t cpu, void (*fn)(void *), void *arg)
{
	struct kernel *kernel = kernel_self();
	struct cpu_call call = {.fn = fn, .arg = arg};

	if (cpu >= kernel->cpu_count || atomic_load_u32_acquire(&kernel->cpus[cpu]->online) == 0)
		return ERR(EINVAL);
	bool was = hal_irq_save();
	struct runq *rq = kernel->cpus[cpu]->runq;
	if (rq->cpu == this_cpu()) {
		cpu_call_self(fn, arg);
		irq_restore(was);
		return 0;
	}
	struct cpu_call *head = atomic_load_ptr_relaxed(&rq->calls);
	do
		call.next = head;
	while (!atomic_cmpxchg_ptr_release(&rq->calls, &head, &call));
	runq_tell(rq, REQUEST_CALL);
	hal_irq_restore(was);
	// Unmasked: two CPUs may call each other.
	while (atomic_load_u32_acquire(&call.done) == 0)
		hal_spin_wait(&call.done, 0);
	return 0;
}

void sched_stop(void)
{
	struct kernel *kernel = kernel_self();
	for (uint32_t i = 0; i < kernel->cpu_count; i++)
		stack_drain(kernel->cpus[i]->runq);
}
