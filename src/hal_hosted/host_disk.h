// SPDX-License-Identifier: MIT
//
// Disks of the host: files and block devices, opened with the instance, closed with it. All on host stacks.
//
// An image has one writer. Another TBOS that has it is found by a lock on the open file, which programs like QEMU take too; anybody else who has
// it open for writing is found by asking for a read lease, where the host allows that. Block devices are opened exclusively.
#ifndef HOST_DISK_H
#define HOST_DISK_H

#include "host_impl.h"

#include "hal/block.h"

struct host_disk {
	char *path;
	int fd;      // -1: closed
	bool device; // a block device, not a file
	bool memory; // the file lies in the host's memory (tmpfs): nothing waits for anything
	uint64_t offset_bytes;
	uint32_t failed; // atomic: a flush has failed, and what it lost nobody knows
	struct hal_block_info info;
};

// Opens what the configuration names. Errors, noted for tb_error(NULL): -EINVAL, -ENOMEM, -EBUSY, those of open(2). host_disks_close() either way.
tb_err host_disks_open(struct tb_instance *instance) TB_MUST_USE;
void host_disks_close(struct tb_instance *instance);

// Does a request that the door has checked, and waits for it. Errors: those of hal_block_submit().
tb_err host_disk_run(struct host_disk *disk, const struct hal_block_request *request) TB_MUST_USE;

// The same as far as it can be done without waiting; -EAGAIN: it cannot.
tb_err host_disk_try(struct host_disk *disk, const struct hal_block_request *request) TB_MUST_USE;

#endif
