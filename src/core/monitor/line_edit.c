// SPDX-License-Identifier: MIT
//
// Keys to edits. A table maps control keys; escape sequences are a small state machine; what is left is text.
#include "kern/line_edit.h"

#include "kern/compiler.h"
#include "kern/err.h"
#include "kern/string.h"

#define CTRL(c) ((uint8_t)((c)&0x1f))
#define KEY_ESCAPE 0x1b
#define KEY_DELETE 0x7f

enum escape_state {
	ESCAPE_NONE,
	ESCAPE_BEGUN,
	ESCAPE_CSI,
	ESCAPE_SS3
};

static bool is_continuation(char c)
{
	return ((uint8_t)c & 0xc0) == 0x80;
}

static uint32_t step_left(const struct line_edit *edit, uint32_t at)
{
	if (at > 0)
		at--;
	while (at > 0 && is_continuation(edit->text[at]))
		at--;
	return at;
}

static uint32_t step_right(const struct line_edit *edit, uint32_t at)
{
	if (at < edit->size)
		at++;
	while (at < edit->size && is_continuation(edit->text[at]))
		at++;
	return at;
}

static uint32_t word_left(const struct line_edit *edit)
{
	uint32_t at = edit->cursor;
	while (at > 0 && edit->text[at - 1] == ' ')
		at--;
	while (at > 0 && edit->text[at - 1] != ' ')
		at--;
	return at;
}

static uint32_t word_right(const struct line_edit *edit)
{
	uint32_t at = edit->cursor;
	while (at < edit->size && edit->text[at] == ' ')
		at++;
	while (at < edit->size && edit->text[at] != ' ')
		at++;
	return at;
}

static void insert(struct line_edit *edit, const char *bytes, uint32_t size)
{
	if (edit->size + size >= LINE_EDIT_SIZE)
		return;
	memmove(edit->text + edit->cursor + size, edit->text + edit->cursor, edit->size - edit->cursor);
	memcpy(edit->text + edit->cursor, bytes, size);
	edit->size += size;
	edit->cursor += size;
	edit->text[edit->size] = '\0';
}

static void erase(struct line_edit *edit, uint32_t from, uint32_t to, bool keep)
{
	if (from >= to)
		return;
	if (keep) {
		memcpy(edit->kill, edit->text + from, to - from);
		edit->kill_size = to - from;
	}
	memmove(edit->text + from, edit->text + to, edit->size - to);
	edit->size -= to - from;
	edit->cursor = from;
	edit->text[edit->size] = '\0';
}

static void replace(struct line_edit *edit, const char *line)
{
	uint32_t size = (uint32_t)strlen(line);
	if (size >= LINE_EDIT_SIZE)
		size = LINE_EDIT_SIZE - 1;
	memmove(edit->text, line, size);
	edit->text[size] = '\0';
	edit->size = size;
	edit->cursor = size;
}

static const char *history_at(const struct line_history *history, uint32_t back)
{
	return history->lines[(history->count - back) % LINE_HISTORY_COUNT];
}

static uint32_t history_depth(const struct line_history *history)
{
	return history->count < LINE_HISTORY_COUNT ? history->count : LINE_HISTORY_COUNT;
}

static void history_move(struct line_edit *edit, bool older)
{
	if (edit->history == NULL ||
	    (older ? edit->history_back >= history_depth(edit->history) : edit->history_back == 0))
		return;
	if (edit->history_back == 0)
		memcpy(edit->saved, edit->text, edit->size + 1);
	edit->history_back += older ? 1 : -1u;
	replace(edit, edit->history_back == 0 ? edit->saved : history_at(edit->history, edit->history_back));
}

void line_history_add(struct line_history *history, const char *line)
{
	if (line[0] == '\0' || (history->count > 0 && strcmp(history_at(history, 1), line) == 0))
		return;
	char *slot = history->lines[history->count % LINE_HISTORY_COUNT];
	strlcpy(slot, line, LINE_EDIT_SIZE);
	history->count++;
}

static bool contains(const char *line, const char *needle, uint32_t needle_size)
{
	size_t size = strlen(line);
	for (size_t at = 0; at + needle_size <= size; at++)
		if (memcmp(line + at, needle, needle_size) == 0)
			return true;
	return false;
}

