// SPDX-License-Identifier: MIT
//
// Numbers from text that comes from outside (command lines, persona limits): the whole text must be the number.
#include "kern/math.h"
#include "kern/string.h"

#define BASE_MAX 36u

// The value of a digit, BASE_MAX for what is none.
static uint32_t digit_value(char symbol)
{
	if (symbol >= '0' && symbol <= '9')
		return (uint32_t)(symbol - '0');
	if (symbol >= 'a' && symbol <= 'z')
		return (uint32_t)(symbol - 'a') + 10;
	if (symbol >= 'A' && symbol <= 'Z')
		return (uint32_t)(symbol - 'A') + 10;
	return BASE_MAX;
}

// Reads digits from *text on and moves it behind them. A text that is out of range is read to its end all the same, so that
// what follows decides between the two errors.
static err_t digits_parse(const char **text, uint32_t base, uint64_t *value)
{
	const char *at = *text;
	uint64_t sum = 0;
	bool fits = true;

	if (base == 0) {
		bool is_hex = at[0] == '0' && (at[1] == 'x' || at[1] == 'X') && digit_value(at[2]) < 16;
		base = is_hex ? 16 : 10;
		at += is_hex ? 2 : 0;
	}
	const char *first = at;
	for (; digit_value(*at) < base; at++) {
		if (mul_overflows(sum, base, &sum) || add_overflows(sum, digit_value(*at), &sum))
			fits = false;
	}
	if (at == first)
		return ERR(EINVAL);
	*text = at;
	*value = sum;
	return fits ? 0 : ERR(ERANGE);
}

err_t str_to_u64(const char *text, uint32_t base, uint64_t *value)
{
	uint64_t parsed;

	if (base == 1 || base > BASE_MAX)
		return ERR(EINVAL);
	err_t err = digits_parse(&text, base, &parsed);
	if (err == -EINVAL)
		return err;
	if (*text != '\0')
		return ERR(EINVAL);
	if (err == 0)
		*value = parsed;
	return err;
}

err_t str_to_i64(const char *text, uint32_t base, int64_t *value)
{
	bool is_negative = *text == '-';
	uint64_t magnitude;

	err_t err = str_to_u64(text + (is_negative || *text == '+'), base, &magnitude);
	if (err != 0)
		return err;
	if (magnitude > (uint64_t)INT64_MAX + is_negative)
		return ERR(ERANGE);
	*value = (int64_t)(is_negative ? 0 - magnitude : magnitude);
	return 0;
}

err_t str_to_u32(const char *text, uint32_t base, uint32_t *value)
{
	uint64_t wide;

	err_t err = str_to_u64(text, base, &wide);
	if (err != 0)
		return err;
	if (wide > UINT32_MAX)
		return ERR(ERANGE);
	*value = (uint32_t)wide;
	return 0;
}

err_t str_to_size(const char *text, uint64_t *size_bytes)
{
	static const char suffixes[] = "KkMmGgTt";
	uint64_t parsed;
	uint32_t shift = 0;

	err_t err = digits_parse(&text, 0, &parsed);
	if (err == -EINVAL)
		return err;
	const char *suffix = *text != '\0' ? strchr(suffixes, *text) : NULL;
	if (suffix != NULL) {
		shift = 10 * ((uint32_t)(suffix - suffixes) / 2 + 1);
		text++;
	}
	if (*text != '\0')
		return ERR(EINVAL);
	if (err != 0 || parsed > UINT64_MAX >> shift)
		return ERR(ERANGE);
	*size_bytes = parsed << shift;
	return 0;
}
