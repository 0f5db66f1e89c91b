// SPDX-License-Identifier: MIT
//
// Finding a volume by its device, or by a path on it.
#include "use_impl.h"

#include "kern/vfs.h"

static const char *device_of(const char *where)
{
	return str_has_prefix(where, "/dev/") ? where + 5 : where;
}

// The superblock that `fits`, counted.
static struct superblock *mounted_find(bool (*fits)(const struct superblock *sb, const void *arg), const void *arg)
{
	struct superblock *sb = superblock_next(NULL);

	while (sb != NULL && (!str_equal(sb->type->name, "pxfs") || !fits(sb, arg)))
		sb = superblock_next(sb);
	return sb;
}

static bool fits_device(const struct superblock *sb, const void *arg)
{
	const struct pxfs_mount *mount = sb->data;
	return str_equal(block_name(mount->volume->device), arg);
}

static bool fits_number(const struct superblock *sb, const void *arg)
{
	return sb->dev == *(const uint64_t *)arg;
}

static err_t mounted_at(const char *path, struct superblock **sb, const char **problem)
{
	struct tb_stat stat;
	err_t err = vfs_stat(vfs_monitor_process(), TB_AT_FDCWD, path, 0, &stat);

	if (err != 0)
		return err;
	*sb = mounted_find(fits_number, &stat.dev);
	if (*sb != NULL)
		return 0;
	*problem = "no PXFS is mounted there";
	return ERR(EINVAL);
}

err_t volume_use(const char *where, bool read_only, struct pxfs_use *use, const char **problem)
{
	const char *device = device_of(where);
	err_t err = 0;

	*use = (struct pxfs_use){.volume = NULL};
	*problem = NULL;
	if (*device == '/')
		err = mounted_at(where, &use->sb, problem);
	else
		use->sb = mounted_find(fits_device, device);
	if (err == 0 && use->sb != NULL)
		use->volume = ((struct pxfs_mount *)use->sb->data)->volume;
	else if (err == 0)
		err = volume_open(device, read_only, &use->volume, problem);
	return err;
}

err_t volume_unuse(struct pxfs_use *use)
{
	err_t err = 0;

	if (use->sb == NULL)
		return volume_close(use->volume, NULL);
	err = pxfs_commit(use->sb->data);
	superblock_put(use->sb);
	return err;
}

bool volume_is_left(const struct pxfs_use *use)
{
	return use->sb != NULL && refcount_read(&use->sb->refs) == 1;
}
