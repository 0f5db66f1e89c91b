// SPDX-License-Identifier: MIT
//
// How a file, or what is made in a directory, is compressed: said by the attribute "pxfs.compression" or by the flags of FS_IOC_SETFLAGS, else taken from the directory that it
// was made in. On the root directory it is the subvolume's setting too.
#include "fs_impl.h"

#include "kern/fmt.h"

#define SETTING_NAME "pxfs.compression"
#define SETTING_TEXT 40u
#define LEVEL_MAX 19u

static const char *const method_names[PXFS_METHOD_COUNT] = {
	[PXFS_METHOD_LZ4] = "lz4", [PXFS_METHOD_ZSTD] = "zstd", [PXFS_METHOD_NONE] = "none"};

const char *pxfs_method_name(uint8_t method)
{
	return method < PXFS_METHOD_COUNT ? method_names[method] : "?";
}

// ---- text -----------------------------------------------------------------------------------------------------------------------

static bool method_parse(char *text, struct pxfs_setting *setting)
{
	char *colon = strchr(text, ':');
	uint32_t level = 0;

	if (colon != NULL)
		*colon = '\0';
	if (colon != NULL && (str_to_u32(colon + 1, 10, &level) != 0 || level == 0 || level > LEVEL_MAX))
		return false;
	for (uint8_t i = 0; i < PXFS_METHOD_COUNT; i++)
		if (str_equal(text, method_names[i])) {
			setting->method = i;
			setting->level = (uint8_t)level;
			return colon == NULL || i != PXFS_METHOD_NONE;
		}
	return false;
}

bool pxfs_setting_parse(const char *text, size_t size_bytes, struct pxfs_setting *setting)
{
	struct pxfs_setting parsed = *setting;
	char copy[SETTING_TEXT];
	uint64_t cluster = 0;

	if (size_bytes == 0 || size_bytes >= sizeof copy || strnlen(text, size_bytes) != size_bytes)
		return false;
	memcpy(copy, text, size_bytes);
	copy[size_bytes] = '\0';
	char *comma = strchr(copy, ',');
	if (comma != NULL) {
		*comma = '\0';
		if (str_to_size(comma + 1, &cluster) != 0 || !IS_POWER_OF_2(cluster) ||
		    cluster < 1u << PXFS_CLUSTER_SHIFT_MIN || cluster > 1u << PXFS_CLUSTER_SHIFT_MAX)
			return false;
		parsed.cluster_shift = (uint8_t)bit_highest_u32((uint32_t)cluster);
	}
	if (!method_parse(copy, &parsed))
		return false;
	parsed.own = true;
	*setting = parsed;
	return true;
}

static size_t setting_show(const struct pxfs_setting *setting, char *text, size_t room)
{
	char level[8] = "";

	if (setting->method == PXFS_METHOD_ZSTD || setting->level != 0)
		ksnprintf(level, sizeof level, ":%u", setting->level != 0 ? setting->level : 3);
	return ksnprintf(text, room, "%s%s,%uk%s", method_names[setting->method], level,
			 1u << (setting->cluster_shift - 10), setting->own ? "" : " inherited");
}

// ---- what holds -----------------------------------------------------------------------------------------------------------------

// One that says Zstandard is of no use to who does not know it.
static void feature_note(struct pxfs_volume *volume, const struct pxfs_setting *setting)
{
	if (setting->method != PXFS_METHOD_ZSTD)
		return;
	mutex_lock(&volume->space.lock);
	uint64_t known = le64_get(&volume->super.incompat);
	le64_put(&volume->super.incompat, known | PXFS_INCOMPAT_ZSTD);
	if ((known & PXFS_INCOMPAT_ZSTD) == 0)
		log_skip(volume);
	mutex_unlock(&volume->space.lock);
}

static bool has_setting(const struct inode *inode)
{
	return inode_is(inode, TB_S_IFREG) || inode_is(inode, TB_S_IFDIR);
}

static struct pxfs_setting volume_setting(const struct pxfs_volume *volume)
{
	const struct pxfs_super *super = &volume->super;
	return pxfs_setting_sound(super->method, super->level, super->cluster_shift);
}

// Of the directory that the inode was made in; that is gone: the subvolume's; of a subvolume's root: the volume's.
static err_t setting_inherit(struct inode *inode, struct pxfs_setting *setting)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	const struct pxfs_subvolume *subvolume = &mount->subvol->item;
	uint64_t parent = __atomic_load_n(&pxfs_core(inode)->parent, __ATOMIC_RELAXED);
	struct inode *dir = NULL;
	err_t err = -ENOENT;

	*setting = inode->ino == PXFS_ROOT_INO
			   ? volume_setting(mount->volume)
			   : pxfs_setting_sound(subvolume->method, subvolume->level, subvolume->cluster_shift);
	if (inode->ino != PXFS_ROOT_INO && parent != inode->ino)
		err = pxfs_iget(mount, parent, &dir);
	if (err != 0)
		return err == -ENOENT ? 0 : err;
	if (inode_is(dir, TB_S_IFDIR))
		*setting = pxfs_setting_get(pxfs_core(dir));
	setting->own = false;
	inode_put(dir);
	return 0;
}

