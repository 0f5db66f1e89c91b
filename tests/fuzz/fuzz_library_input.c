// SPDX-License-Identifier: MIT
//
// The input of fuzz_library as arguments: numbers at the edges of what is right, names that mean something and others, memory that is as large
// as it is said to be.
#include "fuzz_library.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_MAX 4096u

static struct {
	const uint8_t *at, *end;
	void *buffers[8]; // of this call
	uint32_t count;
} input;

void input_begin(const uint8_t *bytes, size_t size)
{
	input.at = bytes;
	input.end = bytes + size;
}

bool input_left(void)
{
	return input.at < input.end;
}

void input_forget(void)
{
	while (input.count > 0)
		free(input.buffers[--input.count]);
}

uint8_t byte(void)
{
	return input.at < input.end ? *input.at++ : 0;
}

static uint64_t raw(uint32_t bytes)
{
	uint64_t value = 0;
	while (bytes-- > 0)
		value = value << 8 | byte();
	return value;
}

// Small ones, those at an edge, any.
uint64_t number(void)
{
	static const uint64_t edges[] = {UINT64_MAX, 1u << 31,  INT32_MAX,
					 UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1,
					 4095,       4096,      1ull << 32,
					 1ull << 52, 65536,     1u << 20};
	uint8_t shape = byte();

	if (shape < 128)
		return shape;
	return shape < 200 ? edges[shape % (sizeof edges / sizeof edges[0])] : raw(1 + shape % 8);
}

uint32_t word(void)
{
	return (uint32_t)number();
}

// One bit of those that mean something, often; or two, or any.
uint32_t bits(void)
{
	uint8_t shape = byte();
	return shape < 100 ? 1u << shape % 32 : shape < 180 ? 1u << shape % 32 | 1u << byte() % 32 : word();
}

int32_t descriptor(void)
{
	uint8_t shape = byte();
	return shape < 200 ? (int32_t)(shape % 6) : shape < 230 ? TB_AT_FDCWD : (int32_t)word();
}

static void *keep(void *memory)
{
	if (memory == NULL || input.count == sizeof input.buffers / sizeof input.buffers[0])
		abort();
	return input.buffers[input.count++] = memory;
}

// Exactly `size` bytes, of the input or of something.
void *memory(size_t size, bool fill)
{
	uint8_t *bytes = keep(malloc(size > 0 ? size : 1));
	for (size_t i = 0; i < size; i++)
		bytes[i] = fill ? byte() : 0x5a;
	return bytes;
}

size_t buffer_size(void)
{
	return number() % (BUFFER_MAX + 1);
}

// A place for an answer, of that size; sometimes none.
void *out(size_t size)
{
	return byte() == 255 ? NULL : memory(size, true);
}

const char *text(size_t size)
{
	char *bytes = keep(malloc(size + 1));
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)byte();
	bytes[size] = '\0';
	return bytes;
}

static const char *long_text(const char *piece, size_t size)
{
	char *bytes = keep(malloc(size + 1));
	for (size_t i = 0; i < size; i++)
		bytes[i] = piece[i % strlen(piece)];
	bytes[size] = '\0';
	return bytes;
}

const char *path(void)
{
	static const char *const known[] = {"a",
					    "b",
					    "d",
					    "d/a",
					    "d/b",
					    "..",
					    ".",
					    "/",
					    "",
					    "/dev/console",
					    "/dev/null",
					    "/dev/zero",
					    "link",
					    "ring",
					    "a/b",
					    "d//b/",
					    "d/../a",
					    "/proc/self",
					    "/proc/mounts",
					    "/proc/sys/sched/slice_us",
					    "/dev/full",
					    "/dev/random"};
	uint8_t shape = byte();

	if (shape < 220)
		return known[shape % (sizeof known / sizeof known[0])];
	switch (shape) {
	case 220:
		return NULL;
	case 221:
		return long_text("x", TB_NAME_MAX);
	case 222:
		return long_text("x", TB_NAME_MAX + 1u);
	case 223:
		return long_text("./", TB_PATH_MAX - 1u);
	case 224:
		return long_text("../", TB_PATH_MAX);
	default:
		return text(byte() % 24);
	}
}

const char *name(void)
{
	static const char *const known[] = {
		"user.a", "user.b", "trusted.a", "security.a", "user.", "user", "system.posix_acl_access", ""};
	uint8_t shape = byte();

	if (shape < 200)
		return known[shape % 8];
	return shape < 205 ? NULL : shape < 210 ? long_text("user.", 300) : text(byte() % 20);
}
