// SPDX-License-Identifier: MIT
//
// The calculator as an application: expressions over the serial line, and a pad of keys on the display. Both share the
// history.
#include "mobile.h"

#include "hal/panel.h"
#include "kern/string.h"

#define PAD_COLUMNS 5u
#define PAD_ROWS 4u
#define PAD_ROW 4u // on the display

// C wipes the entry, < its last character.
static const char pad[PAD_ROWS][PAD_COLUMNS + 1] = {"789/C", "456*<", "123-(", "0.=+)"};

static int32_t calculator_line(struct app *app, const struct request *request)
{
	struct calculator *self = (struct calculator *)app;
	const char *text = request->argv[0];

	if (request->argc == 0) {
		calc_history(&self->calc, request->session);
		return 0;
	}
	int32_t status = calc_line(&self->calc, request->session, text, strlen(text));
	if (status == 0)
		(void)decimal_write(self->calc.answers[self->calc.count % HISTORY_COUNT], self->result);
	return status;
}

static void calculator_show(struct app *app)
{
	const struct calculator *self = (const struct calculator *)app;

	text_put_inverse(0, 0, TEXT_COLUMNS, "Calculator");
	text_put(0, 1, TEXT_COLUMNS, TEXT_DIM, self->entry);
	text_put(0, 2, TEXT_COLUMNS, TEXT_BRIGHT, self->result);
	text_put(0, 3, TEXT_COLUMNS, TEXT_BRIGHT, "");
	for (uint32_t row = 0; row < PAD_ROWS; row++) {
		text_put(0, PAD_ROW + row, TEXT_COLUMNS, TEXT_BRIGHT, "");
		for (uint32_t column = 0; column < PAD_COLUMNS; column++) {
			const char key[] = {' ', pad[row][column], ' ', '\0'};
			if (row == self->key_row && column == self->key_column)
				text_put_inverse(4 * column, PAD_ROW + row, 3, key);
			else
				text_put(4 * column, PAD_ROW + row, 3, TEXT_BRIGHT, key);
		}
	}
}

static void calculate(struct calculator *self)
{
	int64_t value;
	err_t err = expression_evaluate(&self->calc.work, self->entry, strlen(self->entry), &value);

	if (err != 0) {
		(void)strlcpy(self->result, expression_error(err), sizeof self->result);
		return;
	}
	calc_keep(&self->calc, self->entry, strlen(self->entry), value);
	(void)decimal_write(value, self->result);
	self->entry[0] = '\0';
}

static void pad_press(struct calculator *self, char key)
{
	size_t length = strlen(self->entry);

	if (key == '=') {
		calculate(self);
	} else if (key == 'C') {
		self->entry[0] = '\0';
	} else if (key == '<') {
		self->entry[length > 0 ? length - 1 : 0] = '\0';
	} else if (length + 1 < sizeof self->entry) {
		self->entry[length] = key;
		self->entry[length + 1] = '\0';
	}
}

static bool calculator_key(struct app *app, uint32_t key)
{
	struct calculator *self = (struct calculator *)app;

	if (key == HAL_KEY_LEFT && self->key_column == 0)
		return false;
	if (key == HAL_KEY_LEFT)
		self->key_column--;
	if (key == HAL_KEY_RIGHT && self->key_column + 1u < PAD_COLUMNS)
		self->key_column++;
	if (key == HAL_KEY_UP && self->key_row > 0)
		self->key_row--;
	if (key == HAL_KEY_DOWN && self->key_row + 1u < PAD_ROWS)
		self->key_row++;
	if (key == HAL_KEY_SELECT)
		pad_press(self, pad[self->key_row][self->key_column]);
	calculator_show(app);
	return true;
}

void calculator_setup(struct calculator *calculator)
{
	calculator->app = (struct app){.name = "calc",
				       .line = calculator_line,
				       .key = calculator_key,
				       .show = calculator_show,
				       .next_ns = TB_FOREVER};
	(void)strlcpy(calculator->result, "0", sizeof calculator->result);
}
