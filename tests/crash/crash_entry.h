// SPDX-License-Identifier: MIT
//
// What the two halves of the crash explorer share: the host hands in sequences of operations, the kernel's side runs them and takes the power away.
#ifndef CRASH_ENTRY_H
#define CRASH_ENTRY_H

#include "tbos/types.h"

#define CRASH_OPS_MAX 8u
#define CRASH_DEPTH_MAX 3u
#define CRASH_TEXT_SIZE 400u
#define CRASH_PLACE_SIZE 1200u
#define CRASH_BITS 256u

enum crash_disk {
	CRASH_DISK_HONEST,
	CRASH_DISK_NO_FLUSH, // says that a FLUSH is done, and loses what it covered
	CRASH_DISK_NO_FUA,   // takes FUA for an ordinary write
	CRASH_DISK_COUNT
};

enum crash_part {
	CRASH_CUTS = 1u << 0,  // the power goes, anywhere
	CRASH_DAMAGE = 1u << 1 // one write is lost, another misdirected, a bit flips
};

struct crash_sums {
	uint64_t sequences;
	uint64_t boundaries;             // places where the power goes: during a write, behind a sync that returned
	uint64_t writes;                 // of them, during writes
	uint64_t runs[CRASH_DEPTH_MAX];  // recoveries that were run and judged, by depth
	uint64_t known;                  // crash states whose recovery had been run: it reads the same blocks
	uint64_t confirmed;              // of them: were run all the same
	uint64_t damage_runs;            // the same with damage instead of a cut
	uint64_t damage_known;           // damaged disks whose reading had been run
	uint64_t damage_refused;         // of them: something answered with an error
	uint64_t damage_back;            // went back to an older tree, whole, because both copies of a node were hit
	uint64_t cut_short;              // boundaries with more states than are tried
	uint64_t stands_for[CRASH_BITS]; // boundaries with 2^n crash states, torn and destroyed blocks aside
};

struct crash_call {
	uint8_t ops[CRASH_OPS_MAX];
	uint32_t op_count;
	uint64_t seed;
	uint32_t disk;                      // enum crash_disk
	uint32_t parts;                     // enum crash_part
	uint32_t depth;                     // 1 … CRASH_DEPTH_MAX
	uint32_t nest[CRASH_DEPTH_MAX - 1]; // one recovery of so many is cut again
	char only[CRASH_PLACE_SIZE];        // this place alone; "": all

	// What came out.
	struct crash_sums sums;
	uint32_t violations;
	char what[CRASH_TEXT_SIZE];
	char place[CRASH_PLACE_SIZE];
};

// The first violation ends a sequence. Within the instance. prepare: makes the disk and the volume that every sequence begins with, arg is a bool: with a tree of two levels;
// 0, or an error. run: arg is struct crash_call; 0, or -EINVAL:
// `only` names no place of this sequence.
int64_t tb_crash_prepare(void *arg);
int64_t tb_crash_run(void *arg);

// Operations by number, from outside as well; NULL past the last.
const char *tb_crash_op_name(uint32_t op);
const char *tb_crash_op_text(uint32_t op);

#endif
