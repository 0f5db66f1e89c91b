// SPDX-License-Identifier: MIT
//
// Arithmetic on millionths. Products and quotients need more than 64 bits on the way; machines without 128-bit integers do them
// in 32-bit digits, and so does everybody else, so that results are the same everywhere.
#include "decimal.h"

struct wide {
	uint64_t high, low;
};

static uint64_t magnitude(int64_t value)
{
	return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static err_t sign_apply(uint64_t size, bool negative, int64_t *result)
{
	if (size > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	*result = negative ? (int64_t)(0 - size) : (int64_t)size;
	return 0;
}

static struct wide wide_mul(uint64_t a, uint64_t b)
{
	uint64_t low = (uint64_t)(uint32_t)a * (uint32_t)b;
	uint64_t middle = (a >> 32) * (uint32_t)b + (low >> 32);
	uint64_t other = (uint64_t)(uint32_t)a * (b >> 32) + (uint32_t)middle;
	return (struct wide){.high = (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32),
			     .low = other << 32 | (uint32_t)low};
}

// The quotient, rounded; false: more than 64 bits. Schoolbook, bit by bit: a calculator has the time.
static bool wide_div(struct wide n, uint64_t divisor, uint64_t *quotient)
{
	uint64_t rest = n.high;
	uint64_t result = 0;

	if (n.high >= divisor)
		return false;
	for (uint32_t i = 0; i < 64; i++) {
		bool carry = rest >> 63 != 0;
		rest = rest << 1 | (n.low >> (63 - i) & 1);
		result <<= 1;
		if (carry || rest >= divisor) {
			rest -= divisor;
			result |= 1;
		}
	}
	bool up = rest >= divisor - rest;
	*quotient = result + up;
	return !(up && result == UINT64_MAX);
}

err_t decimal_add(int64_t a, int64_t b, int64_t *result)
{
	int64_t sum;
	if (__builtin_add_overflow(a, b, &sum))
		return -ERANGE;
	*result = sum;
	return 0;
}

err_t decimal_sub(int64_t a, int64_t b, int64_t *result)
{
	int64_t difference;
	if (__builtin_sub_overflow(a, b, &difference))
		return -ERANGE;
	*result = difference;
	return 0;
}

err_t decimal_mul(int64_t a, int64_t b, int64_t *result)
{
	uint64_t size;
	if (!wide_div(wide_mul(magnitude(a), magnitude(b)), DECIMAL_ONE, &size))
		return -ERANGE;
	return sign_apply(size, (a < 0) != (b < 0), result);
}

err_t decimal_div(int64_t a, int64_t b, int64_t *result)
{
	uint64_t size;
	if (b == 0)
		return -EDOM;
	if (!wide_div(wide_mul(magnitude(a), DECIMAL_ONE), magnitude(b), &size))
		return -ERANGE;
	return sign_apply(size, (a < 0) != (b < 0), result);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

// One more digit; false: it does not fit.
static bool digit_add(uint64_t *size, char digit)
{
	return !__builtin_mul_overflow(*size, (uint64_t)10, size) &&
	       !__builtin_add_overflow(*size, (uint64_t)(digit - '0'), size);
}

err_t decimal_read(const char *text, size_t size_bytes, int64_t *value, size_t *used)
{
	uint64_t size = 0;
	uint32_t places = 0, digits = 0;
	bool point = false, up = false, fits = true;
	size_t at = 0;

	for (; at < size_bytes && (is_digit(text[at]) || (text[at] == '.' && !point)); at++) {
		if (text[at] == '.') {
			point = true;
			continue;
		}
		digits++;
		if (places < DECIMAL_PLACES)
			fits = fits && digit_add(&size, text[at]);
		else if (places == DECIMAL_PLACES)
			up = text[at] >= '5';
		places += point && places <= DECIMAL_PLACES;
	}
	*used = at;
	if (digits == 0)
		return -EINVAL;
	for (; places < DECIMAL_PLACES; places++)
		fits = fits && digit_add(&size, '0');
	if (!fits || __builtin_add_overflow(size, (uint64_t)up, &size))
		return -ERANGE;
	return sign_apply(size, false, value);
}

size_t decimal_write(int64_t value, char text[DECIMAL_TEXT_SIZE])
{
	char digits[DECIMAL_TEXT_SIZE];
	uint64_t size = magnitude(value);
	uint32_t skip = 0, count = 0;
	size_t length = 0;

	while (skip < DECIMAL_PLACES && size % 10 == 0) {
		size /= 10;
		skip++;
	}
	for (; size != 0 || count + skip <= DECIMAL_PLACES; size /= 10)
		digits[count++] = (char)('0' + size % 10);
	if (value < 0)
		text[length++] = '-';
	while (count > 0) {
		text[length++] = digits[--count];
		if (count + skip == DECIMAL_PLACES && count != 0)
			text[length++] = '.';
	}
	text[length] = '\0';
	return length;
}
