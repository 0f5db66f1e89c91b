// SPDX-License-Identifier: MIT
//
// The component behind kmalloc() on small machines (core/mem/heap.c); its interface is kern/mem.h's.
#ifndef KERN_HEAP_H
#define KERN_HEAP_H

#include "kern/kernel.h"

err_t heap_init(struct kernel *kernel) must_check; // before frame_init() ends the boot arena. -ENOMEM
err_t heap_check(void) must_check;                 // -EUCLEAN with a log line

#endif
