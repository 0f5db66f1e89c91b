// SPDX-License-Identifier: MIT
//
// Commands: clone, rollback, snapshot, subvol. Each works on a device, or on the volume that is mounted at a path.
#include "fs_impl.h"

#include "kern/component.h"
#include "kern/monitor.h"
#include "kern/vfs.h"

// A path has a '/' in it; a device's name has none.
static err_t place_do(const char *place, enum tb_pxfs_request request, void *arg, const char **problem)
{
	struct process *process = vfs_monitor_process();
	int32_t fd = -1;

	if (strchr(place, '/') == NULL || strncmp(place, "/dev/", 5) == 0) {
		const char *device = strncmp(place, "/dev/", 5) == 0 ? place + 5 : place;
		return request == TB_PXFS_SHOW ? pxfs_subvolume_next(device, arg, problem)
					       : pxfs_subvolume(device, request, arg, problem);
	}
	err_t err = vfs_open(process, TB_AT_FDCWD, place, TB_O_RDONLY, 0, &fd);
	if (err != 0)
		return err;
	err = vfs_ioctl(process, fd, request, arg);
	if (err == -ENOTTY)
		*problem = "not on a PXFS volume";
	err_t closed = vfs_close(process, fd);
	return err != 0 ? err : closed;
}

static bool name_put(char *to, const char *from)
{
	size_t size = strlen(from);

	if (size > TB_PXFS_NAME_MAX)
		return false;
	memcpy(to, from, size + 1);
	return true;
}

// What a command's words become: "" where there is no word.
static int32_t names_run(struct monitor_session *session, const char *command, const char *place,
			 enum tb_pxfs_request request, const char *name, const char *of, uint32_t flags)
{
	struct tb_pxfs_names *names = kmalloc(sizeof *names, MEM_ZERO);
	const char *problem = NULL;
	err_t err = names == NULL ? ERR(ENOMEM) : 0;

	if (err == 0 && (!name_put(names->name, name) || !name_put(names->of, of)))
		err = ERR(ENAMETOOLONG);
	if (err == 0) {
		names->flags = flags;
		err = place_do(place, request, names, &problem);
	}
	kfree(names);
	return err == 0 ? 0 : pxfs_complain(session, command, place, problem, err);
}

static int32_t run_snapshot(struct monitor_session *session, uint32_t argc, char **argv)
{
	if (argc != 3 && argc != 4)
		return monitor_usage(session, "snapshot");
	return names_run(session, "snapshot", argv[1], TB_PXFS_SNAPSHOT, argv[2], argc == 4 ? argv[3] : "", 0);
}

static int32_t run_clone(struct monitor_session *session, uint32_t argc, char **argv)
{
	if (argc != 4)
		return monitor_usage(session, "clone");
	return names_run(session, "clone", argv[1], TB_PXFS_CLONE, argv[3], argv[2], 0);
}

static int32_t run_rollback(struct monitor_session *session, uint32_t argc, char **argv)
{
	bool newer_go = argc > 1 && strcmp(argv[1], "-r") == 0;
	uint32_t i = newer_go ? 2 : 1;

	if (argc != i + 2 && argc != i + 3)
		return monitor_usage(session, "rollback");
	return names_run(session, "rollback", argv[i], TB_PXFS_ROLLBACK, argv[i + 1], argc == i + 3 ? argv[i + 2] : "",
			 newer_go ? TB_PXFS_NEWER_GO : 0);
}

static int32_t subvol_list(struct monitor_session *session, const char *place)
{
	struct tb_pxfs_subvolume *subvol = kmalloc(sizeof *subvol, MEM_ZERO);
	const char *problem = NULL;
	err_t err = subvol == NULL ? ERR(ENOMEM) : 0;

	while (err == 0) {
		err = place_do(place, TB_PXFS_SHOW, subvol, &problem);
		if (err != 0)
			break;
		const char *kind = (subvol->flags & TB_PXFS_IS_GOING) != 0      ? "going"
				   : (subvol->flags & TB_PXFS_IS_SNAPSHOT) != 0 ? "snapshot"
				   : (subvol->flags & TB_PXFS_IS_DEFAULT) != 0  ? "default"
										: "subvolume";
		monitor_printf(session, "%6llu %-9s of %-6llu at %-10llu clones %-4llu %s\n",
			       (unsigned long long)subvol->number, kind, (unsigned long long)subvol->of,
			       (unsigned long long)subvol->generation, (unsigned long long)subvol->clones,
			       subvol->name);
	}
	kfree(subvol);
	return err == -ENOENT ? 0 : pxfs_complain(session, "subvol", place, problem, err);
}

static int32_t run_subvol(struct monitor_session *session, uint32_t argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "list") == 0)
		return subvol_list(session, argv[2]);
	if (argc == 4 && strcmp(argv[1], "create") == 0)
		return names_run(session, "subvol", argv[2], TB_PXFS_CREATE, argv[3], "", 0);
	if (argc == 4 && strcmp(argv[1], "delete") == 0)
		return names_run(session, "subvol", argv[2], TB_PXFS_DELETE, argv[3], "", 0);
	return monitor_usage(session, "subvol");
}

const struct monitor_command pxfs_cmd_snapshot = {
	"snapshot", "DEVICE|PATH NAME [SUBVOLUME]",
	"keep what a PXFS subvolume is now under a name; mount it with the option subvol=NAME", run_snapshot, NULL};
const struct monitor_command pxfs_cmd_clone = {"clone", "DEVICE|PATH SNAPSHOT NAME",
					       "make a PXFS subvolume that begins as a snapshot is", run_clone, NULL};
const struct monitor_command pxfs_cmd_rollback = {
	"rollback", "[-r] DEVICE SNAPSHOT [SUBVOLUME]",
	"make a PXFS subvolume that is not mounted what its snapshot is; -r: newer snapshots are deleted", run_rollback,
	NULL};
const struct monitor_command pxfs_cmd_subvol = {"subvol", "list|create|delete DEVICE|PATH [NAME]",
						"PXFS subvolumes and snapshots: show all, make one, delete one",
						run_subvol, NULL};
