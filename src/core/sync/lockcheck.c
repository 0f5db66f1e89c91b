// SPDX-License-Identifier: MIT
//
// The rules of locking, verified as locks are taken and released (kern/lockcheck.h). What a thread holds stands in slots of
// its own header, which the interrupts that land on it use too: a slot is claimed by its `lock` field before the rest is
// written and freed by it after the rest is dead, so no masking is needed.
#include "sync_impl.h"

#include "kern/log.h"

// A slot that is being filled.
#define SLOT_BUSY ((struct lock_class *)(uintptr_t)1)

err_t lockcheck_init(struct kernel *kernel)
{
	kernel->lockcheck = boot_alloc(kernel, sizeof *kernel->lockcheck, CACHE_LINE_SIZE);
	return kernel->lockcheck != NULL ? 0 : ERR(ENOMEM);
}

static struct lockorder_graph *order_graph(void)
{
	struct lockcheck_state *state = kernel_self()->lockcheck;
	return state != NULL ? &state->order : NULL;
}

void lock_class_init(struct lock_class *lock, enum lock_rank rank, uint32_t flags, const char *name)
{
	*lock = (struct lock_class){.name = name, .rank = rank, .flags = flags};
	lock_class_fini(lock);
}

void lock_class_fini(struct lock_class *lock)
{
	if (lock->rank == LOCK_RANK_NONE && order_graph() != NULL)
		lockorder_forget(order_graph(), lock);
}

// -- slots -----------------------------------------------------------------------------------------------------------------

static struct lock_class *slot_lock(const struct held_lock *slot)
{
	struct lock_class *lock = atomic_load_ptr_acquire_nopoint(&slot->lock);
	return lock == SLOT_BUSY ? NULL : lock;
}

static const char *slot_where(const struct held_lock *slot)
{
	return atomic_load_ptr_relaxed_nopoint(&slot->where);
}

static struct held_lock *slot_find(struct thread *thread, const struct lock_class *lock)
{
	for (uint32_t i = 0; i < LOCKCHECK_DEPTH; i++) {
		if (slot_lock(&thread->held_locks[i]) == lock)
			return &thread->held_locks[i];
	}
	return NULL;
}

static struct held_lock *slot_claim(struct thread *thread)
{
	for (uint32_t i = 0; i < LOCKCHECK_DEPTH; i++) {
		struct held_lock *slot = &thread->held_locks[i];
		if (atomic_load_ptr_relaxed_nopoint(&slot->lock) == NULL) {
			atomic_store_ptr_relaxed_nopoint(&slot->lock, SLOT_BUSY);
			barrier();
			return slot;
		}
	}
	return NULL;
}

bool lockcheck_holds(const struct lock_class *lock)
{
	return slot_find(current, lock) != NULL;
}

const char *lockcheck_where(const struct lock_class *lock)
{
	const struct held_lock *slot = slot_find(current, lock);
	return slot != NULL ? slot_where(slot) : NULL;
}

static struct lockcheck_party held_party(const struct held_lock *slot)
{
	return lockcheck_party_of(slot_lock(slot), current, slot_where(slot));
}

uint32_t lockcheck_held(struct thread *thread, struct lockcheck_party *parties, uint32_t max)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < LOCKCHECK_DEPTH && count < max; i++) {
		const struct held_lock *slot = &thread->held_locks[i];
		if (slot_lock(slot) == NULL)
			continue;
		parties[count] = lockcheck_party_of(NULL, thread, slot_where(slot));
		parties[count].name = atomic_load_ptr_relaxed_nopoint(&slot->name);
		parties[count++].rank = atomic_load_u32_relaxed_nopoint(&slot->rank);
	}
	return count;
}

// -- rules -----------------------------------------------------------------------------------------------------------------

static bool order_allows(const struct lock_class *lock, enum lock_mode mode, const struct held_lock *slot,
			 const char *where)
{
	const struct lock_class *held = slot_lock(slot);
	const char *reverse;

	if (lock->rank == LOCK_RANK_NONE && held->rank == LOCK_RANK_NONE && order_graph() != NULL) {
		if (lockorder_note(order_graph(), held, lock, where, &reverse))
			return true;
		struct lockcheck_party wanted = lockcheck_party_of(lock, current, where);
		struct lockcheck_party other = lockcheck_party_of(held, current, reverse);
		lockcheck_fault(LOCKCHECK_ORDER, &wanted, &other);
		return false;
	}
	if (lock->rank == LOCK_RANK_NONE || held->rank == LOCK_RANK_NONE || lock->rank > held->rank)
		return true;
	if (lock->rank == held->rank && mode == LOCK_MODE_NESTED)
		return true;
	struct lockcheck_party wanted = lockcheck_party_of(lock, current, where);
	struct lockcheck_party other = held_party(slot);
	lockcheck_fault(LOCKCHECK_RANK, &wanted, &other);
	return false;
}

