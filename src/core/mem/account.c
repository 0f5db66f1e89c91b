// SPDX-License-Identifier: MIT
//
// Accounts: a tree of those who pay for frames. A charge climbs from the account to the root and is undone on the way when
// a limit refuses it. Counting is by atomic adds, so any context may charge; the list of all accounts has a lock.
#include "mem_impl.h"

struct account_state {
	struct spinlock lock;
	struct list all; // by creation; under the lock
	struct account root;
};

struct account *account_root(void)
{
	return &kernel_self()->accounts->root;
}

static void account_setup(struct account *account, struct account *parent, const char *name, uint32_t limit_frames)
{
	account->parent = parent;
	account->limit_frames = limit_frames;
	account->refs = 1;
	strlcpy(account->name, name, sizeof account->name);
}

err_t account_init(struct kernel *kernel)
{
	struct account_state *state = boot_alloc(kernel, sizeof *state, CACHE_LINE_SIZE);
	if (state == NULL)
		return ERR(ENOMEM);
	kernel->accounts = state;
	spin_init(&state->lock, LOCK_RANK_ACCOUNT, "account: list");
	list_init(&state->all);
	account_setup(&state->root, NULL, "kernel", 0);
	list_push_back(&state->all, &state->root.link);
	return 0;
}

err_t account_create(struct account *parent, const char *name, uint32_t limit_frames, struct account **out)
{
	struct account_state *state = kernel_self()->accounts;
	struct account *account = kmalloc(sizeof *account, MEM_ZERO);
	if (account == NULL)
		return ERR(ENOMEM);
	parent = parent != NULL ? parent : &state->root;
	account_ref(parent);
	account_setup(account, parent, name, limit_frames);
	spin_lock(&state->lock);
	list_push_back(&state->all, &account->link);
	spin_unlock(&state->lock);
	*out = account;
	return 0;
}

void account_ref(struct account *account)
{
	uint32_t before = atomic_fetch_add_u32_relaxed(&account->refs, 1);
	VERIFY3(before, !=, 0);
}

void account_release(struct account *account)
{
	struct account_state *state = kernel_self()->accounts;
	while (account != NULL) {
		uint32_t before = atomic_fetch_sub_u32_acq_rel(&account->refs, 1);
		VERIFY3(before, !=, 0);
		if (before != 1)
			return;
		VERIFY(account != &state->root);
		VERIFY3(atomic_load_u32_relaxed(&account->used_frames), ==, 0);
		spin_lock(&state->lock);
		list_remove(&account->link);
		spin_unlock(&state->lock);
		struct account *parent = account->parent;
		kfree(account);
		account = parent;
	}
}

static void account_note_peak(struct account *account, uint32_t used)
{
	uint32_t peak = atomic_load_u32_relaxed_nopoint(&account->peak_frames);
	while (used > peak)
		if (atomic_cmpxchg_u32_relaxed_nopoint(&account->peak_frames, &peak, used))
			return;
}

static bool account_add(struct account *account, uint32_t frames)
{
	uint32_t used = atomic_fetch_add_u32_relaxed(&account->used_frames, frames) + frames;
	uint32_t limit = atomic_load_u32_relaxed_nopoint(&account->limit_frames);
	if (limit == 0 || used <= limit) {
		account_note_peak(account, used);
		return true;
	}
	atomic_fetch_sub_u32_relaxed(&account->used_frames, frames);
	atomic_fetch_add_u32_relaxed(&account->failed, 1);
	return false;
}

// From `account` up to, not including, `end`.
static void account_sub(struct account *account, const struct account *end, uint32_t frames)
{
	for (; account != end; account = account->parent) {
		uint32_t before = atomic_fetch_sub_u32_relaxed(&account->used_frames, frames);
		VERIFY3(before, >=, frames);
	}
}

// The new limit stands before the look, so that nothing is charged beyond it afterwards.
err_t account_set_limit(struct account *account, uint32_t limit_frames)
{
	uint32_t before = atomic_xchg_u32_acq_rel(&account->limit_frames, limit_frames);
	uint32_t used = atomic_load_u32_acquire(&account->used_frames);
	if (limit_frames == 0 || used <= limit_frames)
		return 0;
	frame_drain_caches();
	(void)pressure_run(used - limit_frames);
	if (atomic_load_u32_acquire(&account->used_frames) <= limit_frames)
		return 0;
	atomic_store_u32_release(&account->limit_frames, before);
	return ERR(EBUSY);
}

err_t account_charge(struct account *account, uint32_t frames)
{
	for (struct account *at = account; at != NULL; at = at->parent) {
		if (account_add(at, frames))
			continue;
		account_sub(account, at, frames);
		return ERR(ENOMEM);
	}
	return 0;
}

void account_uncharge(struct account *account, uint32_t frames)
{
	account_sub(account, NULL, frames);
}

void account_each(void (*fn)(const struct account *, void *), void *arg)
{
	struct account_state *state = kernel_self()->accounts;
	struct account *account;
	spin_lock(&state->lock);
	list_for_each (account, &state->all, link)
		fn(account, arg);
	spin_unlock(&state->lock);
}
