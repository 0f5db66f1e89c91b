// SPDX-License-Identifier: MIT
//
// What is shown: output with its post-processing and the cursor's column, and echoes, which wait in a ring of their own while output is stopped,
// because what they come to depends on the column that the cursor has then.
#include "ldisc_impl.h"

#include "kern/compiler.h"
#include "kern/string.h"

#define TAB 8u
#define KIND_MASK 0xff00u

static bool has_o(const struct ldisc *ldisc, uint32_t flag)
{
	return (ldisc->termios.oflag & flag) != 0;
}

static bool is_control(uint8_t byte)
{
	return byte < 0x20 || byte == 0x7f;
}

// ---- output --------------------------------------------------------------------------------------------------------------

static void out_flush(struct ldisc *ldisc)
{
	uint32_t size = ldisc->out_size;

	ldisc->out_size = 0;
	if (size > 0)
		ldisc->ops->output(ldisc->ctx, ldisc->out, size);
}

static void out_put(struct ldisc *ldisc, uint8_t byte)
{
	if (ldisc->out_size == sizeof ldisc->out)
		out_flush(ldisc);
	ldisc->out[ldisc->out_size++] = (char)byte;
}

static void out_newline(struct ldisc *ldisc)
{
	if (has_o(ldisc, TB_ONLRET))
		ldisc->column = 0;
	if (has_o(ldisc, TB_ONLCR)) {
		ldisc->column = 0;
		out_put(ldisc, '\r');
	}
	ldisc->canon_column = ldisc->column;
	out_put(ldisc, '\n');
}

static void out_return(struct ldisc *ldisc)
{
	bool newline = has_o(ldisc, TB_OCRNL);

	if (has_o(ldisc, TB_ONOCR) && ldisc->column == 0)
		return;
	if (!newline || has_o(ldisc, TB_ONLRET))
		ldisc->canon_column = ldisc->column = 0;
	out_put(ldisc, newline ? '\n' : '\r');
}

static void out_tab(struct ldisc *ldisc)
{
	uint32_t spaces = TAB - ldisc->column % TAB;

	ldisc->column += spaces;
	if ((ldisc->termios.oflag & TB_TABDLY) != TB_XTABS) {
		out_put(ldisc, '\t');
		return;
	}
	while (spaces-- > 0)
		out_put(ldisc, ' ');
}

static uint8_t upper(const struct ldisc *ldisc, uint8_t byte)
{
	bool latin = !(ldisc->termios.iflag & TB_IUTF8) && byte >= 0xe0 && byte != 0xf7 && byte != 0xff;
	return (byte >= 'a' && byte <= 'z') || latin ? byte - 32 : byte;
}

static void out_byte(struct ldisc *ldisc, uint8_t byte)
{
	switch (byte) {
	case '\n':
		out_newline(ldisc);
		return;
	case '\r':
		out_return(ldisc);
		return;
	case '\t':
		out_tab(ldisc);
		return;
	case '\b':
		ldisc->column -= ldisc->column > 0;
		break;
	default:
		if (is_control(byte))
			break;
		if (has_o(ldisc, TB_OLCUC))
			byte = upper(ldisc, byte);
		ldisc->column += !is_utf8_tail(ldisc, byte);
	}
	out_put(ldisc, byte);
}

void ldisc_output(struct ldisc *ldisc, const char *bytes, size_t size_bytes)
{
	if (!has_o(ldisc, TB_OPOST)) {
		ldisc->ops->output(ldisc->ctx, bytes, size_bytes);
		return;
	}
	for (size_t i = 0; i < size_bytes; i++)
		out_byte(ldisc, (uint8_t)bytes[i]);
	out_flush(ldisc);
}

// ---- echoes --------------------------------------------------------------------------------------------------------------

void ldisc_echo_drop(struct ldisc *ldisc)
{
	ldisc->echo_first = ldisc->echo_count = 0;
}

void ldisc_echo_raw(struct ldisc *ldisc, uint32_t echo)
{
	if (ldisc->echo_count == LDISC_ECHOES) {
		ldisc_echo_show(ldisc);
		if (ldisc->echo_count == LDISC_ECHOES) { // stopped: the oldest goes
			ldisc->echo_first = (ldisc->echo_first + 1) % LDISC_ECHOES;
			ldisc->echo_count--;
		}
	}
	ldisc->echoes[(ldisc->echo_first + ldisc->echo_count++) % LDISC_ECHOES] = (uint16_t)echo;
}

