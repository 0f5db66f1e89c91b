// SPDX-License-Identifier: MIT
//
// The names that one directory is known to have or not to have: chained hash tables, read under RCU and changed under the
// directory's dentry lock. A table that is full is replaced by a larger one. While names move to it a reader may miss one; that is
// allowed, because a miss is confirmed under the inode's lock, which every writer of names holds or excludes.
#include "vfs_impl.h"

#include "kern/string.h"

#define CHAINS_FIRST 8u
#define CHAINS_MAX (1u << 18)

static void table_free(struct rcu_head *head)
{
	kfree(container_of(head, struct dentry_table, rcu));
}

// The names of the old table that nobody is killing move; those that die look for themselves in the table of that moment.
static void table_move_locked(struct dentry_table *from, struct dentry_table *to)
{
	for (uint32_t i = 0; i <= from->mask; i++) {
		struct dentry *dentry = from->chains[i];
		while (dentry != NULL) {
			struct dentry *next = dentry->hash_next;
			struct dentry **chain = &to->chains[dentry->name->hash & to->mask];
			atomic_store_ptr_release(&dentry->hash_next, *chain);
			atomic_store_ptr_release(chain, dentry);
			dentry = next;
		}
	}
}

static bool table_is_full(const struct dentry_table *table, uint32_t count)
{
	return table == NULL || (count >= 2 * (table->mask + 1) && table->mask + 1 < CHAINS_MAX);
}

err_t dentry_table_reserve(struct dentry *parent)
{
	spin_lock(&parent->lock);
	uint32_t count = parent->child_count;
	bool full = table_is_full(parent->table, count);
	bool exists = parent->table != NULL;
	spin_unlock(&parent->lock);
	if (!full)
		return 0;
	uint32_t chains = CHAINS_FIRST;
	while (chains <= count && chains < CHAINS_MAX)
		chains *= 4;
	struct dentry_table *table = kmalloc(sizeof *table + chains * sizeof table->chains[0], MEM_ZERO);
	if (table == NULL)
		return exists ? 0 : ERR(ENOMEM); // long chains are better than no name
	table->mask = chains - 1;
	spin_lock(&parent->lock);
	struct dentry_table *old = parent->table;
	if (table_is_full(old, parent->child_count)) {
		if (old != NULL)
			table_move_locked(old, table);
		atomic_store_ptr_release(&parent->table, table);
		table = NULL;
	} else {
		old = NULL;
	}
	spin_unlock(&parent->lock);
	if (old != NULL)
		rcu_call(&old->rcu, table_free);
	kfree(table);
	return 0;
}

void dentry_table_insert_locked(struct dentry *parent, struct dentry *dentry)
{
	LOCK_HELD(&parent->lock);
	struct dentry **chain = &parent->table->chains[dentry->name->hash & parent->table->mask];
	atomic_store_ptr_relaxed(&dentry->hash_next, *chain);
	atomic_fetch_or_u32_acq_rel(&dentry->flags, DENTRY_HASHED);
	atomic_store_ptr_release(chain, dentry);
	parent->child_count++;
}

void dentry_table_remove_locked(struct dentry *parent, struct dentry *dentry)
{
	LOCK_HELD(&parent->lock);
	struct dentry **link = &parent->table->chains[dentry->name->hash & parent->table->mask];
	while (*link != dentry) {
		VERIFY(*link != NULL);
		link = &(*link)->hash_next;
	}
	atomic_store_ptr_release(link, dentry->hash_next);
	atomic_fetch_and_u32_acq_rel(&dentry->flags, ~(uint32_t)DENTRY_HASHED);
	parent->child_count--;
}

// Without a reference, under RCU; passes over those that are dying. The walk of a chain is bounded: a name that moves to another table while we stand on it may lead us
// through that one's chain, which ends as well.
struct dentry *dentry_find(const struct dentry *parent, const struct name *name)
{
	const struct dentry_table *table = atomic_load_ptr_acquire(&parent->table);
	if (table == NULL)
		return NULL;
	struct dentry *dentry = atomic_load_ptr_acquire(&table->chains[name->hash & table->mask]);
	while (dentry != NULL) {
		const struct dentry_name *known = atomic_load_ptr_acquire(&dentry->name);
		if (known->hash == name->hash && known->size_bytes == name->size_bytes &&
		    memcmp(known->bytes, name->bytes, name->size_bytes) == 0 && dentry_parent(dentry) == parent &&
		    dentry_is_hashed(dentry) && atomic_load_u32_relaxed(&dentry->refs) < DENTRY_DEAD)
			return dentry;
		dentry = atomic_load_ptr_acquire(&dentry->hash_next);
	}
	return NULL;
}
