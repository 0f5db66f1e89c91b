// SPDX-License-Identifier: MIT
//
// Twins: a tree of a mounted volume and one of a tmpfs, the model, which get the same calls. Every answer must be the same, and so must be all that can
// be seen of the trees. What differs is said once, and ends the run.
//   stress_name.c calls with paths · stress_file.c calls on open files · stress_tree.c comparing and copying trees
//   stress_test.c one thread, with snapshots, rollback, remounts · stress_race_test.c many threads on one volume
#ifndef PXFS_STRESS_H
#define PXFS_STRESS_H

#include "kern/base.h"
#include "kern/err.h"
#include "kern/process.h"
#include "kern/rand.h"
#include "kern/test.h"
#include "kern/vfs.h"

#define TWIN_SIDES 2u
#define TWIN_HELD 4u
#define TWIN_FILE_BYTES 200000u // no file grows beyond, but by fallocate
#define TWIN_IO_BYTES 70000u    // of one call
#define TWIN_PATH_BYTES 320u
#define TWIN_MARK_S 1000000000 // times that were set begin here, and are compared
#define TWIN_MARKS 1000

enum twin_side {
	TWIN_PXFS,
	TWIN_MODEL
};

// An open file of both, with or without a name.
struct twin_held {
	bool open;
	int32_t fd[TWIN_SIDES];
};

struct twin {
	struct test_run *run;
	struct rand_stream rand;
	const char *tops[TWIN_SIDES];
	bool may_be_full; // -ENOSPC of the volume is right, and changes nothing
	bool wrong;       // something differs, and has been said
	uint32_t steps, full, compared;
	const char *doing;
	struct twin_held held[TWIN_HELD];
	uint8_t *bytes[TWIN_SIDES]; // TWIN_IO_BYTES each
};

bool twin_make(struct twin *twin, struct test_run *run, const char *pxfs_top, const char *model_top) must_check;
void twin_free(struct twin *twin);

// One random call, or a few that belong together.
void twin_step(struct twin *twin);
void twin_release(struct twin *twin); // closes what is held
void twin_differ(struct twin *twin, const char *format, ...) printf_like(2, 3);
void twin_require(struct twin *twin, err_t err, const char *what); // a call that must not fail
const char *twin_path(const struct twin *twin, enum twin_side side, const char *name, char *buffer);

// What can be seen of the two trees and of the files held; `holes`: with SEEK_DATA and SEEK_HOLE of the volume's.
void twin_compare(struct twin *twin, bool holes);

// The same for two trees by their paths.
void trees_compare(struct twin *twin, const char *pxfs_top, const char *model_top, bool holes);

// All that is compared of the tree `from` is made in the empty directory `to`.
void tree_copy(struct twin *twin, const char *from, const char *to);

// What a run came to, one line on the console; sweeps add these up.
struct stress_sums {
	uint32_t steps, compared, full, snapshots, rollbacks, mounts;
};
void stress_report(const struct stress_sums *sums);

// ---- between stress_name.c and stress_file.c --------------------------------------------------------------------------------------

// A call with what it needs, done on each side by a function of its own kind.
struct twin_call {
	struct twin *twin;
	char a[128], b[128]; // names below the top, with a slash in front
	struct twin_held *held, *other;
	uint32_t flags, mode;
	uint64_t offset, offset2, size;
	const char *name;
	const void *value;
	struct tb_time times[2];
	struct tb_handle handle[TWIN_SIDES];
	int32_t fd[TWIN_SIDES];
	size_t done[TWIN_SIDES];
	uint64_t at[TWIN_SIDES];
};

typedef err_t (*twin_fn)(struct twin_call *call, enum twin_side side);

// Both sides do it; the error, when it is the same. Where the volume is full the model does nothing: -ENOSPC.
err_t twin_both(struct twin_call *call, const char *doing, twin_fn fn);
void name_draw(struct twin *twin, char name[128]);
void held_keep(struct twin *twin, const int32_t fd[TWIN_SIDES]); // in the place of another
void twin_name_step(struct twin *twin);
void twin_file_step(struct twin *twin);

static inline struct process *twin_root(void)
{
	return vfs_monitor_process();
}

#endif
