// SPDX-License-Identifier: MIT
//
// For tests of screens: is what is painted what was meant?
#ifndef UNIT_TTY_PAINTED_H
#define UNIT_TTY_PAINTED_H

#include "../../../src/core/tty/screen.h"

// Paints the screen onto a fresh one; panics where that remembers something else.
void painted_is_same(const struct screen *screen);

#endif