void ldisc_echo_char(struct ldisc *ldisc, uint8_t byte)
{
	bool control = has_l(ldisc, TB_ECHOCTL) && is_control(byte) && byte != '\t';
	ldisc_echo_raw(ldisc, control ? LDISC_ECHO_CONTROL | byte : byte);
}

void ldisc_echo_finish_erase(struct ldisc *ldisc)
{
	if (ldisc->erasing)
		ldisc_echo_raw(ldisc, '/');
	ldisc->erasing = false;
}

static void erase_columns(struct ldisc *ldisc, uint32_t columns)
{
	while (columns-- > 0) {
		ldisc_echo_raw(ldisc, '\b');
		ldisc_echo_raw(ldisc, ' ');
		ldisc_echo_raw(ldisc, '\b');
	}
}

// How far back a tab goes depends on what stands between it and the tab, or the line's beginning, before it.
static void erase_tab(struct ldisc *ldisc, uint32_t from)
{
	uint32_t columns = 0, after_tab = 0;

	while (from != ldisc->canon && !after_tab) {
		uint8_t byte = ldisc->bytes[--from % LDISC_BYTES];
		if (byte == '\t')
			after_tab = TAB;
		else if (is_control(byte))
			columns += has_l(ldisc, TB_ECHOCTL) ? 2 : 0;
		else
			columns += !is_utf8_tail(ldisc, byte);
	}
	ldisc_echo_raw(ldisc, LDISC_ECHO_ERASE_TAB | columns % TAB | after_tab);
}

void ldisc_echo_erase(struct ldisc *ldisc, uint32_t from, uint32_t size, bool one)
{
	uint8_t byte = ldisc->bytes[from % LDISC_BYTES];

	if (has_l(ldisc, TB_ECHOPRT)) {
		if (!ldisc->erasing)
			ldisc_echo_raw(ldisc, '\\');
		ldisc->erasing = true;
		ldisc_echo_char(ldisc, byte);
		for (uint32_t i = 1; i < size; i++) {
			ldisc_echo_raw(ldisc, ldisc->bytes[(from + i) % LDISC_BYTES]);
			ldisc_echo_raw(ldisc, LDISC_ECHO_BACK);
		}
	} else if (one && !has_l(ldisc, TB_ECHOE)) {
		ldisc_echo_char(ldisc, ldisc->termios.cc[TB_VERASE]);
	} else if (byte == '\t') {
		erase_tab(ldisc, from);
	} else if (is_control(byte)) {
		erase_columns(ldisc, has_l(ldisc, TB_ECHOCTL) ? 2 : 0);
	} else {
		erase_columns(ldisc, 1);
	}
}

static void show_tab_erased(struct ldisc *ldisc, uint32_t echo)
{
	uint32_t columns = (echo & (TAB - 1)) + (echo & TAB ? 0 : ldisc->canon_column);

	for (uint32_t back = TAB - columns % TAB; back > 0; back--) {
		out_put(ldisc, '\b');
		ldisc->column -= ldisc->column > 0;
	}
}

static void show_one(struct ldisc *ldisc, uint32_t echo)
{
	switch (echo & KIND_MASK) {
	case LDISC_ECHO_CONTROL:
		out_put(ldisc, '^');
		out_put(ldisc, (uint8_t)echo ^ 0x40);
		ldisc->column += 2;
		break;
	case LDISC_ECHO_COLUMN:
		ldisc->canon_column = ldisc->column;
		break;
	case LDISC_ECHO_BACK:
		ldisc->column -= ldisc->column > 0;
		break;
	case LDISC_ECHO_ERASE_TAB:
		show_tab_erased(ldisc, echo);
		break;
	default:
		if (has_o(ldisc, TB_OPOST))
			out_byte(ldisc, (uint8_t)echo);
		else
			out_put(ldisc, (uint8_t)echo);
	}
}

void ldisc_echo_show(struct ldisc *ldisc)
{
	while (!ldisc->stopped && ldisc->echo_count > 0) {
		show_one(ldisc, ldisc->echoes[ldisc->echo_first]);
		ldisc->echo_first = (ldisc->echo_first + 1) % LDISC_ECHOES;
		ldisc->echo_count--;
	}
	out_flush(ldisc);
}
