// SPDX-License-Identifier: MIT
//
// Names of addresses, from a table that the build makes of a first link and puts into the second (tools/gen/symbols.py): offsets
// from the image's start, ascending, and where each name begins in a text of names. The first link has none.
#include "../bare_impl.h"

#if defined(__riscv)
// The linker must not shorten in one link, where the table is missing, what it leaves in the other.
__asm__(".option norelax");
#endif

extern const uint32_t bare_symbol_count __attribute__((__weak__));
extern const uint32_t bare_symbol_offsets[] __attribute__((__weak__));
extern const uint32_t bare_symbol_names[] __attribute__((__weak__));
extern const char bare_symbol_text[] __attribute__((__weak__));

const char *symbol_find(uintptr_t address, uintptr_t *offset)
{
	if (&bare_symbol_count == NULL || address < (uintptr_t)bare_image_start || address >= (uintptr_t)bare_text_end)
		return NULL;
	uint32_t wanted = (uint32_t)(address - (uintptr_t)bare_image_start);
	uint32_t low = 0, high = bare_symbol_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (bare_symbol_offsets[middle] <= wanted)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	*offset = wanted - bare_symbol_offsets[low - 1];
	return bare_symbol_text + bare_symbol_names[low - 1];
}
