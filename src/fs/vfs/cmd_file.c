// SPDX-License-Identifier: MIT
//
// Commands about contents and attributes: cat, cp, hexdump, sha256.
#include "cmd_impl.h"

#include "kern/fmt.h"
#include "kern/sha256.h"
#include "kern/string.h"

static err_t cat_piece(void *arg, const uint8_t *bytes, size_t size_bytes)
{
	monitor_write(arg, (const char *)bytes, size_bytes);
	return 0;
}

static err_t cat_one(struct cmd *cmd, const char *path, void *arg)
{
	(void)arg;
	return cmd_pieces(cmd, path, cat_piece, cmd->session);
}

static int32_t run_cat(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "", 0, UINT32_MAX) || !cmd_words_or_input(&cmd, 0))
		return 2;
	return cmd_each(&cmd, 0, cat_one, NULL);
}

const struct monitor_command file_cmd_cat = {"cat", "[FILE...]", "print files, or what comes in by < or |", run_cat,
					     NULL};

static err_t hash_piece(void *arg, const uint8_t *bytes, size_t size_bytes)
{
	sha256_update(arg, bytes, size_bytes);
	return 0;
}

// As sha256sum(1) prints it: a name with a backslash or a line end is escaped and marked.
static void digest_show(struct monitor_session *session, const uint8_t digest[SHA256_SIZE], const char *path)
{
	char line[2 * SHA256_SIZE + 1];
	bool marked = strchr(path, '\\') != NULL || strchr(path, '\n') != NULL || strchr(path, '\r') != NULL;

	for (uint32_t i = 0; i < SHA256_SIZE; i++)
		ksnprintf(line + 2 * i, 3, "%02x", digest[i]);
	monitor_printf(session, "%s%s  ", marked ? "\\" : "", line);
	for (const char *at = path; marked && *at != '\0'; at++) {
		const char *escape = *at == '\\' ? "\\\\" : *at == '\n' ? "\\n" : *at == '\r' ? "\\r" : NULL;
		if (escape != NULL)
			monitor_printf(session, "%s", escape);
		else
			monitor_write(session, at, 1);
	}
	monitor_printf(session, "%s\n", marked ? "" : path);
}

static int32_t sha256_visit(struct cmd *cmd, const char *path, const struct tb_stat *stat, uint32_t depth, void *arg)
{
	struct sha256 hash;
	uint8_t digest[SHA256_SIZE];

	(void)arg;
	bool named = depth == 0 && (stat->mode & TB_S_IFMT) == TB_S_IFBLK; // below, trees are of files
	if ((stat->mode & TB_S_IFMT) != TB_S_IFREG && !named)
		return 0;
	sha256_init(&hash);
	err_t err = cmd_pieces(cmd, path, hash_piece, &hash);
	sha256_final(&hash, digest);
	if (err != 0)
		return cmd_fail(cmd, path, err);
	digest_show(cmd->session, digest, path);
	return 0;
}

static int32_t run_sha256(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;
	int32_t status = 0;

	if (!cmd_begin(&cmd, session, argc, argv, "r", 0, UINT32_MAX) || !cmd_words_or_input(&cmd, 0))
		return 2;
	for (uint32_t i = 0; i < cmd.argc; i++) {
		struct tb_stat stat = {.mode = TB_S_IFREG};
		int32_t one = 0;
		bool input = str_equal(cmd.argv[i], "-");
		err_t err = input ? 0 : vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, cmd.argv[i], 0, &stat);
		if (err == 0 && !input && cmd_has(&cmd, 'r'))
			one = cmd_tree(&cmd, cmd.argv[i], false, sha256_visit, NULL);
		else if (err == 0 && (stat.mode & TB_S_IFMT) == TB_S_IFDIR)
			err = -EISDIR;
		else if (err == 0)
			one = sha256_visit(&cmd, cmd.argv[i], &stat, 0, NULL);
		if (err != 0)
			one = cmd_fail(&cmd, cmd.argv[i], err);
		status = one != 0 ? one : status;
	}
	return status;
}

const struct monitor_command file_cmd_sha256 = {"sha256", "[-r] [PATH...]",
						"print SHA-256 of files, or of what comes in by < or |; -r of trees",
						run_sha256, NULL};

struct hexdump {
	struct monitor_session *session;
	uint64_t offset;
	uint32_t used;
	uint8_t row[16];
};

static void row_show(struct hexdump *dump)
{
	char text[80];
	struct fmt_buffer out;

	fmt_init(&out, text, sizeof text);
	fmt_append(&out, "%08llx ", (unsigned long long)dump->offset);
	for (uint32_t i = 0; i < 16; i++) {
		if (i < dump->used)
			fmt_append(&out, "%s%02x", i == 8 ? "  " : " ", dump->row[i]);
		else
			fmt_append(&out, "%s  ", i == 8 ? "  " : " ");
	}
	fmt_append(&out, "  |");
	for (uint32_t i = 0; i < dump->used; i++)
		fmt_append(&out, "%c", dump->row[i] >= 0x20 && dump->row[i] < 0x7f ? dump->row[i] : '.');
	monitor_printf(dump->session, "%s|\n", text);
	dump->offset += dump->used;
	dump->used = 0;
}

static err_t dump_piece(void *arg, const uint8_t *bytes, size_t size_bytes)
{
	struct hexdump *dump = arg;
	for (size_t i = 0; i < size_bytes; i++) {
		dump->row[dump->used++] = bytes[i];
		if (dump->used == sizeof dump->row)
			row_show(dump);
	}
	return 0;
}

