// SPDX-License-Identifier: MIT
//
// PXFS: a filesystem that compresses, checks, takes snapshots, and survives power cuts anywhere.
//
// Purpose. Everything is copy-on-write: what a superblock refers to is never written again until two superblocks later. A checkpoint writes
// all nodes that changed, then a superblock; between checkpoints fsync writes a batch of changed items into a log, which mounting
// replays. Either makes an *epoch* durable: what all operations since the one before did, whole. docs/PXFS_DESIGN.md has the reasons,
// docs/PXFS_FORMAT.md every byte.
//
// Files
//   format.h   the bytes · super.c superblocks · node.c nodes in memory · node_read.c · tree.c trees: finding, setting, taking away · tree_change.c their
//   shapes · log.c batches · log_read.c, log_replay.c mounting behind a power cut · tree_prune.c taking one apart · tree_check.c · space.c which sectors are free · space_map.c that in the space tree · commit.c checkpoints · volumes.c which
//   volumes are in use · subvol.c subvolumes in use, what is dead · snapshot.c snapshots, clones, rollback · delete.c taking subvolumes apart
//
// Objects. A volume is a device that is mounted, once, whatever number of its subvolumes are. A node in memory is clean (as on disk), or dirty: born in
// the open generation, changed in place until the checkpoint writes it. Its address is taken when it is made; so space that runs out is
// told to whoever makes it. Who wants to change a clean node copies it first; the old one's sectors rest.
//
// Space. In memory each region of 16 MiB counts its used sectors, and has its bitmap when somebody needed it. What is given up in generation g is
// free from g+2 on: until then a superblock that mounting may choose refers to it. Each checkpoint writes the bitmaps that changed, which
// changes the tree that they are in, until nothing more changes.
//
// Subvolumes. A snapshot is an item with the root that its subvolume had when a checkpoint was just done. What was born before is then both's: whoever gives it up
// does not give it back, but notes it in the subvolume's list of what is dead, by the generation of its birth. A subvolume and its snapshots are a chain; the
// lists between two of them hold what the later one has no more. A snapshot that goes hands its list to the one behind it, and what that one's list
// has of births behind the snapshot before was the gone one's alone, and is free. The last one of a chain goes by its tree: what was born behind the snapshot before
// is its own. A clone begins a chain with the tree of a snapshot, its origin, which stays as long as the clone does.
//
// Rules. Who changes files, directories or attributes is in an epoch (epoch_enter … epoch_leave, which share volume.epoch); closing one excludes
// them all. Writing pages back is in no epoch: the pages are of operations that are; closing waits until no page is dirty. A tree is changed under
// its lock for writing, read under it for reading.
//
// Locks, in order: inode->lock (VFS); volume.epoch; flush_lock, page locks (page cache); tree.lock: a subvolume's, the tree of references, the root tree, the space
// tree; space.lock, which guards the space tree too, so that who takes space can read it; then spinlocks: cache.lock. Therefore a tree is whole whenever space is
// taken for it: first all nodes are made, then links are changed.
#ifndef PXFS_IMPL_H
#define PXFS_IMPL_H

#include "format.h"

#include "kern/block.h"
#include "kern/checksum.h"
#include "kern/kernel.h"
#include "kern/list.h"
#include "kern/log.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/rbtree.h"
#include "kern/refcount.h"
#include "kern/string.h"
#include "kern/sync.h"

struct pxfs_volume;
struct pxfs_codecs;

// ---- nodes ---------------------------------------------------------------------------------------------------------------

#define PXFS_SPARES 24u // what one operation and a commit can need at once

enum pxfs_node_state {
	PXFS_NODE_LOADING,
	PXFS_NODE_READY,
	PXFS_NODE_FAILED // what was read is no node; whoever waits for it has the error
};

struct pxfs_node {
	struct list_node lru;   // cache.lock: clean ones that nobody uses, longest ago first; or all that are dirty
	struct pxfs_node *next; // in its bucket; cache.lock
	uint64_t address;       // sectors, of the first copy; immutable, as is the next one
	uint64_t address2;      // 0: none
	uint64_t birth;
	uint32_t refs;  // cache.lock
	uint32_t state; // atomic, enum pxfs_node_state
	err_t error;    // of FAILED
	bool dirty;     // born in the open generation; the tree's lock for writing, or that of the commit; atomic
	uint8_t *bytes; // the tree's lock
};

