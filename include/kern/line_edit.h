// SPDX-License-Identifier: MIT
//
// One line being typed: bytes in, bytes out, no I/O of its own, so that a test or a fuzzer can drive it. Keys are those of
// readline's emacs mode: arrows, Home, End, Delete; ^A ^E ^B ^F ^D ^H ^K ^U ^W ^Y ^T ^L ^P ^N ^C ^R; M-b M-f M-d; Tab. Text is UTF-8; a
// malformed byte is dropped. A line longer than the screen scrolls sideways.
#ifndef KERN_LINE_EDIT_H
#define KERN_LINE_EDIT_H

#include "tbos/types.h"

#define LINE_EDIT_SIZE (CONFIG_TINY ? 96u : 1024u)
#define LINE_HISTORY_COUNT (CONFIG_TINY ? 8u : 64u)

enum line_result {
	LINE_MORE,        // go on feeding
	LINE_DONE,        // the line is in text, 0-terminated
	LINE_INTERRUPTED, // ^C
	LINE_END          // ^D on an empty line
};

struct line_history {
	char lines[LINE_HISTORY_COUNT][LINE_EDIT_SIZE];
	uint32_t count; // stored so far; the newest is lines[(count - 1) % LINE_HISTORY_COUNT]
};

struct line_edit {
	char text[LINE_EDIT_SIZE];
	uint32_t size;
	uint32_t cursor;
	char kill[LINE_EDIT_SIZE];
	uint32_t kill_size;
	char saved[LINE_EDIT_SIZE]; // the fresh line while history is shown
	uint32_t history_back;      // 0: the fresh line; n: n lines back
	const char *prompt;
	uint32_t columns;
	uint32_t escape;        // state of an escape sequence
	uint32_t escape_number; // its parameter
	uint8_t utf8[4];        // a sequence that is not whole yet
	uint32_t utf8_size, utf8_want;
	uint32_t tabs; // consecutive Tab keys
	bool searching;
	char needle[64];
	uint32_t needle_size;
	struct line_history *history;
	void *ctx;
	void (*write)(void *ctx, const char *bytes, size_t size_bytes);
	// The n-th candidate for the word that begins at `word` of text (and ends at the cursor), NULL past the last.
	const char *(*complete)(void *ctx, const char *text, uint32_t word, uint32_t cursor, uint32_t n);
};

// Begins a line: shows the prompt. history, complete, write, ctx, columns are set by the owner before.
void line_edit_begin(struct line_edit *edit, const char *prompt);
enum line_result line_edit_feed(struct line_edit *edit, uint8_t byte);

// Adds a line, except an empty one or a repeat of the newest.
void line_history_add(struct line_history *history, const char *line);

int line_edit_check(const struct line_edit *edit); // 0, or -EUCLEAN

// The keys' half (line_edit.c) and the screen's half (line_view.c) share:
void line_view_refresh(struct line_edit *edit);
void line_view_candidates(struct line_edit *edit, uint32_t word, uint32_t count);
void line_view_end(struct line_edit *edit, const char *mark);
void line_edit_complete(struct line_edit *edit);

#endif
