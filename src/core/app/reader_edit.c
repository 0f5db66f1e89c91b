// SPDX-License-Identifier: MIT
//
// Lines by the monitor's own line editor, with history and completion of command names; its buffers are smaller here. Without a
// terminal bytes are taken as they come, and a line that does not fit is refused.
#include "app_impl.h"

#include "hal/console.h"
#include "hal/hal.h"
#include "kern/console.h"
#include "kern/line_edit.h"
#include "kern/string.h"

static_assert(APP_LINE_SIZE == LINE_EDIT_SIZE, "a line is a line");

struct reader {
	struct line_edit edit;
	struct line_history history;
	bool terminal;
};

static void edit_write(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	console_write(bytes, size_bytes);
}

static const char *edit_complete(void *ctx, const char *text, uint32_t word, uint32_t cursor, uint32_t n)
{
	const struct monitor_command *const *commands = app_state()->commands;
	(void)ctx;
	for (; word == 0 && *commands != NULL; commands++)
		if (strncmp((*commands)->name, text, cursor) == 0 && n-- == 0)
			return (*commands)->name;
	return NULL;
}

struct reader *reader_make(struct kernel *kernel)
{
	struct reader *reader = boot_alloc(kernel, sizeof *reader, 8);
	if (reader == NULL)
		return NULL;
	reader->terminal = (kernel->flags & HAL_BOOT_INTERACTIVE) != 0;
	reader->edit.history = &reader->history;
	reader->edit.write = edit_write;
	reader->edit.complete = edit_complete;
	return reader;
}

static enum line_result plain_take(struct line_edit *edit, uint8_t byte, bool *bad)
{
	if (byte == '\n' || byte == '\r') {
		edit->text[edit->size] = '\0';
		return LINE_DONE;
	}
	if (edit->size == sizeof edit->text - 1 || byte < ' ')
		*bad = true;
	else
		edit->text[edit->size++] = (char)byte;
	return LINE_MORE;
}

// Waits for the end of a line; false: the console has ended.
static bool line_wait(struct reader *reader, bool *bad)
{
	enum line_result result = LINE_MORE;
	uint8_t byte;

	while (result == LINE_MORE) {
		if (console_read_byte(&byte, TB_FOREVER) != 0)
			return false;
		result = reader->terminal ? line_edit_feed(&reader->edit, byte) : plain_take(&reader->edit, byte, bad);
	}
	if (result != LINE_DONE)
		reader->edit.text[0] = '\0';
	return result != LINE_END;
}

char *reader_line(struct reader *reader, const char *prompt, bool *bad)
{
	struct monitor_session session = {.terminal = reader->terminal};

	*bad = false;
	reader->edit.size = 0;
	reader->edit.columns = hal_console_window().columns;
	if (reader->terminal)
		line_edit_begin(&reader->edit, prompt);
	if (!line_wait(reader, bad))
		return NULL;
	if (*bad)
		monitor_printf(&session, "error: a line is at most %u characters, all of them text\n",
			       APP_LINE_SIZE - 1);
	else
		line_history_add(&reader->history, reader->edit.text);
	return reader->edit.text;
}
