// SPDX-License-Identifier: MIT
//
// The calculator: an expression in, a result out, the last HISTORY_COUNT of both kept. `ans` and `#n` mean earlier results; a
// result that has fallen out of the history is refused like one that never was.
#include "app_impl.h"

#include "kern/string.h"

static bool look_up(void *context, uint32_t number, int64_t *value)
{
	const struct calc *calc = context;
	if (number == 0)
		number = calc->count;
	if (number == 0 || number > calc->count || calc->count - number >= HISTORY_COUNT)
		return false;
	*value = calc->answers[number % HISTORY_COUNT];
	return true;
}

void calc_keep(struct calc *calc, const char *text, size_t size_bytes, int64_t value)
{
	uint32_t at = ++calc->count % HISTORY_COUNT;
	size_t size = MIN(size_bytes, (size_t)APP_LINE_SIZE - 1);
	calc->answers[at] = value;
	memcpy(calc->texts[at], text, size);
	calc->texts[at][size] = '\0';
}

int32_t calc_line(struct calc *calc, struct monitor_session *session, const char *text, size_t size_bytes)
{
	char result[DECIMAL_TEXT_SIZE];
	int64_t value;

	calc->work.look_up = look_up;
	calc->work.context = calc;
	err_t err = expression_evaluate(&calc->work, text, size_bytes, &value);
	if (err != 0) {
		calc->refused++;
		monitor_printf(session, "error at %u: %s\n", calc->work.place, expression_error(err));
		return 1;
	}
	calc_keep(calc, text, size_bytes, value);
	(void)decimal_write(value, result);
	monitor_printf(session, "#%u = %s\n", calc->count, result);
	return 0;
}

void calc_history(const struct calc *calc, struct monitor_session *session)
{
	char result[DECIMAL_TEXT_SIZE];
	uint32_t first = calc->count > HISTORY_COUNT ? calc->count - HISTORY_COUNT + 1 : 1;

	for (uint32_t number = first; number <= calc->count; number++) {
		(void)decimal_write(calc->answers[number % HISTORY_COUNT], result);
		monitor_printf(session, "#%u: ", number);
		monitor_write(session, calc->texts[number % HISTORY_COUNT],
			      strlen(calc->texts[number % HISTORY_COUNT]));
		monitor_printf(session, " = %s\n", result);
	}
}
