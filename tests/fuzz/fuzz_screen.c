// SPDX-License-Identifier: MIT
//
// Fuzz target: what a console remembers of its screen. The first two bytes choose its size; the rest is written to it, with changes of size between.
// Its invariants hold, and a fresh screen that gets the painted bytes remembers the same.
#include "../unit/tty/painted.h"

#include "kern/assert.h"
#include "kern/mem.h"

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

int64_t tb_fuzz_mem(void *arg);

int64_t tb_fuzz_mem(void *arg)
{
	const struct fuzz_input *input = arg;
	const uint8_t *bytes = input->bytes;
	struct screen *screen = kmalloc(sizeof *screen, MEM_ZERO);

	if (screen == NULL || input->size < 2 || screen_init(screen, bytes[0] % 30, bytes[1] % 90) != 0) {
		kfree(screen);
		return 0;
	}
	for (size_t at = 2; at < input->size;) {
		size_t piece = input->size - at < 64 ? input->size - at : 64;
		screen_write(screen, (const char *)bytes + at, piece);
		VERIFY(screen_check(screen) == 0);
		at += piece;
		if (piece == 64 && bytes[at - 1] % 8 == 0)
			VERIFY(screen_resize(screen, bytes[at - 1] % 40, bytes[at - 2] % 100) == 0);
	}
	VERIFY(screen_check(screen) == 0);
	painted_is_same(screen);
	screen_fini(screen);
	kfree(screen);
	return 0;
}
