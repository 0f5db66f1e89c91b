// SPDX-License-Identifier: MIT
//
// What a console remembers of its screen: scenes with the rows they must leave, each painted onto a fresh screen; and random bytes.
#include "painted.h"

#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/string.h"
#include "kern/test.h"

#define ROWS 4u
#define COLUMNS 10u

struct scene {
	const char *name, *bytes;
	const char *rows[ROWS]; // without blanks at the end
	uint32_t row, column;   // of the cursor
};

static const struct scene scenes[] = {
	{"text", "one\r\ntwo", {"one", "two", "", ""}, 1, 3},
	{"a newline alone keeps the column", "ab\ncd", {"ab", "  cd", "", ""}, 1, 4},
	{"a long line wraps", "0123456789ab", {"0123456789", "ab", "", ""}, 1, 2},
	{"the last column waits", "0123456789", {"0123456789", "", "", ""}, 0, 9},
	{"the last column, then a return", "0123456789\rX", {"X123456789", "", "", ""}, 0, 1},
	{"no wrapping", "\033[?7l0123456789ab", {"012345678b", "", "", ""}, 0, 9},
	{"scrolling", "1\r\n2\r\n3\r\n4\r\n5", {"2", "3", "4", "5"}, 3, 1},
	{"scrolling between margins", "1\r\n2\r\n3\r\n4\033[2;3r\033[3;1H\nX", {"1", "3", "X", "4"}, 2, 1},
	{"back over the upper margin", "1\r\n2\r\n3\r\n4\033[2;3r\033[2;1H\033MX", {"1", "X", "2", "4"}, 1, 1},
	{"moves", "\033[2;3HA\033[3GB\033[AC\033[2BD", {"   C", "  B", "    D", ""}, 2, 5},
	{"moves stop at the edges", "\033[99;99HA\033[99A\033[99DB", {"B", "", "", "         A"}, 0, 1},
	{"erase to the end", "1\r\n2\r\n3\033[2;1H\033[J", {"1", "", "", ""}, 1, 0},
	{"erase from the beginning", "123\r\n456\033[2D\033[1J", {"", "  6", "", ""}, 1, 1},
	{"erase a line", "123\r\n456\033[2K", {"123", "", "", ""}, 1, 3},
	{"erase characters", "123456\033[1;2H\033[3X", {"1   56", "", "", ""}, 0, 1},
	{"insert and delete characters", "123456\033[1;2H\033[2@\033[1;5H\033[P", {"1  2456", "", "", ""}, 0, 4},
	{"insert and delete lines", "1\r\n2\r\n3\r\n4\033[2;1H\033[L\033[4;1H\033[M", {"1", "", "2", ""}, 3, 0},
	{"insert mode", "abc\033[1;1H\033[4hX", {"Xabc", "", "", ""}, 0, 1},
	{"tabs", "a\tb", {"a       b", "", "", ""}, 0, 9},
	{"tabs of one's own", "\033[3g\033[1;4H\033H\ra\tb", {"a  b", "", "", ""}, 0, 4},
	{"the cursor is saved", "ab\0337\r\ncd\0338X", {"abX", "cd", "", ""}, 0, 3},
	{"the alternate screen leaves the main one", "ab\033[?1049h\033[HXY\033[?1049lc", {"abc", "", "", ""}, 0, 3},
	{"within the alternate screen", "ab\033[?1049h\033[HXY", {"XY", "", "", ""}, 0, 2},
	{"UTF-8", "\xc3\xa9\xe2\x82\xac!", {"\xc3\xa9\xe2\x82\xac!", "", "", ""}, 0, 3},
	{"a broken sequence shows", "a\xe2\x82zb", {"a\xef\xbf\xbdzb", "", "", ""}, 0, 4},
	{"forms that are too long",
	 "\xe0\x80\x80\xf0\x80\x80\x80\xed\xa0\x80x",
	 {"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx", "", "", ""},
	 0,
	 4},
	{"wide characters", "\xe4\xb8\xad\xe6\x96\x87!", {"\xe4\xb8\xad\xe6\x96\x87!", "", "", ""}, 0, 5},
	{"a wide one does not fit", "012345678\xe4\xb8\xad", {"012345678", "\xe4\xb8\xad", "", ""}, 1, 2},
	{"wide ones move by half a one",
	 "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\033[1;1H\033[P",
	 {" \xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad", "", "", ""},
	 0,
	 0},
	{"half a wide one goes whole", "\xe4\xb8\xad\xe6\x96\x87\033[1;2HX", {" X\xe6\x96\x87", "", "", ""}, 0, 2},
	{"marks take no column", "e\xcc\x81x", {"ex", "", "", ""}, 0, 2},
	{"line drawing", "\033(0lqk\033(Bq", {"\xe2\x94\x8c\xe2\x94\x80\xe2\x94\x90q", "", "", ""}, 0, 4},
	{"titles are no text", "\033]0;title\007a\033]2;b\033\\c", {"ac", "", "", ""}, 0, 2},
	{"unknown sequences are no text", "\033[5;6y\033[?12345h\033#8\033[>cab", {"ab", "", "", ""}, 0, 2},
	{"repeat", "-\033[3b", {"----", "", "", ""}, 0, 4},
	{"origin", "\033[2;3r\033[?6h\033[1;1HX\033[9;1HY", {"", "X", "Y", ""}, 2, 1},
	{"reset", "ab\033[2;3r\033c", {"", "", "", ""}, 0, 0},
	{"a cancelled sequence", "a\033[3\030b", {"ab", "", "", ""}, 0, 2},
};