// inode->lock is held, or was not: two that set it at once leave one of both.
static err_t setting_apply(struct inode *inode, const struct pxfs_setting *setting)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct pxfs_subvol *subvol = mount->subvol;
	err_t err = epoch_enter(mount, false);

	if (err != 0)
		return err;
	feature_note(mount->volume, setting);
	pxfs_setting_set(pxfs_core(inode), setting);
	if (inode->ino == PXFS_ROOT_INO) {
		subvol->item.method = setting->method;
		subvol->item.level = setting->level;
		subvol->item.cluster_shift = setting->cluster_shift;
		subvol->changed = true;
		log_skip(subvol->volume);
	}
	pxfs_dirty(inode);
	epoch_leave(mount);
	return 0;
}

// ---- the attribute; inode->lock held ----------------------------------------------------------------------------------------------

bool pxfs_setting_is(const char *name)
{
	return str_has_prefix(name, "pxfs.");
}

bool pxfs_setting_listed(struct inode *inode, const char **name)
{
	*name = SETTING_NAME;
	return has_setting(inode) && pxfs_setting_get(pxfs_core(inode)).own;
}

err_t pxfs_setting_attr_get(struct inode *inode, const char *name, void *value, size_t *size_bytes)
{
	char text[SETTING_TEXT];
	size_t room = *size_bytes;

	if (!str_equal(name, SETTING_NAME) || !has_setting(inode))
		return ERR(ENODATA);
	struct pxfs_setting setting = pxfs_setting_get(pxfs_core(inode));
	*size_bytes = setting_show(&setting, text, sizeof text);
	if (room == 0)
		return 0;
	if (room < *size_bytes)
		return ERR(ERANGE);
	memcpy(value, text, *size_bytes);
	return 0;
}

err_t pxfs_setting_attr_set(struct inode *inode, const char *name, const void *value, size_t size_bytes, uint32_t flags)
{
	struct pxfs_setting setting = pxfs_setting_get(pxfs_core(inode));

	if (!str_equal(name, SETTING_NAME))
		return ERR(EOPNOTSUPP);
	if (!has_setting(inode))
		return ERR(EPERM);
	if (setting.own && (flags & TB_XATTR_CREATE) != 0)
		return ERR(EEXIST);
	if (!setting.own && (flags & TB_XATTR_REPLACE) != 0)
		return ERR(ENODATA);
	if (!pxfs_setting_parse(value, size_bytes, &setting))
		return ERR(EINVAL);
	return setting_apply(inode, &setting);
}

err_t pxfs_setting_attr_remove(struct inode *inode, const char *name)
{
	struct pxfs_setting setting = pxfs_setting_get(pxfs_core(inode));

	if (!str_equal(name, SETTING_NAME) || !has_setting(inode) || !setting.own)
		return ERR(ENODATA);
	err_t err = setting_inherit(inode, &setting);
	return err == 0 ? setting_apply(inode, &setting) : err;
}

// ---- flags ------------------------------------------------------------------------------------------------------------------------

static err_t flags_set(struct inode *inode, uint32_t flags)
{
	struct pxfs_setting setting = pxfs_setting_get(pxfs_core(inode));
	uint32_t known = TB_FS_COMPR_FL | TB_FS_NOCOMP_FL;
	bool on = (flags & TB_FS_COMPR_FL) != 0, off = (flags & TB_FS_NOCOMP_FL) != 0;
	err_t err = 0;

	if ((flags & ~known) != 0)
		return ERR(EOPNOTSUPP);
	if (on && off)
		return ERR(EINVAL);
	if (!on && !off && !setting.own)
		return 0;
	if (!on && !off)
		err = setting_inherit(inode, &setting);
	else if (off)
		setting.method = PXFS_METHOD_NONE;
	else if (setting.method == PXFS_METHOD_NONE)
		setting.method = PXFS_METHOD_LZ4;
	setting.level = setting.method == PXFS_METHOD_ZSTD ? setting.level : 0;
	setting.own = on || off;
	return err == 0 ? setting_apply(inode, &setting) : err;
}

static uint32_t flags_get(struct inode *inode)
{
	struct pxfs_setting setting = pxfs_setting_get(pxfs_core(inode));

	if (!setting.own)
		return 0;
	return setting.method == PXFS_METHOD_NONE ? TB_FS_NOCOMP_FL : TB_FS_COMPR_FL;
}

err_t pxfs_flags_ioctl(struct file *file, uint32_t request, void *arg)
{
	err_t err = 0;

	switch (request) {
	case TB_FS_IOC_GETFLAGS:
		*(uint32_t *)arg = flags_get(file->inode);
		return 0;
	case TB_FS_IOC_SETFLAGS:
		mutex_lock(&file->inode->lock);
		err = flags_set(file->inode, *(const uint32_t *)arg);
		if (err == 0)
			inode_touch(file->inode, ATTR_CTIME);
		mutex_unlock(&file->inode->lock);
		return err;
	default:
		return ERR(ENOTTY);
	}
}
