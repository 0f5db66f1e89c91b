// SPDX-License-Identifier: MIT
//
// Reader-writer lock. While nobody waits, `state` is all there is. RWLOCK_WAITERS is set exactly while the queue is not empty;
// with it every fast path fails, so `state` changes under queue.lock only, and whoever releases grants to the front. A
// queue entry's `exclusive` says that it wants to write.
#include "sync_impl.h"

#include "kern/counter.h"
#include "kern/log.h"

void rwlock_init(struct rwlock *rwlock, enum lock_rank rank, const char *name)
{
	atomic_store_u32_relaxed_nopoint(&rwlock->state, 0);
	waitq_init(&rwlock->queue, name);
#if CONFIG_LOCKCHECK
	lock_class_init(&rwlock->check, rank, LOCK_SLEEPING, name);
#else
	(void)rank;
#endif
}

void rwlock_fini(struct rwlock *rwlock)
{
	VERIFY3(atomic_load_u32_acquire_nopoint(&rwlock->state), ==, 0);
#if CONFIG_LOCKCHECK
	lock_class_fini(&rwlock->check);
#endif
}

static bool rwlock_admits(uint32_t state, bool writer)
{
	return writer ? (state & ~RWLOCK_WAITERS) == 0 : (state & RWLOCK_WRITER) == 0;
}

static uint32_t rwlock_share(bool writer)
{
	return writer ? RWLOCK_WRITER : RWLOCK_READER;
}

static bool rwlock_try(struct rwlock *rwlock, bool writer)
{
	uint32_t state = atomic_load_u32_relaxed_nopoint(&rwlock->state);

	hal_point(HAL_POINT_LOCK);
	while ((state & RWLOCK_WAITERS) == 0 && rwlock_admits(state, writer)) {
		if (atomic_cmpxchg_u32_acquire_nopoint(&rwlock->state, &state, state + rwlock_share(writer)))
			return true;
	}
	return false;
}

// With RWLOCK_WAITERS set: lets in from the front of the queue whoever can be.
static void rwlock_grant_locked(struct rwlock *rwlock)
{
	uint32_t state = atomic_load_u32_relaxed_nopoint(&rwlock->state);
	struct waitq_entry *entry;

	while ((entry = waitq_first_locked(&rwlock->queue)) != NULL && rwlock_admits(state, entry->exclusive != 0)) {
		state += rwlock_share(entry->exclusive != 0);
		waitq_wake_entry_locked(&rwlock->queue, entry);
	}
	if (entry == NULL)
		state &= ~RWLOCK_WAITERS;
	atomic_store_u32_release_nopoint(&rwlock->state, state);
}

static void rwlock_lock_slow(struct rwlock *rwlock, bool writer)
{
	struct waitq_entry entry;

	counter_inc(COUNTER_RWLOCK_BLOCKED);
	bool was = spin_lock_irqsave(&rwlock->queue.lock);
	(void)atomic_fetch_or_u32_acq_rel_nopoint(&rwlock->state, RWLOCK_WAITERS);
	waitq_enter_locked(&rwlock->queue, &entry, writer);
	if (waitq_first_locked(&rwlock->queue) == &entry)
		rwlock_grant_locked(rwlock);
	spin_unlock_irqrestore(&rwlock->queue.lock, was);
	err_t err = waitq_finish(&rwlock->queue, &entry, TB_FOREVER);
	ASSERT3(err, ==, 0);
}

// Gives `from` up for `to`; the lock cannot go away before queue.lock is released, since nobody waits in vain.
static void rwlock_change(struct rwlock *rwlock, uint32_t from, uint32_t to)
{
	uint32_t state = atomic_load_u32_relaxed_nopoint(&rwlock->state);

	while ((state & RWLOCK_WAITERS) == 0) {
		if (atomic_cmpxchg_u32_release_nopoint(&rwlock->state, &state, state - from + to))
			return;
	}
	bool was = spin_lock_irqsave(&rwlock->queue.lock);
	state = atomic_fetch_add_u32_acq_rel_nopoint(&rwlock->state, to - from);
	if ((state & RWLOCK_WAITERS) != 0)
		rwlock_grant_locked(rwlock);
	spin_unlock_irqrestore(&rwlock->queue.lock, was);
}

static void rwlock_lock(struct rwlock *rwlock, bool writer)
{
	if (!rwlock_try(rwlock, writer))
		rwlock_lock_slow(rwlock, writer);
}

