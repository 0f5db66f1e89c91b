// SPDX-License-Identifier: MIT
//
// The checker: what is found is kept in tables of its own and compared with what the volume says of itself.
//
// Order. All trees are walked node by node, which claims their sectors. The subvolume's items are walked twice: first inodes and extents, then names, which lead to
// inodes. Then claims are compared with the space map, and pieces by their extent with the tree of references.
//
// Files: check.c the whole, the space map · check_tree.c nodes · check_file.c inodes, names, extents
#ifndef PXFS_CHECK_IMPL_H
#define PXFS_CHECK_IMPL_H

#include "fs_impl.h"

struct check_inode {
	uint64_t ino;
	uint32_t mode, links;      // as the item says
	uint32_t found;            // names that lead here, and what directories below add
	uint32_t flags;            // enum check_inode_flags
	uint64_t entries, counted; // of a directory
};

enum check_inode_flags {
	CHECK_ORPHAN = 1u << 0
};

struct check_extent {
	uint64_t address;
	uint32_t sectors, count;
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
};

void check_say(struct check *check, const char *format, ...) printf_like(2, 3);

// Marks sectors as somebody's; says so when they are already, or lie outside. Errors: -ENOMEM.
err_t check_claim(struct check *check, uint64_t address, uint64_t sectors, const char *whose) must_check;
bool check_is_claimed(const struct check *check, uint64_t address);

// check_tree.c: all nodes below a pointer; then, for each item in order, fn. A node that cannot be read is a problem, and what is below it is not looked at.
typedef err_t check_item_fn(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size);
err_t check_tree(struct check *check, const struct pxfs_pointer *root, uint64_t id, bool claim,
		 check_item_fn *fn) must_check;

// check_file.c
err_t check_subvolume(struct check *check, const struct pxfs_pointer *root, uint64_t id) must_check;
err_t check_references(struct check *check) must_check;

#endif
