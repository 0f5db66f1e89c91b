// SPDX-License-Identifier: MIT
//
// devfs: a tmpfs of its own for each mount, that begins with a special file for every device that is known.
#include "tmpfs_impl.h"

#include "kern/device.h"
#include "kern/string.h"

#define OPTIONS "mode=755,size=1M,nr_inodes=1K"

static err_t node_make(struct inode *root, const struct char_device *device)
{
	uint32_t size = (uint32_t)strlen(device->name);
	struct name name = {.bytes = device->name, .size_bytes = size, .hash = name_hash(device->name, size)};
	struct inode_params params = {.mode = TB_S_IFCHR | device->mode,
				      .rdev = device_number(device->major, device->minor)};
	struct inode *inode;

	mutex_lock(&root->lock);
	err_t err = tmpfs_create(root, &name, &params, &inode);
	mutex_unlock(&root->lock);
	if (err == 0)
		inode_put(inode); // its entry holds one
	return err;
}

static err_t devfs_mount(struct superblock *sb, const char *source, const char *options, struct inode **root,
			 const char **problem)
{
	const struct char_device *device;

	if (*options != '\0') {
		*problem = "devfs: it has no options";
		return ERR(EINVAL);
	}
	err_t err = tmpfs_mount(sb, source, OPTIONS, root, problem);
	if (err != 0)
		return err;
	for (uint32_t i = 0; err == 0 && (device = device_at(i)) != NULL; i++)
		err = node_make(*root, device);
	if (err != 0) {
		inode_put(*root);
		sb->ops->unmount(sb);
	}
	return err;
}

const struct fs_type devfs_type = {.name = "devfs", .mount = devfs_mount};
