// SPDX-License-Identifier: MIT
//
// What an instance says, or the end of it, for the message of a fuzz target that fails.
#ifndef KEPT_CONSOLE_H
#define KEPT_CONSOLE_H

#include <stddef.h>
#include <string.h>

static char console[65536];
static size_t console_size;

static inline void console_keep(void *ctx, const char *bytes, size_t size)
{
	(void)ctx;
	if (size >= sizeof console - console_size)
		console_size = 0;
	if (size >= sizeof console)
		return;
	memcpy(console + console_size, bytes, size);
	console_size += size;
	console[console_size] = '\0';
}

#endif
