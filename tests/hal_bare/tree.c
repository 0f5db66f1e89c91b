// SPDX-License-Identifier: MIT
//
// Writer of small device trees for tests; what it writes may be wrong on purpose.
#include "pure_test.h"

void be32_put(uint8_t *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

void tree_begin(struct tree *tree)
{
	memset(tree, 0, sizeof *tree);
}

void tree_token(struct tree *tree, uint32_t token)
{
	assert_true(tree->structure_size + 4 <= sizeof tree->structure);
	be32_put(tree->structure + tree->structure_size, token);
	tree->structure_size += 4;
}

static void padded_put(struct tree *tree, const void *bytes, uint32_t size_bytes)
{
	uint32_t padded = (size_bytes + 3) & ~3u;
	assert_true(tree->structure_size + padded <= sizeof tree->structure);
	if (size_bytes > 0)
		memcpy(tree->structure + tree->structure_size, bytes, size_bytes);
	tree->structure_size += padded;
}

void tree_reserve(struct tree *tree, uint64_t start, uint64_t size_bytes)
{
	uint8_t *at = tree->rsvmap + tree->rsvmap_size;
	be32_put(at, (uint32_t)(start >> 32));
	be32_put(at + 4, (uint32_t)start);
	be32_put(at + 8, (uint32_t)(size_bytes >> 32));
	be32_put(at + 12, (uint32_t)size_bytes);
	tree->rsvmap_size += 16;
}

void tree_node(struct tree *tree, const char *name)
{
	tree_token(tree, 1);
	padded_put(tree, name, (uint32_t)strlen(name) + 1);
}

void tree_end(struct tree *tree)
{
	tree_token(tree, 2);
}

static uint32_t string_offset(struct tree *tree, const char *name)
{
	for (uint32_t at = 0; at < tree->strings_size; at += (uint32_t)strlen(tree->strings + at) + 1)
		if (strcmp(tree->strings + at, name) == 0)
			return at;
	uint32_t at = tree->strings_size, size = (uint32_t)strlen(name) + 1;
	assert_true(at + size <= sizeof tree->strings);
	memcpy(tree->strings + at, name, size);
	tree->strings_size += size;
	return at;
}

void tree_bytes(struct tree *tree, const char *name, const void *bytes, uint32_t size_bytes)
{
	tree_token(tree, 3);
	tree_token(tree, size_bytes);
	tree_token(tree, string_offset(tree, name));
	padded_put(tree, bytes, size_bytes);
}

void tree_text(struct tree *tree, const char *name, const char *text)
{
	tree_bytes(tree, name, text, (uint32_t)strlen(text) + 1);
}

void tree_words(struct tree *tree, const char *name, uint32_t count, ...)
{
	uint8_t words[64 * 4];
	va_list list;

	assert_in_range(count, 0, 64);
	va_start(list, count);
	for (uint32_t i = 0; i < count; i++)
		be32_put(words + 4 * i, va_arg(list, uint32_t));
	va_end(list);
	tree_bytes(tree, name, words, 4 * count);
}

void tree_finish(struct tree *tree)
{
	uint32_t rsvmap = 40, structure = rsvmap + tree->rsvmap_size + 16, strings = structure + tree->structure_size;
	const uint32_t header[] = {
		0xd00dfeed, strings + tree->strings_size, structure,           strings, rsvmap, 17, 16,
		0,          tree->strings_size,           tree->structure_size};

	memset(tree->blob, 0, sizeof tree->blob);
	for (uint32_t i = 0; i < 10; i++)
		be32_put(tree->blob + 4 * i, header[i]);
	memcpy(tree->blob + rsvmap, tree->rsvmap, tree->rsvmap_size);
	memcpy(tree->blob + structure, tree->structure, tree->structure_size);
	memcpy(tree->blob + strings, tree->strings, tree->strings_size);
	tree->size_bytes = strings + tree->strings_size;
}
