// SPDX-License-Identifier: MIT
//
// Named read-only blobs from outside, for those above the core: boot modules on machines of their own, host files when hosted. What
// they hold is frozen while they are open. See hal/module.h.
#ifndef KERN_MODULE_H
#define KERN_MODULE_H

#include "kern/err.h"

struct module {
	int32_t id;
	uint64_t size_bytes;
};

// Thread context. Errors: -ENOENT, -EACCES, -EISDIR, -EFBIG, -EMFILE, -EIO.
err_t module_open(const char *name, struct module *module) must_check;

// Copies [offset, offset + size_bytes) into RAM. Thread context. Errors: -EINVAL (outside), -EIO.
err_t module_read(const struct module *module, uint64_t offset, void *buffer, size_t size_bytes) must_check;
void module_close(struct module *module);

// Whether this machine was told to fill its tree from a module at boot; its name is MODULE_INITRAMFS. Any context.
#define MODULE_INITRAMFS "initramfs"
bool module_has_initramfs(void);

#endif
