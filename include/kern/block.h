// SPDX-License-Identifier: MIT
//
// Block devices: who uses one (filesystems, special files, tools) and who drives one (RAM disk, the HAL's disks, loop devices, partitions). The
// page in src/core/block/block_impl.h tells how requests travel.
//
// What a device promises, and no more: a FLUSH covers the writes that were completed before it was submitted; FUA covers its own write.
// Until then any subset of the written blocks may survive a power cut, in any version written since the last FLUSH, and the physical block
// that was being written may be destroyed whole. Requests that overlap and are under way at the same time have no order.
#ifndef KERN_BLOCK_H
#define KERN_BLOCK_H

#include "kern/list.h"
#include "kern/lock.h"
#include "kern/rbtree.h"
#include "kern/sync.h"

#define SECTOR_SHIFT 9u
#define SECTOR_SIZE (1u << SECTOR_SHIFT)
#define BLOCK_NAME_SIZE 16u
#define BLOCK_PHYSICAL_MAX 65536u // bytes

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,   // no range
	BLOCK_DISCARD, // what is read there afterwards is anything that was ever written to the device, or zeroes
	BLOCK_ZERO,    // reads as zeroes afterwards
	BLOCK_OP_COUNT
};

enum block_request_flags {
	BLOCK_FUA = 1u << 0 // WRITE, ZERO: durable when done
};

enum block_device_flags {
	BLOCK_READ_ONLY = 1u << 0,
	BLOCK_VOLATILE = 1u << 1, // has a cache that a power cut empties; without it FLUSH and FUA have nothing to do
	BLOCK_HAS_FUA = 1u << 2,  // knows FUA itself; else it is a write and a FLUSH
	BLOCK_HAS_DISCARD = 1u << 3, // else -EOPNOTSUPP
	BLOCK_HAS_ZERO = 1u << 4,    // else zeroes are written
	BLOCK_REMOVABLE = 1u << 5    // made at run time; block_remove() may be asked for
};

// A piece of memory in instance RAM; size a multiple of the device's logical block.
struct block_segment {
	void *at;
	uint32_t size_bytes;
};

// ---- users ---------------------------------------------------------------------------------------------------------------

struct block_device;

// One transfer, its submitter's until it is done; zeroed before it is filled in. All ranges in sectors of 512 bytes, multiples of the logical block.
struct block_request {
	struct block_device *device;
	uint32_t op;    // enum block_op
	uint32_t flags; // enum block_request_flags
	uint64_t sector;
	uint64_t sectors; // READ, WRITE: what the segments hold
	const struct block_segment
		*segments; // READ, WRITE; theirs and their memory's contents are the device's meanwhile
	uint32_t segment_count;
	err_t error; // when done

	// Called when all of it is done or has failed: in any context, interrupts too; neither sleeps nor submits. The last access to the request
	// is the call.
	void (*done)(struct block_request *request);
	void *arg; // the submitter's

	// The queue's.
	struct list_node link;  // pending, or of its command
	struct rb_node place;   // pending: by op and sector
	uint64_t at;            // sector on the disk itself
	uint64_t issued;        // sectors that commands have been made for
	uint32_t segment, into; // where the next command begins in the segments
	uint32_t commands;      // under way
	uint32_t stage;         // enum request_stage
	uint64_t since_ns;
};

// Takes the request. What is wrong with it is told by done: -EINVAL (misaligned, segments that do not add up), -EIO (beyond the end, or the
// device says so), -EROFS, -EOPNOTSUPP, -ENODEV (the device is going). Thread context, may sleep, no spinlock held.
void block_submit(struct block_request *request);

// The same for several of one device, in list order by `link`; they are looked at together, so neighbours become one command.
void block_submit_list(struct list *requests);

// One transfer, waited for. `buffer` is in instance RAM and size_bytes a multiple of the logical block. Thread context, sleeps. Errors: as above.
err_t block_read(struct block_device *device, uint64_t sector, void *buffer, size_t size_bytes) must_check;
err_t block_write(struct block_device *device, uint64_t sector, const void *buffer, size_t size_bytes,
		  uint32_t flags) must_check;
