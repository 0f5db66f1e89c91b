// SPDX-License-Identifier: MIT
//
// Character devices, for those who drive one: a number, a name in devfs, and operations. Opening a character special file of that number,
// wherever it lies, leads here.
#ifndef KERN_DEVICE_H
#define KERN_DEVICE_H

#include "kern/fs.h"

struct char_device {
	const char *name;      // in devfs
	uint32_t major, minor; // Linux's, where it has one (devices.txt)
	uint32_t mode;         // permissions in devfs
	// open() finds the device in file->data, and may put its own there. read and write move no position by themselves.
	const struct file_ops *ops;
};

// Makes devices known, or forgets them: an array that ends with a NULL name, static storage. Boot and shutdown, thread context. Errors: -EEXIST
// (a number is taken; none is known then), -ENOSPC.
err_t devices_register(const struct char_device *devices) must_check;
void devices_unregister(const struct char_device *devices);

// The n-th device, from 0; NULL past the last. Any thread context.
const struct char_device *device_at(uint32_t n);

#endif
