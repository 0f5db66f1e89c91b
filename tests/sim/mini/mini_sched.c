// SPDX-License-Identifier: MIT
//
// Mini kernel: lock, threads, scheduling. See mini.h.
#include "mini.h"

#include <string.h>

bool mini_lock(struct mini_lock *lock)
{
	bool was = hal_irq_save();
	hal_point(HAL_POINT_LOCK);
	while (__atomic_exchange_n(&lock->word, 1, __ATOMIC_ACQUIRE) != 0)
		hal_spin_wait(&lock->word, 1);
	return was;
}

void mini_unlock(struct mini_lock *lock, bool was)
{
	__atomic_store_n(&lock->word, 0, __ATOMIC_RELEASE);
	hal_spin_wake(&lock->word);
	hal_point(HAL_POINT_UNLOCK);
	hal_irq_restore(was);
}

static void ready_append_locked(struct kernel *kernel, struct mini_thread *thread)
{
	thread->state = MINI_READY;
	thread->next = NULL;
	*kernel->ready_end = thread;
	kernel->ready_end = &thread->next;
}

static struct mini_thread *ready_take_locked(struct kernel *kernel)
{
	struct mini_thread *thread = kernel->ready;
	if (thread == NULL)
		return NULL;
	kernel->ready = thread->next;
	if (kernel->ready == NULL)
		kernel->ready_end = &kernel->ready;
	return thread;
}

// An idle CPU should look, if there is one.
static void wake_cpu(struct kernel *kernel)
{
	hal_point(HAL_POINT_WAKE);
	for (uint32_t i = 0; i < kernel->cpu_count; ++i) {
		struct mini_cpu *cpu = &kernel->cpus[i];
		if (cpu->current != NULL && cpu->current == cpu->idle && cpu != mini_cpu()) {
			hal_ipi(&cpu->hal);
			return;
		}
	}
}

static void make_ready(struct kernel *kernel, struct mini_thread *thread)
{
	bool was = mini_lock(&kernel->lock);
	ready_append_locked(kernel, thread);
	wake_cpu(kernel);
	mini_unlock(&kernel->lock, was);
}

void *mini_alloc(size_t size_bytes)
{
	struct kernel *kernel = hal_kernel();
	bool was = mini_lock(&kernel->lock);
	char *memory = kernel->fresh;
	bool fits = size_bytes <= (size_t)(kernel->limit - memory);
	if (fits)
		kernel->fresh += (size_bytes + 63) & ~(size_t)63;
	mini_unlock(&kernel->lock, was);
	if (fits && kernel->poison != 0)
		memset(memory, (int)kernel->poison, size_bytes);
	return fits ? memory : NULL;
}

static struct mini_thread *stack_get(struct kernel *kernel)
{
	bool was = mini_lock(&kernel->lock);
	struct mini_thread *thread = kernel->free;
	if (thread != NULL) {
		kernel->free = thread->next;
	} else if (kernel->limit - kernel->fresh >= 2 * CONFIG_KSTACK_SIZE) {
		uintptr_t base =
			((uintptr_t)kernel->fresh + CONFIG_KSTACK_SIZE - 1) & ~(uintptr_t)(CONFIG_KSTACK_SIZE - 1);
		thread = (struct mini_thread *)base;
		kernel->fresh = (char *)thread + CONFIG_KSTACK_SIZE;
	}
	mini_unlock(&kernel->lock, was);
	return thread;
}

static void thread_main(void *arg)
{
	struct mini_thread *thread = arg;
	mini_switch_finish();
	hal_irq_restore(false);
	thread->fn(thread->arg);
	mini_exit();
}

struct mini_thread *mini_spawn(void (*fn)(void *), void *arg)
{
	struct kernel *kernel = hal_kernel();
	struct mini_thread *thread = stack_get(kernel);
	if (thread == NULL)
		return NULL;
	memset(thread, 0, sizeof(*thread));
	thread->fn = fn;
	thread->arg = arg;
	thread->id = __atomic_add_fetch(&kernel->next_id, 1, __ATOMIC_RELAXED);
	if (hal_context_init(&thread->hal, sizeof(*thread), thread_main, thread) != 0)
		return NULL;
	__atomic_fetch_add(&kernel->threads, 1, __ATOMIC_RELAXED);
	mini_event(1, thread->id, 0);
	make_ready(kernel, thread);
	return thread;
}

// Releases kernel.lock, which every switch is made under, and gives a dead stack back.
void mini_switch_finish(void)
{
	struct kernel *kernel = hal_kernel();
	struct mini_cpu *cpu = mini_cpu();
	struct mini_thread *dead = cpu->dead;
	cpu->dead = NULL;
	if (dead != NULL) {
		hal_context_fini(&dead->hal);
		dead->next = kernel->free;
		kernel->free = dead;
	}
	__atomic_store_n(&kernel->lock.word, 0, __ATOMIC_RELEASE);
	hal_spin_wake(&kernel->lock.word);
}

