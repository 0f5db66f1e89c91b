// SPDX-License-Identifier: MIT
//
// The grid: writing, moving, erasing, scrolling, sizes.
#include "screen.h"

#include "kern/assert.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/string.h"

#define TAB 8u

// ---- widths --------------------------------------------------------------------------------------------------------------

// Ranges of Unicode that East Asian terminals show two columns wide, and of marks that take none; the broad ones.
static const struct {
	uint32_t first, last;
} wide[] = {{0x1100, 0x115f}, {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},  {0x4e00, 0x9fff},
	    {0xa000, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},  {0xff00, 0xff60},
	    {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}},
  combining[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},
		 {0x64b, 0x65f},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f},
		 {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};

uint32_t char_columns(uint32_t code_point)
{
	for (uint32_t i = 0; i < array_count(combining); i++)
		if (code_point >= combining[i].first && code_point <= combining[i].last)
			return 0;
	for (uint32_t i = 0; i < array_count(wide); i++)
		if (code_point >= wide[i].first && code_point <= wide[i].last)
			return 2;
	return 1;
}

// ---- cells ---------------------------------------------------------------------------------------------------------------

static struct cell *cell_at(struct screen *screen, uint32_t row, uint32_t column)
{
	return &screen->cells[row * screen->columns + column];
}

static uint32_t place_of(const struct screen *screen, uint32_t row, uint32_t column)
{
	return row * screen->columns + column;
}

// Erased cells keep the background (what terminals call bce).
static struct cell blank(const struct screen *screen)
{
	return (struct cell){.back = screen->cursor.pen.back};
}

// Before cells to the left and to the right of `place` go different ways: a wide character that lies across goes.
static void cut(struct screen *screen, uint32_t place)
{
	if (place % screen->columns == 0 || (screen->cells[place].text & CELL_RIGHT) == 0)
		return;
	screen->cells[place - 1].text = 0;
	screen->cells[place].text = 0;
}

static void fill(struct screen *screen, uint32_t from, uint32_t to)
{
	for (uint32_t place = from; place < to; place++)
		screen->cells[place] = blank(screen);
}

void screen_erase(struct screen *screen, uint32_t from, uint32_t to)
{
	to = MIN(to, screen->rows * screen->columns);
	if (from >= to)
		return;
	cut(screen, from);
	cut(screen, to);
	fill(screen, from, to);
}

static void rows_move(struct screen *screen, uint32_t to, uint32_t from, uint32_t count)
{
	memmove(cell_at(screen, to, 0), cell_at(screen, from, 0),
		(size_t)count * screen->columns * sizeof(struct cell));
}

void screen_scroll(struct screen *screen, uint32_t top, uint32_t count, bool up)
{
	uint32_t rows = screen->bottom + 1 - top;
	uint32_t kept = rows - MIN(count, rows);

	if (up) {
		rows_move(screen, top, top + rows - kept, kept);
		screen_erase(screen, place_of(screen, top + kept, 0), place_of(screen, top + rows, 0));
	} else {
		rows_move(screen, top + rows - kept, top, kept);
		screen_erase(screen, place_of(screen, top, 0), place_of(screen, top + rows - kept, 0));
	}
}

void screen_shift(struct screen *screen, uint32_t count, bool left)
{
	uint32_t column = screen->cursor.column, row = screen->cursor.row;
	uint32_t size = screen->columns - column;
	uint32_t kept = size - MIN(count, size);
	uint32_t from = left ? column + size - kept : column, to = left ? column : column + size - kept;

	cut(screen, place_of(screen, row, column));
	cut(screen, place_of(screen, row, left ? from : column + kept));
	memmove(cell_at(screen, row, 0) + to, cell_at(screen, row, 0) + from, kept * sizeof(struct cell));
	if (left) // what stands there is half of nothing any more, whatever it says: no cut
		fill(screen, place_of(screen, row, column + kept), place_of(screen, row, screen->columns));
	else
		fill(screen, place_of(screen, row, column), place_of(screen, row, to));
}

