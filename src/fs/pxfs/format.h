// SPDX-License-Identifier: MIT
//
// What PXFS has on disk, as structures whose bytes are the format; docs/PXFS_FORMAT.md says what they mean. All numbers are little endian and lie
// where they are aligned; le*_get() and le*_put() read and write them on any machine. Nothing here does I/O.
#ifndef PXFS_FORMAT_H
#define PXFS_FORMAT_H

#include "kern/compiler.h"
#include "kern/err.h"

#define PXFS_MAGIC 0x0a1a0d5346585089ull // 89 'P' 'X' 'F' 'S' 0d 1a 0a
#define PXFS_NODE_MAGIC 0x444e5850u      // 'PXND'
#define PXFS_LOG_MAGIC 0x474c5850u       // 'PXLG'

#define PXFS_VERSION 1u
#define PXFS_BOOT_BYTES 65536u // at the beginning: not ours
#define PXFS_SLOTS 8u          // of superblocks, in each of the two rings
#define PXFS_SUPER_BYTES 4096u
#define PXFS_NODE_BYTES_MIN 16384u
#define PXFS_NODE_BYTES_MAX 65536u
#define PXFS_REGION_SHIFT 15u // sectors of a region of the space map: 16 MiB
#define PXFS_REGION_SECTORS (1u << PXFS_REGION_SHIFT)
#define PXFS_VOLUME_SECTORS_MIN (8u << 11) // 8 MiB
#define PXFS_VOLUME_SECTORS_MAX (1ull << 48)
#define PXFS_LEVELS_MAX 8u
#define PXFS_ITEM_BYTES_MAX 6144u // every node has room for two
#define PXFS_INLINE_MAX 2048u     // bytes of a file that lie in the leaf
#define PXFS_NAME_MAX 255u
#define PXFS_LABEL_MAX 63u
#define PXFS_CLUSTER_SHIFT_MIN 14u
#define PXFS_CLUSTER_SHIFT_MAX 20u

struct le16 {
	uint8_t bytes[2];
};
struct le32 {
	uint8_t bytes[4];
};
struct le64 {
	uint8_t bytes[8];
};

static inline uint16_t le16_get(const struct le16 *from)
{
	uint16_t value = 0;
	__builtin_memcpy(&value, from, sizeof value);
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap16(value);
}

static inline uint32_t le32_get(const struct le32 *from)
{
	uint32_t value = 0;
	__builtin_memcpy(&value, from, sizeof value);
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap32(value);
}

static inline uint64_t le64_get(const struct le64 *from)
{
	uint64_t value = 0;
	__builtin_memcpy(&value, from, sizeof value);
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap64(value);
}

static inline void le16_put(struct le16 *to, uint16_t value)
{
	value = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap16(value);
	__builtin_memcpy(to, &value, sizeof value);
}

static inline void le32_put(struct le32 *to, uint32_t value)
{
	value = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap32(value);
	__builtin_memcpy(to, &value, sizeof value);
}

static inline void le64_put(struct le64 *to, uint64_t value)
{
	value = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap64(value);
	__builtin_memcpy(to, &value, sizeof value);
}

// ---- pointers to nodes ---------------------------------------------------------------------------------------------------

// Where a node lies and what it is: its checksum is here, not in it, so that a node that was lost, or is an old one, is found out.
struct pxfs_pointer {
	struct le64 address[2]; // sectors; [1] 0: no second copy. [0] 0: there is no node
	struct le64 birth;      // generation that wrote it
	struct le64 checksum;   // of the whole node
};

// ---- nodes ---------------------------------------------------------------------------------------------------------------

// 64 bytes at the beginning of each node. It names itself, so that one that was written elsewhere is found out.
struct pxfs_node_header {
	struct le32 magic;
	uint8_t level; // 0: a leaf
	uint8_t reserved[3];
	struct le64 volume;  // first half of the volume's identity
	struct le64 address; // of its first copy
	struct le64 birth;
	struct le64 owner; // the tree that made it
	struct le32 count; // items or children
	struct le32 data;  // leaf: where the items' data begin; it ends with the node
	uint8_t reserved2[16];
};

// Order of items: object, type, offset.
struct pxfs_key {
	struct le64 object;
	struct le64 offset;
	uint8_t type;
	uint8_t reserved[7];
};

// A leaf: headers from the front, data from the back, in the same order.
struct pxfs_item {
	struct pxfs_key key;
	struct le32 at; // from the node's beginning
	struct le32 size;
};

// An inner node. Keys in a child are ≥ its key here, and < the next one's; the first child takes all below the second, whatever its key.
struct pxfs_child {
	struct pxfs_key key;
	struct pxfs_pointer pointer;
};