static void switch_locked(struct kernel *kernel, struct mini_thread *next)
{
	struct mini_cpu *cpu = mini_cpu();
	struct mini_thread *self = cpu->current;
	next->state = MINI_RUNNING;
	next->hal.cpu = &cpu->hal;
	cpu->current = next;
	cpu->slice_end_ns = hal_clock_mono_ns() + MINI_SLICE_NS;
	hal_timer_arm(next == cpu->idle && kernel->sleepers == NULL ? TB_FOREVER : cpu->slice_end_ns);
	mini_event(2, self->id, next->id);
	if (self->state == MINI_DEAD) {
		cpu->dead = self;
		hal_context_exit(&self->hal, &next->hal);
	}
	hal_context_switch(&self->hal, &next->hal);
	mini_switch_finish();
}

// Gives the CPU to the next thread, if any. Masked. The caller has set its state if it does not want to go on.
static void schedule_locked(struct kernel *kernel)
{
	struct mini_cpu *cpu = mini_cpu();
	struct mini_thread *self = cpu->current;
	struct mini_thread *next = ready_take_locked(kernel);
	bool goes_on = self->state == MINI_RUNNING;
	if (next == NULL && goes_on) {
		__atomic_store_n(&kernel->lock.word, 0, __ATOMIC_RELEASE);
		hal_spin_wake(&kernel->lock.word);
		return;
	}
	if (goes_on && self != cpu->idle)
		ready_append_locked(kernel, self);
	if (kernel->ready != NULL)
		wake_cpu(kernel);
	switch_locked(kernel, next != NULL ? next : cpu->idle);
}

void mini_schedule(void)
{
	struct kernel *kernel = hal_kernel();
	mini_lock(&kernel->lock);
	schedule_locked(kernel);
}

void mini_yield(void)
{
	bool was = hal_irq_save();
	mini_schedule();
	hal_irq_restore(was);
}

void mini_exit(void)
{
	struct kernel *kernel = hal_kernel();
	__atomic_fetch_sub(&kernel->threads, 1, __ATOMIC_RELAXED);
	mini_lock(&kernel->lock);
	mini_self()->state = MINI_DEAD;
	schedule_locked(kernel);
	hal_panic("a dead thread runs");
}

void mini_sleep(uint64_t duration_ns)
{
	struct kernel *kernel = hal_kernel();
	bool was = mini_lock(&kernel->lock);
	struct mini_thread *self = mini_self();
	self->wake_ns = hal_clock_mono_ns() + duration_ns;
	self->state = MINI_BLOCKED;
	self->next = kernel->sleepers;
	kernel->sleepers = self;
	schedule_locked(kernel);
	hal_irq_restore(was);
}

// Wakes sleepers; keeps the timer going while there is something to wait for.
void mini_tick(void)
{
	struct kernel *kernel = hal_kernel();
	bool was = mini_lock(&kernel->lock);
	uint64_t now_ns = hal_clock_mono_ns();
	struct mini_thread **link = &kernel->sleepers;
	while (*link != NULL) {
		struct mini_thread *thread = *link;
		if (thread->wake_ns > now_ns) {
			link = &thread->next;
			continue;
		}
		*link = thread->next;
		ready_append_locked(kernel, thread);
		wake_cpu(kernel);
	}
	if (kernel->sleepers != NULL || kernel->ready != NULL)
		hal_timer_arm(now_ns + MINI_SLICE_NS);
	mini_unlock(&kernel->lock, was);
}

void mini_down(struct mini_sem *sem)
{
	struct kernel *kernel = hal_kernel();
	bool was = mini_lock(&kernel->lock);
	struct mini_thread *self = mini_self();
	if (--sem->count >= 0) {
		mini_unlock(&kernel->lock, was);
		return;
	}
	struct mini_thread **link = &sem->waiters;
	while (*link != NULL)
		link = &(*link)->next;
	self->state = MINI_BLOCKED;
	self->next = NULL;
	*link = self;
	schedule_locked(kernel);
	hal_irq_restore(was);
}

void mini_up(struct mini_sem *sem)
{
	struct kernel *kernel = hal_kernel();
	bool was = mini_lock(&kernel->lock);
	struct mini_thread *thread = sem->waiters;
	if (++sem->count <= 0) {
		sem->waiters = thread->next;
		ready_append_locked(kernel, thread);
		wake_cpu(kernel);
	}
	mini_unlock(&kernel->lock, was);
}

void mini_idle(void)
{
	for (;;) {
		hal_irq_save();
		mini_schedule();
		if (hal_kernel()->ready == NULL)
			hal_cpu_idle();
		hal_irq_restore(false);
	}
}
