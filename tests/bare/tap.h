// SPDX-License-Identifier: MIT
//
// TAP over the console of a bare machine, for runs that may die at any point: each body is announced before it runs, so that
// whoever reads (run_qemu.py) knows where to go on in a next boot.
//
//   # begin 17 sync_mutex.excludes        ok 17 sync_mutex.excludes        # end
//   # alone 18 base_assert.fails expect TEXT    a body that must panic: needs a boot of its own
#ifndef TESTS_BARE_TAP_H
#define TESTS_BARE_TAP_H

#include "tbos/types.h"

// test=FILTER[@FIRST][!]: bodies whose name begins with FILTER, from index FIRST; with '!' only that one, also if it must panic.
struct tap_filter {
	char prefix[64];
	uint32_t first;
	bool alone;
};

void tap_filter_read(struct tap_filter *filter, const char *text);
bool tap_filter_takes(const struct tap_filter *filter, uint32_t index, const char *suite, const char *name);

void tap_print(const char *text);
void tap_number(uint64_t value);
// "WORD INDEX SUITE.NAME" and, when not NULL, the reason after " # ".
void tap_line(const char *word, uint32_t index, const char *suite, const char *name, const char *reason);

#endif
