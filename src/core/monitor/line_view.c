// SPDX-License-Identifier: MIT
//
// The line on the screen: redrawn whole after each key, one row, scrolled sideways when it is too long; and completion,
// which is as much about showing as about inserting. A code point counts one column.
#include "kern/line_edit.h"

#include "kern/compiler.h"
#include "kern/fmt.h"
#include "kern/string.h"

static void put(struct line_edit *edit, const char *text)
{
	edit->write(edit->ctx, text, strlen(text));
}

static uint32_t columns_of(const char *text, uint32_t from, uint32_t to)
{
	uint32_t columns = 0;
	for (uint32_t i = from; i < to; i++)
		columns += ((uint8_t)text[i] & 0xc0) != 0x80;
	return columns;
}

static uint32_t skip_columns(const char *text, uint32_t from, uint32_t to, uint32_t columns)
{
	while (from < to && columns > 0) {
		from++;
		while (from < to && ((uint8_t)text[from] & 0xc0) == 0x80)
			from++;
		columns--;
	}
	return from;
}

void line_view_refresh(struct line_edit *edit)
{
	uint32_t width = edit->columns > 20 ? edit->columns : 20;
	uint32_t used = edit->searching ? 12 + edit->needle_size : (uint32_t)strlen(edit->prompt);
	uint32_t room = width > used + 8 ? width - used - 1 : 8;
	uint32_t cursor = columns_of(edit->text, 0, edit->cursor);
	uint32_t first = cursor >= room ? skip_columns(edit->text, 0, edit->size, cursor - room + 1) : 0;
	uint32_t last = skip_columns(edit->text, first, edit->size, room);
	char move[32];

	put(edit, "\r");
	if (edit->searching) {
		put(edit, "(search '");
		edit->write(edit->ctx, edit->needle, edit->needle_size);
		put(edit, "') ");
	} else {
		put(edit, edit->prompt);
	}
	edit->write(edit->ctx, edit->text + first, last - first);
	put(edit, "\x1b[K\r");
	uint32_t column = used + columns_of(edit->text, first, edit->cursor);
	if (column > 0) {
		ksnprintf(move, sizeof move, "\x1b[%uC", column);
		put(edit, move);
	}
}

void line_view_end(struct line_edit *edit, const char *mark)
{
	put(edit, mark);
	put(edit, "\r\n");
}

void line_view_candidates(struct line_edit *edit, uint32_t word, uint32_t count)
{
	uint32_t column = 0;
	put(edit, "\r\n");
	for (uint32_t i = 0; i < count; i++) {
		const char *name = edit->complete(edit->ctx, edit->text, word, edit->cursor, i);
		if (name == NULL)
			break;
		uint32_t size = (uint32_t)strlen(name) + 2;
		if (column > 0 && column + size > edit->columns) {
			put(edit, "\r\n");
			column = 0;
		}
		put(edit, name);
		put(edit, "  ");
		column += size;
	}
	put(edit, "\r\n");
}

static uint32_t common_prefix(const char *a, const char *b, uint32_t limit)
{
	uint32_t n = 0;
	while (n < limit && a[n] != '\0' && a[n] == b[n])
		n++;
	return n;
}

// Inserts what all candidates share beyond the cursor; a second Tab lists them.
void line_edit_complete(struct line_edit *edit)
{
	uint32_t word = edit->cursor, count = 0, shared = 0;
	const char *first = NULL, *name;

	if (edit->complete == NULL)
		return;
	while (word > 0 && edit->text[word - 1] != ' ' && edit->text[word - 1] != ';')
		word--;
	uint32_t typed = edit->cursor - word;
	while (count < 1000 && (name = edit->complete(edit->ctx, edit->text, word, edit->cursor, count)) != NULL) {
		shared = first == NULL ? (uint32_t)strlen(name) : common_prefix(first, name, shared);
		first = first == NULL ? name : first;
		count++;
	}
	if (count == 0)
		return;
	for (uint32_t i = typed; i < shared; i++)
		(void)line_edit_feed(edit, (uint8_t)first[i]);
	if (count == 1)
		(void)line_edit_feed(edit, ' ');
	else if (edit->tabs > 1 && shared <= typed)
		line_view_candidates(edit, word, count);
}
