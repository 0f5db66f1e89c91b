// SPDX-License-Identifier: MIT
//
// Pieces of formatted text that are not numbers: pointers without their address, and JSON strings.
#include "base_impl.h"

#include "kern/fmt.h"
#include "kern/image.h"
#include "kern/math.h"
#include "kern/string.h"

// As far as an instance's RAM can reach from struct kernel, which lies at its start.
#ifdef HAL_SLOT_SIZE
#define RAM_REACH_BYTES HAL_SLOT_SIZE
#else
#define RAM_REACH_BYTES (UINTPTR_MAX / 2)
#endif

// Nothing is read through hal_kernel() here, so that formatting also works before it is set up.
size_t fmt_pointer(char text[FMT_POINTER_SIZE], const void *pointer)
{
	uintptr_t ram_offset = (uintptr_t)pointer - (uintptr_t)hal_kernel();
	intptr_t offset = image_offset(pointer);

	if (pointer == NULL)
		return ksnprintf(text, FMT_POINTER_SIZE, "(nil)");
	if (image_contains(pointer) && offset < 0)
		return ksnprintf(text, FMT_POINTER_SIZE, "image-%#tx", -offset);
	if (image_contains(pointer))
		return ksnprintf(text, FMT_POINTER_SIZE, "image+%#tx", offset);
	if (ram_offset < RAM_REACH_BYTES)
		return ksnprintf(text, FMT_POINTER_SIZE, "ram+%#zx", (size_t)ram_offset);
	return ksnprintf(text, FMT_POINTER_SIZE, "(foreign)");
}

// `byte` is not the terminator.
static void append_json_byte(struct fmt_buffer *out, char byte)
{
	static const char named[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";
	const char *name = strchr(named, byte);

	if (name != NULL) {
		char escape[2] = {'\\', letters[name - named]};
		fmt_append_bytes(out, escape, sizeof escape);
	} else if (byte < ' ' || byte > '~') {
		fmt_append(out, "\\u%04x", (unsigned int)(uint8_t)byte);
	} else {
		fmt_append_bytes(out, &byte, 1);
	}
}

void fmt_append_json(struct fmt_buffer *out, const char *text)
{
	fmt_append_bytes(out, "\"", 1);
	for (; *text != '\0'; text++)
		append_json_byte(out, *text);
	fmt_append_bytes(out, "\"", 1);
}
