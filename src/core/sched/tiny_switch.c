// SPDX-License-Identifier: MIT
//
// Who runs: the ready list and the switch; what an interrupt does; idle. One look at the clock per switch.
#include "tiny_impl.h"

#include "hal/call.h"
#include "kern/component.h"
#include "kern/rcu.h"
#include "kern/trace.h"

static const struct sched_hooks hooks = {
	.park = thread_park,
	.unpark = thread_unpark,
	.inherit = thread_inherit,
	.resched = sched_resched,
};

err_t sched_init(struct kernel *kernel)
{
	struct sched_state *state = boot_alloc(kernel, sizeof *state, 8);
	if (state == NULL)
		return ERR(ENOMEM);
	list_init(&state->ready);
	list_init(&state->threads);
	list_push_back(&state->threads, &current->all_link);
	rb_init(&state->timers);
	state->next_id = current->id + 1;
	state->thread_count = 1;
	state->slice_ns = kernel->persona->slice_ns;
	state->slice_end_ns = TB_FOREVER;
	state->armed_ns = TB_FOREVER;
	state->since_ns = clock_now_ns();
	kernel->sched = state;
	kernel->cpus_online = 1;
	kernel->hooks = &hooks;
	return 0;
}

// ---- the ready list ------------------------------------------------------------------------------------------------

static bool has_slice(const struct thread *thread)
{
	return thread->klass == CLASS_RR || thread->klass == CLASS_FAIR;
}

static struct thread *ready_first(const struct sched_state *state)
{
	return list_first_entry(&state->ready, struct thread, runq_link);
}

void ready_insert(struct thread *thread, bool before_equals)
{
	struct sched_state *state = sched_state();
	struct thread *other;

	list_for_each (other, &state->ready, runq_link) {
		if (before_equals ? other->prio >= thread->prio : other->prio > thread->prio) {
			list_insert_before(&other->runq_link, &thread->runq_link);
			return;
		}
	}
	list_push_back(&state->ready, &thread->runq_link);
}

// The running thread's slice begins when an equal waits, and is not timed otherwise.
static void slice_look(struct sched_state *state, const struct thread *running, uint64_t now_ns)
{
	const struct thread *first = ready_first(state);
	bool timed = first != NULL && first->prio == running->prio && has_slice(running);

	if (!timed)
		state->slice_end_ns = TB_FOREVER;
	else if (state->slice_end_ns == TB_FOREVER)
		state->slice_end_ns = now_ns + state->slice_ns;
}

static void resched_want(void)
{
	struct hal_thread *self = hal_self();
	(void)atomic_fetch_or_u32_relaxed_nopoint(&self->resched, HAL_RESCHED_WANTED);
}

void resched_look(void)
{
	struct sched_state *state = sched_state();
	const struct thread *first = ready_first(state);
	const struct thread *running = current;

	if (first == NULL)
		return;
	if (first->prio < running->prio) {
		resched_want();
		return;
	}
	uint64_t before_ns = state->slice_end_ns;
	slice_look(state, running, clock_now_ns());
	if (state->slice_end_ns != before_ns)
		timer_program();
}

void ready_wake(struct thread *thread)
{
	thread_state_set(thread, THREAD_READY);
	ready_insert(thread, false);
	trace_emit(TRACE_SCHED_WAKE, thread->id, 0);
	resched_look();
}

// ---- the switch ----------------------------------------------------------------------------------------------------

// NULL: the running thread goes on.
static struct thread *switch_pick(struct sched_state *state, const struct thread *prev, enum switch_why why)
{
	struct thread *first = ready_first(state);
	bool leaves = why >= SWITCH_PARK;

	if (leaves && hal_call_wants_cpu())
		state->let_go = 1;
	if (state->let_go && (prev->flags & THREAD_FLAG_IDLE) == 0)
		return this_cpu()->idle;
	if (first == NULL)
		return leaves ? this_cpu()->idle : NULL;
	bool turn = why == SWITCH_YIELD || state->slice_over;
	if (!leaves && first->prio >= prev->prio && !(turn && first->prio == prev->prio))
		return NULL;
	return first;
}

static void switch_out(struct sched_state *state, struct thread *prev, enum switch_why why)
{
	if (why == SWITCH_PARK) {
		thread_state_set(prev, THREAD_PARKED);
	} else if (why == SWITCH_EXIT) {
		thread_state_set(prev, THREAD_DEAD);
	} else {
		thread_state_set(prev, THREAD_READY);
		prev->preemptions += why == SWITCH_PREEMPT;
		if ((prev->flags & THREAD_FLAG_IDLE) == 0)
			ready_insert(prev, why == SWITCH_PREEMPT && !state->slice_over);
	}
}

// Whether the thread may not park after all.
static bool switch_is_off(const struct thread *prev, enum switch_why why)
{
	return why == SWITCH_PARK && (atomic_load_u32_relaxed_nopoint(&prev->permit) != 0 ||
				      atomic_load_u32_relaxed_nopoint(&prev->park_timed_out) != 0);
}

