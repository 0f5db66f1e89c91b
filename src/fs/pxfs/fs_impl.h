// SPDX-License-Identifier: MIT
//
// A subvolume as the VFS sees it.
//
// An inode in memory is the truth; its item is written when an epoch closes. Whoever changes one marks it dirty under its attr_lock, which puts it on the
// mount's list with a reference. Names, extents and attributes of a file are changed in the tree at once, within an epoch. Inodes without a name have an item that
// says so, and are taken apart by the mount's thread, piece by piece: also those that a power cut left.
//
// Files: fs_epoch.c epochs · fs_inode.c inodes in memory and their items · fs_orphan.c those without a name · fs_dir.c directories · fs_file.c contents: filling, flushing · fs_hole.c sizes, holes · fs_clone.c reflink · extent.c which piece of a file lies
// where · codec.c clusters, compressed or not · fs_xattr.c · fs_compress.c what is compressed how · fs_mount.c mounting, committing, the thread
// For volumes that are mounted or not: use.c · fs_ioctl.c requests · snapshot.c, delete.c subvolumes · scrub*.c · grow.c
#ifndef PXFS_FS_IMPL_H
#define PXFS_FS_IMPL_H

#include "volume_impl.h"

#include "kern/page_cache.h"
#include "kern/pxfs.h"
#include "kern/sched.h"
#include "tbos/pxfs_types.h"

#define PXFS_ROOT_INO 1u

struct pxfs_mount;

// How something is compressed. All of it is sound; own: it was said of this inode, not taken from where it was made.
struct pxfs_setting {
	uint8_t method, level, cluster_shift; // level 0: the method's
	bool own;
};
_Static_assert(sizeof(struct pxfs_setting) == 4, "it is read and written as a word");

struct pxfs_inode_core {
	struct inode inode;          // first
	struct rb_node by_number;    // mount->lock
	struct list_node dirty_link; // mount->lock; on mount->dirty, counted
	bool dirty;                  // mount->lock
	char *target;                // symbolic link; immutable
	uint64_t parent;             // a directory's; inode.lock
	uint64_t entries;            // a directory's; inode.lock
	uint64_t name_at;            // a directory's; atomic: cookie of the name that led here first, 0: none has
	bool shrinks;                // inode.lock: its last page may have what is kept
	uint32_t setting;            // atomic: struct pxfs_setting
};

// One subvolume that is mounted.
struct pxfs_mount {
	struct list_node link; // volume->mounts
	struct pxfs_volume *volume;
	bool read_only;
	struct pxfs_subvol *subvol;
	struct superblock *sb;
	struct spinlock lock;
	struct rb_root inodes;         // struct pxfs_inode_core; lock
	struct list dirty;             // lock
	uint32_t dirty_count;          // atomic; changed under lock
	struct cache_ops cache_ops[3]; // for clusters up to 64 KiB, 256 KiB, 1 MiB
	struct thread *thread;         // commits and takes apart; NULL: read-only
	struct waitq wake;
	uint32_t stop, orphans; // atomic: inodes that wait to be taken apart
	uint32_t deletes;       // atomic: so do subvolumes
	uint64_t next_inode;    // atomic
};

static inline struct pxfs_mount *pxfs_mount_of(const struct inode *inode)
{
	return inode->sb->data;
}

static inline struct pxfs_inode_core *pxfs_core(const struct inode *inode)
{
	return container_of(inode, struct pxfs_inode_core, inode);
}

static inline struct pxfs_setting pxfs_setting_get(const struct pxfs_inode_core *core)
{
	uint32_t word = __atomic_load_n(&core->setting, __ATOMIC_RELAXED);
	struct pxfs_setting setting;
	memcpy(&setting, &word, sizeof setting);
	return setting;
}

static inline void pxfs_setting_set(struct pxfs_inode_core *core, const struct pxfs_setting *setting)
{
	uint32_t word = 0;
	memcpy(&word, setting, sizeof word);
	__atomic_store_n(&core->setting, word, __ATOMIC_RELAXED);
}