_Static_assert(sizeof(struct pxfs_pointer) == 32, "format");
_Static_assert(sizeof(struct pxfs_node_header) == 64, "format");
_Static_assert(sizeof(struct pxfs_key) == 24, "format");
_Static_assert(sizeof(struct pxfs_item) == 32, "format");
_Static_assert(sizeof(struct pxfs_child) == 56, "format");

// ---- trees and what is in them -------------------------------------------------------------------------------------------

enum pxfs_tree_id {
	PXFS_TREE_ROOT = 1,       // of subvolumes, snapshots, what rests, what is dead
	PXFS_TREE_SPACE = 2,      // which sectors are used
	PXFS_TREE_REFS = 3,       // extents with two references or more
	PXFS_TREE_SUBVOLUME = 256 // and above: subvolumes by number
};

enum pxfs_item_type {
	PXFS_INODE = 1,      // inode number, 0
	PXFS_INLINE = 2,     // inode number, 0: a small file, or a link's target
	PXFS_EXTENT = 3,     // inode number, offset in the file
	PXFS_DIRENT = 4,     // directory's inode number, cookie
	PXFS_XATTR = 5,      // inode number, hash of the name and a slot
	PXFS_ORPHAN = 6,     // 0, inode number: without a name
	PXFS_SUBVOLUME = 16, // number, 0
	PXFS_SNAPNAME = 17,  // parent's number, hash of the name and a slot
	PXFS_REST = 18,      // generation in which it was freed, n: ranges that are free two generations later
	PXFS_DEAD = 19,      // subvolume, n: references that it has given up and a snapshot has
	PXFS_SPACE = 32,     // region, 0: its bitmap
	PXFS_REFS = 33,      // sector, 0: references to the extent that begins there
	PXFS_SPACE_SUMS = 34 // n, 0: used sectors of the n-th 1,024 regions
};

#define PXFS_METHOD_INHERITED 255u

// An inode. 160 bytes; xattrs and contents are items of their own.
struct pxfs_inode {
	struct le64 size;
	struct le64 blocks;     // sectors of its extents, as they are stored
	struct le64 generation; // of the number: handles
	struct le64 parent;     // directories: where they hang
	struct le64 rdev;
	struct le32 mode, uid, gid, links;
	struct le64 atime_s, mtime_s, ctime_s, btime_s;
	struct le32 atime_ns, mtime_ns, ctime_ns, btime_ns;
	struct le64 entries;                  // directories: names in it
	uint8_t method, level, cluster_shift; // of compression
	uint8_t inherited; // with method 255: the method that the directory had when this was made in it
	struct le32 flags;
	struct le64 project; // quota
	uint8_t reserved2[32];
};

// One extent of a file: `length` bytes of it are those of a cluster, from `into` on. Its checksum is of what is stored.
struct pxfs_extent {
	struct le64 address; // sectors; 0: allocated, and reads as zeroes (fallocate)
	struct le32 stored;  // bytes on disk
	struct le32 cluster; // bytes when they are decoded
	struct le32 into;    // where this part begins in them
	struct le32 length;  // of this part
	struct le64 reference_birth, physical_birth;
	struct le64 checksum;
	uint8_t method, flags;
	uint8_t reserved[6];
	uint8_t mac[16]; // of encrypted volumes
};

// A name in a directory.
struct pxfs_dirent {
	struct le64 inode;
	struct le32 generation;
	uint8_t kind; // as readdir tells it: mode >> 12
	uint8_t size; // of the name
	uint8_t reserved[2];
	// the name
};

// An attribute's name; its value lies in the items behind it, 4,096 bytes each.
struct pxfs_xattr {
	struct le32 name_size, value_size;
	// the name
};

// A subvolume, snapshot or clone. A subvolume and its snapshots are a branch: a chain by `previous`, from its head to the first one. A clone begins a branch of
// its own.
struct pxfs_subvolume {
	struct pxfs_pointer root;
	struct le64 parent;      // of a snapshot: the subvolume it was taken of; else 0
	struct le64 created;     // generation; of a snapshot: the last one that it has
	struct le64 last_shared; // what was born up to it belongs to `previous`, or to `origin`
	struct le64 previous;    // snapshot before this one, of the same branch; 0: none
	struct le64 next_inode;
	struct le64 dead_next; // number of its next list of dead references
	struct le64 flags;     // enum pxfs_subvolume_flags
	struct le64 created_s;
	struct le64 users; // of a snapshot: branches that began with it
	uint8_t method, level, cluster_shift, name_size;
	uint8_t reserved[4];
	uint8_t key_id[16]; // encryption
	struct le64 quota_sectors, used_sectors;
	struct le64 dead_list;      // object of the items PXFS_DEAD with what it has given up and `previous` has
	struct le64 origin;         // the snapshot that the branch began with; 0: with nothing
	struct le64 origin_created; // that one's `created`
	struct le64 cursor;         // being deleted: how far that has come
	struct le64 promised;       // sectors of extents that lie nowhere yet
	uint8_t reserved2[8];
	char name[PXFS_NAME_MAX + 1];
};

