// SPDX-License-Identifier: MIT
//
// The base component: what must stand before anything else can report, count or fail. First in every persona.
#ifndef KERN_BASE_H
#define KERN_BASE_H

#include "kern/kernel.h"

struct hal_boot_info;

// Makes the log, the trace rings and the counters of all CPUs from the boot arena, by the persona's sizes. STAGE_BASE: CPU 0,
// masked, after struct cpu of every CPU exists. Errors: -ENOMEM.
err_t base_init(struct kernel *kernel, const struct hal_boot_info *info) must_check;

// The invariants of log and trace rings (VERIFY). Any context. Always 0.
err_t base_check(void) must_check;

#endif
