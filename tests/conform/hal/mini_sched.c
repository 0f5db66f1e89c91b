// SPDX-License-Identifier: MIT
//
// The conformance kernel's threads: one run queue, round robin with slices, sleepers in order. The lock is held across a
// switch and released by whoever comes out of it.
#include "mini.h"

// ---- locks --------------------------------------------------------------------------------------------------------------

bool mini_lock(struct mini_lock *lock)
{
	bool was = hal_irq_save();
	uint32_t seen = 0;
	hal_point(HAL_POINT_LOCK);
	if (__atomic_compare_exchange_n(&lock->word, &seen, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return was;
	while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE) != 0)
		hal_spin_wait(&lock->word, 2);
	return was;
}

void mini_unlock(struct mini_lock *lock, bool was)
{
	if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_SEQ_CST) == 2)
		hal_spin_wake(&lock->word);
	hal_point(HAL_POINT_UNLOCK);
	hal_irq_restore(was);
}

// ---- queues; all under the lock -----------------------------------------------------------------------------------------

static void cpu_poke_locked(const struct mini_thread *thread)
{
	struct mini_kernel *kernel = mini();
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		struct mini_cpu *cpu = &kernel->cpus[i];
		if (thread->pinned && thread->home != i)
			continue;
		if (cpu != mini_cpu() && __atomic_exchange_n(&cpu->idles, 0, __ATOMIC_SEQ_CST) != 0) {
			hal_ipi(&cpu->hal);
			return;
		}
	}
	if (thread->pinned && thread->home != mini_cpu()->hal.index)
		hal_ipi(&kernel->cpus[thread->home].hal);
	mini_cpu()->resched = 1;
}

void mini_ready_locked(struct mini_thread *thread, bool front)
{
	struct mini_kernel *kernel = mini();
	thread->state = MINI_READY;
	thread->next = front ? kernel->run_head : NULL;
	if (front)
		kernel->run_head = thread;
	else if (kernel->run_tail != NULL)
		kernel->run_tail->next = thread;
	else
		kernel->run_head = thread;
	if (!front || kernel->run_tail == NULL)
		kernel->run_tail = thread;
	if (front)
		mini_cpu()->resched = 1;
	else
		cpu_poke_locked(thread);
}

static struct mini_thread *run_pick_locked(uint32_t cpu)
{
	struct mini_kernel *kernel = mini();
	struct mini_thread *before = NULL;
	struct mini_thread *thread = kernel->run_head;
	while (thread != NULL && thread->pinned && thread->home != cpu) {
		before = thread;
		thread = thread->next;
	}
	if (thread == NULL)
		return NULL;
	*(before ? &before->next : &kernel->run_head) = thread->next;
	if (kernel->run_tail == thread)
		kernel->run_tail = before;
	return thread;
}

static bool run_any_locked(uint32_t cpu)
{
	for (struct mini_thread *thread = mini()->run_head; thread != NULL; thread = thread->next)
		if (!thread->pinned || thread->home == cpu)
			return true;
	return false;
}

static void timer_update_locked(struct mini_cpu *cpu, uint64_t now_ns)
{
	struct mini_kernel *kernel = mini();
	uint64_t deadline_ns = kernel->sleepers != NULL ? kernel->sleepers->wake_ns : TB_FOREVER;
	if (__atomic_load_n(&kernel->raw_timer, __ATOMIC_RELAXED) != 0)
		return;
	if (cpu->current != cpu->idle && deadline_ns > now_ns + MINI_SLICE_NS)
		deadline_ns = now_ns + MINI_SLICE_NS;
	hal_timer_arm(deadline_ns);
}

static void sleepers_wake_locked(uint64_t now_ns)
{
	struct mini_kernel *kernel = mini();
	while (kernel->sleepers != NULL && kernel->sleepers->wake_ns <= now_ns) {
		struct mini_thread *thread = kernel->sleepers;
		kernel->sleepers = thread->next;
		mini_wake_locked(thread);
	}
}

// ---- switching ----------------------------------------------------------------------------------------------------------

