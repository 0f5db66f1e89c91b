// SPDX-License-Identifier: MIT
//
// Faults on purpose (fault_main.c), for the test of their reports.
#ifndef TESTS_BARE_FAULT_H
#define TESTS_BARE_FAULT_H

#include "tbos/types.h"

// Makes the fault of that name. Returns only when there is none of it, or nothing came of it.
bool fault_make(const char *name);

#endif
