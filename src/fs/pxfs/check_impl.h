// SPDX-License-Identifier: MIT
//
// The checker: what is found is kept in tables of its own and compared with what the volume says of itself.
//
// Order. All trees are walked node by node, which claims their sectors. A subvolume's items are walked twice: first inodes and extents, then names, which lead to
// inodes. Snapshots come before what was made of them: what was born up to `last_shared` must be claimed when a subvolume comes to it, what was born
// later must not be. Then lists of what is dead are compared with what was found, claims with the space map, and pieces by their extent with the tree of references.
//
// Files: check.c the whole, the space map · check_subvol.c subvolumes, snapshots, lists · check_tree.c nodes · check_file.c inodes, names, extents · check_repair.c mending
#ifndef PXFS_CHECK_IMPL_H
#define PXFS_CHECK_IMPL_H

#include "fs_impl.h"

struct check_inode {
	uint64_t ino;              // first: numbered.c
	uint32_t mode, links;      // as the item says
	uint32_t found;            // names that lead here, and what directories below add
	uint32_t flags;            // enum check_inode_flags
	uint64_t entries, counted; // of a directory
};

enum check_inode_flags {
	CHECK_ORPHAN = 1u << 0,
	CHECK_NAMED = 1u << 1
};

// A reference; count 0: of something that somebody else must refer to.
struct check_extent {
	uint64_t address;
	uint32_t sectors, count;
};

struct check_subvol {
	uint64_t id;
	struct pxfs_subvolume item;
	bool done;
	uint64_t promised; // as it was found
};

// What can be put right: where.object is the inode, or the extent.
enum check_fix_kind {
	CHECK_FIX_TAKE,       // the item at `where`
	CHECK_FIX_KIND,       // of the name at `where`: value
	CHECK_FIX_LINKS,      // value
	CHECK_FIX_ENTRIES,    // value
	CHECK_FIX_ORPHAN,     // gets an item that says so
	CHECK_FIX_NAMED,      // loses it
	CHECK_FIX_LOST,       // gets a name
	CHECK_FIX_REFERENCES, // value; where.offset: sectors
	CHECK_FIX_PROMISED    // of the subvolume: value
};

struct check_fix {
	uint8_t kind;
	uint64_t subvolume;
	struct pxfs_where where;
	uint64_t value;
};

struct check {
	struct pxfs_volume *volume;
	uint32_t flags;
	void (*say)(void *arg, const char *text);
	void *arg;
	struct pxfs_check_report *report;
	uint8_t *bytes;             // of one node
	uint64_t **claims;          // a bit a sector, by region; NULL: nothing of it is claimed
	struct check_inode *inodes; // by rising number
	uint64_t inode_count, inode_room;
	struct check_extent *extents; // sorted by address once all are there
	uint64_t extent_count, extent_room;
	uint64_t promised; // sectors
	struct check_subvol *subvols;
	uint64_t subvol_count, subvol_room;
	struct check_subvol *subvol; // the one that is being looked at
	uint64_t shared;             // what was born up to it is a snapshot's too
	bool leaf_is_shared;         // the leaf whose items are being looked at
	bool own_only;               // what is shared is not looked at
	bool blind;                  // a node could not be read
	bool twice;                  // two things lie in one place
	bool space_wrong;
	struct check_fix *fixes;
	uint32_t fix_count, fix_room;
};

void check_say(struct check *check, const char *format, ...) printf_like(2, 3);

void check_tell(struct check *check, const char *format, ...) printf_like(2, 3); // what is no problem

// check_repair.c. check_fix: notes what can be done about a problem. check_repair: does it; *done: how much. Errors: -ENOMEM, -EIO, those of a commit.
err_t check_fix(struct check *check, enum check_fix_kind kind, const struct pxfs_where *where,
		uint64_t value) must_check;
err_t check_repair(struct check *check, uint32_t *done) must_check;

// Marks sectors as somebody's; says so when they are already, or lie outside. Errors: -ENOMEM.
err_t check_claim(struct check *check, uint64_t address, uint64_t sectors, const char *whose) must_check;
bool check_is_claimed(const struct check *check, uint64_t address);

// check_tree.c: all nodes below a pointer; then, for each item in order, fn. A node that cannot be read is a problem, and what is below it is not looked at.
typedef err_t check_item_fn(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size);
err_t check_tree(struct check *check, const struct pxfs_pointer *root, uint64_t id, bool claim,
		 check_item_fn *fn) must_check;

// check_subvol.c
err_t check_subvolumes(struct check *check) must_check;

// check_file.c
err_t check_table_grow(void **table, uint64_t count, uint64_t *room, size_t size_bytes) must_check; // -ENOMEM
err_t check_files(struct check *check, const struct pxfs_pointer *root, uint64_t id) must_check;
err_t check_own_files(struct check *check, const struct pxfs_pointer *root, uint64_t id) must_check; // extents alone
err_t check_reference_add(struct check *check, uint64_t address, uint32_t sectors, uint32_t count) must_check;
err_t check_references(struct check *check) must_check;

#endif
