// SPDX-License-Identifier: MIT
//
// Priority inheritance: which priority the waiters of a thread's mutexes lend it, and how a change travels along chains of
// owners. Everything here runs under the PI lock; invariants 2.2, 2.4 and 2.5 of sync_impl.h are restored by each entry.
#include "sync_impl.h"

#include "kern/counter.h"
#include "kern/math.h"
#include "kern/trace.h"

static bool waiter_before(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct thread, pi_node)->pi_prio < rb_entry(b, struct thread, pi_node)->pi_prio;
}

static bool held_before(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct mutex, held_node)->top_prio < rb_entry(b, struct mutex, held_node)->top_prio;
}

// prio_base belongs to the scheduler, which calls mutex_prio_changed() after each change: a stale look is corrected then.
int32_t pi_prio_of(const struct thread *thread)
{
	int32_t base = __atomic_load_n(&thread->prio_base, __ATOMIC_RELAXED);
	int32_t inherited = PRIO_COUNT - thread->pi_lent;
	return base < inherited ? base : inherited;
}

void pi_waiter_insert_locked(struct mutex *mutex, struct thread *thread)
{
	thread->blocked_on = mutex;
	thread->pi_prio = pi_prio_of(thread);
	thread->pi_passed = 0;
	thread->pi_woken = 0;
	rb_insert(&mutex->waiters, &thread->pi_node, waiter_before);
}

void pi_waiter_remove_locked(struct mutex *mutex, struct thread *thread)
{
	ASSERT3(thread->blocked_on, ==, mutex);
	rb_remove(&mutex->waiters, &thread->pi_node);
	thread->blocked_on = NULL;
}

static void pi_hang(struct mutex *mutex, struct thread *owner)
{
	mutex->top_prio = mutex_top_locked(mutex)->pi_prio;
	rb_insert(&owner->pi_held, &mutex->held_node, held_before);
}

// Recomputes what is lent to the thread; returns whether its effective priority has changed by that.
static bool pi_lend(struct thread *thread)
{
	const struct mutex *first = rb_entry_or_null(rb_first(&thread->pi_held), struct mutex, held_node);
	int32_t lent = first == NULL ? 0 : PRIO_COUNT - first->top_prio;
	int32_t before = pi_prio_of(thread);

	if (lent == thread->pi_lent)
		return false;
	thread->pi_lent = lent;
	if (pi_prio_of(thread) == before)
		return false;
	counter_inc(COUNTER_MUTEX_LENT);
	trace_emit(TRACE_MUTEX_INHERIT, thread->id, (uint64_t)(int64_t)(PRIO_COUNT - lent));
	kernel_self()->hooks->inherit(thread, PRIO_COUNT - lent);
	return true;
}

// The best waiter may be another, or another priority: moves the mutex among those its owner holds. False: nothing to move.
static bool pi_rekey(struct mutex *mutex, struct thread *owner)
{
	if (mutex_top_locked(mutex)->pi_prio == mutex->top_prio)
		return false;
	rb_remove(&owner->pi_held, &mutex->held_node);
	pi_hang(mutex, owner);
	return true;
}

// The thread's effective priority has changed: moves it among those it waits with. Returns whose lent priority that may
// change, or NULL.
static struct thread *pi_move(struct thread *thread)
{
	struct mutex *mutex = thread->blocked_on;

	if (mutex == NULL || pi_prio_of(thread) == thread->pi_prio)
		return NULL;
	rb_remove(&mutex->waiters, &thread->pi_node);
	thread->pi_prio = pi_prio_of(thread);
	rb_insert(&mutex->waiters, &thread->pi_node, waiter_before);

	struct thread *owner = mutex_owner_locked(mutex);
	if (owner == NULL) {
		mutex_wake_top_locked(mutex);
		return NULL;
	}
	return pi_rekey(mutex, owner) ? owner : NULL;
}

// Each step moves priorities one way only, up or down, so a walk ends even where owners wait in a circle.
static void pi_walk(struct thread *thread)
{
	while (thread != NULL && pi_lend(thread))
		thread = pi_move(thread);
}

void pi_attach_locked(struct mutex *mutex, struct thread *owner)
{
	pi_hang(mutex, owner);
	pi_walk(owner);
}

void pi_detach_locked(struct mutex *mutex, struct thread *owner)
{
	rb_remove(&owner->pi_held, &mutex->held_node);
	pi_walk(owner);
}

void pi_waiters_changed_locked(struct mutex *mutex)
{
	struct thread *owner = mutex_owner_locked(mutex);
	if (pi_rekey(mutex, owner))
		pi_walk(owner);
}

void mutex_prio_changed(struct thread *thread)
{
	spin_lock(pi_lock());
	kernel_self()->hooks->inherit(thread, PRIO_COUNT - thread->pi_lent);
	pi_walk(pi_move(thread));
	spin_unlock(pi_lock());
}

// 2.4 and the order of pi_held for one thread; for mutex_check().
static err_t pi_check_owner(const struct mutex *mutex, const struct thread *owner)
{
	const struct mutex *first = rb_entry_or_null(rb_first(&owner->pi_held), struct mutex, held_node);
	err_t err = 0;

	(void)rb_check(&owner->pi_held, held_before);
	SYNC_EXPECT(err, mutex->name, first != NULL);
	if (first != NULL)
		SYNC_EXPECT(err, mutex->name, owner->pi_lent == PRIO_COUNT - first->top_prio);
	SYNC_EXPECT(err, mutex->name, mutex->top_prio == mutex_top_locked(mutex)->pi_prio);
	return err;
}

static err_t pi_check_waiters(const struct mutex *mutex)
{
	const struct rb_node *node;
	err_t err = 0;

	(void)rb_check(&mutex->waiters, waiter_before);
	for (node = rb_first(&mutex->waiters); node != NULL; node = rb_next(node)) {
		const struct thread *thread = rb_entry(node, struct thread, pi_node);
		SYNC_EXPECT(err, mutex->name, thread->blocked_on == mutex);
		SYNC_EXPECT(err, mutex->name, thread->pi_passed <= MUTEX_PASS_MAX);
	}
	return err;
}

err_t mutex_check(const struct mutex *mutex)
{
	err_t err = 0;

	spin_lock(pi_lock());
	const struct thread *owner = mutex_owner_locked(mutex);
	const struct thread *top = mutex_top_locked(mutex);
	bool waited = (atomic_load_word_relaxed_nopoint(&mutex->word) & MUTEX_WAITERS) != 0;
	SYNC_EXPECT(err, mutex->name, waited == (top != NULL));
	if (top != NULL && owner != NULL)
		err = err != 0 ? err : pi_check_owner(mutex, owner);
	if (top != NULL && owner == NULL)
		SYNC_EXPECT(err, mutex->name, top->pi_woken != 0);
	if (err == 0)
		err = pi_check_waiters(mutex);
	spin_unlock(pi_lock());
	return err;
}
