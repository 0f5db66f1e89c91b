// SPDX-License-Identifier: MIT
//
// The table of the file commands, and what they share.
#include "cmd_impl.h"

#include "kern/component.h"
#include "kern/fmt.h"
#include "kern/string.h"

const struct monitor_command *const file_commands[] = {
#define X(name) &file_cmd_##name,
	FILE_COMMANDS(X)
#undef X
		NULL,
};

static bool letter_take(struct cmd *cmd, char letter, const char *known)
{
	if (letter < 'a' || letter > 'z' || strchr(known, letter) == NULL)
		return false;
	cmd->letters |= 1u << (letter - 'a');
	return true;
}

bool cmd_begin(struct cmd *cmd, struct monitor_session *session, uint32_t argc, char **argv, const char *known,
	       uint32_t words_min, uint32_t words_max)
{
	uint32_t at = 1;
	bool good = true;

	*cmd = (struct cmd){.session = session, .name = argv[0]};
	for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
		if (str_equal(argv[at], "--")) {
			at++;
			break;
		}
		for (const char *letter = argv[at] + 1; *letter != '\0'; letter++)
			good = good && letter_take(cmd, *letter, known);
	}
	cmd->argc = argc - at;
	cmd->argv = argv + at;
	if (good && cmd->argc >= words_min && cmd->argc <= words_max)
		return true;
	monitor_usage(session, argv[0]);
	return false;
}

int32_t cmd_fail(const struct cmd *cmd, const char *path, err_t err)
{
	monitor_error(cmd->session, "%s: %s: %s\n", cmd->name, path, err_text(err));
	return 1;
}

char *cmd_join(const char *dir, const char *name)
{
	size_t dir_size = strlen(dir);
	size_t size = dir_size + strlen(name) + 2;
	if (size > TB_PATH_MAX)
		return NULL;
	char *path = kmalloc(size, 0);
	if (path != NULL)
		ksnprintf(path, size, "%s%s%s", dir, dir_size > 0 && dir[dir_size - 1] == '/' ? "" : "/", name);
	return path;
}

int32_t cmd_each(struct cmd *cmd, uint32_t first, cmd_one_fn *one, void *arg)
{
	int32_t status = 0;

	for (uint32_t i = first; i < cmd->argc; i++) {
		err_t err = one(cmd, cmd->argv[i], arg);
		if (err != 0)
			status = cmd_fail(cmd, cmd->argv[i], err);
	}
	return status;
}

// ---- contents ------------------------------------------------------------------------------------------------------------

bool cmd_words_or_input(struct cmd *cmd, uint32_t first)
{
	if (cmd->argc > first)
		return true;
	if (!monitor_has_input(cmd->session)) {
		monitor_usage(cmd->session, cmd->name);
		return false;
	}
	cmd->argv[first] = (char *)(uintptr_t) "-"; // where the list's NULL stood; nobody writes to it
	cmd->argc = first + 1;
	return true;
}

static err_t piece_read(struct cmd *cmd, int32_t fd, uint8_t *bytes, size_t *done)
{
	if (fd < 0)
		return monitor_read(cmd->session, bytes, CMD_PIECE_SIZE, done);
	return vfs_read(vfs_monitor_process(), fd, bytes, CMD_PIECE_SIZE, done);
}

err_t cmd_pieces(struct cmd *cmd, const char *path, cmd_piece_fn *fn, void *arg)
{
	struct process *process = vfs_monitor_process();
	uint8_t *bytes = kmalloc(CMD_PIECE_SIZE, 0);
	size_t done = 0;
	int32_t fd = -1;

	if (bytes == NULL)
		return ERR(ENOMEM);
	err_t err = str_equal(path, "-") ? 0 : vfs_open(process, TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd);
	if (err == 0) {
		do {
			err = piece_read(cmd, fd, bytes, &done);
			if (err == 0 && done > 0)
				err = fn(arg, bytes, done);
		} while (err == 0 && done > 0 && !monitor_interrupted(cmd->session));
		err_t closed = fd >= 0 ? vfs_close(process, fd) : 0;
		err = err != 0 ? err : closed;
	}
	kfree(bytes);
	return err;
}

// ---- directories ---------------------------------------------------------------------------------------------------------

// Heapsort: no recursion, no memory, no bad case.
static void sift(struct tb_dirent *entries, uint32_t root, uint32_t count)
{
	for (;;) {
		uint32_t child = 2 * root + 1;
		if (child >= count)
			return;
		if (child + 1 < count && strcmp(entries[child].name, entries[child + 1].name) < 0)
			child++;
		if (strcmp(entries[root].name, entries[child].name) >= 0)
			return;
		struct tb_dirent swap = entries[root];
		entries[root] = entries[child];
		entries[child] = swap;
		root = child;
	}
}