err_t block_flush(struct block_device *device) must_check;
err_t block_discard(struct block_device *device, uint64_t sector, uint64_t sectors) must_check;
err_t block_zero(struct block_device *device, uint64_t sector, uint64_t sectors, uint32_t flags) must_check;

// For those who submit several and wait for all: block_batch_init(), then each request by block_batch_add(), which sets done and arg; then
// block_batch_wait(). Errors: the first in order of completion.
struct block_batch {
	struct completion all;
	uint32_t left;  // atomic: under way, and one for who adds
	uint32_t error; // atomic: negated
};
void block_batch_init(struct block_batch *batch);
void block_batch_add(struct block_batch *batch, struct block_request *request); // submits
err_t block_batch_wait(struct block_batch *batch) must_check;                   // once

// ---- devices by name -------------------------------------------------------------------------------------------------

// A user of a device: it cannot go meanwhile. `exclusive`: nobody else has it, nor a partition of it, nor the disk that it is a
// partition of, exclusively, and nobody will. `holder`: static, for people. "/dev/" before a name is taken off, here and in block_remove_by_name(). Thread
// context. Errors: -ENODEV, -EBUSY.
err_t block_open(const char *name, bool exclusive, const char *holder, struct block_device **out) must_check;
void block_close(struct block_device *device, bool exclusive);

// The same by number, as special files carry it, and for who uses it with others.
err_t block_open_number(uint32_t major, uint32_t minor, struct block_device **out) must_check;

// Around each write, discard and the like of one who does not have the device exclusively: nobody gets it exclusively meanwhile. Thread context. Errors:
// -EBUSY (somebody has it, a partition of it, or the disk that it is a partition of).
err_t block_write_begin(struct block_device *device) must_check;
void block_write_end(struct block_device *device);

// Bytes from anywhere on the device: blocks that are written in part are read first, with no other write by these calls under way. `buffer` is in
// instance RAM. Thread context, sleeps. Errors: those of transfers, -ENOMEM.
err_t block_read_bytes(struct block_device *device, uint64_t offset_bytes, void *buffer, size_t size_bytes) must_check;
err_t block_write_bytes(struct block_device *device, uint64_t offset_bytes, const void *buffer, size_t size_bytes,
			uint32_t flags) must_check;

struct block_stats {
	uint64_t requests[BLOCK_OP_COUNT]; // done
	uint64_t sectors[BLOCK_OP_COUNT];
	uint64_t commands; // that the driver was given
	uint64_t merged;   // requests that rode in another's command
	uint64_t split;    // commands that were parts of a request
	uint64_t errors;
	uint64_t wait_ns; // summed over requests, from submission to done
	uint32_t pending, under_way, under_way_peak;
};

struct block_info {
	char name[BLOCK_NAME_SIZE];
	char model[48];
	const char *holder;      // NULL: nobody has it exclusively
	uint64_t sectors, start; // start: of a partition, on its disk
	uint32_t logical_bytes, physical_bytes;
	uint32_t flags, users;
	uint32_t major, minor; // of special files
	uint32_t serial;       // ≥ 1; what is made later has a greater one
	bool is_partition;
	struct block_stats stats;
};

// The n-th device, disks each followed by their partitions; false past the last. Thread context.
bool block_info_at(uint32_t n, struct block_info *info) must_check;
void block_device_info(struct block_device *device, struct block_info *info);

// The name itself of one that may have "/dev/" before it.
const char *block_name_of(const char *text);

// Another number whenever devices came or went. Any context.
uint32_t block_generation(void);
uint64_t block_sectors(const struct block_device *device);
uint32_t block_logical_bytes(const struct block_device *device);
uint32_t block_physical_bytes(const struct block_device *device);
uint32_t block_flags(const struct block_device *device);

