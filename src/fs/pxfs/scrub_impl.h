// SPDX-License-Identifier: MIT
//
// Scrubbing: all of a volume is read and compared with its checksums while others use it.
//
// Order. The root tree, the space tree, the references, then each subvolume by number. A tree is walked leaf by leaf, by keys: each step enters the epoch and the tree's
// lock for reading, goes down from the root, compares both copies of the nodes on the way that it has not met yet, and copies the leaf's extents; they are read with
// nothing held. What is being changed meanwhile may be somewhere else then: data that do not fit are looked for again under the lock before that is an error.
//
// What was born since the beginning is not looked at. So a node that is has its address to itself as long as the scrub lasts, and a bit for it says whether all below it
// is done: trees that share nodes are walked once. Where something is lost the bit holds for this tree only, so that each tree tells what it has lost. Without memory
// for the bits nodes are walked again.
//
// Files: scrub.c the whole, trees · scrub_data.c extents · scrub_name.c which files have lost something
#ifndef PXFS_SCRUB_IMPL_H
#define PXFS_SCRUB_IMPL_H

#include "fs_impl.h"
#include "use_impl.h"

#define SCRUB_LOST_MAX 128u // that wait for their names
#define SCRUB_GOOD 256u     // extents that were read, so that the next piece of one is not read again

struct scrub_extent {
	struct pxfs_where where;
	struct pxfs_extent extent;
};

struct scrub_lost {
	uint64_t ino, offset, sector, dir; // dir: 0 until a name is found
	uint32_t size_bytes;
	char *name; // NULL: none was found
};

// Where the step before was, on one level: all children up to `slot` are done when `whole`.
struct scrub_level {
	uint64_t address;
	uint32_t slot, count;
	bool whole, old;
};

struct scrub {
	bool shared; // somebody else used the volume when this began
	struct pxfs_volume *volume;
	uint32_t flags; // enum pxfs_scrub_flags
	const struct pxfs_scrub_calls *calls;
	struct pxfs_scrub_report *report;
	uint64_t born_before; // what is younger is not looked at
	uint32_t regions;
	uint64_t **done,
		**seen; // a bit a block, by region; NULL: none of it is, or there was no memory. seen: in this tree, with losses
	uint8_t *nodes[2];       // buffers for the copies of one
	uint8_t *data;           // for what an extent stores
	uint64_t tree;           // that is walked
	struct pxfs_tree closed; // it, if it is a subvolume that nobody has open
	struct scrub_level levels[PXFS_LEVELS_MAX];
	uint32_t level_count, level_from; // from: the lowest one that the step came to
	struct scrub_extent *extents;     // of one leaf
	uint32_t extent_count, extent_room;
	uint64_t good[SCRUB_GOOD]; // addresses
	uint32_t lost_count;
	struct scrub_lost lost[SCRUB_LOST_MAX];
};

// scrub.c. enter: the epoch and the tree's lock, for reading; NULL with nothing held: there is no such subvolume any more, or an error.
err_t scrub_enter(struct scrub *scrub, struct pxfs_tree **tree) must_check;
void scrub_leave(struct scrub *scrub, struct pxfs_tree *tree);
void scrub_say(struct scrub *scrub, const char *format, ...) printf_like(2, 3);
bool scrub_goes_on(struct scrub *scrub); // reports progress; false: it is to stop

// scrub_data.c. *whole: nothing of them is lost. Errors: -ENOMEM, those of trees.
err_t scrub_extents(struct scrub *scrub, bool *whole) must_check;
size_t scrub_data_bytes(void);

// scrub_name.c: says what has been lost in the tree, by name where one is found.
void scrub_lost_say(struct scrub *scrub);

#endif
