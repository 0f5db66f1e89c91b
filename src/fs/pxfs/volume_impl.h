// SPDX-License-Identifier: MIT
//
// Volumes as wholes (volume.c), for who mounts, makes and checks them.
#ifndef PXFS_VOLUME_IMPL_H
#define PXFS_VOLUME_IMPL_H

#include "pxfs_impl.h"

struct pxfs_format_params;

// Takes the device exclusively. *problem: for people, when the device holds no sound volume. Errors: those of block_open(), super_read().
err_t volume_open(const char *device, bool read_only, struct pxfs_volume **out, const char **problem) must_check;

// Writes what is dirty and gives everything back, the subvolume (NULL: none) too, whatever is returned. volume_abandon(): without writing.
err_t volume_close(struct pxfs_volume *volume, struct pxfs_subvol *subvol) must_check;
void volume_abandon(struct pxfs_volume *volume);

// A volume in memory whose superblocks are cleared on the device, with empty trees: the caller fills it and closes it.
err_t volume_format(const char *device, const struct pxfs_format_params *params, struct pxfs_volume **out,
		    const char **problem) must_check;

#endif
