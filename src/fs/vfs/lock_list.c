// SPDX-License-Identifier: MIT
//
// What is held on a file: conflicts, and changes that split, cut and melt ranges.
#include "lock_impl.h"

#define CHECKED_MAX 64u
#define SPARE 2u // nodes that one change may need: itself, and the far half of what it splits

// ---- lists ---------------------------------------------------------------------------------------------------------------

err_t locks_get(struct inode *inode, struct file_locks **out)
{
	struct vfs_state *vfs = vfs_state();
	struct file_locks *none = NULL;

	*out = atomic_load_ptr_acquire(&inode->locks);
	if (*out != NULL)
		return 0;
	struct file_locks *made = kmalloc(sizeof *made, MEM_ZERO);
	if (made == NULL)
		return ERR(ENOMEM);
	spin_init(&made->lock, LOCK_RANK_FILE_LOCKS, "file locks");
	list_init(&made->held);
	waitq_init(&made->waiters, "file locks");
	made->inode = inode;
	spin_lock(&vfs->file_lock_list_lock);
	if (atomic_cmpxchg_ptr_relaxed(&inode->locks, &none, made)) {
		list_push_back(&vfs->file_locks, &made->link);
		*out = made;
	} else {
		*out = none;
	}
	spin_unlock(&vfs->file_lock_list_lock);
	if (*out != made)
		kfree(made);
	return 0;
}

void file_locks_free(struct inode *inode)
{
	struct vfs_state *vfs = vfs_state();
	struct file_locks *locks = inode->locks;

	if (locks == NULL)
		return;
	VERIFY3(locks->count, ==, 0);
	spin_lock(&vfs->file_lock_list_lock);
	list_remove(&locks->link);
	spin_unlock(&vfs->file_lock_list_lock);
	kfree(locks);
	inode->locks = NULL;
}

static bool overlap(const struct held *a, const struct held *b)
{
	return a->start <= b->end && b->start <= a->end;
}

bool same_owner(const struct held *a, const struct held *b)
{
	return a->owner == b->owner && a->kind == b->kind;
}

// The first lock that the wanted one must wait for.
struct held *conflict_locked(struct file_locks *locks, const struct held *wanted)
{
	struct held *held;

	list_for_each (held, &locks->held, link) {
		if (held->start > wanted->end)
			break;
		bool kinds = (held->kind == KIND_FLOCK) == (wanted->kind == KIND_FLOCK);
		if (kinds && !same_owner(held, wanted) && (held->write || wanted->write) && overlap(held, wanted))
			return held;
	}
	return NULL;
}

static void insert_locked(struct file_locks *locks, struct held *held)
{
	struct held *at;

	locks->count++;
	list_for_each (at, &locks->held, link) {
		if (at->start > held->start) {
			list_insert_before(&at->link, &held->link);
			return;
		}
	}
	list_push_back(&locks->held, &held->link);
}

void remove_locked(struct file_locks *locks, struct held *held, struct list *gone)
{
	list_remove(&held->link);
	locks->count--;
	list_push_back(gone, &held->link);
}

// ---- changes -------------------------------------------------------------------------------------------------------------

err_t supply_fill(struct supply *supply)
{
	list_init(&supply->free);
	for (uint32_t i = 0; i < SPARE; i++) {
		struct held *held = kmalloc(sizeof *held, MEM_ZERO);
		if (held == NULL)
			return ERR(ENOMEM);
		list_push_back(&supply->free, &held->link);
	}
	return 0;
}

void supply_free(struct supply *supply)
{
	struct list_node *node;

	while ((node = list_pop_front(&supply->free)) != NULL)
		kfree(container_of(node, struct held, link));
}

static struct held *supply_take(struct supply *supply, const struct held *as)
{
	struct held *held = container_of(list_pop_front(&supply->free), struct held, link);
	*held = *as;
	held->link = (struct list_node){0};
	return held;
}

// What the owner has in [change] gives way; a neighbour of the same type, where one is set, melts into it.
static void make_way_locked(struct file_locks *locks, struct held *change, bool set, struct supply *supply)
{
	struct held *held, *next;

	list_for_each_safe (held, next, &locks->held, link) {
		if (!same_owner(held, change))
			continue;
		bool touches = overlap(held, change) || (held->end != UINT64_MAX && held->end + 1 == change->start) ||
			       (change->end != UINT64_MAX && change->end + 1 == held->start);
		if (set && touches && held->write == change->write) {
			change->start = MIN(change->start, held->start);
			change->end = MAX(change->end, held->end);
			remove_locked(locks, held, &supply->free);
		} else if (overlap(held, change)) {
			struct held right = *held;
			bool keeps_left = held->start < change->start;
			bool keeps_right = held->end > change->end;
			if (keeps_left)
				held->end = change->start - 1;
			else
				remove_locked(locks, held, &supply->free);
			right.start = change->end + 1;
			if (keeps_right)
				insert_locked(locks, supply_take(supply, &right));
		}
	}
}

void change_locked(struct file_locks *locks, const struct held *wanted, bool set, struct supply *supply)
{
	struct held change = *wanted;

	make_way_locked(locks, &change, set, supply);
	if (set)
		insert_locked(locks, supply_take(supply, &change));
}

// ---- all of them ---------------------------------------------------------------------------------------------------------

void vfs_each_lock(void (*fn)(const struct lock_info *info, void *arg), void *arg)
{
	static const char *const kinds[] = {[KIND_FLOCK] = "FLOCK", [KIND_POSIX] = "POSIX", [KIND_OFD] = "OFDLCK"};
	struct vfs_state *vfs = vfs_state();
	struct file_locks *locks;
	struct held *held;

	spin_lock(&vfs->file_lock_list_lock);
	list_for_each (locks, &vfs->file_locks, link) {
		spin_lock(&locks->lock);
		list_for_each (held, &locks->held, link) {
			struct lock_info info = {.kind = kinds[held->kind],
						 .write = held->write,
						 .process = held->process,
						 .dev = locks->inode->sb->dev,
						 .ino = locks->inode->ino,
						 .start = held->start,
						 .end = held->end};
			fn(&info, arg);
		}
		spin_unlock(&locks->lock);
	}
	spin_unlock(&vfs->file_lock_list_lock);
}

static bool locks_are_good_locked(struct file_locks *locks)
{
	const struct held *before = NULL;
	struct held *held;
	uint32_t count = 0;

	list_for_each (held, &locks->held, link) {
		if (held->start > held->end || (before != NULL && before->start > held->start))
			return false;
		if (count < CHECKED_MAX && conflict_locked(locks, held) != NULL)
			return false;
		before = held;
		count++;
	}
	return count == locks->count;
}

// Sorted, and no two that conflict are held (looked at for the first ones of each file).
err_t file_locks_check(void)
{
	struct vfs_state *vfs = vfs_state();
	struct file_locks *locks;
	bool good = true;

	spin_lock(&vfs->file_lock_list_lock);
	list_for_each (locks, &vfs->file_locks, link) {
		spin_lock(&locks->lock);
		good = good && locks_are_good_locked(locks);
		spin_unlock(&locks->lock);
	}
	spin_unlock(&vfs->file_lock_list_lock);
	return good ? 0 : -EUCLEAN;
}
