// SPDX-License-Identifier: MIT
//
// Scripts: an operation byte, then what it needs. Bytes typed are kept below what a terminal holds, and where the two sides differ on purpose
// (kern/ldisc.h) scripts do not go.
#include "ldisc_side.h"
#include "script.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TYPED_MAX 3000u
#define PENDING_MAX 500u

struct script {
	const uint8_t *at;
	size_t left;
	uint32_t typed, step;
	struct tb_termios termios;
};

static char difference[512];

static uint8_t take(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->at++;
}

// The first 60 bytes, in hexadecimal.
static const char *hex(char *text, const uint8_t *bytes, long size)
{
	text[0] = '\0';
	for (long i = 0; i < size && i < 60; i++)
		(void)snprintf(text + 3 * i, 4, " %02x", bytes[i]);
	return text;
}

static const char *differ(const struct script *script, const char *format, ...)
{
	va_list args;
	int used = snprintf(difference, sizeof difference, "step %u: ", script->step);

	va_start(args, format);
	(void)vsnprintf(difference + used, sizeof difference - (size_t)used, format, args);
	va_end(args);
	return difference;
}

static const char *shown_compare(struct script *script)
{
	static char kernel[SCRIPT_SHOWN_MAX], host[SCRIPT_SHOWN_MAX];
	size_t kernel_size = side_kernel.shown(kernel, sizeof kernel), host_size = side_host.shown(host, sizeof host);

	if (kernel_size == host_size && memcmp(kernel, host, kernel_size) == 0)
		return NULL;
	char text[2][200] = {"", ""};
	for (uint32_t side = 0; side < 2; side++) {
		size_t used = 0, size = side == 0 ? kernel_size : host_size;
		for (size_t i = 0; i < size && used + 4 < sizeof text[side]; i++) {
			uint8_t byte = (uint8_t)(side == 0 ? kernel : host)[i];
			used += (size_t)snprintf(text[side] + used, sizeof text[side] - used,
						 byte >= 0x20 && byte < 0x7f ? "%c" : "\\%03o", byte);
		}
	}
	return differ(script, "shows \"%s\", the host \"%s\"", text[0], text[1]);
}

// ---- operations ------------------------------------------------------------------------------------------------------------

// What matters is typed more often than what does not.
static uint8_t key(struct script *script)
{
	static const uint8_t often[] = {'a',  'b',  '\t', ' ',  '_',  '\n', '\r', 3,   4, 8,    17,
					18,   19,   21,   22,   23,   26,   0x7f, 28,  0, 0xff, 'Z',
					0xc3, 0xa4, 0xe2, 0x82, 0xac, 0x1b, '\b', '/', 5, 6};
	uint8_t byte = take(script);
	if (byte >= 128)
		byte = often[byte % sizeof often];
	bool odd = byte == 0xd7 || byte == 0xf7 ? (script->termios.iflag & TB_IUTF8) != 0 // no letters there
						: byte == 0xdf && (script->termios.oflag & TB_OLCUC) != 0;
	return odd || byte == 0xff ? 'x' : byte; // 0xff, echoed, takes a column there even where nothing else does
}

static size_t keys(struct script *script, uint8_t *bytes, size_t most)
{
	size_t size = 1 + take(script) % most;
	for (size_t i = 0; i < size; i++)
		bytes[i] = key(script);
	return size;
}

// Keys that show a whole line again: while output is stopped, more than either side keeps.
static bool shows_much(const struct script *script, uint8_t byte)
{
	const uint8_t *cc = script->termios.cc;
	return byte == cc[TB_VREPRINT] || byte == cc[TB_VKILL] || byte == cc[TB_VWERASE];
}

