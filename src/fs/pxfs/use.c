// SPDX-License-Identifier: MIT
//
// Finding a volume by its device, or by a path on it.
#include "use_impl.h"

#include "kern/vfs.h"

static const char *device_of(const char *where)
{
	return str_has_prefix(where, "/dev/") ? where + 5 : where;
}

static err_t device_at(const char *path, bool read_only, struct pxfs_volume **volume, const char **problem)
{
	struct tb_stat stat;
	err_t err = vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, path, 0, &stat);

	if (err != 0)
		return err;
	struct superblock *sb = superblock_next(NULL);
	while (sb != NULL && (!str_equal(sb->type->name, "pxfs") || sb->dev != stat.dev))
		sb = superblock_next(sb);
	if (sb == NULL) {
		*problem = "no PXFS is mounted there";
		return ERR(EINVAL);
	}
	const struct pxfs_mount *mount = sb->data;
	err = volume_take(block_name(mount->volume->device), read_only, volume, problem);
	superblock_put(sb);
	return err;
}

err_t volume_use(const char *where, bool read_only, struct pxfs_volume **volume, const char **problem)
{
	const char *device = device_of(where);

	*problem = NULL;
	if (*device == '/')
		return device_at(where, read_only, volume, problem);
	return volume_take(device, read_only, volume, problem);
}

static err_t commit(struct pxfs_volume *volume, bool always)
{
	if (volume->read_only)
		return 0;
	rwlock_write_lock(&volume->epoch);
	err_t err = always ? pxfs_generation_close_locked(volume) : pxfs_commit_locked(volume);
	rwlock_write_unlock(&volume->epoch);
	return err;
}

err_t volume_commit(struct pxfs_volume *volume)
{
	return commit(volume, false);
}

err_t volume_generation_close(struct pxfs_volume *volume)
{
	return commit(volume, true);
}

err_t volume_unuse(struct pxfs_volume *volume)
{
	err_t err = volume_commit(volume), closed = volume_put(volume);
	return err != 0 ? err : closed;
}
