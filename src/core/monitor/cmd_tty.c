// SPDX-License-Identifier: MIT
//
// The commands tty, stty and chvt: which terminal this is, its modes, and the console that is shown.
#include "monitor_impl.h"

#include "kern/string.h"
#include "kern/tty.h"

static int32_t run_tty(struct monitor_session *session, uint32_t argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return monitor_usage(session, "tty");
	if (session->tty == NULL) {
		monitor_printf(session, "not a tty\n");
		return 1;
	}
	monitor_printf(session, "/dev/tty%u\n", session->tty->number);
	return 0;
}

static int32_t run_chvt(struct monitor_session *session, uint32_t argc, char **argv)
{
	if (argc != 2 || argv[1][0] < '1' || argv[1][0] > '9' || argv[1][1] != '\0')
		return monitor_usage(session, "chvt");
	if (vc_show((uint32_t)(argv[1][0] - '0')) == 0)
		return 0;
	monitor_error(session, "chvt: there are %u consoles\n", vc_count());
	return 1;
}

// ---- stty ----------------------------------------------------------------------------------------------------------------

enum word {
	WORD_I,
	WORD_O,
	WORD_L
};

static const struct mode {
	const char *name;
	uint32_t word, flag;
} modes[] = {
	{"istrip", WORD_I, TB_ISTRIP}, {"inlcr", WORD_I, TB_INLCR},     {"igncr", WORD_I, TB_IGNCR},
	{"icrnl", WORD_I, TB_ICRNL},   {"iuclc", WORD_I, TB_IUCLC},     {"ixon", WORD_I, TB_IXON},
	{"ixany", WORD_I, TB_IXANY},   {"ixoff", WORD_I, TB_IXOFF},     {"imaxbel", WORD_I, TB_IMAXBEL},
	{"iutf8", WORD_I, TB_IUTF8},   {"parmrk", WORD_I, TB_PARMRK},   {"opost", WORD_O, TB_OPOST},
	{"olcuc", WORD_O, TB_OLCUC},   {"onlcr", WORD_O, TB_ONLCR},     {"ocrnl", WORD_O, TB_OCRNL},
	{"onocr", WORD_O, TB_ONOCR},   {"onlret", WORD_O, TB_ONLRET},   {"xtabs", WORD_O, TB_XTABS},
	{"isig", WORD_L, TB_ISIG},     {"icanon", WORD_L, TB_ICANON},   {"echo", WORD_L, TB_ECHO},
	{"echoe", WORD_L, TB_ECHOE},   {"echok", WORD_L, TB_ECHOK},     {"echonl", WORD_L, TB_ECHONL},
	{"noflsh", WORD_L, TB_NOFLSH}, {"echoctl", WORD_L, TB_ECHOCTL}, {"echoprt", WORD_L, TB_ECHOPRT},
	{"echoke", WORD_L, TB_ECHOKE}, {"iexten", WORD_L, TB_IEXTEN},
};

static const struct key {
	const char *name;
	uint32_t cc;
} keys[] = {
	{"intr", TB_VINTR},     {"quit", TB_VQUIT},     {"erase", TB_VERASE}, {"kill", TB_VKILL}, {"eof", TB_VEOF},
	{"eol", TB_VEOL},       {"eol2", TB_VEOL2},     {"start", TB_VSTART}, {"stop", TB_VSTOP}, {"susp", TB_VSUSP},
	{"rprnt", TB_VREPRINT}, {"werase", TB_VWERASE}, {"lnext", TB_VLNEXT},
};

static uint32_t *word_of(struct tb_termios *termios, uint32_t word)
{
	return word == WORD_I ? &termios->iflag : word == WORD_O ? &termios->oflag : &termios->lflag;
}

static bool mode_set(struct tb_termios *termios, const char *name, bool on)
{
	for (uint32_t i = 0; i < array_count(modes); i++) {
		uint32_t *word = word_of(termios, modes[i].word);
		if (strcmp(modes[i].name, name) != 0)
			continue;
		*word = on ? *word | modes[i].flag : *word & ~modes[i].flag;
		return true;
	}
	return false;
}

