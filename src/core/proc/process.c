// SPDX-License-Identifier: MIT
//
// The process object: making, finding, credentials, the end.
#include "proc_impl.h"

#include "kern/log.h"
#include "kern/mem.h"
#include "kern/string.h"

#define UMASK_DEFAULT 022u

static struct process_state *process_state(void)
{
	return kernel_self()->processes;
}

void object_put(struct object *object)
{
	if (refcount_put(&object->refs))
		object->ops->release(object);
}

static void cred_free(struct rcu_head *head)
{
	kfree(container_of(head, struct cred, rcu));
}

static struct cred *cred_copy(struct process *from)
{
	struct cred *cred = kmalloc(sizeof *cred, MEM_ZERO);
	if (cred == NULL || from == NULL)
		return cred;
	rcu_read_lock();
	*cred = *process_cred(from);
	rcu_read_unlock();
	return cred;
}

static void process_enlist(struct process_state *state, struct process *process)
{
	spin_lock(&state->lock);
	process->id = ++state->next_id;
	list_push_back(&state->processes, &process->link);
	spin_unlock(&state->lock);
}

err_t process_create(const char *name, struct process *parent, struct process **out)
{
	struct process_state *state = process_state();
	struct process *process = kmalloc(sizeof *process, MEM_ZERO);
	err_t err = 0;

	if (process == NULL)
		return ERR(ENOMEM);
	refcount_init(&process->refs, 1);
	strlcpy(process->name, name, sizeof process->name);
	spin_init(&process->lock, LOCK_RANK_PROCESS, "process");
	descriptor_table_init(&process->files);
	process->umask = parent != NULL ? atomic_load_u32_relaxed(&parent->umask) : UMASK_DEFAULT;
	process->cred = cred_copy(parent);
	if (process->cred == NULL) {
		err = ERR(ENOMEM);
		goto fail;
	}
	if (state->hooks != NULL)
		err = state->hooks->init(process, parent);
	if (err != 0)
		goto fail_cred;
	process_enlist(state, process);
	*out = process;
	return 0;
fail_cred:
	kfree(process->cred);
fail:
	kfree(process);
	return err;
}

void process_set_tty_hook(struct process *process, process_tty_fn *hook, void *arg)
{
	spin_lock(&process->lock);
	process->tty_hook = hook;
	process->tty_hook_arg = arg;
	spin_unlock(&process->lock);
}

bool process_tty_signal(struct process *process, uint32_t signal)
{
	spin_lock(&process->lock);
	bool interrupts = process->tty_hook != NULL && process->tty_hook(process, signal, process->tty_hook_arg);
	spin_unlock(&process->lock);
	return interrupts;
}

struct process *process_of_thread(void)
{
	return current->process;
}

void process_set_of_thread(struct process *process)
{
	current->process = process;
}

void process_get(struct process *process)
{
	refcount_get(&process->refs);
}

void process_put(struct process *process)
{
	struct process_state *state = process_state();

	if (!refcount_put(&process->refs))
		return;
	spin_lock(&state->lock);
	list_remove(&process->link);
	spin_unlock(&state->lock);
	descriptor_table_fini(process);
	if (state->hooks != NULL)
		state->hooks->release(process);
	rcu_call(&process->cred->rcu, cred_free);
	kfree(process);
}

struct process *process_find(uint32_t id)
{
	struct process_state *state = process_state();
	struct process *process;
	struct process *found = NULL;

	spin_lock(&state->lock);
	list_for_each (process, &state->processes, link)
		if (process->id == id && refcount_get_unless_zero(&process->refs))
			found = process;
	spin_unlock(&state->lock);
	return found;
}

err_t process_set_cred(struct process *process, uint32_t uid, uint32_t gid, const uint32_t *groups,
		       uint32_t group_count)
{
	if (group_count > PROCESS_GROUPS_MAX)
		return ERR(EINVAL);
	struct cred *cred = kmalloc(sizeof *cred, MEM_ZERO);
	if (cred == NULL)
		return ERR(ENOMEM);
	cred->uid = uid;
	cred->gid = gid;
	cred->group_count = group_count;
	for (uint32_t i = 0; i < group_count; i++)
		cred->groups[i] = groups[i];
	spin_lock(&process->lock);
	struct cred *old = process->cred;
	rcu_assign(process->cred, cred);
	spin_unlock(&process->lock);
	rcu_call(&old->rcu, cred_free);
	return 0;
}

bool cred_in_group(const struct cred *cred, uint32_t gid)
{
	if (cred->gid == gid)
		return true;
	for (uint32_t i = 0; i < cred->group_count; i++)
		if (cred->groups[i] == gid)
			return true;
	return false;
}

void process_set_hooks(const struct process_hooks *hooks)
{
	process_state()->hooks = hooks;
}

err_t process_init(struct kernel *kernel)
{
	struct process_state *state = kmalloc(sizeof *state, MEM_ZERO);
	if (state == NULL)
		return ERR(ENOMEM);
	spin_init(&state->lock, LOCK_RANK_PROCESS_LIST, "process: list");
	list_init(&state->processes);
	kernel->processes = state;
	return 0;
}

void process_stop(void)
{
	struct process_state *state = process_state();
	struct process *process;

	list_for_each (process, &state->processes, link)
		log_err("process: %u (%s) is still there", process->id, process->name);
	rcu_barrier(); // credentials
	kernel_self()->processes = NULL;
	kfree(state);
}

err_t process_check(void)
{
	struct process_state *state = process_state();
	struct process *process;
	uint32_t last = 0;
	err_t err = 0;

	spin_lock(&state->lock);
	list_for_each (process, &state->processes, link) {
		if (process->id <= last)
			err = -EUCLEAN;
		last = process->id;
		if (err == 0)
			err = descriptor_table_check(&process->files);
	}
	spin_unlock(&state->lock);
	if (err != 0)
		log_err("process: the list or a table of descriptors contradicts itself");
	return err;
}
