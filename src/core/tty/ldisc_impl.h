// SPDX-License-Identifier: MIT
//
// The line discipline, for its own files.
//   ldisc.c       what is typed: flow, signals, mapping, line ends, the queue; modes
//   ldisc_edit.c  erasing, reprinting · ldisc_read.c reading · ldisc_echo.c what is shown
#ifndef LDISC_IMPL_H
#define LDISC_IMPL_H

#include "kern/ldisc.h"

#define PLACE(position) ((position) % LDISC_BYTES)
#define QUEUE_MAX (LDISC_BYTES - 1) // the last place is for a line's end

static inline bool has_i(const struct ldisc *ldisc, uint32_t flag)
{
	return (ldisc->termios.iflag & flag) != 0;
}

static inline bool has_l(const struct ldisc *ldisc, uint32_t flag)
{
	return (ldisc->termios.lflag & flag) != 0;
}

static inline bool is_canonical(const struct ldisc *ldisc)
{
	return (ldisc->termios.lflag & (TB_ICANON | TB_EXTPROC)) == TB_ICANON;
}

static inline bool is_char(const struct ldisc *ldisc, uint8_t byte, enum tb_termios_cc which)
{
	return byte != 0 && byte == ldisc->termios.cc[which];
}

static inline bool is_char_ext(const struct ldisc *ldisc, uint8_t byte, enum tb_termios_cc which)
{
	return has_l(ldisc, TB_IEXTEN) && is_char(ldisc, byte, which);
}

static inline uint32_t queue_used(const struct ldisc *ldisc)
{
	return ldisc->head - ldisc->tail;
}

static inline bool mark_at(const struct ldisc *ldisc, uint32_t position)
{
	return (ldisc->marks[PLACE(position) / 32] >> (position % 32)) & 1;
}

static inline bool is_utf8_tail(const struct ldisc *ldisc, uint8_t byte)
{
	return has_i(ldisc, TB_IUTF8) && (byte & 0xc0) == 0x80;
}

void ldisc_hold(struct ldisc *ldisc);                  // IXOFF: asks the other side to stop or to go on
bool ldisc_erase(struct ldisc *ldisc, uint8_t byte);   // whether it was a key that erases
void ldisc_reprint(struct ldisc *ldisc, uint8_t byte); // the line being typed, on a new row

#endif
