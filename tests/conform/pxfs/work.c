// SPDX-License-Identifier: MIT
//
// Random operations on a small tree, and a digest of all that can be seen of it.
#include "work.h"

#include "kern/checksum.h"
#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/string.h"
#include "kern/vfs.h"

#define NAMES 3u

// ---- a digest of a tree -------------------------------------------------------------------------------------------------------------

static struct process *root(void)
{
	return vfs_monitor_process();
}

// What is hashed of a path: what stands behind the mount.
struct tree {
	size_t mount_bytes;
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static uint64_t contents_digest(const char *path, uint64_t hash)
{
	static const size_t room = 65536;
	uint8_t *buffer = kmalloc(room, 0);
	size_t done = 1;
	int32_t fd = -1;
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd);

	while (err == 0 && done != 0) {
		err = vfs_read(root(), fd, buffer, room, &done);
		if (err == 0)
			hash = mix(hash, checksum_xxh3(buffer, done, 1));
	}
	if (fd >= 0)
		hash = mix(hash, (uint64_t)vfs_close(root(), fd));
	kfree(buffer);
	return mix(hash, (uint64_t)err);
}

static uint64_t file_digest(const struct tree *tree, const char *path, uint64_t hash)
{
	struct tb_stat stat;
	uint8_t value[64];
	size_t size = sizeof value;

	hash = mix(hash, checksum_xxh3(path + tree->mount_bytes, strlen(path) - tree->mount_bytes, 3));
	if (vfs_stat(root(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat) != 0)
		return mix(hash, 99);
	hash = mix(hash, stat.mode | (uint64_t)stat.nlink << 32);
	hash = mix(hash, stat.uid | (uint64_t)stat.gid << 32);
	hash = mix(hash, (uint64_t)stat.mtime.seconds * 1000000000u + stat.mtime.nanoseconds);
	if ((stat.mode & TB_S_IFMT) == TB_S_IFREG) {
		hash = mix(hash, stat.size_bytes);
		hash = contents_digest(path, hash);
		if (vfs_getxattr(root(), TB_AT_FDCWD, path, 0, "user.a", value, &size) == 0)
			hash = mix(hash, checksum_xxh3(value, size, 2));
	}
	return hash;
}

// Names are added up, so that their order is nothing.
static uint64_t tree_digest(const struct tree *tree, const char *path, uint32_t depth)
{
	struct tb_dirent *entries = kmalloc(16 * sizeof *entries, 0);
	uint64_t sum = file_digest(tree, path, 7);
	uint32_t count = 0;
	int32_t fd = -1;
	char below[200];

	if (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) != 0) {
		kfree(entries);
		return 1;
	}
	while (vfs_readdir(root(), fd, entries, 16, &count) == 0 && count != 0)
		for (uint32_t i = 0; i < count; i++) {
			if (str_equal(entries[i].name, ".") || str_equal(entries[i].name, ".."))
				continue;
			ksnprintf(below, sizeof below, "%s/%s", path, entries[i].name);
			bool dir = entries[i].type == TB_S_IFDIR && depth < 4;
			const char *name = below + tree->mount_bytes;
			sum += mix(checksum_xxh3(name, strlen(name), 5),
				   dir ? tree_digest(tree, below, depth + 1) : file_digest(tree, below, 11));
		}
	sum += (uint64_t)vfs_close(root(), fd);
	kfree(entries);
	return sum;
}

uint64_t work_digest(const char *mount)
{
	struct tree tree = {.mount_bytes = strlen(mount)};
	return tree_digest(&tree, mount, 0);
}

// ---- operations ---------------------------------------------------------------------------------------------------------------------

static const char *path_draw(struct work *work, char *buffer)
{
	static const char *const folders[] = {"", "/d", "/e"};
	ksnprintf(buffer, 64, "%s%s/f%u", work->mount, folders[rand_below(&work->rand, 3)],
		  rand_below(&work->rand, NAMES));
	return buffer;
}

// A file, or where there is none the directory.
static void sync_path(struct work *work, const char *path)
{
	int32_t fd = -1;
	if (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR, 0, &fd) != 0 &&
	    vfs_open(root(), TB_AT_FDCWD, work->mount, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) != 0)
		return;
	err_t err = vfs_fsync(root(), fd);
	work->synced = err == 0; // this one changes nothing
	err = vfs_close(root(), fd);
	VERIFY3(err, ==, 0);
}

static void write_path(struct work *work, const char *path)
{
	uint32_t size = 1 + rand_below(&work->rand, rand_below(&work->rand, 4) == 0 ? 150000 : 3000);
	uint8_t *bytes = kmalloc(size, 0);
	size_t done = 0;
	int32_t fd = -1;

	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i % 7 == 0 ? rand_u32(&work->rand) : i / 64);
	if (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd) == 0) {
		err_t err = vfs_pwrite(root(), fd, bytes, size, rand_below(&work->rand, 5000), &done);
		VERIFY(err == 0 || err == -ENOSPC);
		err = vfs_close(root(), fd);
		VERIFY3(err, ==, 0);
	}
	kfree(bytes);
}

// Its errors are of no interest: a digest is what it is afterwards. One operation is one call that changes something, but for writing to a new file, which are two.
void work_do(struct work *work)
{
	char a[64], b[64];
	uint32_t what = rand_below(&work->rand, 14);
	err_t err = 0;

	work->synced = false;
	path_draw(work, a);
	path_draw(work, b);
	switch (what) {
	case 0:
	case 1:
		err = vfs_mknod(root(), TB_AT_FDCWD, a, TB_S_IFREG | 0644, 0);
		break;
	case 2:
	case 3:
	case 4:
		if (vfs_access(root(), TB_AT_FDCWD, a, TB_F_OK, 0) == 0)
			write_path(work, a);
		break;
	case 5:
		err = vfs_unlink(root(), TB_AT_FDCWD, a, 0);
		break;
	case 6:
		err = vfs_rename(root(), TB_AT_FDCWD, a, TB_AT_FDCWD, b, rand_below(&work->rand, 3));
		break;
	case 7:
		err = vfs_link(root(), TB_AT_FDCWD, a, TB_AT_FDCWD, b, 0);
		break;
	case 8:
		err = vfs_truncate(root(), TB_AT_FDCWD, a, rand_below(&work->rand, 100000));
		break;
	case 9:
		err = vfs_setxattr(root(), TB_AT_FDCWD, a, 0, "user.a", b, strlen(b), 0);
		break;
	case 10:
		err = vfs_symlink(root(), b, TB_AT_FDCWD, a);
		break;
	case 11:
		err = vfs_chmod(root(), TB_AT_FDCWD, a, rand_below(&work->rand, 512), 0);
		break;
	default:
		sync_path(work, a);
	}
	(void)err;
}

err_t work_begin(struct work *work, const char *mount)
{
	char path[64];

	work->mount = mount;
	work->synced = false;
	ksnprintf(path, sizeof path, "%s/d", mount);
	err_t err = vfs_mkdir(root(), TB_AT_FDCWD, path, 0755);
	ksnprintf(path, sizeof path, "%s/e", mount);
	return err == 0 ? vfs_mkdir(root(), TB_AT_FDCWD, path, 0755) : err;
}
