// SPDX-License-Identifier: MIT
//
// The line discipline, case by case: what is typed, what must be shown, what a read must give. Each case runs on the kernel's discipline and on a
// pseudo-terminal of the host, so that the expectation itself is checked; then random scripts run on both. TAP.
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Steps: "<typed", ">shown since the last look", "=what a read gives" ("=" alone: end of file), "!" a read finds nothing, "oOUTPUT",
// "xOUTPUT that must not go", "^N" tcflow, "|N" tcflush, "?N" that many bytes wait, "+icanon" or "-icanon" changes the mode.
struct scene {
	const char *name;
	uint32_t iflag[2], oflag[2], lflag[2]; // on, off
	uint8_t cc[2][2];                      // which, what; 0, 0: none
	const char *steps[16];
};

#define UTF8_EURO "\xe2\x82\xac"

static const struct scene scenes[] = {
	{"a line comes whole", .steps = {"<ab", "!", "<c\n", ">abc\r\n", "=abc\n", "!"}},
	{"a line is read in parts", .steps = {"<abcdef\n", "?7", "=abcdef\n", "?0"}},
	{"return is newline", .steps = {"<a\r", "=a\n"}},
	{"return is ignored", .iflag = {TB_IGNCR}, .steps = {"<a\rb\n", "=ab\n"}},
	{"return stays", .iflag = {0, TB_ICRNL}, .steps = {"<a\rb\n", "=a\rb\n", ">a^Mb\r\n"}},
	{"newline is return", .iflag = {TB_INLCR, TB_ICRNL}, .lflag = {0, TB_ICANON}, .steps = {"<a\n", "=a\r"}},
	{"erase", .steps = {"<abx\x7f"
			    "c\n",
			    ">abx\b \bc\r\n", "=abc\n"}},
	{"erase stops at the line's beginning", .steps = {"<\x7f\x7f\x7f"
							  "a\n",
							  ">a\r\n", "=a\n"}},
	{"erase does not reach a whole line", .steps = {"<a\n\x7f\x7f"
							"b\n",
							"=a\n", "=b\n"}},
	{"erase of a control takes both columns", .steps = {"<a\x01\x7f\n", ">a^A\b \b\b \b\r\n", "=a\n"}},
	{"erase of UTF-8 takes the whole character",
	 .steps = {"<a" UTF8_EURO "\x7f\n", ">a" UTF8_EURO "\b \b\r\n", "=a\n"}},
	{"erase of bytes", .iflag = {0, TB_IUTF8}, .steps = {"<a\xe4\xf6\x7f\n", "=a\xe4\n"}},
	{"erase of a tab", .steps = {"<ab\t\x7f"
				     "c\n",
				     ">ab\t\b\b\b\b\b\bc\r\n", "=abc\n"}},
	{"erase of a tab behind a tab", .steps = {"<\ta\t\x7f", ">\ta\t\b\b\b\b\b\b\b"}},
	{"erase of a tab behind a prompt", .steps = {"oname: ", "<a\t\x7f", ">name: a\t\b"}},
	{"erase without ECHOE shows the character", .lflag = {0, TB_ECHOE},
	 .steps = {"<ab\x7f\n", ">ab^?\r\n", "=a\n"}},
	{"erase on paper", .lflag = {TB_ECHOPRT}, .steps = {"<abc\x7f\x7fx\n", ">abc\\cb/x\r\n", "=ax\n"}},
	{"erase on paper, to the beginning", .lflag = {TB_ECHOPRT}, .steps = {"<a\x7f", ">a\\a/"}},
	{"kill", .steps = {"<abc\x15"
			   "d\n",
			   ">abc\b \b\b \b\b \bd\r\n", "=d\n"}},
	{"kill without ECHOKE ends the row", .lflag = {0, TB_ECHOKE},
	 .steps = {"<abc\x15"
		   "d\n",
		   ">abc^U\r\nd\r\n", "=d\n"}},
	{"kill without echo", .lflag = {0, TB_ECHO},
	 .steps = {"<abc\x15"
		   "d\n",
		   ">", "=d\n"}},
	{"erase a word", .steps = {"<one two_2!\x17\n", ">one two_2!\b \b\b \b\b \b\b \b\b \b\b \b\r\n", "=one \n"}},
	{"erase a word needs IEXTEN", .lflag = {0, TB_IEXTEN}, .steps = {"<a b\x17\n", "=a b\x17\n"}},
	{"reprint", .steps = {"<ab\x12", ">ab^R\r\nab"}},
	{"next one literally", .steps = {"<a\x16\x7f\n", ">a^\b^?\r\n", "=a\x7f\n"}},
	{"a newline literally is no end", .steps = {"<a\x16\n", "!", "<\n", "=a\n\n"}},
	{"end of file on an empty line", .steps = {"<\x04", ">", "=", "!"}},
	{"end of file gives what there is", .steps = {"<ab\x04", "?2", "=ab", "!"}},
	{"two ends of file", .steps = {"<a\x04\x04", "=a", "=", "!"}},
	{"another end of line", .cc = {{TB_VEOL, ';'}}, .steps = {"<a;b\n", ">a;b\r\n", "=a;", "=b\n"}},
	{"a second end of line", .cc = {{TB_VEOL2, '!'}}, .steps = {"<a!", "=a!"}},
	{"no echo but of newlines", .lflag = {TB_ECHONL, TB_ECHO}, .steps = {"<a\n", ">\r\n", "=a\n"}},
	{"controls as they are", .lflag = {0, TB_ECHOCTL}, .steps = {"<\x01\n", ">\x01\r\n"}},
	{"interrupt drops the line", .steps = {"<ab", ">ab", "<\x03\x63\n", ">^Cc\r\n", "=c\n"}},
	{"interrupt drops lines before it", .steps = {"<ab\n\x03"
						      "c\n",
						      "=c\n"}},
	{"interrupt without flushing", .lflag = {TB_NOFLSH},
	 .steps = {"<ab\x03"
		   "c\n",
		   "=abc\n"}},
	{"no signals", .lflag = {0, TB_ISIG}, .steps = {"<a\x03\n", "=a\x03\n"}},
	{"quit and suspend", .steps = {"<a", ">a", "<\x1c", ">^\\", "<b\x1a\x63\n", ">^Zc\r\n", "=c\n"}},
	{"output stops and goes on", .steps = {"<\x13", "xout", "<a", ">", "<\x11", ">a", "oout", ">out"}},
	{"any key starts output", .iflag = {TB_IXANY},
	 .steps = {"<\x13"
		   "a",
		   ">a", "!"}},
	{"interrupt starts output", .steps = {"<\x13"
					      "a\x03",
					      ">^C", "oout", ">out"}},
	{"no flow control", .iflag = {0, TB_IXON}, .steps = {"<\x13\x11\n", ">^S^Q\r\n", "=\x13\x11\n"}},
	{"tcflow holds output", .steps = {"^0",
					  "<\x11"
					  "ab",
					  ">", "xout", "^1", "oout", ">about"}},
	{"tcflow asks the other side", .steps = {"^2", ">\x13", "^3", ">\x11"}},
	{"tcflush drops input", .steps = {"<ab\nc", "|0", "<d\n", "=d\n"}},
	{"raw", .iflag = {0, TB_ICRNL | TB_IXON}, .lflag = {0, TB_ICANON | TB_ECHO | TB_ISIG},
	 .steps = {"<a\r\x03\x7f", ">", "?4", "=a\r\x03\x7f"}},
	{"raw with echo", .lflag = {0, TB_ICANON}, .steps = {"<a\x01\r", ">a^A\r\n", "=a\x01\n"}},
	{"canonical to raw", .steps = {"<ab\nc", "-icanon", "=ab\nc", "!"}},
	{"raw to canonical", .lflag = {0, TB_ICANON}, .steps = {"<ab", "+icanon", "=ab", "<c\n", "=c\n"}},
	{"an end of file turns into a byte", .steps = {"<a\x04", "-icanon", "?2"}},
	{"strip", .iflag = {TB_ISTRIP, TB_IUTF8}, .steps = {"<\xe1\xe2\n", "=ab\n"}},
	{"lower case", .iflag = {TB_IUCLC, TB_IUTF8}, .steps = {"<AbC\n", ">abc\r\n", "=abc\n"}},
	{"marks are doubled", .iflag = {TB_PARMRK, TB_IUTF8}, .steps = {"<a\xff\n", "=a\xff\xff\n"}},
	{"newlines go out as two", .steps = {"oa\nb", ">a\r\nb"}},
	{"output as it is", .oflag = {0, TB_OPOST}, .steps = {"oa\nb\t", ">a\nb\t"}},
	{"output's tabs become spaces", .oflag = {TB_XTABS}, .steps = {"oab\tc\t", ">ab      c       "}},
	{"output's tabs behind UTF-8", .oflag = {TB_XTABS}, .steps = {"o" UTF8_EURO "\tc", ">" UTF8_EURO "       c"}},
	{"output in capitals", .iflag = {0, TB_IUTF8}, .oflag = {TB_OLCUC}, .steps = {"oabc1", ">ABC1"}},
	{"output's return is newline", .oflag = {TB_OCRNL, TB_ONLCR}, .steps = {"oa\rb", ">a\nb"}},
	{"output's return in column 0", .oflag = {TB_ONOCR}, .steps = {"o\ra\r", ">a\r"}},
	{"processing elsewhere", .lflag = {TB_EXTPROC}, .steps = {"<a\x7f\n", ">", "=a\x7f\n"}},
};