// One report for one acquisition is enough.
static void check_order(const struct lock_class *lock, enum lock_mode mode, const char *where)
{
	bool allowed = true;

	for (uint32_t i = 0; i < LOCKCHECK_DEPTH && allowed; i++) {
		const struct held_lock *slot = &current->held_locks[i];
		if (slot_lock(slot) != NULL)
			allowed = order_allows(lock, mode, slot, where);
	}
}

// Of the two uses that must not meet, this is `use`; the lock has perhaps seen the other.
static void check_irq_use(struct lock_class *lock, uint32_t use, const char **place, const char *const *other_place,
			  const char *where)
{
	uint32_t seen = atomic_load_u32_relaxed_nopoint(&lock->flags);

	if ((seen & use) != 0)
		return;
	atomic_store_ptr_relaxed_nopoint(place, where);
	seen = atomic_fetch_or_u32_acq_rel_nopoint(&lock->flags, use);
	if ((seen & (LOCK_USED_IN_IRQ | LOCK_USED_UNMASKED) & ~use) == 0)
		return;
	struct lockcheck_party this_use = lockcheck_party_of(lock, current, where);
	struct lockcheck_party other_use = lockcheck_party_of(lock, NULL, atomic_load_ptr_relaxed_nopoint(other_place));
	lockcheck_fault(LOCKCHECK_IRQ, &this_use, &other_use);
}

// An interrupt that only tries cannot hang on what it interrupted. Preemption is off or the lock is a sleeping one.
static void check_irq(struct lock_class *lock, enum lock_mode mode, const char *where)
{
	if ((atomic_load_u32_relaxed_nopoint(&lock->flags) & LOCK_SLEEPING) != 0 || this_cpu() == NULL)
		return;
	if (!hal_irq_masked())
		check_irq_use(lock, LOCK_USED_UNMASKED, &lock->unmasked_where, &lock->irq_where, where);
	else if (in_interrupt() && mode != LOCK_MODE_TRY)
		check_irq_use(lock, LOCK_USED_IN_IRQ, &lock->irq_where, &lock->unmasked_where, where);
}

bool lockcheck_wants(struct lock_class *lock, enum lock_mode mode, const char *where)
{
	struct held_lock *slot = slot_find(current, lock);

	if (slot != NULL && mode == LOCK_MODE_TRY)
		return false;
	if (slot != NULL) {
		struct lockcheck_party wanted = lockcheck_party_of(lock, current, where);
		struct lockcheck_party held = held_party(slot);
		lockcheck_fault(LOCKCHECK_RECURSION, &wanted, &held);
		slot->depth++;
		return false;
	}
	if (mode != LOCK_MODE_TRY)
		check_order(lock, mode, where);
	check_irq(lock, mode, where);
	return true;
}

static void report_depth(const struct lock_class *lock, const char *where)
{
	struct lockcheck_party wanted = lockcheck_party_of(lock, current, where);
	struct lockcheck_party oldest = held_party(&current->held_locks[0]);
	lockcheck_fault(LOCKCHECK_TOO_DEEP, &wanted, &oldest);
}

void lockcheck_took(struct lock_class *lock, enum lock_mode mode, const char *where)
{
	struct thread *self = current;
	struct held_lock *slot = slot_claim(self);

	if (slot == NULL) {
		report_depth(lock, where);
		return;
	}
	atomic_store_ptr_relaxed_nopoint(&slot->where, where);
	atomic_store_ptr_relaxed_nopoint(&slot->name, lock->name);
	atomic_store_u32_relaxed_nopoint(&slot->rank, lock->rank);
	slot->depth = 1;
	slot->mode = mode;
	if (mode != LOCK_MODE_READ) {
		atomic_store_ptr_relaxed_nopoint(&lock->owner_where, where);
		atomic_store_ptr_relaxed_nopoint(&lock->owner, self);
	}
	atomic_store_ptr_release_nopoint(&slot->lock, lock);
}

static void report_stranger(const struct lock_class *lock, const char *where)
{
	const struct thread *owner = atomic_load_ptr_relaxed_nopoint(&lock->owner);
	const char *owner_where = owner != NULL ? atomic_load_ptr_relaxed_nopoint(&lock->owner_where) : NULL;
	struct lockcheck_party stranger = lockcheck_party_of(lock, current, where);
	struct lockcheck_party holder = lockcheck_party_of(lock, owner, owner_where);
	lockcheck_fault(LOCKCHECK_OWNER, &stranger, &holder);
}

