// SPDX-License-Identifier: MIT
//
// The process object without an address space: who acts (credentials), where (root, working directory, mount namespace, umask),
// and what it has open (descriptors). The monitor has one, so has each context of the library; user space adds the rest
// later. A descriptor is {object, rights, flags}, and every look-up names the rights that it needs.
#ifndef KERN_PROCESS_H
#define KERN_PROCESS_H

#include "kern/list.h"
#include "kern/lock.h"
#include "kern/path.h"
#include "kern/rcu.h"
#include "kern/refcount.h"

#define PROCESS_GROUPS_MAX 32u
#define PROCESS_FILES_MAX 65536u // descriptors of one process

struct process;
struct mount_ns;
struct tty;

// Who acts. Immutable once published; replaced whole, freed by RCU.
struct cred {
	struct rcu_head rcu;
	uint32_t uid, gid;
	uint32_t group_count;
	uint32_t groups[PROCESS_GROUPS_MAX];
};

// What a descriptor names. The kinds (files now; sockets, processes later) embed it.
struct object;
struct object_ops {
	const char *name;
	void (*closed)(struct object *object,
		       struct process *process); // one of its descriptors has gone; may sleep. NULL
	void (*release)(struct object *object);  // the last reference has; may sleep
};

struct object {
	struct refcount refs;
	const struct object_ops *ops;
};

static inline void object_init(struct object *object, const struct object_ops *ops)
{
	refcount_init(&object->refs, 1);
	object->ops = ops;
}

static inline void object_get(struct object *object)
{
	refcount_get(&object->refs);
}

void object_put(struct object *object); // thread context; may sleep

enum right {
	RIGHT_READ = 1u << 0,
	RIGHT_WRITE = 1u << 1,
	RIGHT_SEEK = 1u << 2,
	RIGHT_STAT = 1u << 3,
	RIGHT_CHANGE = 1u << 4, // attributes, size
	RIGHT_LOOKUP = 1u << 5, // as the start of a path
	RIGHT_LOCK = 1u << 6,
	RIGHT_ALL = (1u << 7) - 1
};

enum descriptor_flags {
	DESCRIPTOR_CLOEXEC = 1u << 0
};

struct descriptor {
	struct object *object; // counted; NULL: free
	uint32_t rights;       // enum right
	uint32_t flags;        // enum descriptor_flags
};

struct descriptor_table {
	struct spinlock lock;
	struct descriptor *slots; // `size` of them
	uint32_t size;
	uint32_t lowest_free; // none below is free
	uint32_t used;
};

struct process;

// What a terminal tells whom it belongs to (enum tb_tty_signal); sessions and groups come with user space. Under process->lock: neither sleeps
// nor allocates. True: waits on that terminal end with -EINTR.
typedef bool process_tty_fn(struct process *process, uint32_t signal, void *arg);

struct process {
	struct refcount refs;
	uint32_t id; // ≥ 1, immutable
	char name[16];
	struct cred *cred; // RCU; written under lock
	uint32_t umask;    // atomic
	struct spinlock lock;
	struct path root, cwd;   // under lock, counted by the filesystems' hook
	struct mount_ns *mounts; // counted likewise; written under lock and the mounts' lock, read under either
	struct descriptor_table files;
	process_tty_fn *tty_hook; // under lock, as its argument; NULL: signals of terminals are lost
	void *tty_hook_arg;
	struct tty *tty;       // the controlling terminal, NULL: none; atomic
	struct list_node link; // list of all processes, by id
};

// How the filesystems fill in and give back what a process holds of theirs; set once, at boot. init() starts from `parent`, or from
// the namespace's root (NULL). Thread context.
struct process_hooks {
	err_t (*init)(struct process *process, struct process *parent);
	void (*release)(struct process *process);
};

// A new process with no descriptors: credentials, umask, root, directory and namespace of `parent`; NULL: uid 0, umask 022, the
// tree's root. The caller owns a reference. Thread context. Errors: -ENOMEM, those of the hook.
err_t process_create(const char *name, struct process *parent, struct process **out) must_check;
void process_get(struct process *process);
void process_put(struct process *process); // the last one closes everything. Thread context

// The process of that number, with a reference; NULL: none. Thread context.
struct process *process_find(uint32_t id) must_check;

// New credentials. Thread context. Errors: -EINVAL (too many groups), -ENOMEM.
err_t process_set_cred(struct process *process, uint32_t uid, uint32_t gid, const uint32_t *groups,
		       uint32_t group_count) must_check;

// Inside a read section of RCU.
static inline const struct cred *process_cred(const struct process *process)
{
	return rcu_dereference(process->cred);
}

void process_set_tty_hook(struct process *process, process_tty_fn *hook, void *arg);
bool process_tty_signal(struct process *process, uint32_t signal); // what the hook says; false: there is none

// The process that the current thread acts as, NULL: none of its own. Not counted: whoever sets it keeps it until it is set to NULL.
struct process *process_of_thread(void);
void process_set_of_thread(struct process *process);

bool cred_in_group(const struct cred *cred, uint32_t gid);

// Opens the lowest free descriptor that is ≥ `from`; takes over the caller's reference of `object` on success. Thread context. Errors:
// -EMFILE, -ENOMEM.
err_t descriptor_open(struct process *process, struct object *object, uint32_t rights, uint32_t flags, uint32_t from,
		      int32_t *out) must_check;

// The object of a descriptor that has all these rights, with a reference; *descriptor (may be NULL) is what the table says. Any
// thread context. Errors: -EBADF (not open, of another kind than `ops` when that is given, or a right is missing).
err_t descriptor_get(struct process *process, int32_t number, const struct object_ops *ops, uint32_t rights,
		     struct object **out, struct descriptor *descriptor) must_check;

err_t descriptor_close(struct process *process, int32_t number) must_check;                     // -EBADF
err_t descriptor_set_flags(struct process *process, int32_t number, uint32_t flags) must_check; // -EBADF
err_t descriptor_dup(struct process *process, int32_t number, uint32_t from, uint32_t flags, int32_t *out) must_check;

// Puts the object of `number` at `to`, closing what is there. Errors: -EBADF, -ENOMEM.
err_t descriptor_dup_to(struct process *process, int32_t number, int32_t to, uint32_t flags) must_check;

// Component of the core.
err_t process_init(struct kernel *kernel) must_check;
void process_stop(void);
err_t process_check(void) must_check;
void process_set_hooks(const struct process_hooks *hooks); // once, before the first process; NULL takes them away

#endif
