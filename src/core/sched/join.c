// SPDX-License-Identifier: MIT
//
// The end of a thread. It leaves its stack for the last time in thread_exit(); the thread that runs next on that CPU buries
// it: tells the joiner, or gives the stack back when nobody will join. Telling takes two steps, because the moment the joiner
// knows, it may free the dead thread and end itself:
//
//   JOIN_NONE → EXITED                              nobody waits; a joiner finds it so
//   JOIN_NONE → WAITED → WAKING → EXITED            the joiner is woken between, and spins from WAKING to EXITED
//   JOIN_WAITED → NONE                              the joiner's time is up
#include "sched_impl.h"

enum thread_join {
	JOIN_NONE,
	JOIN_WAITED,
	JOIN_WAKING,
	JOIN_EXITED
};

void thread_exit(int64_t value)
{
	struct thread *self = current;

	ASSERT3(self->hal.preempt_count, ==, 0);
	VERIFY(!hal_irq_masked());
	VERIFY((self->flags & THREAD_FLAG_IDLE) == 0);
	lockcheck_thread_end();
	ASSERT(rb_is_empty(&self->pi_held));
	stack_reap();
	counter_inc(COUNTER_THREADS_EXITED);
	trace_emit(TRACE_THREAD_EXIT, self->id, (uint64_t)value);
	self->exit_value = value;
	(void)hal_irq_save();
	if ((self->flags & THREAD_FLAG_DETACHED) != 0)
		thread_list_remove(self); // masked: who is not on the list must not move any more
	sched_switch(SWITCH_EXIT);
	__builtin_unreachable();
}

void thread_bury(struct thread *dead)
{
	hal_context_fini(&dead->hal);
	if ((dead->flags & THREAD_FLAG_DETACHED) != 0) {
		stack_check(dead);
		thread_state_set(dead, THREAD_REAPED);
		stack_put(dead);
		return;
	}
	// Again when a joiner came or gave up between the two looks.
	for (;;) {
		uint32_t found = JOIN_NONE;
		if (atomic_cmpxchg_u32_acq_rel(&dead->join_state, &found, JOIN_EXITED))
			return;
		found = JOIN_WAITED;
		if (atomic_cmpxchg_u32_acq_rel(&dead->join_state, &found, JOIN_WAKING))
			break;
	}
	thread_unpark(dead->joiner);
	atomic_store_u32_release(&dead->join_state, JOIN_EXITED);
	hal_spin_wake(&dead->join_state); // only names the word, which may be gone
}

// 0: it has ended and left its stack.
static err_t join_wait(struct thread *thread, uint64_t deadline_ns)
{
	uint32_t found = JOIN_NONE;
	err_t err = 0;

	thread->joiner = current;
	if (!atomic_cmpxchg_u32_acq_rel(&thread->join_state, &found, JOIN_WAITED))
		return 0;
	while (err == 0 && atomic_load_u32_acquire(&thread->join_state) == JOIN_WAITED)
		err = thread_park(deadline_ns);
	found = JOIN_WAITED;
	if (err != 0 && atomic_cmpxchg_u32_acq_rel(&thread->join_state, &found, JOIN_NONE))
		return err;
	while (atomic_load_u32_acquire(&thread->join_state) == JOIN_WAKING)
		hal_spin_wait(&thread->join_state, JOIN_WAKING);
	return 0;
}

err_t thread_join_until(struct thread *thread, int64_t *exit_value, uint64_t deadline_ns)
{
	might_sleep();
	if (thread == current)
		return ERR(EDEADLK);
	if ((thread->flags & THREAD_FLAG_DETACHED) != 0 || atomic_xchg_u32_acq_rel(&thread->joined, 1) != 0)
		return ERR(EINVAL);
	err_t err = join_wait(thread, deadline_ns);
	if (err != 0) {
		atomic_store_u32_release(&thread->joined, 0);
		return err;
	}
	if (exit_value != NULL)
		*exit_value = thread->exit_value;
	thread_list_remove(thread);
	thread_release(thread);
	return 0;
}

err_t thread_join(struct thread *thread, int64_t *exit_value)
{
	return thread_join_until(thread, exit_value, TB_FOREVER);
}
