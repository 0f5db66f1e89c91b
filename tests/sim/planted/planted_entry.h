// SPDX-License-Identifier: MIT
//
// What the host's half of the planted programs calls.
#ifndef PLANTED_ENTRY_H
#define PLANTED_ENTRY_H

#include "tbos/types.h"

struct tb_planted_info {
	const char *name;
	const char *mistake;
	uint32_t depth;
};

struct tb_planted_call {
	uint32_t index;
	bool bug;
};

bool tb_planted_describe(uint32_t index, struct tb_planted_info *info); // false past the last
int64_t tb_planted_run(void *arg); // for tb_call(); struct tb_planted_call *; 1 when misbehaviour was seen

#endif
