// SPDX-License-Identifier: MIT
//
// Numbers that may be changed while the system runs: what a component names in struct component.tunables shows as /proc/sys/GROUP/NAME
// and in the monitor's `sysctl`.
#ifndef KERN_TUNABLE_H
#define KERN_TUNABLE_H

#include "kern/kernel.h"

struct tunable {
	const char *name;    // "group.name"
	const char *summary; // with the unit
	uint64_t min, max;
	uint64_t (*get)(void);
	err_t (*set)(uint64_t value); // within min … max. Thread context; NULL: it may only be read
};

// The n-th of the running persona's, from 0; NULL past the last. Any context.
const struct tunable *tunable_at(uint32_t n);
const struct tunable *tunable_find(const char *name); // NULL: there is none

// Text to value, blanks around it allowed. Thread context. Errors: -EINVAL (no number), -ERANGE (outside), -EACCES (may only be read),
// those of set.
err_t tunable_set(const struct tunable *tunable, const char *text) must_check;

#endif