static void entries_sort(struct tb_dirent *entries, uint32_t count)
{
	for (uint32_t i = count / 2; i-- > 0;)
		sift(entries, i, count);
	for (uint32_t end = count; end > 1;) {
		struct tb_dirent swap = entries[--end];
		entries[end] = entries[0];
		entries[0] = swap;
		sift(entries, 0, end);
	}
}

static bool is_dots(const struct tb_dirent *entry)
{
	return str_equal(entry->name, ".") || str_equal(entry->name, "..");
}

static err_t entries_read(int32_t fd, struct tb_dirent **out, uint32_t *count)
{
	struct process *process = vfs_monitor_process();
	struct tb_dirent *entries = NULL;
	uint32_t capacity = 0, used = 0, got = 0;
	err_t err = 0;

	do {
		if (capacity - used < CMD_ENTRIES) {
			capacity = capacity * 2 + CMD_ENTRIES;
			struct tb_dirent *larger = krealloc(entries, capacity * sizeof *entries, 0);
			if (larger == NULL) {
				err = ERR(ENOMEM);
				break;
			}
			entries = larger;
		}
		err = vfs_readdir(process, fd, entries + used, CMD_ENTRIES, &got);
		for (uint32_t i = 0; err == 0 && i < got; i++)
			if (!is_dots(&entries[used + i]))
				entries[(*count)++] = entries[used + i];
		used = *count;
	} while (err == 0 && got > 0);
	*out = entries;
	return err;
}

err_t cmd_list(const char *path, struct tb_dirent **out, uint32_t *count)
{
	struct process *process = vfs_monitor_process();
	int32_t fd;

	*out = NULL;
	*count = 0;
	err_t err = vfs_open(process, TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd);
	if (err != 0)
		return err;
	err = entries_read(fd, out, count);
	err_t closed = vfs_close(process, fd);
	if (err == 0)
		err = closed;
	if (err != 0) {
		kfree(*out);
		*out = NULL;
		return err;
	}
	entries_sort(*out, *count);
	return 0;
}

// A path that a walk over a tree has yet to visit. The newest is visited first.
struct pending {
	struct pending *next;
	uint32_t depth;
	bool seen; // its contents have been put up
	char path[];
};

static struct pending *pending_push(struct pending *top, const char *dir, const char *name, uint32_t depth)
{
	char *path = name != NULL ? cmd_join(dir, name) : NULL;
	const char *text = name != NULL ? path : dir;
	struct pending *place = text != NULL ? kmalloc(sizeof *place + strlen(text) + 1, MEM_ZERO) : NULL;

	if (place != NULL) {
		strlcpy(place->path, text, strlen(text) + 1);
		place->depth = depth;
		place->next = top;
	}
	kfree(path);
	return place;
}

static int32_t pending_expand(struct cmd *cmd, struct pending **top, const struct pending *dir)
{
	struct tb_dirent *entries;
	uint32_t count;
	int32_t status = 0;

	err_t err = cmd_list(dir->path, &entries, &count);
	if (err != 0)
		return cmd_fail(cmd, dir->path, err);
	while (count-- > 0) {
		struct pending *place = pending_push(*top, dir->path, entries[count].name, dir->depth + 1);
		if (place == NULL)
			status = cmd_fail(cmd, entries[count].name, -ENAMETOOLONG);
		else
			*top = place;
	}
	kfree(entries);
	return status;
}

static int32_t worse(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

int32_t cmd_tree(struct cmd *cmd, const char *path, bool after, cmd_visit_fn *visit, void *arg)
{
	struct pending *top = pending_push(NULL, path, NULL, 0);
	int32_t status = top != NULL ? 0 : cmd_fail(cmd, path, -ENOMEM);
	struct tb_stat stat;

	while (top != NULL && !monitor_interrupted(cmd->session) && !shutdown_requested()) {
		struct pending *place = top;
		err_t err = vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, place->path, TB_AT_SYMLINK_NOFOLLOW, &stat);
		bool directory = err == 0 && (stat.mode & TB_S_IFMT) == TB_S_IFDIR;
		if (after && directory && !place->seen) {
			place->seen = true;
			status = worse(status, pending_expand(cmd, &top, place));
			continue;
		}
		top = place->next;
		if (err != 0)
			status = worse(status, cmd_fail(cmd, place->path, err));
		else
			status = worse(status, visit(cmd, place->path, &stat, place->depth, arg));
		if (!after && directory)
			status = worse(status, pending_expand(cmd, &top, place));
		kfree(place);
	}
	while (top != NULL) {
		struct pending *place = top;
		top = place->next;
		kfree(place);
	}
	return status;
}
