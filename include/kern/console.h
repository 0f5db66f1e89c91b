// SPDX-License-Identifier: MIT
//
// The console as a kernel object: bytes that the HAL has for us become a queue that threads read. Ctrl-C typed while somebody
// has asked for it is not queued but noted, so that a running command can be interrupted.
#ifndef KERN_CONSOLE_H
#define KERN_CONSOLE_H

#include "kern/kernel.h"

// Component: boot, thread context. Errors: -ENOMEM.
err_t console_init(struct kernel *kernel) must_check;
void console_stop(void);

// Waits for one byte. Thread context. Errors: -ENODATA (input has ended), -ESHUTDOWN (console_stop, shutdown), -ETIMEDOUT.
err_t console_read_byte(uint8_t *byte, uint64_t deadline_ns) must_check;

#if !CONFIG_TINY
// Waits for some bytes, or until the HAL has interrupted since *looks was given by the call before (the terminal's size may be another): then
// *done_bytes is 0. One reader at a time; errors as above.
err_t console_read(uint8_t *bytes, size_t size_bytes, size_t *done_bytes, uint32_t *looks,
		   uint64_t deadline_ns) must_check;
#endif

// From here on Ctrl-C is noted instead of queued; console_interrupted() says whether that has happened since. Thread context.
void console_watch_interrupt(bool watch);
bool console_interrupted(void);

// Ends all waits in console_read_byte() with -ESHUTDOWN.
void console_wake(void);

// Any context.
void console_write(const char *bytes, size_t size_bytes);

#endif
