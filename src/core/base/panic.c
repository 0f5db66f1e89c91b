// SPDX-License-Identifier: MIT
//
// The end of the road: assertions that failed and plain panics, all through hal_panic().
#include "kern/panic.h"

#include "base_impl.h"

#include "hal/halt.h"
#include "kern/assert.h"
#include "kern/fmt.h"
#include "kern/kernel.h"

#define VALUE_SIZE 40u
#define DECIMAL_LIMIT (1ll << 40)

void panic(const char *format, ...)
{
	char message[PANIC_MESSAGE_SIZE];
	va_list arguments;

	if (atomic_xchg_u32_relaxed_nopoint(&hal_kernel()->panicking, 1) != 0)
		hal_panic("panic inside a panic");
	va_start(arguments, format);
	kvsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	log_write_ring(LOG_EMERG, message);
	hal_panic(message);
}

void assert_fail(const char *expression, const char *file, uint32_t line)
{
	panic("%s:%u: not true: %s", file, line, expression);
}

// Pointers into RAM without their address, wherever RAM lies; small numbers in decimal; other pointers; the rest in hexadecimal.
static void value_format(char text[VALUE_SIZE], uint64_t value)
{
	int64_t number = (int64_t)value;
	char pointer[FMT_POINTER_SIZE] = "";

	if (value == (uintptr_t)value)
		fmt_pointer(pointer, (const void *)(uintptr_t)value);
	bool is_small = number > -DECIMAL_LIMIT && number < DECIMAL_LIMIT;
	if (is_small && pointer[0] != 'r')
		ksnprintf(text, VALUE_SIZE, "%lld", (long long)number);
	else if (pointer[0] == 'r' || pointer[0] == 'i')
		ksnprintf(text, VALUE_SIZE, "%s", pointer);
	else
		ksnprintf(text, VALUE_SIZE, "%#llx", (unsigned long long)value);
}

void assert3_fail(const char *expression, uint64_t a, uint64_t b, const char *file, uint32_t line)
{
	char text_a[VALUE_SIZE], text_b[VALUE_SIZE];

	value_format(text_a, a);
	value_format(text_b, b);
	panic("%s:%u: not true: %s (%s, %s)", file, line, expression, text_a, text_b);
}
