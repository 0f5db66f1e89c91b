// SPDX-License-Identifier: MIT
//
// Lines from the console for machines that count bytes: echo, Backspace, Ctrl-U, Ctrl-C; arrows are swallowed. A line that is too
// long, or holds bytes that are no text, is read to its end and refused as a whole.
#include "app_impl.h"

#include "hal/hal.h"
#include "kern/console.h"
#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/string.h"

#define CTRL_C 0x03
#define BELL "\a"
#define BACKSPACE 0x08
#define CTRL_U 0x15
#define ESCAPE 0x1b
#define DELETE 0x7f

enum escape {
	ESCAPE_NONE,
	ESCAPE_BEGUN,
	ESCAPE_SEQUENCE
};

struct reader {
	char line[APP_LINE_SIZE];
	uint8_t size;
	uint8_t escape; // enum escape
	uint8_t stray;  // first byte that is no text; 0: none
	bool long_line;
	bool carriage; // the last line ended with CR: a LF right after belongs to it
	bool echo;
};

struct reader *reader_make(struct kernel *kernel)
{
	struct reader *reader = boot_alloc(kernel, sizeof *reader, 4);
	if (reader != NULL)
		reader->echo = (kernel->flags & HAL_BOOT_INTERACTIVE) != 0;
	return reader;
}

static void echo(const struct reader *reader, const char *text)
{
	if (reader->echo)
		console_write(text, strlen(text));
}

static void rub_out(struct reader *reader)
{
	if (reader->size == 0)
		return;
	reader->size--;
	echo(reader, "\b \b");
}

// Whether the byte is part of an escape sequence, which has no meaning here.
static bool escape_swallows(struct reader *reader, uint8_t byte)
{
	if (reader->escape == ESCAPE_NONE) {
		reader->escape = byte == ESCAPE ? ESCAPE_BEGUN : ESCAPE_NONE;
		return byte == ESCAPE;
	}
	if (reader->escape == ESCAPE_BEGUN && byte == '[') {
		reader->escape = ESCAPE_SEQUENCE;
		return true;
	}
	if (reader->escape == ESCAPE_SEQUENCE && byte < 0x40)
		return true;
	bool ends = reader->escape == ESCAPE_SEQUENCE;
	reader->escape = ESCAPE_NONE;
	return ends;
}

static void text_add(struct reader *reader, uint8_t byte)
{
	if (byte < ' ' || byte > '~') {
		reader->stray = reader->stray != 0 ? reader->stray : byte;
	} else if (reader->size == sizeof reader->line - 1) {
		reader->long_line = true;
		echo(reader, BELL);
	} else {
		char text[2] = {(char)byte, '\0'};
		reader->line[reader->size++] = (char)byte;
		echo(reader, text);
	}
}

// True at the end of a line.
static bool byte_take(struct reader *reader, uint8_t byte)
{
	bool second = reader->carriage && byte == '\n';
	reader->carriage = byte == '\r';
	if (second || escape_swallows(reader, byte))
		return false;
	switch (byte) {
	case '\r':
	case '\n':
		return true;
	case BACKSPACE:
	case DELETE:
		rub_out(reader);
		return false;
	case CTRL_U:
		while (reader->size > 0)
			rub_out(reader);
		return false;
	case CTRL_C:
		echo(reader, "^C");
		reader->size = 0;
		reader->stray = 0;
		reader->long_line = false;
		return true;
	default:
		if (byte != 0)
			text_add(reader, byte);
		else
			reader->stray = 0xff;
		return false;
	}
}

static bool refused(const struct reader *reader)
{
	struct monitor_session session = {.terminal = reader->echo};
	if (reader->stray != 0)
		monitor_printf(&session, "error: byte 0x%02x is no text\n", reader->stray == 0xff ? 0 : reader->stray);
	else if (reader->long_line)
		monitor_printf(&session, "error: longer than %u characters\n", APP_LINE_SIZE - 1);
	return reader->stray != 0 || reader->long_line;
}

char *reader_line(struct reader *reader, const char *prompt, bool *bad)
{
	uint8_t byte = 0;

	reader->size = 0;
	reader->stray = 0;
	reader->long_line = false;
	echo(reader, prompt);
	do {
		if (console_read_byte(&byte, TB_FOREVER) != 0)
			return NULL;
	} while (!byte_take(reader, byte));
	echo(reader, "\r\n");
	reader->line[reader->size] = '\0';
	*bad = refused(reader);
	return reader->line;
}
