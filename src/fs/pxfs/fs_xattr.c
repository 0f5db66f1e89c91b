// SPDX-License-Identifier: MIT
//
// Extended attributes: an item for each, at its name's hash; values that no item holds go on in items behind it. inode->lock held.
#include "fs_impl.h"

#define PART_BYTES 4096u
#define PARTS_MAX 17u                // of a value of 64 KiB
#define XATTR_SLOTS 256u             // of one hash
#define XATTR_BYTES_MAX (256u << 10) // of one inode, about

// The key's offset: 48 bits of hash, eight of a slot, eight of a part; 0 is the name.
static uint64_t offset_base(const struct pxfs_volume *volume, const char *name, size_t size_bytes)
{
	return checksum_xxh3(name, size_bytes, volume->hash_seed) >> 16 << 16;
}

struct attribute {
	uint64_t offset;
	uint32_t value_bytes;
	uint64_t free; // a place for one of that hash; 0 in the first slot too, so *there says
	bool there, has_free;
};

static bool xattr_is_sound(const struct pxfs_xattr *item, uint32_t size)
{
	return size >= sizeof *item && size == sizeof *item + le32_get(&item->name_size) &&
	       le32_get(&item->name_size) <= PXFS_NAME_MAX && le32_get(&item->value_size) <= PARTS_MAX * PART_BYTES;
}

// The tree is locked.
static err_t attribute_find(struct pxfs_mount *mount, uint64_t ino, const char *name, struct attribute *found)
{
	size_t name_size = strlen(name);
	uint64_t base = offset_base(mount->volume, name, name_size);
	uint8_t buffer[sizeof(struct pxfs_xattr) + PXFS_NAME_MAX];
	const struct pxfs_xattr *item = (const struct pxfs_xattr *)buffer;

	*found = (struct attribute){.there = false};
	for (uint32_t slot = 0; slot < XATTR_SLOTS; slot++) {
		struct pxfs_where where = {ino, PXFS_XATTR, base | slot << 8};
		uint32_t size = sizeof buffer;
		err_t err = tree_get(&mount->subvol->tree, &where, buffer, &size);
		if (err == -ENOENT) {
			found->free = where.offset;
			found->has_free = true;
			return 0; // slots are filled from the first on, and closed up
		}
		if (err != 0 || !xattr_is_sound(item, size))
			return err != 0 && err != -ERANGE ? err : ERR(EUCLEAN);
		if (le32_get(&item->name_size) == name_size && memcmp(item + 1, name, name_size) == 0) {
			found->offset = where.offset;
			found->value_bytes = le32_get(&item->value_size);
			found->there = true;
			return 0;
		}
	}
	return 0;
}

static err_t value_read(struct pxfs_mount *mount, uint64_t ino, const struct attribute *found, uint8_t *value)
{
	for (uint32_t part = 0, at = 0; at < found->value_bytes; part++, at += PART_BYTES) {
		struct pxfs_where where = {ino, PXFS_XATTR, found->offset | (part + 1)};
		uint32_t wanted = MIN(found->value_bytes - at, PART_BYTES), size = wanted;
		err_t err = tree_get(&mount->subvol->tree, &where, value + at, &size);
		if (err != 0 || size != wanted)
			return err == -ENOMEM || err == -EIO ? err : ERR(EUCLEAN);
	}
	return 0;
}

err_t pxfs_xattr_get(struct inode *inode, const char *name, void *value, size_t *size_bytes)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct attribute found;
	size_t room = *size_bytes;

	if (pxfs_setting_is(name))
		return pxfs_setting_attr_get(inode, name, value, size_bytes);
	rwlock_read_lock(&mount->subvol->tree.lock);
	err_t err = attribute_find(mount, inode->ino, name, &found);
	if (err == 0 && !found.there)
		err = ERR(ENODATA);
	if (err == 0)
		*size_bytes = found.value_bytes;
	if (err == 0 && room != 0)
		err = room < found.value_bytes ? ERR(ERANGE) : value_read(mount, inode->ino, &found, value);
	rwlock_read_unlock(&mount->subvol->tree.lock);
	return err;
}

