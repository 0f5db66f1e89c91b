// SPDX-License-Identifier: MIT
//
// Attributes that change by themselves: each inode that is dirty wants a leaf of its own when the epoch closes, so there must be room for it when it becomes it. Who
// changes modes, owners or times waits for an epoch to close where there is none; the time of an access is let go.
#include "fs_impl.h"

err_t pxfs_change(struct inode *inode)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	err_t err = epoch_enter(mount, false);

	if (err == 0)
		epoch_leave(mount);
	return err;
}

bool pxfs_keeps_atime(struct inode *inode)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct pxfs_volume *volume = mount->volume;
	uint64_t dirty = __atomic_load_n(&mount->dirty_count, __ATOMIC_RELAXED) + 1ull;

	return dirty * volume->copies <= __atomic_load_n(&volume->space.spare_chunks, __ATOMIC_RELAXED);
}
