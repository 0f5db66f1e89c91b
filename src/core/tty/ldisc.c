// SPDX-License-Identifier: MIT
//
// What is typed: flow, signals, mapping, editing, line ends, the queue. The order in which a byte meets them is Linux's (n_tty), which fuzz_ldisc
// holds it to.
#include "ldisc_impl.h"

#include "kern/assert.h"
#include "kern/compiler.h"
#include "kern/err.h"
#include "kern/math.h"
#include "kern/string.h"

#define HOLD_ROOM 128u // IXOFF: less room than this asks the other side to stop
#define BELL '\a'

// ---- the queue -----------------------------------------------------------------------------------------------------------

static void queue_put(struct ldisc *ldisc, uint8_t byte)
{
	uint32_t place = PLACE(ldisc->head);

	VERIFY3(queue_used(ldisc), <, LDISC_BYTES);
	ldisc->bytes[place] = byte;
	ldisc->marks[place / 32] &= ~(1u << (place % 32));
	ldisc->head++;
}

static void queue_add(struct ldisc *ldisc, uint8_t byte, uint32_t copies)
{
	if (queue_used(ldisc) + copies > QUEUE_MAX) {
		if (has_i(ldisc, TB_IMAXBEL))
			ldisc_echo_raw(ldisc, BELL);
		return;
	}
	while (copies-- > 0)
		queue_put(ldisc, byte);
}

static void line_end(struct ldisc *ldisc, uint8_t byte)
{
	if (byte == 0xff && has_i(ldisc, TB_PARMRK) && queue_used(ldisc) < QUEUE_MAX)
		queue_put(ldisc, byte);
	uint32_t place = PLACE(ldisc->head);
	queue_put(ldisc, byte);
	ldisc->marks[place / 32] |= 1u << (place % 32);
	ldisc->canon = ldisc->head;
}

uint32_t ldisc_room(const struct ldisc *ldisc)
{
	if (is_canonical(ldisc) && ldisc->canon == ldisc->tail)
		return UINT32_MAX;
	uint32_t used = MIN(queue_used(ldisc), QUEUE_MAX);
	return has_i(ldisc, TB_PARMRK) ? (QUEUE_MAX - used) / 2 : QUEUE_MAX - used;
}

void ldisc_flush_input(struct ldisc *ldisc)
{
	ldisc->head = ldisc->canon = ldisc->tail = 0;
	memset(ldisc->marks, 0, sizeof ldisc->marks);
	ldisc->erasing = ldisc->pushed = false;
}

// ---- flow and signals ----------------------------------------------------------------------------------------------------

static void output_start(struct ldisc *ldisc)
{
	if (ldisc->stopped && !ldisc->stopped_by_call)
		ldisc->stopped = false;
}

void ldisc_flow(struct ldisc *ldisc, enum tb_tty_flow action)
{
	if (action == TB_TCOOFF) {
		ldisc->stopped = ldisc->stopped_by_call = true;
	} else if (action == TB_TCOON && ldisc->stopped_by_call) {
		ldisc->stopped = ldisc->stopped_by_call = false;
		ldisc_echo_show(ldisc);
	} else if (action == TB_TCIOFF || action == TB_TCION) {
		char byte = (char)ldisc->termios.cc[action == TB_TCIOFF ? TB_VSTOP : TB_VSTART];
		if (byte != 0)
			ldisc->ops->output(ldisc->ctx, &byte, 1);
	}
}

// IXOFF: the other side is asked to stop while there is room for what is on its way.
void ldisc_hold(struct ldisc *ldisc)
{
	uint32_t room = ldisc_room(ldisc);

	if (has_i(ldisc, TB_IXOFF) && !ldisc->held && room < HOLD_ROOM) {
		ldisc->held = true;
		ldisc_flow(ldisc, TB_TCIOFF);
	} else if (ldisc->held && (room > QUEUE_MAX / 2 || !has_i(ldisc, TB_IXOFF))) {
		ldisc->held = false;
		ldisc_flow(ldisc, TB_TCION);
	}
}

static bool flow_char(struct ldisc *ldisc, uint8_t byte)
{
	if (!has_i(ldisc, TB_IXON))
		return false;
	if (is_char(ldisc, byte, TB_VSTART)) {
		output_start(ldisc);
		ldisc_echo_show(ldisc);
	} else if (is_char(ldisc, byte, TB_VSTOP)) {
		ldisc_echo_show(ldisc); // what came before it
		ldisc->stopped = true;
	} else {
		return false;
	}
	return true;
}

