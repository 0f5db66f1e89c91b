// SPDX-License-Identifier: MIT
//
// The command more: a file, or what comes in, a screen at a time. On anything but a terminal it is cat.
#include "cmd_impl.h"

#include "kern/string.h"

#define CTRL_C 0x03
#define TAB 8u

struct more {
	struct cmd *cmd;
	uint32_t rows_left; // of this screen
	uint32_t column;
	bool quit;
};

static uint32_t rows_of(const struct more *more)
{
	uint32_t rows = monitor_rows(more->cmd->session);
	return rows > 2 ? rows - 1 : 1;
}

// Waits for a key: a screen, a line, or the end.
static void prompt(struct more *more)
{
	static const char shown[] = "\033[7m--more--\033[0m";
	static const char gone[] = "\r\033[K";
	struct monitor_session *session = more->cmd->session;
	uint8_t key = 'q';

	if (monitor_interrupted(session)) {
		more->quit = true;
		return;
	}
	monitor_write(session, shown, sizeof shown - 1);
	for (;;) {
		if (!monitor_read_key(session, &key) || key == 'q' || key == 'Q' || key == CTRL_C) {
			more->quit = true;
			break;
		}
		if (key == ' ')
			more->rows_left = rows_of(more);
		else if (key == '\r' || key == '\n' || key == 'j')
			more->rows_left = 1;
		if (more->rows_left > 0)
			break;
	}
	monitor_write(session, gone, sizeof gone - 1);
}

static void row_end(struct more *more)
{
	more->column = 0;
	if (--more->rows_left == 0)
		prompt(more);
}

// How many columns a byte moves the cursor by; bytes that go on a UTF-8 sequence none.
static uint32_t width(const struct more *more, uint8_t byte)
{
	if (byte == '\t')
		return TAB - more->column % TAB;
	return byte < 0x20 || (byte & 0xc0) == 0x80 ? 0 : 1;
}

static err_t more_piece(void *arg, const uint8_t *bytes, size_t size_bytes)
{
	struct more *more = arg;
	struct monitor_session *session = more->cmd->session;
	uint32_t columns = monitor_columns(session);
	size_t from = 0;

	for (size_t i = 0; i < size_bytes && !more->quit; i++) {
		uint32_t moved = width(more, bytes[i]);
		if (bytes[i] != '\n' && more->column + moved <= columns) {
			more->column += moved;
			continue;
		}
		size_t end = bytes[i] == '\n' ? i + 1 : i; // a full row wraps by itself
		monitor_write(session, (const char *)bytes + from, end - from);
		from = end;
		row_end(more);
		if (bytes[i] != '\n')
			more->column = moved;
	}
	if (more->quit)
		return ERR(ECANCELED);
	monitor_write(session, (const char *)bytes + from, size_bytes - from);
	return 0;
}

static err_t cat_piece(void *arg, const uint8_t *bytes, size_t size_bytes)
{
	const struct more *more = arg;
	monitor_write(more->cmd->session, (const char *)bytes, size_bytes);
	return 0;
}

static int32_t run_more(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;
	struct more more = {.cmd = &cmd};
	int32_t status = 0;

	if (!cmd_begin(&cmd, session, argc, argv, "", 0, UINT32_MAX) || !cmd_words_or_input(&cmd, 0))
		return 2;
	bool terminal = monitor_is_terminal(session);
	more.rows_left = rows_of(&more);
	for (uint32_t i = 0; i < cmd.argc && !more.quit; i++) {
		err_t err = cmd_pieces(&cmd, cmd.argv[i], terminal ? more_piece : cat_piece, &more);
		if (err != 0 && !more.quit)
			status = cmd_fail(&cmd, cmd.argv[i], err);
	}
	return status;
}

const struct monitor_command file_cmd_more = {
	"more", "[FILE...]", "print files, or what comes in by < or |, a screen at a time: space, enter, q", run_more,
	NULL};
