// SPDX-License-Identifier: MIT
//
// Mutexes beyond the inline fast path: waiting, overtaking, hand-over. Everything that finds or leaves waiters runs under the
// PI lock; the states are in sync_impl.h, 2. Stores to `word` are releases, so that whoever takes a free lock by the fast path
// synchronises with its last owner, also when a waiter that gave up was the last to write.
#include "sync_impl.h"

#include "kern/counter.h"
#include "kern/image.h"
#include "kern/log.h"
#include "kern/trace.h"

void mutex_init(struct mutex *mutex, enum lock_rank rank, const char *name)
{
	atomic_store_word_relaxed_nopoint(&mutex->word, 0);
	rb_init(&mutex->waiters);
	mutex->held_node = (struct rb_node){0};
	mutex->top_prio = 0;
	mutex->name = name;
#if CONFIG_LOCKCHECK
	lock_class_init(&mutex->check, rank, LOCK_SLEEPING, name);
#else
	(void)rank;
#endif
}

void mutex_fini(struct mutex *mutex)
{
	VERIFY3(atomic_load_word_acquire_nopoint(&mutex->word), ==, 0);
#if CONFIG_LOCKCHECK
	lock_class_fini(&mutex->check);
#endif
}

static void mutex_set_word(struct mutex *mutex, const struct thread *owner)
{
	uintptr_t waiters = rb_is_empty(&mutex->waiters) ? 0 : MUTEX_WAITERS;
	atomic_store_word_release_nopoint(&mutex->word, (uintptr_t)owner | waiters);
}

void mutex_wake_top_locked(struct mutex *mutex)
{
	struct thread *top = mutex_top_locked(mutex);
	if (top->pi_woken != 0)
		return;
	top->pi_woken = 1;
	kernel_self()->hooks->unpark(top);
}

// A free mutex, or one being handed over, becomes the thread's, which waits for it no more.
static void mutex_give_locked(struct mutex *mutex, struct thread *thread)
{
	mutex_set_word(mutex, thread);
	if (!rb_is_empty(&mutex->waiters))
		pi_attach_locked(mutex, thread);
}

// Takes the mutex for a thread that is not among the waiters, if it is free and nobody more urgent has been woken for it.
static bool mutex_try_locked(struct mutex *mutex, struct thread *self)
{
	uintptr_t found = 0;

	if (atomic_cmpxchg_word_acq_rel_nopoint(&mutex->word, &found, (uintptr_t)self))
		return true;
	if (found != MUTEX_WAITERS || pi_prio_of(self) > mutex_top_locked(mutex)->pi_prio)
		return false;
	mutex_give_locked(mutex, self);
	return true;
}

// Sets the WAITERS bit, after which `word` changes under the PI lock only. False: the word has changed, try again.
static bool mutex_announce_locked(struct mutex *mutex)
{
	uintptr_t found = atomic_load_word_relaxed_nopoint(&mutex->word);

	VERIFY3(found & ~MUTEX_WAITERS, !=, (uintptr_t)current);
	if ((found & MUTEX_WAITERS) != 0)
		return true;
	return found != 0 && atomic_cmpxchg_word_relaxed_nopoint(&mutex->word, &found, found | MUTEX_WAITERS);
}

static void mutex_join_locked(struct mutex *mutex, struct thread *self)
{
	struct thread *owner = mutex_owner_locked(mutex);
	bool first = rb_is_empty(&mutex->waiters);

	counter_inc(COUNTER_MUTEX_BLOCKED);
	trace_emit(TRACE_MUTEX_BLOCK, (uint64_t)image_offset(mutex->name), owner != NULL ? owner->id : 0);
	pi_waiter_insert_locked(mutex, self);
	if (owner == NULL)
		return; // the best waiter is awake, and it is not us
	if (first)
		pi_attach_locked(mutex, owner);
	else
		pi_waiters_changed_locked(mutex);
#if CONFIG_LOCKCHECK
	lockcheck_deadlock_locked(mutex);
#endif
}

static void mutex_give_up_locked(struct mutex *mutex, struct thread *self)
{
	struct thread *owner = mutex_owner_locked(mutex);

	pi_waiter_remove_locked(mutex, self);
	if (rb_is_empty(&mutex->waiters)) {
		if (owner != NULL)
			pi_detach_locked(mutex, owner);
		mutex_set_word(mutex, owner);
	} else if (owner != NULL) {
		pi_waiters_changed_locked(mutex);
	} else {
		mutex_wake_top_locked(mutex);
	}
}

