// SPDX-License-Identifier: MIT
//
// The way back: bytes that make any terminal show what the screen remembers, and leave it in the same modes.
#include "screen.h"

#include "kern/fmt.h"
#include "kern/string.h"

#define PIECE 256u

struct painter {
	screen_put_fn *put;
	void *ctx;
	struct cell pen; // what the terminal's is
	size_t used;
	char piece[PIECE];
};

static void flush(struct painter *painter)
{
	if (painter->used > 0)
		painter->put(painter->ctx, painter->piece, painter->used);
	painter->used = 0;
}

static void put(struct painter *painter, const char *bytes, size_t size)
{
	if (size > sizeof painter->piece - painter->used)
		flush(painter);
	memcpy(painter->piece + painter->used, bytes, size);
	painter->used += size;
}

static void say(struct painter *painter, const char *format, ...) printf_like(2, 3);
static void say(struct painter *painter, const char *format, ...)
{
	char text[64];
	va_list args;

	va_start(args, format);
	size_t size = kvsnprintf(text, sizeof text, format, args);
	va_end(args);
	put(painter, text, size < sizeof text ? size : sizeof text - 1);
}

static void colour(struct painter *painter, uint16_t value, uint32_t which)
{
	if (value & COLOUR_RGB)
		say(painter, ";%u;2;%u;%u;%u", which, (value >> 10 & 31) * 255 / 31, (value >> 5 & 31) * 255 / 31,
		    (value & 31) * 255 / 31);
	else if (value != 0)
		say(painter, ";%u;5;%u", which, value - 1u);
}

static void pen_set(struct painter *painter, const struct cell *cell)
{
	static const uint8_t codes[] = {1, 2, 3, 4, 5, 7, 8, 9}; // of CELL_BOLD and what follows
	uint32_t style = cell->text & CELL_STYLE;

	if (style == painter->pen.text && cell->fore == painter->pen.fore && cell->back == painter->pen.back)
		return;
	painter->pen = (struct cell){style, cell->fore, cell->back};
	say(painter, "\033[0");
	for (uint32_t i = 0; i < sizeof codes; i++)
		if (style & (CELL_BOLD << i))
			say(painter, ";%u", codes[i]);
	colour(painter, cell->fore, 38);
	colour(painter, cell->back, 48);
	put(painter, "m", 1);
}

static void character(struct painter *painter, uint32_t code)
{
	char bytes[4];
	size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	bytes[0] = (char)(size == 1 ? code : (0xf00u >> size & 0xff) | code >> (6 * (size - 1)));
	for (size_t i = 1; i < size; i++)
		bytes[i] = (char)(0x80 | (code >> (6 * (size - 1 - i)) & 0x3f));
	put(painter, bytes, size);
}

static void cell_show(struct painter *painter, const struct cell *cell)
{
	uint32_t code = cell->text & CELL_TEXT;

	if (cell->text & CELL_RIGHT)
		return;
	pen_set(painter, cell);
	character(painter, code != 0 ? code : ' ');
}

static bool is_plain(const struct cell *cell)
{
	uint32_t code = cell->text & CELL_TEXT;
	return (code == 0 || code == ' ') && (cell->text & ~(uint32_t)CELL_TEXT) == 0 && cell->back == 0;
}

static void row_show(struct painter *painter, const struct screen *screen, const struct cell *cells, uint32_t row)
{
	uint32_t size = screen->columns;

	cells += (size_t)row * screen->columns;
	while (size > 0 && is_plain(&cells[size - 1]))
		size--;
	if (size == 0)
		return;
	say(painter, "\033[%u;1H", row + 1);
	for (uint32_t column = 0; column < size; column++)
		cell_show(painter, &cells[column]);
}

static void grid_show(struct painter *painter, const struct screen *screen, const struct cell *cells)
{
	pen_set(painter, &(struct cell){0});
	say(painter, "\033[H\033[2J");
	for (uint32_t row = 0; row < screen->rows; row++)
		row_show(painter, screen, cells, row);
}

