// SPDX-License-Identifier: MIT
//
// Volumes as wholes (volume.c), for who mounts, makes and checks them.
#ifndef PXFS_VOLUME_IMPL_H
#define PXFS_VOLUME_IMPL_H

#include "pxfs_impl.h"

struct pxfs_format_params;

// Takes the device exclusively. *problem: for people, when the device holds no sound volume. Errors: those of block_open(), super_read().
err_t volume_open(const char *device, bool read_only, struct pxfs_volume **out, const char **problem) must_check;

// Writes what is dirty and gives everything back, whatever is returned. volume_abandon(): without writing.
err_t volume_close(struct pxfs_volume *volume) must_check;
void volume_abandon(struct pxfs_volume *volume);

// volumes.c. The volume on the device, counted: the one that is in use, or it is opened. The last to put it closes it. Errors: those of volume_open(), -EROFS (it
// is in use for reading only). Not within an epoch.
err_t volumes_init(void) must_check;
void volumes_fini(void);
err_t volume_take(const char *device, bool read_only, struct pxfs_volume **out, const char **problem) must_check;
err_t volume_put(struct pxfs_volume *volume) must_check;
bool volume_is_left(const struct pxfs_volume *volume); // nobody else uses it any more: who takes long ends

// A volume in memory whose superblocks are cleared on the device, with empty trees: the caller fills it and closes it.
err_t volume_format(const char *device, const struct pxfs_format_params *params, struct pxfs_volume **out,
		    const char **problem) must_check;

#endif
