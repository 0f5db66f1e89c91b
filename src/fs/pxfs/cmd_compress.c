// SPDX-License-Identifier: MIT
//
// The command pxfs-compression.
#include "fs_impl.h"

#include "kern/component.h"
#include "kern/monitor.h"
#include "kern/vfs.h"

#define NAME "pxfs.compression"

static err_t setting_print(struct monitor_session *session, const char *path)
{
	char text[64];
	size_t size = sizeof text;
	err_t err = vfs_getxattr(vfs_monitor_process(), TB_AT_FDCWD, path, 0, NAME, text, &size);

	if (err == 0)
		monitor_printf(session, "%s: %.*s\n", path, (int)size, text);
	return err;
}

static int32_t run_compression(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct process *process = vfs_monitor_process();
	err_t err = 0;

	if (argc < 2 || argc > 3 || argv[1][0] == '-')
		return monitor_usage(session, "pxfs-compression");
	const char *path = argv[argc - 1];
	if (argc == 3 && str_equal(argv[1], "inherit"))
		err = vfs_removexattr(process, TB_AT_FDCWD, path, 0, NAME);
	else if (argc == 3)
		err = vfs_setxattr(process, TB_AT_FDCWD, path, 0, NAME, argv[1], strlen(argv[1]), 0);
	if (err == 0 || (err == -ENODATA && argc == 3)) // it had none of its own
		err = setting_print(session, path);
	if (err != 0)
		monitor_error(session, "pxfs-compression: %s: %s%s\n", path, err_text(err),
			      err == -EINVAL ? ": lz4, zstd:1 to zstd:19, none, or with a cluster's size zstd:3,256k"
					     : "");
	return err != 0;
}

const struct monitor_command pxfs_cmd_compression = {
	"pxfs-compression", "[lz4|zstd[:LEVEL]|none[,CLUSTER] | inherit] PATH",
	"show or set how a file, or what is made in a directory, is compressed from now on", run_compression, NULL};
