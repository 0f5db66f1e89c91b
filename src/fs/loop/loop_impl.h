// SPDX-License-Identifier: MIT
//
// Loop devices.
//
// Purpose. A block device over a file. It stands here and not in src/core/block because it calls the filesystems, which the core may not.
//
// Files
//   loop.c      devices: making, listing, taking away; the component · worker.c commands, done with the file
//   cmd_loop.c  losetup
//
// A command's way. start() may be called with locks of a filesystem held, that of the device above all, so it does nothing but put the command into the
// loop's list; the loop's thread, which holds nothing, takes it from there, reads or writes the file through its own operations, and ends it. Commands of one device
// are done one after the other, so a FLUSH, which is an fsync of the file, covers all writes that were done before it.
//
// Memory. The thread needs none of its own but a block of zeroes, made at the beginning. What it writes may wait in the file's page cache: a writer over the
// dirty limit waits for the flusher of its own filesystem only, never for that of the filesystem on the loop, so the two do not wait for each
// other. When there is no memory for a page of the file, the file is flushed, which makes its pages clean, and the command tried once more;
// then it fails with -ENOMEM.
//
// The file's size is the device's when it is made. A file that is cut later makes what lies behind its end -EIO, reading or writing: a
// write there would make the file grow again, with zeroes where there was something. Who cuts it between that look and the write gets just that.
//
// Life. The file is held from loop_create() until the device has gone, and its mount with it. At shutdown filesystems are unmounted first, those on loops
// too; then the devices go, and with the last one the filesystems that only files of loops held.
//
// Locks: loop->lock, state->lock; leaves. May sleep: everything but start().
#ifndef LOOP_IMPL_H
#define LOOP_IMPL_H

#include "kern/loop.h"

#include "kern/kernel.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/vfs.h"
#include "kern/waitq.h"

#define LOOP_DEPTH 16u
#define LOOP_SEGMENTS 256u
#define LOOP_TRANSFER_BYTES MIB(1)
#define LOOP_ZEROES_BYTES KIB(64)

struct monitor_command;

struct loop_state {
	struct spinlock lock;
	struct list loops; // struct loop; lock
};

struct loop {
	struct list_node link; // state->loops
	struct file *file;     // counted
	struct block_device *device;
	struct thread *thread;
	struct spinlock lock;
	struct list commands; // struct loop_command; lock
	struct waitq wake;
	uint32_t stop;   // atomic
	uint8_t *zeroes; // LOOP_ZEROES_BYTES
	struct loop_info info;
};

// What each command of the queue has for us.
struct loop_command {
	struct list_node link;
	struct block_command *command;
};

static inline struct loop_state *loop_state(void)
{
	return kernel_self()->loops;
}

// worker.c
void loop_start(struct block_command *command);
void loop_main(void *arg); // struct loop

// cmd_loop.c
extern const struct monitor_command *const loop_commands[];

#endif
