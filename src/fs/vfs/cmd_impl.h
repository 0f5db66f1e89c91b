// SPDX-License-Identifier: MIT
//
// What the monitor's file commands share: options, messages, walks over trees. They act as the monitor's process.
#ifndef CMD_IMPL_H
#define CMD_IMPL_H

#include "kern/monitor.h"
#include "vfs_impl.h"

#define CMD_ENTRIES 32u // read at once

// Options before the words: argv[*first] is the first word. Letters that are not in `known` are wrong usage: false.
struct cmd {
	struct monitor_session *session;
	const char *name;
	uint32_t letters; // bit by letter − 'a'
	uint32_t argc;    // words
	char **argv;
};

bool cmd_begin(struct cmd *cmd, struct monitor_session *session, uint32_t argc, char **argv, const char *known,
	       uint32_t words_min, uint32_t words_max);

static inline bool cmd_has(const struct cmd *cmd, char letter)
{
	return (cmd->letters >> (letter - 'a')) & 1;
}

// "name: path: what went wrong"; returns 1.
int32_t cmd_fail(const struct cmd *cmd, const char *path, err_t err);

// Does one thing with each word from `first` on; an error is told with the word. 0, or 1 if there was one.
typedef err_t cmd_one_fn(struct cmd *cmd, const char *path, void *arg);
int32_t cmd_each(struct cmd *cmd, uint32_t first, cmd_one_fn *one, void *arg);

// Visits a tree in order of names, a directory before what is in it (`after`: behind). visit() gives a status; the worst is returned. Trees of
// any depth: paths are the only thing that grows.
typedef int32_t cmd_visit_fn(struct cmd *cmd, const char *path, const struct tb_stat *stat, uint32_t depth, void *arg);
int32_t cmd_tree(struct cmd *cmd, const char *path, bool after, cmd_visit_fn *visit, void *arg);

// Calls fn for each piece of a file, or of the command's input (path NULL or "-") until the end, an error, or an interruption. Errors: those
// of open, read and fn; -EBADF: there is no input.
#define CMD_PIECE_SIZE 65536u
typedef err_t cmd_piece_fn(void *arg, const uint8_t *bytes, size_t size_bytes);
err_t cmd_pieces(struct cmd *cmd, const char *path, cmd_piece_fn *fn, void *arg) must_check;

// Words of a command that reads its input when it has none: one word, "-", then.
bool cmd_words_or_input(struct cmd *cmd, uint32_t first);

// cmd_stream.c, a monitor_open_fn.
err_t cmd_stream_open(const char *path, uint32_t how, struct monitor_stream **out) must_check;

// The entries of a directory but "." and "..", sorted by name; *out is to be freed. Errors: those of open and readdir.
err_t cmd_list(const char *path, struct tb_dirent **out, uint32_t *count) must_check;

// "dir/name"; to be freed. NULL: no memory, or too long.
char *cmd_join(const char *dir, const char *name) must_check;

// Where a file goes that is moved, copied or linked to `to`: into it, if that is a directory. To be freed; NULL: no memory.
char *cmd_destination(const char *from, const char *to) must_check;

#define FILE_COMMANDS(X)                                                                                               \
	X(cat)                                                                                                         \
	X(cd)                                                                                                          \
	X(chmod)                                                                                                       \
	X(chown)                                                                                                       \
	X(cp)                                                                                                          \
	X(df)                                                                                                          \
	X(find)                                                                                                        \
	X(grep)                                                                                                        \
	X(hexdump)                                                                                                     \
	X(ln)                                                                                                          \
	X(ls)                                                                                                          \
	X(mkdir)                                                                                                       \
	X(more)                                                                                                        \
	X(mount)                                                                                                       \
	X(mv)                                                                                                          \
	X(pwd)                                                                                                         \
	X(rm)                                                                                                          \
	X(sha256)                                                                                                      \
	X(stat)                                                                                                        \
	X(touch)                                                                                                       \
	X(tree)                                                                                                        \
	X(umount)

#define X(name) extern const struct monitor_command file_cmd_##name;
FILE_COMMANDS(X)
#undef X

#endif
