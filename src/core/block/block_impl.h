// SPDX-License-Identifier: MIT
//
// Block devices.
//
// Purpose. Between those who read and write sectors and those who know a device. A request is what somebody wants; a command is what a driver is
// asked. The queue of a device makes commands of requests: neighbours become one, what is larger than the device takes is cut. Nothing
// is allocated on the way: a device has its commands, with room for their segments, from the beginning.
//
// Files
//   registry.c   devices by name and number, partitions as devices · user.c  who uses them
//   partition.c  reading tables (MBR, GPT) · partition_gpt.c
//   queue.c      submission, dispatch, completion · command.c what a command carries
//   wait.c       transfers that are waited for · bytes.c  those that are not whole blocks
//   ramdisk.c · disk.c  disks of the HAL · component.c
//
// A request's life. NEW ─submit→ PENDING (in the queue's list and tree) ─commands are made for all of it→ ISSUED ─the last of them is done→
// done(). A write that is to be durable, on a device that has no FUA of its own, goes once more: ISSUED → PENDING as a FLUSH → ISSUED → done().
//
// A command's life. FREE ─taken, filled→ STARTING ─start() returns→ RUNNING ─block_command_done()→ FREE. Done within start(): STARTING → DONE, and
// whoever called start() finishes it, so that inline completion does not recurse.
//
// Dispatch. Whoever submits or finishes takes commands while there are free ones and pending requests, one after the other: fill under the lock,
// start without it. Two CPUs may dispatch at once; order is by what they took. First come, first served, apart from neighbours: a request that
// ends where the oldest begins, or begins where it ends, rides along, as long as the limits allow. FLUSHes that wait become one: each
// covers what was completed before it was submitted, and the device flushes later than that.
//
// Partitions are devices without a queue: block_submit() moves the request to the disk's.
//
// Whoever is at work in a queue counts in `busy`, and leaves it as the last thing it does: then the device may go.
//
// Rules. queue.lock is taken masked, since commands end in interrupts; no driver, no done() is called under it. A device that goes takes no more
// requests (`going`), then waits for those under way. Users are counted under the registry's mutex. Who has a device exclusively writes to it alone: others
// that write are counted while they do.
//
// Locks, in order: device.edge_lock; registry.mutex; queue.lock. The RAM disk's rwlock is taken in start(), under neither.
#ifndef BLOCK_IMPL_H
#define BLOCK_IMPL_H

#include "kern/block.h"

#include "kern/fmt.h"
#include "kern/kernel.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/string.h"
#include "kern/sync.h"
#include "kern/timer.h"

#define BLOCK_DEPTH_MAX 256u
#define BLOCK_SEGMENTS_MAX 1024u
#define PARTITIONS_MAX 128u

enum request_stage {
	REQUEST_NEW,
	REQUEST_PENDING,
	REQUEST_ISSUED
};

enum command_state {
	COMMAND_FREE,
	COMMAND_STARTING,
	COMMAND_RUNNING,
	COMMAND_DONE // within start()
};

struct block_queue {
	struct spinlock lock;
	struct list pending;   // struct block_request, oldest first
	struct rb_root ranges; // those of them that no command has been made for, without FLUSHes
	struct list free;      // struct block_command
	uint32_t under_way;    // commands that are not free
	uint32_t busy;         // requests not done, and who is at work here
	struct waitq idle;     // when it falls to 0 and the device is going
	bool going;            // lock
	struct block_stats stats;
	struct block_command *commands;
	struct block_segment *segments; // depth × limits.segments
	uint8_t *driver_memory;
};

struct block_device {
	struct list_node link; // registry.devices; registry.mutex, as are users, holder, exclusive_parts
	char name[BLOCK_NAME_SIZE];
	char model[48];
	struct block_limits limits; // immutable
	const struct block_driver *driver;
	void *data;
	uint32_t users;
	const char *holder;            // who has it exclusively
	uint32_t exclusive_parts;      // partitions that somebody has exclusively
	uint32_t writers;              // who writes and has it not exclusively
	uint32_t part_writers;         // sum of its partitions' writers
	uint32_t major, minor, serial; // immutable
	struct rwlock edge_lock;       // writers: who writes blocks in part; readers: who writes whole ones. Of a disk

	// A partition.
	struct block_device *disk; // NULL: it is a disk itself
	uint64_t start;
	uint32_t number;

	struct block_queue queue; // of a disk
};

struct block_state {
	struct mutex mutex;
	struct list devices;  // in order of making; partitions behind their disk, by number
	void *zeroes;         // what BLOCK_ZERO writes where the device has none of its own
	struct disks *disks;  // NULL: the machine has none
	uint32_t last_serial; // mutex
	uint32_t generation;  // atomic, changed under mutex
};

static inline struct block_state *block_state(void)
{
	return kernel_self()->block;
}

#define ZEROES_SIZE 65536u

static inline struct block_device *disk_of(struct block_device *device)
{
	return device->disk == NULL ? device : device->disk;
}

// registry.c: under the registry's mutex; NULL: there is none.
struct block_device *device_find(const struct block_state *state, const char *name);
struct block_device *device_find_number(const struct block_state *state, uint32_t major, uint32_t minor);

// queue.c
void queue_init(struct block_queue *queue);
err_t queue_create(struct block_device *device) must_check; // -ENOMEM
void queue_drain(struct block_device *device);              // no more requests; returns when none is under way
void queue_resume(struct block_device *device);             // undoes it
void queue_destroy(struct block_device *device);
err_t queue_check(struct block_device *device) must_check;
void queue_stats(struct block_device *device, struct block_stats *stats);

// command.c, all with queue->lock held. command_fill(): makes the next command of what is pending; false: nothing is.
bool command_fill(struct block_device *device, struct block_command *command);
void request_pend(struct block_queue *queue, struct block_request *request, bool first);
void request_unpend(struct block_queue *queue, struct block_request *request);

// partition.c: what a table says. `read` fetches sectors of 512 bytes of the disk. *problem as in block_partitions_read(). Errors: those of read, -ENOMEM.
struct partition {
	uint64_t start, sectors;
	uint32_t number;
};
struct partition_source {
	err_t (*read)(const struct partition_source *source, uint64_t sector, void *buffer, size_t size_bytes);
	uint64_t sectors;
	uint32_t logical_bytes;
};
struct partition_table {
	uint32_t count;
	const char *kind;    // "mbr", "gpt", NULL: none
	const char *problem; // NULL
	struct partition partitions[PARTITIONS_MAX];
};
err_t partitions_scan(const struct partition_source *source, struct partition_table *table) must_check;
err_t gpt_scan(const struct partition_source *source, struct partition_table *table) must_check;
void partition_add(struct partition_table *table, uint32_t number, uint64_t start, uint64_t sectors,
		   uint64_t disk_sectors);

// disk.c
err_t disks_attach(struct kernel *kernel) must_check;
void disks_detach(void);

#endif
