// SPDX-License-Identifier: MIT
//
// Threads of small machines: how they are made, wait, end and are listed. A stack is CONFIG_KSTACK_SIZE bytes of frames with struct
// thread at its base; its unused part is filled with STACK_FILL, so that what was used can be told exactly.
#include "tiny_impl.h"

#include "hal/call.h"
#include "kern/component.h"
#include "kern/mem.h"
#include "kern/string.h"
#include "kern/trace.h"

#define STACK_FILL 0xa5u
#define STACK_GUARD 32u

enum thread_join {
	JOIN_NONE,
	JOIN_CLAIMED, // somebody waits, or will not have to
};

// Bit s of row r: a thread in state r may become s.
static const uint8_t moves[] = {
	[THREAD_NEW] = 1u << THREAD_READY,
	[THREAD_READY] = 1u << THREAD_RUNNING,
	[THREAD_RUNNING] = 1u << THREAD_READY | 1u << THREAD_PARKED | 1u << THREAD_DEAD,
	[THREAD_PARKED] = 1u << THREAD_READY,
	[THREAD_DEAD] = 1u << THREAD_REAPED,
};

void thread_state_set(struct thread *thread, enum thread_state state)
{
	VERIFY((moves[thread->state] >> state & 1) != 0);
	thread->state = (uint8_t)state;
}

static void thread_fill(struct thread *thread, const char *name, uint32_t flags)
{
	thread->magic = THREAD_MAGIC;
	thread->stack_canary = THREAD_CANARY;
	(void)strlcpy(thread->name, name, sizeof thread->name);
	thread->flags = (uint8_t)flags;
	thread->state = THREAD_NEW;
}

void thread_boot_init(struct cpu *cpu)
{
	struct thread *thread = current;

	thread_fill(thread, "idle", THREAD_FLAG_IDLE);
	thread->hal.cpu = &cpu->hal;
	thread->id = 1;
	thread->state = THREAD_RUNNING;
	thread->klass = CLASS_IDLE;
	thread->prio = PRIO_IDLE;
	thread->prio_base = PRIO_IDLE;
	cpu->running = thread;
	cpu->idle = thread;
}

static void thread_main(void *arg)
{
	struct thread *self = arg;
	hal_irq_restore(false);
	self->entry(self->arg);
	thread_exit(0);
}

static err_t params_check(const struct thread_params *params)
{
	bool rt = params->klass == CLASS_FIFO || params->klass == CLASS_RR;
	if (params->affinity != NULL && !cpu_mask_has(params->affinity, 0))
		return ERR(EINVAL);
	if (rt && params->rt_prio >= PRIO_RT_MAX && params->rt_prio <= PRIO_RT_MIN)
		return 0;
	if (params->klass == CLASS_FAIR && params->nice >= -20 && params->nice <= 19)
		return 0;
	return ERR(EINVAL);
}

static int32_t params_prio(enum thread_class klass, int32_t rt_prio, int32_t nice)
{
	return klass == CLASS_FAIR ? PRIO_FAIR_DEFAULT + nice : rt_prio;
}

static void thread_publish(struct sched_state *state, struct thread *thread)
{
	thread->id = state->next_id++;
	state->thread_count++;
	list_push_back(&state->threads, &thread->all_link);
	thread->hal.cpu = &this_cpu()->hal;
	ready_wake(thread);
}

static const struct thread_params defaults = {.name = "thread", .klass = CLASS_FAIR};

err_t thread_start(const struct thread_params *params, void (*entry)(void *), void *arg, struct thread **out)
{
	struct sched_state *state = sched_state();
	uint32_t limit = kernel_self()->persona->thread_limit;

	if (params == NULL)
		params = &defaults;
	err_t err = params_check(params);
	if (err != 0)
		return err;
	thread_reap();
	if (limit != 0 && state->thread_count >= limit)
		return ERR(EAGAIN);
	struct thread *thread = range_alloc_aligned(CONFIG_KSTACK_SIZE, STACK_ALIGN, 0, NULL);
	if (thread == NULL)
		return ERR(ENOMEM);
	memset(thread, 0, sizeof *thread);
	memset(thread + 1, STACK_FILL, CONFIG_KSTACK_SIZE - sizeof *thread);
	thread_fill(thread, params->name != NULL ? params->name : "thread", params->flags);
	thread->entry = entry;
	thread->arg = arg;
	thread->klass = (uint8_t)params->klass;
	thread->prio_base = params_prio(params->klass, params->rt_prio, params->nice);
	thread->prio = thread->prio_base;
	err = hal_context_init(&thread->hal, sizeof *thread, thread_main, thread);
	if (err != 0) {
		range_free(thread);
		return err;
	}
	if (out != NULL)
		*out = thread;
	bool was = hal_irq_save();
	thread_publish(state, thread);
	irq_restore(was);
	return 0;
}