// Nodes by address.
struct pxfs_cache {
	struct spinlock lock;
	struct list lru, dirty_nodes;
	uint32_t count, dirty, limit; // nodes; lock, and dirty is read without
	uint32_t bucket_count;
	struct pxfs_node **buckets;
	struct waitq loaded;
	uint64_t hits, misses;        // lock
	uint32_t spare_count;         // lock
	bool spares_wanted;           // until the end begins
	uint8_t *spares[PXFS_SPARES]; // buffers for when there is no memory; lock
	struct pressure_callback pressure;
};

// ---- trees ---------------------------------------------------------------------------------------------------------------

// A key in memory, in its order: object, type, offset.
struct pxfs_where {
	uint64_t object;
	uint8_t type;
	uint64_t offset;
};

struct pxfs_tree {
	struct pxfs_volume *volume;
	struct rwlock lock;
	uint64_t id;
	struct pxfs_pointer root;

	// Whom the nodes that it gives up belong to; NULL: nobody else has them, they rest.
	struct pxfs_subvol *subvol;
};

// From the root to an item. Nodes are counted.
struct pxfs_path {
	struct pxfs_tree *tree;
	uint32_t levels; // nodes[0] is the leaf, nodes[levels-1] the root; 0: the tree is empty
	struct pxfs_node *nodes[PXFS_LEVELS_MAX];
	uint32_t slots[PXFS_LEVELS_MAX];
};

// ---- space ---------------------------------------------------------------------------------------------------------------

struct pxfs_region {
	uint32_t used;  // sectors whose bit is set
	uint32_t flags; // enum pxfs_region_flags
	uint64_t *bits; // NULL: not loaded
	// What may be taken, known when there are bits, or nothing is used; else 0. A chunk is as large as a node.
	uint32_t free_blocks, free_chunks;
	uint32_t no_run; // sectors: since something was freed there is no run so long; 0: not known
};

enum pxfs_region_flags {
	PXFS_REGION_CHANGED = 1u << 0, // since the last checkpoint
	PXFS_REGION_STORED = 1u << 1   // has an item in the space tree
};

// What is given up in one generation.
struct pxfs_rest {
	uint64_t generation;
	uint32_t count, room, written; // written: of them, those in the root tree
	uint32_t cleared;              // and those that are free again
	uint64_t sectors;              // of all of them
	struct pxfs_range_in *ranges;
};

struct pxfs_range_in {
	uint64_t address;
	uint32_t sectors;
};

struct pxfs_space_state {
	struct mutex lock;
	uint32_t region_count;
	struct pxfs_region *regions;
	uint64_t used_sectors;
	uint64_t reserved_sectors;         // for dirty pages
	uint64_t promised_sectors;         // by fallocate: extents that lie nowhere yet; in the superblock
	uint64_t margin_sectors;           // kept for taking away, and for checkpoints
	uint64_t free_blocks, free_chunks; // of all regions that are known
	uint32_t known;                    // regions before this one are
	uint32_t spare_chunks;             // atomic: beyond all that is kept and promised, when somebody asked last
	uint32_t cursors[3];               // regions, by enum space_user
	struct pxfs_rest rests[3];         // of this generation and the two before, by generation % 3
	uint32_t loaded;                   // regions with bits
};

// What a subvolume has given up and a snapshot before it still has, until the next checkpoint puts it into lists.
struct pxfs_dead_in {
	uint64_t address, birth;
	uint32_t sectors;
	uint8_t kind; // enum pxfs_range_kind
};

// A subvolume that is in use. Everything in it changes within an epoch; its tree, `shared` and what is dead by the tree's lock.
struct pxfs_subvol {
	struct list_node link; // volume->subvols
	struct pxfs_volume *volume;
	uint32_t users; // epoch
	uint64_t id;
	struct pxfs_tree tree;
	struct pxfs_subvolume item; // but its root, which is tree.root
	bool changed;               // the item is to be written
	uint64_t shared;            // what was born up to it is a snapshot's too, and not given back
	uint64_t origin_created;    // what was born up to it is the origin's, and not even noted as dead
	uint32_t dead_count, dead_room, dead_stored;
	struct pxfs_dead_in *dead;
	struct rb_root notes; // struct note (log.c): keys of items that changed since the last close
};