// As it is on disk, made sound; not own.
static inline struct pxfs_setting pxfs_setting_sound(uint8_t method, uint8_t level, uint8_t cluster_shift)
{
	return (struct pxfs_setting){.method = method < PXFS_METHOD_COUNT ? method : PXFS_METHOD_NONE,
				     .level = MIN(level, 19),
				     .cluster_shift = CLAMP(cluster_shift, (uint8_t)PXFS_CLUSTER_SHIFT_MIN,
							    (uint8_t)PXFS_CLUSTER_SHIFT_MAX)};
}

// An operation that changes something: it belongs to the epoch that is open, whole. `grows`: it wants space, and gets none of what is kept for
// taking away. Errors: -EROFS, -EIO (commits have failed), -ENOSPC.
err_t epoch_enter(struct pxfs_mount *mount, bool grows) must_check;

// The same for who would take that many sectors: OPERATION_SECTORS must be there; for the rest epochs are closed first, up to three, which turns what is put
// aside for dirty pages into what they take, and brings back what rests.
bool epoch_has_room(struct pxfs_mount *mount, uint32_t sectors); // 0: for taking away
#define OPERATION_SECTORS 256u                                   // what one operation may need for the tree
err_t epoch_enter_for(struct pxfs_mount *mount, uint32_t wish_sectors) must_check;
void epoch_leave(struct pxfs_mount *mount);

// Closes the epoch: everything before is durable. Not within one. Errors: -EIO, -ENOSPC, -ENOMEM.
err_t pxfs_commit(struct pxfs_mount *mount) must_check;
err_t pxfs_checkpoint(struct pxfs_mount *mount) must_check;      // the same, and mounting finds no log to replay
err_t pxfs_commit_locked(struct pxfs_volume *volume) must_check; // a checkpoint; the epoch is held for writing
err_t pxfs_generation_close(struct pxfs_mount *mount)
	must_check; // whether anything has changed or not: what rests comes back by generations
err_t pxfs_settle_locked(struct pxfs_volume *volume) must_check; // what is dirty comes into the trees
err_t pxfs_generation_close_locked(struct pxfs_volume *volume) must_check;
#define PXFS_DIRTY_INODES_MAX 4096u

// fs_inode.c
extern const struct inode_ops pxfs_dir_inode_ops, pxfs_file_inode_ops;
err_t pxfs_iget(struct pxfs_mount *mount, uint64_t ino, struct inode **out) must_check; // -ENOENT, -EUCLEAN
err_t pxfs_inode_make(struct pxfs_mount *mount, struct inode *dir, const struct inode_params *params,
		      struct inode **out) must_check; // within an epoch; dirty, without a name
void pxfs_dirty(struct inode *inode);                 // superblock_ops.dirty
void pxfs_destroy(struct inode *inode);
err_t pxfs_inode_by_number(struct superblock *sb, uint64_t ino, uint32_t generation, struct inode **out) must_check;
err_t pxfs_inodes_store(struct pxfs_mount *mount) must_check; // the epoch is closing
void pxfs_inodes_drop(struct pxfs_mount *mount);
bool pxfs_is_known(struct pxfs_mount *mount, uint64_t ino); // whether it is in memory

// mkfs.c: the item of a new, empty root directory
void pxfs_root_fill(const struct pxfs_volume *volume, struct pxfs_inode *item);

// delete.c. One piece of what is being deleted, in an epoch of its own; *more: there is something left. Errors: -EIO, -ENOMEM, those of trees.
err_t pxfs_delete_step(struct pxfs_volume *volume, bool *more) must_check;

// snapshot.c. The volume is in use. What is dirty is committed first. *problem: for people.
err_t pxfs_subvolume_do(struct pxfs_volume *volume, enum tb_pxfs_request request, const struct tb_pxfs_names *names,
			const char **problem) must_check;
err_t pxfs_subvolume_show(struct pxfs_volume *volume, struct tb_pxfs_subvolume *out) must_check;

// fs_ioctl.c
err_t pxfs_ioctl(struct file *file, uint32_t request, void *arg) must_check;
bool pxfs_ioctl_is_privileged(uint32_t request);

