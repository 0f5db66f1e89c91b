// SPDX-License-Identifier: MIT
//
// Bytes to operations: UTF-8, control characters, escape sequences (ECMA-48; DEC's and xterm's private ones). What is not known is skipped as far as
// its sequence goes. Numbers saturate; more of them than fit are dropped.
#include "screen.h"

#include "kern/compiler.h"
#include "kern/math.h"

#define PARAMETER_MAX 65535u
#define REPLACEMENT 0xfffdu
#define CTRL_BELL 0x07
#define CTRL_ESC 0x1b
#define CTRL_CAN 0x18
#define CTRL_SUB 0x1a

enum {
	STATE_GROUND,
	STATE_ESCAPE,
	STATE_ESCAPE_MORE, // an intermediate byte came
	STATE_CSI,
	STATE_STRING,     // OSC, DCS and the like, up to ST or BEL
	STATE_STRING_END, // ESC within one
};

// ---- escapes -------------------------------------------------------------------------------------------------------------

static void escape_final(struct screen *screen, uint8_t final)
{
	uint32_t column = screen->cursor.column;

	switch (final) {
	case '7':
		screen_cursor_save(screen);
		break;
	case '8':
		screen_cursor_restore(screen);
		break;
	case 'D':
		screen_line_feed(screen);
		break;
	case 'E':
		screen->cursor.column = 0;
		screen_line_feed(screen);
		break;
	case 'M':
		screen_line_feed_back(screen);
		break;
	case 'H':
		screen->tabs[column / 32] |= 1u << (column % 32);
		break;
	case 'c':
		screen_reset(screen);
		break;
	case '=':
		screen->modes |= MODE_KEYPAD;
		break;
	case '>':
		screen->modes &= ~(uint32_t)MODE_KEYPAD;
		break;
	default:
		break;
	}
}

// ESC ( 0 and the like: which set of characters G0 and G1 are; ESC # 8 and others are skipped.
static void charset(struct screen *screen, uint8_t final)
{
	if (screen->intermediate == '(' || screen->intermediate == ')')
		screen->cursor.graphics[screen->intermediate == ')'] = final == '0';
}

// ---- bytes ---------------------------------------------------------------------------------------------------------------

static void control(struct screen *screen, uint8_t byte)
{
	switch (byte) {
	case '\b':
		if (screen->cursor.column > 0)
			screen_move(screen, screen->cursor.row, screen->cursor.column - 1);
		screen->cursor.full = false;
		break;
	case '\t':
		screen_tab(screen, 1, false);
		break;
	case '\n':
	case '\v':
	case '\f':
		if (screen->modes & MODE_NEWLINE)
			screen->cursor.column = 0;
		screen_line_feed(screen);
		break;
	case '\r':
		screen_move(screen, screen->cursor.row, 0);
		break;
	case 0x0e:
	case 0x0f:
		screen->cursor.shift = byte == 0x0e;
		break;
	default:
		break;
	}
}

static void escape_begin(struct screen *screen, uint8_t byte)
{
	screen->intermediate = screen->private_mark = 0;
	screen->parameter_count = 0;
	screen->state = STATE_GROUND;
	if (byte == '[') {
		screen->state = STATE_CSI;
	} else if (byte == ']' || byte == 'P' || byte == '^' || byte == '_' || byte == 'X') {
		screen->state = STATE_STRING;
	} else if (byte >= 0x20 && byte < 0x30) {
		screen->intermediate = byte;
		screen->state = STATE_ESCAPE_MORE;
	} else {
		escape_final(screen, byte);
	}
}

static void csi_byte(struct screen *screen, uint8_t byte)
{
	uint32_t last = screen->parameter_count - 1;

	if (byte >= '0' && byte <= '9') {
		if (screen->parameter_count == 0) {
			screen->parameters[screen->parameter_count++] = 0;
			last = 0;
		}
		uint32_t value = screen->parameters[last] * 10 + (byte - '0');
		screen->parameters[last] = MIN(value, PARAMETER_MAX);
	} else if (byte == ';' || byte == ':') {
		if (screen->parameter_count == 0)
			screen->parameters[screen->parameter_count++] = 0;
		if (screen->parameter_count < SCREEN_PARAMETERS)
			screen->parameters[screen->parameter_count++] = 0;
	} else if (byte >= 0x3c && byte < 0x40) {
		screen->private_mark = byte;
	} else if (byte >= 0x20 && byte < 0x30) {
		screen->intermediate = byte;
	} else {
		screen->state = STATE_GROUND;
		screen_csi(screen, byte);
	}
}

