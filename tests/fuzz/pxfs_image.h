// SPDX-License-Identifier: MIT
//
// What the fuzz targets of PXFS share: an image in memory as a disk, what it was when it was sound, and using all that is found on it.
#ifndef FUZZ_PXFS_IMAGE_H
#define FUZZ_PXFS_IMAGE_H

#include "../../src/fs/pxfs/volume_impl.h"

#include "kern/pxfs.h"

struct process;

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

struct image {
	struct block_device *device;
	uint8_t *bytes, *sound; // what the disk holds; what it held at image_keep()
	size_t size_bytes;
	struct spinlock lock; // a transfer, or image_copy()
	uint32_t files;       // that image_walk() has come to, of those that it looks at
};

int64_t tb_fuzz_pxfs(void *arg); // each target's: struct fuzz_input *

struct process *image_process(void);

// An empty volume on a new disk of that name. What fails is a VERIFY: here nothing is hostile yet.
void image_make(struct image *image, const char *name, size_t size_bytes, const struct pxfs_format_params *params);
void image_keep(struct image *image);
void image_restore(struct image *image);
void image_copy(struct image *image, uint8_t *to); // what the power leaves when it goes now; the volume may be in use
void image_request(struct image *image, enum tb_pxfs_request request, const char *name, const char *of);
void image_file_make(const char *path, uint32_t size, uint32_t pattern);

// At /p, a directory that image_make() makes. Errors: those of mounting.
err_t image_mount(struct image *image, uint32_t flags, const char *options) must_check;
void image_umount(void);

// Reads what lies below /p; with `write`, where that goes, some files are written to and cut, names made, moved and taken away.
void image_walk(struct image *image, bool write);

// Checks it, reading all data; nothing is written. How many problems; UINT64_MAX: it is refused.
uint64_t image_check(struct image *image);

// Scrubs and repairs it: what says that nothing is wrong any more is right.
void image_repair(struct image *image);

#endif
