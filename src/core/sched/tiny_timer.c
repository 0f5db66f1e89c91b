// SPDX-License-Identifier: MIT
//
// Timers of one CPU: a tree by deadline, and the HAL's one-shot timer, set to the first deadline or the end of the slice. A timer
// that comes too early finds nothing due and is set again. What a callback arms for the past waits TIMER_BREATH_NS.
#include "tiny_impl.h"

#include "kern/image.h"
#include "kern/math.h"
#include "kern/trace.h"

#define TIMER_BREATH_NS 10000u

enum timer_place {
	TIMER_IDLE,
	TIMER_QUEUED
};

static bool timer_before(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry((struct rb_node *)(uintptr_t)a, struct timer, node)->due_ns <
	       rb_entry((struct rb_node *)(uintptr_t)b, struct timer, node)->due_ns;
}

err_t timer_init(struct kernel *kernel)
{
	(void)kernel; // sched_init() has made the tree
	return 0;
}

uint64_t clock_now_ns(void)
{
	return hal_clock_mono_ns();
}

void timer_setup(struct timer *timer, void (*fn)(struct timer *))
{
	*timer = (struct timer){.fn = fn};
}

static struct timer *timer_first(const struct sched_state *state)
{
	return rb_entry_or_null(rb_first(&state->timers), struct timer, node);
}

void timer_program(void)
{
	struct sched_state *state = sched_state();
	const struct timer *first = timer_first(state);
	uint64_t next_ns = MIN(first != NULL ? first->due_ns : TB_FOREVER, state->slice_end_ns);

	if (next_ns == state->armed_ns)
		return;
	state->armed_ns = next_ns;
	hal_timer_arm(next_ns);
}

static void timer_take(struct sched_state *state, struct timer *timer)
{
	rb_remove(&state->timers, &timer->node);
	state->timer_count--;
	timer->state = TIMER_IDLE;
}

void timer_arm(struct timer *timer, uint64_t deadline_ns)
{
	struct sched_state *state = sched_state();
	bool was = hal_irq_save();

	if (timer->state == TIMER_QUEUED)
		timer_take(state, timer);
	timer->cpu = this_cpu();
	timer->deadline_ns = deadline_ns;
	timer->due_ns = in_interrupt() ? MAX(deadline_ns, clock_now_ns() + TIMER_BREATH_NS) : deadline_ns;
	timer->state = TIMER_QUEUED;
	rb_insert(&state->timers, &timer->node, timer_before);
	state->timer_count++;
	trace_emit(TRACE_TIMER_ARM, deadline_ns, 0);
	timer_program();
	irq_restore(was);
}

bool timer_cancel(struct timer *timer)
{
	bool was = hal_irq_save();
	bool queued = timer->state == TIMER_QUEUED;
	if (queued)
		timer_take(sched_state(), timer);
	irq_restore(was);
	return queued;
}

// Callbacks run in interrupts, which have ended when a thread gets here.
bool timer_cancel_sync(struct timer *timer)
{
	return timer_cancel(timer);
}

void timer_interrupt(void)
{
	struct sched_state *state = sched_state();
	uint64_t now_ns = clock_now_ns();
	struct timer *timer;

	state->armed_ns = TB_FOREVER;
	while ((timer = timer_first(state)) != NULL && timer->due_ns <= now_ns) {
		timer_take(state, timer);
		trace_emit(TRACE_TIMER_FIRE, timer->deadline_ns, now_ns - timer->deadline_ns);
		timer->fn(timer); // may end the timer's life
	}
	if (now_ns >= state->slice_end_ns) {
		state->slice_over = 1;
		(void)atomic_fetch_or_u32_relaxed_nopoint(&hal_self()->resched, HAL_RESCHED_WANTED);
		state->slice_end_ns = TB_FOREVER;
	}
	timer_program();
}

void sleep_until_ns(uint64_t deadline_ns)
{
	err_t err = 0;
	while (err == 0 && clock_now_ns() < deadline_ns)
		err = thread_park(deadline_ns);
}

void sleep_ns(uint64_t duration_ns)
{
	sleep_until_ns(add_saturated_u64(clock_now_ns(), duration_ns));
}

err_t timer_check(const struct cpu *cpu)
{
	struct sched_state *state = sched_state();
	(void)cpu;
	bool was = hal_irq_save();
	bool good = rb_check(&state->timers, timer_before) == state->timer_count;
	irq_restore(was);
	return good ? 0 : ERR(EUCLEAN);
}

void timer_each(void (*fn)(const struct timer_info *, void *), void *arg)
{
	bool was = hal_irq_save();
	for (struct timer *timer = timer_first(sched_state()); timer != NULL; timer = rb_next_entry(timer, node)) {
		struct timer_info info = {
			.deadline_ns = timer->deadline_ns,
			.where = (uintptr_t)image_offset((const void *)(uintptr_t)timer->fn),
		};
		fn(&info, arg);
	}
	irq_restore(was);
}
