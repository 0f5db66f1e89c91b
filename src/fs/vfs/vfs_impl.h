// SPDX-License-Identifier: MIT
//
// The VFS: one tree of files over many filesystems.
//
// Purpose. A path is walked from dentry to dentry (names that are known) under mounts (which filesystem shows where), to an
// inode (what a file is). Filesystems supply inodes and names through the tables of kern/fs.h; what all share is here.
//
// Files
//   vfs.c       the component: state, hooks of processes, the root filesystem
//   dentry.c    dentries: references, look-up, adding, dropping, moving; dtable.c the names of one directory
//   inode.c     inodes: life, times, permission
//   mount.c     mounts and their counts · mountops.c mount, umount, unshare, statfs · super.c superblocks and types
//   walk.c      paths to places · walk_slow.c from RCU to references, symbolic links, mounts both ways
//   namei.c     names made and unmade · rename.c · open.c · handle.c files by number · file.c reading and writing · attr.c · xattr.c · readdir.c
//   device.c    special files · blockfile.c those of block devices · kfile.c files without descriptors
//   lock.c      flock and record locks
//   mapping.c   a file's pages by index · pagefile.c reading and writing through them
//   api.c       the library's calls · cmd_*.c the monitor's commands
//
// Objects. A dentry is hashed (its parent's table knows it) or not; positive (it has an inode) or negative (known not to exist). It
// lives while somebody refers to it or its parent's table knows it; with no references it stands on its superblock's LRU list,
// until pressure kills it (refs becomes DENTRY_DEAD, for good). A dentry holds a reference of its parent and of its inode. An inode
// lives by references: of dentries, of open files, of the filesystem. A mount counts its users per CPU; when it is to go
// (dying) all go through its lock, so that the sum is exact.
//
// Walking. Known names are walked under RCU without any reference: dentries, name bodies, tables, inodes and mounts are freed after a
// grace period, and vfs->rename_seq tells whether a name moved meanwhile. At the end, or where something must be asked of a
// filesystem, references are taken and the sequence is looked at; if it moved, the walk begins anew with references. A look-up
// that misses under RCU is no answer: the miss is confirmed under the directory's lock.
//
// Locks, in order: file->pos_lock; vfs->mount_lock (mount trees); sb->rename_lock (renames between directories); inode->lock of
// directories, parents before children, unrelated ones by inode number; of files, by inode number; then spinlocks: a dentry's (its
// table), the LRU's, inode->attr_lock, mapping->lock, rename_writer, the filesystem's own. No spinlock is held across an allocation.
//
// May sleep: everything but what walks under RCU.
#ifndef VFS_IMPL_H
#define VFS_IMPL_H

#include "kern/device.h"
#include "kern/vfs.h"

struct monitor_command;

#define DENTRY_DEAD 0x80000000u
#define DENTRY_INLINE_NAME 40u

struct dentry_name {
	struct rcu_head rcu;
	uint32_t hash;
	uint32_t size_bytes;
	const char *bytes; // behind it; terminated
};

// A directory's table of names: chains, grown when they get long. Replaced whole, freed by RCU.
struct dentry_table {
	struct rcu_head rcu;
	uint32_t mask;
	struct dentry *chains[]; // atomic
};

enum dentry_flags {
	DENTRY_HASHED = 1u << 0,
	DENTRY_LRU = 1u << 1,      // under its lru's lock
	DENTRY_USED = 1u << 2,     // used since the pruner looked
	DENTRY_EXTERNAL = 1u << 3, // the name is an allocation of its own
	DENTRY_ASKS = 1u << 4      // of a filesystem with name_holds(); immutable
};

