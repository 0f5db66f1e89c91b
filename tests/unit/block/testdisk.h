// SPDX-License-Identifier: MIT
//
// A disk for tests: in memory, slow, with little room, and it tells what it was asked. Commands end in a timer's interrupt, later ones often
// before earlier ones.
#ifndef TESTDISK_H
#define TESTDISK_H

#include "kern/block.h"
#include "kern/rand.h"
#include "kern/timer.h"

#define TESTDISK_DEPTH 4u
#define TESTDISK_LOG 64u

struct testdisk;

struct testdisk_command {
	struct timer timer;
	struct block_command *command;
	struct testdisk *disk;
};

struct testdisk_entry {
	uint32_t op, flags, segments;
	uint64_t sector, sectors;
};

struct testdisk {
	struct block_device *device;
	struct spinlock lock;
	struct rand_stream rand; // lock
	uint8_t *bytes;
	uint32_t count;                          // atomic: commands
	struct testdisk_entry log[TESTDISK_LOG]; // of the first; lock
	uint32_t held;                           // atomic: commands do not end before testdisk_release()
	uint32_t fail_op;                        // atomic: commands of this operation fail; BLOCK_OP_COUNT: none
	uint64_t fail_sector;                    // and have this sector in their range
	uint32_t waiting;                        // lock: commands that are held
	struct block_command *held_commands[TESTDISK_DEPTH];
};

struct testdisk_params {
	uint64_t sectors;
	uint32_t logical_bytes, physical_bytes, flags, transfer_sectors, segments;
};

// Fills in what is 0: 2,048 sectors of 512, 16 a command, four segments. NULL: no memory.
struct testdisk *testdisk_make(const struct testdisk_params *params);
err_t testdisk_free(struct testdisk *disk) must_check; // -EBUSY
void testdisk_hold(struct testdisk *disk);
void testdisk_release(struct testdisk *disk);

#endif
