// SPDX-License-Identifier: MIT
//
// devfs: a tmpfs of its own for each mount, that begins with a special file for every device that is known. Block devices come and go: whoever looks into
// the root first makes it say which there are now, so nobody has to be told when one is made. What people changed there stays.
#include "tmpfs_impl.h"

#include "kern/block.h"
#include "kern/device.h"
#include "kern/log.h"
#include "kern/string.h"

#define OPTIONS "mode=755,size=1M,nr_inodes=16K"
#define BLOCK_MODE 0660u

static struct name name_of(const char *text)
{
	uint32_t size = (uint32_t)strlen(text);
	return (struct name){.bytes = text, .size_bytes = size, .hash = name_hash(text, size)};
}

// Root locked.
static err_t node_make(struct inode *root, const char *text, uint32_t mode, uint64_t rdev, uint32_t serial)
{
	struct name name = name_of(text);
	struct inode_params params = {.mode = mode, .rdev = rdev};
	struct inode *inode;

	err_t err = tmpfs_create(root, &name, &params, &inode);
	if (err != 0)
		return err;
	tmpfs_inode_of(inode)->device_serial = serial;
	inode_put(inode); // its entry holds one
	return 0;
}

// ---- block devices -------------------------------------------------------------------------------------------------------

struct device_list {
	struct block_info *infos;
	uint32_t count;
};

static err_t devices_list(struct device_list *list)
{
	uint32_t room = 0;
	struct block_info info;

	while (block_info_at(room, &info))
		room++;
	list->count = 0;
	list->infos = kmalloc_array(room + 1, sizeof *list->infos, 0);
	if (list->infos == NULL)
		return ERR(ENOMEM);
	while (list->count <= room && block_info_at(list->count, &list->infos[list->count]))
		list->count++;
	return 0;
}

static bool device_is_there(const struct device_list *list, uint32_t serial)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->infos[i].serial == serial)
			return true;
	return false;
}

static void node_remove(struct inode *root, const struct tmpfs_entry *entry)
{
	struct name name = {.bytes = entry->name, .size_bytes = entry->name_size, .hash = entry->hash};
	struct inode *inode = entry->inode;

	inode_get(inode);
	mutex_lock_nested(&inode->lock);
	err_t err = tmpfs_unlink(root, &name, inode);
	mutex_unlock(&inode->lock);
	VERIFY3(err, ==, 0);
	inode_put(inode);
}

static void nodes_remove(struct inode *root, const struct device_list *list)
{
	struct tmpfs_entry *entry = NULL;

	for (uint64_t cookie = 0; (entry = tmpfs_entry_after(root, cookie)) != NULL;) {
		uint32_t serial = tmpfs_inode_of(entry->inode)->device_serial;
		cookie = entry->cookie;
		if (serial != 0 && !device_is_there(list, serial))
			node_remove(root, entry);
	}
}

// A name that somebody has given to something else stays his.
static err_t block_node_make(struct inode *root, const struct block_info *info)
{
	struct name name = name_of(info->name);
	struct inode *other = NULL;

	if (tmpfs_lookup(root, &name, &other) == 0) {
		inode_put(other);
		return 0;
	}
	return node_make(root, info->name, TB_S_IFBLK | BLOCK_MODE, device_number(info->major, info->minor),
			 info->serial);
}

static err_t nodes_add(struct inode *root, const struct device_list *list)
{
	struct tmpfs *fs = tmpfs_of(root);
	uint32_t last = fs->block_serial;

	for (uint32_t i = 0; i < list->count; i++) {
		const struct block_info *info = &list->infos[i];
		if (info->serial <= fs->block_serial)
			continue; // it was there, or somebody took it away
		last = info->serial > last ? info->serial : last;
		err_t err = block_node_make(root, info);
		if (err == -ENOSPC)
			log_warn_limited("devfs: no room for %s", info->name);
		else if (err != 0)
			return err;
	}
	fs->block_serial = last;
	return 0;
}

// Root locked.
static err_t blocks_see(struct inode *root)
{
	struct tmpfs *fs = tmpfs_of(root);
	struct device_list list;

	if (kernel_self()->block == NULL)
		return 0;
	uint32_t generation = block_generation();
	if (fs->block_generation == generation)
		return 0;
	err_t err = devices_list(&list);
	if (err != 0)
		return err;
	nodes_remove(root, &list);
	err = nodes_add(root, &list);
	if (err == 0)
		fs->block_generation = generation;
	kfree(list.infos);
	return err;
}

static err_t root_lookup(struct inode *dir, const struct name *name, struct inode **out)
{
	err_t err = blocks_see(dir);
	return err == 0 ? tmpfs_lookup(dir, name, out) : err;
}

static err_t root_iterate(struct file *file, uint64_t cookie, struct dir_context *context)
{
	err_t err = blocks_see(file->inode);
	return err == 0 ? tmpfs_iterate(file, cookie, context) : err;
}

static const struct file_ops root_file_ops = {.iterate = root_iterate};
static const struct inode_ops root_inode_ops = {
	.lookup = root_lookup,
	.create = tmpfs_create,
	.tmpfile = tmpfs_tmpfile,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.is_empty = tmpfs_is_empty,
	.rename = tmpfs_rename,
	.xattr_get = tmpfs_xattr_get,
	.xattr_set = tmpfs_xattr_set,
	.xattr_list = tmpfs_xattr_list,
	.xattr_remove = tmpfs_xattr_remove,
};

bool devfs_name_holds(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct inode *found = NULL;

	if (dir->ops != &root_inode_ops)
		return true; // a directory that somebody made
	if (blocks_see(dir) != 0)
		return false; // the look-up that follows says why
	if (tmpfs_lookup(dir, name, &found) != 0)
		return inode == NULL;
	inode_put(found);
	return found == inode;
}

// ---- mounting ------------------------------------------------------------------------------------------------------------

static err_t root_fill(struct inode *root)
{
	const struct char_device *device;
	err_t err = 0;

	mutex_lock(&root->lock);
	for (uint32_t i = 0; err == 0 && (device = device_at(i)) != NULL; i++)
		err = node_make(root, device->name, TB_S_IFCHR | device->mode,
				device_number(device->major, device->minor), 0);
	mutex_unlock(&root->lock);
	return err;
}

static err_t devfs_mount(struct superblock *sb, const char *source, const char *options, struct inode **root,
			 const char **problem)
{
	if (*options != '\0') {
		*problem = "devfs: it has no options";
		return ERR(EINVAL);
	}
	err_t err = tmpfs_mount(sb, source, OPTIONS, root, problem);
	if (err != 0)
		return err;
	sb->ops = &devfs_ops;
	(*root)->ops = &root_inode_ops;
	(*root)->file_ops = &root_file_ops;
	err = root_fill(*root);
	if (err != 0) {
		inode_put(*root);
		sb->ops->unmount(sb);
	}
	return err;
}

const struct fs_type devfs_type = {.name = "devfs", .mount = devfs_mount};