// The log. Behind a checkpoint, closing an epoch writes what changed since the last close as one batch, unless it is better to do the next checkpoint.
struct pxfs_log {
	uint64_t address, sectors; // of the ring
	uint64_t sequence, at,
		chain; // of the next batch: number, place from `address` on; checksum of the one before, 0 behind a checkpoint
	uint64_t acknowledged;         // the last one whose FLUSH has ended
	uint64_t used_sectors;         // of batches behind the checkpoint
	uint32_t noted;                // atomic: notes of all subvolumes
	uint32_t overflow, structural; // atomic: too much, or nothing that a batch can say: a checkpoint is next
};

// ---- volume --------------------------------------------------------------------------------------------------------------

struct pxfs_volume {
	struct block_device *device;
	bool read_only;
	uint32_t failed; // atomic: error number of a commit that failed; nothing is written any more
	uint32_t block_shift, node_shift, copies;
	uint64_t sectors; // atomic: volume_sectors()
	uint8_t identity[16];
	uint64_t identity_word; // its first half
	uint64_t hash_seed;
	uint64_t generation;     // the open one; epoch held for writing changes it; atomic
	struct pxfs_super super; // as it was read or written last
	struct rwlock epoch;
	struct pxfs_cache cache;
	struct pxfs_space_state space;
	struct pxfs_tree root_tree, space_tree, refs_tree;
	struct pxfs_log log;                                // epoch held for writing
	struct pxfs_codecs *codecs;                         // codec.c
	struct list subvols;                                // struct pxfs_subvol that are open; epoch
	struct list mounts;                                 // struct pxfs_mount; epoch
	struct list_node link;                              // pxfs_state.volumes
	uint32_t users;                                     // of volume_take(); changed under pxfs_state.lock; atomic
	bool deletions;                                     // something is being deleted; epoch
	uint64_t errors_read, errors_repaired, errors_lost; // atomic
};

// Grows, under space.lock with the epoch held for writing; so who holds either may read the field.
static inline uint64_t volume_sectors(const struct pxfs_volume *volume)
{
	return __atomic_load_n(&volume->sectors, __ATOMIC_RELAXED);
}

static inline uint32_t node_bytes(const struct pxfs_volume *volume)
{
	return 1u << volume->node_shift;
}

static inline uint32_t node_sectors(const struct pxfs_volume *volume)
{
	return 1u << (volume->node_shift - SECTOR_SHIFT);
}

static inline uint32_t block_sectors_of(const struct pxfs_volume *volume)
{
	return 1u << (volume->block_shift - SECTOR_SHIFT);
}

static inline struct pxfs_node_header *node_header(const struct pxfs_node *node)
{
	return (struct pxfs_node_header *)node->bytes;
}

static inline uint32_t node_count(const struct pxfs_node *node)
{
	return le32_get(&node_header(node)->count);
}

static inline uint32_t node_level(const struct pxfs_node *node)
{
	return node_header(node)->level;
}

static inline struct pxfs_item *node_items(const struct pxfs_node *node)
{
	return (struct pxfs_item *)(node->bytes + sizeof(struct pxfs_node_header));
}

static inline struct pxfs_child *node_children(const struct pxfs_node *node)
{
	return (struct pxfs_child *)(node->bytes + sizeof(struct pxfs_node_header));
}

static inline struct pxfs_where where_of(const struct pxfs_key *key)
{
	return (struct pxfs_where){le64_get(&key->object), key->type, le64_get(&key->offset)};
}

static inline void key_put(struct pxfs_key *key, const struct pxfs_where *where)
{
	*key = (struct pxfs_key){.type = where->type};
	le64_put(&key->object, where->object);
	le64_put(&key->offset, where->offset);
}

