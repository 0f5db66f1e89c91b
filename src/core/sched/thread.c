// SPDX-License-Identifier: MIT
//
// Threads: which changes of state are legal (thread_state_set() makes them, and nobody else); how one is made; the list of all.
#include "sched_impl.h"

// Bit s of row r: a thread in state r may become s.
const uint8_t thread_moves[THREAD_REAPED + 1] = {
	[THREAD_NEW] = 1u << THREAD_READY | 1u << THREAD_REAPED,
	[THREAD_READY] = 1u << THREAD_RUNNING,
	[THREAD_RUNNING] = 1u << THREAD_READY | 1u << THREAD_PARKED | 1u << THREAD_DEAD,
	[THREAD_PARKED] = 1u << THREAD_READY,
	[THREAD_DEAD] = 1u << THREAD_REAPED,
};

static void thread_fill(struct thread *thread, const struct thread_params *params)
{
	thread->magic = THREAD_MAGIC;
	thread->stack_canary = THREAD_CANARY;
	(void)strlcpy(thread->name, params->name != NULL ? params->name : "thread", sizeof thread->name);
	thread->flags = params->flags;
	thread->prio_lent = PRIO_COUNT;
	thread->account = params->account;
	thread->stack_low = CONFIG_KSTACK_SIZE;
	thread->state = THREAD_NEW;
}

// The stack that a CPU booted on becomes its idle thread.
void thread_boot_init(struct cpu *cpu)
{
	struct thread_params params = {.name = "idle", .flags = THREAD_FLAG_IDLE};
	struct thread *thread = current;

	thread_fill(thread, &params);
	thread->hal.cpu = &cpu->hal;
	thread->id = 1;
	thread->state = THREAD_RUNNING;
	thread->on_cpu = 1;
	thread->home = cpu;
	thread->prio_base = PRIO_IDLE;
	thread->prio = PRIO_IDLE;
	thread->klass_base = CLASS_IDLE;
	thread->klass = CLASS_IDLE;
	cpu->running = thread;
	cpu->idle = thread;
}

err_t thread_params_check(const struct thread_params *params)
{
	switch (params->klass) {
	case CLASS_FIFO:
	case CLASS_RR:
		if (params->rt_prio < PRIO_RT_MAX || params->rt_prio > PRIO_RT_MIN)
			return ERR(EINVAL);
		break;
	case CLASS_FAIR:
		if (params->nice < -20 || params->nice > 19)
			return ERR(EINVAL);
		break;
	default:
		return ERR(EINVAL);
	}
	return 0;
}

// -EAGAIN: the persona's limit. -EINVAL: it has no CPU.
err_t thread_list_add(struct thread *thread)
{
	struct sched_state *state = sched_state();
	err_t err = 0;

	spin_lock(&state->threads_lock);
	if (state->thread_limit != 0 && state->thread_count >= state->thread_limit) {
		err = ERR(EAGAIN);
	} else if ((thread->flags & THREAD_FLAG_IDLE) == 0 && !balance_has_cpu(&thread->affinity, NO_CPU)) {
		err = ERR(EINVAL);
	} else {
		state->thread_count++;
		thread->id = state->next_id++;
		if (state->next_id == 0)
			state->next_id = 1;
		list_push_back(&state->threads, &thread->all_link);
	}
	spin_unlock(&state->threads_lock);
	return err;
}

void thread_list_remove(struct thread *thread)
{
	struct sched_state *state = sched_state();
	spin_lock(&state->threads_lock);
	state->thread_count--;
	list_remove(&thread->all_link);
	spin_unlock(&state->threads_lock);
}

static void thread_main(void *arg)
{
	struct thread *self = arg;
	sched_switch_finish();
	hal_irq_restore(false);
	self->entry(self->arg);
	thread_exit(0);
}

static void thread_affinity_init(struct thread *thread, const struct cpu_mask *affinity)
{
	for (uint32_t i = 0; i < CPU_MASK_WORDS; i++)
		thread->affinity.words[i] = affinity != NULL ? affinity->words[i] : UINT32_MAX;
}

static const struct thread_params thread_defaults = {.name = "thread", .klass = CLASS_FAIR};

