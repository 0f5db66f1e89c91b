// SPDX-License-Identifier: MIT
//
// Condition variable: a wait queue entered before the mutex is released, so that no signal of whoever holds the mutex next is
// missed.
#include "sync_impl.h"

void condvar_init(struct condvar *condvar, const char *name)
{
	waitq_init(&condvar->queue, name);
}

// The checker is told the line where the caller took the mutex, not ours.
static void condvar_drop(struct mutex *mutex, const char **where)
{
#if CONFIG_LOCKCHECK
	*where = lockcheck_where(&mutex->check);
	mutex_unlock_at(mutex, *where);
#else
	*where = NULL;
	mutex_unlock(mutex);
#endif
}

static void condvar_retake(struct mutex *mutex, const char *where)
{
#if CONFIG_LOCKCHECK
	mutex_lock_at(mutex, LOCK_MODE_PLAIN, where);
#else
	(void)where;
	mutex_lock(mutex);
#endif
}

err_t(condvar_wait_until)(struct condvar *condvar, struct mutex *mutex, uint64_t deadline_ns)
{
	struct waitq_entry entry;
	const char *where;

	ASSERT(mutex_held(mutex));
	waitq_enter(&condvar->queue, &entry, true);
	condvar_drop(mutex, &where);
	err_t err = waitq_finish(&condvar->queue, &entry, deadline_ns);
	condvar_retake(mutex, where);
	return err;
}

void(condvar_wait)(struct condvar *condvar, struct mutex *mutex)
{
	err_t err = (condvar_wait_until)(condvar, mutex, TB_FOREVER);
	ASSERT3(err, ==, 0);
}

void condvar_signal(struct condvar *condvar)
{
	(void)waitq_wake(&condvar->queue, 1);
}

void condvar_broadcast(struct condvar *condvar)
{
	(void)waitq_wake_all(&condvar->queue);
}