bool lockcheck_releases(struct lock_class *lock, const char *where)
{
	struct held_lock *slot = slot_find(current, lock);

	if (slot == NULL) {
		report_stranger(lock, where);
		return false;
	}
	if (slot->depth > 1) {
		slot->depth--;
		return false;
	}
	if (slot->mode != LOCK_MODE_READ)
		atomic_store_ptr_relaxed_nopoint(&lock->owner, NULL);
	barrier();
	atomic_store_ptr_relaxed_nopoint(&slot->lock, NULL);
	return true;
}

void lockcheck_shares(struct lock_class *lock, const char *where)
{
	struct held_lock *slot = slot_find(current, lock);

	if (slot == NULL || slot->mode == LOCK_MODE_READ) {
		report_stranger(lock, where);
		return;
	}
	slot->mode = LOCK_MODE_READ;
	atomic_store_ptr_relaxed_nopoint(&lock->owner, NULL);
}

// -- sleep, end, cycles ------------------------------------------------------------------------------------------------------

// What forbids sleep here, as a party; false: nothing does. An interrupt masks the thread that it lands on, so a thread that
// is not masked need not ask its CPU. Idle threads run with preemption off, and boot does until there are others.
static bool sleep_obstacle(struct thread *self, struct lockcheck_party *obstacle)
{
	bool masked = hal_irq_masked();

	*obstacle = lockcheck_party_of(NULL, self, NULL);
	if (masked && in_interrupt()) {
		obstacle->name = "an interrupt";
		return true;
	}
	for (uint32_t i = 0; i < LOCKCHECK_DEPTH; i++) {
		const struct lock_class *held = slot_lock(&self->held_locks[i]);
		if (held != NULL && (atomic_load_u32_relaxed_nopoint(&held->flags) & LOCK_SLEEPING) == 0) {
			*obstacle = held_party(&self->held_locks[i]);
			return true;
		}
	}
	if (self->rcu_nesting != 0)
		obstacle->name = "an RCU read section";
	else if ((self->flags & THREAD_FLAG_IDLE) != 0)
		return false;
	else if (masked)
		obstacle->name = "interrupts masked";
	else if (self->hal.preempt_count != 0)
		obstacle->name = "preemption off";
	return obstacle->name != NULL;
}

void lockcheck_might_sleep(const char *where)
{
	struct lockcheck_party obstacle;
	struct thread *self = current;

	if (kernel_self()->hooks == NULL || !sleep_obstacle(self, &obstacle))
		return;
	struct lockcheck_party sleeper = lockcheck_party_of(NULL, self, where);
	sleeper.name = "sleep";
	lockcheck_fault(LOCKCHECK_SLEEP, &sleeper, &obstacle);
}

void lockcheck_thread_ends(const char *where)
{
	struct thread *self = current;

	for (uint32_t i = 0; i < LOCKCHECK_DEPTH; i++) {
		if (slot_lock(&self->held_locks[i]) == NULL)
			continue;
		struct lockcheck_party end = lockcheck_party_of(NULL, self, where);
		struct lockcheck_party held = held_party(&self->held_locks[i]);
		end.name = "end of thread";
		lockcheck_fault(LOCKCHECK_EXIT, &end, &held);
	}
}

// Brent's way to notice a circle that we are not part of: `mark` moves on at powers of two.
void lockcheck_deadlock_locked(const struct mutex *mutex)
{
	const struct mutex *last = mutex;
	const struct thread *owner = mutex_owner_locked(mutex);
	const struct thread *mark = owner;
	uint32_t steps = 0;
	uint32_t limit = 1;

	while (owner != NULL && owner != current) {
		last = owner->blocked_on;
		if (last == NULL)
			return;
		owner = mutex_owner_locked(last);
		if (owner == mark)
			return;
		if (++steps == limit) {
			mark = owner;
			limit *= 2;
			steps = 0;
		}
	}
	if (owner == NULL)
		return;
	struct lockcheck_party wanted = lockcheck_party_of(&mutex->check, mutex_owner_locked(mutex),
							   atomic_load_ptr_relaxed_nopoint(&mutex->check.owner_where));
	struct lockcheck_party closing = lockcheck_party_of(&last->check, owner, lockcheck_where(&last->check));
	lockcheck_fault(LOCKCHECK_DEADLOCK, &wanted, &closing);
}
