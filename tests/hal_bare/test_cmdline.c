// SPDX-License-Identifier: MIT
//
// The boot command line: what is taken, what is handed on, and where faults are reported.
#include "pure_test.h"

#include "../../src/hal_bare/common/cmdline.h"
#include "../../src/hal_bare/common/pure.h"

#include <stdio.h>

static struct cmdline cmdline;

static void parse(const char *text)
{
	cmdline_parse(&cmdline, text, strlen(text));
}

static void faultless(const char *text)
{
	parse(text);
	if (cmdline.fault.reason != NULL)
		fail_msg("%s: %s at %u", text, cmdline.fault.reason, cmdline.fault.offset);
}

static void keys_are_taken(void **state)
{
	(void)state;
	faultless("  persona=desktop_512m cpus=6 mem=512M c=\"memory; echo \\\"hi\\\"\\n\" test=base_ panic=reboot "
		  "exit=debug "
		  "console=com1 trace quiet=0 interactive=1 clock=stepped timer=hpet seed=0x10 poison=165 "
		  "module=trace.tbat initramfs=tree.cpio.zst ");
	assert_string_equal(cmdline.persona, "desktop_512m");
	assert_int_equal(cmdline.cpu_count, 6);
	assert_int_equal(cmdline.mem_size_bytes, 512u << 20);
	assert_true(cmdline.has_command);
	assert_string_equal(cmdline.command, "memory; echo \"hi\"\n");
	assert_true(cmdline.has_test);
	assert_string_equal(cmdline.test, "base_");
	assert_int_equal(cmdline.panic, CMDLINE_PANIC_REBOOT);
	assert_int_equal(cmdline.exit, CMDLINE_EXIT_DEBUG);
	assert_string_equal(cmdline.console, "com1");
	assert_true(cmdline.has_trace && !cmdline.has_quiet && cmdline.has_interactive && cmdline.is_stepped);
	assert_int_equal(cmdline.timer, CMDLINE_TIMER_HPET);
	assert_true(cmdline.has_seed && cmdline.seed == 16);
	assert_int_equal(cmdline.poison, 165);
	assert_string_equal(cmdline.module, "trace.tbat");
	assert_true(cmdline.has_initramfs);
	assert_string_equal(cmdline.initramfs, "tree.cpio.zst");
	assert_string_equal(cmdline.rest, "");
}

static void defaults_stand(void **state)
{
	(void)state;
	faultless("");
	assert_true(cmdline.panic == CMDLINE_PANIC_HALT && cmdline.exit == CMDLINE_EXIT_NONE && cmdline.cpu_count == 0);
	assert_false(cmdline.has_command || cmdline.has_test || cmdline.has_seed || cmdline.is_stepped ||
		     cmdline.has_initramfs || cmdline.has_quiet);
	assert_int_equal(cmdline.timer, CMDLINE_TIMER_BEST);
	faultless("initramfs");
	assert_true(cmdline.has_initramfs && cmdline.initramfs[0] == '\0');
	faultless("test c=\"\" cpus=2 cpus=3");
	assert_true(cmdline.has_test && cmdline.has_command && cmdline.cpu_count == 3);
}

static void the_rest_is_handed_on(void **state)
{
	(void)state;
	faultless("lock.spin=5\tpersona=x word b=\"2\" e= root=/dev/vda");
	assert_string_equal(cmdline.rest, "lock.spin=5 word b=2 e= root=/dev/vda");
	cmdline_parse(&cmdline, "a=1 b=2", 5); // cut where the caller says
	assert_string_equal(cmdline.rest, "a=1 b");
	cmdline_parse(&cmdline, "a=1\0b=2", 7);
	assert_string_equal(cmdline.rest, "a=1");
}