static uint32_t number, failed;

static void point(bool good, const char *what, const char *side)
{
	printf("%sok %u - %s%s%s\n", good ? "" : "not ", ++number, what, side[0] != '\0' ? ", " : "", side);
	failed += !good;
}

// ---- scenes ----------------------------------------------------------------------------------------------------------------

static bool same(const char *what, const char *got, size_t size, const char *wanted)
{
	if (size == strlen(wanted) && memcmp(got, wanted, size) == 0)
		return true;
	printf("# %s:", what);
	for (size_t i = 0; i < size; i++)
		printf(" %02x", (uint8_t)got[i]);
	printf(", wanted:");
	for (size_t i = 0; i < strlen(wanted); i++)
		printf(" %02x", (uint8_t)wanted[i]);
	printf("\n");
	return false;
}

static bool gives(const struct side *side, const char *wanted)
{
	uint8_t bytes[256];
	long size = side->read(bytes, sizeof bytes);
	if (size < 0)
		printf("# nothing to read\n");
	return size >= 0 && same("read", (const char *)bytes, (size_t)size, wanted);
}

static void canonical(const struct side *side, bool on)
{
	struct tb_termios termios;
	side->get(&termios);
	termios.lflag = on ? termios.lflag | TB_ICANON : termios.lflag & ~(uint32_t)TB_ICANON;
	side->set(&termios);
}

