// SPDX-License-Identifier: MIT
//
// What a filesystem is made of, for those who write one: superblock, inode, dentry, mount, open file, and the operations that a
// filesystem supplies. Users of files call kern/vfs.h. The rules of locking are on the page in src/fs/vfs/vfs_impl.h.
#ifndef KERN_FS_H
#define KERN_FS_H

#include "kern/mem.h"
#include "kern/path.h"
#include "kern/process.h"
#include "kern/rbtree.h"
#include "kern/sync.h"
#include "tbos/file_types.h"

struct superblock;
struct file;

// A name within a directory: not terminated, 1 … TB_NAME_MAX bytes, neither '/' nor NUL.
struct name {
	const char *bytes;
	uint32_t size_bytes;
	uint32_t hash;
};

uint32_t name_hash(const char *bytes, uint32_t size_bytes);

// Linux's encoding of a device's number, as stat and mknod carry it.
static inline uint64_t device_number(uint32_t major, uint32_t minor)
{
	return (uint64_t)(major & 0xfffu) << 8 | (uint64_t)(major & ~0xfffu) << 32 | (minor & 0xffu) |
	       (uint64_t)(minor & ~0xffu) << 12;
}

// Where bytes of a read or write lie. Today in memory that both sides see; user space brings another kind.
struct io {
	uint8_t *at;
	size_t left_bytes;
};

err_t io_put(struct io *io, const void *from, size_t size_bytes) must_check; // into the caller's memory. -EFAULT
err_t io_get(struct io *io, void *to, size_t size_bytes) must_check;         // out of it. -EFAULT
err_t io_zero(struct io *io, size_t size_bytes) must_check;

// ---- pages ---------------------------------------------------------------------------------------------------------------

// A frame of a file's contents. Found under RCU, used under a reference.
struct page {
	struct refcount refs; // the mapping holds one
	uint32_t flags;       // atomic: enum page_flags, of cached files' (kern/page_cache.h), as the three below
	uint64_t index;       // in frames from the file's beginning
	void *frame;
	struct mapping *mapping; // atomic; changes under the page's lock; NULL: it belongs to no file any more
	struct list_node lru;    // the cache's
	struct rcu_head rcu;
};

struct page_node;

// The pages of a file by index: a radix tree that readers walk under RCU.
struct mapping {
	struct spinlock lock;     // writers
	struct page_node *root;   // RCU
	uint64_t count;           // pages; under lock
	struct page_cache *cache; // NULL: the pages are the file itself; immutable once in use
};

void mapping_init(struct mapping *mapping);
struct page *mapping_find(struct mapping *mapping, uint64_t index) must_check; // with a reference; NULL: a hole

// Makes a page with zeroed contents, or finds the one that is there; with a reference. *made says which. Thread context, may sleep.
// Errors: -ENOMEM.
err_t mapping_add(struct mapping *mapping, uint64_t index, struct page **out, bool *made) must_check;

// The same for a page that nobody can see yet, because it lies behind the file's end or is not up to date: with mem_flags 0 its contents are anything.
err_t mapping_add_unzeroed(struct mapping *mapping, uint64_t index, uint32_t mem_flags, struct page **out,
			   bool *made) must_check;

// mapping_find() for `count` ≤ MAPPING_RANGE_MAX pages that follow each other.
#define MAPPING_RANGE_MAX 16u
void mapping_find_range(struct mapping *mapping, uint64_t index, struct page **pages, uint32_t count);

// Index of the first page ≥ from; false: none.
bool mapping_next(struct mapping *mapping, uint64_t from, uint64_t *index) must_check;

// Takes out all pages from `first` to `last`; returns how many. Thread context.
uint64_t mapping_remove(struct mapping *mapping, uint64_t first, uint64_t last);
void page_put(struct page *page);

// Takes one page out, which is in; the mapping's reference is the caller's now. Pages may carry a tag, by which they are found again; it goes
// with the page. Any thread context.
void mapping_take(struct mapping *mapping, struct page *page);
void mapping_tag(struct mapping *mapping, uint64_t index, bool on);
bool mapping_next_tagged(struct mapping *mapping, uint64_t from, uint64_t *index) must_check;
err_t mapping_check(struct mapping *mapping) must_check;

// ---- inode ---------------------------------------------------------------------------------------------------------------

