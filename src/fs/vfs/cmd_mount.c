// SPDX-License-Identifier: MIT
//
// Commands about mounts: mount, umount, df.
#include "cmd_impl.h"

#include "kern/string.h"

static void mount_show(const char *type, const char *source, uint32_t flags, const char *path, void *arg)
{
	monitor_printf(arg, "%s on %s type %s (%s)\n", source, path, type, flags & TB_MS_RDONLY ? "ro" : "rw");
}

// Takes the flags out of "ro,bind,size=1M"; what is left is the filesystem's.
static uint32_t flags_take(char *options)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} known[] = {{"ro", TB_MS_RDONLY},      {"rw", 0},
		     {"nosuid", TB_MS_NOSUID},  {"nodev", TB_MS_NODEV},
		     {"noexec", TB_MS_NOEXEC},  {"bind", TB_MS_BIND},
		     {"remount", TB_MS_REMOUNT}};
	uint32_t flags = 0;
	char *to = options;
	char *word = options;

	while (*word != '\0') {
		char *end = strchr(word, ',');
		size_t size = end != NULL ? (size_t)(end - word) : strlen(word);
		bool taken = size == 0;
		for (uint32_t i = 0; i < array_count(known) && !taken; i++) {
			taken = strlen(known[i].name) == size && strncmp(known[i].name, word, size) == 0;
			flags |= taken ? known[i].flag : 0;
		}
		if (!taken) {
			if (to != options)
				*to++ = ',';
			memmove(to, word, size);
			to += size;
		}
		word += size + (end != NULL);
	}
	*to = '\0';
	return flags;
}

static int32_t run_mount(struct monitor_session *session, uint32_t argc, char **argv)
{
	const char *type = NULL;
	const char *problem = NULL;
	char *options = NULL;
	uint32_t at = 1;

	if (argc == 1)
		return vfs_each_mount(vfs_monitor_process(), mount_show, session) != 0;
	for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
		if (str_equal(argv[at], "-t"))
			type = argv[at + 1];
		else if (str_equal(argv[at], "-o"))
			options = argv[at + 1];
		else
			return monitor_usage(session, argv[0]);
	}
	uint32_t flags = options != NULL ? flags_take(options) : 0;
	bool typed = !(flags & (TB_MS_BIND | TB_MS_REMOUNT));
	uint32_t words = flags & TB_MS_REMOUNT ? 1 : 2;
	if (argc - at != words || (typed && type == NULL))
		return monitor_usage(session, argv[0]);
	const char *path = argv[argc - 1];
	err_t err = vfs_mount(vfs_monitor_process(), argv[at], path, type, flags, options, &problem);
	if (err != 0)
		monitor_error(session, "mount: %s: %s%s%s\n", path, err_text(err), problem != NULL ? ": " : "",
			      problem != NULL ? problem : "");
	return err != 0;
}

const struct monitor_command file_cmd_mount = {
	"mount", "[-t TYPE] [-o OPTIONS] [SOURCE PATH]",
	"mount a filesystem, or list the mounts; options ro, bind, remount and the filesystem's", run_mount, NULL};

static int32_t run_umount(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "l", 1, 1))
		return 2;
	err_t err = vfs_umount(vfs_monitor_process(), cmd.argv[0], cmd_has(&cmd, 'l') ? TB_MNT_DETACH : 0);
	return err != 0 ? cmd_fail(&cmd, cmd.argv[0], err) : 0;
}

const struct monitor_command file_cmd_umount = {
	"umount", "[-l] PATH", "unmount; -l out of the tree now, for good when nobody uses it", run_umount, NULL};

static void df_row(struct monitor_session *session, const char *source, const char *path)
{
	struct tb_statfs stat;

	if (vfs_statfs(vfs_monitor_process(), TB_AT_FDCWD, path, &stat) != 0)
		return;
	uint64_t kib = stat.block_size_bytes / 1024;
	monitor_printf(session, "%-16s %-8s %12llu %12llu %10llu %10llu %s\n", source, stat.type,
		       (unsigned long long)(stat.blocks * kib),
		       (unsigned long long)((stat.blocks - stat.blocks_free) * kib), (unsigned long long)stat.files,
		       (unsigned long long)(stat.files - stat.files_free), path);
}

// The list may not call back into the filesystems, so paths are gathered first.
struct df {
	char *text;
	size_t size, used;
	err_t err;
};

static void df_gather(const char *type, const char *source, uint32_t flags, const char *path, void *arg)
{
	struct df *df = arg;
	size_t need = strlen(source) + strlen(path) + 2;

	(void)type;
	(void)flags;
	if (df->err == 0 && df->used + need > df->size) {
		char *larger = krealloc(df->text, (df->used + need) * 2, 0);
		if (larger == NULL)
			df->err = -ENOMEM;
		else
			df->text = larger;
		df->size = (df->used + need) * 2;
	}
	if (df->err != 0)
		return;
	strlcpy(df->text + df->used, source, need);
	strlcpy(df->text + df->used + strlen(source) + 1, path, need);
	df->used += need;
}

static int32_t run_df(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct df df = {0};
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "", 0, 0))
		return 2;
	err_t err = vfs_each_mount(vfs_monitor_process(), df_gather, &df);
	if (err == 0)
		err = df.err;
	monitor_printf(session, "%-16s %-8s %12s %12s %10s %10s %s\n", "source", "type", "KiB", "used", "inodes",
		       "used", "path");
	for (size_t at = 0; err == 0 && at < df.used;) {
		const char *source = df.text + at;
		const char *path = source + strlen(source) + 1;
		df_row(session, source, path);
		at += strlen(source) + strlen(path) + 2;
	}
	kfree(df.text);
	return err != 0 ? cmd_fail(&cmd, "/", err) : 0;
}

const struct monitor_command file_cmd_df = {"df", "", "print how full the filesystems are", run_df, NULL};
