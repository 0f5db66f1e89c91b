// SPDX-License-Identifier: MIT
//
// Random operations on a small tree of a mounted volume, for tests that compare what it was with what it is.
#ifndef PXFS_TEST_WORK_H
#define PXFS_TEST_WORK_H

#include "kern/err.h"
#include "kern/rand.h"

struct work {
	struct rand_stream rand; // the caller's
	const char *mount;
	bool synced; // the last one was an fsync that returned 0
};

err_t work_begin(struct work *work, const char *mount) must_check; // makes its two directories
void work_do(struct work *work);                                   // one operation; its errors are of no interest

// Of names, contents, attributes and one xattr of everything below a mount; times of access are left out.
uint64_t work_digest(const char *mount);

#endif
