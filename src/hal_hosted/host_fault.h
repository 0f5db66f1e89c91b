// SPDX-License-Identifier: MIT
//
// Faults of kernel code (host_fault.c).
#ifndef HOST_FAULT_H
#define HOST_FAULT_H

#include "host_impl.h"

// Takes SIGSEGV and SIGBUS over, once per process. Errors, noted for tb_error(NULL): -ENOMEM (no host thread record), -EINVAL.
tb_err host_fault_install(void) TB_MUST_USE;

#endif
