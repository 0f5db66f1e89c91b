// SPDX-License-Identifier: MIT
//
// Options of the instance's command line, "key=value key=value".
#ifndef KERN_OPTION_H
#define KERN_OPTION_H

#include "kern/kernel.h"

// The number given for `key` (0x… is hexadecimal). Errors: -ENOENT (not given), -EINVAL (no number). Any context.
err_t option_u64(const char *key, uint64_t *value) must_check;

// The same, `fallback` where none is given; what is no number is logged and counts as not given. Thread context or boot.
uint64_t option_u64_or(const char *key, uint64_t fallback);

#endif