static void row_text(const struct screen *screen, uint32_t row, char *text, size_t size)
{
	size_t used = 0, last = 0;

	for (uint32_t column = 0; column < screen->columns; column++) {
		uint32_t cell = screen->cells[row * screen->columns + column].text, code = cell & CELL_TEXT;
		if (cell & CELL_RIGHT)
			continue;
		uint32_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
		if (used + 5 > size)
			break;
		text[used++] = (char)(more == 0 ? (code != 0 ? code : ' ')
						: (0xf00u >> (more + 1) & 0xff) | code >> (6 * more));
		while (more-- > 0)
			text[used++] = (char)(0x80 | (code >> (6 * more) & 0x3f));
		if (code != 0 && code != ' ')
			last = used;
	}
	text[last] = '\0';
}

TEST(tty_screen, scenes)
{
	struct screen screen;
	char text[COLUMNS * 4 + 8];

	for (uint32_t i = 0; i < array_count(scenes); i++) {
		const struct scene *scene = &scenes[i];
		memset(&screen, 0, sizeof screen);
		REQUIRE(screen_init(&screen, ROWS, COLUMNS) == 0);
		screen_write(&screen, scene->bytes, strlen(scene->bytes));
		for (uint32_t row = 0; row < ROWS; row++) {
			row_text(&screen, row, text, sizeof text);
			test_check(test_run_, strcmp(text, scene->rows[row]) == 0, scene->name, __FILE__, __LINE__);
		}
		test_check(test_run_, screen.cursor.row == scene->row && screen.cursor.column == scene->column,
			   scene->name, __FILE__, __LINE__);
		CHECK_EQ(screen_check(&screen), 0);
		painted_is_same(&screen);
		screen_fini(&screen);
	}
}

TEST(tty_screen, attributes)
{
	static const char bytes[] =
		"\033[1;4;31;44mA\033[0mB\033[38;5;200;48;2;255;0;8mC\033[7;22mD\033[39;49;27mE\033[95;103mF";
	static const struct cell wanted[] = {
		{'A' | CELL_BOLD | CELL_UNDERLINE, 2, 5},
		{'B', 0, 0},
		{'C', 201, COLOUR_RGB | 31 << 10 | 1},
		{'D' | CELL_REVERSE, 201, COLOUR_RGB | 31 << 10 | 1},
		{'E', 0, 0},
		{'F', 14, 12},
	};
	struct screen screen = {0};

	REQUIRE(screen_init(&screen, ROWS, COLUMNS) == 0);
	screen_write(&screen, bytes, sizeof bytes - 1);
	for (uint32_t i = 0; i < array_count(wanted); i++) {
		CHECK_EQ(screen.cells[i].text, wanted[i].text);
		CHECK_EQ(screen.cells[i].fore, wanted[i].fore);
		CHECK_EQ(screen.cells[i].back, wanted[i].back);
	}
	painted_is_same(&screen);
	screen_fini(&screen);
}

// A sequence that has come in part goes on where the painted one stands.
TEST(tty_screen, sequences_in_parts)
{
	static const char bytes[] = "a\033[1;31mb\033]0;t\007\xe2\x82\xac\033(0q\033(B\033[?1049hc";
	struct screen screen;

	for (uint32_t i = 0; i < sizeof bytes; i++) {
		memset(&screen, 0, sizeof screen);
		REQUIRE(screen_init(&screen, ROWS, COLUMNS) == 0);
		screen_write(&screen, bytes, i);
		painted_is_same(&screen);
		screen_fini(&screen);
	}
}

TEST(tty_screen, sizes)
{
	struct screen screen = {0};
	char text[64];

	REQUIRE(screen_init(&screen, 4, 10) == 0);
	screen_write(&screen, "1\r\n2\r\n3\r\n4", 10);
	CHECK_EQ(screen_resize(&screen, 2, 5), 0);
	row_text(&screen, 0, text, sizeof text);
	CHECK(strcmp(text, "3") == 0);
	CHECK_EQ(screen.cursor.row, 1);
	CHECK_EQ(screen_resize(&screen, 1000000, 1000000), 0);
	CHECK_EQ(screen.rows, SCREEN_ROWS_MAX);
	CHECK_EQ(screen.columns, SCREEN_COLUMNS_MAX);
	CHECK_EQ(screen_resize(&screen, 0, 0), 0);
	CHECK_EQ(screen_check(&screen), 0);
	screen_write(&screen, "\xe4\xb8\xad\xe4\xb8\xad", 6);
	CHECK_EQ(screen_check(&screen), 0);
	painted_is_same(&screen);
	screen_fini(&screen);
}

TEST(tty_screen, random_bytes)
{
	static const char often[] = "\033\033\033[[[;0123456789?ABCDEHJKLMPXTSdfhlmrsu@ab\xe4\xb8\xad\xc3\xa9\r\n\t\b";
	struct rand_stream chance;
	struct screen screen;

	rand_open(&chance, "screen", 0);
	for (uint32_t round = 0; round < 60; round++) {
		memset(&screen, 0, sizeof screen);
		REQUIRE(screen_init(&screen, 1 + rand_below(&chance, 12), 1 + rand_below(&chance, 30)) == 0);
		for (uint32_t i = 0; i < 400; i++) {
			char byte = rand_chance(&chance, 1, 12) ? (char)rand_below(&chance, 256)
								: often[rand_below(&chance, sizeof often - 1)];
			screen_write(&screen, &byte, 1);
			if (rand_chance(&chance, 1, 200))
				CHECK_EQ(screen_resize(&screen, 1 + rand_below(&chance, 12),
						       1 + rand_below(&chance, 30)),
					 0);
		}
		CHECK_EQ(screen_check(&screen), 0);
		painted_is_same(&screen);
		screen_fini(&screen);
	}
}
