// SPDX-License-Identifier: MIT
//
// Terminals: Linux's numbers (its generic ABI: termbits.h, ioctls.h), see termios(3) and ioctl_tty(2).
#ifndef TBOS_TTY_TYPES_H
#define TBOS_TTY_TYPES_H

#include "tbos/types.h"

#define TB_NCCS 19

struct tb_termios {
	uint32_t iflag; // enum tb_termios_iflag
	uint32_t oflag;
	uint32_t cflag;
	uint32_t lflag;
	uint8_t line;        // discipline: 0
	uint8_t cc[TB_NCCS]; // enum tb_termios_cc; 0: none
};

struct tb_winsize {
	uint16_t rows, columns;
	uint16_t x_pixels, y_pixels; // 0: unknown
};

enum tb_termios_cc {
	TB_VINTR,
	TB_VQUIT,
	TB_VERASE,
	TB_VKILL,
	TB_VEOF,
	TB_VTIME,
	TB_VMIN,
	TB_VSWTC,
	TB_VSTART,
	TB_VSTOP,
	TB_VSUSP,
	TB_VEOL,
	TB_VREPRINT,
	TB_VDISCARD,
	TB_VWERASE,
	TB_VLNEXT,
	TB_VEOL2
};

enum tb_termios_iflag {
	TB_IGNBRK = 0x1,
	TB_BRKINT = 0x2,
	TB_IGNPAR = 0x4,
	TB_PARMRK = 0x8,
	TB_INPCK = 0x10,
	TB_ISTRIP = 0x20,
	TB_INLCR = 0x40,
	TB_IGNCR = 0x80,
	TB_ICRNL = 0x100,
	TB_IUCLC = 0x200,
	TB_IXON = 0x400,
	TB_IXANY = 0x800,
	TB_IXOFF = 0x1000,
	TB_IMAXBEL = 0x2000,
	TB_IUTF8 = 0x4000
};

enum tb_termios_oflag {
	TB_OPOST = 0x1,
	TB_OLCUC = 0x2,
	TB_ONLCR = 0x4,
	TB_OCRNL = 0x8,
	TB_ONOCR = 0x10,
	TB_ONLRET = 0x20,
	TB_OFILL = 0x40,
	TB_OFDEL = 0x80,
	TB_TABDLY = 0x1800,
	TB_XTABS = 0x1800
};

enum tb_termios_cflag {
	TB_B38400 = 0xf,
	TB_CS8 = 0x30,
	TB_CREAD = 0x80
};

enum tb_termios_lflag {
	TB_ISIG = 0x1,
	TB_ICANON = 0x2,
	TB_XCASE = 0x4,
	TB_ECHO = 0x8,
	TB_ECHOE = 0x10,
	TB_ECHOK = 0x20,
	TB_ECHONL = 0x40,
	TB_NOFLSH = 0x80,
	TB_TOSTOP = 0x100,
	TB_ECHOCTL = 0x200,
	TB_ECHOPRT = 0x400,
	TB_ECHOKE = 0x800,
	TB_FLUSHO = 0x1000,
	TB_PENDIN = 0x4000,
	TB_IEXTEN = 0x8000,
	TB_EXTPROC = 0x10000
};

// Requests of ioctl, and what their argument points to.
enum tb_tty_request {
	TB_TCGETS = 0x5401,  // struct tb_termios, filled in
	TB_TCSETS = 0x5402,  // struct tb_termios
	TB_TCSETSW = 0x5403, // the same, when output has gone
	TB_TCSETSF = 0x5404, // the same, and input that was not read is dropped
	TB_TCSBRK =
		0x5409, // int32_t: not 0 waits until output has gone; 0 would send a break, which no terminal here has
	TB_TCXONC = 0x540a,     // int32_t, enum tb_tty_flow
	TB_TCFLSH = 0x540b,     // int32_t, enum tb_tty_queue
	TB_TIOCOUTQ = 0x5411,   // int32_t, filled in: bytes that wait to go out
	TB_TIOCSTI = 0x5412,    // uint8_t: as if it had been typed
	TB_TIOCGWINSZ = 0x5413, // struct tb_winsize, filled in
	TB_TIOCSWINSZ = 0x5414, // struct tb_winsize
	TB_FIONREAD = 0x541b    // int32_t, filled in: bytes that a read would find
};

enum tb_tty_flow {
	TB_TCOOFF, // output stops
	TB_TCOON,
	TB_TCIOFF, // asks the other side to stop: sends STOP
	TB_TCION
};

enum tb_tty_queue {
	TB_TCIFLUSH,
	TB_TCOFLUSH,
	TB_TCIOFLUSH
};

// Signals that a terminal sends.
enum tb_tty_signal {
	TB_SIGHUP = 1,
	TB_SIGINT = 2,
	TB_SIGQUIT = 3,
	TB_SIGTSTP = 20,
	TB_SIGWINCH = 28
};

#endif
