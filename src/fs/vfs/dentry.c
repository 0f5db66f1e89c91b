// SPDX-License-Identifier: MIT
//
// Dentries: references, look-up, making, moving, pruning (vfs_impl.h tells their life).
#include "vfs_impl.h"

#include "kern/string.h"

static void dentry_free(struct rcu_head *head)
{
	struct dentry *dentry = container_of(head, struct dentry, rcu);
	if (dentry->flags & DENTRY_EXTERNAL)
		kfree((void *)(uintptr_t)dentry->name);
	kfree(dentry->table);
	slab_free(vfs_state()->dentries, dentry);
}

static void name_free(struct rcu_head *head)
{
	kfree(container_of(head, struct dentry_name, rcu));
}

struct dentry_name *dentry_name_make(const struct name *name)
{
	struct dentry_name *made = kmalloc(sizeof *made + name->size_bytes + 1, 0);
	if (made == NULL)
		return NULL;
	made->hash = name->hash;
	made->size_bytes = name->size_bytes;
	char *bytes = (char *)(made + 1);
	memcpy(bytes, name->bytes, name->size_bytes);
	bytes[name->size_bytes] = '\0';
	made->bytes = bytes;
	return made;
}

// Counted once, not hashed. The inode's reference is the caller's to give.
static struct dentry *dentry_make(struct superblock *sb, const struct name *name)
{
	struct dentry *dentry = slab_alloc(vfs_state()->dentries, MEM_ZERO);
	if (dentry == NULL)
		return NULL;
	dentry->refs = 1;
	dentry->sb = sb;
	dentry->flags = sb->ops->name_holds != NULL ? DENTRY_ASKS : 0;
	preempt_disable();
	dentry->lru = this_cpu()->hal.index % DENTRY_LRUS;
	preempt_enable();
	spin_init(&dentry->lock, LOCK_RANK_DENTRY, "dentry");
	dentry->name = &dentry->inline_name;
	if (name->size_bytes < DENTRY_INLINE_NAME) {
		dentry->inline_name.hash = name->hash;
		dentry->inline_name.size_bytes = name->size_bytes;
		dentry->inline_name.bytes = dentry->inline_bytes;
		memcpy(dentry->inline_bytes, name->bytes, name->size_bytes);
		return dentry;
	}
	dentry->name = dentry_name_make(name);
	dentry->flags |= DENTRY_EXTERNAL;
	if (dentry->name == NULL) {
		slab_free(vfs_state()->dentries, dentry);
		return NULL;
	}
	return dentry;
}

struct dentry *dentry_make_root(struct superblock *sb, struct inode *inode)
{
	struct name name = name_make("/", 1);
	struct dentry *dentry = dentry_make(sb, &name);
	if (dentry == NULL)
		return NULL;
	dentry->parent = dentry;
	dentry->inode = inode;
	return dentry;
}

void dentry_get(struct dentry *dentry)
{
	uint32_t old = atomic_fetch_add_u32_relaxed(&dentry->refs, 1);
	ASSERT3(old, !=, 0);
	ASSERT3(old, <, DENTRY_DEAD);
	(void)old;
}

bool dentry_get_unless_dead(struct dentry *dentry)
{
	uint32_t refs = atomic_load_u32_relaxed(&dentry->refs);
	do {
		if (refs >= DENTRY_DEAD)
			return false;
	} while (!atomic_cmpxchg_u32_acquire(&dentry->refs, &refs, refs + 1));
	return true;
}

struct dentry *dentry_parent_get(struct dentry *dentry)
{
	for (;;) {
		rcu_read_lock();
		struct dentry *parent = dentry_parent(dentry);
		bool got = dentry_get_unless_dead(parent);
		rcu_read_unlock();
		if (got && dentry_parent(dentry) == parent)
			return parent;
		if (got)
			dentry_put(parent);
	}
}

// ---- the end -------------------------------------------------------------------------------------------------------------

static struct dentry_lru *lru_of(const struct dentry *dentry)
{
	return &dentry->sb->lrus[dentry->lru];
}

void dentry_lrus_init(struct superblock *sb)
{
	for (uint32_t i = 0; i < DENTRY_LRUS; i++) {
		spin_init(&sb->lrus[i].lock, LOCK_RANK_DENTRY_LRU, "superblock: unused dentries");
		list_init(&sb->lrus[i].list);
	}
}

