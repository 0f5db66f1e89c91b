// SPDX-License-Identifier: MIT
//
// A model of a small tree for many threads. It says what one call may answer and what is so behind it; a search asks whether there is an order
// of all calls, one after the other, that keeps to what each thread saw and to when each call began and ended, and leaves what was found in
// the end (Herlihy and Wing 1990). Nothing here knows the filesystem.
//
// The tree. Three directories are known by descriptors, so that every call names one component: `top`, which stays, and two others, which move and
// go like all else. Two files are known by descriptors too; their contents are units, which a call writes whole.
#ifndef FS_MODEL_H
#define FS_MODEL_H

#include "kern/compiler.h"
#include "kern/err.h"

#define MODEL_DIRS 3u
#define MODEL_FILES 2u
#define MODEL_NAMES 4u
#define MODEL_UNITS 6u
#define MODEL_WORKERS 4u
#define MODEL_OPS 5u                                               // of a worker
#define MODEL_FIRST (MODEL_DIRS + MODEL_FILES)                     // nodes that nobody knows by a descriptor begin here
#define MODEL_NODES (MODEL_FIRST + 8u + MODEL_WORKERS * MODEL_OPS) // and here those that calls make
#define MODEL_MADE (MODEL_NODES - MODEL_WORKERS * MODEL_OPS)

enum model_kind {
	MODEL_CREATE,      // open with O_CREAT
	MODEL_CREATE_EXCL, // and O_EXCL
	MODEL_MKDIR,
	MODEL_UNLINK,
	MODEL_RMDIR,
	MODEL_RENAME,
	MODEL_LINK, // looks its source up first, and makes the name later
	MODEL_STAT,
	MODEL_WRITE,
	MODEL_TRUNCATE,
	MODEL_PUNCH,
	MODEL_KINDS
};

// A call: what was asked, what came, and when.
struct model_op {
	uint8_t kind;      // enum model_kind
	uint8_t dir, name; // of a file: `dir` is its number
	uint8_t dir2, name2;
	uint8_t flags; // of rename
	uint8_t unit, count, letter;
	err_t err;
	uint64_t ino;        // of stat and create; 0: not told
	bool directory;      // of stat
	uint32_t start, end; // places in the order of all beginnings and ends
};

struct model_node {
	uint64_t ino;  // 0: not known yet
	int8_t parent; // of a directory; -1: it is gone
	uint8_t exists, directory, links;
};

struct model {
	struct model_node nodes[MODEL_NODES];
	int8_t entries[MODEL_DIRS][MODEL_NAMES]; // nodes; -1: no such name
	uint8_t size[MODEL_FILES];               // units
	uint8_t letters[MODEL_FILES][MODEL_UNITS];
	int8_t found[MODEL_WORKERS]; // what a link has looked up; -1
};

void model_init(struct model *model); // empty: three directories, two files without names

enum model_step {
	MODEL_NO,   // the call cannot have answered so
	MODEL_HALF, // its first half can; the second is asked for by the same call again
	MODEL_DONE
};

// One call of `worker`, number `place` of all, at this moment. The model is changed unless the answer is MODEL_NO.
enum model_step model_apply(struct model *model, const struct model_op *op, uint32_t worker, uint32_t place,
			    bool second);

// Whether `end` is what `model` says, where it knows.
bool model_matches(const struct model *model, const struct model *end);

// 0; -EUCLEAN: there is no such order; -ENOMEM. Thread context.
err_t model_search(const struct model *begin, struct model_op ops[MODEL_WORKERS][MODEL_OPS],
		   const struct model *end) must_check;

#endif
