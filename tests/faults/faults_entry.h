// SPDX-License-Identifier: MIT
//
// Between the allocation failure test's two halves.
#ifndef FAULTS_ENTRY_H
#define FAULTS_ENTRY_H

#include "tbos/types.h"

struct tb_faults_call {
	const char *commands; // monitor line to run after the parts; NULL: none
	bool parts;           // use the allocators, threads and timers directly
	uint32_t errors;      // out: parts that were refused memory
	int32_t status;       // out: of the commands
};

int64_t tb_faults_workload(void *arg); // for tb_call(); struct tb_faults_call *
int64_t tb_faults_meet(void *arg); // for tb_call(): sleeps, so that several calls are inside at once; uint32_t *errors

#endif