// DEC's line drawing: ` to ~ in Unicode.
static uint32_t graphic(uint32_t code_point)
{
	static const uint16_t drawing[] = {0x25c6, 0x2592, 0x2409, 0x240c, 0x240d, 0x240a, 0xb0,   0xb1,
					   0x2424, 0x240b, 0x2518, 0x2510, 0x250c, 0x2514, 0x253c, 0x23ba,
					   0x23bb, 0x2500, 0x23bc, 0x23bd, 0x251c, 0x2524, 0x2534, 0x252c,
					   0x2502, 0x2264, 0x2265, 0x3c0,  0x2260, 0xa3,   0xb7};
	return code_point >= 0x60 && code_point < 0x7f ? drawing[code_point - 0x60] : code_point;
}

static bool is_character(uint32_t code_point, uint32_t least)
{
	bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
	return code_point >= least && code_point <= 0x10ffff && !surrogate;
}

// A character that breaks off, or that is none, is shown as the one that stands for such.
static void text(struct screen *screen, uint8_t byte)
{
	if (screen->code_left > 0 && (byte & 0xc0) == 0x80) {
		screen->code_point = screen->code_point << 6 | (byte & 0x3f);
		if (--screen->code_left == 0)
			screen_put(screen, is_character(screen->code_point, screen->code_least) ? screen->code_point
												: REPLACEMENT);
		return;
	}
	screen->code_left = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc2 ? 1 : 0;
	screen->code_least = screen->code_left == 3 ? 0x10000 : screen->code_left == 2 ? 0x800 : 0x80;
	screen->code_point = byte & (0x3fu >> screen->code_left);
	if (byte < 0x80)
		screen_put(screen, screen->cursor.graphics[screen->cursor.shift] ? graphic(byte) : byte);
	else if (byte < 0xc2 || byte > 0xf4) {
		screen->code_left = 0;
		screen_put(screen, REPLACEMENT);
	}
}

static void string_byte(struct screen *screen, uint8_t byte)
{
	if (byte == CTRL_BELL || (screen->state == STATE_STRING_END && byte == '\\'))
		screen->state = STATE_GROUND;
	else if (byte == CTRL_ESC)
		screen->state = STATE_STRING_END;
	else if (screen->state == STATE_STRING_END)
		escape_begin(screen, byte); // broken off by another sequence
}

static void one(struct screen *screen, uint8_t byte)
{
	bool in_string = screen->state == STATE_STRING || screen->state == STATE_STRING_END;

	if (screen->code_left > 0 && (byte & 0xc0) != 0x80) {
		screen->code_left = 0;
		screen_put(screen, REPLACEMENT);
	}
	if (byte == CTRL_CAN || byte == CTRL_SUB) {
		screen->state = STATE_GROUND;
	} else if (in_string) {
		string_byte(screen, byte);
	} else if (byte == CTRL_ESC) {
		screen->state = STATE_ESCAPE;
	} else if (byte < 0x20) {
		control(screen, byte);
	} else if (byte == 0x7f) {
		return;
	} else if (screen->state == STATE_ESCAPE) {
		escape_begin(screen, byte);
	} else if (screen->state == STATE_ESCAPE_MORE) {
		if (byte >= 0x30) {
			screen->state = STATE_GROUND;
			charset(screen, byte);
		}
	} else if (screen->state == STATE_CSI) {
		csi_byte(screen, byte);
	} else {
		text(screen, byte);
	}
}

// Keeps what has come of a sequence, so that a painted terminal can be brought to where ours is within it.
static void pend(struct screen *screen, uint8_t byte)
{
	bool in_string = screen->state == STATE_STRING || screen->state == STATE_STRING_END;

	if ((byte < 0x20 && byte != CTRL_ESC) || byte == 0x7f)
		return; // done at once, within a sequence too
	if ((byte == CTRL_ESC && !in_string) || (screen->state == STATE_GROUND && byte >= 0xc0))
		screen->pending_size = 0;
	if (screen->state == STATE_STRING_END && byte != '\\' && byte != CTRL_ESC) { // the escape begins another one
		screen->pending[0] = CTRL_ESC;
		screen->pending_size = 1;
	}
	if (screen->pending_size == SCREEN_PENDING && in_string)
		screen->pending_size--; // what a string says does not matter, its end does
	if (screen->pending_size < SCREEN_PENDING)
		screen->pending[screen->pending_size++] = (char)byte;
}

void screen_write(struct screen *screen, const char *bytes, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		pend(screen, (uint8_t)bytes[i]);
		one(screen, (uint8_t)bytes[i]);
		if (screen->state == STATE_GROUND && screen->code_left == 0)
			screen->pending_size = 0;
	}
}
