// SPDX-License-Identifier: MIT
//
// Spinlocks beyond the inline fast path: what happens when one is found held, and the checked forms. The word follows
// Drepper's "Futexes are tricky" (mutex 2): 2 means that an unlock must wake, and whoever has waited leaves 2 behind,
// because others may wait as well. How long to poll before sleeping is the HAL's affair.
#include "sync_impl.h"

#include "hal/clock.h"
#include "hal/cpu.h"
#include "kern/counter.h"
#include "kern/image.h"
#include "kern/trace.h"

void spin_init(struct spinlock *lock, enum lock_rank rank, const char *name)
{
	atomic_store_u32_relaxed_nopoint(&lock->word, 0);
#if CONFIG_LOCKCHECK
	lock_class_init(&lock->check, rank, 0, name);
#else
	(void)rank;
	(void)name;
#endif
}

static uint64_t spin_name_of(const struct spinlock *lock)
{
#if CONFIG_LOCKCHECK
	return (uint64_t)image_offset(lock->check.name);
#else
	(void)lock;
	return 0;
#endif
}

void spin_lock_slow(struct spinlock *lock)
{
	bool timed = trace_is_enabled(TRACE_LOCK_ACQUIRED);
	uint64_t start_ns = timed ? hal_clock_mono_ns() : 0;

	counter_inc(COUNTER_LOCK_CONTENDED);
	trace_emit(TRACE_LOCK_CONTENDED, spin_name_of(lock), 0);
	while (atomic_xchg_u32_acquire_nopoint(&lock->word, 2) != 0)
		hal_spin_wait(&lock->word, 2);
	if (timed)
		trace_emit(TRACE_LOCK_ACQUIRED, spin_name_of(lock), hal_clock_mono_ns() - start_ns);
}

void spin_wake_slow(const uint32_t *word)
{
	hal_spin_wake(word);
}

#if CONFIG_LOCKCHECK

void spin_lock_at(struct spinlock *lock, enum lock_mode mode, const char *where)
{
	hal_point(HAL_POINT_LOCK);
	preempt_disable();
	if (!lockcheck_wants(&lock->check, mode, where))
		return;
	spin_acquire(lock);
	lockcheck_took(&lock->check, mode, where);
}

// False: a stranger's unlock, captured; it has taken nothing, so it gives nothing back.
static bool spin_drop(struct spinlock *lock, const char *where)
{
	bool mine = lockcheck_holds(&lock->check);
	if (lockcheck_releases(&lock->check, where)) {
		spin_release(lock);
		hal_point(HAL_POINT_UNLOCK);
	}
	return mine;
}

void spin_unlock_at(struct spinlock *lock, const char *where)
{
	if (spin_drop(lock, where))
		preempt_enable();
}

bool spin_trylock_at(struct spinlock *lock, const char *where)
{
	hal_point(HAL_POINT_LOCK);
	preempt_disable();
	bool taken = lockcheck_wants(&lock->check, LOCK_MODE_TRY, where) && spin_try_acquire(lock);
	if (taken)
		lockcheck_took(&lock->check, LOCK_MODE_TRY, where);
	else
		preempt_enable();
	return taken;
}

bool spin_lock_irqsave_at(struct spinlock *lock, const char *where)
{
	hal_point(HAL_POINT_LOCK);
	bool was = hal_irq_save();
	preempt_disable();
	if (lockcheck_wants(&lock->check, LOCK_MODE_PLAIN, where)) {
		spin_acquire(lock);
		lockcheck_took(&lock->check, LOCK_MODE_PLAIN, where);
	}
	return was;
}

void spin_unlock_irqrestore_at(struct spinlock *lock, bool was, const char *where)
{
	if (!spin_drop(lock, where))
		return;
	hal_irq_restore(was);
	preempt_enable();
}

bool spin_held(const struct spinlock *lock)
{
	return lockcheck_holds(&lock->check);
}

#endif
