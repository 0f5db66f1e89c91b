// SPDX-License-Identifier: MIT
//
// The kernel's half, as the host's calls it.
#ifndef CONFORM_TTY_LDISC_SIDE_H
#define CONFORM_TTY_LDISC_SIDE_H

#include "tbos/tty_types.h"

void tb_side_open(void);
void tb_side_get(struct tb_termios *termios);
void tb_side_set(const struct tb_termios *termios);
size_t tb_side_type(const uint8_t *bytes, size_t size_bytes);
bool tb_side_output(const char *bytes, size_t size_bytes);
size_t tb_side_shown(char *buffer, size_t size_bytes);
long tb_side_read(uint8_t *buffer, size_t size_bytes);
uint32_t tb_side_waiting(void);
uint32_t tb_side_pending(void); // echoes that are held back
void tb_side_flow(uint32_t action);
void tb_side_flush(uint32_t queue);

#endif
