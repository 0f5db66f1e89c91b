// SPDX-License-Identifier: MIT
//
// Commands about attributes: touch, chmod, chown, stat.
#include "cmd_impl.h"

#include "kern/string.h"

static err_t touch_one(struct cmd *cmd, const char *path, void *arg)
{
	struct process *process = vfs_monitor_process();
	int32_t fd;

	(void)cmd;
	(void)arg;
	err_t err = vfs_utimens(process, TB_AT_FDCWD, path, NULL, 0);
	if (err != -ENOENT)
		return err;
	err = vfs_open(process, TB_AT_FDCWD, path, TB_O_WRONLY | TB_O_CREAT, 0666, &fd);
	return err != 0 ? err : vfs_close(process, fd);
}

static int32_t run_touch(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "", 1, UINT32_MAX))
		return 2;
	return cmd_each(&cmd, 0, touch_one, NULL);
}

const struct monitor_command file_cmd_touch = {"touch", "PATH...", "set times to now; make files that are not there",
					       run_touch, NULL};

static err_t chmod_one(struct cmd *cmd, const char *path, void *arg)
{
	(void)cmd;
	return vfs_chmod(vfs_monitor_process(), TB_AT_FDCWD, path, *(const uint32_t *)arg, 0);
}

static int32_t run_chmod(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;
	uint32_t mode;

	if (!cmd_begin(&cmd, session, argc, argv, "", 2, UINT32_MAX))
		return 2;
	if (str_to_u32(cmd.argv[0], 8, &mode) != 0 || mode > 07777)
		return monitor_usage(session, argv[0]);
	return cmd_each(&cmd, 1, chmod_one, &mode);
}

const struct monitor_command file_cmd_chmod = {"chmod", "OCTAL PATH...", "set permissions", run_chmod, NULL};

struct owner {
	uint32_t uid, gid; // UINT32_MAX: stays
};

static err_t chown_one(struct cmd *cmd, const char *path, void *arg)
{
	const struct owner *owner = arg;
	return vfs_chown(vfs_monitor_process(), TB_AT_FDCWD, path, owner->uid, owner->gid,
			 cmd_has(cmd, 'h') ? TB_AT_SYMLINK_NOFOLLOW : 0);
}

static int32_t run_chown(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct owner owner = {.uid = UINT32_MAX, .gid = UINT32_MAX};
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "h", 2, UINT32_MAX))
		return 2;
	char *colon = strchr(cmd.argv[0], ':');
	if (colon != NULL)
		*colon = '\0';
	if ((cmd.argv[0][0] != '\0' && str_to_u32(cmd.argv[0], 10, &owner.uid) != 0) ||
	    (colon != NULL && colon[1] != '\0' && str_to_u32(colon + 1, 10, &owner.gid) != 0))
		return monitor_usage(session, argv[0]);
	return cmd_each(&cmd, 1, chown_one, &owner);
}

const struct monitor_command file_cmd_chown = {"chown", "[-h] [UID][:GID] PATH...", "set owners; -h of a link itself",
					       run_chown, NULL};

static const char *type_name(uint32_t mode)
{
	switch (mode & TB_S_IFMT) {
	case TB_S_IFDIR:
		return "directory";
	case TB_S_IFLNK:
		return "symbolic link";
	case TB_S_IFCHR:
		return "character device";
	case TB_S_IFBLK:
		return "block device";
	case TB_S_IFIFO:
		return "pipe";
	case TB_S_IFSOCK:
		return "socket";
	default:
		return "regular file";
	}
}

static void time_show(struct monitor_session *session, const char *name, const struct tb_time *time)
{
	monitor_printf(session, "  %s %lld.%09u\n", name, (long long)time->seconds, time->nanoseconds);
}

static err_t stat_one(struct cmd *cmd, const char *path, void *arg)
{
	struct monitor_session *session = cmd->session;
	struct tb_stat stat;

	(void)arg;
	err_t err = vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, path, cmd_has(cmd, 'l') ? 0 : TB_AT_SYMLINK_NOFOLLOW,
			     &stat);
	if (err != 0)
		return err;
	monitor_printf(session, "%s: %s, %llu bytes, %llu blocks\n", path, type_name(stat.mode),
		       (unsigned long long)stat.size_bytes, (unsigned long long)stat.blocks);
	monitor_printf(session, "  device %llu inode %llu links %u mode %04o uid %u gid %u\n",
		       (unsigned long long)stat.dev, (unsigned long long)stat.ino, stat.nlink, stat.mode & 07777,
		       stat.uid, stat.gid);
	time_show(session, "access", &stat.atime);
	time_show(session, "modify", &stat.mtime);
	time_show(session, "change", &stat.ctime);
	time_show(session, "birth ", &stat.btime);
	return 0;
}

static int32_t run_stat(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct cmd cmd;

	if (!cmd_begin(&cmd, session, argc, argv, "l", 1, UINT32_MAX))
		return 2;
	return cmd_each(&cmd, 0, stat_one, NULL);
}

const struct monitor_command file_cmd_stat = {"stat", "[-l] PATH...", "print attributes; -l of what a link leads to",
					      run_stat, NULL};
