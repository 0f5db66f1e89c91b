// SPDX-License-Identifier: MIT
//
// The formatter, row by row against what C17 7.21.6.1 prescribes (figures checked with glibc), and the parts of ours.
#include "kern/fmt.h"

#include "kern/err.h"
#include "kern/string.h"
#include "kern/test.h"

// Many rows are wrong on purpose, or ours alone.
#pragma GCC diagnostic ignored "-Wformat"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wformat-overflow"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#endif

#define CHECK_TEXT(expected, ...)                                                                                      \
	do {                                                                                                           \
		char text_[160];                                                                                       \
		size_t length_ = ksnprintf(text_, sizeof text_, __VA_ARGS__);                                          \
		test_check(test_run_, str_equal(text_, expected), expected, __FILE__, __LINE__);                       \
		CHECK_EQ(length_, strlen(expected));                                                                   \
	} while (0)

TEST(fmt, decimal)
{
	CHECK_TEXT("0 -1 42", "%d %d %i", 0, -1, 42);
	CHECK_TEXT("-2147483648 2147483647", "%d %d", INT32_MIN, INT32_MAX);
	CHECK_TEXT("-9223372036854775808", "%lld", (long long)INT64_MIN);
	CHECK_TEXT("18446744073709551615", "%llu", (unsigned long long)UINT64_MAX);
	CHECK_TEXT("+5 -5 + 0 -0", "%+d %+d + %d -%d", 5, -5, 0, 0);
	CHECK_TEXT(" 5 -5", "% d % d", 5, -5);
	CHECK_TEXT("   42|42   |00042", "%5d|%-5d|%05d", 42, 42, 42);
	CHECK_TEXT("-0042|  -42|-42  ", "%05d|%5d|%-5d", -42, -42, -42);
	CHECK_TEXT("007|  007|007  ", "%.3d|%5.3d|%-5.3d", 7, 7, 7);
	CHECK_TEXT("  007", "%05.3d", 7);
	CHECK_TEXT("[] [0]", "[%.0d] [%.1d]", 0, 0);
	CHECK_TEXT("   +7", "%+5d", 7);
	CHECK_TEXT("+0007", "%+05d", 7);
	CHECK_TEXT("7    |+0007| 0007|7    ", "%0-5d|%0+5d|%0 5d|%-05d", 7, 7, 7, 7);
}

TEST(fmt, unsigned_bases)
{
	CHECK_TEXT("4294967295", "%u", UINT32_MAX);
	CHECK_TEXT("deadbeef DEADBEEF", "%x %X", 0xdeadbeefu, 0xdeadbeefu);
	CHECK_TEXT("0xff 0XFF 0", "%#x %#X %#x", 0xffu, 0xffu, 0u);
	CHECK_TEXT("0x00ff|  0xff|0xff  ", "%#06x|%#6x|%-#6x", 0xffu, 0xffu, 0xffu);
	CHECK_TEXT("777 0777 0 0", "%o %#o %#o %#.0o", 0777u, 0777u, 0u, 0u);
	CHECK_TEXT("0x0000000012", "%#.10x", 0x12u);
	CHECK_TEXT("1777777777777777777777", "%llo", (unsigned long long)UINT64_MAX);
}

TEST(fmt, lengths)
{
	CHECK_TEXT("-1 255 -1 65535", "%hhd %hhu %hd %hu", -1, 255, -1, 65535);
	CHECK_TEXT("1 2 3", "%hhd %hhu %hd", 257, 258u, 65539);
	CHECK_TEXT(sizeof(long) == 8 ? "-1 18446744073709551615" : "-1 4294967295", "%ld %lu", -1l, ~0ul);
	CHECK_TEXT("-9223372036854775808 18446744073709551615", "%jd %ju", INTMAX_MIN, UINTMAX_MAX);
	CHECK_TEXT(sizeof(size_t) == 8 ? "18446744073709551615 -9223372036854775808" : "4294967295 -2147483648",
		   "%zu %td", SIZE_MAX, PTRDIFF_MIN);
	CHECK_TEXT("12 -3 7 8", "%zu %td %jd %ju", (size_t)12, (ptrdiff_t)-3, (intmax_t)7, (uintmax_t)8);
}

TEST(fmt, strings_and_bytes)
{
	CHECK_TEXT("abc|  abc|abc  |ab", "%s|%5s|%-5s|%.2s", "abc", "abc", "abc", "abc");
	CHECK_TEXT("   ab|", "%5.2s|%.0s", "abc", "abc");
	CHECK_TEXT("(null)", "%s", (const char *)NULL);
	CHECK_TEXT("x|  x|x  ", "%c|%3c|%-3c", 'x', 'x', 'x');
	CHECK_TEXT("100%", "%d%%", 100);
	char unterminated[3] = {'a', 'b', 'c'};
	CHECK_TEXT("abc", "%.3s", unterminated);
}

