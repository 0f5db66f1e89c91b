// SPDX-License-Identifier: MIT
//
// One terminal, two sides: the kernel's line discipline and a pseudo-terminal of the host. A script of bytes says what is done to both; they must
// show and give the same.
#ifndef CONFORM_TTY_SCRIPT_H
#define CONFORM_TTY_SCRIPT_H

#include "tbos/tty_types.h"

#define SCRIPT_SHOWN_MAX 65536u

struct side {
	bool (*open)(void);
	void (*close)(void);
	void (*get)(struct tb_termios *termios);
	void (*set)(const struct tb_termios *termios);
	void (*type)(const uint8_t *bytes, size_t size_bytes);
	bool (*output)(const char *bytes, size_t size_bytes); // false: stopped
	size_t (*shown)(char *buffer, size_t size_bytes);     // since the last call
	long (*read)(uint8_t *buffer, size_t size_bytes);     // without waiting; −1: nothing there
	uint32_t (*waiting)(void);                            // FIONREAD
	void (*flow)(uint32_t action);
	void (*flush)(uint32_t queue);
};

extern const struct side side_kernel, side_host;
void side_host_patience(uint32_t sleep_us); // after typing

// Runs a script on both. NULL, or how they differ (until the next call).
const char *script_run(const uint8_t *script, size_t size_bytes);

#endif
