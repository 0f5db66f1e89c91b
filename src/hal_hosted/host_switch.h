// SPDX-License-Identifier: MIT
//
// The bare stack switch (host_switch.c). Everybody but host_context.c goes through host_context.c, which tells the
// sanitizers.
#ifndef HOST_SWITCH_H
#define HOST_SWITCH_H

#include "hal/inline.h"

// What lies on top of a switched-out stack.
struct host_frame {
	uint32_t mxcsr;
	uint16_t fpu_control;
	uint16_t reserved;
	uintptr_t r15, r14, r13, r12, rbx, rbp;
	void (*start)(void); // the return address
};

// Saves the caller's registers on its stack and the stack pointer in *save, continues the stack `load`.
void host_switch(void **save, void *load);
// Continues the stack `load`; the caller's is lost.
void host_switch_away(void *load) __attribute__((noreturn));
// Calls fn(arg) on the stack that ends at `sp`, a multiple of 16.
void host_switch_call(void (*fn)(void *), void *arg, void *sp);
// First code of a new context: the return address in a prepared frame.
void host_switch_start(void);
// Writes a frame below `top` (a multiple of 16) that starts entry(arg); returns the stack pointer to switch to.
void *host_switch_frame(void *top, void (*entry)(void *), void *arg);

#endif
