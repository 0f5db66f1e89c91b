// SPDX-License-Identifier: MIT
//
// Assertions and panics of machines with small stacks: the same interface as panic.c, the message written piece by piece instead of
// built. Values are printed in hexadecimal.
#include "kern/panic.h"

#include "hal/console.h"
#include "hal/halt.h"
#include "kern/assert.h"
#include "kern/atomic.h"
#include "kern/fmt.h"
#include "kern/kernel.h"
#include "kern/string.h"

#define MESSAGE_SIZE 64u

static void enter(void)
{
	if (atomic_xchg_u32_relaxed_nopoint(&hal_kernel()->panicking, 1) != 0)
		hal_panic("panic inside a panic");
}

static void put(const char *text)
{
	hal_console_write(text, strlen(text));
}

static void put_hex(uint64_t value)
{
	bool begun = false;
	for (int32_t shift = 60; shift >= 0; shift -= 4) {
		uint32_t digit = (uint32_t)(value >> shift) & 15;
		begun = begun || digit != 0 || shift == 0;
		if (begun)
			hal_console_write(&"0123456789abcdef"[digit], 1);
	}
}

static void put_place(const char *file, uint32_t line)
{
	put("\r\n");
	put(file);
	put(", line 0x");
	put_hex(line);
	put(": ");
}

void panic(const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list arguments;

	enter();
	va_start(arguments, format);
	(void)kvsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	hal_panic(message);
}

void assert_fail(const char *expression, const char *file, uint32_t line)
{
	enter();
	put_place(file, line);
	hal_panic(expression);
}

void assert3_fail(const char *expression, uint64_t a, uint64_t b, const char *file, uint32_t line)
{
	enter();
	put_place(file, line);
	put_hex(a);
	put(", ");
	put_hex(b);
	hal_panic(expression);
}