void sched_switch(enum switch_why why)
{
	struct sched_state *state = sched_state();
	struct thread *prev = current;
	uint64_t now_ns = clock_now_ns();

	(void)atomic_fetch_and_u32_relaxed_nopoint(&prev->hal.resched, ~(uint32_t)HAL_RESCHED_WANTED);
	struct thread *next = switch_is_off(prev, why) ? NULL : switch_pick(state, prev, why);
	if (next == NULL) {
		if (state->slice_over)
			state->slice_end_ns = TB_FOREVER;
		state->slice_over = 0;
		slice_look(state, prev, now_ns);
		timer_program();
		return;
	}
	prev->run_ns += now_ns - state->since_ns;
	state->since_ns = now_ns;
	if ((next->flags & THREAD_FLAG_IDLE) == 0)
		list_remove(&next->runq_link);
	switch_out(state, prev, why);
	state->slice_over = 0;
	state->slice_end_ns = TB_FOREVER;
	thread_state_set(next, THREAD_RUNNING);
	next->switches++;
	next->hal.cpu = prev->hal.cpu;
	this_cpu()->running = next;
	slice_look(state, next, now_ns);
	timer_program();
	VERIFY3(prev->stack_canary, ==, THREAD_CANARY);
	trace_emit(TRACE_SCHED_SWITCH, prev->id, next->id);
	if (why == SWITCH_EXIT)
		hal_context_exit(&prev->hal, &next->hal);
	hal_context_switch(&prev->hal, &next->hal); // the last act: tiny_impl.h, 3
}

void sched_resched(void)
{
	bool was = hal_irq_save();
	const struct hal_thread *self = hal_self();
	if (!was && self->preempt_count == 0 && (self->resched & HAL_RESCHED_WANTED) != 0)
		sched_switch(SWITCH_PREEMPT);
	hal_irq_restore(was);
}

void thread_yield(void)
{
	bool was = hal_irq_save();
	sched_switch(SWITCH_YIELD);
	hal_irq_restore(was);
	thread_reap();
}

// ---- interrupts ----------------------------------------------------------------------------------------------------

void irq_handler_set(enum hal_irq cause, irq_handler handler)
{
	uint32_t index = (uint32_t)__builtin_ctz(cause);
	VERIFY3(index, <, IRQ_CAUSES);
	atomic_store_ptr_release(&sched_state()->handlers[index], handler);
}

static void irq_handlers(const struct sched_state *state, uint32_t bits)
{
	for (uint32_t i = 0; i < IRQ_CAUSES; i++)
		if ((bits >> i & 1) != 0 && state->handlers[i] != NULL)
			state->handlers[i](1u << i);
}

void sched_interrupt(uint32_t bits)
{
	struct sched_state *state = sched_state();
	struct thread *self = current;

	preempt_disable();
	this_cpu()->irq_depth++;
	if ((bits & HAL_IRQ_TIMER) != 0)
		timer_interrupt();
	irq_handlers(state, bits);
	if ((bits & HAL_IRQ_IPI) != 0 && hal_call_wants_cpu()) {
		state->let_go = 1;
		resched_want();
	}
	this_cpu()->irq_depth--;
	preempt_enable_quiet();
	if (self->hal.preempt_count == 0 && (self->hal.resched & HAL_RESCHED_WANTED) != 0)
		sched_switch(SWITCH_PREEMPT);
}

// ---- idle ----------------------------------------------------------------------------------------------------------

// Masked. With the CPU to be given back, whoever is ready waits until the HAL drives it on.
static void idle_round(struct sched_state *state)
{
	if (!state->let_go && !list_is_empty(&state->ready)) {
		sched_switch(SWITCH_PREEMPT);
		return;
	}
	if (state->let_go && !list_is_empty(&state->ready))
		hal_ipi(&this_cpu()->hal);
	state->let_go = 0;
	trace_emit(TRACE_SCHED_IDLE, 0, 0);
	hal_cpu_idle();
}

void sched_idle_loop(void)
{
	for (;;) {
		(void)hal_irq_save();
		idle_round(sched_state());
		hal_irq_restore(false);
	}
}

err_t sched_start_cpus(struct kernel *kernel)
{
	(void)kernel;
	return 0;
}

void sched_cpu_entry(struct cpu *cpu)
{
	panic("there is no CPU %u", cpu->hal.index);
}

err_t sched_check(void)
{
	const struct sched_state *state = sched_state();
	const struct thread *before = NULL;
	struct thread *thread;
	err_t err = 0;
	bool was = hal_irq_save();

	list_for_each (thread, &state->ready, runq_link) {
		bool good = thread->magic == THREAD_MAGIC && thread->state == THREAD_READY &&
			    thread->stack_canary == THREAD_CANARY && (before == NULL || before->prio <= thread->prio);
		if (!good)
			err = -EUCLEAN;
		before = thread;
	}
	if (current->state != THREAD_RUNNING || current->stack_canary != THREAD_CANARY)
		err = -EUCLEAN;
	irq_restore(was);
	return err;
}

err_t sched_set_slice_ns(uint64_t slice_ns)
{
	if (slice_ns < 100000 || slice_ns > 1000000000)
		return ERR(EINVAL);
	bool was = hal_irq_save();
	sched_state()->slice_ns = slice_ns;
	irq_restore(was);
	return 0;
}

uint64_t sched_slice_ns(void)
{
	return sched_state()->slice_ns;
}
