// SPDX-License-Identifier: MIT
//
// Strings, and numbers in text.
#include "kern/string.h"

#include "kern/test.h"

TEST(string, lengths_and_order)
{
	CHECK_EQ(strlen(""), 0);
	CHECK_EQ(strlen("abc"), 3);
	CHECK_EQ(strnlen("abc", 2), 2);
	CHECK_EQ(strnlen("abc", 9), 3);
	CHECK(strcmp("abc", "abc") == 0);
	CHECK(strcmp("abc", "abd") < 0);
	CHECK(strcmp("abc", "ab") > 0);
	CHECK(strcmp("a", "\xff") < 0);
	CHECK(strncmp("abcx", "abcy", 3) == 0);
	CHECK(strncmp("abcx", "abcy", 4) < 0);
	CHECK(strncmp("ab", "abc", 9) < 0);
	CHECK(strncmp("x", "y", 0) == 0);
	CHECK(strncmp("a\0b", "a\0c", 3) == 0);
	CHECK(str_has_prefix("sched.switch", "sched"));
	CHECK(str_has_prefix("x", ""));
	CHECK(!str_has_prefix("sch", "sched"));
	CHECK(!str_equal("sch", "sched"));
}

TEST(string, searches)
{
	const char *text = "abcabc";

	CHECK(strchr(text, 'b') == text + 1);
	CHECK(strrchr(text, 'b') == text + 4);
	CHECK(strchr(text, 'z') == NULL);
	CHECK(strrchr(text, 'z') == NULL);
	CHECK(strchr(text, '\0') == text + 6);
	CHECK(strrchr(text, '\0') == text + 6);
	CHECK(strstr(text, "ca") == text + 2);
	CHECK(strstr(text, "abcabcd") == NULL);
	CHECK(strstr(text, "") == text);
	CHECK(strstr("", "") != NULL);
	CHECK(strstr("aab", "ab") != NULL);
	CHECK(memchr(text, 'c', 2) == NULL);
	CHECK(memchr(text, 'c', 3) == text + 2);
	CHECK(memchr(text, 'a', 0) == NULL);
}

TEST(string, copies_are_cut_and_terminated)
{
	char to[6];

	memset(to, '#', sizeof to);
	CHECK_EQ(strlcpy(to, "abcdef", 4), 6);
	CHECK(str_equal(to, "abc"));
	CHECK_EQ(to[4], '#');
	CHECK_EQ(strlcpy(to, "ab", sizeof to), 2);
	CHECK_EQ(strlcat(to, "cdefg", sizeof to), 7);
	CHECK(str_equal(to, "abcde"));
	CHECK_EQ(strlcat(to, "x", sizeof to), 6);
	CHECK(str_equal(to, "abcde"));
	CHECK_EQ(strlcpy(to, "x", 0), 1);
	CHECK(str_equal(to, "abcde"));
	memset(to, '#', sizeof to);
	CHECK_EQ(strlcat(to, "x", 3), 4);
	CHECK_EQ(to[3], '#');
}

static void unsigned_row(TEST_RUN, const char *text, uint32_t base, err_t expected, uint64_t number)
{
	uint64_t value = 99;

	CHECK_EQ(str_to_u64(text, base, &value), expected);
	CHECK(value == (expected == 0 ? number : 99));
}

