// SPDX-License-Identifier: MIT
//
// Text that grows as it is written; what does not fit into memory is dropped, and remembered as an error.
#include "procfs_impl.h"

#include "kern/string.h"

#define LINE_BYTES 256u
#define ROOM_FIRST 1024u

void text_reserve(struct text *text, size_t size_bytes)
{
	size_t room = text->room == 0 ? ROOM_FIRST : text->room;

	while (room - text->used < size_bytes)
		room *= 2;
	if (room == text->room)
		return;
	char *more = text->failed || text->fixed ? NULL : krealloc(text->bytes, room, 0);
	if (more == NULL) {
		text->failed = text->failed || !text->fixed;
		return;
	}
	text->bytes = more;
	text->room = room;
}

void text_add_bytes(struct text *text, const char *bytes, size_t size_bytes)
{
	text_reserve(text, size_bytes);
	if (size_bytes > text->room - text->used)
		return;
	memcpy(text->bytes + text->used, bytes, size_bytes);
	text->used += size_bytes;
}

void text_add(struct text *text, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list args;

	va_start(args, format);
	size_t size = kvsnprintf(line, sizeof line, format, args);
	va_end(args);
	ASSERT3(size, <, sizeof line);
	text_add_bytes(text, line, size < sizeof line ? size : sizeof line - 1);
}

void text_free(struct text *text)
{
	kfree(text->bytes);
}
