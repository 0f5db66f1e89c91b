// SPDX-License-Identifier: MIT
//
// Wait queues. An entry is on its queue's list, or on the list of a waker that has chosen it, or it has been woken or has
// given up; each change happens under the queue's lock, so a wake and a timeout cannot both have it. Who has been chosen cannot give up
// any more: its wake would be lost to the others, and with the last waiter the queue may go, which the waker still needs.
#include "sync_impl.h"

#include "kern/counter.h"
#include "kern/image.h"
#include "kern/log.h"
#include "kern/trace.h"

// Wakes between two looks at pending interrupts.
#define WAKE_BATCH 16

err_t sync_unclean(const char *name, const char *expression)
{
	log_err("sync: %s: not true: %s", name, expression);
	return ERR(EUCLEAN);
}

void waitq_init(struct waitq *queue, const char *name)
{
	spin_init(&queue->lock, LOCK_RANK_WAITQ, name);
	list_init(&queue->waiters);
	queue->name = name;
}

void waitq_enter_locked(struct waitq *queue, struct waitq_entry *entry, bool exclusive)
{
	LOCK_HELD(&queue->lock);
	entry->link = (struct list_node){0};
	entry->thread = current;
	entry->woken = 0;
	entry->exclusive = exclusive;
	entry->chosen = 0;
	list_push_back(&queue->waiters, &entry->link);
}

void waitq_enter(struct waitq *queue, struct waitq_entry *entry, bool exclusive)
{
	bool was = spin_lock_irqsave(&queue->lock);
	waitq_enter_locked(queue, entry, exclusive);
	spin_unlock_irqrestore(&queue->lock, was);
}

// Takes the entry out unless it has been woken or is about to be; returns whether.
static bool waitq_withdraw(struct waitq *queue, struct waitq_entry *entry)
{
	bool was = spin_lock_irqsave(&queue->lock);
	bool woken = entry->woken != 0;
	bool chosen = !woken && entry->chosen != 0;
	if (!woken && !chosen && list_node_is_linked(&entry->link))
		list_remove(&entry->link);
	spin_unlock_irqrestore(&queue->lock, was);
	if (!chosen)
		return woken;
	while (atomic_load_u32_acquire(&entry->woken) == 0)
		(void)!kernel_self()->hooks->park(TB_FOREVER);
	was = spin_lock_irqsave(&queue->lock); // the waker is done with the entry when it lets go
	spin_unlock_irqrestore(&queue->lock, was);
	return true;
}

err_t(waitq_sleep)(struct waitq *queue, struct waitq_entry *entry, uint64_t deadline_ns)
{
	const struct sched_hooks *hooks = kernel_self()->hooks;
	struct thread *self = current;
	err_t err = 0;

	trace_emit(TRACE_WAITQ_SLEEP, (uint64_t)image_offset(queue->name), deadline_ns);
	atomic_store_ptr_relaxed_nopoint(&self->waiting_on, queue->name);
	while (err == 0 && atomic_load_u32_acquire(&entry->woken) == 0)
		err = hooks->park(deadline_ns);
	atomic_store_ptr_relaxed_nopoint(&self->waiting_on, NULL);
	if (err == 0 || waitq_withdraw(queue, entry))
		return 0;
	counter_inc(COUNTER_WAITQ_TIMEOUTS);
	return err;
}

bool waitq_leave(struct waitq *queue, struct waitq_entry *entry)
{
	return waitq_withdraw(queue, entry);
}

err_t waitq_finish(struct waitq *queue, struct waitq_entry *entry, uint64_t deadline_ns)
{
	err_t err = (waitq_sleep)(queue, entry, deadline_ns);
	(void)waitq_leave(queue, entry);
	return err;
}

void waitq_wake_entry_locked(struct waitq *queue, struct waitq_entry *entry)
{
	struct thread *thread = entry->thread;

	LOCK_HELD(&queue->lock);
	list_remove(&entry->link);
	atomic_store_u32_release_nopoint(&entry->woken, 1);
	kernel_self()->hooks->unpark(thread);
}

// Moves the waiters that a wake of `count` concerns to `chosen`.
static void waitq_choose_locked(struct waitq *queue, struct list *chosen, uint32_t count)
{
	struct waitq_entry *entry;

	list_init(chosen);
	while (count > 0 && (entry = waitq_first_locked(queue)) != NULL) {
		list_move_back(chosen, &entry->link);
		entry->chosen = 1;
		count -= entry->exclusive != 0;
	}
}

// Releases the lock, `was` from its irqsave. Between batches too, but not after the last waiter: from then on only the
// lock keeps the queue's memory alive.
static uint32_t waitq_wake_chosen_unlock(struct waitq *queue, struct list *chosen, bool was)
{
	struct waitq_entry *entry;
	uint32_t woken = 0;

	while ((entry = list_first_entry(chosen, struct waitq_entry, link)) != NULL) {
		waitq_wake_entry_locked(queue, entry);
		if (++woken % WAKE_BATCH == 0 && !list_is_empty(chosen)) {
			spin_unlock_irqrestore(&queue->lock, was);
			was = spin_lock_irqsave(&queue->lock);
		}
	}
	trace_emit(TRACE_WAITQ_WAKE, current->id, woken);
	spin_unlock_irqrestore(&queue->lock, was);
	if (woken > 0)
		hal_point(HAL_POINT_WAKE);
	return woken;
}

uint32_t waitq_wake(struct waitq *queue, uint32_t count)
{
	struct list chosen;
	bool was = spin_lock_irqsave(&queue->lock);
	waitq_choose_locked(queue, &chosen, count);
	return waitq_wake_chosen_unlock(queue, &chosen, was);
}

uint32_t waitq_wake_all_unlock(struct waitq *queue, bool was)
{
	struct list chosen;
	waitq_choose_locked(queue, &chosen, UINT32_MAX);
	return waitq_wake_chosen_unlock(queue, &chosen, was);
}

uint32_t waitq_wake_all(struct waitq *queue)
{
	bool was = spin_lock_irqsave(&queue->lock);
	return waitq_wake_all_unlock(queue, was);
}

err_t waitq_check(struct waitq *queue)
{
	struct waitq_entry *entry;
	err_t err = 0;

	bool was = spin_lock_irqsave(&queue->lock);
	(void)list_check(&queue->waiters);
	list_for_each (entry, &queue->waiters, link) {
		SYNC_EXPECT(err, queue->name, entry->woken == 0);
		SYNC_EXPECT(err, queue->name, entry->thread->magic == THREAD_MAGIC);
	}
	spin_unlock_irqrestore(&queue->lock, was);
	return err;
}