static bool step(const struct side *side, const char *step)
{
	static char shown[SCRIPT_SHOWN_MAX];
	uint8_t byte;
	const char *rest = step + 1;

	switch (step[0]) {
	case '<':
		side->type((const uint8_t *)rest, strlen(rest));
		return true;
	case '>':
		return same("shown", shown, side->shown(shown, sizeof shown), rest);
	case '=':
		return gives(side, rest);
	case '!':
		return side->read(&byte, 1) == -1;
	case 'o':
		return side->output(rest, strlen(rest));
	case 'x':
		return !side->output(rest, strlen(rest));
	case '^':
		side->flow((uint32_t)atoi(rest));
		return true;
	case '|':
		side->flush((uint32_t)atoi(rest));
		return true;
	case '?':
		return side->waiting() == (uint32_t)atoi(rest);
	default:
		canonical(side, step[0] == '+');
		return true;
	}
}

static bool play(const struct side *side, const struct scene *scene)
{
	struct tb_termios termios;
	bool good = side->open();

	side_kernel.get(&termios);
	termios.iflag = (termios.iflag | scene->iflag[0]) & ~scene->iflag[1];
	termios.oflag = (termios.oflag | scene->oflag[0]) & ~scene->oflag[1];
	termios.lflag = (termios.lflag | scene->lflag[0]) & ~scene->lflag[1];
	for (uint32_t i = 0; i < 2; i++)
		if (scene->cc[i][1] != 0)
			termios.cc[scene->cc[i][0]] = scene->cc[i][1];
	side->set(&termios);
	for (uint32_t i = 0; good && i < 16 && scene->steps[i] != NULL; i++) {
		good = step(side, scene->steps[i]);
		if (!good)
			printf("# step %u: %s\n", i + 1, scene->steps[i]);
	}
	side->close();
	return good;
}

// ---- scripts ---------------------------------------------------------------------------------------------------------------

static uint64_t chance(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static void scripts(uint32_t count)
{
	const char *wrong = NULL;
	uint64_t state = 1;
	uint32_t i;

	for (i = 0; wrong == NULL && i < count; i++) {
		uint8_t script[400];
		size_t size = 20 + chance(&state) % (sizeof script - 20);
		for (size_t j = 0; j < size; j++)
			script[j] = (uint8_t)chance(&state);
		wrong = script_run(script, size);
	}
	if (wrong != NULL)
		printf("# script %u: %s\n", i, wrong);
	point(wrong == NULL, "random scripts on both", "");
}

int main(int argc, char **argv)
{
	uint32_t count = argc == 3 && strcmp(argv[1], "--scripts") == 0 ? (uint32_t)atoi(argv[2]) : 1000;

	side_kernel.open();
	side_host_patience(2000);
	for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
		point(play(&side_kernel, &scenes[i]), scenes[i].name, "kernel");
		side_kernel.open();
		point(play(&side_host, &scenes[i]), scenes[i].name, "host");
	}
	scripts(count);
	printf("1..%u\n", number);
	return failed != 0;
}
