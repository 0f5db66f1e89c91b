// SPDX-License-Identifier: MIT
//
// flock(2) and record locks (fcntl(2)). Who must wait waits for any change of what is held and looks again. Waits of processes for
// processes are edges of a graph: one that would close a ring is refused. The edge is drawn under the list's lock, so two rings cannot
// be closed at once by halves.
#include "lock_impl.h"

#define RING_MAX 4096u // edges that are followed

// A process that waits for another.
struct edge {
	struct list_node link; // vfs->lock_edges, under list_lock
	const void *from, *to;
};

// ---- waiting -------------------------------------------------------------------------------------------------------------

static bool closes_ring(struct vfs_state *vfs, const struct edge *new)
{
	const void *at = new->to;

	for (uint32_t i = 0; i < RING_MAX; i++) {
		struct edge *edge;
		const void *next = NULL;
		if (at == new->from)
			return true;
		list_for_each (edge, &vfs->lock_edges, link)
			if (edge->from == at && next == NULL)
				next = edge->to;
		if (next == NULL)
			return false;
		at = next;
	}
	return true;
}

// Draws the edge, or says that it may not be. Only processes wait in rings that can be seen.
static err_t edge_draw(struct edge *edge, const struct held *wanted, const struct held *blocker)
{
	struct vfs_state *vfs = vfs_state();
	err_t err = 0;

	*edge = (struct edge){.from = wanted->owner, .to = blocker->owner};
	if (wanted->kind != KIND_POSIX || blocker->kind != KIND_POSIX)
		edge->from = NULL;
	if (edge->from == NULL)
		return 0;
	spin_lock(&vfs->list_lock);
	if (closes_ring(vfs, edge))
		err = -EDEADLK;
	else
		list_push_back(&vfs->lock_edges, &edge->link);
	spin_unlock(&vfs->list_lock);
	return err;
}

static void edge_erase(struct edge *edge)
{
	struct vfs_state *vfs = vfs_state();

	if (edge->from == NULL)
		return;
	spin_lock(&vfs->list_lock);
	list_remove(&edge->link);
	spin_unlock(&vfs->list_lock);
}

// One try. -EAGAIN: held, and with `edge` an edge is drawn.
static err_t lock_try(struct file_locks *locks, const struct held *wanted, bool set, struct supply *supply,
		      struct edge *edge)
{
	err_t err = 0;

	spin_lock(&locks->lock);
	struct held *blocker = set ? conflict_locked(locks, wanted) : NULL;
	if (blocker != NULL) {
		err = edge != NULL ? edge_draw(edge, wanted, blocker) : 0;
		err = err != 0 ? err : -EAGAIN;
	} else if (set && locks->count >= LOCKS_MAX) {
		err = -ENOLCK;
	} else {
		change_locked(locks, wanted, set, supply);
	}
	spin_unlock(&locks->lock);
	return err;
}

static err_t lock_apply(struct inode *inode, const struct held *wanted, bool set, bool wait)
{
	struct file_locks *locks = atomic_load_ptr_acquire(&inode->locks);
	struct supply supply;
	struct edge edge;

	if (locks == NULL && !set)
		return 0;
	err_t err = locks_get(inode, &locks);
	if (err != 0)
		return err;
	err = supply_fill(&supply);
	while (err == 0) {
		struct waitq_entry entry;
		waitq_enter(&locks->waiters, &entry, false);
		err = lock_try(locks, wanted, set, &supply, wait ? &edge : NULL);
		if (err == -EAGAIN && wait) {
			err = waitq_sleep(&locks->waiters, &entry, TB_FOREVER);
			edge_erase(&edge);
			(void)waitq_leave(&locks->waiters, &entry);
			continue;
		}
		(void)waitq_leave(&locks->waiters, &entry);
		break;
	}
	supply_free(&supply);
	if (err == 0)
		waitq_wake_all(&locks->waiters); // it may hold less than before
	return err;
}

static void release_all(struct inode *inode, const void *owner, uint32_t kind)
{
	struct file_locks *locks = atomic_load_ptr_acquire(&inode->locks);
	struct held *held, *next;
	struct supply gone;

	if (locks == NULL)
		return;
	list_init(&gone.free);
	spin_lock(&locks->lock);
	list_for_each_safe (held, next, &locks->held, link)
		if (held->owner == owner && held->kind == kind)
			remove_locked(locks, held, &gone.free);
	spin_unlock(&locks->lock);
	if (!list_is_empty(&gone.free))
		waitq_wake_all(&locks->waiters);
	supply_free(&gone);
}

void file_locks_closed(struct file *file, struct process *process)
{
	release_all(file->inode, process, KIND_POSIX);
}

void file_locks_released(struct file *file)
{
	release_all(file->inode, file, KIND_FLOCK);
	release_all(file->inode, file, KIND_OFD);
}

// ---- calls ---------------------------------------------------------------------------------------------------------------