uint32_t dentry_unused(const struct superblock *sb)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < DENTRY_LRUS; i++)
		count += READ_ONCE(sb->lrus[i].count);
	return count;
}

err_t dentry_lrus_check(struct superblock *sb)
{
	bool good = true;

	for (uint32_t i = 0; i < DENTRY_LRUS; i++) {
		struct dentry_lru *lru = &sb->lrus[i];
		spin_lock(&lru->lock);
		good &= list_check(&lru->list) == lru->count;
		spin_unlock(&lru->lock);
	}
	return good ? 0 : -EUCLEAN;
}

static void lru_remove(struct dentry *dentry)
{
	struct dentry_lru *lru = lru_of(dentry);
	spin_lock(&lru->lock);
	if (atomic_load_u32_relaxed(&dentry->flags) & DENTRY_LRU) {
		atomic_fetch_and_u32_acq_rel(&dentry->flags, ~(uint32_t)DENTRY_LRU);
		list_remove(&dentry->lru_link);
		WRITE_ONCE(lru->count, lru->count - 1);
	}
	spin_unlock(&lru->lock);
}

static void lru_add(struct dentry *dentry)
{
	struct dentry_lru *lru = lru_of(dentry);
	if (atomic_load_u32_relaxed(&dentry->flags) & DENTRY_LRU) {
		atomic_fetch_or_u32_acq_rel(&dentry->flags, DENTRY_USED);
		return;
	}
	spin_lock(&lru->lock);
	if (!(atomic_load_u32_relaxed(&dentry->flags) & DENTRY_LRU) &&
	    atomic_load_u32_relaxed(&dentry->refs) < DENTRY_DEAD) {
		atomic_fetch_or_u32_acq_rel(&dentry->flags, DENTRY_LRU);
		list_push_back(&lru->list, &dentry->lru_link);
		WRITE_ONCE(lru->count, lru->count + 1);
	}
	spin_unlock(&lru->lock);
}

// A dentry that is DEAD goes; returns its parent, whose reference is now the caller's to put (NULL for a root).
static struct dentry *dentry_bury(struct dentry *dentry)
{
	struct dentry *parent = dentry->parent;
	struct inode *inode = dentry->inode;

	if (parent == dentry)
		parent = NULL;
	if (parent != NULL) {
		spin_lock(&parent->lock);
		if (dentry_is_hashed(dentry))
			dentry_table_remove_locked(parent, dentry);
		spin_unlock(&parent->lock);
	}
	lru_remove(dentry);
	ASSERT3(dentry->child_count, ==, 0);
	rcu_call(&dentry->rcu, dentry_free);
	if (inode != NULL)
		inode_put(inode);
	return parent;
}

// Drops one reference; whether that was the end of a dentry which nobody can find: it is DEAD then, and the caller's to bury.
static bool dentry_drop_ref(struct dentry *dentry)
{
	uint32_t none = 0;
	bool dead = false;

	rcu_read_lock(); // after the count is down somebody may kill it
	uint32_t old = atomic_fetch_sub_u32_acq_rel(&dentry->refs, 1);
	VERIFY3(old, !=, 0);
	VERIFY3(old, <, DENTRY_DEAD);
	if (old == 1) {
		if (dentry_is_hashed(dentry))
			lru_add(dentry);
		else
			dead = atomic_cmpxchg_u32_acq_rel(&dentry->refs, &none, DENTRY_DEAD);
	}
	rcu_read_unlock();
	return dead;
}

void dentry_put(struct dentry *dentry)
{
	while (dentry != NULL && dentry_drop_ref(dentry))
		dentry = dentry_bury(dentry);
}

void dentry_drop(struct dentry *dentry)
{
	struct dentry *parent = dentry->parent;
	spin_lock(&parent->lock);
	if (dentry_is_hashed(dentry))
		dentry_table_remove_locked(parent, dentry);
	spin_unlock(&parent->lock);
}

// Takes the oldest that is not in use and was not used lately off the list, DEAD; NULL: none among `*scan` of them.
static struct dentry *lru_take(struct dentry_lru *lru, uint32_t *scan, bool all)
{
	struct dentry *found = NULL;

