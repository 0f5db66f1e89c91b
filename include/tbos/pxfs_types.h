// SPDX-License-Identifier: MIT
//
// Requests to PXFS: ioctl() on any descriptor within a mounted subvolume. Subvolumes, snapshots and clones have names, of one space for a volume: 1 to 255 bytes,
// neither '/' nor ','. mount(2) takes "subvol=NAME".
#ifndef TBOS_PXFS_TYPES_H
#define TBOS_PXFS_TYPES_H

#include "tbos/types.h"

#define TB_PXFS_NAME_MAX 255

// All but TB_PXFS_SHOW: uid 0 only, on a volume that may be written; what they did is durable when they return. Errors: -EPERM, -EROFS, -EINVAL, -EEXIST (the name
// is taken), -ENOENT, -EBUSY (mounted, or clones were made of it), -ENOSPC, -EIO, -ENOMEM.
enum tb_pxfs_request {
	TB_PXFS_CREATE = 0x5801, // struct tb_pxfs_names: an empty subvolume `name`
	TB_PXFS_SNAPSHOT =
		0x5802, // `name`: what subvolume `of` is now, for ever; `of` "": the one that the descriptor is in
	TB_PXFS_CLONE = 0x5803,    // a subvolume `name` that begins as the snapshot `of` is
	TB_PXFS_DELETE = 0x5804,   // `name`; its space comes back in the background
	TB_PXFS_ROLLBACK = 0x5805, // subvolume `of`, which is not mounted, becomes what its snapshot `name` is
	TB_PXFS_SHOW = 0x5806      // struct tb_pxfs_subvolume: the first one with a number > `number`; -ENOENT: none
};

enum tb_pxfs_names_flags {
	TB_PXFS_NEWER_GO = 1u << 0 // rollback: snapshots that are newer are deleted; without, they are -EBUSY
};

struct tb_pxfs_names {
	uint32_t flags; // enum tb_pxfs_names_flags
	char name[TB_PXFS_NAME_MAX + 1];
	char of[TB_PXFS_NAME_MAX + 1];
};

enum tb_pxfs_subvolume_flags {
	TB_PXFS_IS_SNAPSHOT = 1u << 0,
	TB_PXFS_IS_DEFAULT = 1u << 1, // mounted when no name is given
	TB_PXFS_IS_GOING = 1u << 2    // being deleted
};

struct tb_pxfs_subvolume {
	uint64_t number; // in: behind this one; out
	uint64_t of;     // number of the subvolume that a snapshot is of, of the snapshot that a clone is of; 0
	uint64_t generation, created_s; // when it was made
	uint64_t clones;                // of a snapshot
	uint32_t flags;                 // enum tb_pxfs_subvolume_flags
	char name[TB_PXFS_NAME_MAX + 1];
};

#endif