err_t vfs_flock(struct process *process, int32_t fd, uint32_t operation)
{
	uint32_t what = operation & ~(uint32_t)TB_LOCK_NB;
	struct file *file;

	if (what != TB_LOCK_SH && what != TB_LOCK_EX && what != TB_LOCK_UN)
		return ERR(EINVAL);
	err_t err = file_get(process, fd, RIGHT_LOCK, &file);
	if (err != 0)
		return err;
	struct held wanted = {.owner = file, .kind = KIND_FLOCK, .write = what == TB_LOCK_EX, .end = UINT64_MAX};
	bool set = what != TB_LOCK_UN;
	struct file_locks *locks = atomic_load_ptr_acquire(&file->inode->locks);
	if (set && locks != NULL) { // asked for once more: nothing to do; another type: the old one goes first
		struct held *held;
		bool same = false;
		spin_lock(&locks->lock);
		list_for_each (held, &locks->held, link)
			same = same || (same_owner(held, &wanted) && held->write == wanted.write);
		spin_unlock(&locks->lock);
		if (!same)
			release_all(file->inode, file, KIND_FLOCK);
	}
	err = lock_apply(file->inode, &wanted, set, !(operation & TB_LOCK_NB));
	file_put(file);
	return err;
}

// From {whence, start, size} to [start, end].
static err_t range_of(struct file *file, const struct tb_lock *lock, struct held *held)
{
	int64_t start, end;

	err_t err = file_place(file, lock->whence, lock->start, &start);
	if (err != 0)
		return err;
	if (lock->size_bytes > 0) {
		if (__builtin_add_overflow(start, lock->size_bytes - 1, &end))
			return ERR(EOVERFLOW);
	} else if (lock->size_bytes < 0) {
		end = start - 1;
		if (__builtin_add_overflow(start, lock->size_bytes, &start) || start < 0)
			return ERR(EINVAL);
	}
	held->start = (uint64_t)start;
	held->end = lock->size_bytes == 0 ? UINT64_MAX : (uint64_t)end;
	return 0;
}

// Linux tells the end of the largest range as "to the end", too.
static void lock_tell(const struct held *held, struct tb_lock *lock)
{
	lock->type = held->write ? TB_F_WRLCK : TB_F_RDLCK;
	lock->whence = TB_SEEK_SET;
	lock->start = (int64_t)held->start;
	lock->size_bytes = held->end >= INT64_MAX ? 0 : (int64_t)(held->end - held->start + 1);
	lock->pid = held->kind == KIND_POSIX ? (int32_t)held->process : -1;
}

static void lock_ask(struct inode *inode, const struct held *wanted, struct tb_lock *lock)
{
	struct file_locks *locks = atomic_load_ptr_acquire(&inode->locks);
	struct held *blocker = NULL;

	if (locks != NULL) {
		spin_lock(&locks->lock);
		blocker = conflict_locked(locks, wanted);
		if (blocker != NULL)
			lock_tell(blocker, lock);
		spin_unlock(&locks->lock);
	}
	if (blocker == NULL)
		lock->type = TB_F_UNLCK;
}

// A descriptor that was closed while its lock was being set had nothing to release then.
static err_t lock_settle(struct process *process, int32_t fd, struct file *file, const struct held *wanted)
{
	struct object *object = NULL;
	err_t err = descriptor_get(process, fd, NULL, 0, &object, NULL);
	bool same = object == &file->object;

	if (err == 0)
		object_put(object);
	if (err == 0 && same)
		return 0;
	(void)!lock_apply(file->inode, wanted, false, false);
	return ERR(EBADF);
}

static err_t lock_check(uint32_t command, const struct tb_lock *lock, uint32_t *rights)
{
	bool get = command == TB_F_GETLK || command == TB_F_OFD_GETLK;
	bool ofd = command >= TB_F_OFD_GETLK;

	if (!get && command != TB_F_SETLK && command != TB_F_SETLKW && command != TB_F_OFD_SETLK &&
	    command != TB_F_OFD_SETLKW)
		return ERR(EINVAL);
	if (lock->type != TB_F_RDLCK && lock->type != TB_F_WRLCK && (get || lock->type != TB_F_UNLCK))
		return ERR(EINVAL);
	if (ofd && lock->pid != 0)
		return ERR(EINVAL);
	*rights = RIGHT_LOCK;
	if (!get && lock->type != TB_F_UNLCK)
		*rights |= lock->type == TB_F_WRLCK ? RIGHT_WRITE : RIGHT_READ;
	return 0;
}

err_t vfs_lock(struct process *process, int32_t fd, uint32_t command, struct tb_lock *lock)
{
	bool ofd = command >= TB_F_OFD_GETLK;
	struct file *file;
	uint32_t rights;

	err_t err = lock_check(command, lock, &rights);
	if (err == 0)
		err = file_get(process, fd, rights, &file);
	if (err != 0)
		return err;
	struct held wanted = {.owner = ofd ? (const void *)file : process,
			      .kind = ofd ? KIND_OFD : KIND_POSIX,
			      .process = ofd ? 0 : process->id,
			      .write = lock->type == TB_F_WRLCK};
	err = range_of(file, lock, &wanted);
	if (err == 0 && (command == TB_F_GETLK || command == TB_F_OFD_GETLK))
		lock_ask(file->inode, &wanted, lock);
	else if (err == 0)
		err = lock_apply(file->inode, &wanted, lock->type != TB_F_UNLCK,
				 command == TB_F_SETLKW || command == TB_F_OFD_SETLKW);
	if (err == 0 && wanted.kind == KIND_POSIX && lock->type != TB_F_UNLCK && command != TB_F_GETLK)
		err = lock_settle(process, fd, file, &wanted);
	file_put(file);
	return err;
}
