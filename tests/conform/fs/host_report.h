// SPDX-License-Identifier: MIT
//
// What the runners on the host's side share: counting checks and telling those that fail, and the list of bodies.
#ifndef HOST_REPORT_H
#define HOST_REPORT_H

#include <stdio.h>

#include "fsconform.h"

// The state of struct fsc, or its beginning.
struct fsc_report {
	void *actor; // own_calls.h
	uint32_t checks, failures;
};

static inline void fsc_report_check(struct fsc *fsc, bool ok, int64_t got, int64_t wanted, const char *what,
				    const char *file, int line)
{
	struct fsc_report *report = fsc->state;
	report->checks++;
	if (ok)
		return;
	report->failures++;
	printf("# %s:%d: %s (%lld, %lld)\n", file, line, what, (long long)got, (long long)wanted);
}

static const struct {
	const char *name;
	void (*run)(struct fsc *fsc);
} fsc_bodies[] = {
#define X(name) {#name, fsc_##name},
	FSC_BODIES(X)
#undef X
};

#define FSC_BODY_COUNT (sizeof fsc_bodies / sizeof fsc_bodies[0])

#endif
