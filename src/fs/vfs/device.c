// SPDX-License-Identifier: MIT
//
// Special files: devices that are known are opened through their operations; everything else has no driver (-ENXIO).
#include "vfs_impl.h"

const struct char_device *device_at(uint32_t n)
{
	struct vfs_state *vfs = vfs_state();
	const struct char_device *found = NULL;

	spin_lock(&vfs->list_lock);
	for (uint32_t i = 0; i < DEVICES_MAX && found == NULL; i++)
		if (vfs->devices[i] != NULL && n-- == 0)
			found = vfs->devices[i];
	spin_unlock(&vfs->list_lock);
	return found;
}

static const struct char_device **device_place(struct vfs_state *vfs, uint64_t rdev)
{
	for (uint32_t i = 0; i < DEVICES_MAX; i++) {
		const struct char_device *device = vfs->devices[i];
		if (device == NULL ? rdev == 0 : device_number(device->major, device->minor) == rdev)
			return &vfs->devices[i];
	}
	return NULL;
}

static err_t device_register_locked(struct vfs_state *vfs, const struct char_device *device)
{
	if (device_place(vfs, device_number(device->major, device->minor)) != NULL)
		return -EEXIST;
	const struct char_device **place = device_place(vfs, 0);
	if (place == NULL)
		return -ENOSPC;
	*place = device;
	return 0;
}

err_t devices_register(const struct char_device *devices)
{
	struct vfs_state *vfs = vfs_state();
	err_t err = 0;

	spin_lock(&vfs->list_lock);
	for (const struct char_device *device = devices; err == 0 && device->name != NULL; device++)
		err = device_register_locked(vfs, device);
	spin_unlock(&vfs->list_lock);
	if (err != 0)
		devices_unregister(devices);
	return err;
}

void devices_unregister(const struct char_device *devices)
{
	struct vfs_state *vfs = vfs_state();

	spin_lock(&vfs->list_lock);
	for (const struct char_device *device = devices; device->name != NULL; device++)
		for (uint32_t i = 0; i < DEVICES_MAX; i++)
			if (vfs->devices[i] == device)
				vfs->devices[i] = NULL;
	spin_unlock(&vfs->list_lock);
}

static err_t special_open(struct file *file)
{
	struct vfs_state *vfs = vfs_state();
	const struct char_device *device = NULL;

	if (inode_is(file->inode, TB_S_IFBLK)) {
		file->ops = &block_file_ops;
		return file->ops->open(file);
	}
	if (inode_is(file->inode, TB_S_IFCHR) && file->inode->rdev != 0) {
		spin_lock(&vfs->list_lock);
		const struct char_device **place = device_place(vfs, file->inode->rdev);
		device = place != NULL ? *place : NULL;
		spin_unlock(&vfs->list_lock);
	}
	if (device == NULL)
		return ERR(ENXIO);
	file->ops = device->ops;
	file->data = (void *)(uintptr_t)device;
	return device->ops->open != NULL ? device->ops->open(file) : 0;
}

static const struct file_ops special_file_ops = {.open = special_open};

const struct file_ops *fs_special_file_ops(void)
{
	return &special_file_ops;
}