TEST(string, unsigned_numbers)
{
	unsigned_row(test_run_, "0", 10, 0, 0);
	unsigned_row(test_run_, "18446744073709551615", 10, 0, UINT64_MAX);
	unsigned_row(test_run_, "18446744073709551616", 10, -ERANGE, 0);
	unsigned_row(test_run_, "99999999999999999999", 10, -ERANGE, 0);
	unsigned_row(test_run_, "99999999999999999999x", 10, -EINVAL, 0);
	unsigned_row(test_run_, "0x10", 0, 0, 16);
	unsigned_row(test_run_, "0XfF", 0, 0, 255);
	unsigned_row(test_run_, "010", 0, 0, 10);
	unsigned_row(test_run_, "0x", 0, -EINVAL, 0);
	unsigned_row(test_run_, "0xg", 0, -EINVAL, 0);
	unsigned_row(test_run_, "0x10", 16, -EINVAL, 0);
	unsigned_row(test_run_, "ffffffffffffffff", 16, 0, UINT64_MAX);
	unsigned_row(test_run_, "zz", 36, 0, 35 * 36 + 35);
	unsigned_row(test_run_, "aZ", 36, 0, 10 * 36 + 35);
	unsigned_row(test_run_, "Az", 36, 0, 10 * 36 + 35);
	unsigned_row(test_run_, "@", 36, -EINVAL, 0);
	unsigned_row(test_run_, "[", 36, -EINVAL, 0);
	unsigned_row(test_run_, "`", 36, -EINVAL, 0);
	unsigned_row(test_run_, "{", 36, -EINVAL, 0);
	unsigned_row(test_run_, "/", 36, -EINVAL, 0);
	unsigned_row(test_run_, ":", 36, -EINVAL, 0);
	unsigned_row(test_run_, "102", 2, -EINVAL, 0);
	unsigned_row(test_run_, "", 10, -EINVAL, 0);
	unsigned_row(test_run_, " 1", 10, -EINVAL, 0);
	unsigned_row(test_run_, "1 ", 10, -EINVAL, 0);
	unsigned_row(test_run_, "-1", 10, -EINVAL, 0);
	unsigned_row(test_run_, "+1", 10, -EINVAL, 0);
	unsigned_row(test_run_, "1", 1, -EINVAL, 0);
	unsigned_row(test_run_, "1", 37, -EINVAL, 0);
}

static void signed_row(TEST_RUN, const char *text, err_t expected, int64_t number)
{
	int64_t value = 99;

	CHECK_EQ(str_to_i64(text, 0, &value), expected);
	CHECK_EQ(value, expected == 0 ? number : 99);
}

TEST(string, signed_and_narrow_numbers)
{
	uint32_t narrow = 99;

	signed_row(test_run_, "-9223372036854775808", 0, INT64_MIN);
	signed_row(test_run_, "9223372036854775807", 0, INT64_MAX);
	signed_row(test_run_, "-9223372036854775809", -ERANGE, 0);
	signed_row(test_run_, "9223372036854775808", -ERANGE, 0);
	signed_row(test_run_, "+7", 0, 7);
	signed_row(test_run_, "-0x10", 0, -16);
	signed_row(test_run_, "--1", -EINVAL, 0);
	signed_row(test_run_, "-", -EINVAL, 0);
	CHECK_EQ(str_to_u32("4294967296", 10, &narrow), -ERANGE);
	CHECK_EQ(narrow, 99);
	CHECK_EQ(str_to_u32("4294967295", 10, &narrow), 0);
	CHECK_EQ(narrow, UINT32_MAX);
	CHECK_EQ(str_to_u32("x", 10, &narrow), -EINVAL);
}

static void size_row(TEST_RUN, const char *text, err_t expected, uint64_t number)
{
	uint64_t value = 99;

	CHECK_EQ(str_to_size(text, &value), expected);
	CHECK(value == (expected == 0 ? number : 99));
}

TEST(string, sizes)
{
	size_row(test_run_, "512", 0, 512);
	size_row(test_run_, "4k", 0, 4096);
	size_row(test_run_, "512M", 0, 512ull << 20);
	size_row(test_run_, "1G", 0, 1ull << 30);
	size_row(test_run_, "2t", 0, 2ull << 40);
	size_row(test_run_, "0x10K", 0, 16384);
	size_row(test_run_, "16777215T", 0, 16777215ull << 40);
	size_row(test_run_, "16777216T", -ERANGE, 0);
	size_row(test_run_, "18446744073709551616", -ERANGE, 0);
	size_row(test_run_, "18446744073709551616q", -EINVAL, 0);
	size_row(test_run_, "K", -EINVAL, 0);
	size_row(test_run_, "1KB", -EINVAL, 0);
	size_row(test_run_, "1P", -EINVAL, 0);
	size_row(test_run_, "", -EINVAL, 0);
}
