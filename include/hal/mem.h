// SPDX-License-Identifier: MIT
//
// Core door: RAM. The RAM itself is described by struct hal_boot_info; here is what can be done to it.
#ifndef HAL_MEM_H
#define HAL_MEM_H

#include "hal/inline.h"

// Gives the pages of [start, start+size_bytes) back to the host; they read as zero afterwards. Both multiples of 4096, inside
// RAM. Where the machine has nothing to give back the HAL zeroes them. irq-safe.
void hal_ram_discard(void *start, size_t size_bytes);

// Instrumented builds: marks memory unusable (poison) or usable for the address sanitizer. Nothing elsewhere. irq-safe.
void hal_ram_poison(const void *start, size_t size_bytes);
void hal_ram_unpoison(const void *start, size_t size_bytes);

#endif
