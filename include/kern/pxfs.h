// SPDX-License-Identifier: MIT
//
// PXFS for tools and tests: making a volume, checking one, what one says of itself. Mounting goes through kern/vfs.h like any filesystem's. What PXFS is stands in
// docs/PXFS_DESIGN.md.
#ifndef KERN_PXFS_H
#define KERN_PXFS_H

#include "kern/err.h"
#include "tbos/pxfs_types.h"

struct block_device;

struct pxfs_format_params {
	const char *label;      // at most 63 bytes; NULL: none
	uint64_t size_bytes;    // 0: the device's
	uint32_t block_bytes;   // 4,096 … 65,536, at least the device's physical block; 0: that, or 4,096
	uint32_t node_bytes;    // 16,384 … 65,536; 0: 16,384 or the block
	uint32_t copies;        // of metadata: 1 or 2; 0: 2
	uint64_t log_bytes;     // 0: some percent of the volume
	uint32_t method, level; // of compression, until a directory says otherwise: enum pxfs_method
	uint32_t cluster_bytes; // 16 KiB … 1 MiB; 0: 64 KiB
};

enum pxfs_method {
	PXFS_METHOD_LZ4 = 0, // the default
	PXFS_METHOD_ZSTD = 1,
	PXFS_METHOD_NONE = 2,
	PXFS_METHOD_COUNT
};

// Makes an empty volume on a device that nobody uses. What was there is lost. Thread context, sleeps. Errors: -EINVAL with *problem, -ENODEV, -EBUSY, -ENOSPC, -EIO,
// -ENOMEM, -EROFS.
err_t pxfs_format(const char *device, const struct pxfs_format_params *params, const char **problem) must_check;

// Subvolumes, snapshots and clones of the volume on a device, mounted or not: what tbos/pxfs_types.h says of each request, which are the same as ioctl() of what is
// mounted; `of` "" is the default subvolume. *problem (may be NULL): a reason for people, when there is one. Thread context, sleeps. Errors: those of the request, of
// mounting.
err_t pxfs_subvolume(const char *device, enum tb_pxfs_request request, const struct tb_pxfs_names *names,
		     const char **problem) must_check;
err_t pxfs_subvolume_next(const char *device, struct tb_pxfs_subvolume *out, const char **problem) must_check;

// What a check came to. Counts of what was looked at, and of what is wrong.
struct pxfs_check_report {
	uint64_t nodes, items, inodes, names, extents, sectors;
	uint64_t problems; // that are left
	uint64_t
		repaired; // nodes' copies that were damaged and have been written again from the other (with PXFS_CHECK_REPAIR)
	uint64_t mended;      // counts, names, items and maps that were put right (with PXFS_CHECK_REPAIR)
	uint64_t data_errors; // of problems: extents that cannot be read as they were written (with PXFS_CHECK_DATA)
};

enum pxfs_check_flags {
	PXFS_CHECK_DATA = 1u << 0, // reads all data too, and compares checksums
	PXFS_CHECK_REPAIR =
		1u << 1, // writes a node's damaged copy again from the other one, and puts right what can be
};

// Reads all of a volume that nobody uses and recomputes everything that it says of itself: nodes, order, names and links, sizes, extents, references, the space
// map, what rests, and both copies of each node. With PXFS_CHECK_REPAIR counts, names that lead nowhere, items that are nobody's, inodes without names and the space map are
// put right, each is said, and all is looked at again; where a node could not be read, or two things lie in one place, nothing is. `say` (may be NULL) is called for each problem, with text for people. Changes nothing without PXFS_CHECK_REPAIR. Memory: a bit a sector of regions that are
// used, 32 bytes an inode, 24 an extent. Thread context, sleeps. Errors: those of mounting (*problem), -ENOMEM; problems are no error.
err_t pxfs_check_volume(const char *device, uint32_t flags, void (*say)(void *arg, const char *text), void *arg,
			struct pxfs_check_report *report, const char **problem) must_check;

struct pxfs_sizes {
	uint64_t old_bytes, new_bytes;
};

// Makes a volume larger, mounted or not: size_bytes, or 0: as large as its device. A power cut leaves it as large as it was, or as it is to be. The same size is no
// error, but a smaller one is. `where` as for pxfs_scrub(). When a commit fails with -ENOSPC or -ENOMEM the volume is larger in memory, and on disk from the
// next commit on. Thread context, sleeps. Errors: those of mounting, -EINVAL (with *problem: smaller, larger than the device, by too little), -EROFS, -EIO, -ENOMEM,
// -ENOSPC.
err_t pxfs_grow(const char *where, uint64_t size_bytes, struct pxfs_sizes *sizes, const char **problem) must_check;

// What a scrub came to, or has come to so far.
struct pxfs_scrub_report {
	uint64_t nodes, extents, bytes; // that were read; bytes: of extents, as they are stored
	uint64_t bytes_used;            // of the volume when it began, about: nodes with their copies, data, what rests
	uint64_t damaged;               // copies of nodes, and superblocks
	uint64_t repaired;              // of them
	uint64_t lost_nodes, lost_extents;
	bool stopped; // it is not the whole volume
};

enum pxfs_scrub_flags {
	PXFS_SCRUB_REPAIR = 1u << 0 // writes a damaged copy again from what is sound
};

struct pxfs_scrub_calls {
	// What is lost, with text for people: the subvolume, the inode and where it is cheap its path, the offset. NULL: nobody is told.
	void (*say)(void *arg, const char *text);
	// Often; false: the scrub is to stop. NULL: it goes on to the end.
	bool (*progress)(void *arg, const struct pxfs_scrub_report *report);
	void *arg;
};

// Reads all of a volume, both copies of each node, all data and the superblocks, and compares them with their checksums. `where`: a device, or a path on a volume that is
// mounted. Others may use it meanwhile: what they write during the scrub is not looked at, and nobody waits for longer than it takes to read some nodes. It stops when
// the last one unmounts the volume. What was found is counted in the superblock. Memory: 1.2 MiB, and a bit a block of regions with nodes. Thread context, sleeps. Errors:
// those of mounting (*problem), -EINVAL (*problem: no PXFS is there), -ENOMEM, those of a commit; what is damaged or lost is no error.
err_t pxfs_scrub(const char *where, uint32_t flags, const struct pxfs_scrub_calls *calls,
		 struct pxfs_scrub_report *report, const char **problem) must_check;

#endif