static inline int where_compare(const struct pxfs_where *a, const struct pxfs_where *b)
{
	if (a->object != b->object)
		return a->object < b->object ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static inline bool pointer_is_null(const struct pxfs_pointer *pointer)
{
	return le64_get(&pointer->address[0]) == 0;
}

// node.c. All sleep. cache: nodes that may be kept.
err_t nodes_init(struct pxfs_volume *volume, uint32_t limit) must_check; // -ENOMEM
err_t nodes_spare(struct pxfs_volume *volume)
	must_check;                          // the node's size is known: buffers for when there is no memory
void nodes_fini(struct pxfs_volume *volume); // dirty ones are lost

// The node that a pointer of the tree `owner` means, counted and checked. `level` is what it must be; UINT32_MAX: any. Errors: -EIO, -EBADMSG (both copies
// are damaged, said in the log), -ENOMEM.
err_t node_get(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint64_t owner, uint32_t level,
	       struct pxfs_node **out) must_check;
void node_hold(struct pxfs_volume *volume, struct pxfs_node *node);
void node_put(struct pxfs_volume *volume, struct pxfs_node *node);

// A dirty, empty node. Errors: -ENOSPC, -ENOMEM.
err_t node_make(struct pxfs_tree *tree, uint32_t level, struct pxfs_node **out) must_check;

// A dirty copy of a clean one, whose sectors the tree gives up.
err_t node_copy(struct pxfs_tree *tree, struct pxfs_node *node, struct pxfs_node **out) must_check;

// A dirty node that nothing refers to any more: as if it had never been. The caller's reference goes with it.
void node_drop(struct pxfs_tree *tree, struct pxfs_node *node);

void node_pointer(const struct pxfs_node *node, struct pxfs_pointer *pointer); // without checksum
// node_read.c: reads each copy of a node, and writes a damaged one again from the other where the volume may be written. How many were damaged.
uint32_t node_copies_check(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint32_t level,
			   uint8_t *bytes, uint32_t *repaired);

// The same in parts. read: each copy into a buffer of its own; the bits of those that are damaged. write: one from sound bytes; false: it was not written.
uint32_t node_copies_read(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint32_t level,
			  uint8_t *bytes[2]);
bool node_copy_write(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint32_t copy,
		     const uint8_t *bytes) must_check;

// Reads and checks a node, from its other copy when the first is no good. Errors: -EIO, -EBADMSG.
err_t node_read(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint32_t level,
		uint8_t *bytes) must_check;
err_t node_validate(const struct pxfs_volume *volume, const uint8_t *bytes, uint64_t address, uint32_t level,
		    const char **problem) must_check; // -EBADMSG

// tree.c. The tree's lock is held as each says.
void tree_init(struct pxfs_tree *tree, struct pxfs_volume *volume, uint64_t id, const struct pxfs_pointer *root);
void tree_fini(struct pxfs_tree *tree);

// The first item that does not come before `where`; *exact: it is that one. With slots past the end when there is none: path_next() says so. Read.
err_t tree_find(struct pxfs_tree *tree, const struct pxfs_where *where, struct pxfs_path *path, bool *exact) must_check;
void path_release(struct pxfs_path *path);

// The item that the path is at; false: past the last one. It goes on into the next leaf by itself. Read. Errors of the form without: as node_get().
err_t path_item(struct pxfs_path *path, struct pxfs_where *where, const uint8_t **data, uint32_t *size_bytes,
		bool *there) must_check;
void path_step(struct pxfs_path *path); // to the next one
err_t tree_last(struct pxfs_tree *tree, const struct pxfs_where *before, struct pxfs_path *path,
		bool *there) must_check; // the last item that comes before `before`

// The item's data. *size_bytes is the room, then the size. Read. Errors: -ENOENT, -ERANGE.
err_t tree_get(struct pxfs_tree *tree, const struct pxfs_where *where, void *data, uint32_t *size_bytes) must_check;

// tree_change.c. Write; the epoch is entered. Sets or takes away one item, or does nothing. Errors: -ENOSPC, -ENOMEM, those of node_get(); take: -ENOENT.
err_t tree_put(struct pxfs_tree *tree, const struct pxfs_where *where, const void *data,
	       uint32_t size_bytes) must_check;
err_t tree_take(struct pxfs_tree *tree, const struct pxfs_where *where) must_check;

// What the tree refers to no more, a clean node: it rests, or goes where a snapshot still has it. The node may be forgotten. Errors: -ENOMEM, -ENOSPC.
err_t tree_give_up(struct pxfs_tree *tree, const struct pxfs_node *node) must_check;

// tree_check.c: walks all of a tree. Errors: -EUCLEAN with a log line.
err_t tree_check(struct pxfs_tree *tree, uint64_t *items, uint64_t *nodes) must_check;

// numbered.c: entries of up to 64 bytes that begin with a uint64_t, by which they are sorted. find: NULL, there is none.
void numbered_sort(void *table, uint64_t count, size_t size_bytes);
void *numbered_find(void *table, uint64_t count, size_t size_bytes, uint64_t number);

// tree_prune.c: takes away the tree's last nodes, as many as *budget says, which goes down. What was born up to `shared` is somebody else's and is not
// looked at. fn is called for each extent that was referred to behind that. *done: nothing is left. Write; the epoch is held for writing.
typedef err_t tree_prune_fn(struct pxfs_subvol *subvol, const struct pxfs_extent *extent);
err_t tree_prune(struct pxfs_subvol *subvol, tree_prune_fn *fn, uint32_t *budget, bool *done) must_check;

// space.c
err_t space_init(struct pxfs_volume *volume) must_check;
void space_fini(struct pxfs_volume *volume);
uint64_t space_margin(const struct pxfs_volume *volume); // what is kept for taking away, and for checkpoints

// `sectors`, whole blocks, side by side; marked as used. `locked`: the space lock is held, for it guards the space tree too. Data of a chunk
// and more leave as many chunks as nodes may need; less goes into broken ones when there are few. Errors: -ENOSPC, -ENOMEM, those of node_get().
enum space_user {
	SPACE_DATA,
	SPACE_NODE,
	SPACE_COPY // the second of a node, far from the first: one write that goes astray does not hit both
};
err_t space_take(struct pxfs_volume *volume, bool locked, enum space_user user, uint32_t sectors,
		 uint64_t *address) must_check;

// Sectors that were taken and never referred to by anything on disk: free at once.
void space_return(struct pxfs_volume *volume, bool locked, uint64_t address, uint32_t sectors);

// Sectors that something on disk may refer to: they rest. Errors: -ENOMEM.
err_t space_give_up(struct pxfs_volume *volume, bool locked, const uint64_t *addresses, uint32_t count,
		    uint32_t sectors) must_check; // `count` ranges of as many sectors each: all or none
uint64_t space_free_sectors(struct pxfs_volume *volume);

void region_learn(struct pxfs_volume *volume,
		  uint32_t index); // its bits, or that nothing is used, have come to be known

// space_room.c. space.lock held. Whether there is room for nodes of so many sectors and for that many pages, wherever each of them comes to lie, beside all that is
// promised and the margin. Reads what it must of the map.
#define PXFS_PAGE_NODES 2u                                             // sectors of nodes that a dirty page is promised
#define PXFS_PAGE_PROMISE (PXFS_PAGE_NODES + FRAME_SIZE / SECTOR_SIZE) // in reserved_sectors
bool space_fits(struct pxfs_volume *volume, uint64_t margin_sectors, uint64_t nodes_sectors, uint64_t pages);
bool space_spares_chunks(struct pxfs_volume *volume, uint64_t sectors); // whether data may take them from whole chunks

// space_map.c. The epoch is held for writing.
err_t space_load(struct pxfs_volume *volume) must_check;                  // mounting: counts, and what rests
err_t space_store(struct pxfs_volume *volume) must_check;                 // before a checkpoint's nodes are written
err_t region_load(struct pxfs_volume *volume, uint32_t index) must_check; // space.lock held
err_t space_clear(struct pxfs_volume *volume, uint64_t address,
		  uint32_t sectors) must_check; // space.lock held: those that rested
err_t space_claim(struct pxfs_volume *volume, uint64_t address,
		  uint64_t sectors) must_check;             // takes the lock: marks them as used
err_t space_advance(struct pxfs_volume *volume) must_check; // a generation has begun: what rested long enough is free;
err_t space_rests_clear(struct pxfs_volume *volume) must_check; // its first half, which takes no space
err_t space_claim_free(struct pxfs_volume *volume, uint64_t address,
		       uint64_t sectors) must_check; // -EEXIST: something is used already

// subvol.c. The epoch is held for writing, but for subvol_dead() and the extents' births. open: counted; a subvolume that may be written has one user, a snapshot any
// number. Errors: -ENOENT, -EUCLEAN with *problem, -EBUSY, -ENOMEM, those of trees.
err_t subvol_open(struct pxfs_volume *volume, uint64_t id, struct pxfs_subvol **out, const char **problem) must_check;
void subvol_close(struct pxfs_subvol *subvol);
struct pxfs_subvol *subvol_in_use(struct pxfs_volume *volume, uint64_t id); // NULL: nobody uses it; the epoch is held
struct pxfs_subvol *subvol_make(struct pxfs_volume *volume, uint64_t id,
				const struct pxfs_subvolume *item) must_check; // NULL: no memory

// Its item, from memory when it is open. put: into the root tree, and memory. each: in the order of numbers, until fn returns something else than 0.
err_t subvol_item_get(struct pxfs_volume *volume, uint64_t id,
		      struct pxfs_subvolume *item) must_check; // -ENOENT, -EUCLEAN
err_t subvol_item_put(struct pxfs_volume *volume, uint64_t id, const struct pxfs_subvolume *item) must_check;
err_t subvol_find(struct pxfs_volume *volume, const char *name, uint64_t *id, struct pxfs_subvolume *item) must_check;
err_t subvol_next(struct pxfs_volume *volume, uint64_t *id,
		  struct pxfs_subvolume *item) must_check; // the first one with a number > *id; -ENOENT

// Notes what the subvolume gives up and somebody else has; its tree is locked for writing. Errors: -ENOMEM.
err_t subvol_dead(struct pxfs_subvol *subvol, enum pxfs_range_kind kind, const uint64_t *addresses, uint32_t count,
		  uint32_t sectors, uint64_t birth) must_check;
err_t subvol_dead_store(struct pxfs_subvol *subvol)
	must_check; // at a checkpoint, with the root tree locked: into lists

// log.c. note: an item of a subvolume is going to be set or taken away; `existed`: it is there. Its tree is locked for writing. What cannot be noted makes
// the next close a checkpoint, as log_skip() does: something has changed that no batch can say.
void log_note(struct pxfs_subvol *subvol, const struct pxfs_where *where, bool existed);
void log_notes_drop(struct pxfs_subvol *subvol);
void log_skip(struct pxfs_volume *volume);
bool log_is_idle(struct pxfs_volume *volume); // nothing has changed since the last close

// The epoch is held for writing, and no page is dirty. Writes a batch and FLUSHes. *done false: a checkpoint is wanted instead. Errors: -ENOMEM, -EIO, those of trees.
err_t log_commit(struct pxfs_volume *volume, bool *done) must_check;
void log_begin(struct pxfs_volume *volume); // mounting: from the superblock
void log_reset(struct pxfs_volume *volume); // a checkpoint is durable

// log_read.c, log_replay.c: mounting. Reads batches, and puts into the trees what they say; the trees are then of the open generation, and dirty. *some: there were
// batches. Errors: -EUCLEAN with *problem, -ENOMEM, -EIO, those of trees.
err_t log_replay(struct pxfs_volume *volume, bool *some, const char **problem) must_check;

// extent.c: one reference less. Errors: those of trees, -ENOMEM.
err_t reference_drop(struct pxfs_volume *volume, uint64_t address, uint32_t sectors) must_check;

// codec.c. The superblock is there. Errors: -ENOMEM.
err_t codecs_init(struct pxfs_volume *volume) must_check;
void codecs_fini(struct pxfs_volume *volume);

// super.c. Errors: -EIO, -EINVAL with *problem.
err_t super_read(struct pxfs_volume *volume, const char **problem) must_check;
err_t super_write(struct pxfs_volume *volume) must_check; // volume->super, with everything but its place filled in
uint64_t super_ring(const struct pxfs_volume *volume, uint32_t ring);
uint32_t super_ring_sectors(const struct pxfs_volume *volume);
bool super_errors_changed(const struct pxfs_volume *volume); // counts of errors are others than those on disk

// Compares both rings' slots of the generations that mounting may choose. One that is damaged, or was not written, where the other ring's is sound, is written
// from that with `write`; failing that is logged. No superblock is written meanwhile. Errors: -ENOMEM.
#define PXFS_GENERATIONS_KEPT 3u // what one before the last two refers to may have been overwritten
struct super_slots {
	uint32_t bad, repaired;
};
err_t super_slots_check(struct pxfs_volume *volume, bool write, struct super_slots *slots) must_check;

// commit.c. The epoch is held for writing and no page is dirty. Errors: -ENOSPC, -ENOMEM (nothing is lost, it may be tried again); -EIO: nothing
// will be written any more.
err_t volume_checkpoint(struct pxfs_volume *volume) must_check;

// An operation has failed when half of it was done. What is in memory is no state that ever was, so nothing of it is written any more: the volume stays what the
// last close made it. Returns err.
err_t volume_break(struct pxfs_volume *volume, err_t err);
err_t volume_fail(struct pxfs_volume *volume, err_t err); // the same for a write that failed; -EIO
void nodes_clean(struct pxfs_volume *volume);             // a checkpoint is durable: all nodes are as on disk

#endif