// What a new inode is to be.
struct inode_params {
	uint32_t mode; // type and permissions, umask applied
	uint32_t uid, gid;
	uint64_t rdev;
	const char *target; // symbolic link
	uint32_t target_size_bytes;
};

enum attr_mask {
	ATTR_MODE = 1u << 0,
	ATTR_UID = 1u << 1,
	ATTR_GID = 1u << 2,
	ATTR_SIZE = 1u << 3,
	ATTR_ATIME = 1u << 4,
	ATTR_MTIME = 1u << 5,
	ATTR_CTIME = 1u << 6
};

struct attr_change {
	uint32_t mask; // enum attr_mask
	uint32_t mode, uid, gid;
	uint64_t size_bytes;
	struct tb_time atime, mtime, ctime;
};

struct inode;

// Called with inode->lock of `dir` held (of both directories for rename, and of the victim for unlink and rename), thread context,
// all checks of permission and kind done. A name to be made is absent from the directory, one to go is in it. NULL: -EPERM.
struct inode_ops {
	// The inode of that name, counted. -ENOENT: there is none.
	err_t (*lookup)(struct inode *dir, const struct name *name, struct inode **out);
	err_t (*create)(struct inode *dir, const struct name *name, const struct inode_params *params,
			struct inode **out);
	err_t (*tmpfile)(struct inode *dir, const struct inode_params *params, struct inode **out); // NULL: -EOPNOTSUPP
	err_t (*link)(struct inode *dir, const struct name *name, struct inode *inode);
	err_t (*unlink)(struct inode *dir, const struct name *name, struct inode *inode); // directories are empty
	bool (*is_empty)(struct inode *dir);

	// `target` NULL: nothing is there. Flags: TB_RENAME_EXCHANGE.
	err_t (*rename)(struct inode *dir, const struct name *name, struct inode *inode, struct inode *to_dir,
			const struct name *to_name, struct inode *target, uint32_t flags);
	const char *(*link_target)(struct inode *inode, uint32_t *size_bytes); // lives as long as the inode

	// Size changes: pages beyond the end go, the rest of the last one is zeroed. inode->lock held.
	err_t (*resize)(struct inode *inode, uint64_t size_bytes);
	err_t (*fallocate)(struct inode *inode, uint32_t mode, uint64_t offset,
			   uint64_t size_bytes); // NULL: -EOPNOTSUPP

	// Makes [to_offset, to_offset + size) of `to` what `from` has from from_offset on, without copying; `to` grows. Both are regular files of this filesystem, or
	// one; both locks are held. Offsets are multiples of FRAME_SIZE, the size too, or both files end there. *done_bytes: as far as it came; an error only
	// where that is nothing. NULL: -EOPNOTSUPP.
	err_t (*clone)(struct inode *from, uint64_t from_offset, struct inode *to, uint64_t to_offset,
		       uint64_t size_bytes, uint64_t *done_bytes);

	// SEEK_DATA, SEEK_HOLE from `offset`, which lies before the end; *found beyond the end means the end. -ENXIO: no data follows. NULL: the pages
	// in memory say.
	err_t (*seek)(struct inode *inode, uint64_t offset, bool data, uint64_t *found);

	// Extended attributes (xattr(7)), names with their prefix. get: *size_bytes is the room, then the size; room 0 asks. list: names
	// with terminators. NULL: -EOPNOTSUPP. Errors: -ENODATA, -ERANGE, -EEXIST, -ENOSPC.
	err_t (*xattr_get)(struct inode *inode, const char *name, void *value, size_t *size_bytes);
	err_t (*xattr_set)(struct inode *inode, const char *name, const void *value, size_t size_bytes, uint32_t flags);
	err_t (*xattr_list)(struct inode *inode, char *names, size_t *size_bytes);
	err_t (*xattr_remove)(struct inode *inode, const char *name);
};

