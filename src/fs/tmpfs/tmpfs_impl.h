// SPDX-License-Identifier: MIT
//
// tmpfs: a filesystem in memory (tmpfs(5)).
//
// Purpose. Files are the pages of their mapping, directories two trees of entries: by name for look-up, by cookie for readdir. A
// cookie is given once and never again, so a reader that goes on after one is right whatever came and went. Limits on bytes and inodes
// are checked before anything is made.
//
// Files
//   tmpfs.c   mounting, options, limits, inodes · tdir.c directories · tfile.c contents · txattr.c extended attributes
//   devfs.c   the same with the devices in it; those for blocks come and go
//
// Objects. An entry holds a reference of its inode, so an inode with a name lives. The superblock's tree of inodes by number serves
// look-up by handle and holds none.
//
// Locks. inode->lock (a directory's entries, a file's size, attributes); sb lock and shards' locks: counts of pages, trees by number; they are leaves.
// May sleep: all operations but statfs.
#ifndef TMPFS_IMPL_H
#define TMPFS_IMPL_H

#include "kern/fs.h"

struct tmpfs_entry {
	struct rb_node by_name;
	struct rb_node by_cookie;
	uint64_t cookie;
	struct inode *inode; // counted
	uint32_t hash;
	uint32_t name_size;
	char name[];
};

struct tmpfs_xattr {
	struct list_node link;
	size_t name_size, value_size;
	char bytes[]; // name with terminator, then the value
};

struct tmpfs_inode {
	struct inode inode;
	struct rb_node by_number; // its shard's lock
	char *target;             // symbolic link; immutable
	struct rb_root names, cookies;
	uint64_t next_cookie;
	uint32_t entries;
	uint32_t device_serial; // of a device that devfs made it for; 0: none
	struct inode *
		parent; // of a directory: where its entry is; fs->lock, as the next one. Not counted: the entry keeps it
	struct tmpfs_entry *entry; // NULL: it hangs nowhere
	struct list xattrs;
	size_t xattr_bytes;
};

// Inodes by number, in shards: a CPU makes inodes in one of its own, so two CPUs that make files share nothing here. An inode's shard is its
// number modulo TMPFS_SHARDS.
#define TMPFS_SHARDS 16u
struct tmpfs_shard {
	struct spinlock lock;
	uint32_t generation;
	uint64_t made;          // inodes, ever; atomic, changed under the lock
	struct rb_root numbers; // struct tmpfs_inode
} cache_aligned;

struct tmpfs {
	struct spinlock lock;
	struct slab_cache *inodes;
	uint64_t page_limit, pages; // limit 0: none
	uint32_t total_frames;      // of the machine
	uint64_t inode_limit;
	uint32_t block_generation, block_serial; // devfs: what of the block devices it has seen; root's inode->lock
	uint32_t inode_count cache_aligned;      // atomic; on a line of its own
	struct tmpfs_shard shards[TMPFS_SHARDS];
};

static inline struct tmpfs_inode *tmpfs_inode_of(struct inode *inode)
{
	return container_of(inode, struct tmpfs_inode, inode);
}

static inline struct tmpfs *tmpfs_of(const struct inode *inode)
{
	return inode->sb->data;
}

// tmpfs.c
err_t tmpfs_mount(struct superblock *sb, const char *source, const char *options, struct inode **root,
		  const char **problem) must_check;
err_t tmpfs_inode_make(struct superblock *sb, const struct inode_params *params,
		       struct inode **out) must_check; // -ENOSPC -ENOMEM
err_t tmpfs_tmpfile(struct inode *dir, const struct inode_params *params, struct inode **out) must_check;
err_t tmpfs_pages_charge(struct tmpfs *fs, uint64_t pages) must_check; // -ENOSPC
void tmpfs_pages_uncharge(struct tmpfs *fs, uint64_t pages);
bool tmpfs_pages_fit(struct tmpfs *fs, uint64_t pages);

extern const struct inode_ops tmpfs_dir_inode_ops, tmpfs_file_inode_ops;
extern const struct superblock_ops devfs_ops;

// devfs.c
extern const struct fs_type devfs_type;
bool devfs_name_holds(struct inode *dir, const struct name *name, struct inode *inode) must_check;

// tdir.c
extern const struct file_ops tmpfs_dir_ops;
err_t tmpfs_parent(struct inode *dir, struct inode **parent, char *name, uint32_t *size_bytes) must_check;
err_t tmpfs_lookup(struct inode *dir, const struct name *name, struct inode **out) must_check;
err_t tmpfs_create(struct inode *dir, const struct name *name, const struct inode_params *params,
		   struct inode **out) must_check;
err_t tmpfs_link(struct inode *dir, const struct name *name, struct inode *inode) must_check;
err_t tmpfs_unlink(struct inode *dir, const struct name *name, struct inode *inode) must_check;
bool tmpfs_is_empty(struct inode *dir);
err_t tmpfs_rename(struct inode *dir, const struct name *name, struct inode *inode, struct inode *to_dir,
		   const struct name *to_name, struct inode *target, uint32_t flags) must_check;
struct tmpfs_entry *tmpfs_entry_after(struct inode *dir,
				      uint64_t cookie); // the first whose cookie is greater; NULL: none
err_t tmpfs_iterate(struct file *file, uint64_t cookie, struct dir_context *context) must_check;
void tmpfs_dir_clear(struct inode *dir); // drops all entries: unmount
err_t tmpfs_dir_check(struct tmpfs_inode *dir) must_check;

// tfile.c
extern const struct file_ops tmpfs_file_ops;
err_t tmpfs_resize(struct inode *inode, uint64_t size_bytes) must_check;
err_t tmpfs_fallocate(struct inode *inode, uint32_t mode, uint64_t offset, uint64_t size_bytes) must_check;
void tmpfs_file_clear(struct inode *inode);
err_t tmpfs_file_check(struct inode *inode) must_check;

// txattr.c
err_t tmpfs_xattr_get(struct inode *inode, const char *name, void *value, size_t *size_bytes) must_check;
err_t tmpfs_xattr_set(struct inode *inode, const char *name, const void *value, size_t size_bytes,
		      uint32_t flags) must_check;
err_t tmpfs_xattr_list(struct inode *inode, char *names, size_t *size_bytes) must_check;
err_t tmpfs_xattr_remove(struct inode *inode, const char *name) must_check;
void tmpfs_xattr_clear(struct inode *inode);

#endif
