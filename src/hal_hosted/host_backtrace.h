// SPDX-License-Identifier: MIT
//
// What a panic and a fault print (host_backtrace.c), and names of code addresses (host_symbol.c). Host stack only.
#ifndef HOST_BACKTRACE_H
#define HOST_BACKTRACE_H

#include "host_impl.h"

// Message and backtrace of the kernel stack whose frame pointer is `frame`, to the console.
void host_panic_report(struct tb_instance *instance, const char *message, const void *frame);

// Registers and backtrace of a kernel that faulted.
void host_fault_report(struct tb_instance *instance, const struct host_fault *fault);

// "name+0x12 (file+0x3456)" of a code address, cut to size_bytes; what is not known is left out. Returns text.
const char *host_symbol_name(uintptr_t address, char *text, size_t size_bytes);

#endif