// "^C", "^?", one character, or "undef".
static bool key_value(const char *text, uint8_t *value)
{
	uint8_t first = (uint8_t)text[0], second = first != '\0' ? (uint8_t)text[1] : 0;

	if (strcmp(text, "undef") == 0 || strcmp(text, "^-") == 0)
		*value = 0;
	else if (first == '^' && second == '?' && text[2] == '\0')
		*value = 0x7f;
	else if (first == '^' && second >= '@' && text[2] == '\0')
		*value = second & 0x1f;
	else if (first != '\0' && second == '\0')
		*value = first;
	else
		return false;
	return true;
}

static bool key_set(struct tb_termios *termios, const char *name, const char *text)
{
	for (uint32_t i = 0; i < array_count(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return key_value(text, &termios->cc[keys[i].cc]);
	return false;
}

static bool is_key(const char *name)
{
	for (uint32_t i = 0; i < array_count(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return true;
	return false;
}

static void keys_show(struct monitor_session *session, const struct tb_termios *termios)
{
	for (uint32_t i = 0; i < array_count(keys); i++) {
		uint8_t value = termios->cc[keys[i].cc];
		const char *behind = i % 6 == 5 || i + 1 == array_count(keys) ? "\n" : "";
		if (value == 0)
			monitor_printf(session, "%s = undef;%s", keys[i].name, behind[0] != '\0' ? behind : " ");
		else if (value < 0x20 || value == 0x7f)
			monitor_printf(session, "%s = ^%c;%s", keys[i].name, value ^ 0x40,
				       behind[0] != '\0' ? behind : " ");
		else
			monitor_printf(session, "%s = %c;%s", keys[i].name, value, behind[0] != '\0' ? behind : " ");
	}
}

static int32_t modes_show(struct monitor_session *session, struct tb_termios *termios)
{
	struct tb_winsize window;
	err_t err = tty_ioctl(session->tty, TB_TIOCGWINSZ, &window);
	uint32_t last = WORD_I;

	if (err == 0)
		monitor_printf(session, "speed 38400 baud; rows %u; columns %u;\n", window.rows, window.columns);
	keys_show(session, termios);
	for (uint32_t i = 0; i < array_count(modes); i++) {
		bool on = (*word_of(termios, modes[i].word) & modes[i].flag) != 0;
		if (modes[i].word != last)
			monitor_printf(session, "\n");
		else if (i > 0)
			monitor_printf(session, " ");
		last = modes[i].word;
		monitor_printf(session, "%s%s", on ? "" : "-", modes[i].name);
	}
	monitor_printf(session, "\n");
	return 0;
}

static int32_t run_stty(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct tb_termios termios;

	if (session->tty == NULL) {
		monitor_error(session, "stty: not a tty\n");
		return 1;
	}
	err_t err = tty_ioctl(session->tty, TB_TCGETS, &termios);
	if (err == 0 && (argc == 1 || (argc == 2 && strcmp(argv[1], "-a") == 0)))
		return modes_show(session, &termios);
	for (uint32_t i = 1; err == 0 && i < argc; i++) {
		bool off = argv[i][0] == '-', good = true;
		if (strcmp(argv[i], "sane") == 0)
			termios = ldisc_sane;
		else if (is_key(argv[i]))
			good = i + 1 < argc && key_set(&termios, argv[i], argv[i + 1]) && ++i;
		else
			good = mode_set(&termios, argv[i] + off, !off);
		if (!good)
			return monitor_usage(session, "stty");
	}
	if (err == 0)
		err = tty_ioctl(session->tty, TB_TCSETS, &termios);
	return err == 0 ? 0 : 1;
}

const struct monitor_command monitor_cmd_tty = {"tty", "", "print the terminal's name", run_tty, NULL};
const struct monitor_command monitor_cmd_chvt = {"chvt", "N", "show virtual console N", run_chvt, NULL};
const struct monitor_command monitor_cmd_stty = {"stty", "[-a] | [sane] [[-]MODE | KEY ^C | KEY undef]...",
						 "show or change the terminal's modes and keys", run_stty, NULL};