// The lock is handed over to whom the switch leads, who gives it back: first thing after every switch, on the new thread. Not where
// an interrupt's switch happens after the upcall and so nothing follows it (hal/inline_cortex_m.h): there is one CPU, masked.
static void switch_begin(void)
{
	if (CONFIG_HAL_CORTEX_M)
		mini_unlock(&mini()->lock, true);
}

void mini_switch_finish(void)
{
	if (!CONFIG_HAL_CORTEX_M)
		mini_unlock(&mini()->lock, true);
}

static void cpu_give_locked(struct mini_cpu *cpu, struct mini_thread *to)
{
	to->state = MINI_RUNS;
	to->hal.cpu = &cpu->hal;
	cpu->current = to;
	cpu->resched = 0;
	timer_update_locked(cpu, hal_clock_mono_ns());
}

// Masked, lock held; lock released on return.
static void switch_to_locked(struct mini_thread *to)
{
	struct mini_thread *from = mini_self();
	cpu_give_locked(mini_cpu(), to);
	if (to == from) {
		mini_unlock(&mini()->lock, true);
		return;
	}
	switch_begin();
	hal_context_switch(&from->hal, &to->hal);
	mini_switch_finish();
}

// Gives the CPU up; `self` is in the state that it is to wait in. Masked, lock held; lock released on return.
static void schedule_locked(void)
{
	struct mini_thread *self = mini_self();
	struct mini_cpu *cpu = mini_cpu();
	bool leave = hal_call_wants_cpu();
	if (self->state == MINI_RUNS && self != cpu->idle)
		mini_ready_locked(self, false);
	struct mini_thread *next = leave ? NULL : run_pick_locked(cpu->hal.index);
	switch_to_locked(next != NULL ? next : cpu->idle);
}

void mini_yield(void)
{
	bool was = mini_lock(&mini()->lock);
	schedule_locked();
	hal_irq_restore(was);
}

void mini_block_locked(void)
{
	struct mini_thread *self = mini_self();
	self->state = MINI_BLOCKED;
	if (self->token != 0)
		hal_call_sleeping(self->token, true);
	schedule_locked();
	(void)mini_lock(&mini()->lock);
}

void mini_wake_locked(struct mini_thread *thread)
{
	if (thread->state != MINI_BLOCKED)
		return;
	if (thread->token != 0)
		hal_call_sleeping(thread->token, false);
	mini_ready_locked(thread, false);
}

void mini_wake(struct mini_thread *thread)
{
	bool was = mini_lock(&mini()->lock);
	mini_wake_locked(thread);
	mini_unlock(&mini()->lock, was);
}

void mini_sleep_ns(uint64_t duration_ns)
{
	struct mini_kernel *kernel = mini();
	bool was = mini_lock(&kernel->lock);
	struct mini_thread *self = mini_self();
	struct mini_thread **at = &kernel->sleepers;
	self->wake_ns = hal_clock_mono_ns() + duration_ns;
	while (*at != NULL && (*at)->wake_ns <= self->wake_ns)
		at = &(*at)->next;
	self->next = *at;
	*at = self;
	mini_block_locked();
	mini_unlock(&kernel->lock, was);
}

// ---- thread life --------------------------------------------------------------------------------------------------------

static void thread_main(void *arg)
{
	struct mini_kernel *kernel = mini();
	struct mini_thread *self = arg;
	mini_switch_finish();
	hal_irq_restore(false);
	self->entry(self->arg);
	(void)mini_lock(&kernel->lock);
	struct mini_cpu *cpu = mini_cpu();
	self->state = MINI_DEAD;
	if (self->joiner != NULL)
		mini_wake_locked(self->joiner);
	struct mini_thread *next = hal_call_wants_cpu() ? NULL : run_pick_locked(cpu->hal.index);
	next = next != NULL ? next : cpu->idle;
	cpu_give_locked(cpu, next);
	switch_begin();
	hal_context_exit(&self->hal, &next->hal);
}

struct mini_thread *mini_create_locked(void (*entry)(void *), void *arg)
{
	struct mini_kernel *kernel = mini();
	struct mini_thread *thread = kernel->free_threads;
	if (thread != NULL) {
		kernel->free_threads = thread->next;
	} else {
		if ((size_t)(kernel->ram_end - kernel->ram_next) < CONFIG_KSTACK_SIZE)
			return NULL;
		thread = (struct mini_thread *)(void *)kernel->ram_next;
		kernel->ram_next += CONFIG_KSTACK_SIZE;
	}
	*thread = (struct mini_thread){.entry = entry, .arg = arg};
	return hal_context_init(&thread->hal, sizeof *thread, thread_main, thread) == 0 ? thread : NULL;
}