static err_t thread_make(const struct thread_params *params, void (*entry)(void *), void *arg, struct thread **out)
{
	struct account *account = params->account != NULL ? params->account : current->account;
	struct thread *thread = stack_get(account);
	if (thread == NULL)
		return ERR(ENOMEM);
	thread_fill(thread, params);
	thread->account = account;
	thread->entry = entry;
	thread->arg = arg;
	thread_affinity_init(thread, params->affinity);
	bool fair = params->klass == CLASS_FAIR;
	thread->klass_base = params->klass;
	thread->prio_base = fair ? PRIO_FAIR_DEFAULT + params->nice : params->rt_prio;
	thread_prio_apply(thread, params->klass, thread->prio_base);
	thread->fair_lag = 1; // and vruntime 0: it has neither a claim nor a debt
	err_t err = hal_context_init(&thread->hal, sizeof *thread, thread_main, thread);
	if (err == 0) {
		err = thread_list_add(thread);
		if (err == 0) {
			*out = thread;
			return 0;
		}
		hal_context_fini(&thread->hal);
	}
	thread_state_set(thread, THREAD_REAPED);
	stack_put(thread);
	return err;
}

err_t thread_start(const struct thread_params *params, void (*entry)(void *), void *arg, struct thread **out)
{
	struct thread *thread;

	if (params == NULL)
		params = &thread_defaults;
	err_t err = thread_params_check(params);
	if (err != 0)
		return err;
	stack_reap();
	err = thread_make(params, entry, arg, &thread);
	if (err != 0)
		return err;
	// A detached thread may be gone once it runs.
	if (out != NULL)
		*out = thread;
	counter_inc(COUNTER_THREADS_STARTED);
	trace_emit(TRACE_THREAD_START, thread->id, (uint64_t)(int64_t)thread->prio);
	bool was = hal_irq_save();
	thread->since_ns = clock_now_ns();
	thread_state_set(thread, THREAD_READY);
	atomic_store_ptr_release(&thread->home, this_cpu()); // from here on others may see it
	balance_send(thread);
	irq_restore(was);
	return 0;
}

// The idle thread of a secondary CPU.
err_t thread_make_idle(struct cpu *cpu)
{
	struct thread *thread = stack_get(account_root());
	if (thread == NULL)
		return ERR(ENOMEM);
	struct thread_params params = {.name = "idle", .flags = THREAD_FLAG_IDLE, .account = account_root()};
	thread_fill(thread, &params);
	thread->klass_base = CLASS_IDLE;
	thread->prio_base = PRIO_IDLE;
	thread_prio_apply(thread, CLASS_IDLE, PRIO_IDLE);
	thread->home = cpu;
	thread->state = THREAD_RUNNING;
	thread->on_cpu = 1;
	thread->hal.cpu = &cpu->hal;
	thread->hal.preempt_count = 1;
	thread->affinity.words[cpu->hal.index / 32] = 1u << (cpu->hal.index % 32);
	err_t err = hal_context_init(&thread->hal, sizeof *thread, thread_main, thread);
	if (err == 0) {
		err = thread_list_add(thread);
		if (err == 0) {
			cpu->idle = thread;
			cpu->running = thread;
			return 0;
		}
		hal_context_fini(&thread->hal);
	}
	thread->state = THREAD_DEAD;
	thread_state_set(thread, THREAD_REAPED);
	stack_put(thread);
	return err;
}

void thread_release(struct thread *thread)
{
	stack_check(thread);
	thread_state_set(thread, THREAD_REAPED);
	stack_put(thread);
	stack_reap();
}

err_t thread_service_start(const char *name, void (*entry)(void *), void *arg, struct thread **out)
{
	struct thread_params params = {
		.name = name,
		.klass = CLASS_FAIR,
		.nice = -20,
		.flags = THREAD_FLAG_KERNEL_SERVICE,
		.account = account_root(),
	};
	return thread_start(&params, entry, arg, out);
}

void thread_service_join(struct thread *thread)
{
	err_t err = thread_join(thread, NULL);
	VERIFY3(err, ==, 0);
}
