// SPDX-License-Identifier: MIT
//
// Fuzz target: the boot command line. Whatever the text, parsing ends; a fault names a place inside it; every text of the record
// ends; what is handed on has the form that the kernel takes, and parses again to itself.
#include "kern/assert.h"
#include "kern/string.h"

#include "../../src/hal_bare/common/cmdline.h"
#include "../../src/hal_bare/common/pure.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct cmdline cmdline, again;

static bool text_ends(const char *text, size_t size)
{
	while (size > 0 && *text != '\0') {
		text++;
		size--;
	}
	return size > 0;
}

static void record_verify(size_t size)
{
	VERIFY((cmdline.fault.reason == NULL) == (cmdline.fault.count == 0));
	VERIFY(cmdline.fault.offset <= size);
	VERIFY(text_ends(cmdline.persona, sizeof cmdline.persona));
	VERIFY(text_ends(cmdline.command, sizeof cmdline.command));
	VERIFY(text_ends(cmdline.test, sizeof cmdline.test));
	VERIFY(text_ends(cmdline.console, sizeof cmdline.console));
	VERIFY(text_ends(cmdline.module, sizeof cmdline.module));
	VERIFY(text_ends(cmdline.rest, sizeof cmdline.rest));
	VERIFY(cmdline.panic <= CMDLINE_PANIC_EXIT && cmdline.exit <= CMDLINE_EXIT_SEMIHOSTING);
	VERIFY(cmdline.poison <= 255);
	VERIFY(cmdline.has_command || cmdline.command[0] == '\0');
	VERIFY(cmdline.has_test || cmdline.test[0] == '\0');
}

// A value may hold quotes that were escaped, which the kernel takes as they are: here such words would lose them.
static void rest_verify(void)
{
	const char *rest = cmdline.rest;
	bool quoted = false;

	for (size_t i = 0; rest[i] != '\0'; i++) {
		VERIFY(rest[i] != '\t' && rest[i] != '\n' && rest[i] != '\r');
		quoted = quoted || rest[i] == '"';
		VERIFY(rest[i] != ' ' || (i > 0 && rest[i + 1] != ' ' && rest[i + 1] != '\0'));
	}
	cmdline_parse(&again, rest, sizeof cmdline.rest);
	if (!quoted)
		VERIFY(again.fault.reason == NULL && text_equal(again.rest, rest));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint64_t value;
	char text[32];

	cmdline_parse(&cmdline, (const char *)bytes, size);
	record_verify(size);
	rest_verify();
	(void)text_copy(text, sizeof text, (const char *)bytes, size < sizeof text ? size : sizeof text - 1);
	if (cmdline_size(text, &value))
		VERIFY(text[0] >= '0' && text[0] <= '9');
	return 0;
}
