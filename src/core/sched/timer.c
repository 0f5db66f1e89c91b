// SPDX-License-Identifier: MIT
//
// Timers: one tree per CPU, ordered by deadline and, among equals, by arming. The HAL's one-shot timer is set when the earliest
// deadline comes closer and never because it has moved away: a timer that comes too early looks, and arms again.
//
// A timer belongs to the CPU that armed it, or, if its callback is running on another CPU at that moment, to that one: so
// whoever cancels has one queue to look at. Callbacks run without the queue's lock.
#include "sched_impl.h"

#include "kern/image.h"

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
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		struct timer_cpu *timers = kernel->cpus[i]->timers;
		biased_init(&timers->lock, kernel->cpus[i], kernel->sched->biased, LOCK_RANK_TIMER, "timer queue");
		rb_init(&timers->tree);
		timers->cpu = kernel->cpus[i];
		timers->armed_ns = TB_FOREVER;
	}
	return 0;
}

uint64_t clock_now_ns(void)
{
	return hal_clock_mono_ns();
}

uint64_t clock_wall_ns(void)
{
	return hal_clock_wall_ns();
}

void timer_setup(struct timer *timer, void (*fn)(struct timer *))
{
	*timer = (struct timer){.fn = fn};
}

static bool timers_lock(struct timer_cpu *timers)
{
	bool was = hal_irq_save();
	biased_take(&timers->lock);
	return was;
}

static void timers_unlock(struct timer_cpu *timers, bool was)
{
	biased_free(&timers->lock);
	irq_restore(was);
}

// The queue that the timer belongs to, locked; NULL if it was never armed.
static struct timer_cpu *timer_lock(struct timer *timer, bool *was)
{
	for (;;) {
		struct cpu *cpu = atomic_load_ptr_acquire(&timer->cpu);
		if (cpu == NULL)
			return NULL;
		*was = timers_lock(cpu->timers);
		if (likely(atomic_load_ptr_acquire_nopoint(&timer->cpu) == cpu))
			return cpu->timers;
		timers_unlock(cpu->timers, *was);
	}
}

static void timer_take_locked(struct timer_cpu *timers, struct timer *timer)
{
	rb_remove(&timers->tree, &timer->node);
	timers->count--;
	timer->state = TIMER_IDLE;
}

// Puts it in; its CPU must be told when it has become the first.
static bool timer_put_locked(struct timer_cpu *timers, struct timer *timer, uint64_t deadline_ns)
{
	timer->deadline_ns = deadline_ns;
	timer->due_ns = deadline_ns;
	if (timers->running != NULL)
		timer->due_ns = MAX(deadline_ns, timers->not_before_ns);
	timer->state = TIMER_QUEUED;
	rb_insert(&timers->tree, &timer->node, timer_before);
	timers->count++;
	trace_emit(TRACE_TIMER_ARM, deadline_ns, timers->cpu->hal.index);
	return rb_first(&timers->tree) == &timer->node;
}

// The queue it is to go into, locked, the timer not queued anywhere. Masked.
static struct timer_cpu *timer_lock_for_arming(struct timer *timer)
{
	struct cpu *own = this_cpu();
	for (;;) {
		bool was;
		struct timer_cpu *old = timer_lock(timer, &was);
		if (old == NULL) {
			struct cpu *never = NULL;
			(void)atomic_cmpxchg_ptr_acq_rel(&timer->cpu, &never, own);
			continue;
		}
		if (timer->state == TIMER_QUEUED)
			timer_take_locked(old, timer);
		if (old == own->timers || old->running == timer)
			return old;
		atomic_store_ptr_release(&timer->cpu, own);
		timers_unlock(old, was);
	}
}

void timer_arm(struct timer *timer, uint64_t deadline_ns)
{
	bool was = hal_irq_save();
	struct timer_cpu *timers = timer_lock_for_arming(timer);
	bool is_first = timer_put_locked(timers, timer, deadline_ns);
	biased_free(&timers->lock);
	counter_add_local(COUNTER_TIMER_ARMED, 1);
	if (is_first) {
		if (timers->cpu == this_cpu())
			timer_at_latest(timers->cpu, deadline_ns);
		else
			runq_tell(timers->cpu->runq, REQUEST_PROGRAM);
	}
	irq_restore(was);
}

static bool timer_cancel_locked(struct timer_cpu *timers, struct timer *timer)
{
	if (timer->state != TIMER_QUEUED)
		return false;
	timer_take_locked(timers, timer);
	trace_emit(TRACE_TIMER_CANCEL, timer->deadline_ns, timers->cpu->hal.index);
	counter_add_local(COUNTER_TIMER_CANCELLED, 1);
	return true;
}

bool timer_cancel(struct timer *timer)
{
	bool was;
	struct timer_cpu *timers = timer_lock(timer, &was);
	if (timers == NULL)
		return false;
	bool queued = timer_cancel_locked(timers, timer);
	timers_unlock(timers, was);
	return queued;
}

