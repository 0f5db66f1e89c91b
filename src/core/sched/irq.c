// SPDX-License-Identifier: MIT
//
// What an interrupt does: timers and the slice, what another CPU asks for, handlers of the other causes, and then a
// switch if one is wanted and preemption is on.
#include "runq.h"

#define IRQ_CAUSES 7

void irq_handler_set(enum hal_irq cause, irq_handler handler)
{
	uint32_t index = bit_lowest_u32(cause);
	VERIFY3(index, <, IRQ_CAUSES);
	atomic_store_ptr_release(&sched_state()->handlers[index], handler);
}

static void irq_requests(struct cpu *cpu)
{
	struct runq *rq = cpu->runq;
	uint32_t requests = atomic_xchg_u32_acq_rel(&rq->requests, 0);
	if ((requests & REQUEST_RESCHED) != 0) {
		biased_own(&rq->lock);
		runq_charge_locked(rq, clock_now_ns());
		runq_look_locked(rq);
		biased_drop(&rq->lock);
	}
	if ((requests & REQUEST_PROGRAM) != 0)
		timer_program(cpu);
	if ((requests & REQUEST_CALL) != 0)
		cpu_call_run(rq);
	// A call of the host that this CPU was lent for has ended or gone to sleep elsewhere.
	if (hal_call_wants_cpu()) {
		rq->let_go = 1;
		resched_set_own();
	}
}

static void irq_others(uint32_t bits)
{
	for (; bits != 0; bits &= bits - 1) {
		uint32_t index = bit_lowest_u32(bits);
		irq_handler handler =
			index < IRQ_CAUSES ? atomic_load_ptr_acquire(&sched_state()->handlers[index]) : NULL;
		if (handler != NULL)
			handler(1u << index);
	}
}

static void irq_count(struct runq *rq, uint32_t bits)
{
	atomic_store_u32_relaxed_nopoint(&rq->interrupts, rq->interrupts + 1);
	if ((bits & HAL_IRQ_TIMER) != 0)
		counter_add_local(COUNTER_IRQ_TIMER, 1);
	if ((bits & HAL_IRQ_IPI) != 0) {
		counter_add_local(COUNTER_IRQ_IPI, 1);
		atomic_store_u32_relaxed_nopoint(&rq->ipis, rq->ipis + 1);
	}
	if ((bits & ~(uint32_t)(HAL_IRQ_TIMER | HAL_IRQ_IPI)) != 0)
		counter_add_local(COUNTER_IRQ_OTHER, 1);
}

void sched_interrupt(uint32_t bits)
{
	struct thread *self = current;
	struct cpu *cpu = this_cpu();

	rcu_interrupt();
	preempt_disable();
	cpu->irq_depth++;
	stack_note_depth(self);
	trace_emit(TRACE_IRQ_ENTER, bits, 0);
	irq_count(cpu->runq, bits);
	if ((bits & HAL_IRQ_TIMER) != 0)
		timer_interrupt();
	if ((bits & HAL_IRQ_IPI) != 0)
		irq_requests(cpu);
	irq_others(bits & ~(uint32_t)(HAL_IRQ_TIMER | HAL_IRQ_IPI));
	cpu->irq_depth--;
	preempt_enable_quiet();
	if (self->hal.preempt_count == 0 && (self->hal.resched & HAL_RESCHED_WANTED) != 0)
		sched_switch(SWITCH_PREEMPT);
}
