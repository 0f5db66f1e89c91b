// SPDX-License-Identifier: MIT
//
// Between the allocation failure test's two halves.
#ifndef FAULTS_ENTRY_H
#define FAULTS_ENTRY_H

#include "tbos/types.h"

struct tb_faults_result {
	uint32_t errors; // parts of the workload that were refused memory
	int32_t status;
};

int64_t tb_faults_workload(void *arg); // for tb_call(); struct tb_faults_result *

#endif