static void search_from(struct line_edit *edit, uint32_t back)
{
	for (; edit->history != NULL && back <= history_depth(edit->history); back++) {
		if (!contains(history_at(edit->history, back), edit->needle, edit->needle_size))
			continue;
		edit->history_back = back;
		replace(edit, history_at(edit->history, back));
		return;
	}
}

// While searching, text narrows the search, ^R goes further back, anything else ends it and is then an ordinary key.
static bool search_key(struct line_edit *edit, uint8_t byte)
{
	if (byte == CTRL('r')) {
		search_from(edit, edit->history_back + 1);
	} else if (byte >= 0x20 && byte != KEY_DELETE && edit->needle_size < sizeof edit->needle) {
		edit->needle[edit->needle_size++] = (char)byte;
		search_from(edit, edit->history_back > 0 ? edit->history_back : 1);
	} else if ((byte == KEY_DELETE || byte == CTRL('h')) && edit->needle_size > 0) {
		edit->needle_size--;
		search_from(edit, 1);
	} else {
		edit->searching = false;
		return false;
	}
	return true;
}

static void search_begin(struct line_edit *edit)
{
	if (edit->history == NULL)
		return;
	if (edit->history_back == 0)
		memcpy(edit->saved, edit->text, edit->size + 1);
	edit->searching = true;
	edit->needle_size = 0;
}

static void transpose(struct line_edit *edit)
{
	uint32_t right = edit->cursor == edit->size ? step_left(edit, edit->cursor) : edit->cursor;
	uint32_t left = step_left(edit, right);
	uint32_t end = step_right(edit, right);
	char first[4];
	uint32_t first_size = right - left, second_size = end - right;
	if (first_size == 0 || second_size == 0)
		return;
	memcpy(first, edit->text + left, first_size);
	memmove(edit->text + left, edit->text + right, second_size);
	memcpy(edit->text + left + second_size, first, first_size);
	edit->cursor = end;
}

static void control_key(struct line_edit *edit, uint8_t byte)
{
	switch (byte) {
	case CTRL('a'):
		edit->cursor = 0;
		break;
	case CTRL('e'):
		edit->cursor = edit->size;
		break;
	case CTRL('b'):
		edit->cursor = step_left(edit, edit->cursor);
		break;
	case CTRL('f'):
		edit->cursor = step_right(edit, edit->cursor);
		break;
	case CTRL('d'):
		erase(edit, edit->cursor, step_right(edit, edit->cursor), false);
		break;
	case KEY_DELETE:
	case CTRL('h'):
		erase(edit, step_left(edit, edit->cursor), edit->cursor, false);
		break;
	case CTRL('k'):
		erase(edit, edit->cursor, edit->size, true);
		break;
	case CTRL('u'):
		erase(edit, 0, edit->cursor, true);
		break;
	case CTRL('w'):
		erase(edit, word_left(edit), edit->cursor, true);
		break;
	case CTRL('y'):
		insert(edit, edit->kill, edit->kill_size);
		break;
	case CTRL('t'):
		transpose(edit);
		break;
	case CTRL('p'):
		history_move(edit, true);
		break;
	case CTRL('n'):
		history_move(edit, false);
		break;
	case CTRL('r'):
		search_begin(edit);
		break;
	case CTRL('l'):
		edit->write(edit->ctx, "\x1b[H\x1b[2J", 7);
		break;
	default:
		break;
	}
}

static void escape_final(struct line_edit *edit, uint8_t byte)
{
	switch (byte) {
	case 'A':
		control_key(edit, CTRL('p'));
		break;
	case 'B':
		control_key(edit, CTRL('n'));
		break;
	case 'C':
		control_key(edit, CTRL('f'));
		break;
	case 'D':
		control_key(edit, CTRL('b'));
		break;
	case 'H':
		control_key(edit, CTRL('a'));
		break;
	case 'F':
		control_key(edit, CTRL('e'));
		break;
	case '~':
		if (edit->escape_number == 1 || edit->escape_number == 7)
			control_key(edit, CTRL('a'));
		else if (edit->escape_number == 4 || edit->escape_number == 8)
			control_key(edit, CTRL('e'));
		else if (edit->escape_number == 3)
			control_key(edit, CTRL('d'));
		break;
	default:
		break;
	}
}

