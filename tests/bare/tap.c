// SPDX-License-Identifier: MIT
//
// See tap.h. Nothing here needs a kernel: the conformance kernel has no formatting of its own.
#include "tap.h"

#include "hal/console.h"

static size_t length(const char *text)
{
	size_t size = 0;
	while (text[size] != '\0')
		size++;
	return size;
}

void tap_print(const char *text)
{
	hal_console_write(text, length(text));
}

void tap_number(uint64_t value)
{
	char digits[24];
	uint32_t at = sizeof digits;
	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	tap_print(digits + at);
}

void tap_line(const char *word, uint32_t index, const char *suite, const char *name, const char *reason)
{
	tap_print(word);
	tap_print(" ");
	tap_number(index);
	tap_print(" ");
	tap_print(suite);
	tap_print(".");
	tap_print(name);
	if (reason != NULL) {
		tap_print(" # ");
		tap_print(reason);
	}
	tap_print("\r\n");
}

void tap_filter_read(struct tap_filter *filter, const char *text)
{
	uint32_t size = 0;
	*filter = (struct tap_filter){.first = 0};
	while (*text != '\0' && *text != '@' && *text != '!' && size + 1 < sizeof filter->prefix)
		filter->prefix[size++] = *text++;
	if (*text == '@')
		text++;
	while (*text >= '0' && *text <= '9')
		filter->first = filter->first * 10 + (uint32_t)(*text++ - '0');
	filter->alone = *text == '!';
}

bool tap_filter_takes(const struct tap_filter *filter, uint32_t index, const char *suite, const char *name)
{
	const char *prefix = filter->prefix;
	if (index < filter->first || (filter->alone && index != filter->first))
		return false;
	while (*prefix != '\0' && *suite != '\0' && *prefix == *suite) {
		prefix++;
		suite++;
	}
	if (*prefix == '\0')
		return true;
	if (*suite != '\0' || *prefix++ != '.')
		return false;
	while (*prefix != '\0' && *prefix == *name) {
		prefix++;
		name++;
	}
	return *prefix == '\0';
}
