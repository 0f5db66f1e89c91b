// SPDX-License-Identifier: MIT
//
// Semaphore and completion: a number, and a flag, under a wait queue's lock. A token goes straight to a waiter, so a wake is
// the token and a waiter that wakes at its deadline keeps it.
#include "sync_impl.h"

#include "kern/log.h"

void sem_init(struct semaphore *sem, uint32_t count, const char *name)
{
	waitq_init(&sem->queue, name);
	sem->count = count;
}

static bool sem_take_locked(struct semaphore *sem)
{
	if (sem->count == 0)
		return false;
	sem->count--;
	return true;
}

err_t(sem_down_until)(struct semaphore *sem, uint64_t deadline_ns)
{
	struct waitq_entry entry;

	bool was = spin_lock_irqsave(&sem->queue.lock);
	bool taken = sem_take_locked(sem);
	if (!taken)
		waitq_enter_locked(&sem->queue, &entry, true);
	spin_unlock_irqrestore(&sem->queue.lock, was);
	return taken ? 0 : waitq_finish(&sem->queue, &entry, deadline_ns);
}

void(sem_down)(struct semaphore *sem)
{
	err_t err = (sem_down_until)(sem, TB_FOREVER); // checked at the caller's line
	ASSERT3(err, ==, 0);
}

bool sem_trydown(struct semaphore *sem)
{
	bool was = spin_lock_irqsave(&sem->queue.lock);
	bool taken = sem_take_locked(sem);
	spin_unlock_irqrestore(&sem->queue.lock, was);
	return taken;
}

void sem_up(struct semaphore *sem)
{
	bool was = spin_lock_irqsave(&sem->queue.lock);
	struct waitq_entry *entry = waitq_first_locked(&sem->queue);
	if (entry != NULL) {
		waitq_wake_entry_locked(&sem->queue, entry);
	} else {
		VERIFY3(sem->count, !=, UINT32_MAX);
		sem->count++;
	}
	spin_unlock_irqrestore(&sem->queue.lock, was);
	hal_point(HAL_POINT_WAKE);
}

err_t sem_check(struct semaphore *sem)
{
	err_t err = waitq_check(&sem->queue);

	bool was = spin_lock_irqsave(&sem->queue.lock);
	SYNC_EXPECT(err, sem->queue.name, sem->count == 0 || waitq_first_locked(&sem->queue) == NULL);
	spin_unlock_irqrestore(&sem->queue.lock, was);
	return err;
}

void completion_init(struct completion *completion, const char *name)
{
	waitq_init(&completion->queue, name);
	completion->done = 0;
}

void completion_done(struct completion *completion)
{
	bool was = spin_lock_irqsave(&completion->queue.lock);
	completion->done = 1;
	(void)waitq_wake_all_unlock(&completion->queue, was);
}

// `done` is looked at under the lock only: who sees it set may free the memory, and completion_done() must have let go by then.
err_t(completion_wait_until)(struct completion *completion, uint64_t deadline_ns)
{
	struct waitq_entry entry;

	bool was = spin_lock_irqsave(&completion->queue.lock);
	bool done = completion->done != 0;
	if (!done)
		waitq_enter_locked(&completion->queue, &entry, false);
	spin_unlock_irqrestore(&completion->queue.lock, was);
	return done ? 0 : waitq_finish(&completion->queue, &entry, deadline_ns);
}

void(completion_wait)(struct completion *completion)
{
	err_t err = (completion_wait_until)(completion, TB_FOREVER);
	ASSERT3(err, ==, 0);
}
