// SPDX-License-Identifier: MIT
//
// Commands about names: ls, tree, find, mkdir, rm, mv, ln, cd, pwd.
#include "cmd_impl.h"

#include "kern/string.h"

static char type_letter(uint32_t mode)
{
	switch (mode & TB_S_IFMT) {
	case TB_S_IFDIR:
		return 'd';
	case TB_S_IFLNK:
		return 'l';
	case TB_S_IFCHR:
		return 'c';
	case TB_S_IFBLK:
		return 'b';
	case TB_S_IFIFO:
		return 'p';
	case TB_S_IFSOCK:
		return 's';
	default:
		return '-';
	}
}

static void mode_show(uint32_t mode, char text[11])
{
	static const char letters[] = "rwxrwxrwx";

	text[0] = type_letter(mode);
	for (uint32_t i = 0; i < 9; i++)
		text[1 + i] = (mode >> (8 - i)) & 1 ? letters[i] : '-';
	if (mode & TB_S_ISUID)
		text[3] = mode & 0100 ? 's' : 'S';
	if (mode & TB_S_ISGID)
		text[6] = mode & 0010 ? 's' : 'S';
	if (mode & TB_S_ISVTX)
		text[9] = mode & 0001 ? 't' : 'T';
	text[10] = '\0';
}

static void link_show(const struct cmd *cmd, const char *path, uint32_t mode)
{
	size_t size;

	if ((mode & TB_S_IFMT) != TB_S_IFLNK)
		return;
	char *target = kmalloc(TB_PATH_MAX, 0);
	if (target != NULL && vfs_readlink(vfs_monitor_process(), TB_AT_FDCWD, path, target, TB_PATH_MAX, &size) == 0)
		monitor_printf(cmd->session, " -> %.*s", (int)size, target);
	kfree(target);
}

static int32_t ls_entry(struct cmd *cmd, const char *path, const char *name)
{
	struct tb_stat stat;
	char mode[11];

	if (!cmd_has(cmd, 'l')) {
		monitor_printf(cmd->session, "%s\n", name);
		return 0;
	}
	err_t err = vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat);
	if (err != 0)
		return cmd_fail(cmd, path, err);
	mode_show(stat.mode, mode);
	monitor_printf(cmd->session, "%s %3u %5u %5u %10llu %s", mode, stat.nlink, stat.uid, stat.gid,
		       (unsigned long long)stat.size_bytes, name);
	link_show(cmd, path, stat.mode);
	monitor_printf(cmd->session, "\n");
	return 0;
}

static int32_t ls_directory(struct cmd *cmd, const char *path)
{
	struct tb_dirent *entries;
	uint32_t count;
	int32_t status = 0;

	err_t err = cmd_list(path, &entries, &count);
	if (err != 0)
		return cmd_fail(cmd, path, err);
	for (uint32_t i = 0; i < count && !monitor_interrupted(cmd->session); i++) {
		if (entries[i].name[0] == '.' && !cmd_has(cmd, 'a'))
			continue;
		char *full = cmd_join(path, entries[i].name);
		if (full == NULL || ls_entry(cmd, full, entries[i].name) != 0)
			status = 1;
		kfree(full);
	}
	kfree(entries);
	return status;
}

static int32_t run_ls(struct monitor_session *session, uint32_t argc, char **argv)
{
	static const char here[] = ".";
	struct cmd cmd;
	struct tb_stat stat;
	int32_t status = 0;

	if (!cmd_begin(&cmd, session, argc, argv, "ald", 0, UINT32_MAX))
		return 2;
	for (uint32_t i = 0; i < cmd.argc || (i == 0 && cmd.argc == 0); i++) {
		const char *path = cmd.argc > 0 ? cmd.argv[i] : here;
		uint32_t flags = cmd_has(&cmd, 'l') || cmd_has(&cmd, 'd') ? TB_AT_SYMLINK_NOFOLLOW : 0;
		err_t err = vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, path, flags, &stat);
		if (err != 0) {
			status = cmd_fail(&cmd, path, err);
			continue;
		}
		if (cmd.argc > 1 && (stat.mode & TB_S_IFMT) == TB_S_IFDIR && !cmd_has(&cmd, 'd'))
			monitor_printf(session, "%s:\n", path);
		bool list = (stat.mode & TB_S_IFMT) == TB_S_IFDIR && !cmd_has(&cmd, 'd');
		if ((list ? ls_directory(&cmd, path) : ls_entry(&cmd, path, path)) != 0)
			status = 1;
	}
	return status;
}

