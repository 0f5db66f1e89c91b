// SPDX-License-Identifier: MIT
//
// Core door: the console (byte streams; line editing is the kernel's) and entropy.
#ifndef HAL_CONSOLE_H
#define HAL_CONSOLE_H

#include "hal/inline.h"

// Writes bytes as they are. Does not fail: what cannot be written is dropped and counted by the HAL. irq-safe.
void hal_console_write(const char *bytes, size_t size_bytes);

// Takes up to size_bytes of waiting input; returns how many. 0 when none waits (HAL_IRQ_CONSOLE on CPU 0 follows) and, with
// *end set, when the input has ended. irq-safe.
size_t hal_console_read(char *bytes, size_t size_bytes, bool *end);

// Begins or ends the wait of a thread for more input, after hal_console_read() has had none. A HAL whose input stops the whole world
// until it comes (the simulator reading a file or pipe) takes more only in between; others do nothing. irq-safe.
void hal_console_wait(bool waits);

// Size of the terminal in characters, 80 × 24 when it is none. irq-safe.
struct hal_window {
	uint16_t columns, rows;
};
struct hal_window hal_console_window(void);

// Fills the buffer with random bytes (simulated: from the seed). irq-safe.
void hal_entropy(void *buffer, size_t size_bytes);

#endif
