// SPDX-License-Identifier: MIT
//
// What the tests of the bare HAL's pure parts share: the real inputs, which are seeds of the fuzzers too, and a writer of small
// device trees.
#ifndef PURE_TEST_H
#define PURE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define INPUT_MAX (256u << 10)

// Reads tests/fuzz/seeds/`name`, or the raspi3b's tree; the caller frees. Fails the test when it is not there.
uint8_t *input_read(const char *name, size_t *size_bytes);

extern const struct CMUnitTest fdt_tests[], fdt_machine_tests[], acpi_tests[], memmap_tests[], cmdline_tests[],
	entropy_tests[];
extern const size_t fdt_test_count, fdt_machine_test_count, acpi_test_count, memmap_test_count, cmdline_test_count,
	entropy_test_count;

#define TESTS_OF(name) const size_t name##_test_count = sizeof name##_tests / sizeof name##_tests[0]

// ---- a device tree that is being written ----------------------------------------------------------------------------

struct tree {
	uint8_t structure[16384];
	uint32_t structure_size;
	char strings[1024];
	uint32_t strings_size;
	uint8_t rsvmap[256];
	uint32_t rsvmap_size;
	uint8_t blob[20480];
	size_t size_bytes; // of blob, once tree_finish() has been called
};

void tree_begin(struct tree *tree);
void tree_reserve(struct tree *tree, uint64_t start, uint64_t size_bytes);
void tree_node(struct tree *tree, const char *name);
void tree_end(struct tree *tree);
void tree_bytes(struct tree *tree, const char *name, const void *bytes, uint32_t size_bytes);
void tree_text(struct tree *tree, const char *name, const char *text);
void tree_words(struct tree *tree, const char *name, uint32_t count, ...); // 32-bit numbers
void tree_token(struct tree *tree, uint32_t token);
void tree_finish(struct tree *tree); // puts the blocks together; the tokens are the caller's affair

void be32_put(uint8_t *at, uint32_t value);

#endif