// ---- waiting -------------------------------------------------------------------------------------------------------

struct park_timeout {
	struct timer timer;
	struct thread *thread;
};

static bool permit_take(struct thread *self)
{
	if (atomic_load_u32_relaxed(&self->permit) == 0)
		return false;
	return atomic_xchg_u32_acquire(&self->permit, 0) != 0;
}

void thread_unpark(struct thread *thread)
{
	bool was = hal_irq_save();
	bool fresh = atomic_xchg_u32_acq_rel(&thread->permit, 1) == 0;
	if (fresh && thread->state == THREAD_PARKED)
		ready_wake(thread);
	irq_restore(was);
}

static void park_expired(struct timer *timer)
{
	struct thread *thread = container_of(timer, struct park_timeout, timer)->thread;
	atomic_store_u32_relaxed(&thread->park_timed_out, 1);
	if (thread->state == THREAD_PARKED)
		ready_wake(thread);
}

// A thread that serves a call of the host tells it whether the call sleeps.
static void park_now(struct thread *self, uint64_t deadline_ns)
{
	bool was = hal_irq_save();
	VERIFY(!was);
	VERIFY3(self->hal.preempt_count, ==, 0);
	trace_emit(TRACE_SCHED_PARK, self->id, deadline_ns);
	if (self->call_token != 0)
		hal_call_sleeping(self->call_token, true);
	sched_switch(SWITCH_PARK);
	if (self->call_token != 0)
		hal_call_sleeping(self->call_token, false);
	hal_irq_restore(was);
}

static err_t park_until(struct thread *self, uint64_t deadline_ns)
{
	struct park_timeout timeout = {.thread = self};

	if (clock_now_ns() >= deadline_ns)
		return -ETIMEDOUT;
	timer_setup(&timeout.timer, park_expired);
	timer_arm(&timeout.timer, deadline_ns);
	park_now(self, deadline_ns);
	(void)timer_cancel_sync(&timeout.timer);
	atomic_store_u32_relaxed(&self->park_timed_out, 0);
	return permit_take(self) ? 0 : -ETIMEDOUT;
}

err_t thread_park(uint64_t deadline_ns)
{
	struct thread *self = current;

	if (permit_take(self))
		return 0;
	if (deadline_ns != TB_FOREVER)
		return park_until(self, deadline_ns);
	park_now(self, TB_FOREVER);
	return permit_take(self) ? 0 : -ETIMEDOUT;
}

// ---- the end -------------------------------------------------------------------------------------------------------

static void thread_unlist(struct thread *thread)
{
	struct sched_state *state = sched_state();
	bool was = hal_irq_save();
	list_remove(&thread->all_link);
	state->thread_count--;
	irq_restore(was);
}

static void thread_free(struct thread *thread)
{
	VERIFY3(thread->stack_canary, ==, THREAD_CANARY);
	thread_state_set(thread, THREAD_REAPED);
	thread->magic = 0;
	hal_context_fini(&thread->hal);
	range_free(thread);
}

void thread_reap(void)
{
	struct sched_state *state = sched_state();
	bool was = hal_irq_save();
	struct thread *ended = state->ended;
	state->ended = NULL;
	irq_restore(was);
	if (ended != NULL)
		thread_free(ended);
}

// Tells whoever is concerned before it leaves: nobody can run until it has left.
void thread_exit(int64_t value)
{
	struct thread *self = current;

	VERIFY(!hal_irq_masked());
	VERIFY((self->flags & THREAD_FLAG_IDLE) == 0);
	lockcheck_thread_end();
	ASSERT(rb_is_empty(&self->pi_held));
	trace_emit(TRACE_THREAD_EXIT, self->id, (uint64_t)value);
	self->exit_value = value;
	bool detached = (self->flags & THREAD_FLAG_DETACHED) != 0;
	if (detached)
		thread_unlist(self);
	(void)hal_irq_save();
	while (sched_state()->ended != NULL) {
		hal_irq_restore(false);
		thread_reap();
		(void)hal_irq_save();
	}
	if (detached)
		sched_state()->ended = self;
	else if (self->joiner != NULL)
		thread_unpark(self->joiner);
	sched_switch(SWITCH_EXIT);
	__builtin_unreachable();
}