// Back from sleep: true when the wait is over, with the mutex or, *err set by the deadline, without.
static bool mutex_woken_locked(struct mutex *mutex, struct thread *self, err_t *err)
{
	if (self->blocked_on == NULL) { // handed over
		*err = 0;
		return true;
	}
	self->pi_woken = 0;
	if (mutex_owner_locked(mutex) == NULL && mutex_top_locked(mutex) == self) {
		pi_waiter_remove_locked(mutex, self);
		mutex_give_locked(mutex, self);
		*err = 0;
		return true;
	}
	if (*err != 0)
		mutex_give_up_locked(mutex, self);
	return *err != 0;
}

err_t mutex_lock_slow(struct mutex *mutex, uint64_t deadline_ns)
{
	const struct sched_hooks *hooks = kernel_self()->hooks;
	struct thread *self = current;
	bool done = false;
	err_t err = 0;

	spin_lock(pi_lock());
	while (!done && !mutex_announce_locked(mutex))
		done = mutex_try_locked(mutex, self);
	done = done || mutex_try_locked(mutex, self);
	if (!done)
		mutex_join_locked(mutex, self);
	atomic_store_ptr_relaxed_nopoint(&self->waiting_on, mutex->name);
	while (!done) {
		spin_unlock(pi_lock());
		err = hooks->park(deadline_ns);
		spin_lock(pi_lock());
		done = mutex_woken_locked(mutex, self, &err);
	}
	atomic_store_ptr_relaxed_nopoint(&self->waiting_on, NULL);
	spin_unlock(pi_lock());
	return err;
}

bool mutex_trylock_slow(struct mutex *mutex)
{
	if (atomic_load_word_relaxed_nopoint(&mutex->word) != MUTEX_WAITERS)
		return false;
	spin_lock(pi_lock());
	bool taken = mutex_try_locked(mutex, current);
	spin_unlock(pi_lock());
	return taken;
}

static void mutex_hand_over_locked(struct mutex *mutex, struct thread *top)
{
	counter_inc(COUNTER_MUTEX_HANDED);
	trace_emit(TRACE_MUTEX_HANDOFF, (uint64_t)image_offset(mutex->name), top->id);
	pi_waiter_remove_locked(mutex, top);
	mutex_give_locked(mutex, top);
	kernel_self()->hooks->unpark(top);
}

void mutex_unlock_slow(struct mutex *mutex)
{
	struct thread *self = current;

	spin_lock(pi_lock());
	VERIFY3(mutex_owner_locked(mutex), ==, self);
	struct thread *top = mutex_top_locked(mutex);
	if (top != NULL)
		pi_detach_locked(mutex, self);
	if (top != NULL && top->pi_passed >= MUTEX_PASS_MAX) {
		mutex_hand_over_locked(mutex, top);
	} else {
		mutex_set_word(mutex, NULL);
		if (top != NULL) {
			top->pi_passed++;
			mutex_wake_top_locked(mutex);
		}
	}
	spin_unlock(pi_lock());
}

#if CONFIG_LOCKCHECK

void mutex_lock_at(struct mutex *mutex, enum lock_mode mode, const char *where)
{
	lockcheck_might_sleep(where);
	hal_point(HAL_POINT_LOCK);
	if (!lockcheck_wants(&mutex->check, mode, where))
		return;
	if (!mutex_try_acquire(mutex))
		(void)mutex_lock_slow(mutex, TB_FOREVER);
	lockcheck_took(&mutex->check, mode, where);
}

bool mutex_trylock_at(struct mutex *mutex, const char *where)
{
	hal_point(HAL_POINT_LOCK);
	bool taken = lockcheck_wants(&mutex->check, LOCK_MODE_TRY, where) &&
		     (mutex_try_acquire(mutex) || mutex_trylock_slow(mutex));
	if (taken)
		lockcheck_took(&mutex->check, LOCK_MODE_TRY, where);
	return taken;
}

err_t mutex_lock_until_at(struct mutex *mutex, uint64_t deadline_ns, const char *where)
{
	lockcheck_might_sleep(where);
	hal_point(HAL_POINT_LOCK);
	if (!lockcheck_wants(&mutex->check, LOCK_MODE_PLAIN, where))
		return 0;
	err_t err = mutex_try_acquire(mutex) ? 0 : mutex_lock_slow(mutex, deadline_ns);
	if (err == 0)
		lockcheck_took(&mutex->check, LOCK_MODE_PLAIN, where);
	return err;
}

void mutex_unlock_at(struct mutex *mutex, const char *where)
{
	if (!lockcheck_releases(&mutex->check, where))
		return;
	mutex_release(mutex);
	hal_point(HAL_POINT_UNLOCK);
}

#endif
