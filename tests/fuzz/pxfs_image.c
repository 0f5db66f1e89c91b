// SPDX-License-Identifier: MIT
//
// Images of the fuzz targets of PXFS.
#include "pxfs_image.h"

#include "../support/memdisk.h"

#include "kern/fmt.h"
#include "kern/process.h"
#include "kern/vfs.h"

#define FILES_MAX 200u
#define DEPTH_MAX 4u

struct process *image_process(void)
{
	return vfs_monitor_process();
}

// ---- a disk -----------------------------------------------------------------------------------------------------------------------

static void image_start(struct block_command *command)
{
	struct image *image = block_data(command->device);

	spin_lock(&image->lock);
	(void)memdisk_copy(command, image->bytes);
	spin_unlock(&image->lock);
	block_command_done(command, 0);
}

static const struct block_driver image_driver = {.model = "image", .start = image_start};

void image_make(struct image *image, const char *name, size_t size_bytes, const struct pxfs_format_params *params)
{
	struct block_limits limits = memdisk_limits(size_bytes);
	const char *problem = NULL;

	*image = (struct image){.size_bytes = size_bytes};
	spin_init(&image->lock, LOCK_RANK_NONE, "image");
	image->bytes = range_alloc(size_bytes, MEM_ZERO, NULL);
	image->sound = range_alloc(size_bytes, 0, NULL);
	VERIFY(image->bytes != NULL && image->sound != NULL);
	VERIFY(block_add(name, &image_driver, &limits, image, &image->device) == 0);
	VERIFY(pxfs_format(name, params, &problem) == 0);
	err_t err = vfs_mkdir(image_process(), TB_AT_FDCWD, "/p", 0755);
	VERIFY(err == 0 || err == -EEXIST);
	image_keep(image);
}

void image_keep(struct image *image)
{
	memcpy(image->sound, image->bytes, image->size_bytes);
}

void image_restore(struct image *image)
{
	memcpy(image->bytes, image->sound, image->size_bytes);
	image->files = 0;
}

void image_copy(struct image *image, uint8_t *to)
{
	spin_lock(&image->lock);
	memcpy(to, image->bytes, image->size_bytes);
	spin_unlock(&image->lock);
}

void image_request(struct image *image, enum tb_pxfs_request request, const char *name, const char *of)
{
	struct tb_pxfs_names names = {.flags = 0};

	memcpy(names.name, name, strlen(name));
	memcpy(names.of, of, strlen(of));
	VERIFY(pxfs_subvolume(block_name(image->device), request, &names, NULL) == 0);
}

err_t image_mount(struct image *image, uint32_t flags, const char *options)
{
	const char *problem = NULL;

	return vfs_mount(image_process(), block_name(image->device), "/p", "pxfs", flags, options, &problem);
}

void image_umount(void)
{
	VERIFY(vfs_umount(image_process(), "/p", 0) == 0);
}

void image_file_make(const char *path, uint32_t size, uint32_t pattern)
{
	uint8_t *bytes = kmalloc(size, 0);
	size_t done = 0;
	int32_t fd = -1;

	VERIFY(bytes != NULL);
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i % pattern * i);
	VERIFY(vfs_open(image_process(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd) == 0);
	VERIFY(vfs_write(image_process(), fd, bytes, size, &done) == 0);
	VERIFY(vfs_close(image_process(), fd) == 0);
	kfree(bytes);
}

// ---- use ----------------------------------------------------------------------------------------------------------------------------

static void file_use(struct image *image, const char *path, bool write)
{
	struct process *process = image_process();
	struct tb_stat stat;
	uint8_t buffer[512];
	uint64_t position = 0;
	size_t done = 0, size = sizeof buffer;
	int32_t fd = -1;
	err_t err = vfs_stat(process, TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat);

	err = vfs_getxattr(process, TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, "user.x", buffer, &size);
	uint32_t flags = (write ? TB_O_RDWR : TB_O_RDONLY) | TB_O_NOFOLLOW;
	if (++image->files > FILES_MAX || vfs_open(process, TB_AT_FDCWD, path, flags, 0, &fd) != 0)
		return;
	for (uint32_t i = 0; i < 4; i++)
		err = vfs_pread(process, fd, buffer, sizeof buffer, i * 70000ull, &done);
	err = vfs_seek(process, fd, 0, TB_SEEK_DATA, &position);
	if (write && image->files % 8 == 1) {
		err = vfs_pwrite(process, fd, buffer, sizeof buffer, 5000, &done);
		err = vfs_ftruncate(process, fd, 3000);
	}
	err = vfs_close(process, fd);
	(void)err;
}

static void folder_use(struct image *image, const char *path, uint32_t depth, bool write)
{
	struct process *process = image_process();
	struct tb_dirent *entries = kmalloc(8 * sizeof *entries, 0);
	uint32_t count = 0, listed = 0;
	int32_t fd = -1;
	char below[600];

	VERIFY(entries != NULL);
	if (vfs_open(process, TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) != 0) {
		kfree(entries);
		return;
	}
	while (listed < FILES_MAX && vfs_readdir(process, fd, entries, 8, &count) == 0 && count != 0)
		for (uint32_t i = 0; i < count; i++, listed++) {
			if (strchr(entries[i].name, '/') != NULL || str_equal(entries[i].name, ".") ||
			    str_equal(entries[i].name, ".."))
				continue;
			ksnprintf(below, sizeof below, "%s/%s", path, entries[i].name);
			if (entries[i].type == TB_S_IFDIR && depth < DEPTH_MAX)
				folder_use(image, below, depth + 1, write);
			else
				file_use(image, below, write);
		}
	VERIFY(vfs_close(process, fd) == 0);
	kfree(entries);
}

void image_walk(struct image *image, bool write)
{
	struct process *process = image_process();

	folder_use(image, "/p", 0, write);
	if (!write)
		return;
	err_t err = vfs_mkdir(process, TB_AT_FDCWD, "/p/made", 0755);
	err = vfs_unlink(process, TB_AT_FDCWD, "/p/d/file7", 0);
	err = vfs_rename(process, TB_AT_FDCWD, "/p/d/file8", TB_AT_FDCWD, "/p/made/f", 0);
	(void)err;
}

uint64_t image_check(struct image *image)
{
	struct pxfs_check_report report;
	const char *problem = NULL;
	err_t err = pxfs_check_volume(block_name(image->device), PXFS_CHECK_DATA, NULL, NULL, &report, &problem);

	VERIFY(err == 0 || problem != NULL || err == -EIO || err == -EUCLEAN || err == -EBADMSG || err == -ENOMEM);
	return err == 0 ? report.problems : UINT64_MAX;
}

void image_repair(struct image *image)
{
	const char *name = block_name(image->device), *problem = NULL;
	struct pxfs_scrub_calls calls = {.say = NULL};
	struct pxfs_scrub_report scrubbed;
	struct pxfs_check_report report;
	err_t err = pxfs_scrub(name, PXFS_SCRUB_REPAIR, &calls, &scrubbed, &problem);

	err = pxfs_check_volume(name, PXFS_CHECK_REPAIR, NULL, NULL, &report, &problem);
	if (err != 0 || report.problems != 0)
		return;
	VERIFY(pxfs_check_volume(name, PXFS_CHECK_REPAIR, NULL, NULL, &report, &problem) == 0);
	VERIFY(report.problems == 0 && report.mended == 0);
}