// The host looks ahead for START and STOP, as time allows, and a signal drops what has been shown and not been looked at: these go alone. So do
// those that show a line again: a host may gather their echoes, and keeps no more than 4,096 bytes of them.
static bool goes_alone(const struct script *script, uint8_t byte)
{
	static const uint8_t flow[] = {TB_VSTART, TB_VSTOP}, signals[] = {TB_VINTR, TB_VQUIT, TB_VSUSP};
	const struct tb_termios *termios = &script->termios;
	bool alone = shows_much(script, byte);

	for (size_t i = 0; i < sizeof flow && (termios->iflag & TB_IXON) != 0; i++)
		alone = alone || byte == termios->cc[flow[i]];
	for (size_t i = 0; i < sizeof signals && (termios->lflag & TB_ISIG) != 0; i++)
		alone = alone || byte == termios->cc[signals[i]];
	return alone;
}

static const char *type(struct script *script)
{
	uint8_t bytes[24];
	size_t size = keys(script, bytes, sizeof bytes);
	const char *wrong = NULL;

	if (script->typed + size > TYPED_MAX || tb_side_pending() > PENDING_MAX)
		return NULL;
	script->typed += (uint32_t)size;
	for (size_t from = 0, to = 0; wrong == NULL && from < size; from = to) {
		for (size_t i = from; i < size && !side_kernel.output("", 0); i++) // one of them may have stopped it
			bytes[i] = shows_much(script, bytes[i]) ? 'x' : bytes[i];
		bool alone = goes_alone(script, bytes[from]);
		for (to = from + 1; to < size && !alone && !goes_alone(script, bytes[to]); to++)
			;
		side_kernel.type(bytes + from, to - from);
		side_host.type(bytes + from, to - from);
		wrong = shown_compare(script);
	}
	return wrong;
}

static const char *output(struct script *script)
{
	uint8_t bytes[24];
	size_t size = keys(script, bytes, sizeof bytes);
	bool kernel = side_kernel.output((const char *)bytes, size), host = side_host.output((const char *)bytes, size);
	return kernel == host ? NULL : differ(script, "output goes: %d, on the host %d", kernel, host);
}

static const char *read_some(struct script *script)
{
	uint8_t kernel[256], host[256];
	// A host reads in pieces of 64 bytes, and where nothing is processed takes the last byte of one for an end of file.
	size_t most = 1 + take(script) % (script->termios.lflag & TB_EXTPROC ? 60 : 256);
	long kernel_size = side_kernel.read(kernel, most), host_size = side_host.read(host, most);

	if (kernel_size == host_size && (kernel_size <= 0 || memcmp(kernel, host, (size_t)kernel_size) == 0))
		return NULL;
	char text[2][200];
	return differ(script, "lflag %x: read(%zu): %ld:%s, on the host %ld:%s", script->termios.lflag, most,
		      kernel_size, hex(text[0], kernel, kernel_size), host_size, hex(text[1], host, host_size));
}

// A host that comes back to lines takes a byte 0 at the end of what there is for an end of file, and loses it.
static void drain(void)
{
	uint8_t bytes[256];
	while (side_kernel.read(bytes, sizeof bytes) > 0)
		;
	while (side_host.read(bytes, sizeof bytes) > 0)
		;
}

static void modes(struct script *script)
{
	static const uint32_t iflags = TB_PARMRK | TB_ISTRIP | TB_INLCR | TB_IGNCR | TB_ICRNL | TB_IUCLC | TB_IXON |
				       TB_IXANY | TB_IMAXBEL | TB_IUTF8;
	static const uint32_t oflags = TB_OPOST | TB_OLCUC | TB_ONLCR | TB_OCRNL | TB_ONOCR | TB_ONLRET | TB_XTABS;
	static const uint32_t lflags = TB_ISIG | TB_ICANON | TB_ECHO | TB_ECHOE | TB_ECHOK | TB_ECHONL | TB_NOFLSH |
				       TB_ECHOCTL | TB_ECHOPRT | TB_ECHOKE | TB_IEXTEN | TB_EXTPROC;
	struct tb_termios *termios = &script->termios;
	uint32_t which = take(script), bits = (uint32_t)take(script) << 8;

	uint32_t old = termios->lflag;
	bits |= take(script);
	if (which % 3 == 0)
		termios->iflag ^= bits & iflags;
	else if (which % 3 == 1)
		termios->oflag ^= bits & oflags;
	else
		termios->lflag ^= (bits | (which & 0x80 ? TB_EXTPROC : 0)) & lflags;
	if ((termios->iflag & TB_IUTF8) != 0) { // letters beyond ASCII have no case here
		termios->iflag &= ~(uint32_t)TB_IUCLC;
		termios->oflag &= ~(uint32_t)TB_OLCUC;
	}
	if (((old ^ termios->lflag) & (TB_ICANON | TB_EXTPROC)) && (termios->lflag & TB_ICANON))
		drain();
	if ((termios->oflag & TB_TABDLY) != TB_XTABS)
		termios->oflag &= ~(uint32_t)TB_TABDLY;
	side_kernel.set(termios);
	side_host.set(termios);
}

