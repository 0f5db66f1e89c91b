// SPDX-License-Identifier: MIT
//
// Control sequences, once their numbers have come: attributes, modes, moving, erasing, margins.
#include "screen.h"

#include "kern/math.h"

// ---- what numbers a sequence has -----------------------------------------------------------------------------------------

static uint32_t parameter(const struct screen *screen, uint32_t which, uint32_t otherwise)
{
	uint32_t value = which < screen->parameter_count ? screen->parameters[which] : 0;
	return value != 0 ? value : otherwise;
}

static uint32_t count_of(const struct screen *screen)
{
	return parameter(screen, 0, 1);
}

// ---- attributes ----------------------------------------------------------------------------------------------------------

// After 38 or 48: 5;N or 2;R;G;B. How many parameters that took.
static uint32_t colour_long(const struct screen *screen, uint32_t at, uint16_t *colour)
{
	uint32_t kind = parameter(screen, at, 0);

	if (kind == 5) {
		*colour = (uint16_t)(1 + (parameter(screen, at + 1, 0) & 0xff));
		return 2;
	}
	if (kind != 2)
		return 1;
	uint32_t red = parameter(screen, at + 1, 0) & 0xff, green = parameter(screen, at + 2, 0) & 0xff;
	uint32_t blue = parameter(screen, at + 3, 0) & 0xff;
	*colour = (uint16_t)(COLOUR_RGB | (red >> 3) << 10 | (green >> 3) << 5 | blue >> 3);
	return 4;
}

static void style(struct cell *pen, uint32_t value)
{
	static const uint32_t on[] = {0,          CELL_BOLD,  CELL_DIM,     CELL_ITALIC,    CELL_UNDERLINE,
				      CELL_BLINK, CELL_BLINK, CELL_REVERSE, CELL_CONCEALED, CELL_STRUCK};

	if (value == 0)
		*pen = (struct cell){0};
	else if (value < array_count(on))
		pen->text |= on[value];
	else if (value == 22)
		pen->text &= ~(uint32_t)(CELL_BOLD | CELL_DIM);
	else if (value >= 23 && value <= 29)
		pen->text &= ~on[value - 20];
	else if (value >= 30 && value <= 37)
		pen->fore = (uint16_t)(1 + value - 30);
	else if (value >= 90 && value <= 97)
		pen->fore = (uint16_t)(9 + value - 90);
	else if (value >= 40 && value <= 47)
		pen->back = (uint16_t)(1 + value - 40);
	else if (value >= 100 && value <= 107)
		pen->back = (uint16_t)(9 + value - 100);
	else if (value == 39)
		pen->fore = 0;
	else if (value == 49)
		pen->back = 0;
}

static void styles(struct screen *screen)
{
	struct cell *pen = &screen->cursor.pen;
	uint32_t count = MAX(screen->parameter_count, 1u);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t value = parameter(screen, i, 0);
		if (value == 38)
			i += colour_long(screen, i + 1, &pen->fore);
		else if (value == 48)
			i += colour_long(screen, i + 1, &pen->back);
		else
			style(pen, value);
	}
}

// ---- modes ---------------------------------------------------------------------------------------------------------------

static struct screen_cursor *saved_of(struct screen *screen)
{
	return &screen->saved[(screen->modes & MODE_ALTERNATE) != 0];
}

void screen_cursor_save(struct screen *screen)
{
	*saved_of(screen) = screen->cursor;
}

void screen_cursor_restore(struct screen *screen)
{
	screen->cursor = *saved_of(screen);
	screen_move(screen, screen->cursor.row, screen->cursor.column);
}

static void private_mode(struct screen *screen, uint32_t number, bool on)
{
	static const struct {
		uint32_t number, mode;
	} modes[] = {{1, MODE_CURSOR_KEYS}, {6, MODE_ORIGIN}, {7, MODE_WRAP}, {25, MODE_CURSOR}, {2004, MODE_PASTE}};

	for (uint32_t i = 0; i < array_count(modes); i++)
		if (modes[i].number == number)
			screen->modes = on ? screen->modes | modes[i].mode : screen->modes & ~modes[i].mode;
	if (number == 6)
		screen_move(screen, on ? screen->top : 0, 0);
	if (number == 47 || number == 1047)
		screen_alternate(screen, on, false);
	if (number == 1049 && on != ((screen->modes & MODE_ALTERNATE) != 0)) {
		if (on)
			screen_cursor_save(screen);
		screen_alternate(screen, on, true);
		if (!on)
			screen_cursor_restore(screen);
	}
}

static void modes_set(struct screen *screen, bool on)
{
	for (uint32_t i = 0; i < screen->parameter_count; i++) {
		uint32_t number = screen->parameters[i];
		uint32_t mode = number == 4 ? MODE_INSERT : number == 20 ? MODE_NEWLINE : 0;
		if (screen->private_mark == '?')
			private_mode(screen, number, on);
		else
			screen->modes = on ? screen->modes | mode : screen->modes & ~mode;
	}
}

// ---- sequences -----------------------------------------------------------------------------------------------------------