// ---- the cursor ----------------------------------------------------------------------------------------------------------

void screen_move(struct screen *screen, uint32_t row, uint32_t column)
{
	screen->cursor.row = MIN(row, screen->rows - 1);
	screen->cursor.column = MIN(column, screen->columns - 1);
	screen->cursor.full = false;
}

void screen_line_feed(struct screen *screen)
{
	if (screen->cursor.row == screen->bottom)
		screen_scroll(screen, screen->top, 1, true);
	else if (screen->cursor.row + 1 < screen->rows)
		screen->cursor.row++;
	screen->cursor.full = false;
}

void screen_line_feed_back(struct screen *screen)
{
	if (screen->cursor.row == screen->top)
		screen_scroll(screen, screen->top, 1, false);
	else if (screen->cursor.row > 0)
		screen->cursor.row--;
	screen->cursor.full = false;
}

void screen_tab(struct screen *screen, uint32_t count, bool back)
{
	uint32_t column = screen->cursor.column, last = screen->columns - 1;

	for (count = MIN(count, screen->columns); count > 0; count--) {
		do {
			if (column == (back ? 0 : last))
				break;
			column += back ? -1u : 1u;
		} while (((screen->tabs[column / 32] >> (column % 32)) & 1) == 0);
	}
	screen_move(screen, screen->cursor.row, column);
}

void screen_put(struct screen *screen, uint32_t code_point)
{
	struct screen_cursor *cursor = &screen->cursor;
	uint32_t columns = char_columns(code_point);

	if (columns == 0 || columns > screen->columns)
		return; // a mark over the character before it
	bool fits = !cursor->full && cursor->column + columns <= screen->columns;
	if (!fits && (screen->modes & MODE_WRAP)) {
		cursor->column = 0;
		screen_line_feed(screen);
	} else if (!fits) {
		cursor->column = screen->columns - columns;
	}
	if (screen->modes & MODE_INSERT)
		screen_shift(screen, columns, false);
	struct cell *cell = cell_at(screen, cursor->row, cursor->column);
	cut(screen, place_of(screen, cursor->row, cursor->column));
	cut(screen, place_of(screen, cursor->row, cursor->column + columns));
	*cell = cursor->pen;
	cell->text |= code_point | (columns == 2 ? CELL_WIDE : 0);
	if (columns == 2) {
		cell[1] = cursor->pen;
		cell[1].text |= CELL_RIGHT;
	}
	cursor->column += columns;
	cursor->full = cursor->column == screen->columns;
	cursor->column -= cursor->full ? 1 : 0;
	screen->last = code_point;
}

// ---- whole screens -------------------------------------------------------------------------------------------------------

void screen_alternate(struct screen *screen, bool on, bool clear)
{
	if (((screen->modes & MODE_ALTERNATE) != 0) != on) {
		struct cell *cells = screen->cells;
		screen->cells = screen->other;
		screen->other = cells;
		screen->modes ^= MODE_ALTERNATE;
	}
	if (on && clear)
		screen_erase(screen, 0, screen->rows * screen->columns);
}

static void tabs_reset(struct screen *screen)
{
	memset(screen->tabs, 0, sizeof screen->tabs);
	for (uint32_t column = 0; column < SCREEN_COLUMNS_MAX; column += TAB)
		screen->tabs[column / 32] |= 1u << (column % 32);
}

void screen_reset(struct screen *screen)
{
	size_t bytes = (size_t)screen->rows * screen->columns * sizeof(struct cell);

	memset(screen->cells, 0, bytes);
	memset(screen->other, 0, bytes);
	memset(&screen->cursor, 0, sizeof screen->cursor);
	screen->saved[0] = screen->saved[1] = screen->cursor;
	screen->top = 0;
	screen->bottom = screen->rows - 1;
	screen->modes = (screen->modes & MODE_ALTERNATE) | MODE_WRAP | MODE_CURSOR;
	screen_alternate(screen, false, false);
	tabs_reset(screen);
}

static uint32_t rows_within(uint32_t rows)
{
	return MIN(MAX(rows, 1u), SCREEN_ROWS_MAX);
}

