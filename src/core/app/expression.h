// SPDX-License-Identifier: MIT
//
// The calculator's expressions: + - * / ( ) on decimals, `ans` for the last result, `#n` for the n-th entry of the history.
// Bounded: no recursion, no allocation; a text is refused, with the place, rather than followed too deep.
#ifndef EXPRESSION_H
#define EXPRESSION_H

#include "decimal.h"

#define EXPRESSION_DEPTH 12u // operators and parentheses that wait at once

// Working memory, and where a refusal came from.
struct expression {
	int64_t values[EXPRESSION_DEPTH];
	char operators[EXPRESSION_DEPTH];
	uint8_t value_count, operator_count;
	uint8_t place; // of what is wrong: 1 is the first character

	// Names: false, there is none. May be NULL.
	bool (*look_up)(void *context, uint32_t number, int64_t *value); // number 0: ans
	void *context;
};

// Errors: -EINVAL (not an expression), -EDOM (division by zero), -ERANGE (too large), -ENOENT (no such name), -E2BIG (nested
// too deep), -ENODATA (empty). *result is written on success alone.
err_t expression_evaluate(struct expression *state, const char *text, size_t size_bytes, int64_t *result) must_check;

// What is wrong, in words. Static.
const char *expression_error(err_t err);

#endif
