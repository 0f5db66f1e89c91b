// SPDX-License-Identifier: MIT
//
// Core door: named read-only blobs from outside: boot modules on bare machines, host files when hosted. Simulated, a
// module is an input: its size and hash are recorded, and a replay refuses other content.
#ifndef HAL_MODULE_H
#define HAL_MODULE_H

#include "hal/inline.h"

// Opens the blob `name` (hosted: a path on the host, ≤ 4095 bytes; "initramfs": the one that the instance was given for that). On success *id ≥ 0 and *size_bytes are set; the content
// is frozen until hal_module_close(). Thread context. Errors: -ENOENT, -EACCES, -EISDIR, -EFBIG, -EMFILE (16 open), -EIO.
tb_err hal_module_open(const char *name, int32_t *id, uint64_t *size_bytes) TB_MUST_USE;

// Copies bytes [offset, offset+size_bytes) into RAM. Errors: -EINVAL (outside the blob), -EBADF, -EIO. Thread context.
tb_err hal_module_read(int32_t id, uint64_t offset, void *buffer, size_t size_bytes) TB_MUST_USE;

void hal_module_close(int32_t id);

#endif