struct dentry {
	uint32_t refs;                  // atomic; DENTRY_DEAD: dying
	uint32_t flags;                 // atomic: enum dentry_flags
	struct dentry *parent;          // atomic; counted; the root's is itself, not counted
	const struct dentry_name *name; // atomic, RCU
	struct inode *inode;            // atomic; counted; NULL: negative
	struct superblock *sb;
	uint32_t mounts;            // atomic: mounts on it, in any namespace
	uint32_t lru;               // of sb->lrus; immutable
	struct dentry *hash_next;   // atomic; under parent's lock
	struct dentry_table *table; // atomic, RCU; under lock
	uint32_t child_count;       // under lock
	struct spinlock lock;
	struct list_node lru_link; // its lru's lock
	struct rcu_head rcu;
	struct dentry_name inline_name; // of inline_bytes
	char inline_bytes[DENTRY_INLINE_NAME];
};

struct mount_count {
	int32_t users; // atomic, of one CPU; sums count
	uint32_t reserved;
	uint8_t pad[CACHE_LINE_SIZE - 8];
};

struct mount {
	struct mount_ns *ns;        // NULL: out of the tree
	struct superblock *sb;      // counted
	struct dentry *root;        // counted
	struct mount *parent;       // atomic; counted; the namespace's root: NULL
	struct dentry *place;       // atomic; in parent; counted
	struct mount *next_here;    // atomic; list of parent's children, newest first
	struct mount *children;     // atomic
	struct list_node ns_link;   // by mounting
	struct mount *copy;         // while its namespace is copied, under vfs->mount_lock
	struct mount_count *counts; // per CPU
	struct spinlock lock;       // counts while dying
	uint32_t dying;             // atomic
	uint32_t flags;             // enum tb_mount_flags; atomic
	uint32_t id;
	struct rcu_head rcu;
	char source[64];
};

struct mount_ns {
	struct refcount refs;
	struct mount *root; // under vfs->mount_lock
	struct list mounts; // all; under vfs->mount_lock
};

#define FS_TYPES_MAX 16u
#define DEVICES_MAX 64u

struct vfs_state {
	struct slab_cache *dentries, *files, *pages, *page_nodes;
	struct mutex mount_lock;
	struct spinlock rename_writer;
	uint32_t rename_seq; // atomic; odd while a name moves
	struct spinlock list_lock;
	const struct fs_type *types[FS_TYPES_MAX];      // list_lock
	const struct char_device *devices[DEVICES_MAX]; // list_lock
	struct list superblocks;                        // list_lock, by making
	struct list api_contexts;                       // list_lock
	uint32_t next_dev, next_mount_id;               // list_lock
	struct list lock_edges;                         // list_lock: lock.c
	struct spinlock file_lock_list_lock;
	struct list file_locks; // file_lock_list_lock: of all files that have ever been locked
	struct mount_ns *ns;
	struct process *monitor;
	struct pressure_callback pressure;
};

static inline struct vfs_state *vfs_state(void)
{
	return kernel_self()->vfs;
}

// ---- dentry.c ------------------------------------------------------------------------------------------------------------

static inline struct inode *dentry_inode(const struct dentry *dentry)
{
	return atomic_load_ptr_acquire(&dentry->inode);
}

static inline struct dentry *dentry_parent(const struct dentry *dentry)
{
	return atomic_load_ptr_acquire(&dentry->parent);
}

static inline bool dentry_is_hashed(const struct dentry *dentry)
{
	return (atomic_load_u32_acquire(&dentry->flags) & DENTRY_HASHED) != 0;
}

void dentry_get(struct dentry *dentry);                        // by one who holds a reference
bool dentry_get_unless_dead(struct dentry *dentry) must_check; // under RCU
void dentry_put(struct dentry *dentry);                        // may sleep
struct dentry *dentry_parent_get(struct dentry *dentry);       // counted

// A root; takes over the inode's reference. NULL: no memory.
struct dentry *dentry_make_root(struct superblock *sb, struct inode *inode) must_check;

// A new hashed dentry, counted, under the parent inode's lock; takes over the reference of `inode` (NULL: negative). Errors: -ENOMEM.
err_t dentry_add(struct dentry *parent, const struct name *name, struct inode *inode, struct dentry **out) must_check;

