// SPDX-License-Identifier: MIT
//
// The slow sides of biased locks; see biased.h for the argument.
#include "biased.h"

#include "hal/cpu.h"

void biased_init(struct biased_lock *lock, struct cpu *owner, bool biased, enum lock_rank rank, const char *name)
{
	spin_init(&lock->lock, rank, name);
	lock->owner = owner;
	lock->plain = !biased;
	atomic_store_u32_relaxed_nopoint(&lock->visitors, lock->plain);
}

void biased_own_slow(struct biased_lock *lock)
{
	atomic_store_u32_release_nopoint(&lock->inside, 0);
	if (!lock->plain)
		hal_spin_wake(&lock->inside);
	spin_lock(&lock->lock);
	lock->queued = 1;
	atomic_store_u32_relaxed(&lock->visitors, 1); // so that biased_drop() comes by
}

// A visitor came while the owner was inside, or the owner has the spinlock.
void biased_drop_slow(struct biased_lock *lock)
{
	if (lock->queued) {
		lock->queued = 0;
		atomic_store_u32_relaxed(&lock->visitors, lock->plain);
		spin_unlock(&lock->lock);
	} else {
		hal_spin_wake(&lock->inside);
	}
}

void biased_visit(struct biased_lock *lock)
{
	spin_lock(&lock->lock);
	if (lock->plain)
		return;
	(void)atomic_xchg_u32_acq_rel(&lock->visitors, 1);
	if (atomic_load_u32_acquire(&lock->away) == 0)
		(void)hal_cpu_barrier();
	while (atomic_load_u32_acquire(&lock->inside) != 0)
		hal_spin_wait(&lock->inside, 1);
}

void biased_leave(struct biased_lock *lock)
{
	if (!lock->plain)
		atomic_store_u32_release(&lock->visitors, 0);
	spin_unlock(&lock->lock);
}