static bool signal_char(struct ldisc *ldisc, uint8_t byte)
{
	static const struct {
		enum tb_termios_cc cc;
		enum tb_tty_signal signal;
	} chars[] = {{TB_VINTR, TB_SIGINT}, {TB_VQUIT, TB_SIGQUIT}, {TB_VSUSP, TB_SIGTSTP}};

	for (uint32_t i = 0; has_l(ldisc, TB_ISIG) && i < array_count(chars); i++) {
		if (!is_char(ldisc, byte, chars[i].cc))
			continue;
		if (!has_l(ldisc, TB_NOFLSH)) {
			ldisc_echo_drop(ldisc);
			ldisc_flush_input(ldisc);
		}
		if (has_i(ldisc, TB_IXON))
			output_start(ldisc);
		if (has_l(ldisc, TB_ECHO))
			ldisc_echo_char(ldisc, byte);
		ldisc->ops->signal(ldisc->ctx, chars[i].signal);
		return true;
	}
	return false;
}

static void any_starts(struct ldisc *ldisc)
{
	if (!ldisc->stopped || !has_i(ldisc, TB_IXON) || !has_i(ldisc, TB_IXANY))
		return;
	output_start(ldisc);
	ldisc_echo_show(ldisc);
}

// ---- one byte ------------------------------------------------------------------------------------------------------------

static void echo_typed(struct ldisc *ldisc, uint8_t byte)
{
	if (ldisc->canon == ldisc->head)
		ldisc_echo_raw(ldisc, LDISC_ECHO_COLUMN);
	ldisc_echo_char(ldisc, byte);
}

static bool canonical_char(struct ldisc *ldisc, uint8_t byte)
{
	bool echo = has_l(ldisc, TB_ECHO);

	if (ldisc_erase(ldisc, byte))
		return true;
	if (is_char_ext(ldisc, byte, TB_VLNEXT)) {
		ldisc->literal = true;
		if (echo) {
			ldisc_echo_finish_erase(ldisc);
			if (has_l(ldisc, TB_ECHOCTL)) {
				ldisc_echo_raw(ldisc, '^');
				ldisc_echo_raw(ldisc, '\b');
			}
		}
		return true;
	}
	if (echo && is_char_ext(ldisc, byte, TB_VREPRINT)) {
		ldisc_reprint(ldisc, byte);
		return true;
	}
	if (byte == '\n') {
		if (has_l(ldisc, TB_ECHO | TB_ECHONL))
			ldisc_echo_raw(ldisc, '\n');
		line_end(ldisc, byte);
		return true;
	}
	if (is_char(ldisc, byte, TB_VEOF)) {
		line_end(ldisc, 0);
		return true;
	}
	if (is_char(ldisc, byte, TB_VEOL) || is_char_ext(ldisc, byte, TB_VEOL2)) {
		if (echo)
			echo_typed(ldisc, byte);
		line_end(ldisc, byte);
		return true;
	}
	return false;
}

// `newline`: shown as one, not as ^J.
static void plain_char(struct ldisc *ldisc, uint8_t byte, bool newline)
{
	if (has_l(ldisc, TB_ECHO)) {
		ldisc_echo_finish_erase(ldisc);
		if (newline)
			ldisc_echo_raw(ldisc, '\n');
		else
			echo_typed(ldisc, byte);
	}
	// Twice what PARMRK would otherwise make look like a mark.
	queue_add(ldisc, byte, byte == 0xff && has_i(ldisc, TB_PARMRK) ? 2 : 1);
}

static uint8_t narrowed(const struct ldisc *ldisc, uint8_t byte)
{
	if (has_i(ldisc, TB_ISTRIP))
		byte &= 0x7f;
	if (!has_i(ldisc, TB_IUCLC) || !has_l(ldisc, TB_IEXTEN))
		return byte;
	bool latin = !has_i(ldisc, TB_IUTF8) && byte >= 0xc0 && byte <= 0xde && byte != 0xd7;
	return (byte >= 'A' && byte <= 'Z') || latin ? byte + 32 : byte;
}

static void input_byte(struct ldisc *ldisc, uint8_t byte)
{
	bool newline = false;

	byte = narrowed(ldisc, byte);
	if (ldisc->literal) {
		ldisc->literal = false;
		any_starts(ldisc);
		plain_char(ldisc, byte, false);
		return;
	}
	if (has_l(ldisc, TB_EXTPROC)) {
		queue_add(ldisc, byte, 1);
		return;
	}
	if (flow_char(ldisc, byte) || signal_char(ldisc, byte))
		return;
	any_starts(ldisc);
	if (byte == '\r') {
		if (has_i(ldisc, TB_IGNCR))
			return;
		newline = has_i(ldisc, TB_ICRNL);
		byte = newline ? '\n' : byte;
	} else if (byte == '\n' && has_i(ldisc, TB_INLCR)) {
		byte = '\r';
	}
	if (has_l(ldisc, TB_ICANON) && canonical_char(ldisc, byte))
		return;
	plain_char(ldisc, byte, newline);
}