err_t thread_join_until(struct thread *thread, int64_t *exit_value, uint64_t deadline_ns)
{
	might_sleep();
	if (thread == current)
		return ERR(EDEADLK);
	if ((thread->flags & THREAD_FLAG_DETACHED) != 0 || thread->join_state != JOIN_NONE)
		return ERR(EINVAL);
	thread->join_state = JOIN_CLAIMED;
	thread->joiner = current;
	err_t err = 0;
	while (err == 0 && thread_state_now(thread) != THREAD_DEAD)
		err = thread_park(deadline_ns);
	if (thread_state_now(thread) != THREAD_DEAD) {
		thread->joiner = NULL;
		thread->join_state = JOIN_NONE;
		return err;
	}
	if (exit_value != NULL)
		*exit_value = thread->exit_value;
	thread_unlist(thread);
	thread_free(thread);
	return 0;
}

err_t thread_join(struct thread *thread, int64_t *exit_value)
{
	return thread_join_until(thread, exit_value, TB_FOREVER);
}

void sched_stop(void)
{
	thread_reap();
}

// ---- priorities ----------------------------------------------------------------------------------------------------

// Masked.
static void prio_apply(struct thread *thread)
{
	int32_t prio = MIN(thread->prio_base, PRIO_COUNT - thread->pi_lent);
	if (prio == thread->prio)
		return;
	thread->prio = prio;
	if (thread->state == THREAD_READY && (thread->flags & THREAD_FLAG_IDLE) == 0) {
		list_remove(&thread->runq_link);
		ready_insert(thread, false);
	}
	resched_look();
}

void thread_inherit(struct thread *thread, int32_t prio)
{
	(void)prio; // pi_lent says the same
	bool was = hal_irq_save();
	prio_apply(thread);
	irq_restore(was);
}

err_t thread_set_prio(struct thread *thread, enum thread_class klass, int32_t rt_prio, int32_t nice)
{
	const struct thread_params params = {.klass = klass, .rt_prio = rt_prio, .nice = nice};
	err_t err = params_check(&params);
	if (err != 0)
		return err;
	bool was = hal_irq_save();
	thread->klass = (uint8_t)klass;
	WRITE_ONCE(thread->prio_base, params_prio(klass, rt_prio, nice));
	prio_apply(thread);
	irq_restore(was);
	mutex_prio_changed(thread);
	return 0;
}

// There is one CPU: a mask names it or nobody.
err_t thread_set_affinity(struct thread *thread, const struct cpu_mask *mask)
{
	(void)thread;
	return cpu_mask_has(mask, 0) ? 0 : ERR(EINVAL);
}

err_t sched_isolate(uint32_t cpu, bool isolated)
{
	(void)cpu;
	(void)isolated;
	return ERR(EINVAL);
}

// ---- figures -------------------------------------------------------------------------------------------------------

static no_asan uint32_t stack_used_bytes(const struct thread *thread)
{
	// The lowest bytes may be forbidden: a HAL's guard against overflow.
	const uint8_t *low = (const uint8_t *)(ALIGN_UP((uintptr_t)(thread + 1), STACK_GUARD) + STACK_GUARD);
	const uint8_t *high = (const uint8_t *)thread + (thread->id == 1 ? BOOT_STACK_SIZE : CONFIG_KSTACK_SIZE);
	while (low < high && *(const volatile uint8_t *)low == (thread->id == 1 ? 0 : STACK_FILL))
		low++;
	return (uint32_t)(high - low);
}

static void info_fill(const struct sched_state *state, const struct thread *thread, struct thread_info *info)
{
	*info = (struct thread_info){
		.id = thread->id,
		.state = thread->state,
		.klass = thread->klass,
		.prio = thread->prio,
		.prio_base = thread->prio_base,
		.stack_used_bytes = stack_used_bytes(thread),
		.waiting_on = thread->waiting_on,
	};
	memcpy(info->name, thread->name, sizeof info->name);
	info->stats.switches = thread->switches;
	info->stats.preemptions = thread->preemptions;
	info->stats.run_ns = thread->run_ns;
	if (thread == current)
		info->stats.run_ns += clock_now_ns() - state->since_ns;
}

void thread_each(void (*fn)(const struct thread_info *, void *), void *arg)
{
	struct sched_state *state = sched_state();
	struct thread *thread;

	preempt_disable();
	list_for_each (thread, &state->threads, all_link) {
		struct thread_info info;
		info_fill(state, thread, &info);
		fn(&info, arg);
	}
	preempt_enable();
}