// fs_attr.c
err_t pxfs_change(struct inode *inode) must_check;
bool pxfs_keeps_atime(struct inode *inode);

// fs_orphan.c. set: within an epoch.
err_t pxfs_orphan_set(struct pxfs_mount *mount, uint64_t ino, bool orphan) must_check;
err_t pxfs_orphans_reap(struct pxfs_mount *mount) must_check;

// fs_dir.c
extern const struct file_ops pxfs_dir_ops;
err_t pxfs_lookup(struct inode *dir, const struct name *name, struct inode **out) must_check;
err_t pxfs_create(struct inode *dir, const struct name *name, const struct inode_params *params,
		  struct inode **out) must_check;
err_t pxfs_tmpfile(struct inode *dir, const struct inode_params *params, struct inode **out) must_check;
err_t pxfs_link(struct inode *dir, const struct name *name, struct inode *inode) must_check;
err_t pxfs_unlink(struct inode *dir, const struct name *name, struct inode *inode) must_check;
bool pxfs_is_empty(struct inode *dir);
err_t pxfs_rename(struct inode *dir, const struct name *name, struct inode *inode, struct inode *to_dir,
		  const struct name *to_name, struct inode *target, uint32_t flags) must_check;
err_t pxfs_parent(struct inode *dir, struct inode **parent, char *name, uint32_t *size_bytes) must_check;

// fs_file.c
extern const struct file_ops pxfs_file_ops;
err_t pxfs_fill(struct inode *inode, uint64_t first, struct page **pages, uint32_t count) must_check;
err_t pxfs_flush(struct inode *inode, uint64_t first, struct page **pages, uint32_t count) must_check;
err_t pxfs_reserve(struct inode *inode, uint64_t first, uint32_t count) must_check;
void pxfs_release(struct inode *inode, uint32_t count);
err_t pxfs_write_begin(struct inode *inode) must_check;
void pxfs_write_end(struct inode *inode);
void pxfs_blocks_add(struct inode *inode, int64_t sectors);

// Writes those of the pages that have changed (PAGE_CHANGED) and hangs them into the tree.
err_t pxfs_clusters_flush(struct pxfs_mount *mount, struct inode *inode, uint64_t first, struct page **pages,
			  uint32_t count) must_check;

// fs_clone.c
err_t pxfs_clone(struct inode *from, uint64_t from_offset, struct inode *to, uint64_t to_offset, uint64_t size_bytes,
		 uint64_t *done_bytes) must_check;

// fs_hole.c. inline_leave: what lies in the leaf comes to lie in a cluster; within an epoch.
err_t pxfs_inline_leave(struct pxfs_mount *mount, struct inode *inode) must_check;
err_t pxfs_resize(struct inode *inode, uint64_t size_bytes) must_check;
err_t pxfs_seek(struct inode *inode, uint64_t offset, bool data, uint64_t *found) must_check;
err_t pxfs_fallocate(struct inode *inode, uint32_t mode, uint64_t offset, uint64_t size_bytes) must_check;

// extent.c. The subvolume's tree is locked for writing. An extent takes the place of whatever the file had there; *freed_sectors: what the file has less. The
// caller has taken the sectors of `extent`.
struct pxfs_piece {
	uint64_t offset; // in the file
	struct pxfs_extent extent;
};
err_t extent_put(struct pxfs_subvol *subvol, uint64_t ino, const struct pxfs_piece *piece, int64_t *sectors) must_check;
bool extent_is_sound(const struct pxfs_volume *volume, uint64_t offset, const struct pxfs_extent *extent);
void extent_promise(struct pxfs_subvol *subvol, int64_t bytes); // room for bytes that lie nowhere yet
err_t extent_hold(struct pxfs_volume *volume, const struct pxfs_extent *extent) must_check; // one reference more
err_t extent_drop(struct pxfs_subvol *subvol, const struct pxfs_extent *extent) must_check; // one less, or a dead one
err_t extent_punch(struct pxfs_subvol *subvol, uint64_t ino, uint64_t from, uint64_t to, int64_t *sectors) must_check;

