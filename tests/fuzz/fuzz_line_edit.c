// SPDX-License-Identifier: MIT
//
// Fuzz target: the line editor. The first byte chooses the width and whether there is history and completion; the rest is typed. After
// every key the invariants hold, what is written to the terminal stays bounded, and a finished line is valid UTF-8 without NUL.
#include "kern/line_edit.h"

#include "kern/assert.h"
#include "kern/string.h"

#define WRITE_MAX (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct line_edit edit;
static struct line_history history;
static size_t written;

static void note_write(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	for (size_t i = 0; i < size_bytes; i++)
		VERIFY(bytes[i] != '\0');
	written += size_bytes;
}

static const char *complete(void *ctx, const char *text, uint32_t word, uint32_t cursor, uint32_t n)
{
	static const char *const names[] = {"counters", "cpus", "help", "stress", "top"};
	(void)ctx;
	for (uint32_t i = 0; i < array_count(names); i++)
		if (strncmp(names[i], text + word, cursor - word) == 0 && n-- == 0)
			return names[i];
	return NULL;
}

static bool is_utf8(const char *text)
{
	for (const uint8_t *at = (const uint8_t *)text; *at != 0;) {
		uint32_t length = *at < 0x80   ? 1
				  : *at < 0xc2 ? 0
				  : *at < 0xe0 ? 2
				  : *at < 0xf0 ? 3
				  : *at < 0xf5 ? 4
					       : 0;
		if (length == 0)
			return false;
		for (uint32_t i = 1; i < length; i++)
			if ((at[i] & 0xc0) != 0x80)
				return false;
		at += length;
	}
	return true;
}

static void begin(void)
{
	line_edit_begin(&edit, "tbos> ");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	memset(&edit, 0, sizeof edit);
	history.count = 0;
	if (size == 0)
		return 0;
	edit.columns = (bytes[0] & 0x3f) * 4;
	edit.history = (bytes[0] & 0x40) ? &history : NULL;
	edit.complete = (bytes[0] & 0x80) ? complete : NULL;
	edit.write = note_write;
	begin();
	for (size_t i = 1; i < size; i++) {
		written = 0;
		enum line_result result = line_edit_feed(&edit, bytes[i]);
		VERIFY(written < WRITE_MAX);
		VERIFY(line_edit_check(&edit) == 0);
		VERIFY(is_utf8(edit.text));
		if (result != LINE_MORE)
			begin();
	}
	return 0;
}
