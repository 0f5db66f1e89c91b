// SPDX-License-Identifier: MIT
//
// The crash explorer, its kernel half.
//
// Purpose. A sequence of operations runs on a fresh volume, on a disk in memory that notes every write, FLUSH and FUA. Then the power goes during each write, and behind
// each sync that returned. What a disk with a volatile cache may hold then is an *image*: for each block the versions that may have survived. Recovery mounts it;
// a version is chosen when a block is first read, the newest first, and each other version is a branch that is tried later. So all subsets
// of what no FLUSH had covered are tried, and blocks that nobody reads cost nothing. Recovery's own writes are noted and cut again, to a depth.
//
// Files
//   disk.c the disk, images · memo.c which reads led where · tree.c what a tree holds · ops.c the operations, on the volume and on a tmpfs, which is the model · snaps.c snapshots ·
//   recover.c one recovery, and what it must be · explore.c cuts and branches · damage.c lost and misdirected writes, flipped bits · place.c places as text · entry.c
//
// Oracle. What is mounted is the model as it was after some step, none before the last sync that had returned, none behind the step that was under way. The checker finds
// nothing, before and after. A file written afterwards is there after another mount.
//
// One thread runs all of it; the disk ends its commands at once.
#ifndef CRASH_H
#define CRASH_H

#include "crash_entry.h"

#include "kern/block.h"
#include "kern/checksum.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/rand.h"
#include "kern/string.h"
#include "kern/vfs.h"

#define DISK_BYTES MIB(8)
#define CRASH_BLOCK 4096u // physical
#define DISK_BLOCKS (DISK_BYTES / CRASH_BLOCK)
#define VERSIONS_MAX 6u   // of a block between two FLUSHes
#define POOL_BLOCKS 6144u // contents that are kept at a time
#define NOTES_MAX 4096u
#define WRITTEN_MAX 8192u
#define CHOICES_MAX 128u // versions that one run chooses
#define READS_MAX 1024u
#define STEPS_MAX 64u
#define TREE_MAX 20u
#define MOUNT "/m"
#define MODEL "/t"
#define DEVICE "crash"

// ---- disk.c --------------------------------------------------------------------------------------------------------------

struct content {
	uint64_t hash;
	uint8_t bytes[CRASH_BLOCK];
};

// Versions of a block that may have survived, oldest first; one: it is settled.
struct cell {
	uint16_t block;
	uint8_t count;
	const struct content *versions[VERSIONS_MAX];
};

// Blocks without a cell are as the volume was made.
struct image {
	uint16_t place[DISK_BLOCKS]; // cell + 1
	uint32_t count;
	struct cell cells[DISK_BLOCKS];
};

// Versions that are none: the one block that was being written, or damaged.
enum version_kind {
	VERSION_GARBAGE = 200,
	VERSION_HEAD, // the first sectors are new, the rest is old
	VERSION_TAIL, // the other way round
	VERSION_FLIP  // one bit
};

struct choice {
	uint16_t block;
	uint8_t version;
};

enum note_kind {
	NOTE_WRITE,
	NOTE_FLUSH,
	NOTE_SYNCED // a call has returned that makes everything durable
};

struct note {
	uint8_t kind;
	bool fua;
	uint32_t first, count; // in recording.written
	uint32_t step, synced; // steps that had returned; those that had been made durable
};

struct written {
	uint16_t block;
	const struct content *content;
};

struct recording {
	uint32_t count, written_count;
	bool full;
	struct note notes[NOTES_MAX];
	struct written written[WRITTEN_MAX];
};

// What a run sees and does.
struct view {
	const struct image *image;
	uint32_t given, choice_count; // those it began with; all
	struct choice choices[CHOICES_MAX];
	bool full; // more choices than fit
	uint32_t read_count;
	struct {
		uint16_t block;
		uint64_t hash;
	} reads[READS_MAX];
	uint8_t seen[DISK_BLOCKS];                   // is among the reads
	uint8_t chosen[DISK_BLOCKS];                 // version + 1
	const struct content *own[DISK_BLOCKS];      // written in this run
	const struct content *resolved[DISK_BLOCKS]; // chosen contents that are none of the image's
};

