// SPDX-License-Identifier: MIT
//
// SHA-256 by the examples of FIPS 180-4 and NIST's CAVP, xxHash by its published values, table hashes by their properties.
#include "kern/checksum.h"
#include "kern/hash.h"
#include "kern/sha256.h"

#include "kern/fmt.h"
#include "kern/string.h"
#include "kern/test.h"

static void digest_row(TEST_RUN, const void *bytes, size_t size_bytes, const char *expected)
{
	uint8_t digest[SHA256_SIZE];
	char text[2 * SHA256_SIZE + 1];

	sha256_digest(bytes, size_bytes, digest);
	for (uint32_t i = 0; i < SHA256_SIZE; i++)
		ksnprintf(text + 2 * i, 3, "%02x", digest[i]);
	test_check(test_run_, str_equal(text, expected), expected, __FILE__, __LINE__);
}

TEST(sha256, published_examples)
{
	digest_row(test_run_, "", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_row(test_run_, "abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_row(test_run_, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	digest_row(test_run_, "\xbd", 1, "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b");
	digest_row(test_run_, "\xc9\x8c\x8e\x55", 4,
		   "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504");
}

// Around the border of the padding: 55 bytes fit with the length, 56 need another block.
TEST(sha256, padding_borders)
{
	char bytes[120];

	memset(bytes, 0, sizeof bytes);
	digest_row(test_run_, bytes, 55, "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7");
	digest_row(test_run_, bytes, 56, "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb");
	digest_row(test_run_, bytes, 57, "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785");
	digest_row(test_run_, bytes, 64, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
}

TEST(sha256, a_million_letters_in_uneven_pieces)
{
	static const uint8_t expected[4] = {0xcd, 0xc7, 0x6e, 0x5c};
	uint8_t digest[SHA256_SIZE];
	struct sha256 hash;
	char piece[1000];
	size_t left = 1000000;

	memset(piece, 'a', sizeof piece);
	sha256_init(&hash);
	for (size_t size = 1; left > 0; size = size * 7 % 997 + 1) {
		size_t now = MIN(size, left);
		sha256_update(&hash, piece, now);
		left -= now;
	}
	sha256_final(&hash, digest);
	CHECK_EQ(memcmp(digest, expected, sizeof expected), 0);
	CHECK_EQ(digest[31], 0xd0);
	CHECK_EQ(hash.state[0], 0);
}

// Pieces of every size up to three blocks give what one piece gives.
TEST(sha256, pieces_do_not_matter)
{
	uint8_t bytes[192], whole[SHA256_SIZE], split[SHA256_SIZE];
	struct sha256 hash;

	for (uint32_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 37);
	sha256_digest(bytes, sizeof bytes, whole);
	for (size_t size = 0; size <= sizeof bytes; size++) {
		sha256_init(&hash);
		sha256_update(&hash, bytes, size);
		sha256_update(&hash, bytes + size, sizeof bytes - size);
		sha256_final(&hash, split);
		CHECK_EQ(memcmp(whole, split, sizeof whole), 0);
	}
}

TEST(checksum, xxhash_published_values)
{
	CHECK(checksum_xxh64("", 0, 0) == 0xef46db3751d8e999ull);
	CHECK(checksum_xxh64("abc", 3, 0) == 0x44bc2cf5ad770999ull);
	CHECK(checksum_xxh3("", 0, 0) == 0x2d06800538d394c2ull);
	CHECK(checksum_xxh3("abc", 3, 0) == 0x78af5f94892f3950ull);
	CHECK(checksum_xxh64("abc", 3, 1) != checksum_xxh64("abc", 3, 0));
}

// Both finalisers are permutations: no two inputs of a stretch collide, and single bits spread over half of the output.
TEST(hash, numbers_spread)
{
	uint32_t flips = 0;

	for (uint32_t bit = 0; bit < 32; bit++) {
		uint32_t changed = hash_u32(0x1234567) ^ hash_u32(0x1234567 ^ (1u << bit));
		CHECK(changed != 0);
		for (; changed != 0; changed &= changed - 1)
			flips++;
	}
	CHECK(flips > 32 * 12);
	CHECK(flips < 32 * 20);
	CHECK(hash_u64(1) == 0x5692161d100b05e5ull);
	CHECK_EQ(hash_u32(0), 0);
	CHECK(hash_combine(1, 2) != hash_combine(2, 1));
}

TEST(hash, strings_are_hashed_by_content)
{
	char copy[] = "slab";

	CHECK_EQ(hash_str("slab"), hash_str(copy));
	CHECK_EQ(hash_str("slab"), hash_bytes("slab", 4));
	CHECK(hash_str("slab") != hash_str("slaB"));
	CHECK(hash_bytes("a\0", 2) != hash_bytes("a", 1));
	CHECK_EQ(hash_str(""), hash_u32(0x811c9dc5u));
	CHECK(hash_str_u64("") == hash_u64(0xcbf29ce484222325ull));
	CHECK(hash_str_u64("a") == hash_u64(0xaf63dc4c8601ec8cull));
}