static void move_to(struct screen *screen, uint32_t row, uint32_t column)
{
	if (screen->modes & MODE_ORIGIN)
		row = MIN(row + screen->top, screen->bottom);
	screen_move(screen, row, column);
}

static void move_by(struct screen *screen, uint8_t final)
{
	uint32_t count = count_of(screen), row = screen->cursor.row, column = screen->cursor.column;
	uint32_t highest = row >= screen->top ? screen->top : 0,
		 lowest = row <= screen->bottom ? screen->bottom : screen->rows - 1;

	switch (final) {
	case 'A':
	case 'F':
		row = MAX(row - MIN(count, row), highest);
		break;
	case 'B':
	case 'e':
	case 'E':
		row = MIN(row + count, lowest);
		break;
	case 'C':
	case 'a':
		column += count;
		break;
	default:
		column -= MIN(count, column);
	}
	screen_move(screen, row, final == 'E' || final == 'F' ? 0 : column);
}

static void erase_part(struct screen *screen, bool line)
{
	uint32_t row = screen->cursor.row * screen->columns, here = row + screen->cursor.column;
	uint32_t from = line ? row : 0, to = line ? row + screen->columns : screen->rows * screen->columns;
	uint32_t which = parameter(screen, 0, 0);

	if (which == 0)
		screen_erase(screen, here, to);
	else if (which == 1)
		screen_erase(screen, from, here + 1);
	else if (which == 2)
		screen_erase(screen, from, to);
}

static void margins(struct screen *screen)
{
	uint32_t top = parameter(screen, 0, 1) - 1, bottom = MIN(parameter(screen, 1, screen->rows), screen->rows) - 1;

	if (top >= bottom)
		return;
	screen->top = top;
	screen->bottom = bottom;
	move_to(screen, 0, 0);
}

static void lines(struct screen *screen, bool insert)
{
	uint32_t row = screen->cursor.row;
	if (row < screen->top || row > screen->bottom)
		return;
	screen_scroll(screen, row, count_of(screen), !insert);
	screen_move(screen, row, 0);
}

static void tabs_clear(struct screen *screen)
{
	uint32_t column = screen->cursor.column;
	if (parameter(screen, 0, 0) == 0)
		screen->tabs[column / 32] &= ~(1u << (column % 32));
	else if (parameter(screen, 0, 0) == 3)
		for (uint32_t i = 0; i < array_count(screen->tabs); i++)
			screen->tabs[i] = 0;
}

static void repeat(struct screen *screen)
{
	uint32_t most = screen->rows * screen->columns;
	for (uint32_t count = MIN(count_of(screen), most); count > 0 && screen->last != 0; count--)
		screen_put(screen, screen->last);
}

// Sequences that edit; false: another one.
static bool csi_edit(struct screen *screen, uint8_t final)
{
	uint32_t here = screen->cursor.row * screen->columns + screen->cursor.column;
	uint32_t left = screen->columns - screen->cursor.column;

	switch (final) {
	case 'J':
	case 'K':
		erase_part(screen, final == 'K');
		return true;
	case 'L':
	case 'M':
		lines(screen, final == 'L');
		return true;
	case 'P':
	case '@':
		screen_shift(screen, count_of(screen), final == 'P');
		return true;
	case 'X':
		screen_erase(screen, here, here + MIN(count_of(screen), left));
		return true;
	case 'S':
	case 'T':
		screen_scroll(screen, screen->top, count_of(screen), final == 'S');
		return true;
	case 'b':
		repeat(screen);
		return true;
	default:
		return false;
	}
}

void screen_csi(struct screen *screen, uint8_t final)
{
	if (screen->intermediate == '!' && final == 'p') { // soft reset
		screen->modes = (screen->modes & MODE_ALTERNATE) | MODE_WRAP | MODE_CURSOR;
		screen->top = 0;
		screen->bottom = screen->rows - 1;
		screen->cursor.pen = (struct cell){0};
		screen->cursor.shift = 0;
		screen->cursor.graphics[0] = screen->cursor.graphics[1] = false;
	}
	if (screen->intermediate != 0)
		return;
	if (final == 'h' || final == 'l') {
		modes_set(screen, final == 'h');
		return;
	}
	if (screen->private_mark != 0 || csi_edit(screen, final))
		return;
	switch (final) {
	case 'H':
	case 'f':
		move_to(screen, parameter(screen, 0, 1) - 1, parameter(screen, 1, 1) - 1);
		break;
	case 'G':
	case '`':
		screen_move(screen, screen->cursor.row, count_of(screen) - 1);
		break;
	case 'd':
		move_to(screen, count_of(screen) - 1, screen->cursor.column);
		break;
	case 'I':
	case 'Z':
		screen_tab(screen, count_of(screen), final == 'Z');
		break;
	case 'g':
		tabs_clear(screen);
		break;
	case 'm':
		styles(screen);
		break;
	case 'r':
		margins(screen);
		break;
	case 's':
		screen_cursor_save(screen);
		break;
	case 'u':
		screen_cursor_restore(screen);
		break;
	default:
		if (final >= 'A' && final <= 'F')
			move_by(screen, final);
		else if (final == 'a' || final == 'e')
			move_by(screen, final);
	}
}
