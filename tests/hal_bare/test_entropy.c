// SPDX-License-Identifier: MIT
//
// The generator of random bytes: RFC 8439's vectors for its block function, and what its key does.
#include "pure_test.h"

#include "../../src/hal_bare/common/entropy_pool.h"

// RFC 8439, 2.3.2.
static void block_function_gives_the_standards_bytes(void **state)
{
	static const uint8_t expected[64] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd,
					     0x1f, 0xa3, 0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0,
					     0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2,
					     0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05,
					     0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e,
					     0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
	static const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
	uint32_t key[8];
	uint8_t out[64];

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		key[i] = 0x03020100 + 0x04040404 * i;
	chacha20_block(key, 1, nonce, out);
	assert_memory_equal(out, expected, sizeof out);
}

// RFC 8439, A.1, vectors 1 and 2.
static void block_function_of_zeros(void **state)
{
	static const uint8_t first[8] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90};
	static const uint8_t second[8] = {0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a};
	static const uint32_t key[8], nonce[3];
	uint8_t out[64];

	(void)state;
	chacha20_block(key, 0, nonce, out);
	assert_memory_equal(out, first, sizeof first);
	chacha20_block(key, 1, nonce, out);
	assert_memory_equal(out, second, sizeof second);
}

// Zeros at the end of a short addition are not the padding.
static void additions_of_zeros_matter(void **state)
{
	uint8_t out[4][16];

	(void)state;
	for (size_t size = 0; size < 4; size++) {
		struct entropy_pool pool;
		entropy_pool_init(&pool);
		entropy_pool_add(&pool, "\0\0\0", size);
		entropy_pool_get(&pool, out[size], sizeof out[size]);
		for (size_t k = 0; k < size; k++)
			assert_memory_not_equal(out[size], out[k], sizeof out[size]);
	}
}

static void additions_matter_and_so_do_their_borders(void **state)
{
	static const char *const ways[][3] = {
		{"", "", ""}, {"ab", "", ""}, {"a", "b", ""}, {"b", "a", ""}, {"ab", "ab", ""}};
	uint8_t out[5][16];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct entropy_pool pool;
		entropy_pool_init(&pool);
		for (size_t k = 0; k < 3; k++)
			entropy_pool_add(&pool, ways[i][k], strlen(ways[i][k]));
		entropy_pool_get(&pool, out[i], sizeof out[i]);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(out[i], out[k], sizeof out[i]);
	}
}

// What a thief finds after a request does not make that request's bytes again.
static void the_key_changes_with_every_request(void **state)
{
	struct entropy_pool pool, thief;
	uint8_t out[256], again[256];

	(void)state;
	entropy_pool_init(&pool);
	entropy_pool_add(&pool, "seed", 4);
	struct entropy_pool before = pool;
	entropy_pool_get(&pool, out, sizeof out);
	thief = pool;
	assert_memory_not_equal(before.key, pool.key, sizeof pool.key);
	for (size_t i = 0; i + sizeof pool.key <= sizeof out; i++) // nor was the new key handed out
		assert_memory_not_equal(out + i, thief.key, sizeof thief.key);
	entropy_pool_get(&thief, again, sizeof again);
	assert_memory_not_equal(out, again, sizeof out);
	entropy_pool_get(&before, again, sizeof again); // the same state gives the same bytes: runs can be repeated
	assert_memory_equal(out, again, sizeof out);
}

// Sizes around blocks and key changes: a shorter request is a prefix of a longer one, and nothing is written behind.
static void requests_may_have_any_size(void **state)
{
	static const size_t sizes[] = {0, 1, 31, 32, 33, 95, 96, 97, 16415, 16416, 16417, 50000};
	static uint8_t longest[50000], out[50001];
	struct entropy_pool pool;

	(void)state;
	entropy_pool_init(&pool);
	entropy_pool_get(&pool, longest, sizeof longest);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		entropy_pool_init(&pool);
		memset(out, 0x5a, sizeof out);
		entropy_pool_get(&pool, out, sizes[i]);
		assert_int_equal(out[sizes[i]], 0x5a);
		if (sizes[i] > 0)
			assert_memory_equal(out, longest, sizes[i]);
	}
	uint32_t ones = 0;
	for (size_t i = 0; i < sizeof longest; i++)
		ones += (uint32_t)__builtin_popcount(longest[i]);
	assert_in_range(ones, 4 * sizeof longest - 1500, 4 * sizeof longest + 1500); // about five deviations
}

const struct CMUnitTest entropy_tests[] = {
	cmocka_unit_test(block_function_gives_the_standards_bytes),
	cmocka_unit_test(block_function_of_zeros),
	cmocka_unit_test(additions_of_zeros_matter),
	cmocka_unit_test(additions_matter_and_so_do_their_borders),
	cmocka_unit_test(the_key_changes_with_every_request),
	cmocka_unit_test(requests_may_have_any_size),
};
TESTS_OF(entropy);