// ---- changing; the tree is locked for writing, within an epoch ----------------------------------------------------------------------

static err_t value_drop(struct pxfs_mount *mount, uint64_t ino, uint64_t offset, uint32_t from_bytes, uint32_t to_bytes)
{
	err_t err = 0;

	for (uint32_t part = DIV_ROUND_UP(from_bytes, PART_BYTES); err == 0 && part * PART_BYTES < to_bytes; part++)
		err = tree_take(&mount->subvol->tree, &(struct pxfs_where){ino, PXFS_XATTR, offset | (part + 1)});
	return err;
}

static err_t attribute_put(struct pxfs_mount *mount, uint64_t ino, uint64_t offset, const char *name,
			   const uint8_t *value, uint32_t size_bytes, uint32_t old_bytes)
{
	uint8_t buffer[sizeof(struct pxfs_xattr) + PXFS_NAME_MAX];
	struct pxfs_xattr *item = (struct pxfs_xattr *)buffer;
	uint32_t name_size = (uint32_t)strlen(name);
	err_t err = 0;

	for (uint32_t part = 0, at = 0; err == 0 && at < size_bytes; part++, at += PART_BYTES)
		err = tree_put(&mount->subvol->tree, &(struct pxfs_where){ino, PXFS_XATTR, offset | (part + 1)},
			       value + at, MIN(size_bytes - at, PART_BYTES));
	*item = (struct pxfs_xattr){.name_size = {{0}}};
	le32_put(&item->name_size, name_size);
	le32_put(&item->value_size, size_bytes);
	memcpy(item + 1, name, name_size);
	if (err == 0)
		err = tree_put(&mount->subvol->tree, &(struct pxfs_where){ino, PXFS_XATTR, offset}, buffer,
			       (uint32_t)sizeof *item + name_size);
	if (err == 0 && old_bytes > size_bytes)
		err = value_drop(mount, ino, offset, size_bytes, old_bytes);
	return err;
}

// Bytes of all attributes of an inode, roughly; the tree is locked.
static err_t attributes_size(struct pxfs_mount *mount, uint64_t ino, size_t *size_bytes)
{
	struct pxfs_where where = {ino, PXFS_XATTR, 0};
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = false;
	err_t err = tree_find(&mount->subvol->tree, &where, &path, &exact);

	*size_bytes = 0;
	while (err == 0) {
		err = path_item(&path, &where, &data, &size, &there);
		if (err != 0 || !there || where.object != ino || where.type != PXFS_XATTR)
			break;
		*size_bytes += size;
		path_step(&path);
	}
	path_release(&path);
	return err;
}

err_t pxfs_xattr_set(struct inode *inode, const char *name, const void *value, size_t size_bytes, uint32_t flags)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct attribute found;
	size_t used = 0;
	if (pxfs_setting_is(name))
		return pxfs_setting_attr_set(inode, name, value, size_bytes, flags);
	err_t err = epoch_enter(mount, true);

	if (err != 0)
		return err;
	rwlock_write_lock(&mount->subvol->tree.lock);
	err = attribute_find(mount, inode->ino, name, &found);
	if (err == 0 && found.there && (flags & TB_XATTR_CREATE) != 0)
		err = ERR(EEXIST);
	else if (err == 0 && !found.there && (flags & TB_XATTR_REPLACE) != 0)
		err = ERR(ENODATA);
	else if (err == 0 && !found.there && !found.has_free)
		err = ERR(ENOSPC);
	if (err == 0)
		err = attributes_size(mount, inode->ino, &used);
	if (err == 0 && used - found.value_bytes + size_bytes + strlen(name) > XATTR_BYTES_MAX / 2)
		err = ERR(ENOSPC);
	if (err == 0)
		err = attribute_put(mount, inode->ino, found.there ? found.offset : found.free, name, value,
				    (uint32_t)size_bytes, found.value_bytes);
	rwlock_write_unlock(&mount->subvol->tree.lock);
	epoch_leave(mount);
	return err;
}

