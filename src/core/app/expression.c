// SPDX-License-Identifier: MIT
//
// Evaluation with two stacks (Dijkstra's shunting yard, 1961): values, and operators that wait for what binds tighter. 'n' is the
// sign of a negative operand.
#include "expression.h"

static uint32_t rank_of(char operator)
{
	switch (operator) {
	case 'n':
		return 3;
	case '*':
	case '/':
		return 2;
	case '+':
	case '-':
		return 1;
	default: // '('
		return 0;
	}
}

static err_t value_push(struct expression *state, int64_t value)
{
	if (state->value_count == EXPRESSION_DEPTH)
		return -E2BIG;
	state->values[state->value_count++] = value;
	return 0;
}

static err_t operator_push(struct expression *state, char operator)
{
	if (state->operator_count == EXPRESSION_DEPTH)
		return -E2BIG;
	state->operators[state->operator_count++] = operator;
	return 0;
}

static err_t apply(char operator, int64_t a, int64_t b, int64_t *result)
{
	switch (operator) {
	case '+':
		return decimal_add(a, b, result);
	case '-':
		return decimal_sub(a, b, result);
	case '*':
		return decimal_mul(a, b, result);
	default:
		return decimal_div(a, b, result);
	}
}

// Takes the last operator off its stack and does it. The grammar sees to it that its operands are there.
static err_t reduce(struct expression *state)
{
	char operator= state->operators[--state->operator_count];
	int64_t *top = &state->values[state->value_count - 1];

	if (operator== 'n')
		return decimal_sub(0, *top, top);
	state->value_count--;
	return apply(operator, top[-1], top[0], &top[-1]);
}

static err_t reduce_while(struct expression *state, uint32_t rank)
{
	err_t err = 0;
	while (err == 0 && state->operator_count > 0 && rank_of(state->operators[state->operator_count - 1]) >= rank)
		err = reduce(state);
	return err;
}

static bool has_prefix(const char *text, size_t size, const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (i >= size || (text[i] | 0x20) != word[i])
			return false;
	return true;
}

static err_t name_read(struct expression *state, const char *text, size_t size, int64_t *value, size_t *used)
{
	uint32_t number = 0;

	if (text[0] != '#') {
		*used = 3;
		if (!has_prefix(text, size, "ans", 3))
			return -EINVAL;
	} else {
		for (*used = 1; *used < size && text[*used] >= '0' && text[*used] <= '9'; ++*used)
			number = number < 10000 ? number * 10 + (uint32_t)(text[*used] - '0') : number;
		if (number == 0)
			return -ENOENT;
	}
	return state->look_up != NULL && state->look_up(state->context, number, value) ? 0 : -ENOENT;
}

// Where a value may stand: number, name, sign or '('. *more: another one must follow.
static err_t operand(struct expression *state, const char *text, size_t size, size_t *used, bool *more)
{
	int64_t value;
	err_t err;

	*used = 1;
	*more = true;
	if (text[0] == '(')
		return operator_push(state, '(');
	if (text[0] == '-')
		return operator_push(state, 'n');
	if (text[0] == '+')
		return 0;
	*more = false;
	if (text[0] == '#' || (text[0] | 0x20) == 'a')
		err = name_read(state, text, size, &value, used);
	else
		err = decimal_read(text, size, &value, used);
	return err != 0 ? err : value_push(state, value);
}

// Where an operator may stand. *more: a value must follow.
static err_t joint(struct expression *state, char c, bool *more)
{
	*more = c != ')';
	if (c == ')') {
		err_t err = reduce_while(state, 1);
		if (err != 0)
			return err;
		if (state->operator_count == 0)
			return -EINVAL;
		state->operator_count--;
		return 0;
	}
	if (c != '+' && c != '-' && c != '*' && c != '/')
		return -EINVAL;
	err_t err = reduce_while(state, rank_of(c));
	return err != 0 ? err : operator_push(state, c);
}

err_t expression_evaluate(struct expression *state, const char *text, size_t size_bytes, int64_t *result)
{
	bool more = true, any = false;
	size_t used;
	err_t err = 0;

	state->value_count = 0;
	state->operator_count = 0;
	for (size_t at = 0; at < size_bytes && err == 0; at += used) {
		state->place = (uint8_t)(at < UINT8_MAX ? at + 1 : UINT8_MAX);
		used = 1;
		if (text[at] == ' ' || text[at] == '\t')
			continue;
		any = true;
		err = more ? operand(state, text + at, size_bytes - at, &used, &more) : joint(state, text[at], &more);
	}
	if (err == 0 && !any)
		return -ENODATA;
	if (err == 0)
		state->place = (uint8_t)(size_bytes < UINT8_MAX ? size_bytes + 1 : UINT8_MAX);
	if (err == 0 && more)
		err = -EINVAL;
	if (err == 0)
		err = reduce_while(state, 1);
	if (err == 0 && state->operator_count != 0) // a '(' is left
		err = -EINVAL;
	if (err == 0)
		*result = state->values[0];
	return err;
}

const char *expression_error(err_t err)
{
	switch (err) {
	case -EDOM:
		return "division by zero";
	case -ERANGE:
		return "number too large";
	case -ENOENT:
		return "no such result";
	case -E2BIG:
		return "nested too deep";
	case -ENODATA:
		return "nothing to calculate";
	default:
		return "not understood";
	}
}