static void escape_meta(struct line_edit *edit, uint8_t byte)
{
	switch (byte) {
	case 'b':
		edit->cursor = word_left(edit);
		break;
	case 'f':
		edit->cursor = word_right(edit);
		break;
	case 'd':
		erase(edit, edit->cursor, word_right(edit), true);
		break;
	default:
		break;
	}
}

static void escape_key(struct line_edit *edit, uint8_t byte)
{
	if (byte == KEY_ESCAPE) {
		edit->escape = ESCAPE_BEGUN;
	} else if (edit->escape == ESCAPE_BEGUN) {
		edit->escape_number = 0;
		edit->escape = byte == '[' ? ESCAPE_CSI : byte == 'O' ? ESCAPE_SS3 : ESCAPE_NONE;
		if (edit->escape == ESCAPE_NONE)
			escape_meta(edit, byte);
	} else if (byte >= '0' && byte <= '9') {
		edit->escape_number = (edit->escape_number * 10 + (byte - '0')) % 1000;
	} else if (byte >= 0x40 && byte <= 0x7e) {
		edit->escape = ESCAPE_NONE;
		escape_final(edit, byte);
	} else if (byte < 0x20) {
		edit->escape = ESCAPE_NONE;
	}
}

static uint32_t utf8_length(uint8_t byte)
{
	return byte < 0x80                   ? 1
	       : byte >= 0xc2 && byte < 0xe0 ? 2
	       : byte >= 0xe0 && byte < 0xf0 ? 3
	       : byte >= 0xf0 && byte < 0xf5 ? 4
					     : 0;
}

static void text_key(struct line_edit *edit, uint8_t byte)
{
	bool continuation = is_continuation((char)byte);
	if (edit->utf8_want == 0 || !continuation) {
		edit->utf8_size = 0;
		edit->utf8_want = utf8_length(byte);
		if (edit->utf8_want == 0)
			return;
	}
	edit->utf8[edit->utf8_size++] = byte;
	if (edit->utf8_size < edit->utf8_want)
		return;
	insert(edit, (const char *)edit->utf8, edit->utf8_size);
	edit->utf8_want = 0;
}

static enum line_result finish(struct line_edit *edit, enum line_result result, const char *mark)
{
	edit->cursor = edit->size;
	edit->searching = false;
	line_view_refresh(edit);
	line_view_end(edit, mark);
	if (result == LINE_DONE && edit->history != NULL)
		line_history_add(edit->history, edit->text);
	return result;
}

void line_edit_begin(struct line_edit *edit, const char *prompt)
{
	edit->prompt = prompt;
	edit->size = edit->cursor = 0;
	edit->text[0] = '\0';
	edit->history_back = 0;
	edit->escape = ESCAPE_NONE;
	edit->utf8_want = 0;
	edit->tabs = 0;
	edit->searching = false;
	line_view_refresh(edit);
}

enum line_result line_edit_feed(struct line_edit *edit, uint8_t byte)
{
	if (edit->escape != ESCAPE_NONE) {
		escape_key(edit, byte);
	} else if (!edit->searching || !search_key(edit, byte)) {
		edit->tabs = byte == '\t' ? edit->tabs + 1 : 0;
		if (byte == '\r' || byte == '\n')
			return finish(edit, LINE_DONE, "");
		if (byte == CTRL('c'))
			return finish(edit, LINE_INTERRUPTED, "^C");
		if (byte == CTRL('d') && edit->size == 0)
			return finish(edit, LINE_END, "");
		if (byte == KEY_ESCAPE)
			edit->escape = ESCAPE_BEGUN;
		else if (byte == '\t')
			line_edit_complete(edit);
		else if (byte < 0x20 || byte == KEY_DELETE)
			control_key(edit, byte);
		else
			text_key(edit, byte);
	}
	line_view_refresh(edit);
	return LINE_MORE;
}

int line_edit_check(const struct line_edit *edit)
{
	bool sizes = edit->size < LINE_EDIT_SIZE && edit->cursor <= edit->size && edit->kill_size < LINE_EDIT_SIZE;
	bool ends = sizes && edit->text[edit->size] == '\0' && memchr(edit->text, 0, edit->size) == NULL;
	bool whole = ends && (edit->cursor == edit->size || !is_continuation(edit->text[edit->cursor]));
	bool parts = edit->needle_size <= sizeof edit->needle && edit->utf8_want <= 4 && edit->utf8_size <= 4;
	return whole && parts ? 0 : -EUCLEAN;
}
