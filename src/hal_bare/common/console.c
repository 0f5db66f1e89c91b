// SPDX-License-Identifier: MIT
//
// The console door over one UART, and what is printed before and beside the kernel. Output is polled: a byte leaves when the
// UART takes it, so that the last words before a crash are out. Input waits in the UART until the kernel asks; the interrupt only tells. A
// script (`c=` of the command line) takes the place of input. What is said before there is a UART is kept and said then.
#include "../arch.h"

#include "hal/console.h"

#include <stdarg.h>

#define EARLY_SIZE 2048u

static struct bare_uart *uart;
static struct bare_lock lock;
static bool unlocked; // fault reports go through, whoever holds the lock
static char early[EARLY_SIZE];
static uint32_t early_size;
static const char *script; // what is left of it
static bool scripted;
static uint32_t quiet; // atomic: the receive interrupt is off

static void write_bytes(const char *bytes, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		if (uart != NULL)
			uart->put(uart, bytes[i]);
		else if (early_size < EARLY_SIZE)
			early[early_size++] = bytes[i];
	}
}

void console_write_raw(const char *bytes, size_t size_bytes)
{
	bool was = unlocked || bare_lock_take(&lock);
	write_bytes(bytes, size_bytes);
	if (!unlocked)
		bare_lock_free(&lock, was);
}

void console_set(struct bare_uart *found)
{
	uart = found;
	write_bytes(early, early_size);
	early_size = 0;
}

void console_panic_mode(void)
{
	unlocked = true;
}

void console_script(const char *text)
{
	script = text;
	scripted = true;
}

void console_quiet(void)
{
	uart->receive(uart, false);
	__atomic_store_n(&quiet, 1, __ATOMIC_SEQ_CST);
}

void console_interrupt(struct bare_cpu *cpu)
{
	bare_irq(cpu, HAL_IRQ_CONSOLE);
}

void hal_console_write(const char *bytes, size_t size_bytes)
{
	console_write_raw(bytes, size_bytes);
}

// A script's lines end where it has ';' or '\n': the monitor knows both.
static size_t script_read(char *bytes, size_t size_bytes, bool *end)
{
	size_t size = 0;
	while (size < size_bytes && *script != '\0')
		bytes[size++] = *script++;
	*end = size == 0;
	return size;
}

size_t hal_console_read(char *bytes, size_t size_bytes, bool *end)
{
	size_t size = 0;
	bool was = bare_lock_take(&lock);
	*end = false;
	if (scripted) {
		size = script_read(bytes, size_bytes, end);
	} else {
		for (int byte; size < size_bytes && uart != NULL && (byte = uart->get(uart)) >= 0;)
			bytes[size++] = (char)byte;
		if (size < size_bytes && __atomic_exchange_n(&quiet, 0, __ATOMIC_SEQ_CST) != 0)
			uart->receive(uart, true);
	}
	bare_lock_free(&lock, was);
	return size;
}

void hal_console_wait(bool waits)
{
	(void)waits;
}

struct hal_window hal_console_window(void)
{
	return (struct hal_window){.columns = 80, .rows = 24};
}

// ---- formatted ---------------------------------------------------------------------------------------------------------

static void print_number(uint64_t value, uint32_t base, uint32_t width)
{
	char digits[24];
	uint32_t at = sizeof digits;
	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	while (sizeof digits - at < width && at > 0)
		digits[--at] = '0';
	console_write_raw(digits + at, sizeof digits - at);
}

// After a '%': flags "0", a width, "ll", then the letter. Returns what follows.
static const char *print_one(const char *format, va_list *args)
{
	uint32_t width = 0, longs = 0;
	for (; *format >= '0' && *format <= '9'; format++)
		width = width * 10 + (uint32_t)(*format - '0');
	for (; *format == 'l'; format++)
		longs++;
	uint64_t value = 0;
	if (*format == 'u' || *format == 'x')
		value = longs >= 1 ? va_arg(*args, uint64_t) : va_arg(*args, uint32_t);
	switch (*format) {
	case 's': {
		const char *text = va_arg(*args, const char *);
		console_write_raw(text, bare_strlen(text));
		break;
	}
	case 'c': {
		char byte = (char)va_arg(*args, int);
		console_write_raw(&byte, 1);
		break;
	}
	case 'u':
	case 'x':
		print_number(value, *format == 'u' ? 10 : 16, width);
		break;
	case 'p':
		print_number((uintptr_t)va_arg(*args, void *), 16, 16);
		break;
	default:
		console_write_raw(format, 1);
	}
	return format + 1;
}

static void print_list(const char *format, va_list *args)
{
	while (*format != '\0') {
		size_t size = 0;
		while (format[size] != '\0' && format[size] != '%' && format[size] != '\n')
			size++;
		console_write_raw(format, size);
		format += size;
		if (*format == '%') {
			format = print_one(format + 1, args);
		} else if (*format == '\n') {
			console_write_raw("\r\n", 2);
			format++;
		}
	}
}

void bare_print(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	print_list(format, &args);
	va_end(args);
}

void bare_die(const char *format, ...)
{
	va_list args;
	console_panic_mode();
	va_start(args, format);
	print_list(format, &args);
	va_end(args);
	bare_print("\n");
	bare_end(-5, true);
}