enum pxfs_subvolume_flags {
	PXFS_SUBVOLUME_SNAPSHOT = 1u << 0, // nothing in it changes
	PXFS_SUBVOLUME_DELETING = 1u << 1, // nobody opens it any more
	PXFS_SUBVOLUME_LAST = 1u << 2,     // and nothing of its branch comes behind it: what is its own is in its tree
	PXFS_SUBVOLUME_GOING = 1u << 3 // and another comes behind it, whose list of what is dead is being gone through
};

// Ranges of sectors, in lists of what rests and what is dead.
struct pxfs_range {
	struct le64 address;
	struct le32 sectors;
	uint8_t kind; // enum pxfs_range_kind
	uint8_t reserved[3];
	struct le64 birth; // of the reference
};

enum pxfs_range_kind {
	PXFS_RANGE_NODE = 1,
	PXFS_RANGE_EXTENT = 2
};

// A region of the space map: a bit for each sector, set: used.
struct pxfs_space {
	struct le32 used;   // bits that are set
	struct le32 shared; // extents of the region that have an item in the tree of references
	uint8_t reserved[8];
	uint8_t bits[PXFS_REGION_SECTORS / 8];
};

#define PXFS_SUMS 1024u // le32 of each region

struct pxfs_refs {
	struct le32 count, sectors;
	struct le64 birth;
};

_Static_assert(sizeof(struct pxfs_inode) == 160, "format");
_Static_assert(sizeof(struct pxfs_extent) == 72, "format");
_Static_assert(sizeof(struct pxfs_dirent) == 16, "format");
_Static_assert(sizeof(struct pxfs_subvolume) == 448, "format");
_Static_assert(sizeof(struct pxfs_range) == 24, "format");
_Static_assert(sizeof(struct pxfs_space) == 4112, "format");

// ---- superblock ----------------------------------------------------------------------------------------------------------

// The log, a ring between two rings of superblocks: what was made durable since the superblock's generation.
struct pxfs_log_place {
	struct le64 address, sectors;
	struct le64 sequence; // of the first batch behind this superblock
	struct le64 at;       // where it begins, in sectors from `address`
};

struct pxfs_super {
	struct le64 magic;
	struct le64 checksum; // of all 4,096 bytes, with this as zero
	struct le32 version;
	uint8_t block_shift; // log2 of the unit of I/O and reuse, 12 … 16
	uint8_t node_shift;
	uint8_t copies; // of nodes: 1 or 2
	uint8_t reserved;
	struct le64 compat, read_compat, incompat; // enum pxfs_features
	uint8_t volume[16];
	struct le64 generation;
	struct le64 address; // of this slot, in sectors
	struct le64 sectors; // of the volume
	struct le64 hash_seed;
	struct pxfs_pointer root, space, refs;
	struct pxfs_log_place log;
	struct le64 next_subvolume;
	struct le64 default_subvolume;
	struct le64 used_sectors, promised_sectors;
	struct le64 written_s;
	struct le64 errors_read, errors_repaired, errors_lost;
	uint8_t method, level, cluster_shift, reserved2[5];
	char label[PXFS_LABEL_MAX + 1];
	uint8_t reserved3[PXFS_SUPER_BYTES - 360];
};
_Static_assert(sizeof(struct pxfs_super) == PXFS_SUPER_BYTES, "format");

enum pxfs_features {
	PXFS_INCOMPAT_ZSTD = 1u << 0, // clusters by Zstandard
	PXFS_INCOMPAT_ALL = PXFS_INCOMPAT_ZSTD,
	PXFS_READ_COMPAT_ALL = 0
};

// ---- log -------------------------------------------------------------------------------------------------------------------

// A batch: this header, then records, in whole blocks. A record sets or takes away an item of a subvolume's tree.
struct pxfs_log_header {
	struct le32 magic;
	struct le32 bytes; // of header and records
	struct le64 volume;
	struct le64 sequence;
	struct le64 generation;   // of the superblock that it comes behind
	struct le64 acknowledged; // the last batch whose FLUSH had ended when this one was written
	struct le64 chain;        // checksum of the batch before
	struct le64 checksum;     // of header and records, with this as zero
	struct le32 records;
	uint8_t reserved[4];
};

struct pxfs_log_record {
	struct le64 tree;
	struct pxfs_key key;
	struct le32 size; // of the item's data, which follow, filled up to 8 bytes; UINT32_MAX: the item is gone
	uint8_t reserved[4];
};

_Static_assert(sizeof(struct pxfs_log_header) == 64, "format");
_Static_assert(sizeof(struct pxfs_log_record) == 40, "format");

#endif