// Reads the partition table again: what is not in use goes, what the table says comes, named NAMEp1 …. *problem: what is wrong with
// the table, for people; NULL. Thread context. Errors: -EBUSY (a partition is in use), -EIO, -ENOMEM; a table that is damaged is none of these.
err_t block_partitions_read(struct block_device *device, const char **problem) must_check;

// Every invariant of every queue; when nobody submits. -EUCLEAN with a log line.
err_t block_check(void) must_check;

// ---- drivers ---------------------------------------------------------------------------------------------------------

// What a driver is given: one range, one run of segments, all within the limits. Its own until block_command_done().
struct block_command {
	struct block_device *device;
	uint32_t op, flags;
	uint64_t sector, sectors;
	struct block_segment *segments;
	uint32_t segment_count;
	uint32_t tag; // 0 … depth-1
	void *driver; // limits.command_bytes, for the driver

	// The queue's.
	struct list_node free_link;
	struct list whole;          // requests it carries, in order of place
	struct block_request *part; // or one of which it is a part
	uint32_t state;             // atomic, enum command_state
	err_t error;
};

struct block_limits {
	uint64_t sectors;
	uint32_t logical_bytes, physical_bytes; // powers of two, 512 ≤ logical ≤ physical ≤ BLOCK_PHYSICAL_MAX
	uint32_t flags;                         // enum block_device_flags
	uint32_t depth;                         // commands at a time, 1 … 256
	uint32_t transfer_sectors;              // of a READ or WRITE, at least a physical block
	uint32_t segments;                      // of one, 1 … 1024
	uint64_t range_sectors;                 // of a DISCARD or ZERO; 0: any
	uint32_t command_bytes;
};

// Numbers as Linux gives them: a driver's minors are what its devices are numbered by; partitions, and devices whose drivers have no number, share one.
#define BLOCK_MAJOR_RAM 1u
#define BLOCK_MAJOR_LOOP 7u
#define BLOCK_MAJOR_SHARED 259u

struct block_driver {
	const char *model;
	uint32_t major; // 0: BLOCK_MAJOR_SHARED

	// Begins the command, or does it. Called where block_submit() or block_command_done() was: a driver that sleeps in it tells nothing done
	// in interrupts.
	void (*start)(struct block_command *command);
	void (*remove)(struct block_device *device); // the device is going, no command is under way; gives back `data`
};

// irq-safe. From start() too: then it counts as done when start() returns.
void block_command_done(struct block_command *command, err_t error);

// Makes a device known; `name` is copied, "ram" and the like get the next free number where it ends in '%'. The caller's `limits` is copied. Thread
// context. Errors: -EINVAL, -EEXIST, -ENOMEM.
err_t block_add(const char *name, const struct block_driver *driver, const struct block_limits *limits, void *data,
		struct block_device **out) must_check;

// The same, and the caller is a user of it from the beginning: nobody takes it away before block_close().
err_t block_add_open(const char *name, const struct block_driver *driver, const struct block_limits *limits, void *data,
		     struct block_device **out) must_check;

// Takes it away, with its partitions. -EBUSY: somebody uses it. Thread context, sleeps.
err_t block_remove(struct block_device *device) must_check;
void *block_data(const struct block_device *device);
const char *block_name(const struct block_device *device);

// ---- devices of the core -----------------------------------------------------------------------------------------------

// A disk in memory that is taken as it is written; what was never written, or was discarded, is zeroes. Removed by name with ramdisk_remove().
// physical_bytes 0: 4096. Thread context. Errors: -EINVAL, -ENOMEM.
err_t ramdisk_create(uint64_t size_bytes, uint32_t logical_bytes, uint32_t physical_bytes,
		     struct block_device **out) must_check;

// Takes away a device that was made at run time. Errors: -ENODEV, -EBUSY, -EPERM (it is the machine's).
err_t block_remove_by_name(const char *name) must_check;

// Component: the machine's disks become devices. Boot, thread context. Errors: -ENOMEM.
err_t block_init(struct kernel *kernel) must_check;
void block_stop(void);

#endif