bool timer_cancel_sync(struct timer *timer)
{
	bool was_queued = false;
	for (;;) {
		bool was;
		struct timer_cpu *timers = timer_lock(timer, &was);
		if (timers == NULL)
			return false;
		// A callback that arms its own timer makes it queued again.
		was_queued |= timer_cancel_locked(timers, timer);
		bool running = timers->running == timer;
		timers_unlock(timers, was);
		if (!running)
			return was_queued;
		hal_cpu_relax();
	}
}

// Runs what is due. What a callback arms for the past comes a little later, so that it keeps neither the other timers nor the
// thread from going on.
static void timer_run_due(struct timer_cpu *timers, uint64_t now_ns)
{
	biased_own(&timers->lock);
	timers->not_before_ns = now_ns + TIMER_BREATH_NS;
	for (;;) {
		struct timer *timer = rb_first_entry(&timers->tree, struct timer, node);
		if (timer == NULL || timer->due_ns > now_ns)
			break;
		timer_take_locked(timers, timer);
		timers->running = timer;
		uint64_t deadline_ns = timer->deadline_ns;
		biased_drop(&timers->lock);
		trace_emit(TRACE_TIMER_FIRE, deadline_ns, now_ns - deadline_ns);
		counter_add_local(COUNTER_TIMER_FIRED, 1);
		timer->fn(timer); // may end the timer's life
		biased_own(&timers->lock);
		timers->running = NULL;
	}
	biased_drop(&timers->lock);
}

static uint64_t timer_next_ns(struct cpu *cpu)
{
	struct timer_cpu *timers = cpu->timers;
	biased_own(&timers->lock);
	const struct timer *first = rb_first_entry(&timers->tree, struct timer, node);
	uint64_t next_ns = first != NULL ? first->due_ns : TB_FOREVER;
	biased_drop(&timers->lock);
	biased_own(&cpu->runq->lock);
	next_ns = MIN(next_ns, cpu->runq->slice_end_ns);
	biased_drop(&cpu->runq->lock);
	return next_ns;
}

static void timer_set(struct timer_cpu *timers, uint64_t next_ns)
{
	bool has_fired = timers->armed_ns == 0;
	if (next_ns == timers->armed_ns)
		return;
	timers->armed_ns = next_ns;
	if (!has_fired || next_ns != TB_FOREVER)
		hal_timer_arm(next_ns);
}

// Sets the HAL's timer to whatever comes first, also when that is later than before.
void timer_program(struct cpu *cpu)
{
	timer_set(cpu->timers, timer_next_ns(cpu));
}

// What has become due meanwhile waits for a breath, counted from the end: on a slow machine the work here may take longer than any
// pause that was counted from the beginning, and whom it interrupted must get on.
void timer_interrupt(void)
{
	struct cpu *cpu = this_cpu();
	uint64_t now_ns = clock_now_ns();

	cpu->timers->armed_ns = 0; // whoever arms a timer meanwhile leaves the HAL alone
	timer_run_due(cpu->timers, now_ns);
	runq_tick(cpu->runq, now_ns);
	uint64_t next_ns = timer_next_ns(cpu);
	uint64_t end_ns = clock_now_ns();
	timer_set(cpu->timers, next_ns > end_ns ? next_ns : end_ns + TIMER_BREATH_NS);
}

void sleep_until_ns(uint64_t deadline_ns)
{
	// A permit that comes meanwhile belongs to a wait that is over or looks again.
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
	struct timer_cpu *timers = cpu->timers;
	bool was = timers_lock(timers);
	size_t count = rb_check(&timers->tree, timer_before);
	bool good = count == timers->count;
	timers_unlock(timers, was);
	return good ? 0 : ERR(EUCLEAN);
}

// A few at a time are copied under the lock, so that fn runs without it and masking stays short.
#define TIMER_BATCH 16

static uint32_t timer_copy_batch(struct timer_cpu *timers, uint32_t skip, struct timer_info *batch)
{
	uint32_t found = 0;
	bool was = timers_lock(timers);
	struct timer *timer = rb_first_entry(&timers->tree, struct timer, node);
	for (; timer != NULL && found < TIMER_BATCH; timer = rb_next_entry(timer, node)) {
		if (skip > 0) {
			skip--;
			continue;
		}
		batch[found++] = (struct timer_info){
			.deadline_ns = timer->deadline_ns,
			.where = image_offset((const void *)(uintptr_t)timer->fn),
			.cpu = timers->cpu->hal.index,
		};
	}
	timers_unlock(timers, was);
	return found;
}

void timer_each(void (*fn)(const struct timer_info *, void *), void *arg)
{
	struct kernel *kernel = kernel_self();
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		struct timer_info batch[TIMER_BATCH];
		uint32_t found;
		for (uint32_t seen = 0; (found = timer_copy_batch(kernel->cpus[i]->timers, seen, batch)) != 0;
		     seen += found)
			for (uint32_t j = 0; j < found; j++)
				fn(&batch[j], arg);
	}
}
