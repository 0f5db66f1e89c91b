// SPDX-License-Identifier: MIT
//
// The command grep: lines that contain a text, in files or trees. Plain text, no patterns. A line longer than LINE_SIZE is looked at in
// pieces that overlap, so nothing is missed and memory is bounded; it is then printed cut.
#include "cmd_impl.h"

#include "kern/string.h"

#define LINE_SIZE 65536u

struct grep {
	struct cmd *cmd;
	const char *text;
	size_t text_size;
	const char *path;
	bool show_path;
	char *line; // LINE_SIZE bytes
	size_t used;
	bool matched; // in this line already
	uint64_t number, count, total;
};

static char folded(const struct grep *grep, char c)
{
	return cmd_has(grep->cmd, 'i') && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool line_has(const struct grep *grep)
{
	for (size_t at = 0; at + grep->text_size <= grep->used; at++) {
		size_t same = 0;
		while (same < grep->text_size && folded(grep, grep->line[at + same]) == folded(grep, grep->text[same]))
			same++;
		if (same == grep->text_size)
			return true;
	}
	return false;
}

static void line_show(struct grep *grep)
{
	struct monitor_session *session = grep->cmd->session;

	grep->count++;
	if (cmd_has(grep->cmd, 'c') || cmd_has(grep->cmd, 'l'))
		return;
	if (grep->show_path)
		monitor_printf(session, "%s:", grep->path);
	if (cmd_has(grep->cmd, 'n'))
		monitor_printf(session, "%llu:", (unsigned long long)grep->number);
	monitor_write(session, grep->line, grep->used);
	monitor_write(session, "\n", 1);
}

static void line_end(struct grep *grep)
{
	grep->number++;
	if (grep->matched || line_has(grep))
		line_show(grep);
	grep->matched = false;
	grep->used = 0;
}

// A full buffer is looked at, and its last bytes stay, for a text that goes on.
static void line_cut(struct grep *grep)
{
	size_t keep = grep->text_size > 0 ? grep->text_size - 1 : 0;

	grep->matched = grep->matched || line_has(grep);
	memmove(grep->line, grep->line + grep->used - keep, keep);
	grep->used = keep;
}

static void bytes_take(struct grep *grep, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n') {
			line_end(grep);
			continue;
		}
		if (grep->used == LINE_SIZE)
			line_cut(grep);
		grep->line[grep->used++] = bytes[i];
	}
}

static err_t grep_piece(void *arg, const uint8_t *bytes, size_t size_bytes)
{
	bytes_take(arg, (const char *)bytes, size_bytes);
	return 0;
}

static int32_t grep_file(struct grep *grep, const char *path)
{
	grep->path = str_equal(path, "-") ? "(input)" : path;
	grep->number = grep->count = 0;
	grep->used = 0;
	grep->matched = false;
	err_t err = cmd_pieces(grep->cmd, path, grep_piece, grep);
	if (err == 0 && grep->used > 0)
		line_end(grep);
	if (err == 0 && cmd_has(grep->cmd, 'c'))
		monitor_printf(grep->cmd->session, "%s%s%llu\n", grep->show_path ? grep->path : "",
			       grep->show_path ? ":" : "", (unsigned long long)grep->count);
	if (err == 0 && cmd_has(grep->cmd, 'l') && grep->count > 0)
		monitor_printf(grep->cmd->session, "%s\n", grep->path);
	grep->total += grep->count;
	return err != 0 ? 1 + cmd_fail(grep->cmd, path, err) : 0;
}

static int32_t grep_visit(struct cmd *cmd, const char *path, const struct tb_stat *stat, uint32_t depth, void *arg)
{
	(void)cmd;
	(void)depth;
	return (stat->mode & TB_S_IFMT) == TB_S_IFREG ? grep_file(arg, path) : 0;
}

static int32_t run_grep(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;
	struct grep grep = {.cmd = &cmd};
	int32_t status = 0;

	if (!cmd_begin(&cmd, session, argc, argv, "cilnr", 1, UINT32_MAX) || !cmd_words_or_input(&cmd, 1))
		return 2;
	grep.text = cmd.argv[0];
	grep.text_size = strlen(grep.text);
	grep.show_path = cmd.argc > 2 || cmd_has(&cmd, 'r');
	grep.line = grep.text_size < LINE_SIZE / 2 ? kmalloc(LINE_SIZE, 0) : NULL;
	if (grep.line == NULL)
		return 1 + cmd_fail(&cmd, "text", grep.text_size < LINE_SIZE / 2 ? -ENOMEM : -E2BIG);
	for (uint32_t i = 1; i < cmd.argc; i++) {
		bool tree = cmd_has(&cmd, 'r') && !str_equal(cmd.argv[i], "-");
		int32_t one =
			tree ? cmd_tree(&cmd, cmd.argv[i], false, grep_visit, &grep) : grep_file(&grep, cmd.argv[i]);
		status = one != 0 ? 2 : status;
	}
	kfree(grep.line);
	return status != 0 ? status : grep.total == 0;
}

const struct monitor_command file_cmd_grep = {"grep", "[-c] [-i] [-l] [-n] [-r] TEXT [PATH...]",
					      "print the lines of files, or of what comes in by < or |, that contain a "
					      "text; status 1 if there is none; -r in "
					      "trees, -c counts, -l names, -n numbers, -i either case",
					      run_grep, NULL};