TEST(fmt, width_and_precision_as_arguments)
{
	CHECK_TEXT("   42|42   |  042", "%*d|%*d|%*.*d", 5, 42, -5, 42, 5, 3, 42);
	CHECK_TEXT("42|abc", "%.*d|%.*s", -1, 42, -1, "abc");
	CHECK_TEXT("ab", "%.*s", 2, "abc");
}

TEST(fmt, unknown_conversions_are_copied)
{
	CHECK_TEXT("%y 1", "%y %d", 1);
	CHECK_TEXT("%", "%");
	CHECK_TEXT("%5", "%5");
	CHECK_TEXT("%-08.3lq.", "%-08.3lq.");
}

TEST(fmt, errors_by_name)
{
	CHECK_TEXT("ENOMEM|OK|EINVAL|E?", "%pe|%pe|%pe|%pe", ERR_PTR(-ENOMEM), ERR_PTR(0), ERR_PTR(EINVAL),
		   ERR_PTR(-4000));
	CHECK_TEXT("   EIO|EIO   !", "%6pe|%-6pe!", ERR_PTR(-EIO), ERR_PTR(-EIO));
}

TEST(fmt, pointers_are_offsets)
{
	static const char constant[] = "constant";
	char text[64];
	char *ram = (char *)hal_kernel();

	CHECK_TEXT("(nil)", "%p", NULL);
	CHECK_TEXT("ram+0x1234", "%p", (void *)(ram + 0x1234));
	CHECK_TEXT("  ram+0x10", "%10p", (void *)(ram + 16));
	if (sizeof(void *) == 8) { // what 32 bits can name may be an offset from the image
		CHECK_TEXT("(foreign)", "%p", (void *)(uintptr_t)0x7fff00001234);
		CHECK_TEXT("(foreign)", "%p", (void *)(uintptr_t)0xffff000000000000);
	}
	ksnprintf(text, sizeof text, "%p", (const void *)constant);
	CHECK(str_has_prefix(text, "image+0x") || str_has_prefix(text, "image-0x"));
}

TEST(fmt, text_is_cut_and_terminated)
{
	char text[8];

	memset(text, '#', sizeof text);
	CHECK_EQ(ksnprintf(text, 4, "%d", 123456), 6);
	CHECK(str_equal(text, "123"));
	CHECK_EQ(text[4], '#');
	CHECK_EQ(ksnprintf(text, 1, "abc"), 3);
	CHECK_EQ(text[0], '\0');
	text[0] = '#';
	CHECK_EQ(ksnprintf(text, 0, "abc"), 3);
	CHECK_EQ(text[0], '#');
	CHECK_EQ(ksnprintf(NULL, 0, "%s", "abcdef"), 6);
	CHECK_EQ(ksnprintf(text, 8, "%100000d", 1), 100000);
	CHECK(str_equal(text, "       "));
	CHECK_EQ(ksnprintf(text, 8, "%99999999999d", 1), 1 << 30);
	CHECK_EQ(ksnprintf(text, 8, "1234567"), 7);
	CHECK(str_equal(text, "1234567"));
}

TEST(fmt, buffer_grows_by_pieces)
{
	struct fmt_buffer out;
	char text[12];

	memset(text, '#', sizeof text);
	fmt_init(&out, text, sizeof text);
	CHECK(str_equal(text, ""));
	fmt_append(&out, "%d", 12);
	fmt_append_bytes(&out, "-ab-", 3);
	fmt_append(&out, "%s", "cdefg");
	CHECK(str_equal(text, "12-abcdefg"));
	CHECK(!fmt_was_cut(&out));
	fmt_append(&out, "%u", 34u);
	CHECK(fmt_was_cut(&out));
	CHECK(str_equal(text, "12-abcdefg3"));
	fmt_append(&out, "%u", 5u);
	CHECK_EQ(out.length, 13);
	CHECK(str_equal(text, "12-abcdefg3"));
}

TEST(fmt, json_strings_are_escaped)
{
	struct fmt_buffer out;
	char text[80];

	fmt_init(&out, text, sizeof text);
	fmt_append_json(&out, "a\"b\\c\n\t\r\b\f\x01\x7f\xc3z/~ ");
	CHECK(str_equal(text, "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0001\\u007f\\u00c3z/~ \""));
}
