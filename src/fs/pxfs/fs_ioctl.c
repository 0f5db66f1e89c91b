// SPDX-License-Identifier: MIT
//
// Requests to PXFS: through a descriptor of what is mounted, or by the device's name.
#include "fs_impl.h"

bool pxfs_ioctl_is_privileged(uint32_t request)
{
	return request >= TB_PXFS_CREATE && request <= TB_PXFS_ROLLBACK;
}

static err_t names_copy(const struct tb_pxfs_names *from, struct tb_pxfs_names *names)
{
	*names = *from;
	bool ends = strnlen(names->name, sizeof names->name) < sizeof names->name &&
		    strnlen(names->of, sizeof names->of) < sizeof names->of;
	return ends && (names->flags & ~(uint32_t)TB_PXFS_NEWER_GO) == 0 ? 0 : ERR(EINVAL);
}

// "": the subvolume of that number.
static err_t of_fill(struct pxfs_volume *volume, uint64_t id, struct tb_pxfs_names *names)
{
	struct pxfs_subvolume item;

	if (names->of[0] != '\0')
		return 0;
	rwlock_read_lock(&volume->epoch);
	err_t err = subvol_item_get(volume, id, &item);
	rwlock_read_unlock(&volume->epoch);
	if (err == 0)
		memcpy(names->of, item.name, MIN(item.name_size, TB_PXFS_NAME_MAX));
	return err;
}

static err_t names_do(struct pxfs_volume *volume, uint64_t id, enum tb_pxfs_request request,
		      const struct tb_pxfs_names *from, const char **problem)
{
	struct tb_pxfs_names names;
	err_t err = names_copy(from, &names);

	if (err == 0)
		err = of_fill(volume, id, &names);
	return err == 0 ? pxfs_subvolume_do(volume, request, &names, problem) : err;
}

err_t pxfs_ioctl(struct file *file, uint32_t request, void *arg)
{
	struct pxfs_mount *mount = pxfs_mount_of(file->inode);

	if (pxfs_ioctl_is_privileged(request))
		return names_do(mount->volume, mount->subvol->id, (enum tb_pxfs_request)request, arg, NULL);
	if (request == TB_PXFS_SHOW)
		return pxfs_subvolume_show(mount->volume, arg);
	return pxfs_flags_ioctl(file, request, arg);
}

err_t pxfs_subvolume(const char *device, enum tb_pxfs_request request, const struct tb_pxfs_names *names,
		     const char **problem)
{
	struct pxfs_volume *volume = NULL;
	err_t err = volume_take(device, false, &volume, problem);

	if (err != 0)
		return err;
	err = names_do(volume, le64_get(&volume->super.default_subvolume), request, names, problem);
	err_t closed = volume_put(volume);
	return err != 0 ? err : closed;
}

err_t pxfs_subvolume_next(const char *device, struct tb_pxfs_subvolume *out, const char **problem)
{
	struct pxfs_volume *volume = NULL;
	err_t err = volume_take(device, true, &volume, problem);

	if (err != 0)
		return err;
	err = pxfs_subvolume_show(volume, out);
	err_t closed = volume_put(volume);
	return err != 0 ? err : closed;
}