static int32_t run_hexdump(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct hexdump dump = {.session = session};
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "", 0, 1) || !cmd_words_or_input(&cmd, 0))
		return 2;
	err_t err = cmd_pieces(&cmd, cmd.argv[0], dump_piece, &dump);
	if (dump.used > 0)
		row_show(&dump);
	monitor_printf(session, "%08llx\n", (unsigned long long)dump.offset);
	return err != 0 ? cmd_fail(&cmd, cmd.argv[0], err) : 0;
}

const struct monitor_command file_cmd_hexdump = {
	"hexdump", "[FILE]", "print the bytes of a file, or of what comes in by < or |", run_hexdump, NULL};

// ---- cp ------------------------------------------------------------------------------------------------------------------

static err_t copy_piece(void *arg, const uint8_t *bytes, size_t size_bytes)
{
	const int32_t *fd = arg;
	size_t done = 0;
	err_t err = 0;

	while (err == 0 && size_bytes > 0) {
		err = vfs_write(vfs_monitor_process(), *fd, bytes, size_bytes, &done);
		bytes += done;
		size_bytes -= done;
	}
	return err;
}

static err_t copy_file(struct cmd *cmd, const char *from, const struct tb_stat *stat, const char *to)
{
	struct process *process = vfs_monitor_process();
	struct tb_stat other;
	int32_t fd;

	if (vfs_stat(process, TB_AT_FDCWD, to, 0, &other) == 0 && other.dev == stat->dev && other.ino == stat->ino)
		return ERR(EINVAL); // the same file: opening would empty it
	err_t err = vfs_open(process, TB_AT_FDCWD, to, TB_O_WRONLY | TB_O_CREAT | TB_O_TRUNC, stat->mode & 07777, &fd);
	if (err != 0)
		return err;
	err = cmd_pieces(cmd, from, copy_piece, &fd);
	err_t closed = vfs_close(process, fd);
	return err != 0 ? err : closed;
}

static err_t copy_link(const char *from, const char *to)
{
	size_t size = 0;
	char *target = kmalloc(TB_PATH_MAX, 0);
	if (target == NULL)
		return ERR(ENOMEM);
	err_t err = vfs_readlink(vfs_monitor_process(), TB_AT_FDCWD, from, target, TB_PATH_MAX - 1, &size);
	target[size] = '\0';
	if (err == 0)
		err = vfs_symlink(vfs_monitor_process(), target, TB_AT_FDCWD, to);
	kfree(target);
	return err;
}

struct copy {
	size_t from_size; // of the tree's own path
	const char *to;
};

static int32_t cp_visit(struct cmd *cmd, const char *path, const struct tb_stat *stat, uint32_t depth, void *arg)
{
	const struct copy *copy = arg;
	const char *below = path + copy->from_size;
	err_t err;

	while (*below == '/')
		below++;
	char *to = cmd_join(copy->to, below);
	if (to == NULL)
		return cmd_fail(cmd, path, -ENAMETOOLONG);
	if (depth == 0)
		to[strlen(to) - 1] = '\0'; // nothing below: the slash goes
	if ((stat->mode & TB_S_IFMT) == TB_S_IFDIR)
		err = vfs_mkdir(vfs_monitor_process(), TB_AT_FDCWD, to, stat->mode & 07777);
	else if ((stat->mode & TB_S_IFMT) == TB_S_IFLNK)
		err = copy_link(path, to);
	else if ((stat->mode & TB_S_IFMT) == TB_S_IFREG)
		err = copy_file(cmd, path, stat, to);
	else
		err = vfs_mknod(vfs_monitor_process(), TB_AT_FDCWD, to, stat->mode, stat->rdev);
	if (err == -EEXIST && (stat->mode & TB_S_IFMT) == TB_S_IFDIR)
		err = 0;
	kfree(to);
	return err != 0 ? cmd_fail(cmd, path, err) : 0;
}

static int32_t run_cp(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;
	struct tb_stat stat;

	if (!cmd_begin(&cmd, session, argc, argv, "r", 2, 2))
		return 2;
	char *from = cmd.argv[0];
	err_t err = vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, from, 0, &stat);
	if (err == 0 && (stat.mode & TB_S_IFMT) == TB_S_IFDIR && !cmd_has(&cmd, 'r'))
		err = -EISDIR;
	char *to = err == 0 ? cmd_destination(from, cmd.argv[1]) : NULL;
	if (err == 0 && to == NULL)
		err = -ENOMEM;
	if (err == 0 && (stat.mode & TB_S_IFMT) == TB_S_IFDIR) {
		struct copy copy = {.from_size = strlen(from), .to = to};
		size_t size = strlen(from);
		int32_t status;
		if (strncmp(to, from, size) == 0 && (to[size] == '/' || to[size] == '\0'))
			status = cmd_fail(&cmd, to, -EINVAL); // into itself
		else
			status = cmd_tree(&cmd, from, false, cp_visit, &copy);
		kfree(to);
		return status;
	}
	if (err == 0)
		err = copy_file(&cmd, from, &stat, to);
	kfree(to);
	return err != 0 ? cmd_fail(&cmd, from, err) : 0;
}

const struct monitor_command file_cmd_cp = {"cp", "[-r] FROM TO", "copy a file, or a tree with -r", run_cp, NULL};