// The piece that `offset` lies in, or the first behind it; false: none. The tree is locked for reading.
err_t extent_find(struct pxfs_subvol *subvol, uint64_t ino, uint64_t offset, struct pxfs_piece *piece,
		  bool *there) must_check;

// codec.c. Buffers and workspaces of one who reads or writes clusters; a volume has some from the beginning, so taking one waits and does not fail. Those that flush
// are others than those that read: a flush may not wait for somebody who waits for it.
#define CODEC_PACKED_PAGES 64u // that there is always room for in codec_packed(), with a page and 64 KiB more
#define CODEC_SCRATCH_BYTES 24576u
struct pxfs_codec;
struct pxfs_codec *codec_take(struct pxfs_volume *volume, bool flushes) must_check; // sleeps
void codec_give(struct pxfs_volume *volume, struct pxfs_codec *codec);
uint8_t *codec_plain(struct pxfs_codec *codec);  // what is to be encoded, or has been decoded
uint8_t *codec_packed(struct pxfs_codec *codec); // of those that flush
uint32_t codec_packed_need(struct pxfs_codec *codec,
			   uint32_t pages);    // makes room for more where there is memory; how many pages have some
void *codec_scratch(struct pxfs_codec *codec); // likewise: CODEC_SCRATCH_BYTES
err_t codec_prepare(struct pxfs_codec *codec,
		    uint32_t bytes) must_check;      // room for a cluster that large; before codec_plain(). -ENOMEM
uint32_t codec_room(const struct pxfs_codec *codec); // that it has

// Encodes `bytes` of the plain buffer; *stored points to what is to lie on disk, *stored_bytes of it.
err_t codec_encode(struct pxfs_codec *codec, uint32_t bytes, uint8_t *method, uint8_t level, const uint8_t **stored,
		   uint32_t *stored_bytes) must_check;

// Reads, checks and decodes a cluster into the plain buffer. Errors: -EIO also for what is damaged, which is said in the log.
err_t codec_read(struct pxfs_codec *codec, struct pxfs_volume *volume, const struct pxfs_extent *extent) must_check;

extern const struct monitor_command *const pxfs_commands[]; // cmd_pxfs.c
struct monitor_session;
int32_t pxfs_complain(struct monitor_session *session, const char *command, const char *device, const char *problem,
		      err_t err); // says what went wrong; 1
extern const struct monitor_command pxfs_cmd_snapshot, pxfs_cmd_clone, pxfs_cmd_rollback,
	pxfs_cmd_subvol;                                  // cmd_snapshot.c
extern const struct monitor_command pxfs_cmd_compression; // cmd_compress.c
extern const struct monitor_command pxfs_cmd_resize;      // cmd_resize.c
extern const struct monitor_command pxfs_cmd_scrub;       // cmd_scrub.c

// fs_compress.c. parse: "lz4", "zstd:19", "none", with a cluster's size "zstd:3,256k"; what the text does not say stays. The others: the attribute, the flags.
bool pxfs_setting_parse(const char *text, size_t size_bytes, struct pxfs_setting *setting) must_check;
const char *pxfs_method_name(uint8_t method);
bool pxfs_setting_is(const char *name); // an attribute's
bool pxfs_setting_listed(struct inode *inode, const char **name);
err_t pxfs_setting_attr_get(struct inode *inode, const char *name, void *value, size_t *size_bytes) must_check;
err_t pxfs_setting_attr_set(struct inode *inode, const char *name, const void *value, size_t size_bytes,
			    uint32_t flags) must_check;
err_t pxfs_setting_attr_remove(struct inode *inode, const char *name) must_check;
err_t pxfs_flags_ioctl(struct file *file, uint32_t request, void *arg) must_check;

// fs_xattr.c
err_t pxfs_xattr_get(struct inode *inode, const char *name, void *value, size_t *size_bytes) must_check;
err_t pxfs_xattr_set(struct inode *inode, const char *name, const void *value, size_t size_bytes,
		     uint32_t flags) must_check;
err_t pxfs_xattr_list(struct inode *inode, char *names, size_t *size_bytes) must_check;
err_t pxfs_xattr_remove(struct inode *inode, const char *name) must_check;

#endif