struct crash_disk_state {
	struct block_device *device;
	struct content *base; // DISK_BLOCKS
	struct content *pool;
	uint32_t pool_used;
	bool pool_full;
	struct view view;
	struct recording *recording; // NULL: writes are not noted
	uint32_t step, synced;
};

bool disk_make(struct crash_disk_state *disk) must_check;
void disk_freeze(struct crash_disk_state *disk); // what has been written is the base from now on
void view_begin(struct crash_disk_state *disk, const struct image *image, const struct choice *choices, uint32_t count);

// The contents of a block as this run sees it; chooses a version where none has been.
const struct content *view_look(struct crash_disk_state *disk, uint32_t block);
void disk_note(struct crash_disk_state *disk, uint8_t kind);
void content_seal(struct content *content);

void image_clear(struct image *image);
void image_copy(struct image *to, const struct image *from);
void image_add(struct crash_disk_state *disk, struct image *image, uint32_t block, const struct content *content);
void image_settle(struct image *image, uint32_t block); // the newest has survived
void image_settle_all(struct image *image);
void image_fix(struct crash_disk_state *disk, struct image *image); // what the view has chosen is so
uint32_t image_bits(const struct image *image);                     // log2 of how many disks it may be, rounded down
const struct content *image_newest(const struct crash_disk_state *disk, const struct image *image, uint32_t block);
bool version_is_none(const struct image *image, const struct choice *choice);

// ---- memo.c --------------------------------------------------------------------------------------------------------------

#define MEMO_NODES 32768u

// A tree of reads: at each node the block that is read there, an edge for each content that was met. Each node but the first has one edge that leads to it.
struct memo {
	uint32_t count;
	struct memo_node {
		uint64_t hash;        // of the content that leads here
		uint32_t next, below; // the next content of the same read; the first that follows on this one; 0: none
		uint32_t verdict;     // of a leaf, + 1
		uint16_t block;       // read here, where `below` is not 0
	} nodes[MEMO_NODES];
};

void memo_clear(struct memo *memo);
bool memo_walk(struct memo *memo, struct crash_disk_state *disk, uint32_t *verdict) must_check; // by the view
void memo_keep(struct memo *memo, const struct view *view, uint32_t verdict);

// ---- tree.c --------------------------------------------------------------------------------------------------------------

struct tree_entry {
	char path[12];                        // below the root, without '/'; "" is the root
	uint32_t mode, links, uid, gid, same; // same: the first entry that is the same inode
	uint64_t size, contents, attributes, target;
	int64_t mtime_s; // of those that an operation sets; else 0
	int32_t err;     // the first that something answered
};

struct tree {
	uint32_t count;
	int32_t err; // a directory could not be read
	struct tree_entry entries[TREE_MAX];
};

void tree_capture(const char *root, struct tree *tree);
uint64_t tree_digest(const struct tree *tree);
uint64_t bytes_digest(const void *bytes, size_t size);
struct tree_entry *tree_entry_of(const struct tree *tree, const char *path);
void tree_add_file(struct tree *tree, const char *path, uint32_t mode, const void *bytes, size_t size);

// Says in *text how `found` is wrong where it answered without an error.
bool tree_is_true(const struct tree *found, const struct tree *wanted, char *text, size_t size) must_check;
void tree_differ(const struct tree *found, const struct tree *wanted, char *text, size_t size);

// ---- ops.c ---------------------------------------------------------------------------------------------------------------

// Snapshots and clones that there are, by name: a letter, and the digest of what they hold.
#define SNAPS_MAX 4u
#define SNAP_NAME 20u
struct snaps {
	uint32_t count;
	uint64_t sum; // of their names: part of a step's digest
	char names[SNAPS_MAX][SNAP_NAME];
};