// Operations of an open file. Positions are the caller's; sizes are in io. *done_bytes is what was moved before an error, which counts
// if not 0. NULL: -EINVAL.
struct dir_context;
struct file_ops {
	err_t (*open)(struct file *file);
	void (*release)(struct file *file);
	err_t (*read)(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes);
	err_t (*write)(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes); // appends by itself
	err_t (*sync)(struct file *file);
	err_t (*ioctl)(struct file *file, uint32_t request,
		       void *arg);                     // arg in kernel memory, as large as the request says
	bool (*ioctl_is_privileged)(uint32_t request); // such requests are for uid 0; NULL: none is
	uint64_t (*size)(const struct file *file);     // where SEEK_END is. NULL: the inode's size
	bool stream; // has no position: calls on one open file do not wait for each other, and seek and pread are -ESPIPE

	// Calls emit for each entry after `cookie`, until it says to stop. inode->lock held. "." and ".." are the caller's.
	err_t (*iterate)(struct file *file, uint64_t cookie, struct dir_context *context);
};

struct dir_context {
	// false: no more room; the entry was not taken.
	bool (*emit)(struct dir_context *context, const struct name *name, uint64_t ino, uint32_t mode,
		     uint64_t cookie);
};

// Cookies of "." and ".."; those of entries are larger.
#define DIR_COOKIE_DOT 1u
#define DIR_COOKIE_DOTDOT 2u
#define DIR_COOKIE_FIRST 3u

struct inode {
	struct refcount refs;
	struct superblock *sb; // immutable, as are ino, generation, ops, file_ops, rdev and the type in mode
	uint64_t ino;
	uint32_t generation;
	uint32_t mode;     // atomic; written under attr_lock, as are uid, gid
	uint32_t uid, gid; // atomic
	uint64_t rdev;
	const struct inode_ops *ops;
	const struct file_ops *file_ops;
	struct mutex lock;         // contents of a directory, size and writes of a file
	struct spinlock attr_lock; // nlink, blocks, times
	uint32_t nlink;            // written with lock held too
	uint32_t linkable;         // lock: made by O_TMPFILE, a first name may come
	uint64_t size_bytes;       // atomic; written with lock held
	uint64_t blocks;           // of 512 bytes
	struct tb_time atime, mtime, ctime, btime;
	struct mapping mapping;
	struct file_locks *locks; // atomic: made by the first lock
	struct rcu_head rcu;
};

static inline uint32_t inode_mode(const struct inode *inode)
{
	return atomic_load_u32_relaxed_nopoint(&inode->mode);
}

static inline bool inode_is(const struct inode *inode, enum tb_mode type)
{
	return (inode_mode(inode) & TB_S_IFMT) == (uint32_t)type;
}

static inline uint64_t inode_size(const struct inode *inode)
{
	return __atomic_load_n(&inode->size_bytes, __ATOMIC_ACQUIRE);
}

static inline void inode_set_size(struct inode *inode, uint64_t size_bytes)
{
	__atomic_store_n(&inode->size_bytes, size_bytes, __ATOMIC_RELEASE);
}

// Fills in a zeroed inode: one reference, times of now, nlink 1 (directories 2). Embedded in the filesystem's own object.
void inode_init(struct inode *inode, struct superblock *sb, uint64_t ino, const struct inode_params *params);
void inode_get(struct inode *inode);
void inode_put(struct inode *inode); // thread context, no spinlock; the last one calls sb->ops->destroy
void inode_touch(struct inode *inode, uint32_t attr_mask); // sets those times to now
void inode_add_links(struct inode *inode, int32_t change); // nlink, and ctime
struct tb_time time_now(void);

// ---- superblock ----------------------------------------------------------------------------------------------------------

struct superblock_ops {
	void (*destroy)(
		struct inode *inode); // nobody refers to it: gives back what it has, then inode_free_later(inode, free)
	void (*unmount)(struct superblock *sb); // all inodes are gone
	void (*stop)(struct superblock *sb);  // the last user has gone, the cache not yet: threads of its own end. NULL
	err_t (*sync)(struct superblock *sb); // NULL: nothing to do
	void (*statfs)(struct superblock *sb, struct tb_statfs *out);
	err_t (*inode_by_number)(struct superblock *sb, uint64_t ino, uint32_t generation,
				 struct inode **out); // counted
	// Where a directory hangs, and its name there, of up to TB_NAME_MAX bytes. -ESTALE: nowhere any more. NULL: no directories by handle.
	err_t (*parent)(struct inode *dir, struct inode **parent, char *name, uint32_t *size_bytes); // counted
	err_t (*check)(struct superblock *sb);                                                       // NULL