static struct mini_thread *thread_start(bool pinned, uint32_t cpu, void (*entry)(void *), void *arg)
{
	struct mini_kernel *kernel = mini();
	bool was = mini_lock(&kernel->lock);
	struct mini_thread *thread = mini_create_locked(entry, arg);
	if (thread != NULL) {
		thread->pinned = pinned;
		thread->home = cpu;
		mini_ready_locked(thread, false);
	}
	mini_unlock(&kernel->lock, was);
	return thread;
}

struct mini_thread *mini_start(void (*entry)(void *), void *arg)
{
	return thread_start(false, 0, entry, arg);
}

struct mini_thread *mini_start_on(uint32_t cpu, void (*entry)(void *), void *arg)
{
	return thread_start(true, cpu, entry, arg);
}

// The thread is freed by the one who joins: it is off its stack once the lock can be had and it is dead.
void mini_join(struct mini_thread *thread)
{
	struct mini_kernel *kernel = mini();
	bool was = mini_lock(&kernel->lock);
	thread->joiner = mini_self();
	while (thread->state != MINI_DEAD)
		mini_block_locked();
	mini_unlock(&kernel->lock, was);
	hal_context_fini(&thread->hal);
	was = mini_lock(&kernel->lock);
	thread->next = kernel->free_threads;
	kernel->free_threads = thread;
	mini_unlock(&kernel->lock, was);
}

uint32_t mini_cpu_index(void)
{
	bool was = hal_irq_save();
	uint32_t index = mini_cpu()->hal.index;
	hal_irq_restore(was);
	return index;
}

// ---- interrupts and idle ------------------------------------------------------------------------------------------------

void mini_irq(uint32_t bits);
void mini_irq(uint32_t bits)
{
	struct mini_kernel *kernel = mini();
	struct mini_cpu *cpu = mini_cpu();
	for (uint32_t i = 0; i < 4; i++)
		if (bits & (1u << i))
			__atomic_fetch_add(&cpu->irqs[i], 1, __ATOMIC_RELAXED);
	if (bits & HAL_IRQ_STOP)
		hal_halt(0);
	if (kernel->hook != NULL)
		kernel->hook(cpu, bits);
	if (bits & HAL_IRQ_CALL)
		mini_calls_take();
	bool was = mini_lock(&kernel->lock);
	if ((bits & HAL_IRQ_TIMER) && __atomic_load_n(&kernel->raw_timer, __ATOMIC_RELAXED) == 0) {
		uint64_t now_ns = hal_clock_mono_ns();
		sleepers_wake_locked(now_ns);
		cpu->resched = 1;
		timer_update_locked(cpu, now_ns);
	}
	bool leave = hal_call_wants_cpu();
	bool other = cpu->resched != 0 || cpu->current == cpu->idle;
	if (mini_self()->hal.preempt_count == 0 && (leave || (other && run_any_locked(cpu->hal.index))))
		schedule_locked();
	else
		mini_unlock(&kernel->lock, was);
}

void mini_idle_loop(void) __attribute__((noreturn));
void mini_idle_loop(void)
{
	struct mini_kernel *kernel = mini();
	for (;;) {
		(void)mini_lock(&kernel->lock);
		struct mini_cpu *cpu = mini_cpu();
		bool work = run_any_locked(cpu->hal.index);
		bool leave = hal_call_wants_cpu();
		if (work && !leave) {
			schedule_locked();
		} else {
			timer_update_locked(cpu, hal_clock_mono_ns());
			__atomic_store_n(&cpu->idles, !work, __ATOMIC_SEQ_CST);
			mini_unlock(&kernel->lock, true);
			if (work)
				hal_ipi(&cpu->hal);
			hal_cpu_idle();
			__atomic_store_n(&cpu->idles, 0, __ATOMIC_SEQ_CST);
		}
		hal_irq_restore(false);
	}
}
