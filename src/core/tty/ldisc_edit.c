// SPDX-License-Identifier: MIT
//
// Editing of the line being typed: a character, a word, all of it; showing it again.
#include "ldisc_impl.h"

static bool is_word(const struct ldisc *ldisc, uint8_t byte)
{
	if (byte >= 0x80)
		return has_i(ldisc, TB_IUTF8) || (byte >= 0xc0 && byte != 0xd7 && byte != 0xf7); // Latin-1's × and ÷
	return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '_';
}

// The beginning of the last character of the line; head when there is none that is whole.
static uint32_t last_char(const struct ldisc *ldisc)
{
	uint32_t at = ldisc->head;

	while (at != ldisc->canon)
		if (!is_utf8_tail(ldisc, ldisc->bytes[PLACE(--at)]))
			return at;
	return ldisc->head;
}

static void erase_char(struct ldisc *ldisc, uint32_t from, bool one)
{
	uint32_t size = ldisc->head - from;

	ldisc->head = from;
	if (has_l(ldisc, TB_ECHO))
		ldisc_echo_erase(ldisc, from, size, one);
}

static void erase_word(struct ldisc *ldisc)
{
	bool within = false;

	for (uint32_t at = last_char(ldisc); at != ldisc->head; at = last_char(ldisc)) {
		bool word = is_word(ldisc, ldisc->bytes[PLACE(at)]);
		if (within && !word)
			break;
		within = within || word;
		erase_char(ldisc, at, false);
	}
}

static void erase_line(struct ldisc *ldisc)
{
	const uint32_t visible = TB_ECHOK | TB_ECHOKE | TB_ECHOE;
	bool echo = has_l(ldisc, TB_ECHO);

	if (echo && (ldisc->termios.lflag & visible) == visible) {
		for (uint32_t at = last_char(ldisc); at != ldisc->head; at = last_char(ldisc))
			erase_char(ldisc, at, false);
		return;
	}
	ldisc->head = ldisc->canon;
	if (!echo)
		return;
	ldisc_echo_finish_erase(ldisc);
	ldisc_echo_char(ldisc, ldisc->termios.cc[TB_VKILL]);
	if (has_l(ldisc, TB_ECHOK))
		ldisc_echo_raw(ldisc, '\n');
}

bool ldisc_erase(struct ldisc *ldisc, uint8_t byte)
{
	bool one = is_char(ldisc, byte, TB_VERASE), word = is_char_ext(ldisc, byte, TB_VWERASE);

	if (!one && !word && !is_char(ldisc, byte, TB_VKILL))
		return false;
	if (ldisc->head == ldisc->canon)
		return true;
	if (one) {
		uint32_t at = last_char(ldisc);
		if (at != ldisc->head)
			erase_char(ldisc, at, true);
	} else if (word) {
		erase_word(ldisc);
	} else {
		erase_line(ldisc);
	}
	if (ldisc->head == ldisc->canon && has_l(ldisc, TB_ECHO))
		ldisc_echo_finish_erase(ldisc);
	return true;
}

void ldisc_reprint(struct ldisc *ldisc, uint8_t byte)
{
	ldisc_echo_finish_erase(ldisc);
	ldisc_echo_char(ldisc, byte);
	ldisc_echo_raw(ldisc, '\n');
	for (uint32_t at = ldisc->canon; at != ldisc->head; at++)
		ldisc_echo_char(ldisc, ldisc->bytes[PLACE(at)]);
}
