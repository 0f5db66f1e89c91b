// SPDX-License-Identifier: MIT
//
// A terminal's line discipline (POSIX.1-2017 ch. 11, termios(3)): typed bytes in, echo and lines out. It does no I/O, takes no lock and never
// waits, so that a test or a fuzzer can drive it; struct tty adds those. Means what Linux's discipline 0 means, but for:
//   - a full line rings the bell (IMAXBEL) and drops what comes, where Linux overwrites its last byte;
//   - with IUTF8, letters beyond ASCII belong to words for VWERASE, whatever their first byte.
// Of the flags that Linux knows these do nothing: the parity ones and breaks (no line here has either), delays but XTABS, FLUSHO, PENDIN, XCASE.
#ifndef KERN_LDISC_H
#define KERN_LDISC_H

#include "tbos/tty_types.h"

#define LDISC_BYTES 4096u // typed and not read; a line has at most one less, its end included
#define LDISC_ECHOES 1024u

struct ldisc_ops {
	void (*output)(void *ctx, const char *bytes, size_t size_bytes); // to the screen
	void (*signal)(void *ctx, enum tb_tty_signal signal);
};

struct ldisc {
	struct tb_termios termios; // ldisc_set_termios() changes it
	const struct ldisc_ops *ops;
	void *ctx;

	// Typed bytes, a ring; positions count up. [tail, canon) are whole lines, [canon, head) is the line being typed; raw, all is one run.
	uint32_t head, canon, tail;
	uint32_t marks[LDISC_BYTES / 32]; // line ends, by place in the ring; a byte 0 there is an end of file
	uint8_t bytes[LDISC_BYTES];

	bool literal; // the next byte is itself: VLNEXT came
	bool erasing; // within the \…/ of ECHOPRT
	bool pushed;  // the byte before pushed_end ends a line only because ICANON came on behind it
	bool held;    // IXOFF: we have asked the other side to stop
	bool stopped; // output, by STOP or by TCOOFF
	bool stopped_by_call;

	uint32_t pushed_end;
	uint32_t column, canon_column; // of the cursor; where the line being typed began
	uint32_t echo_first, echo_count;
	uint16_t echoes[LDISC_ECHOES]; // what is still to be shown, while output is stopped
	uint32_t out_size;             // gathered for ops->output
	char out[128];
};

extern const struct tb_termios ldisc_sane; // canonical, with echo and signals, UTF-8: what a login finds

// Begins with those modes. `ldisc` is zeroed before.
void ldisc_init(struct ldisc *ldisc, const struct ldisc_ops *ops, void *ctx);

// What is typed. How many may come now without being lost; how many are taken is min(room, size). Without ICANON, or when there is a whole line
// to read, that is the space left; a line that grows too long loses bytes instead of stopping.
uint32_t ldisc_room(const struct ldisc *ldisc);
size_t ldisc_input(struct ldisc *ldisc, const uint8_t *bytes, size_t size_bytes);

// Takes up to size_bytes of what has been typed: of one line with ICANON, whose end it keeps to. *end: a read that has got this returns, be it
// with nothing (end of file). False in *end and 0: nothing to read yet.
size_t ldisc_read(struct ldisc *ldisc, uint8_t *buffer, size_t size_bytes, bool *end);

// Whether a read would find something; with ICANON, a whole line or an end of file. How many bytes (FIONREAD): ends of file count nothing.
bool ldisc_readable(const struct ldisc *ldisc);
uint32_t ldisc_waiting(const struct ldisc *ldisc);

// To the screen, post-processed if OPOST is on. The caller looks at `stopped` before.
void ldisc_output(struct ldisc *ldisc, const char *bytes, size_t size_bytes);

void ldisc_set_termios(struct ldisc *ldisc, const struct tb_termios *termios);
void ldisc_flush_input(struct ldisc *ldisc);
void ldisc_flow(struct ldisc *ldisc, enum tb_tty_flow action);

// 0, or -EUCLEAN.
int ldisc_check(const struct ldisc *ldisc);

// ldisc.c and ldisc_echo.c share: what is to be shown for typed bytes.
enum ldisc_echo {
	LDISC_ECHO_CONTROL = 0x100,   // | byte: ^X
	LDISC_ECHO_COLUMN = 0x200,    // the line being typed begins here
	LDISC_ECHO_BACK = 0x300,      // a byte that took no column
	LDISC_ECHO_ERASE_TAB = 0x400, // | columns since the tab before (| 8), or since the line began
};
void ldisc_echo_drop(struct ldisc *ldisc);               // all that is held back
void ldisc_echo_raw(struct ldisc *ldisc, uint32_t echo); // a byte, or an enum ldisc_echo
void ldisc_echo_char(struct ldisc *ldisc, uint8_t byte); // ^X for a control with ECHOCTL
void ldisc_echo_finish_erase(struct ldisc *ldisc);
void ldisc_echo_erase(struct ldisc *ldisc, uint32_t from, uint32_t size, bool one); // bytes behind head, just taken off
void ldisc_echo_show(struct ldisc *ldisc); // all, unless output is stopped; then what is gathered goes out

#endif