const struct monitor_command file_cmd_ls = {"ls", "[-a] [-d] [-l] [PATH...]", "list directories, sorted by name",
					    run_ls, NULL};

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static int32_t tree_visit(struct cmd *cmd, const char *path, const struct tb_stat *stat, uint32_t depth, void *arg)
{
	uint64_t *counts = arg;

	counts[(stat->mode & TB_S_IFMT) == TB_S_IFDIR]++;
	for (uint32_t i = 0; i < depth && i < 32; i++)
		monitor_printf(cmd->session, "  ");
	const char *name = depth == 0 ? path : last_name(path);
	bool slash = (stat->mode & TB_S_IFMT) == TB_S_IFDIR && name[strlen(name) - 1] != '/';
	monitor_printf(cmd->session, "%s%s", name, slash ? "/" : "");
	link_show(cmd, path, stat->mode);
	monitor_printf(cmd->session, "\n");
	return 0;
}

static int32_t run_tree(struct monitor_session *session, uint32_t argc, char **argv)
{
	uint64_t counts[2] = {0};
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "", 0, 1))
		return 2;
	int32_t status = cmd_tree(&cmd, cmd.argc > 0 ? cmd.argv[0] : ".", false, tree_visit, counts);
	monitor_printf(session, "%llu directories, %llu files\n", (unsigned long long)counts[1],
		       (unsigned long long)counts[0]);
	return status;
}

const struct monitor_command file_cmd_tree = {"tree", "[PATH]", "show a tree of files", run_tree, NULL};

// ---- find ----------------------------------------------------------------------------------------------------------------

// '*', '?' and literal bytes; "*" backtracks to its last place only, so the time is bounded by the product of the lengths.
static bool glob_match(const char *pattern, const char *text)
{
	const char *star = NULL;
	const char *retry = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

struct find {
	const char *name;
	char type;
};

static int32_t find_visit(struct cmd *cmd, const char *path, const struct tb_stat *stat, uint32_t depth, void *arg)
{
	const struct find *find = arg;
	char type = type_letter(stat->mode) == '-' ? 'f' : type_letter(stat->mode);

	(void)depth;
	if ((find->name == NULL || glob_match(find->name, last_name(path))) &&
	    (find->type == '\0' || find->type == type))
		monitor_printf(cmd->session, "%s\n", path);
	return 0;
}

static int32_t run_find(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd = {.session = session, .name = argv[0]};
	struct find find = {0};
	const char *path = ".";
	uint32_t at = 1;

	if (at < argc && argv[at][0] != '-')
		path = argv[at++];
	for (; at + 1 < argc; at += 2) {
		if (str_equal(argv[at], "-name"))
			find.name = argv[at + 1];
		else if (str_equal(argv[at], "-type") && strchr("fdlcbps", argv[at + 1][0]) != NULL)
			find.type = argv[at + 1][0];
		else
			return monitor_usage(session, argv[0]);
	}
	if (at != argc)
		return monitor_usage(session, argv[0]);
	return cmd_tree(&cmd, path, false, find_visit, &find);
}

const struct monitor_command file_cmd_find = {"find", "[PATH] [-name PATTERN] [-type fdlcbps]",
					      "print the paths of a tree", run_find, NULL};

// ---- making and unmaking -------------------------------------------------------------------------------------------------

// Makes what is missing on the way to `path`, which is cut up and put together again.
static err_t make_parents(char *path)
{
	err_t err = 0;

	for (char *slash = strchr(path + 1, '/'); slash != NULL && err == 0; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		err = vfs_mkdir(vfs_monitor_process(), TB_AT_FDCWD, path, 0777);
		if (err == -EEXIST)
			err = 0;
		*slash = '/';
	}
	return err;
}

static err_t mkdir_one(struct cmd *cmd, const char *path, void *arg)
{
	char *way = (char *)(uintptr_t)path; // the command's own word
	(void)arg;
	err_t err = cmd_has(cmd, 'p') && *way != '\0' ? make_parents(way) : 0;
	if (err == 0)
		err = vfs_mkdir(vfs_monitor_process(), TB_AT_FDCWD, path, 0777);
	return err == -EEXIST && cmd_has(cmd, 'p') ? 0 : err;
}

static int32_t run_mkdir(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "p", 1, UINT32_MAX))
		return 2;
	return cmd_each(&cmd, 0, mkdir_one, NULL);
}

const struct monitor_command file_cmd_mkdir = {"mkdir", "[-p] PATH...", "make directories; -p also those on the way",
					       run_mkdir, NULL};

