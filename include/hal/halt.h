// SPDX-License-Identifier: MIT
//
// Core door: the end of an instance, and the trace sink.
#ifndef HAL_HALT_H
#define HAL_HALT_H

#include "hal/inline.h"

// Ends the instance: no CPU returns from here, tb_* calls in flight return -ESHUTDOWN, the host gets `status` (≥ 0 an exit
// status, < 0 an error). Any context.
void hal_halt(int32_t status) __attribute__((__noreturn__));

// The kernel found itself broken: writes the message and a backtrace of the calling stack to the console, then ends the
// instance with the error -EIO and marks it panicked. Any context, also with locks held.
void hal_panic(const char *message) __attribute__((__noreturn__));

// Begins again from the machine's reset; hosted, ends the instance as hal_halt(0) does. Any context.
void hal_reboot(void) __attribute__((__noreturn__));

// Whether hal_panic(), and a fault, end in a reset instead of a halt. Nothing on machines that cannot. irq-safe.
void hal_reboot_on_panic(bool reboot);

// One trace event; `event` numbers the kernel's table, a and b hold no addresses. Simulated runs hash it, sinks write it. irq-safe.
struct hal_trace_event {
	uint64_t ts_ns;
	uint32_t cpu;
	uint32_t event;
	uint32_t thread;
	uint32_t reserved;
	uint64_t a, b;
};
void hal_trace_event(const struct hal_trace_event *event);

#endif
