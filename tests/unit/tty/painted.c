// SPDX-License-Identifier: MIT
//
// A screen, painted onto a fresh one, must be the same screen.
#include "painted.h"

#include "kern/assert.h"
#include "kern/mem.h"
#include "kern/string.h"

#define PAINT_MAX (1u << 20)

struct paint {
	struct screen screen;
	size_t size;
};

static void copy(void *ctx, const char *bytes, size_t size_bytes)
{
	struct paint *paint = ctx;
	paint->size += size_bytes;
	VERIFY3(paint->size, <, PAINT_MAX);
	screen_write(&paint->screen, bytes, size_bytes);
}

static bool same_cursor(const struct screen_cursor *a, const struct screen_cursor *b)
{
	return a->row == b->row && a->column == b->column && a->pen.text == b->pen.text && a->pen.fore == b->pen.fore &&
	       a->pen.back == b->pen.back && a->graphics[0] == b->graphics[0] && a->graphics[1] == b->graphics[1] &&
	       a->shift == b->shift;
}

// Blank cells count alike, whatever colour the text in them would have.
static void same_grid(const struct screen *screen, const struct cell *a, const struct cell *b)
{
	for (uint32_t i = 0; i < screen->rows * screen->columns; i++) {
		uint32_t one = a[i].text == 0 ? ' ' : a[i].text, other = b[i].text == 0 ? ' ' : b[i].text;
		VERIFY3(one, ==, other);
		VERIFY3(a[i].back, ==, b[i].back);
		VERIFY(a[i].fore == b[i].fore || (one & CELL_TEXT) == ' ');
	}
}

void painted_is_same(const struct screen *screen)
{
	struct paint *paint = kmalloc(sizeof *paint, MEM_ZERO);

	VERIFY(paint != NULL && screen_init(&paint->screen, screen->rows, screen->columns) == 0);
	screen_paint(screen, copy, paint);
	VERIFY(screen_check(&paint->screen) == 0);
	same_grid(screen, screen->cells, paint->screen.cells);
	if (screen->modes & MODE_ALTERNATE)
		same_grid(screen, screen->other, paint->screen.other);
	VERIFY(same_cursor(&screen->saved[0], &paint->screen.saved[0]));
	bool outside = (screen->modes & MODE_ORIGIN) &&
		       (screen->cursor.row < screen->top || screen->cursor.row > screen->bottom);
	VERIFY(outside || same_cursor(&screen->cursor, &paint->screen.cursor));
	VERIFY(screen->cursor.full == paint->screen.cursor.full || (screen->modes & MODE_ORIGIN));
	VERIFY3(screen->modes, ==, paint->screen.modes);
	VERIFY3(screen->state, ==, paint->screen.state);
	VERIFY3(screen->code_left, ==, paint->screen.code_left);
	VERIFY(screen->top == paint->screen.top && screen->bottom == paint->screen.bottom);
	screen_fini(&paint->screen);
	kfree(paint);
}