static void rwlock_unlock(struct rwlock *rwlock, bool writer)
{
	ASSERT3(atomic_load_u32_relaxed_nopoint(&rwlock->state) & ~RWLOCK_WAITERS, >=, rwlock_share(writer));
	rwlock_change(rwlock, rwlock_share(writer), 0);
	hal_point(HAL_POINT_UNLOCK);
}

err_t rwlock_check(struct rwlock *rwlock)
{
	const char *name = rwlock->queue.name;
	err_t err = waitq_check(&rwlock->queue);

	bool was = spin_lock_irqsave(&rwlock->queue.lock);
	uint32_t state = atomic_load_u32_relaxed_nopoint(&rwlock->state);
	const struct waitq_entry *first = waitq_first_locked(&rwlock->queue);
	SYNC_EXPECT(err, name, ((state & RWLOCK_WAITERS) != 0) == (first != NULL));
	SYNC_EXPECT(err, name, (state & RWLOCK_WRITER) == 0 || state < RWLOCK_READER);
	SYNC_EXPECT(err, name, first == NULL || !rwlock_admits(state, first->exclusive != 0));
	spin_unlock_irqrestore(&rwlock->queue.lock, was);
	return err;
}

#if CONFIG_LOCKCHECK

static void rwlock_lock_checked(struct rwlock *rwlock, bool writer, const char *where)
{
	enum lock_mode mode = writer ? LOCK_MODE_PLAIN : LOCK_MODE_READ;
	lockcheck_might_sleep(where);
	if (!lockcheck_wants(&rwlock->check, mode, where))
		return;
	rwlock_lock(rwlock, writer);
	lockcheck_took(&rwlock->check, mode, where);
}

// A try closes no cycle, but what it took is held as any other.
static bool rwlock_try_checked(struct rwlock *rwlock, bool writer, const char *where)
{
	if (!lockcheck_wants(&rwlock->check, LOCK_MODE_TRY, where) || !rwlock_try(rwlock, writer))
		return false;
	lockcheck_took(&rwlock->check, writer ? LOCK_MODE_TRY : LOCK_MODE_READ, where);
	return true;
}

static void rwlock_unlock_checked(struct rwlock *rwlock, bool writer, const char *where)
{
	if (lockcheck_releases(&rwlock->check, where))
		rwlock_unlock(rwlock, writer);
}

void rwlock_read_lock_at(struct rwlock *rwlock, const char *where)
{
	rwlock_lock_checked(rwlock, false, where);
}

void rwlock_write_lock_at(struct rwlock *rwlock, const char *where)
{
	rwlock_lock_checked(rwlock, true, where);
}

bool rwlock_read_trylock_at(struct rwlock *rwlock, const char *where)
{
	return rwlock_try_checked(rwlock, false, where);
}

bool rwlock_write_trylock_at(struct rwlock *rwlock, const char *where)
{
	return rwlock_try_checked(rwlock, true, where);
}

void rwlock_read_unlock_at(struct rwlock *rwlock, const char *where)
{
	rwlock_unlock_checked(rwlock, false, where);
}

void rwlock_write_unlock_at(struct rwlock *rwlock, const char *where)
{
	rwlock_unlock_checked(rwlock, true, where);
}

void rwlock_downgrade_at(struct rwlock *rwlock, const char *where)
{
	lockcheck_shares(&rwlock->check, where);
	rwlock_change(rwlock, RWLOCK_WRITER, RWLOCK_READER);
	hal_point(HAL_POINT_UNLOCK);
}

#else

void rwlock_read_lock(struct rwlock *rwlock)
{
	rwlock_lock(rwlock, false);
}

void rwlock_write_lock(struct rwlock *rwlock)
{
	rwlock_lock(rwlock, true);
}

bool rwlock_read_trylock(struct rwlock *rwlock)
{
	return rwlock_try(rwlock, false);
}

bool rwlock_write_trylock(struct rwlock *rwlock)
{
	return rwlock_try(rwlock, true);
}

void rwlock_read_unlock(struct rwlock *rwlock)
{
	rwlock_unlock(rwlock, false);
}

void rwlock_write_unlock(struct rwlock *rwlock)
{
	rwlock_unlock(rwlock, true);
}

void rwlock_downgrade(struct rwlock *rwlock)
{
	rwlock_change(rwlock, RWLOCK_WRITER, RWLOCK_READER);
	hal_point(HAL_POINT_UNLOCK);
}

#endif