// A dentry that no name leads to (O_TMPFILE), counted; takes over the inode's reference. Errors: -ENOMEM.
err_t dentry_make_loose(struct dentry *parent, struct inode *inode, struct dentry **out) must_check;

// The dentry of that name, positive or negative, counted; asks the filesystem if nobody knows. _locked: the caller holds the parent
// inode's lock. Errors: those of lookup, -ENOENT (the directory has been removed), -ENOMEM.
err_t dentry_lookup(struct dentry *parent, const struct name *name, struct dentry **out) must_check;
err_t dentry_lookup_locked(struct dentry *parent, const struct name *name, struct dentry **out) must_check;

// The same, but *out is NULL for a name that is not there and of which nobody knew.
err_t dentry_lookup_known_locked(struct dentry *parent, const struct name *name, struct dentry **out) must_check;

// Under RCU, not counted; NULL: not known here.
struct dentry *dentry_find(const struct dentry *parent, const struct name *name);

// A negative dentry becomes positive; takes over the inode's reference. Parent inode's lock held.
void dentry_fill(struct dentry *dentry, struct inode *inode);
void dentry_drop(struct dentry *dentry); // out of its parent's table

// Gives the dentry another parent and name (prepared by dentry_name_make), and returns by *old what is to be put once the locks
// are gone. Both directories' inode locks held. dentry_exchange: two at once.
struct dentry_move {
	struct dentry *dentry;
	struct dentry *parent;     // new
	struct dentry_name *name;  // new; taken over
	struct dentry *old_parent; // out
};
struct dentry_name *dentry_name_make(const struct name *name) must_check;
void dentry_move(struct dentry_move *moves, uint32_t count);

void dentry_lrus_init(struct superblock *sb);
uint32_t dentry_unused(const struct superblock *sb); // how many wait there, about
err_t dentry_lrus_check(struct superblock *sb) must_check;
uint32_t dentry_prune(struct superblock *sb, uint32_t count, bool all); // kills unused ones; how many
void dentry_prune_children(struct dentry *parent);                      // may sleep
void dentry_free_tree(struct superblock *sb);                           // unmount: all that can go
err_t dentry_check(const struct dentry *dentry) must_check;

// dtable.c, under parent->lock
err_t dentry_table_reserve(struct dentry *parent) must_check; // room for one more; takes the lock itself
void dentry_table_insert_locked(struct dentry *parent, struct dentry *dentry);
void dentry_table_remove_locked(struct dentry *parent, struct dentry *dentry);

static inline struct name dentry_name_of(const struct dentry_name *from)
{
	return (struct name){.bytes = from->bytes, .size_bytes = from->size_bytes, .hash = from->hash};
}

// ---- mount.c -------------------------------------------------------------------------------------------------------------

void mount_get(struct mount *mount);                                            // by one who holds a reference
bool mount_get_live(struct mount *mount) must_check;                            // under RCU; false: it is gone
void mount_put(struct mount *mount);                                            // may sleep
struct mount *mount_at(const struct mount *parent, const struct dentry *place); // under RCU; NULL: none. The newest
err_t mount_make(struct superblock *sb, struct dentry *root, const char *source, uint32_t flags,
		 struct mount **out) must_check;
void mount_attach_locked(struct mount_ns *ns, struct mount *mount,
			 const struct path *place);                   // takes place's references
err_t mount_detach_locked(struct mount *mount, bool lazy) must_check; // -EBUSY
err_t mount_ns_make(struct mount_ns **out) must_check;
err_t mount_ns_copy_locked(struct mount_ns *from, struct mount_ns *to) must_check; // sets mount->copy of each
void mount_ns_put(struct mount_ns *ns);

static inline bool mount_is_read_only(const struct mount *mount)
{
	return ((atomic_load_u32_relaxed(&mount->flags) | atomic_load_u32_relaxed(&mount->sb->flags)) & TB_MS_RDONLY) !=
	       0;
}

