// SPDX-License-Identifier: MIT
//
// Fuzz target: a terminal's line discipline. The bytes are a script (tests/conform/tty/script.c) of modes, keys, output and reads, run on the
// kernel's discipline and on a pseudo-terminal of the host: what is shown and what is read must be equal.
#include "../conform/tty/script.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *wrong = script_run(bytes, size);
	if (wrong != NULL) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	return 0;
}
