// SPDX-License-Identifier: MIT
//
// Runs the tests of the bare HAL's pure parts. Arguments: the folder of the fuzzers' seeds, and raspi3b.dtb.
#include "pure_test.h"

#include <stdio.h>

static const char *seeds, *raspi3b;

uint8_t *input_read(const char *name, size_t *size_bytes)
{
	char path[4096];
	bool is_raspi3b = strcmp(name, "raspi3b") == 0;
	snprintf(path, sizeof path, "%s%s%s", is_raspi3b ? raspi3b : seeds, is_raspi3b ? "" : "/",
		 is_raspi3b ? "" : name);
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("%s: cannot be read", path);
	uint8_t *whole = malloc(INPUT_MAX);
	assert_non_null(whole);
	*size_bytes = fread(whole, 1, INPUT_MAX, file);
	fclose(file);
	assert_in_range(*size_bytes, 1, INPUT_MAX - 1);
	uint8_t *exact = malloc(*size_bytes); // so that the sanitizer sees a read past the end
	assert_non_null(exact);
	memcpy(exact, whole, *size_bytes);
	free(whole);
	return exact;
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[256];
	const struct {
		const struct CMUnitTest *tests;
		size_t count;
	} groups[] = {{fdt_tests, fdt_test_count},         {fdt_machine_tests, fdt_machine_test_count},
		      {acpi_tests, acpi_test_count},       {memmap_tests, memmap_test_count},
		      {cmdline_tests, cmdline_test_count}, {entropy_tests, entropy_test_count}};
	size_t count = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: %s SEEDS RASPI3B.DTB\n", argv[0]);
		return 2;
	}
	seeds = argv[1];
	raspi3b = argv[2];
	cmocka_set_message_output(CM_OUTPUT_TAP);
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
		for (size_t k = 0; k < groups[i].count && count < sizeof tests / sizeof tests[0]; k++)
			tests[count++] = groups[i].tests[k];
	return _cmocka_run_group_tests("barepure", tests, count, NULL, NULL);
}