static inline void path_get(const struct path *path)
{
	mount_get(path->mount);
	dentry_get(path->dentry);
}

void path_put(const struct path *path);

static inline bool path_equal(const struct path *a, const struct path *b)
{
	return a->mount == b->mount && a->dentry == b->dentry;
}

// super.c
err_t superblock_make(const char *type, const char *source, const char *options, uint32_t flags,
		      struct superblock **out, const char **problem) must_check;

// mapping.c: how large a node of the tree is.
size_t mapping_node_bytes(void);

// ---- inode.c -------------------------------------------------------------------------------------------------------------

// Whether the process may do what `access` (enum tb_access_mode) says: 0 or -EACCES.
err_t inode_permission(const struct process *process, const struct inode *inode, uint32_t access) must_check;
bool inode_owned(const struct process *process, const struct inode *inode); // by it, or it is uid 0
bool process_is_root(const struct process *process);
bool process_in_group(const struct process *process, uint32_t gid); // attr.c, as the next: who changes contents
void change_drop_set_ids(const struct process *process, const struct inode *inode, struct attr_change *change);

// Whether `name` in `dir` may be removed or replaced: write permission and the sticky bit. -EACCES, -EPERM.
err_t inode_may_delete(const struct process *process, const struct inode *dir, const struct inode *victim) must_check;
// file.c: moves bytes of an open file, as read(2) and write(2) do. copy.c: FICLONERANGE.
err_t file_read_at(struct file *file, uint64_t offset, void *buffer, size_t size_bytes, size_t *done_bytes) must_check;
err_t file_write_at(struct process *process, struct file *file, uint64_t *offset, const void *buffer, size_t size_bytes,
		    size_t *done_bytes) must_check;
void file_drop_set_ids(struct process *process, struct inode *inode);
err_t vfs_clone_range(struct process *process, struct file *to, const struct tb_clone_range *clone) must_check;

void inode_lock_two(struct inode *a, struct inode *b); // by number; may be the same
void inode_unlock_two(struct inode *a, struct inode *b);
err_t inode_change(struct inode *inode, const struct attr_change *change) must_check; // inode->lock held

// ---- walk.c --------------------------------------------------------------------------------------------------------------

enum walk_flags {
	WALK_FOLLOW = 1u << 0,    // a symbolic link at the end is followed
	WALK_DIRECTORY = 1u << 1, // -ENOTDIR for anything else
	WALK_EMPTY = 1u << 2,     // "" means the start itself
	WALK_PARENT = 1u << 3,    // stop before the last name
	WALK_NO_FAST = 1u << 4,   // with references from the beginning
	WALK_CREATE = 1u << 5     // a name with a slash behind it, at the end, is -EISDIR, whatever it leads to
};

enum last_kind {
	LAST_NORMAL,
	LAST_ROOT, // the path has no name at all
	LAST_DOT,
	LAST_DOTDOT
};

// What a walk ends at: a place, counted; with WALK_PARENT the directory, and the last name, which lives until walk_end().
struct walk {
	struct process *process;
	struct file *start; // counted; of dirfd
	struct path root, at;
	const char *rest;
	char *buffer; // the path with links in it replaced; NULL: none yet
	struct name last;
	enum last_kind last_kind;
	uint32_t flags; // enum walk_flags
	uint32_t links;
	uint32_t seq;
	bool fast; // under RCU, nothing is counted
	bool last_slash;
	bool counted; // root and at are
};

// 0 with walk->at counted, or an error with nothing held. walk_end() is called in either case.
err_t walk_path(struct walk *walk, struct process *process, int32_t dirfd, const char *path, uint32_t flags) must_check;
// attr.c: the same by TB_AT_SYMLINK_NOFOLLOW and TB_AT_EMPTY_PATH; -EINVAL for other flags.
err_t walk_at(struct walk *walk, struct process *process, int32_t dirfd, const char *path,
	      uint32_t at_flags) must_check;