static void name_list(char *names, size_t room, size_t *used, const char *name, uint32_t size_bytes)
{
	if (room != 0 && *used + size_bytes + 1 <= room) {
		memcpy(names + *used, name, size_bytes);
		names[*used + size_bytes] = '\0';
	}
	*used += size_bytes + 1;
}

err_t pxfs_xattr_list(struct inode *inode, char *names, size_t *size_bytes)
{
	const char *setting = NULL;
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct pxfs_where where = {inode->ino, PXFS_XATTR, 0};
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	size_t room = *size_bytes, used = 0;
	bool exact = false, there = false;

	rwlock_read_lock(&mount->subvol->tree.lock);
	err_t err = tree_find(&mount->subvol->tree, &where, &path, &exact);
	while (err == 0) {
		err = path_item(&path, &where, &data, &size, &there);
		if (err != 0 || !there || where.object != inode->ino || where.type != PXFS_XATTR)
			break;
		const struct pxfs_xattr *item = (const struct pxfs_xattr *)data;
		path_step(&path);
		if ((where.offset & 0xff) != 0)
			continue;
		if (!xattr_is_sound(item, size)) {
			err = ERR(EUCLEAN);
			break;
		}
		name_list(names, room, &used, (const char *)(item + 1), le32_get(&item->name_size));
	}
	path_release(&path);
	rwlock_read_unlock(&mount->subvol->tree.lock);
	if (pxfs_setting_listed(inode, &setting))
		name_list(names, room, &used, setting, (uint32_t)strlen(setting));
	*size_bytes = used;
	return err == 0 && room != 0 && used > room ? ERR(ERANGE) : err;
}

// The last attribute of the hash moves into the place of the one that goes, so that there is no gap.
static err_t slot_close(struct pxfs_mount *mount, uint64_t ino, uint64_t gone, uint32_t gone_bytes)
{
	uint8_t buffer[sizeof(struct pxfs_xattr) + PXFS_NAME_MAX + 1];
	struct pxfs_xattr *item = (struct pxfs_xattr *)buffer;
	uint64_t last = gone;
	uint32_t last_size = 0;
	struct pxfs_tree *tree = &mount->subvol->tree;

	for (uint32_t slot = (uint32_t)(gone >> 8 & 0xff) + 1; slot < XATTR_SLOTS; slot++) {
		uint32_t size = sizeof buffer - 1;
		uint64_t offset = (gone >> 16 << 16) | slot << 8;
		if (tree_get(tree, &(struct pxfs_where){ino, PXFS_XATTR, offset}, buffer, &size) != 0)
			break;
		last = offset;
		last_size = size;
	}
	if (last == gone) {
		err_t err = value_drop(mount, ino, gone, 0, gone_bytes);
		return err != 0 ? err : tree_take(tree, &(struct pxfs_where){ino, PXFS_XATTR, gone});
	}
	struct attribute moved = {.offset = last, .value_bytes = le32_get(&item->value_size)};
	uint8_t *value = kmalloc(MAX(moved.value_bytes, 1u), 0);
	err_t err = value == NULL ? ERR(ENOMEM) : value_read(mount, ino, &moved, value);
	buffer[last_size] = '\0';
	if (err == 0)
		err = attribute_put(mount, ino, gone, (const char *)(item + 1), value, moved.value_bytes, gone_bytes);
	if (err == 0)
		err = value_drop(mount, ino, last, 0, moved.value_bytes);
	if (err == 0)
		err = tree_take(tree, &(struct pxfs_where){ino, PXFS_XATTR, last});
	kfree(value);
	return err;
}

err_t pxfs_xattr_remove(struct inode *inode, const char *name)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct attribute found;
	if (pxfs_setting_is(name))
		return pxfs_setting_attr_remove(inode, name);
	err_t err = epoch_enter(mount, false);

	if (err != 0)
		return err;
	rwlock_write_lock(&mount->subvol->tree.lock);
	err = attribute_find(mount, inode->ino, name, &found);
	if (err == 0)
		err = found.there ? slot_close(mount, inode->ino, found.offset, found.value_bytes) : ERR(ENODATA);
	rwlock_write_unlock(&mount->subvol->tree.lock);
	epoch_leave(mount);
	return err;
}
