// SPDX-License-Identifier: MIT
//
// The module door's table (host_module.c), for host_tb.c.
#ifndef HOST_MODULE_H
#define HOST_MODULE_H

#include "host_impl.h"

void host_modules_init(struct tb_instance *instance);
void host_modules_close(struct tb_instance *instance); // what the kernel left open

#endif
