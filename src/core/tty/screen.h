// SPDX-License-Identifier: MIT
//
// What a terminal shows, as far as it follows from the bytes it was sent: a grid of characters with their attributes, the cursor, the modes. So
// that a console that was out of sight can be shown again. The terminal that is in sight gets the bytes themselves; this is only the memory
// of them. ECMA-48 and what xterm adds (DEC private modes, alternate screen). Not kept: what scrolled off, titles, pictures, the mouse.
//
// Files. screen.c the grid, editing, sizes · screen_parse.c bytes to operations · screen_csi.c control sequences · screen_paint.c the way back to bytes.
// Invariants (screen_check): the cursor and margins lie within the grid; a wide character has its second half to its right.
// No lock: the owner's. Only screen_init(), screen_resize() and screen_room() allocate.
#ifndef CORE_TTY_SCREEN_H
#define CORE_TTY_SCREEN_H

#include "kern/compiler.h"
#include "kern/err.h"
#include "tbos/types.h"

#define SCREEN_ROWS_MAX 512u
#define SCREEN_COLUMNS_MAX 1024u
#define SCREEN_PARAMETERS 16u
#define SCREEN_PENDING 48u

// Attributes, in the upper bits of a cell's text; below is the character, 0: blank.
enum cell_attr {
	CELL_TEXT = (1u << 21) - 1,
	CELL_BOLD = 1u << 21,
	CELL_DIM = 1u << 22,
	CELL_ITALIC = 1u << 23,
	CELL_UNDERLINE = 1u << 24,
	CELL_BLINK = 1u << 25,
	CELL_REVERSE = 1u << 26,
	CELL_CONCEALED = 1u << 27,
	CELL_STRUCK = 1u << 28,
	CELL_WIDE = 1u << 29,  // takes two columns
	CELL_RIGHT = 1u << 30, // the second of them
	CELL_STYLE = CELL_WIDE - CELL_BOLD
};

// Colours: 0 default, 1 + index of the 256, or with the top bit 5 bits each of red, green, blue.
#define COLOUR_RGB 0x8000u

struct cell {
	uint32_t text;
	uint16_t fore, back;
};

enum screen_mode {
	MODE_INSERT = 1u << 0,
	MODE_ORIGIN = 1u << 1,
	MODE_WRAP = 1u << 2,
	MODE_CURSOR = 1u << 3, // visible
	MODE_ALTERNATE = 1u << 4,
	MODE_CURSOR_KEYS = 1u << 5,
	MODE_KEYPAD = 1u << 6,
	MODE_PASTE = 1u << 7, // bracketed
	MODE_NEWLINE = 1u << 8
};

struct screen_cursor {
	uint32_t row, column;
	bool full;        // the last column has been written; the next character wraps first
	struct cell pen;  // attributes and colours
	bool graphics[2]; // G0, G1 are line drawing
	uint8_t shift;    // which of them is in use
};

struct screen {
	uint32_t rows, columns;
	struct cell *cells, *other; // the grid in use; the alternate or the main one
	void *memory;
	struct screen_cursor cursor, saved[2]; // saved: of the main screen, of the alternate one
	uint32_t top, bottom;                  // margins, the last one included
	uint32_t modes;
	uint32_t tabs[SCREEN_COLUMNS_MAX / 32];
	uint32_t last; // character, for REP
	// The parser.
	uint32_t state;
	uint32_t parameters[SCREEN_PARAMETERS];
	uint32_t parameter_count;
	uint8_t private_mark, intermediate;
	uint32_t code_point, code_left,
		code_least;    // of a character in several bytes; least: shorter ones have another form
	uint32_t pending_size; // of a sequence that has not ended
	char pending[SCREEN_PENDING];
};

err_t screen_init(struct screen *screen, uint32_t rows, uint32_t columns) must_check; // -ENOMEM; a zeroed one
void screen_fini(struct screen *screen);
err_t screen_resize(struct screen *screen, uint32_t rows, uint32_t columns) must_check; // -ENOMEM: as it was

// The same in two steps, for who holds a lock under which nothing may be allocated or freed: room (NULL: no memory), then its use, which gives
// back what is to be freed.
struct cell *screen_room(uint32_t rows, uint32_t columns) must_check;
void *screen_resize_into(struct screen *screen, uint32_t rows, uint32_t columns, struct cell *room) must_check;
void screen_write(struct screen *screen, const char *bytes, size_t size_bytes);
typedef void screen_put_fn(void *ctx, const char *bytes, size_t size_bytes);
void screen_paint(const struct screen *screen, screen_put_fn *put, void *ctx);
int screen_check(const struct screen *screen); // 0, -EUCLEAN

// Columns that a character takes: 0 (combining), 1, 2.
uint32_t char_columns(uint32_t code_point);

// screen.c for the parser: operations.
void screen_reset(struct screen *screen);
void screen_put(struct screen *screen, uint32_t code_point);
void screen_move(struct screen *screen, uint32_t row, uint32_t column); // clamped to the grid
void screen_line_feed(struct screen *screen);
void screen_line_feed_back(struct screen *screen);
void screen_erase(struct screen *screen, uint32_t from, uint32_t to);             // cells by place, row by row
void screen_scroll(struct screen *screen, uint32_t top, uint32_t count, bool up); // from `top` to the lower margin
void screen_shift(struct screen *screen, uint32_t count, bool left);              // the rest of the cursor's row
void screen_tab(struct screen *screen, uint32_t count, bool back);
void screen_alternate(struct screen *screen, bool on, bool clear);

// screen_csi.c
void screen_csi(struct screen *screen, uint8_t final); // what a control sequence means
void screen_cursor_save(struct screen *screen);
void screen_cursor_restore(struct screen *screen);

#endif