static void mode(struct painter *painter, bool on, const char *number)
{
	say(painter, "\033[%s%c", number, on ? 'h' : 'l');
}

// A cursor that waits behind the last column is put there as it came to be: by writing that column again.
static void cursor_place(struct painter *painter, const struct screen *screen, const struct screen_cursor *cursor,
			 bool full)
{
	const struct cell *cell = screen->cells + (size_t)cursor->row * screen->columns + cursor->column;
	bool right = full && (cell->text & CELL_RIGHT);

	say(painter, "\033[%u;%uH", cursor->row + 1, cursor->column + 1 - right);
	if (full)
		cell_show(painter, cell - right);
	pen_set(painter, &cursor->pen);
	say(painter, "\033(%c\033)%c%c", cursor->graphics[0] ? '0' : 'B', cursor->graphics[1] ? '0' : 'B',
	    cursor->shift != 0 ? 0x0e : 0x0f);
}

// Text is shown as it is: no line drawing.
static void letters(struct painter *painter)
{
	say(painter, "\033(B\033)B\017");
}

static void cursor_keep(struct painter *painter, const struct screen *screen, const struct screen_cursor *saved)
{
	cursor_place(painter, screen, saved, false);
	say(painter, "\0337");
	letters(painter);
}

static void tabs_set(struct painter *painter, const struct screen *screen)
{
	say(painter, "\033[3g");
	for (uint32_t column = 0; column < screen->columns; column++)
		if ((screen->tabs[column / 32] >> (column % 32)) & 1)
			say(painter, "\033[%uG\033H", column + 1);
}

static void modes_show(struct painter *painter, uint32_t modes)
{
	mode(painter, (modes & MODE_INSERT) != 0, "4");
	mode(painter, (modes & MODE_NEWLINE) != 0, "20");
	mode(painter, (modes & MODE_CURSOR_KEYS) != 0, "?1");
	mode(painter, (modes & MODE_PASTE) != 0, "?2004");
	say(painter, "\033%c", modes & MODE_KEYPAD ? '=' : '>');
	mode(painter, (modes & MODE_CURSOR) != 0, "?25");
}

void screen_paint(const struct screen *screen, screen_put_fn *fn, void *ctx)
{
	struct painter painter = {
		.put = fn, .ctx = ctx, .pen = {.text = CELL_STYLE}}; // whatever it is, it is set first
	uint32_t modes = screen->modes;
	bool alternate = (modes & MODE_ALTERNATE) != 0;

	say(&painter, "\033[?25l\033[?1049l\033[r\033[?6l\033[4l\033[20l\033[?7l");
	letters(&painter);
	tabs_set(&painter, screen);
	grid_show(&painter, screen, alternate ? screen->other : screen->cells);
	cursor_keep(&painter, screen, &screen->saved[0]);
	if (alternate) { // its coming saves the cursor again, at the same place
		cursor_place(&painter, screen, &screen->saved[0], false);
		mode(&painter, true, "?1049");
		letters(&painter);
		grid_show(&painter, screen, screen->cells);
		cursor_keep(&painter, screen, &screen->saved[1]);
	}
	if (screen->top != 0 || screen->bottom != screen->rows - 1)
		say(&painter, "\033[%u;%ur", screen->top + 1, screen->bottom + 1);
	mode(&painter, (modes & MODE_WRAP) != 0, "?7");
	cursor_place(&painter, screen, &screen->cursor, screen->cursor.full);
	if (modes & MODE_ORIGIN) { // its coming moves the cursor, and what is saved does not remember it
		bool inside = screen->cursor.row >= screen->top && screen->cursor.row <= screen->bottom;
		mode(&painter, true, "?6");
		say(&painter, "\033[%u;%uH", inside ? screen->cursor.row - screen->top + 1 : 1,
		    screen->cursor.column + 1);
	}
	modes_show(&painter, modes);
	flush(&painter);
	if (screen->pending_size > 0)
		fn(ctx, screen->pending, screen->pending_size);
}