static uint32_t columns_within(uint32_t columns)
{
	return MIN(MAX(columns, 2u), SCREEN_COLUMNS_MAX); // a wide character must have room
}

struct cell *screen_room(uint32_t rows, uint32_t columns)
{
	return kmalloc_array(2 * (size_t)rows_within(rows) * columns_within(columns), sizeof(struct cell), MEM_ZERO);
}

static void grids_use(struct screen *screen, struct cell *room, uint32_t rows, uint32_t columns)
{
	screen->rows = rows;
	screen->columns = columns;
	screen->memory = screen->cells = room;
	screen->other = room + (size_t)rows * columns;
}

err_t screen_init(struct screen *screen, uint32_t rows, uint32_t columns)
{
	struct cell *room = screen_room(rows, columns);

	if (room == NULL)
		return ERR(ENOMEM);
	grids_use(screen, room, rows_within(rows), columns_within(columns));
	screen_reset(screen);
	return 0;
}

void screen_fini(struct screen *screen)
{
	kfree(screen->memory);
	screen->memory = NULL;
}

// Rows from `skip` on, cut or filled up on the right.
static void grid_copy(struct screen *to, struct cell *cells, const struct screen *from, const struct cell *old,
		      uint32_t skip)
{
	uint32_t rows = MIN(to->rows, from->rows - skip), columns = MIN(to->columns, from->columns);

	for (uint32_t row = 0; row < rows; row++) {
		struct cell *line = cells + (size_t)row * to->columns;
		memcpy(line, old + (size_t)(row + skip) * from->columns, columns * sizeof *line);
		if (line[columns - 1].text & CELL_WIDE)
			line[columns - 1].text = 0;
	}
}

static void cursor_fit(const struct screen *screen, struct screen_cursor *cursor, uint32_t skip)
{
	cursor->row = MIN(cursor->row - MIN(cursor->row, skip), screen->rows - 1);
	cursor->column = MIN(cursor->column, screen->columns - 1);
	cursor->full = false;
}

// A lower screen keeps the rows about the cursor, the last ones before it.
void *screen_resize_into(struct screen *screen, uint32_t rows, uint32_t columns, struct cell *room)
{
	struct screen old = *screen;

	rows = rows_within(rows);
	columns = columns_within(columns);
	grids_use(screen, room, rows, columns);
	uint32_t skip = old.cursor.row >= rows ? old.cursor.row - rows + 1 : 0;
	grid_copy(screen, screen->cells, &old, old.cells, skip);
	grid_copy(screen, screen->other, &old, old.other, skip);
	cursor_fit(screen, &screen->cursor, skip);
	cursor_fit(screen, &screen->saved[0], skip);
	cursor_fit(screen, &screen->saved[1], skip);
	screen->top = 0;
	screen->bottom = rows - 1;
	return old.memory;
}

err_t screen_resize(struct screen *screen, uint32_t rows, uint32_t columns)
{
	struct cell *room = screen_room(rows, columns);

	if (room == NULL)
		return ERR(ENOMEM);
	kfree(screen_resize_into(screen, rows, columns, room));
	return 0;
}

int screen_check(const struct screen *screen)
{
	const struct screen_cursor *cursor = &screen->cursor;
	bool inside = cursor->row < screen->rows && cursor->column < screen->columns && screen->top <= screen->bottom &&
		      screen->bottom < screen->rows && screen->parameter_count <= SCREEN_PARAMETERS &&
		      screen->pending_size <= SCREEN_PENDING;

	for (uint32_t place = 0; inside && place < screen->rows * screen->columns; place++) {
		uint32_t text = screen->cells[place].text, column = place % screen->columns;
		if (text & CELL_WIDE)
			inside = column + 1 < screen->columns && (screen->cells[place + 1].text & CELL_RIGHT);
		else if (text & CELL_RIGHT)
			inside = column > 0 && (screen->cells[place - 1].text & CELL_WIDE);
	}
	return inside ? 0 : -EUCLEAN;
}
