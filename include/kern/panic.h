// SPDX-License-Identifier: MIT
//
// The end of an instance that found itself broken. Exhaustion and bad input never come here: they are errors.
#ifndef KERN_PANIC_H
#define KERN_PANIC_H

#include "kern/compiler.h"

#define PANIC_MESSAGE_SIZE (CONFIG_TINY ? 96u : 256u)

// Formats the message (kern/fmt.h's conversions, cut to PANIC_MESSAGE_SIZE-1 bytes), puts it in the log without taking a
// lock, and hands it to hal_panic(), which prints it with a backtrace and ends the instance. A panic inside a panic goes
// straight to the HAL. Any context, also with locks held.
noreturn void panic(const char *format, ...) printf_like(1, 2) cold_path;

#endif