	spin_lock(&lru->lock);
	while (found == NULL && *scan > 0 && !list_is_empty(&lru->list)) {
		struct dentry *dentry = list_first_entry(&lru->list, struct dentry, lru_link);
		uint32_t none = 0;
		--*scan;
		list_remove(&dentry->lru_link);
		if (!all && (atomic_load_u32_relaxed(&dentry->flags) & DENTRY_USED)) {
			atomic_fetch_and_u32_acq_rel(&dentry->flags, ~(uint32_t)DENTRY_USED);
			list_push_back(&lru->list, &dentry->lru_link);
			continue;
		}
		atomic_fetch_and_u32_acq_rel(&dentry->flags, ~(uint32_t)(DENTRY_LRU | DENTRY_USED));
		WRITE_ONCE(lru->count, lru->count - 1);
		if (atomic_cmpxchg_u32_acq_rel(&dentry->refs, &none, DENTRY_DEAD))
			found = dentry;
	}
	spin_unlock(&lru->lock);
	return found;
}

// One of each list in turn, so that all age alike.
uint32_t dentry_prune(struct superblock *sb, uint32_t count, bool all)
{
	uint32_t scan[DENTRY_LRUS];
	uint32_t killed = 0, empty = 0;

	for (uint32_t i = 0; i < DENTRY_LRUS; i++)
		scan[i] = READ_ONCE(sb->lrus[i].count) * 2;
	for (uint32_t at = 0; killed < count && empty < DENTRY_LRUS; at = (at + 1) % DENTRY_LRUS) {
		struct dentry *dentry = lru_take(&sb->lrus[at], &scan[at], all);
		empty = dentry == NULL ? empty + 1 : 0;
		if (dentry == NULL)
			continue;
		killed++;
		dentry_put(dentry_bury(dentry));
	}
	return killed;
}

// Takes an unused child of a removed directory, to which no name comes any more, DEAD; *chain is where to go on. NULL: none is left.
static struct dentry *child_take(struct dentry *parent, uint32_t *chain)
{
	spin_lock(&parent->lock);
	for (; parent->table != NULL && *chain <= parent->table->mask; ++*chain) {
		for (struct dentry *child = parent->table->chains[*chain]; child != NULL; child = child->hash_next) {
			uint32_t none = 0;
			if (!atomic_cmpxchg_u32_acq_rel(&child->refs, &none, DENTRY_DEAD))
				continue;
			spin_unlock(&parent->lock);
			return child;
		}
	}
	spin_unlock(&parent->lock);
	return NULL;
}

// A directory has been removed: what is known not to be in it would keep it, and its inode, until memory runs short.
void dentry_prune_children(struct dentry *parent)
{
	struct dentry *child;
	uint32_t chain = 0;

	while ((child = child_take(parent, &chain)) != NULL)
		dentry_put(dentry_bury(child));
}

// Killing a child lets its parent fall to the list, so this goes on until nothing is there.
void dentry_free_tree(struct superblock *sb)
{
	while (dentry_prune(sb, UINT32_MAX, true) > 0)
		continue;
}

// ---- names ---------------------------------------------------------------------------------------------------------------

err_t dentry_add(struct dentry *parent, const struct name *name, struct inode *inode, struct dentry **out)
{
	err_t err = dentry_table_reserve(parent);
	if (err != 0)
		return err;
	struct dentry *dentry = dentry_make(parent->sb, name);
	if (dentry == NULL)
		return ERR(ENOMEM);
	dentry_get(parent);
	dentry->parent = parent;
	dentry->inode = inode;
	spin_lock(&parent->lock);
	dentry_table_insert_locked(parent, dentry);
	spin_unlock(&parent->lock);
	*out = dentry;
	return 0;
}

err_t dentry_make_loose(struct dentry *parent, struct inode *inode, struct dentry **out)
{
	struct name name = name_make("(unnamed)", 9);
	struct dentry *dentry = dentry_make(parent->sb, &name);
	if (dentry == NULL)
		return ERR(ENOMEM);
	dentry_get(parent);
	dentry->parent = parent;
	dentry->inode = inode;
	*out = dentry;
	return 0;
}

static struct dentry *dentry_find_get(struct dentry *parent, const struct name *name)
{
	rcu_read_lock();
	struct dentry *dentry = dentry_find(parent, name);
	while (dentry != NULL && !dentry_get_unless_dead(dentry))
		dentry = dentry_find(parent, name); // it has just died, and is passed over now
	rcu_read_unlock();
	return dentry;
}