	// Whether what is known of a name still holds: it leads to `inode` (NULL: to nothing). NULL: names change by calls alone. With it every
	// look-up asks, under inode->lock of `dir`.
	bool (*name_holds)(struct inode *dir, const struct name *name, struct inode *inode);

	// Attributes of the inode have changed; attr_lock is held. NULL: the inode in memory is all there is.
	void (*dirty)(struct inode *inode);

	// Before that: attributes are to change, by no operation of the filesystem's own; may sleep, and may refuse. And whether the time of an access is kept;
	// attr_lock is held. NULL: yes.
	err_t (*change)(struct inode *inode);
	bool (*keeps_atime)(struct inode *inode);
};

struct fs_type {
	const char *name;
	const char *xattr_prefix; // of attributes that are its own, "name."; NULL: it has none
	// Reads options ("a=1,b"), sets ops and root inode of sb. *problem is what to tell people. Errors: any.
	err_t (*mount)(struct superblock *sb, const char *source, const char *options, struct inode **root,
		       const char **problem);
};

// Dentries that nobody may be using, oldest first.
#define DENTRY_LRUS 8u
struct dentry_lru {
	struct spinlock lock;
	uint32_t count; // lock; read without it too
	struct list list;
	uint8_t apart[CACHE_LINE_SIZE - sizeof(struct list) - 8];
};

struct superblock {
	struct refcount refs; // mounts and open files
	const struct fs_type *type;
	const struct superblock_ops *ops;
	struct dentry *root;     // counted
	uint32_t dev;            // number of the device that stat tells
	uint32_t flags;          // atomic: enum tb_mount_flags
	void *data;              // the filesystem's
	struct flusher *flusher; // kern/page_cache.h; NULL: it has none
	struct mutex rename_lock;
	struct list_node link;
	uint8_t apart[CACHE_LINE_SIZE];      // what stands above is read by everybody, what follows is written
	struct dentry_lru lrus[DENTRY_LRUS]; // a dentry is in the one of the CPU that made it
};

// The superblock made after `held`, counted (NULL: the first), for which it gives back `held`; NULL: no more. Who counts one keeps it from being unmounted until
// superblock_put(). Thread context, sleeps.
struct superblock *superblock_next(struct superblock *held) must_check;
void superblock_put(struct superblock *sb);

// Frees the memory around an inode after a grace period; free runs in the service thread.
void inode_free_later(struct inode *inode, void (*fn)(struct rcu_head *));

// Where a filesystem type makes itself known; static storage. Thread context, boot. Errors: -EEXIST, -ENOSPC.
err_t fs_register(const struct fs_type *type) must_check;
void fs_unregister(const struct fs_type *type);
const struct fs_type *fs_type_at(uint32_t n); // the n-th, from 0; NULL past the last. Any thread context

// ---- open file -----------------------------------------------------------------------------------------------------------

struct file {
	struct object object;
	struct path path;    // counted
	struct inode *inode; // of path.dentry when it was opened; counted
	const struct file_ops *ops;
	uint32_t flags;        // atomic: enum tb_open_flags that stay
	struct mutex pos_lock; // position
	uint64_t pos;
	uint64_t ahead_next;  // where one who reads on comes next; the three below are hints, or atomic
	uint32_t ahead_pages; // window of read-ahead
	uint32_t error_seen;  // flush errors that this open file has told of
	void *data;           // the filesystem's
};

// Of what has no contents here: devices without a driver, pipes and sockets (-ENXIO to open), symbolic links.
const struct file_ops *fs_special_file_ops(void);

// Where a write goes: at the end with O_APPEND; the size is cut to what a file may have. inode->lock held. Errors: -EFBIG.
err_t file_write_place(const struct file *file, uint64_t *offset, struct io *io) must_check;

// Generic operations over inode->mapping, for filesystems whose files are pages.
err_t page_file_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes) must_check;

// Writes into pages that `add` gives (NULL: mapping_add), growing the file; for file_ops.write. Takes inode->lock.
// mem_flags 0: the page lies behind the end; all of it is going to be written before the file grows.
typedef err_t page_add_fn(struct inode *inode, uint64_t index, uint32_t mem_flags, struct page **out);
err_t page_file_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes,
		      page_add_fn *add) must_check;

#endif