static void faults_name_their_place(void **state)
{
	static const struct {
		const char *text;
		uint32_t offset;
	} faults[] = {
		{"=5", 0},
		{"cpus=x", 5},
		{"a cpus=6x", 7},
		{"cpus=-1", 5},
		{"cpus=4294967296", 5},
		{"cpus", 0},
		{"mem=1Q", 4},
		{"mem=999999999999999999999", 4},
		{"mem=0x", 4},
		{"panic=maybe", 6},
		{"exit", 0},
		{"poison=256", 7},
		{"quiet=2", 6},
		{"persona=abcdefghijklmnopqrstuvwxyz0123456789", 8},
		{"c=\"no end", 2},
		{"c=\"no end\\", 2},
		{"c=\"end\"x", 7},
		{"c=a\"b", 3},
		{"a b$c=1", 3},
		{"a=\"two words\"", 2},
		{"abcdefghijklmnopqrstuvwxyz0123456789=1", 0},
		{"\x80=1", 0},
	};

	(void)state;
	for (size_t i = 0; i < PURE_COUNT(faults); i++) {
		char text[128];
		int size = snprintf(text, sizeof text, "%s seed=7", faults[i].text);
		parse(text);
		if (cmdline.fault.reason == NULL || cmdline.fault.offset != faults[i].offset ||
		    cmdline.fault.count != 1)
			fail_msg("%s: %s at %u, %u faults", text, cmdline.fault.reason, cmdline.fault.offset,
				 cmdline.fault.count);
		bool is_open = strstr(faults[i].text, "no end") != NULL; // swallows what follows
		assert_int_equal(cmdline.has_seed, !is_open);
		assert_true(size > 0 && cmdline.cpu_count == 0 && cmdline.mem_size_bytes == 0 && !cmdline.has_command);
	}
}

static void long_lines_are_cut(void **state)
{
	static char text[CMDLINE_INPUT_MAX + 64];

	(void)state;
	memset(text, 'a', sizeof text);
	cmdline_parse(&cmdline, text, sizeof text);
	assert_int_equal(cmdline.fault.offset, CMDLINE_INPUT_MAX);
	memset(text, ' ', sizeof text);
	cmdline_parse(&cmdline, text, CMDLINE_INPUT_MAX);
	assert_null(cmdline.fault.reason);
	for (size_t i = 0; i < 300; i++) // 300 words "a=b": the kernel's line has room for 128
		memcpy(text + 4 * i, "a=b ", 4);
	cmdline_parse(&cmdline, text, 4 * 300);
	assert_int_equal(strlen(cmdline.rest), 4 * 128 - 1);
	assert_int_equal(cmdline.fault.count, 300 - 128);
	assert_int_equal(cmdline.fault.offset, 4 * 128);
	memcpy(text + 4 * 127, "a=bc", 4); // with its NUL one byte too long
	cmdline_parse(&cmdline, text, 4 * 128);
	assert_int_equal(strlen(cmdline.rest), 4 * 127 - 1);
	assert_true(cmdline.fault.count == 1 && cmdline.fault.offset == 4 * 127);
	memcpy(text, "c=", 2);
	memset(text + 2, 'x', CMDLINE_COMMAND_SIZE);
	cmdline_parse(&cmdline, text, 2 + CMDLINE_COMMAND_SIZE - 1);
	assert_true(cmdline.has_command && strlen(cmdline.command) == CMDLINE_COMMAND_SIZE - 1);
	cmdline_parse(&cmdline, text, 2 + CMDLINE_COMMAND_SIZE);
	assert_true(!cmdline.has_command && cmdline.fault.offset == 2);
}

static void sizes_have_units(void **state)
{
	uint64_t size;

	(void)state;
	assert_true(cmdline_size("0", &size) && size == 0);
	assert_true(cmdline_size("64k", &size) && size == 65536);
	assert_true(cmdline_size("0x10M", &size) && size == 16u << 20);
	assert_true(cmdline_size("2G", &size) && size == 2ull << 30);
	assert_true(cmdline_size("16777215T", &size) && size == 16777215ull << 40);
	assert_true(cmdline_size("18446744073709551615", &size) && size == UINT64_MAX);
	static const char *const none[] = {"",   "M",  "16777216T", "18446744073709551616", "1MM", "1 M",
					   "0x", "-1", "1.5G"};
	for (size_t i = 0; i < PURE_COUNT(none); i++)
		assert_false(cmdline_size(none[i], &size));
}

const struct CMUnitTest cmdline_tests[] = {
	cmocka_unit_test(keys_are_taken),        cmocka_unit_test(defaults_stand),
	cmocka_unit_test(the_rest_is_handed_on), cmocka_unit_test(faults_name_their_place),
	cmocka_unit_test(long_lines_are_cut),    cmocka_unit_test(sizes_have_units),
};
TESTS_OF(cmdline);