static void characters(struct script *script)
{
	static const uint8_t which[] = {TB_VINTR, TB_VQUIT, TB_VERASE,   TB_VKILL,   TB_VEOF,   TB_VSTART, TB_VSTOP,
					TB_VSUSP, TB_VEOL,  TB_VREPRINT, TB_VWERASE, TB_VLNEXT, TB_VEOL2};
	uint8_t cc = which[take(script) % sizeof which], byte = key(script);

	for (size_t i = 0; i < sizeof which; i++)
		if (byte != 0 && script->termios.cc[which[i]] == byte)
			return; // one key, one meaning
	script->termios.cc[cc] = byte;
	side_kernel.set(&script->termios);
	side_host.set(&script->termios);
}

// A host shows echoes that tcflow held back with the next output only, and loses what it would ask the other side meanwhile.
static void flow(uint32_t action)
{
	if (action >= TB_TCIOFF && !side_kernel.output("", 0))
		return;
	side_kernel.flow(action);
	side_host.flow(action);
	if (action == TB_TCOON && side_kernel.output("\r", 1))
		(void)side_host.output("\r", 1);
}

static const char *step(struct script *script)
{
	uint8_t what = take(script) % 16;

	if (what < 7) {
		return type(script);
	} else if (what < 10) {
		return read_some(script);
	} else if (what < 12) {
		modes(script);
	} else if (what == 12) {
		characters(script);
	} else if (what == 13) {
		return output(script);
	} else if (what == 14) {
		uint32_t action = take(script) % 7;
		if (action < 4) {
			flow(action);
		} else {
			side_kernel.flush(action - 4);
			side_host.flush(action - 4);
		}
	} else {
		uint32_t kernel = side_kernel.waiting(), host = side_host.waiting();
		if (kernel != host)
			return differ(script, "%u bytes wait, on the host %u", kernel, host);
	}
	return NULL;
}

static const char *run_once(const uint8_t *bytes, size_t size_bytes)
{
	struct script script = {.at = bytes, .left = size_bytes};
	const char *wrong = NULL;

	if (!side_kernel.open() || !side_host.open())
		return "no pseudo-terminal";
	side_kernel.get(&script.termios);
	side_host.set(&script.termios);
	while (wrong == NULL && script.left > 0) {
		script.step++;
		wrong = step(&script);
		if (wrong == NULL)
			wrong = shown_compare(&script);
	}
	side_host.close();
	side_kernel.close();
	return wrong;
}

// The host handles what is typed in the background, and only one that has nothing to read can be waited for; so who differs is tried again, with
// more and more patience.
const char *script_run(const uint8_t *bytes, size_t size_bytes)
{
	static const uint32_t patience_us[] = {0, 1000, 10000, 100000, 200000};
	const char *wrong = NULL;

	for (size_t i = 0; i < sizeof patience_us / sizeof patience_us[0]; i++) {
		side_host_patience(patience_us[i]);
		wrong = run_once(bytes, size_bytes);
		if (wrong == NULL)
			break;
	}
	side_host_patience(0);
	return wrong;
}