struct actor {
	struct crash_disk_state *disk; // NULL: the model
	const char *root;
	uint32_t steps;
	int32_t held; // descriptor that stays open
	uint64_t *digests;
	struct tree *trees; // of the model, after each step
	err_t *errors;      // the model's answers
	struct snaps snaps;
	bool differs; // an answer is not the model's
	uint32_t differs_at;
	err_t differs_err;
};

uint32_t ops_count(void);
void op_run(struct actor *actor, uint32_t op);
void actor_end(struct actor *actor);
void volume_fill(const char *root, bool deep); // what every sequence begins with
err_t volume_mount(uint32_t flags, const char **problem) must_check;

// ---- snaps.c -------------------------------------------------------------------------------------------------------------

err_t snaps_begin(void) must_check;
err_t snap_take(struct actor *actor) must_check;
err_t snap_clone(struct actor *actor) must_check;
err_t snap_drop(struct actor *actor) must_check;
bool snaps_look(uint64_t *sum, char *text,
		size_t size) must_check; // of the volume that is mounted; false with *text: one is not what it was

// ---- recover.c -----------------------------------------------------------------------------------------------------------

struct explorer;

struct oracle {
	uint32_t steps; // digests are steps + 1
	uint64_t digests[STEPS_MAX + 1];
};

struct verdict {
	uint64_t digest; // of what was mounted
	bool failed;
	char text[CRASH_TEXT_SIZE];
};

// Checks, mounts, reads, writes, syncs, mounts again. `next`: what cuts of this run are judged by.
void recover_run(struct explorer *ex, struct verdict *verdict, struct oracle *next);

// Checks, mounts and reads; everything must be whole.
void whole_run(struct explorer *ex, struct verdict *verdict);

// Checks, mounts and reads a damaged disk. Whether it tells the truth where it tells anything; *refused: it told an error.
bool damage_run(struct explorer *ex, const struct tree *wanted, bool *refused) must_check;

// ---- explore.c, damage.c, place.c ---------------------------------------------------------------------------------------------

#define STACK_MAX 512u
#define BRANCHES_MAX 400u // runs at one boundary
#define VERDICTS_MAX 4096u
#define KNOWN_CONFIRMED 64u // one in so many

struct branch {
	uint32_t count;
	struct choice choices[CHOICES_MAX];
};

// One level of cuts: what was recorded, and the image that it was written on.
struct level {
	struct image image;
	struct recording recording;
	struct oracle oracle;
	struct memo memo;
	uint32_t verdict_count;
	struct {
		uint64_t digest;
		bool failed;
	} verdicts[VERDICTS_MAX];
	uint32_t stack_count;
	struct branch stack[STACK_MAX];
	uint32_t at; // boundary
	struct branch branch;
};

struct explorer {
	struct crash_disk_state disk;
	struct crash_call *call;
	struct rand_stream rand;
	struct level levels[CRASH_DEPTH_MAX + 1];
	struct tree model[STEPS_MAX + 1];
	err_t errors[STEPS_MAX];
	struct verdict verdict;
	struct tree found;
	uint32_t nested[CRASH_DEPTH_MAX]; // recoveries that have been cut again
};

void explore_cuts(struct explorer *ex, uint32_t depth);
void explore_damage(struct explorer *ex);
void violation_add(struct explorer *ex, const char *text, const char *place);

// A place of cuts: "@boundary[block:version,…]" for each level. next: false at the end, and with *wrong where the text is no place.
void place_print(const struct explorer *ex, uint32_t depth, char *text, size_t size);
bool place_next(const char **text, uint32_t *at, struct branch *branch, bool *wrong) must_check;

// A place of damage: "!lost:write", "!misdirected:write:block", "!flip:block", "!back:generations".
bool place_damage(const char *text, const char *kind, uint32_t *numbers, uint32_t count) must_check;

// The place in call->only. -EINVAL: this sequence has none such.
err_t cut_replay(struct explorer *ex) must_check;
err_t damage_replay(struct explorer *ex) must_check;

#endif
