// SPDX-License-Identifier: MIT
//
// Decimal numbers with DECIMAL_PLACES places, as a pocket calculator has them: 64-bit integers that count millionths. Pure.
#ifndef DECIMAL_H
#define DECIMAL_H

#include "kern/err.h"

#define DECIMAL_PLACES 6u
#define DECIMAL_ONE 1000000
#define DECIMAL_TEXT_SIZE 24u // "-9223372036854.775808" and its end

// Results are rounded to the nearest millionth, halves away from zero. Errors: -ERANGE (does not fit), -EDOM (division by
// zero); *result is written on success alone.
err_t decimal_add(int64_t a, int64_t b, int64_t *result) must_check;
err_t decimal_sub(int64_t a, int64_t b, int64_t *result) must_check;
err_t decimal_mul(int64_t a, int64_t b, int64_t *result) must_check;
err_t decimal_div(int64_t a, int64_t b, int64_t *result) must_check;

// Reads digits with at most one point from the start of the text, no sign; further places are rounded. *used is how many
// characters belong to it. Errors: -EINVAL (no digit), -ERANGE.
err_t decimal_read(const char *text, size_t size_bytes, int64_t *value, size_t *used) must_check;

// Without trailing zeros. Returns the length.
size_t decimal_write(int64_t value, char text[DECIMAL_TEXT_SIZE]);

#endif
