// SPDX-License-Identifier: MIT
//
// A volume for who works on it whether it is mounted or not.
#ifndef PXFS_USE_IMPL_H
#define PXFS_USE_IMPL_H

#include "fs_impl.h"

// `where`: a device ("ram0", "/dev/ram0") or a path on a mounted volume. The volume stays in use until volume_unuse(), also when it is unmounted
// meanwhile. Thread context, sleeps. Errors: those of volume_take() with *problem, of vfs_stat(); -EINVAL: no PXFS is there.
err_t volume_use(const char *where, bool read_only, struct pxfs_volume **volume, const char **problem) must_check;

// Makes durable what was changed. Errors: those of pxfs_commit() and volume_close().
err_t volume_unuse(struct pxfs_volume *volume) must_check;

// pxfs_commit() and pxfs_generation_close() of all that is mounted of it, if anything is.
err_t volume_commit(struct pxfs_volume *volume) must_check;
err_t volume_generation_close(struct pxfs_volume *volume) must_check;

#endif