static int32_t rm_visit(struct cmd *cmd, const char *path, const struct tb_stat *stat, uint32_t depth, void *arg)
{
	uint32_t flags = (stat->mode & TB_S_IFMT) == TB_S_IFDIR ? TB_AT_REMOVEDIR : 0;
	(void)depth;
	(void)arg;
	err_t err = vfs_unlink(vfs_monitor_process(), TB_AT_FDCWD, path, flags);
	return err != 0 ? cmd_fail(cmd, path, err) : 0;
}

static int32_t run_rm(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;
	struct tb_stat stat;
	int32_t status = 0;

	if (!cmd_begin(&cmd, session, argc, argv, "rdf", 1, UINT32_MAX))
		return 2;
	for (uint32_t i = 0; i < cmd.argc; i++) {
		const char *path = cmd.argv[i];
		err_t err = vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat);
		if (err == -ENOENT && cmd_has(&cmd, 'f'))
			continue;
		bool directory = err == 0 && (stat.mode & TB_S_IFMT) == TB_S_IFDIR;
		if (directory && cmd_has(&cmd, 'r')) {
			if (cmd_tree(&cmd, path, true, rm_visit, NULL) != 0)
				status = 1;
			continue;
		}
		if (err == 0)
			err = vfs_unlink(vfs_monitor_process(), TB_AT_FDCWD, path,
					 cmd_has(&cmd, 'd') && directory ? TB_AT_REMOVEDIR : 0);
		if (err != 0)
			status = cmd_fail(&cmd, path, err);
	}
	return status;
}

const struct monitor_command file_cmd_rm = {
	"rm", "[-r] [-d] [-f] PATH...",
	"remove files; -r trees, -d empty directories, -f says nothing of what is not there", run_rm, NULL};

char *cmd_destination(const char *from, const char *to)
{
	struct tb_stat stat;

	if (vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, to, 0, &stat) == 0 && (stat.mode & TB_S_IFMT) == TB_S_IFDIR)
		return cmd_join(to, last_name(from));
	char *path = kmalloc(strlen(to) + 1, 0);
	if (path != NULL)
		strlcpy(path, to, strlen(to) + 1);
	return path;
}

static int32_t run_mv(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "n", 2, 2))
		return 2;
	char *to = cmd_destination(cmd.argv[0], cmd.argv[1]);
	err_t err = to == NULL ? -ENOMEM
			       : vfs_rename(vfs_monitor_process(), TB_AT_FDCWD, cmd.argv[0], TB_AT_FDCWD, to,
					    cmd_has(&cmd, 'n') ? TB_RENAME_NOREPLACE : 0);
	kfree(to);
	return err != 0 ? cmd_fail(&cmd, cmd.argv[0], err) : 0;
}

const struct monitor_command file_cmd_mv = {"mv", "[-n] FROM TO",
					    "rename, or move into a directory; -n replaces nothing", run_mv, NULL};

static int32_t run_ln(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct process *process = vfs_monitor_process();
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "s", 2, 2))
		return 2;
	char *to = cmd_destination(cmd.argv[0], cmd.argv[1]);
	err_t err = to == NULL ? -ENOMEM : 0;
	if (err == 0 && cmd_has(&cmd, 's'))
		err = vfs_symlink(process, cmd.argv[0], TB_AT_FDCWD, to);
	else if (err == 0)
		err = vfs_link(process, TB_AT_FDCWD, cmd.argv[0], TB_AT_FDCWD, to, 0);
	kfree(to);
	return err != 0 ? cmd_fail(&cmd, cmd.argv[1], err) : 0;
}

const struct monitor_command file_cmd_ln = {"ln", "[-s] TARGET PATH", "link a file to another name; -s by its path",
					    run_ln, NULL};

static int32_t run_cd(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "", 0, 1))
		return 2;
	const char *path = cmd.argc > 0 ? cmd.argv[0] : "/";
	err_t err = vfs_chdir(vfs_monitor_process(), path);
	return err != 0 ? cmd_fail(&cmd, path, err) : 0;
}

const struct monitor_command file_cmd_cd = {"cd", "[PATH]", "go to a directory; the root without a path", run_cd, NULL};

static int32_t run_pwd(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;
	size_t size;

	if (!cmd_begin(&cmd, session, argc, argv, "", 0, 0))
		return 2;
	char *text = kmalloc(TB_PATH_MAX, 0);
	err_t err = text == NULL ? -ENOMEM : vfs_getcwd(vfs_monitor_process(), text, TB_PATH_MAX, &size);
	if (err == 0)
		monitor_printf(session, "%s\n", text);
	kfree(text);
	return err != 0 ? cmd_fail(&cmd, ".", err) : 0;
}

const struct monitor_command file_cmd_pwd = {"pwd", "", "print the working directory", run_pwd, NULL};