void walk_end(struct walk *walk); // what is not taken out of `at` (dentry set to NULL) is put

// walk_slow.c
err_t walk_follow(struct walk *walk, struct dentry *link, const char *rest) must_check;
// From RCU to references; -EAGAIN: begin anew. `arrived`: the walk is over, and its root is not counted.
err_t walk_count(struct walk *walk, struct dentry *next, bool arrived) must_check;
void walk_up(struct walk *walk);
void walk_into(struct walk *walk, struct dentry *next); // takes over the reference of `next`
void walk_cross(struct walk *walk);
struct name name_make(const char *bytes, uint32_t size_bytes);

// readdir.c: the path of a place as seen from a root, terminated; *done_bytes without the terminator. Errors: -ENOENT, -ERANGE.
err_t path_show(const struct path *root, const struct path *path, char *buffer, size_t size_bytes,
		size_t *done_bytes) must_check;

// Checks before a change through this mount: -EROFS.
err_t path_writable(const struct path *path) must_check;

// ---- namei.c -------------------------------------------------------------------------------------------------------------

// A name that is about to change: its directory locked, its dentry looked up and counted (positive or negative).
struct change {
	struct walk walk;
	struct inode *dir; // locked; NULL: nothing is held but the walk
	struct dentry *dentry;
};

// Errors of the walk. A path that does not end in a name leaves `dentry` NULL and nothing locked; the caller says what that means.
err_t change_begin(struct change *change, struct process *process, int32_t dirfd, const char *path,
		   uint32_t walk_flags) must_check;
void change_end(struct change *change);

// Makes the negative name of `change` an inode. Errors: -EROFS, -EACCES, those of ops->create.
err_t change_create(struct change *change, uint32_t mode, uint64_t rdev, const char *target) must_check;
err_t change_may_create(const struct change *change) must_check;
void inode_params_fill(struct inode_params *params, struct process *process, const struct inode *dir, uint32_t mode);

// ---- open.c, file.c ------------------------------------------------------------------------------------------------------

extern const struct object_ops file_object_ops;

err_t file_get(struct process *process, int32_t fd, uint32_t rights, struct file **out) must_check;

// file.c: the place in the file that `offset` from `whence` (TB_SEEK_SET, _CUR, _END) is. Errors: -EINVAL (another word, or before the
// beginning), -EOVERFLOW.
err_t file_place(const struct file *file, int32_t whence, int64_t offset, int64_t *position) must_check;

// file.c, attr.c: fsync and fallocate of an open file. Errors of those.
err_t file_sync(struct file *file) must_check;
err_t file_allocate(struct file *file, uint32_t mode, uint64_t offset, uint64_t size_bytes) must_check;
static inline void file_put(struct file *file)
{
	object_put(&file->object);
}

// Makes an open file of a place; takes references of its own. `flags` as for open. Errors: -ENOMEM, those of ops->open.
// A descriptor for what lies at `path`, which is there, with the flags of open(2) but for those that make something.
err_t file_open_place(struct process *process, const struct path *path, uint32_t flags, int32_t *fd) must_check;
err_t file_make(const struct path *path, struct inode *inode, uint32_t flags, struct file **out) must_check;

extern const struct file_ops block_file_ops; // blockfile.c: its open() finds the device by the inode's number

extern const struct file_ops no_file_ops; // of a file that could not be opened: nothing to release

// lock.c: what a process, or an open file, holds on a file that is closed; the end of a file; invariants of all.
void file_locks_closed(struct file *file, struct process *process);
void file_locks_released(struct file *file);
void file_locks_free(struct inode *inode);
err_t file_locks_check(void) must_check;

// api.c: the library's calls.
int64_t api_file_call(void *arg);
void api_contexts_end(void);

// The monitor's commands.
extern const struct monitor_command *const file_commands[];

#endif
