// SPDX-License-Identifier: MIT
//
// Virtual consoles: terminals that share the one the HAL has. On a terminal (HAL_BOOT_INTERACTIVE) there are VC_COUNT; one is shown and has the
// keyboard, the others go on out of sight, and are painted again when their turn comes. Alt-F1 to Alt-F4 choose, as does the switch key
// (console.switch_key: Ctrl-]) followed by the number, n(ext), p(revious); the switch key twice types itself. Elsewhere there is one, whose
// input is what the HAL's console gives, asked for when somebody reads.
#ifndef KERN_VC_H
#define KERN_VC_H

#include "kern/kernel.h"

#define VC_COUNT 4u

struct tty;

uint32_t vc_count(void);

// The console of that number from 1 on; 0: the one shown. It stays until shutdown. Thread context. NULL: there is none, or no memory for it.
struct tty *vc_tty(uint32_t number);

uint32_t vc_shown(void);
err_t vc_show(uint32_t number) must_check; // thread context, sleeps. -ENXIO: there is no such console

// Waits until that console has been shown for the first time; false: the end came before. Thread context.
bool vc_wait_shown(uint32_t number);

// Ends all input; the monitor says so at shutdown.
void vc_end(void);

#endif
