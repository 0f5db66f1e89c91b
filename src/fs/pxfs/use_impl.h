// SPDX-License-Identifier: MIT
//
// A volume for who works on it whether it is mounted or not.
#ifndef PXFS_USE_IMPL_H
#define PXFS_USE_IMPL_H

#include "fs_impl.h"

struct pxfs_use {
	struct pxfs_volume *volume;
	struct superblock *sb; // counted; NULL: it is not mounted, and this has opened it
};

// `where`: a device ("ram0", "/dev/ram0") or a path on a mounted volume. A volume that is mounted stays in use until volume_unuse(), also when it is unmounted
// meanwhile. Thread context, sleeps. Errors: those of volume_open() with *problem, of vfs_stat(); -EINVAL: no PXFS is there.
err_t volume_use(const char *where, bool read_only, struct pxfs_use *use, const char **problem) must_check;

// Makes durable what was changed. Errors: those of pxfs_commit() and volume_close().
err_t volume_unuse(struct pxfs_use *use) must_check;

// Nobody else uses it any more: who takes long ends.
bool volume_is_left(const struct pxfs_use *use);

#endif
