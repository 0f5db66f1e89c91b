// SPDX-License-Identifier: MIT
//
// The kernel's half of the comparison: a line discipline with nothing behind it. Names begin as what the kernel object shows does.
#include "ldisc_side.h"

#include "kern/assert.h"
#include "kern/ldisc.h"
#include "kern/string.h"

static struct ldisc ldisc;
static char shown[1 << 16];
static size_t shown_size;

static void keep(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	VERIFY3(size_bytes, <=, sizeof shown - shown_size);
	memcpy(shown + shown_size, bytes, size_bytes);
	shown_size += size_bytes;
}

static void note_signal(void *ctx, enum tb_tty_signal signal)
{
	(void)ctx;
	VERIFY(signal == TB_SIGINT || signal == TB_SIGQUIT || signal == TB_SIGTSTP);
}

static const struct ldisc_ops ops = {.output = keep, .signal = note_signal};

void tb_side_open(void)
{
	memset(&ldisc, 0, sizeof ldisc);
	ldisc_init(&ldisc, &ops, NULL);
	shown_size = 0;
}

void tb_side_get(struct tb_termios *termios)
{
	*termios = ldisc.termios;
}

void tb_side_set(const struct tb_termios *termios)
{
	ldisc_set_termios(&ldisc, termios);
	VERIFY(ldisc_check(&ldisc) == 0);
}

size_t tb_side_type(const uint8_t *bytes, size_t size_bytes)
{
	size_t done = ldisc_input(&ldisc, bytes, size_bytes);
	VERIFY(ldisc_check(&ldisc) == 0);
	return done;
}

bool tb_side_output(const char *bytes, size_t size_bytes)
{
	if (ldisc.stopped)
		return false;
	ldisc_output(&ldisc, bytes, size_bytes);
	return true;
}

size_t tb_side_shown(char *buffer, size_t size_bytes)
{
	size_t size = shown_size < size_bytes ? shown_size : size_bytes;
	memcpy(buffer, shown, size);
	shown_size = 0;
	return size;
}

long tb_side_read(uint8_t *buffer, size_t size_bytes)
{
	bool end, ready = ldisc_readable(&ldisc);
	size_t size = ldisc_read(&ldisc, buffer, size_bytes, &end);
	VERIFY(ldisc_check(&ldisc) == 0);
	return ready ? (long)size : -1;
}

uint32_t tb_side_waiting(void)
{
	return ldisc_waiting(&ldisc);
}

uint32_t tb_side_pending(void)
{
	return ldisc.echo_count;
}

void tb_side_flow(uint32_t action)
{
	ldisc_flow(&ldisc, (enum tb_tty_flow)action);
}

void tb_side_flush(uint32_t queue)
{
	if (queue != TB_TCOFLUSH)
		ldisc_flush_input(&ldisc);
	VERIFY(ldisc_check(&ldisc) == 0);
}
