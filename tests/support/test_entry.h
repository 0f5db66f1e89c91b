// SPDX-License-Identifier: MIT
//
// Between a runner and the pre-linked kernel with its test bodies: the only names a runner needs beside tbos/tbos.h.
#ifndef TEST_ENTRY_H
#define TEST_ENTRY_H

#include "tbos/types.h"

// Bits of tb_test_info.flags; the same as enum test_flags of kern/test.h.
#define TB_TEST_SLOW 1u
#define TB_TEST_THREADS_ONLY 2u
#define TB_TEST_SIM_ONLY 4u
#define TB_TEST_PANICS 8u

struct tb_test_info {
	const char *suite;
	const char *name;
	const char *expect;
	uint32_t cpus;
	uint32_t flags;
};

struct tb_test_call {
	uint32_t index;
	uint32_t checks;
	uint32_t failures;
	uint32_t concurrent; // threads it started and timers it armed, with sleeps; 0: there was nothing to interleave
	char message[256];
};

uint32_t tb_test_count(void);
void tb_test_describe(uint32_t index, struct tb_test_info *info); // index < tb_test_count()
int64_t tb_test_body(void *arg);                                  // for tb_call(); arg: struct tb_test_call *

#endif