// Nothing of a byte is looked at.
static bool is_raw(const struct ldisc *ldisc)
{
	const uint32_t iflags = TB_ISTRIP | TB_IUCLC | TB_IGNCR | TB_ICRNL | TB_INLCR | TB_IXON | TB_PARMRK;
	const uint32_t lflags = TB_ICANON | TB_ISIG | TB_ECHO;
	return !has_i(ldisc, iflags) && !has_l(ldisc, lflags) && !ldisc->literal;
}

// Needs no place in the queue, and may be the only way out when that is full.
static bool is_urgent(const struct ldisc *ldisc, uint8_t byte)
{
	bool flow = is_char(ldisc, byte, TB_VSTART) || is_char(ldisc, byte, TB_VSTOP);
	bool signal =
		is_char(ldisc, byte, TB_VINTR) || is_char(ldisc, byte, TB_VQUIT) || is_char(ldisc, byte, TB_VSUSP);

	if (ldisc->literal || has_l(ldisc, TB_EXTPROC) || has_i(ldisc, TB_ISTRIP))
		return false;
	return (flow && has_i(ldisc, TB_IXON)) || (signal && has_l(ldisc, TB_ISIG));
}

size_t ldisc_input(struct ldisc *ldisc, const uint8_t *bytes, size_t size_bytes)
{
	size_t done = 0;

	if (is_raw(ldisc)) {
		done = MIN(size_bytes, ldisc_room(ldisc));
		for (size_t i = 0; i < done; i++)
			queue_put(ldisc, bytes[i]);
	} else {
		while (done < size_bytes && (ldisc_room(ldisc) > 0 || is_urgent(ldisc, bytes[done])))
			input_byte(ldisc, bytes[done++]);
		ldisc_echo_show(ldisc);
	}
	ldisc_hold(ldisc);
	return done;
}

// ---- modes ---------------------------------------------------------------------------------------------------------------

// What has come under the other rules: one line, if there is anything; or bytes.
static void lines_begin(struct ldisc *ldisc)
{
	memset(ldisc->marks, 0, sizeof ldisc->marks);
	ldisc->canon = ldisc->tail;
	ldisc->pushed = ldisc->erasing = ldisc->literal = false;
	if (!has_l(ldisc, TB_ICANON) || queue_used(ldisc) == 0)
		return;
	uint32_t last = PLACE(ldisc->head - 1);
	ldisc->marks[last / 32] |= 1u << (last % 32);
	ldisc->canon = ldisc->pushed_end = ldisc->head;
	ldisc->pushed = true;
}

void ldisc_set_termios(struct ldisc *ldisc, const struct tb_termios *termios)
{
	struct tb_termios old = ldisc->termios;

	ldisc->termios = *termios;
	if ((old.lflag ^ termios->lflag) & (TB_ICANON | TB_EXTPROC))
		lines_begin(ldisc);
	if ((old.iflag & TB_IXON) && !has_i(ldisc, TB_IXON)) {
		output_start(ldisc);
		ldisc_echo_show(ldisc);
	}
	ldisc_hold(ldisc);
}

const struct tb_termios ldisc_sane = {
	.iflag = TB_ICRNL | TB_IXON | TB_IUTF8 | TB_IMAXBEL,
	.oflag = TB_OPOST | TB_ONLCR,
	.cflag = TB_B38400 | TB_CS8 | TB_CREAD,
	.lflag = TB_ISIG | TB_ICANON | TB_ECHO | TB_ECHOE | TB_ECHOK | TB_ECHOCTL | TB_ECHOKE | TB_IEXTEN,
	.cc = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0},
};

void ldisc_init(struct ldisc *ldisc, const struct ldisc_ops *ops, void *ctx)
{
	ldisc->ops = ops;
	ldisc->ctx = ctx;
	ldisc->termios = ldisc_sane;
}

int ldisc_check(const struct ldisc *ldisc)
{
	uint32_t used = queue_used(ldisc), marked = 0;
	bool inside = used <= LDISC_BYTES && ldisc->canon - ldisc->tail <= used && ldisc->echo_count <= LDISC_ECHOES &&
		      ldisc->echo_first < LDISC_ECHOES && ldisc->out_size == 0;

	for (uint32_t at = ldisc->canon; inside && at != ldisc->head; at++)
		marked += mark_at(ldisc, at);
	bool ends = ldisc->canon == ldisc->tail || mark_at(ldisc, ldisc->canon - 1);
	bool shown = ldisc->stopped || ldisc->echo_count == 0;
	return inside && marked == 0 && ends && shown && (!ldisc->stopped_by_call || ldisc->stopped) ? 0 : -EUCLEAN;
}