static bool asks(const struct dentry *dentry)
{
	return (atomic_load_u32_relaxed(&dentry->flags) & DENTRY_ASKS) != 0;
}

static bool name_holds(const struct dentry *parent, const struct name *name, const struct dentry *dentry)
{
	return !asks(parent) || parent->sb->ops->name_holds(dentry_inode(parent), name, dentry_inode(dentry));
}

err_t dentry_lookup_known_locked(struct dentry *parent, const struct name *name, struct dentry **out)
{
	struct inode *dir = dentry_inode(parent);
	struct inode *inode = NULL;

	*out = dentry_find_get(parent, name);
	if (*out != NULL && !name_holds(parent, name, *out)) {
		dentry_drop(*out);
		dentry_put(*out);
		*out = NULL;
	}
	if (*out != NULL)
		return 0;
	if (dir->nlink == 0)
		return ERR(ENOENT);
	err_t err = dir->ops->lookup(dir, name, &inode);
	if (err != 0)
		return err == -ENOENT ? 0 : err;
	err = dentry_add(parent, name, inode, out);
	if (err != 0)
		inode_put(inode);
	return err;
}

err_t dentry_lookup_locked(struct dentry *parent, const struct name *name, struct dentry **out)
{
	err_t err = dentry_lookup_known_locked(parent, name, out);
	return err == 0 && *out == NULL ? dentry_add(parent, name, NULL, out) : err;
}

// A name that was found without the lock may have moved away meanwhile: a dentry that still is this parent's is right.
err_t dentry_lookup(struct dentry *parent, const struct name *name, struct dentry **out)
{
	struct dentry *dentry = asks(parent) ? NULL : dentry_find_get(parent, name);
	if (dentry != NULL && dentry_parent(dentry) == parent && dentry_is_hashed(dentry)) {
		*out = dentry;
		return 0;
	}
	if (dentry != NULL)
		dentry_put(dentry);
	struct inode *dir = dentry_inode(parent);
	mutex_lock(&dir->lock);
	err_t err = dentry_lookup_locked(parent, name, out);
	mutex_unlock(&dir->lock);
	return err;
}

void dentry_fill(struct dentry *dentry, struct inode *inode)
{
	ASSERT3(dentry->inode, ==, NULL);
	atomic_store_ptr_release(&dentry->inode, inode);
}

// ---- moving --------------------------------------------------------------------------------------------------------------

static void move_out(struct dentry *dentry)
{
	struct dentry *parent = dentry->parent;
	spin_lock(&parent->lock);
	if (dentry_is_hashed(dentry))
		dentry_table_remove_locked(parent, dentry);
	spin_unlock(&parent->lock);
}

static void move_in(struct dentry_move *move)
{
	struct dentry *dentry = move->dentry;
	struct dentry_name *old = (struct dentry_name *)(uintptr_t)dentry->name;
	bool external = (atomic_load_u32_relaxed(&dentry->flags) & DENTRY_EXTERNAL) != 0;

	move->old_parent = dentry->parent;
	dentry_get(move->parent);
	atomic_store_ptr_release(&dentry->name, (const struct dentry_name *)move->name);
	atomic_fetch_or_u32_acq_rel(&dentry->flags, DENTRY_EXTERNAL);
	if (external)
		rcu_call(&old->rcu, name_free);
	atomic_store_ptr_release(&dentry->parent, move->parent);
	spin_lock(&move->parent->lock);
	dentry_table_insert_locked(move->parent, dentry);
	spin_unlock(&move->parent->lock);
}

void dentry_move(struct dentry_move *moves, uint32_t count)
{
	struct vfs_state *vfs = vfs_state();

	spin_lock(&vfs->rename_writer);
	atomic_fetch_add_u32_acq_rel(&vfs->rename_seq, 1);
	for (uint32_t i = 0; i < count; i++)
		move_out(moves[i].dentry);
	for (uint32_t i = 0; i < count; i++)
		move_in(&moves[i]);
	atomic_fetch_add_u32_acq_rel(&vfs->rename_seq, 1);
	spin_unlock(&vfs->rename_writer);
}

err_t dentry_check(const struct dentry *dentry)
{
	bool good = dentry->refs < DENTRY_DEAD && dentry->parent != NULL && dentry->sb == dentry->parent->sb;
	return good ? 0 : -EUCLEAN;
}
