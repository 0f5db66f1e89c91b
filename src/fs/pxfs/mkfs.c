// SPDX-License-Identifier: MIT
//
// Making a volume: one subvolume, "main", with an empty root directory.
#include "fs_impl.h"

#include "kern/timer.h"

void pxfs_root_fill(const struct pxfs_volume *volume, struct pxfs_inode *item)
{
	struct tb_time now = time_now();

	*item = (struct pxfs_inode){.method = PXFS_METHOD_INHERITED,
				    .inherited = volume->super.method,
				    .level = volume->super.level,
				    .cluster_shift = volume->super.cluster_shift};
	le64_put(&item->generation, volume->generation);
	le64_put(&item->parent, PXFS_ROOT_INO);
	le32_put(&item->mode, TB_S_IFDIR | 0755);
	le32_put(&item->links, 2);
	le64_put(&item->atime_s, (uint64_t)now.seconds);
	le32_put(&item->atime_ns, now.nanoseconds);
	item->mtime_s = item->ctime_s = item->btime_s = item->atime_s;
	item->mtime_ns = item->ctime_ns = item->btime_ns = item->atime_ns;
}

static err_t main_make(struct pxfs_volume *volume)
{
	struct pxfs_subvolume item = {.method = volume->super.method,
				      .level = volume->super.level,
				      .cluster_shift = volume->super.cluster_shift,
				      .name_size = 4,
				      .name = "main"};
	struct pxfs_inode root;

	le64_put(&item.created, volume->generation);
	le64_put(&item.created_s, clock_wall_ns() / NS_PER_S);
	le64_put(&item.next_inode, PXFS_ROOT_INO + 1);
	le64_put(&item.dead_list, PXFS_TREE_SUBVOLUME);
	le64_put(&volume->super.next_subvolume, PXFS_TREE_SUBVOLUME + 1);
	le64_put(&volume->super.default_subvolume, PXFS_TREE_SUBVOLUME);
	struct pxfs_subvol *subvol = subvol_make(volume, PXFS_TREE_SUBVOLUME, &item);
	if (subvol == NULL)
		return ERR(ENOMEM);
	subvol->changed = true;
	pxfs_root_fill(volume, &root);
	return tree_put(&subvol->tree, &(struct pxfs_where){PXFS_ROOT_INO, PXFS_INODE, 0}, &root, sizeof root);
}

err_t pxfs_format(const char *device, const struct pxfs_format_params *params, const char **problem)
{
	struct pxfs_volume *volume = NULL;
	err_t err = volume_format(device, params, &volume, problem);

	if (err != 0)
		return err;
	err = main_make(volume);
	if (err == 0)
		return volume_close(volume);
	volume_abandon(volume);
	return err;
}
