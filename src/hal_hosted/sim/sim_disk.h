// SPDX-License-Identifier: MIT
//
// Simulated disks. A disk is a base, which is an image of the host and does not change, and an overlay of physical blocks in host memory.
//
// A block of the overlay has versions: the durable one (or the base), then one for every write since the last FLUSH that covered it. A FLUSH covers
// the writes that were completed before it was submitted. At a power cut each block keeps one of its versions, drawn; of those that were
// being written at that moment one may be destroyed whole. The image that is left can be published into the file that the base came from.
//
// What a request does happens when it is submitted; its end comes at a drawn time. Faults are drawn for each request from a stream of the disk's, so
// the same seed has the same faults:
//   eio=N reads and writes fail   full=N writes find no room   lost=N writes are said to be done and are not   torn=N only their first sectors are
//   misdirected=N they go elsewhere   stale=N reads see the durable version   flip=N one bit of what is read is wrong   lying=N a FLUSH does nothing
//   slow=N it takes a thousand times as long    — each one time in N
//   cut=N the power goes with the N-th write of this disk
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "../host_disk.h"
#include "sim_impl.h"

enum sim_fault {
	SIM_FAULT_EIO,
	SIM_FAULT_FULL,
	SIM_FAULT_LOST,
	SIM_FAULT_TORN,
	SIM_FAULT_MISDIRECTED,
	SIM_FAULT_STALE,
	SIM_FAULT_FLIP,
	SIM_FAULT_LYING,
	SIM_FAULT_SLOW,
	SIM_FAULT_COUNT
};

struct sim_faults {
	uint32_t one_in[SIM_FAULT_COUNT]; // 0: never
	uint64_t cut;                     // 0: never
};

// Errors, noted for tb_error(NULL): -EINVAL.
tb_err sim_faults_parse(const char *path, const char *text, struct sim_faults *faults) TB_MUST_USE;

// One write's version of a physical block.
struct sim_version {
	uint64_t ended; // number of the write that it belongs to, in order of completion; TB_FOREVER: under way
	uint32_t slot;
	struct sim_version *older;
	uint8_t bytes[];
};

struct sim_block {
	uint64_t index;
	struct sim_version *newest; // NULL: the durable one is what is read
	uint8_t *durable;           // NULL: the base's
	struct sim_block *next;     // in its bucket
	struct sim_block *next_dirty;
	bool dirty; // on the list of those with versions
};

struct sim_request {
	bool active;
	bool is_write, is_flush, is_fua;
	uint64_t offset_bytes, size_bytes; // where a write went
	uint64_t due_ns;
	uint64_t covers; // a FLUSH: writes that ended before it
	uint64_t order;  // of submission
	tb_err err;
};

struct sim_disk {
	struct host_disk *host;
	uint32_t block_bytes;
	struct sim_faults faults;
	struct sim_stream chance;
	uint64_t writes, ended, submitted;
	uint64_t bucket_count, block_count;
	struct sim_block **buckets;
	struct sim_block *dirty;
	struct sim_request requests[HAL_BLOCK_DEPTH];
};

struct sim_disks {
	uint32_t count;
	bool cut; // the power is gone
	struct sim_disk disks[];
};

// sim_disk.c. When the kernel asks for disks, what the bases hold is an input of the run: hashed, recorded, and compared by a replay, which stops the
// world when it differs. Errors, noted: -ENOMEM, -EINVAL, -EIO; asked: -EPROTO.
tb_err sim_disks_open(struct sim_instance *instance) TB_MUST_USE;
tb_err sim_disks_asked(struct tb_instance *host) TB_MUST_USE;
tb_err sim_disks_publish(struct sim_instance *instance) TB_MUST_USE; // what was asked for; -EIO
void sim_disks_free(struct sim_instance *instance);
tb_err sim_block_submit(struct tb_instance *instance, const struct hal_block_request *request, bool *done) TB_MUST_USE;
bool sim_block_take(struct tb_instance *instance, uint32_t *disk, uint32_t *slot, tb_err *err);

// sim_overlay.c: what a disk holds. Reading sees the newest version, or with `stale` the durable one. Errors: -EIO (the base), -ENOMEM.
tb_err sim_overlay_read(struct sim_disk *disk, uint64_t offset_bytes, void *bytes, size_t size_bytes,
			bool stale) TB_MUST_USE;
tb_err sim_overlay_write(struct sim_disk *disk, uint32_t slot, uint64_t offset_bytes, const void *bytes,
			 size_t size_bytes) TB_MUST_USE;        // NULL: zeroes
void sim_overlay_flush(struct sim_disk *disk, uint64_t covers); // versions that ended before become durable
void sim_overlay_cut(struct sim_disk *disk);                    // one version of each survives
tb_err sim_overlay_publish(struct sim_disk *disk) TB_MUST_USE;  // into the host's file

// The write of this slot, which went there, is complete.
void sim_overlay_ended(struct sim_disk *disk, uint32_t slot, uint64_t offset_bytes, uint64_t size_bytes);
void sim_overlay_settle(struct sim_disk *disk, uint64_t offset_bytes,
			uint64_t size_bytes); // what ended last, there, is durable
void sim_overlay_free(struct sim_disk *disk);

#endif
